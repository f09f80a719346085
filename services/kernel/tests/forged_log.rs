//! Whoever writes into the log, its index or its events stops neither the log nor `adopt`, unless it is said (promise P-5).
#![cfg(test)]

mod fresh;

use kernel::{
    Context, Error,
    audit_log::{adopt::adopt, adoptable::adoptable, rows::verify_rows, verify::verify},
};
use sea_orm::DbBackend;

async fn record(cx: &Context) {
    let tx = cx.db.begin().await.unwrap();
    cx.record(&tx, cx.clock.now(), "subject", ("Recorded", serde_json::json!({}))).await.unwrap();
    tx.commit().await.unwrap();
}

async fn flaw(cx: &Context) -> Option<String> {
    let log = verify(&cx.db, &cx.vault, "identity", &[]).await.unwrap();
    let rows = verify_rows(&cx.db, &cx.vault).await.unwrap();
    log.flaw.map(|flaw| flaw.what).or(rows.flaw.map(|flaw| format!("{} {}", flaw.row, flaw.what)))
}

async fn each_lane(test: impl AsyncFn(&Context)) {
    let folder = tempfile::tempdir().unwrap();
    for url in [Some(fresh::sqlite(folder.path())), fresh::postgres().await].into_iter().flatten() {
        test(&fresh::exchange(&url).await).await;
    }
}

/// Bytes and an id as this database writes them.
fn bytes(cx: &Context, hex: &str) -> String {
    if cx.db.backend() == DbBackend::Postgres { format!("'\\x{hex}'::bytea") } else { format!("X'{hex}'") }
}

fn id(cx: &Context, id: &str) -> String {
    if cx.db.backend() == DbBackend::Postgres { format!("'{id}'::uuid") } else { format!("X'{id}'") }
}

#[tokio::test]
async fn an_event_marked_as_not_yet_in_the_log_keeps_no_other_from_it() {
    each_lane(async |cx| {
        cx.seal_all().await.unwrap();
        cx.db
            .run("UPDATE event SET sealed = false WHERE id = (SELECT event_id FROM audit_leaf WHERE idx = 0)")
            .await
            .unwrap();
        assert!(flaw(cx).await.unwrap().contains("claims not to be"));
        record(cx).await;
        cx.seal_all().await.unwrap();
        let log = verify(&cx.db, &cx.vault, "identity", &[]).await.unwrap();
        assert_eq!((log.waiting, log.flaw), (0, None));
    })
    .await;
}

#[tokio::test]
async fn nothing_is_built_beside_a_forged_leaf() {
    each_lane(async |cx| {
        cx.seal_all().await.unwrap();
        let (event, hash) = (id(cx, "018f0000000070008000000000000001"), bytes(cx, &"ab".repeat(32)));
        let forge = format!(
            "INSERT INTO audit_leaf (service, idx, event_id, hash, mark)
            SELECT 'identity', max(size), {event}, {hash}, {hash} FROM audit_head"
        );
        cx.db.run(&forge).await.unwrap();
        record(cx).await;
        let told = cx.seal_all().await.unwrap_err();
        assert!(matches!(&told, Error::Internal(what) if what.contains("is not the exchange's")), "{told}");
        assert!(flaw(cx).await.is_some());
        cx.db.run(&format!("DELETE FROM audit_leaf WHERE event_id = {event}")).await.unwrap();
        cx.seal_all().await.unwrap();
        assert_eq!(flaw(cx).await, None);
    })
    .await;
}

/// The smallest of all ids too.
#[tokio::test]
async fn a_forged_event_is_named_whatever_its_id() {
    each_lane(async |cx| {
        cx.seal_all().await.unwrap();
        let (nil, mark) = (id(cx, &"0".repeat(32)), bytes(cx, "00"));
        let columns = "service, kind, subject, actor, at, facts, announce, claimed_until, sealed";
        let forge = format!(
            "INSERT INTO event (id, mark, {columns})
            SELECT {nil}, {mark}, service, kind, subject, actor, at, facts, announce, 0, false FROM event LIMIT 1"
        );
        cx.db.run(&forge).await.unwrap();
        assert_eq!(flaw(cx).await.unwrap(), "inserted or changed: the exchange did not write it");
    })
    .await;
}

/// Entries of which no event ever told: of a row that somebody put in, of none, of another table, without a key.
#[tokio::test]
async fn adopt_takes_in_what_no_event_tells_of() {
    each_lane(async |cx| {
        cx.seal_all().await.unwrap();
        let put_in = "INSERT INTO calendar_day (date, kind, name, source) VALUES ('1999-01-01', 'HOLIDAY', '', '')";
        cx.db.run(put_in).await.unwrap();
        for (table, key) in [("calendar_day", "61"), ("calendar_day", ""), ("ghost", "62")] {
            let key = bytes(cx, key);
            let entry = format!(
                "INSERT INTO row_proof (tbl, key, version, mark, event_id)
                SELECT '{table}', {key}, 1, mark, event_id FROM row_proof WHERE tbl = 'calendar_day' LIMIT 1"
            );
            cx.db.run(&entry).await.unwrap();
        }
        assert!(flaw(cx).await.is_some());
        assert!(!adoptable(&cx.db, &cx.vault).await.unwrap().is_empty());
        adopt(cx).await.unwrap();
        assert!(adoptable(&cx.db, &cx.vault).await.unwrap().is_empty());
        cx.seal_all().await.unwrap();
        assert_eq!(flaw(cx).await, None);
    })
    .await;
}

/// An event without the exchange's mark that tells of rows is none of an older program's: `adopt` believes nothing of it.
#[tokio::test]
async fn adopt_does_not_make_a_forged_event_the_exchanges_own() {
    each_lane(async |cx| {
        cx.seal_all().await.unwrap();
        let columns = "service, kind, subject, actor, at, facts, announce, claimed_until, sealed";
        let garbage = bytes(cx, "ff");
        for (n, rows) in [("1", "(SELECT rows FROM event WHERE rows IS NOT NULL LIMIT 1)"), ("2", &*garbage)] {
            let event = id(cx, &format!("018f000000007000800000000000000{n}"));
            let forge = format!(
                "INSERT INTO event (id, mark, rows, {columns})
                SELECT {event}, NULL, {rows}, service, 'RowsAdopted', subject, actor, at, facts, false, 0, false
                FROM event LIMIT 1"
            );
            cx.db.run(&forge).await.unwrap();
        }
        for _ in 0..2 {
            let told = adoptable(&cx.db, &cx.vault).await.unwrap().lines();
            assert!(told[0].contains("2 without the exchange's mark, and tells of rows: not taken in"), "{told:?}");
            assert_eq!(adopt(cx).await.unwrap(), Default::default());
            assert!(flaw(cx).await.is_some());
        }
        cx.db.run("DELETE FROM event WHERE mark IS NULL").await.unwrap();
        assert_eq!(flaw(cx).await, None);
        assert!(adoptable(&cx.db, &cx.vault).await.unwrap().is_empty());
    })
    .await;
}
