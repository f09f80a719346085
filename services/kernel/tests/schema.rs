//! What the schema is stands in the log: whatever somebody makes of it otherwise is named, and no change of the schema is applied
//! over it (promise P-5).
#![cfg(test)]

mod fresh;

use kernel::{Context, catalogue::recorded};
use migrations::{Keeping, applied, keep};

async fn differences(cx: &Context) -> Vec<String> {
    let recorded = recorded(cx.db.read(), &cx.vault).await.unwrap().unwrap();
    assert!(recorded.count() > 100, "{recorded:?}");
    recorded.differences(cx.db.read()).await.unwrap()
}

/// Each with what is named, and its undoing.
const ON_POSTGRES: &[(&str, &str, &str)] = &[
    (
        "CREATE FUNCTION kept() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER kept BEFORE INSERT ON award FOR EACH ROW EXECUTE FUNCTION kept()",
        "trigger kept on award: no change of the schema made it",
        "DROP FUNCTION kept CASCADE",
    ),
    (
        "ALTER TABLE award RENAME TO real_award; CREATE VIEW award AS SELECT * FROM real_award",
        "view award: no change of the schema made it",
        "DROP VIEW award; ALTER TABLE real_award RENAME TO award",
    ),
    (
        "ALTER TABLE award ENABLE ROW LEVEL SECURITY",
        "table award: changed",
        "ALTER TABLE award DISABLE ROW LEVEL SECURITY",
    ),
    (
        "CREATE POLICY odd ON award USING (false)",
        "policy odd on award: no change of the schema made it",
        "DROP POLICY odd ON award",
    ),
    (
        "CREATE RULE odd AS ON INSERT TO award DO INSTEAD NOTHING",
        "rule odd on award: no change of the schema made it",
        "DROP RULE odd ON award",
    ),
    ("CREATE TABLE odd () INHERITS (award)", "heir odd of award: no change of the schema made it", "DROP TABLE odd"),
    (
        "ALTER TABLE account ALTER balance SET DEFAULT 5",
        "table account: changed",
        "ALTER TABLE account ALTER balance DROP DEFAULT",
    ),
    (
        "ALTER TABLE account ALTER balance DROP NOT NULL",
        "table account: changed",
        "ALTER TABLE account ALTER balance SET NOT NULL",
    ),
    (
        "ALTER TABLE row_proof DROP CONSTRAINT row_proof_version_check",
        "constraint row_proof_version_check on row_proof: missing",
        "ALTER TABLE row_proof ADD CONSTRAINT row_proof_version_check CHECK (version > 0)",
    ),
    (
        "DROP INDEX event_unsealed",
        "index event_unsealed on event: missing",
        "CREATE INDEX event_unsealed ON event (service) WHERE NOT sealed",
    ),
];

const ON_SQLITE: &[(&str, &str, &str)] = &[
    (
        "CREATE TRIGGER kept BEFORE INSERT ON award BEGIN SELECT raise(IGNORE); END",
        "trigger kept on award: no change of the schema made it",
        "DROP TRIGGER kept",
    ),
    (
        "ALTER TABLE heartbeat RENAME TO real_heartbeat; CREATE VIEW heartbeat AS SELECT * FROM real_heartbeat",
        "view heartbeat: no change of the schema made it",
        "DROP VIEW heartbeat; ALTER TABLE real_heartbeat RENAME TO heartbeat",
    ),
    ("ALTER TABLE account ADD COLUMN more integer", "table account: changed", "ALTER TABLE account DROP COLUMN more"),
    (
        "DROP INDEX event_unsealed",
        "index event_unsealed on event: missing",
        "CREATE INDEX event_unsealed ON event (service) WHERE NOT sealed",
    ),
];

async fn is_kept(url: &str, changes: &[(&str, &str, &str)]) {
    let cx = fresh::exchange(url).await;
    assert_eq!(keep(&cx, Keeping::Look).await.unwrap(), Vec::<String>::new());
    assert_eq!(recorded(cx.db.read(), &cx.vault).await.unwrap(), None);
    // An exchange of before the last change but one.
    cx.db.run("ALTER TABLE audit_leaf DROP COLUMN outdated").await.unwrap();
    assert_eq!(keep(&cx, Keeping::Work).await.unwrap(), Vec::<String>::new());
    cx.db.run("DELETE FROM seaql_migrations WHERE version = 'm0048_outdated_leaf'").await.unwrap();
    for (change, named, undo) in changes {
        cx.db.run(change).await.unwrap();
        assert!(differences(&cx).await.contains(&(*named).to_owned()), "{change}: {:?}", differences(&cx).await);
        for keeping in [Keeping::Work, Keeping::Look] {
            assert!(keep(&cx, keeping).await.unwrap().contains(&(*named).to_owned()), "{change}");
        }
        assert!(!applied(cx.db.read()).await.unwrap().contains(&"m0048_outdated_leaf".to_owned()), "{change}");
        cx.db.run(undo).await.unwrap();
    }
    // SQLite writes a table's text anew when it is renamed.
    let left = differences(&cx).await;
    assert!(left.iter().all(|it| it == "table heartbeat: changed"), "{left:?}");
    cx.db.run("CREATE INDEX own ON award (id)").await.unwrap();
    let adopted = keep(&cx, Keeping::Adopt).await.unwrap();
    assert!(adopted.contains(&"index own on award: no change of the schema made it".to_owned()), "{adopted:?}");
    assert!(applied(cx.db.read()).await.unwrap().contains(&"m0048_outdated_leaf".to_owned()));
    assert_eq!(differences(&cx).await, Vec::<String>::new());
    // An honest change says what it made, and what the exchange did not write says nothing.
    cx.db.run("DROP INDEX own; ALTER TABLE audit_leaf DROP COLUMN outdated").await.unwrap();
    keep(&cx, Keeping::Adopt).await.unwrap();
    cx.db.run("DELETE FROM seaql_migrations WHERE version = 'm0048_outdated_leaf'").await.unwrap();
    assert_eq!(keep(&cx, Keeping::Work).await.unwrap(), Vec::<String>::new());
    assert_eq!(differences(&cx).await, Vec::<String>::new());
    cx.db
        .run("UPDATE event SET facts = replace(facts, 'table award', 'table other') WHERE subject = 'schema'")
        .await
        .unwrap();
    assert_eq!(recorded(cx.db.read(), &cx.vault).await.unwrap(), None);
}

#[tokio::test]
async fn on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    is_kept(&fresh::sqlite(folder.path()), ON_SQLITE).await;
}

#[tokio::test]
async fn on_postgres() {
    let Some(url) = fresh::postgres().await else { return };
    is_kept(&url, ON_POSTGRES).await;
}
