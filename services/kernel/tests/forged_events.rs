//! The exchange acts on its own events only: one that somebody put into the table is not delivered (promise P-5).
#![cfg(test)]

use std::sync::{Arc, Mutex};

use kernel::{Announcement, Clock, Context, Db, Delivery, Event, Result, Vault};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize)]
struct Said {
    last: bool,
}

impl Announcement for Said {
    const KIND: &'static str = "Said";
}

/// Notes what is delivered.
#[derive(Default)]
struct Heard {
    kinds: Mutex<Vec<String>>,
    last: Notify,
}

#[async_trait::async_trait]
impl Delivery for Heard {
    async fn deliver(&self, event: &Event) -> Result<()> {
        self.kinds.lock().unwrap().push(event.kind.clone());
        if event.read::<Said>()?.is_some_and(|said| said.last) {
            self.last.notify_one();
        }
        Ok(())
    }
}

async fn only_its_own(url: &str, id: &str) {
    let db = Db::connect(url).await.unwrap();
    migrations::migrate(&db).await.unwrap();
    let cx = Context::open("identity", db, Clock::system(), Vault::development()).await.unwrap();
    for last in [false, true] {
        let tx = cx.db.begin().await.unwrap();
        cx.announce(&tx, cx.clock.now(), "subject", &Said { last }).await.unwrap();
        tx.commit().await.unwrap();
        for mark in ["mark", "NULL"] {
            let columns = "service, subject, actor, at, facts, announce, claimed_until, published_at, sealed, rows";
            let forged = format!(
                "INSERT INTO event (id, kind, mark, {columns}) SELECT {id}, 'Forged', {mark}, {columns} FROM event
                WHERE kind = 'Said' LIMIT 1"
            );
            cx.db.run(&forged).await.unwrap();
        }
    }
    let (heard, stop) = (Arc::new(Heard::default()), CancellationToken::new());
    let dispatcher = tokio::spawn(cx.clone().dispatch(vec!["identity"], heard.clone(), stop.clone()));
    heard.last.notified().await;
    stop.cancel();
    dispatcher.await.unwrap();
    assert_eq!(*heard.kinds.lock().unwrap(), ["Said", "Said"]);
}

#[tokio::test]
async fn on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    only_its_own(&format!("sqlite://{}", folder.path().join("events.db").display()), "randomblob(16)").await;
}

#[tokio::test]
async fn on_postgres() {
    let Ok(server) = std::env::var("TEST_POSTGRES_URL") else { return };
    let schema = format!("forged_{}", kernel::fresh_uuid().simple());
    Db::connect(&server).await.unwrap().run(&format!("CREATE SCHEMA {schema}")).await.unwrap();
    only_its_own(&format!("{server}?options[search_path]={schema}"), "gen_random_uuid()").await;
}
