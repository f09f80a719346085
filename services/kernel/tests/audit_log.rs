//! The audit log names what was done to a record behind the exchange's back, hashes recomputed or not (check S7).
#![cfg(test)]

mod fresh;

use kernel::{
    Clock, Context, Db, ErrorCode, Instant, Vault,
    audit_log::{
        adopt::adopt,
        verify::{Known, Verdict, verify},
    },
    audit_page,
};

struct Log {
    cx: Context,
    url: String,
    _folder: tempfile::TempDir,
}

async fn log(events: i64) -> Log {
    let folder = tempfile::tempdir().unwrap();
    let url = fresh::sqlite(folder.path());
    log_in(folder, url, events).await
}

/// The same on the PostgreSQL server of the tests, where there is one.
async fn log_on_postgres(events: i64) -> Option<Log> {
    Some(log_in(tempfile::tempdir().unwrap(), fresh::postgres().await?, events).await)
}

async fn log_in(folder: tempfile::TempDir, url: String, events: i64) -> Log {
    // Another service's log tells that the calendar and the rules were written.
    let cx = fresh::exchange(&url).await;
    let log = Log { cx: cx.with_service("catalog"), url, _folder: folder };
    for batch in 0..2 {
        log.record(events / 2, batch).await;
        log.cx.seal_all().await.unwrap();
    }
    log
}

impl Log {
    async fn record(&self, events: i64, batch: i64) {
        let tx = self.cx.db.begin().await.unwrap();
        for number in 0..events {
            let facts = serde_json::json!({ "batch": batch, "number": number });
            self.cx.record(&tx, Instant(number), "subject", ("Recorded", facts)).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    async fn run(&self, sql: &str) {
        self.cx.db.run(sql).await.unwrap();
    }

    async fn verdict(&self) -> Verdict {
        verify(&self.cx.db, &self.cx.vault, "catalog", &[]).await.unwrap()
    }

    /// The flaw after `sql`: its place and how it begins.
    async fn flaw_after(sql: &str) -> (Option<i64>, bool, String) {
        let log = log(20).await;
        log.run(sql).await;
        let flaw = log.verdict().await.flaw.unwrap_or_else(|| panic!("unseen: {sql}"));
        (flaw.place, flaw.event.is_some(), flaw.what.split(':').next().unwrap_or_default().to_owned())
    }
}

#[tokio::test]
async fn an_honest_log_verifies_and_grows_by_what_was_committed() {
    let log = log(1_200).await;
    let verdict = log.verdict().await;
    assert_eq!((verdict.size, verdict.waiting, verdict.flaw), (1_200, 0, None));
    log.record(3, 2).await;
    assert_eq!(log.verdict().await.waiting, 3);
    // Delivery is no part of what was recorded.
    log.run("UPDATE event SET published_at = 5, claimed_until = 6").await;
    log.cx.seal_all().await.unwrap();
    let grown = log.verdict().await;
    assert_eq!((grown.size, grown.waiting, grown.flaw.clone()), (1_203, 0, None));
    // Whoever noted an earlier head can hold the exchange to it.
    let noted = |root: &str| Known { service: "catalog".into(), size: 1_200, root: root.into() };
    let held = |roots: &[&str]| {
        let (known, cx) = (roots.iter().map(|root| noted(root)).collect::<Vec<_>>(), log.cx.clone());
        async move { verify(&cx.db, &cx.vault, "catalog", &known).await.unwrap().flaw }
    };
    assert_eq!(held(&[&verdict.root]).await, None);
    // Of two heads of one size, one is another log's.
    for others in [&[&*grown.root][..], &[&verdict.root, &grown.root], &[&grown.root, &verdict.root]] {
        assert_eq!(held(others).await.unwrap().place, Some(1_200));
    }
}

/// An event's id by its place, as SQL.
fn event(place: u32) -> String {
    format!("(SELECT event_id FROM audit_leaf WHERE idx = {place})")
}

#[tokio::test]
async fn each_column_of_each_event_counts() {
    for (column, value) in [
        ("kind", "'Other'"),
        ("subject", "'other'"),
        ("actor", "'other'"),
        ("at", "at + 1"),
        ("facts", "facts || ' '"),
        ("announce", "NOT announce"),
        ("service", "'ledger'"),
        ("sealed", "false"),
    ] {
        let found = Log::flaw_after(&format!("UPDATE event SET {column} = {value} WHERE id = {}", event(7))).await;
        assert_eq!(found, (Some(7), true, "changed".into()), "{column}");
    }
}

#[tokio::test]
async fn deleted_inserted_and_reordered_records_are_named() {
    let swap = "UPDATE audit_leaf SET idx = -1 WHERE idx = 4; UPDATE audit_leaf SET idx = 4 WHERE idx = 9;
        UPDATE audit_leaf SET idx = 9 WHERE idx = -1";
    let insert = format!(
        "INSERT INTO event SELECT x'00112233445566778899aabbccddeeff', service, kind, subject, actor, at, 'forged', announce,
         claimed_until, published_at, sealed, rows, mark, NULL FROM event WHERE id = {}",
        event(3)
    );
    for (sql, place, named, what) in [
        (format!("DELETE FROM event WHERE id = {}", event(5)), Some(5), true, "deleted"),
        ("DELETE FROM audit_leaf WHERE idx = 5".into(), Some(5), false, "deleted"),
        ("DELETE FROM audit_leaf WHERE idx = 19".into(), Some(19), false, "deleted"),
        ("DELETE FROM audit_leaf WHERE idx >= 10; DELETE FROM event WHERE at > 5".into(), Some(6), true, "deleted"),
        ("DELETE FROM audit_head WHERE size = 10".into(), Some(10), false, "deleted"),
        ("DELETE FROM audit_head WHERE size = 20".into(), Some(20), false, "deleted"),
        ("UPDATE audit_head SET at = at + 1 WHERE size = 10".into(), Some(10), false, "changed"),
        ("UPDATE audit_head SET peaks = x'' WHERE size = 10".into(), Some(10), false, "changed"),
        (
            "UPDATE audit_leaf SET hash = zeroblob(32) WHERE idx = 6".into(),
            Some(6),
            true,
            "changed, inserted or reordered",
        ),
        (swap.into(), Some(4), true, "changed, inserted or reordered"),
        (insert, None, true, "inserted"),
    ] {
        assert_eq!(Log::flaw_after(&sql).await, (place, named, what.to_owned()), "{sql}");
    }
}

#[tokio::test]
async fn whoever_recomputes_the_log_without_the_key_is_found_at_the_record() {
    let log = log(20).await;
    log.run(&format!("UPDATE event SET facts = 'forged' WHERE id = {}", event(7))).await;
    // Mark and seal it all anew, as an intruder with the program but without the master key would.
    log.run("DELETE FROM audit_leaf; DELETE FROM audit_head; UPDATE event SET sealed = false").await;
    let (db, vault) = (Db::connect(&log.url).await.unwrap(), Vault::new(&[7; 32]));
    assert!(Context::open("identity", db.clone(), Clock::system(), vault).await.is_err(), "what it finds is another's");
    let (db, vault) = (Db::connect(&log.url).await.unwrap(), Vault::new(&[7; 32]));
    let intruder = Context::to_migrate("identity", db, Clock::system(), vault).unwrap().with_service("catalog");
    intruder.seal_all().await.unwrap();
    let sealed = verify(&intruder.db, &intruder.vault, "catalog", &[]).await.unwrap();
    assert_eq!((sealed.size, sealed.waiting), (0, 20), "sealed what bears another's mark");
    log.run("UPDATE event SET mark = NULL").await;
    adopt(&intruder).await.unwrap();
    intruder.seal_all().await.unwrap();
    assert_eq!(verify(&intruder.db, &intruder.vault, "catalog", &[]).await.unwrap().flaw, None);
    assert_eq!(log.verdict().await.flaw.unwrap().place, Some(0));
    // Nor does the exchange build on such a head.
    log.record(1, 3).await;
    assert!(log.cx.seal_all().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn sealers_at_once_seal_each_event_once() {
    for log in [Some(log(0).await), log_on_postgres(0).await].into_iter().flatten() {
        log.record(2_000, 0).await;
        let seal = || {
            let cx = log.cx.clone();
            tokio::spawn(async move { cx.seal_all().await.unwrap() })
        };
        for sealer in [seal(), seal(), seal()] {
            sealer.await.unwrap();
        }
        log.cx.seal_all().await.unwrap();
        let verdict = log.verdict().await;
        assert_eq!((verdict.size, verdict.waiting, verdict.flaw), (2_000, 0, None));
    }
}

/// Who reads the audit trail is shown what the exchange wrote, or nothing.
#[tokio::test]
async fn a_forged_record_is_not_shown() {
    for (sql, is_ours) in [
        ("UPDATE event SET mark = NULL WHERE kind = 'Recorded'".into(), true),
        (format!("UPDATE event SET facts = 'forged' WHERE id = {}", event(3)), false),
        (format!("UPDATE event SET facts = 'forged', mark = NULL WHERE id = {}", event(3)), false),
        ("UPDATE audit_leaf SET event_id = x'00' WHERE idx = 3; UPDATE event SET mark = NULL".into(), false),
    ] {
        let log = log(20).await;
        assert_eq!(audit_page(&log.cx.db, "catalog", None, Some(100), None).await.unwrap().items.len(), 20);
        log.run(&sql).await;
        let shown = audit_page(&log.cx.db, "catalog", None, Some(100), None).await;
        assert_eq!(shown.map_err(|error| error.code()).err(), (!is_ours).then_some(ErrorCode::RecordAltered), "{sql}");
    }
}
