//! A ledger of its own for each test, on every database at hand.

use kernel::{Clock, Context, Db, Vault};
use tempfile::TempDir;

/// One database with an empty ledger.
pub struct Lane {
    pub name: &'static str,
    pub cx: Context,
    _folder: TempDir,
}

/// SQLite on a temporary file and, if `TEST_POSTGRES_URL` is set, PostgreSQL in a schema of its own.
pub async fn lanes() -> Vec<Lane> {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("ledger.db").display());
    let mut lanes = vec![lane("SQLite", &url, folder).await];
    match std::env::var("TEST_POSTGRES_URL") {
        Ok(url) => {
            let schema = format!("ledger_{}", kernel::fresh_uuid().simple());
            let db = Db::connect(&url).await.unwrap();
            db.run(&format!("CREATE SCHEMA {schema}")).await.unwrap();
            db.close().await.unwrap();
            let url = format!("{url}?options[search_path]={schema}");
            lanes.push(lane("PostgreSQL", &url, tempfile::tempdir().unwrap()).await);
        }
        Err(_) => assert_ne!(std::env::var("TEST_LANES").as_deref(), Ok("required"), "TEST_POSTGRES_URL is not set"),
    }
    lanes
}

async fn lane(name: &'static str, url: &str, folder: TempDir) -> Lane {
    let db = Db::connect(url).await.unwrap();
    migrations::migrate(&db).await.unwrap();
    let cx = Context::open("ledger", db, Clock::system(), Vault::development()).await.unwrap();
    Lane { name, cx, _folder: folder }
}

/// Changes the database behind the core's back; `false` if the schema forbids it.
pub async fn tamper(cx: &Context, sql: &str) -> bool {
    cx.db.run(sql).await.is_ok()
}
