//! Events that tell of rows are deleted once later ones tell of the same rows; nobody else deletes one unseen.
#![cfg(test)]

mod fresh;

use kernel::{
    Context, Instant,
    audit_log::{
        rows::verify_rows,
        verify::{Known, verify},
    },
};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio_util::sync::CancellationToken;

/// Writes a row of a bound table, and records nothing else.
async fn name_day(cx: &Context, date: &str, name: &str) {
    let tx = cx.db.begin().await.unwrap();
    let sql = r#"UPDATE "calendar_day" SET "name" = $1 WHERE "date" = $2"#;
    let named = Statement::from_sql_and_values(cx.db.backend(), sql, [name.into(), date.into()]);
    assert_eq!(tx.execute_raw(named).await.unwrap().rows_affected(), 1);
    tx.commit().await.unwrap();
}

/// What is wrong with log or rows, and the log's head.
async fn verdict(cx: &Context, known: &[Known]) -> (Option<String>, Known) {
    let log = verify(&cx.db, &cx.vault, "identity", known).await.unwrap();
    let rows = verify_rows(&cx.db, &cx.vault).await.unwrap();
    let flaw = log.flaw.map(|flaw| flaw.what).or_else(|| rows.flaw.map(|flaw| format!("{} {}", flaw.row, flaw.what)));
    (flaw, Known { service: "identity".into(), size: log.size, root: log.root })
}

async fn row_events(cx: &Context) -> Vec<String> {
    let id = if cx.db.backend() == DbBackend::Postgres { "id::text" } else { "hex(id)" };
    let sql = format!("SELECT {id} AS it FROM event WHERE kind = 'RowsWritten' AND sealed ORDER BY id");
    let rows = cx.db.read().query_all_raw(Statement::from_string(cx.db.backend(), sql)).await.unwrap();
    rows.iter().map(|row| row.try_get("", "it").unwrap()).collect()
}

#[tokio::test]
async fn outdated_events_go_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    for url in [Some(fresh::sqlite(folder.path())), fresh::postgres().await].into_iter().flatten() {
        let cx = fresh::exchange(&url).await;
        let day = "SELECT date AS it FROM calendar_day ORDER BY date LIMIT 2";
        let days = cx.db.read().query_all_raw(Statement::from_string(cx.db.backend(), day)).await.unwrap();
        let days: Vec<String> = days.iter().map(|row| row.try_get("", "it").unwrap()).collect();
        cx.seal_all().await.unwrap();
        let before = row_events(&cx).await.len();
        for (day, name) in [(0, "一"), (1, "二"), (0, "三"), (0, "四")] {
            name_day(&cx, &days[day], name).await;
        }
        cx.seal_all().await.unwrap();
        let (flaw, noted) = verdict(&cx, &[]).await;
        assert_eq!(flaw, None);
        let events = row_events(&cx).await;
        let stop = CancellationToken::new();
        assert_eq!(cx.delete_outdated(Instant(0), &stop).await.unwrap(), 0, "none is so old");
        let now = cx.clock.now().plus_seconds(1);
        // An index that somebody wrote makes nothing outdated.
        for change in ["+", "-"] {
            cx.db.run(&format!("UPDATE row_proof SET version = version {change} 1")).await.unwrap();
            if change == "+" {
                assert_eq!(cx.delete_outdated(now, &stop).await.unwrap(), 0);
            }
        }
        // The first and the third; what was written when the exchange was made may be outdated as well.
        let deleted = usize::try_from(cx.delete_outdated(now, &stop).await.unwrap()).unwrap();
        assert!((2..=2 + before).contains(&deleted), "{deleted}");
        let left = row_events(&cx).await;
        assert_eq!(left.len(), events.len() - deleted);
        for (place, outdated) in [true, false, true, false].into_iter().enumerate() {
            assert_eq!(left.contains(&events[before + place]), !outdated, "event {place}");
        }
        assert_eq!(cx.delete_outdated(now, &stop).await.unwrap(), 0);
        assert_eq!(verdict(&cx, std::slice::from_ref(&noted)).await, (None, noted.clone()));
        // Somebody else deletes another one, and lends its leaf a mark.
        let last = "(SELECT id FROM event WHERE kind = 'RowsWritten' ORDER BY id DESC LIMIT 1)";
        let lent = "(SELECT outdated FROM audit_leaf WHERE outdated IS NOT NULL LIMIT 1)";
        cx.db.run(&format!("UPDATE audit_leaf SET outdated = {lent} WHERE event_id = {last}")).await.unwrap();
        let there = "inserted: the exchange deleted the event, or never said so";
        assert_eq!(verdict(&cx, &[]).await.0.as_deref(), Some(there));
        cx.db.run(&format!("DELETE FROM event WHERE id = {last}")).await.unwrap();
        assert_eq!(verdict(&cx, &[noted]).await.0.as_deref(), Some("deleted: the event is gone"));
    }
}
