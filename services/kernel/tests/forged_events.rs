//! The exchange acts on its own events only: one that somebody put into the table is not delivered (promise P-5).
#![cfg(test)]

mod fresh;

use std::sync::{Arc, Mutex};

use kernel::{Announcement, Delivery, Event, Result};
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
    let cx = fresh::exchange(url).await;
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
    only_its_own(&fresh::sqlite(folder.path()), "randomblob(16)").await;
}

#[tokio::test]
async fn on_postgres() {
    let Some(url) = fresh::postgres().await else { return };
    only_its_own(&url, "gen_random_uuid()").await;
}
