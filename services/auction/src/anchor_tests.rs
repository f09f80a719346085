//! A lot that somebody put back to before a bid, log, row and mark together: it is found, whether the exchange runs or not.

use kernel::{Context, Db, Vault, audit_log::rows::verify_rows};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    audit,
    fence_tests::{Ground, context, ground, postgres, send},
    lot::{anchor::anchor_grown, registry::LotRegistry},
    store::anchor,
};

const KEPT: [&str; 3] = ["bidding_session", "auction_anchor", "row_proof"];
/// The lot as a round writes it.
const LOT: &str = "status, seq, state, secrets, peaks, halted, version, mark";

/// Two bids, and the lot as it was before the second one, both times anchored.
async fn two_bids(ground: &Ground, lots: &LotRegistry) -> Db {
    let cx = context(&ground.url).await;
    assert!(send(lots, ground.id, ground.bidders[0], 100, "one").await.unwrap().bid.is_some());
    let seen_early = anchor::grown(cx.db.read(), &cx.vault, 1).await.unwrap();
    anchor_grown(&cx).await.unwrap();
    for table in KEPT {
        cx.db.run(&format!("CREATE TABLE early_{table} AS SELECT * FROM {table}")).await.unwrap();
    }
    assert!(send(lots, ground.id, ground.bidders[1], 200, "two").await.unwrap().bid.is_some());
    anchor_grown(&cx).await.unwrap();
    // A slower process changes nothing.
    let furthest = anchor::find(cx.db.read(), ground.id).await.unwrap();
    let tx = cx.db.begin().await.unwrap();
    anchor::put(&tx, seen_early).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(anchor::find(cx.db.read(), ground.id).await.unwrap(), furthest);
    assert_eq!(audit(&cx).await.unwrap().flaw, None);
    assert_eq!(verify_rows(&cx.db, &cx.vault).await.unwrap().flaw, None);
    cx.db
}

/// As an operator could do it: the last record goes, and lot and tables become what they were.
async fn put_back(db: &Db, tables: &[&str]) {
    db.run("DELETE FROM auction_event WHERE seq > (SELECT seq FROM early_bidding_session)").await.unwrap();
    let lot = format!("UPDATE bidding_session SET ({LOT}) = (SELECT {LOT} FROM early_bidding_session)");
    db.run(&lot).await.unwrap();
    for table in tables {
        db.run(&format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM early_{table}")).await.unwrap();
    }
}

async fn is_found(url: Option<String>) {
    let ground = ground(url).await;
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let lots = LotRegistry::new(context(&ground.url).await, tasks.clone(), stop.clone());
    let db = two_bids(&ground, &lots).await;
    let cx = context(&ground.url).await;
    let cx = Context { db: cx.db.to_look(), ..cx };
    put_back(&db, &[]).await;
    let flaw = audit(&cx).await.unwrap().flaw.unwrap();
    assert!(flaw.contains("missing from its log, and was signed or anchored"), "{flaw}");
    put_back(&db, &KEPT[1..2]).await;
    assert_eq!(audit(&cx).await.unwrap().flaw, None);
    let flaw = verify_rows(&cx.db, &Vault::development()).await.unwrap().flaw.unwrap();
    assert!(flaw.row.starts_with("auction_anchor "), "{flaw:?}");
    put_back(&db, &KEPT[1..]).await;
    assert!(verify_rows(&cx.db, &Vault::development()).await.unwrap().flaw.is_some());
    // The process that took the bid remembers it.
    assert!(send(&lots, ground.id, ground.bidders[2], 150, "three").await.is_err());
    assert!(send(&lots, ground.id, ground.bidders[2], 300, "four").await.is_err());
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}

/// A lot that somebody altered for a moment is not anchored as it was then: the anchor would say so for ever.
async fn is_not_anchored(url: Option<String>) {
    let ground = ground(url).await;
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let lots = LotRegistry::new(context(&ground.url).await, tasks.clone(), stop.clone());
    let cx = context(&ground.url).await;
    cx.db.run("CREATE TABLE early_lot AS SELECT seq, peaks FROM bidding_session").await.unwrap();
    assert!(send(&lots, ground.id, ground.bidders[0], 100, "one").await.unwrap().bid.is_some());
    cx.db.run("CREATE TABLE right_lot AS SELECT seq, peaks FROM bidding_session").await.unwrap();
    for (altered, size) in [("right_lot", 1_099_511_627_776_i64), ("early_lot", 1)] {
        let alter = format!("UPDATE bidding_session SET seq = {size}, peaks = (SELECT peaks FROM {altered})");
        cx.db.run(&alter).await.unwrap();
        anchor_grown(&cx).await.unwrap();
        assert_eq!(anchor::find(cx.db.read(), ground.id).await.unwrap(), None);
    }
    cx.db.run("UPDATE bidding_session SET (seq, peaks) = (SELECT seq, peaks FROM right_lot)").await.unwrap();
    anchor_grown(&cx).await.unwrap();
    assert!(anchor::find(cx.db.read(), ground.id).await.unwrap().is_some());
    assert_eq!(audit(&cx).await.unwrap().flaw, None);
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite() {
    is_not_anchored(None).await;
    is_found(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    let Some(url) = postgres() else { return };
    is_not_anchored(Some(url.clone())).await;
    is_found(Some(url)).await;
}
