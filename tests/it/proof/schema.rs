//! What somebody does to the schema, `verify` names; the exchange itself tells what it made of it.

use exchange_tests::{Exchange, Lane};
use sea_orm::Database;

use super::tables::run;

/// Each with what is named, and its undoing.
const BOTH: [(&str, &str, &str); 2] = [
    (
        "CREATE TABLE strange (id integer)",
        "schema: table strange: no change of the schema made it",
        "DROP TABLE strange",
    ),
    (
        "DROP INDEX event_undelivered",
        "schema: index event_undelivered on event: missing",
        "CREATE INDEX event_undelivered ON event (service, claimed_until) WHERE announce AND published_mark IS NULL",
    ),
];
/// It hides nothing here but could: what is read through it is as it was. SQLite writes a table's text anew when it is renamed.
const VIEW: (&str, &str, &str) = (
    "ALTER TABLE inbox RENAME TO real_inbox; CREATE VIEW inbox AS SELECT * FROM real_inbox",
    "schema: ",
    "DROP VIEW inbox; ALTER TABLE real_inbox RENAME TO inbox",
);
const TRIGGER_ON_POSTGRES: &str = "CREATE FUNCTION bolt() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER bolt BEFORE INSERT ON award FOR EACH ROW EXECUTE FUNCTION bolt()";
const TRIGGER_ON_SQLITE: &str = "CREATE TRIGGER bolt BEFORE INSERT ON award BEGIN SELECT raise(IGNORE); END";

async fn named(lane: Lane) {
    let Some(mut exchange) = Exchange::start(lane).await else { return };
    assert!(exchange.stop().iter().all(|code| *code == Some(0)));
    let verify = || {
        let output = exchange.run(&["verify"]);
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (verifies, told) = verify();
    assert!(verifies && told.contains("objects of the schema are as the log says"), "{told}");
    let db = Database::connect(&exchange.database_url).await.unwrap();
    let (trigger, more, undo) = match lane {
        Lane::Sqlite => (TRIGGER_ON_SQLITE, "", "DROP TRIGGER bolt"),
        _ => (TRIGGER_ON_POSTGRES, "function bolt", "DROP FUNCTION bolt CASCADE"),
    };
    let first = if more.is_empty() { "trigger bolt on award: no change of the schema made it" } else { more };
    for (change, named, undo) in BOTH.into_iter().chain([(trigger, first, undo), VIEW]) {
        run(&db, change).await;
        let (verifies, told) = verify();
        assert!(!verifies && told.contains(named) && !told.contains("panicked"), "{change}: {told}");
        run(&db, undo).await;
    }
    run(&db, trigger).await;
    let adopted = exchange.run(&["adopt", "--yes"]);
    let told = String::from_utf8_lossy(&adopted.stdout).into_owned();
    assert!(adopted.status.success() && told.contains("trigger bolt on award"), "{told}");
    let (verifies, told) = verify();
    assert!(verifies, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn named_on_sqlite() {
    named(Lane::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn named_on_postgres() {
    named(Lane::Postgres).await;
}
