//! A key that cannot be read, as SQLite lets anybody store it, is a flawed row like others: what looks for flaws goes on to name it.
#![cfg(test)]

mod fresh;

use kernel::audit_log::{adoptable::adoptable, rows::verify_rows};

#[tokio::test]
async fn is_named() {
    let folder = tempfile::tempdir().unwrap();
    let cx = fresh::exchange(&fresh::sqlite(folder.path())).await;
    assert_eq!(verify_rows(&cx.db, &cx.vault).await.unwrap().flaw, None);
    // One that is no text comes behind all others.
    cx.db
        .run("CREATE TABLE strange AS SELECT * FROM calendar_day LIMIT 1; UPDATE strange SET date = x'ff'")
        .await
        .unwrap();
    cx.db.run("INSERT INTO calendar_day SELECT * FROM strange").await.unwrap();
    let flaw = verify_rows(&cx.db, &cx.vault).await.unwrap().flaw.unwrap();
    assert_eq!((flaw.row.as_str(), flaw.event), ("calendar_day date=?", None));
    assert!(flaw.what.contains("key cannot be read"), "{}", flaw.what);
    let lines = adoptable(&cx.db, &cx.vault).await.unwrap().lines();
    assert!(lines.len() == 2 && lines[0].starts_with("calendar_day: 1 ") && lines[1] == "  date=?", "{lines:?}");
    // A bound row that got such a key is missing.
    cx.db.run("DELETE FROM calendar_day WHERE date = x'ff'").await.unwrap();
    cx.db.run("UPDATE calendar_day SET date = x'00' WHERE date = (SELECT min(date) FROM calendar_day)").await.unwrap();
    assert_eq!(verify_rows(&cx.db, &cx.vault).await.unwrap().flaw.unwrap().what, "missing");
}

/// Of each kind of flaw the first twenty rows are named, and all are counted.
async fn are_counted(url: &str) {
    let cx = fresh::exchange(url).await;
    assert!(adoptable(&cx.db, &cx.vault).await.unwrap().is_empty());
    cx.db.run("DELETE FROM row_proof WHERE tbl = 'calendar_day'").await.unwrap();
    cx.db.run("DELETE FROM rule_parameter").await.unwrap();
    let lines = adoptable(&cx.db, &cx.vault).await.unwrap().lines();
    let kinds: Vec<&String> = lines.iter().filter(|line| !line.starts_with(' ')).collect();
    assert!(kinds.len() == 2 && kinds[0].ends_with(" in the index of rows not as its last event tells"), "{kinds:?}");
    assert!(kinds[1].starts_with("rule_parameter: ") && kinds[1].ends_with(" missing"), "{kinds:?}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("  date=2")).count(), 20, "{lines:?}");
    assert!(lines.iter().any(|line| line == "  …"));
}

#[tokio::test]
async fn are_counted_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    are_counted(&fresh::sqlite(folder.path())).await;
}

#[tokio::test]
async fn are_counted_on_postgres() {
    let Some(url) = fresh::postgres().await else { return };
    are_counted(&url).await;
}
