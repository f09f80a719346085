//! Whoever keeps events from the sealer, to take them and their rows away later, is found by the process that wrote them.
#![cfg(test)]

mod fresh;

use std::time::{Duration, Instant};

use kernel::Context;

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
    let honest = fresh::exchange(url).await;
    assert!(!stops(&honest, "UPDATE heartbeat SET beats = beats").await);
    for forge in ["UPDATE event SET sealed = true WHERE NOT sealed", "DELETE FROM event WHERE NOT sealed"] {
        let cx = fresh::exchange(url).await;
        assert!(stops(&cx, forge).await, "{forge}");
    }
}

#[tokio::test]
async fn on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    is_found(&fresh::sqlite(folder.path())).await;
}

#[tokio::test]
async fn on_postgres() {
    let Some(url) = fresh::postgres().await else { return };
    is_found(&url).await;
}
