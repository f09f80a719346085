//! The exchange acts on its own events only, and on all of them: one that somebody put into the table is not delivered, and one
//! that somebody marked as delivered is, or is named (promise P-5).
#![cfg(test)]

mod fresh;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use kernel::{
    Announcement, Context, Delivery, ErrorCode, Event, Result,
    audit_log::verify::verify,
    delivered::{free, take_in},
};
use sea_orm::DbBackend;
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
        say(&cx, last).await;
        for mark in ["mark", "NULL"] {
            let columns = "service, subject, actor, at, facts, announce, claimed_until, published_at, sealed, rows";
            let forged = format!(
                "INSERT INTO event (id, kind, mark, {columns}) SELECT {id}, 'Forged', {mark}, {columns}
                FROM (SELECT * FROM event WHERE kind = 'Said' LIMIT 1) AS said, (SELECT date FROM calendar_day LIMIT 300) AS day"
            );
            cx.db.run(&forged).await.unwrap();
        }
    }
    assert_eq!(heard(&cx).await, ["Said", "Said"]);
    // Nor do they keep its own from the log.
    cx.seal_all().await.unwrap();
    let log = verify(&cx.db, &cx.vault, "identity", &[]).await.unwrap();
    assert_eq!(log.waiting, 4 * 300);
    assert_eq!(log.flaw.unwrap().what, "inserted or changed: the exchange did not write it");
}

/// What is delivered up to the last thing said.
async fn heard(cx: &Context) -> Vec<String> {
    let (heard, stop) = (Arc::new(Heard::default()), CancellationToken::new());
    let dispatcher = tokio::spawn(cx.clone().dispatch(vec!["identity"], heard.clone(), stop.clone()));
    heard.last.notified().await;
    stop.cancel();
    dispatcher.await.unwrap();
    heard.kinds.lock().unwrap().clone()
}

async fn say(cx: &Context, last: bool) {
    let tx = cx.db.begin().await.unwrap();
    cx.announce(&tx, cx.clock.now(), "subject", &Said { last }).await.unwrap();
    tx.commit().await.unwrap();
}

async fn flaw(cx: &Context) -> Option<String> {
    Some(verify(&cx.db, &cx.vault, "identity", &[]).await.unwrap().flaw?.what)
}

/// A time of delivery, or a claim beyond all measure, that somebody else wrote holds nothing back; a mark does, and is named.
async fn all_of_its_own(url: &str) {
    let cx = fresh::exchange(url).await;
    take_in(&cx).await.unwrap();
    say(&cx, false).await;
    cx.db.run("UPDATE event SET published_at = 1, claimed_until = 9000000000000000").await.unwrap();
    say(&cx, true).await;
    assert_eq!(cx.backlog(&["identity"]).await.unwrap().0, 2);
    assert_eq!(heard(&cx).await, ["Said", "Said"]);
    assert_eq!((cx.backlog(&["identity"]).await.unwrap().0, flaw(&cx).await), (0, None));
    // What has gone out bears a mark that fits no other event, sealed or not.
    say(&cx, true).await;
    let forged =
        "UPDATE event SET published_mark = (SELECT published_mark FROM event WHERE published_mark IS NOT NULL LIMIT 1)
        WHERE published_mark IS NULL AND announce";
    cx.db.run(forged).await.unwrap();
    for _ in 0..2 {
        let named = flaw(&cx).await;
        assert_eq!(named.as_deref(), Some("marked as delivered, and not by the exchange"));
        cx.seal_all().await.unwrap();
    }
    assert_eq!((free(&cx).await.unwrap(), flaw(&cx).await), (1, None));
    assert_eq!(heard(&cx).await, ["Said"]);
}

/// What an older program delivered is not delivered again, once: what bears no mark later is.
async fn earlier_ones(url: &str) {
    let cx = fresh::exchange(url).await;
    say(&cx, false).await;
    cx.db.run("UPDATE event SET published_at = 1").await.unwrap();
    say(&cx, true).await;
    take_in(&cx).await.unwrap();
    assert_eq!(heard(&cx).await, ["Said"]);
    say(&cx, true).await;
    cx.db.run("UPDATE event SET published_at = 1").await.unwrap();
    take_in(&cx).await.unwrap();
    assert_eq!((heard(&cx).await.len(), flaw(&cx).await), (1, None));
}

#[tokio::test]
async fn on_sqlite() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [one, two, three] = folders.each_ref().map(|folder| fresh::sqlite(folder.path()));
    only_its_own(&one, "unhex('0000000000004000' || hex(randomblob(8)))").await;
    all_of_its_own(&two).await;
    earlier_ones(&three).await;
}

#[tokio::test]
async fn on_postgres() {
    let Some(url) = fresh::postgres().await else { return };
    only_its_own(&url, "('00000000-0000-4000-8000-' || substr(md5(random()::text), 1, 12))::uuid").await;
    all_of_its_own(&fresh::postgres().await.unwrap()).await;
    earlier_ones(&fresh::postgres().await.unwrap()).await;
}

/// That it took an event, a consumer believes only by what the exchange wrote.
#[tokio::test]
async fn a_forged_receipt_of_an_event_keeps_no_effect_away() {
    let folder = tempfile::tempdir().unwrap();
    for url in [Some(fresh::sqlite(folder.path())), fresh::postgres().await].into_iter().flatten() {
        let cx = fresh::exchange(&url).await;
        let id = kernel::fresh_uuid();
        let [service, kind, subject, actor, facts] = ["auction", "Told", "", "exchange", "{}"].map(str::to_owned);
        let event = Event { id, service, kind, subject, actor, at: cx.clock.now(), facts };
        let effects = AtomicU32::new(0);
        let receive = async || {
            let effects = &effects;
            kernel::receive(&cx, &event, |_| {
                effects.fetch_add(1, Relaxed);
                Box::pin(async { Ok(()) })
            })
            .await
        };
        let id = match cx.db.backend() {
            DbBackend::Postgres => format!("'{id}'"),
            _ => format!("X'{}'", id.simple()),
        };
        cx.db.run(&format!("INSERT INTO inbox (consumer, event_id) VALUES ('identity', {id})")).await.unwrap();
        assert_eq!(receive().await.unwrap_err().code(), ErrorCode::RecordAltered);
        cx.db.run(&format!("DELETE FROM inbox WHERE event_id = {id}")).await.unwrap();
        for _ in 0..2 {
            receive().await.unwrap();
        }
        assert_eq!(effects.load(Relaxed), 1);
    }
}
