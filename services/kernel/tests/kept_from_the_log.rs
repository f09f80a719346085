//! Whoever keeps events from the sealer, to take them and their rows away later, is found by the process that wrote them.
#![cfg(test)]

mod fresh;

use std::time::{Duration, Instant};

use futures::future::join_all;
use kernel::{
    Context,
    audit_log::verify::{strange_service, verify},
};
use tokio_util::sync::CancellationToken;

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
    let forged_leaf = "INSERT INTO audit_leaf (service, idx, event_id, hash, mark)
        SELECT 'ghost', 0, id, mark, mark FROM event WHERE NOT sealed; UPDATE event SET sealed = true WHERE NOT sealed";
    let cx = fresh::exchange(url).await;
    assert!(stops(&cx, forged_leaf).await);
    let log = verify(&cx.db, &cx.vault, "identity", &[]).await.unwrap();
    assert_eq!(log.flaw.unwrap().what, "inserted: the event was never sealed");
    let known = [&["identity"][..], &["identity", "ghost"]];
    let strange = join_all(known.map(|known| strange_service(&cx.db, known))).await;
    assert!(strange[0].as_ref().unwrap().as_ref().unwrap().starts_with("ghost: leaf 0"), "{strange:?}");
    assert_eq!(strange[1].as_ref().unwrap(), &None);
    let sealed = "UPDATE event SET sealed = true WHERE NOT sealed";
    for forge in [sealed, "DELETE FROM event WHERE NOT sealed"] {
        let cx = fresh::exchange(url).await;
        assert!(stops(&cx, forge).await, "{forge}");
    }
}

/// What an earlier process left to the sealer has had its time: nothing is written beside it before it is in the log.
async fn is_caught_up_with(url: &str) {
    assert!(record(&fresh::exchange(url).await).await);
    let (cx, stop) = (fresh::exchange(url).await, CancellationToken::new());
    let (db, stopped) = (cx.db.clone(), stop.clone());
    let watch = tokio::spawn(async move { db.check_own_word(&["identity"], stopped).await });
    let begins = async |as_wanted: bool| {
        let began = Instant::now();
        while cx.db.begin().await.is_ok() != as_wanted {
            assert!(began.elapsed() < Duration::from_secs(20), "{as_wanted}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    begins(false).await;
    cx.seal_all().await.unwrap();
    begins(true).await;
    stop.cancel();
    watch.await.unwrap();
}

#[tokio::test]
async fn on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    is_found(&fresh::sqlite(folder.path())).await;
    let folder = tempfile::tempdir().unwrap();
    is_caught_up_with(&fresh::sqlite(folder.path())).await;
}

#[tokio::test]
async fn on_postgres() {
    let Some(url) = fresh::postgres().await else { return };
    is_found(&url).await;
    is_caught_up_with(&fresh::postgres().await.unwrap()).await;
}
