//! A database of its own for a test, and an exchange on it.

use std::path::Path;

use kernel::{Clock, Context, Db, Vault, fresh_uuid};

/// A file in a folder.
pub fn sqlite(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("exchange.db").display())
}

/// A schema of the tests' server, where there is one.
pub async fn postgres() -> Option<String> {
    let server = std::env::var("TEST_POSTGRES_URL").ok()?;
    let schema = format!("kernel_{}", fresh_uuid().simple());
    Db::connect(&server).await.unwrap().run(&format!("CREATE SCHEMA {schema}")).await.unwrap();
    Some(format!("{server}?options[search_path]={schema}"))
}

/// The exchange there, begun if it was not.
pub async fn exchange(url: &str) -> Context {
    let db = Db::connect(url).await.unwrap();
    migrations::migrate(&db).await.unwrap();
    Context::open("identity", db, Clock::system(), Vault::development()).await.unwrap()
}
