//! Whoever keeps events from the sealer, to take them and their rows away later, is found by the process that wrote them.
#![cfg(test)]

use std::time::{Duration, Instant};

use kernel::{Clock, Context, Db, Vault};

async fn context(url: &str) -> Context {
    let db = Db::connect(url).await.unwrap();
    migrations::migrate(&db).await.unwrap();
    Context::open("identity", db, Clock::system(), Vault::development()).await.unwrap()
}

async fn record(cx: &Context) -> bool {
    let Ok(tx) = cx.db.begin().await else { return false };
    cx.record(&tx, cx.clock.now(), "subject", ("Recorded", serde_json::json!({}))).await.unwrap();
    tx.commit().await.is_ok()
}

/// Whether the process stops writing before long, once `forge` was done to an event.
async fn stops(cx: &Context, forge: &str) -> bool {
    assert!(record(cx).await);
    cx.db.run(forge).await.unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(8) {
        cx.seal_all().await.unwrap();
        cx.db.check_sample().await.unwrap();
        if cx.db.begin().await.is_err() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

async fn is_found(url: &str) {
    let honest = context(url).await;
    assert!(!stops(&honest, "UPDATE heartbeat SET beats = beats").await);
    for forge in ["UPDATE event SET sealed = true WHERE NOT sealed", "DELETE FROM event WHERE NOT sealed"] {
        let cx = context(url).await;
        assert!(stops(&cx, forge).await, "{forge}");
    }
}

#[tokio::test]
async fn on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    is_found(&format!("sqlite://{}", folder.path().join("log.db").display())).await;
}

#[tokio::test]
async fn on_postgres() {
    let Ok(server) = std::env::var("TEST_POSTGRES_URL") else { return };
    let schema = format!("kept_{}", kernel::fresh_uuid().simple());
    Db::connect(&server).await.unwrap().run(&format!("CREATE SCHEMA {schema}")).await.unwrap();
    is_found(&format!("{server}?options[search_path]={schema}")).await;
}
