//! Every record is proved (promise P-5): whatever is changed, deleted, put in, swapped or forged behind the exchange's back,
//! in whatever table, `verify` names it.

use std::{process::Output, sync::Arc};

use exchange_tests::{Exchange, Lane};
use jishi::demo::{client::Door, deal, financing, lots, stage::Stage, timeline::Silent};
use kernel::{Db, MasterKey, Vault};
use sea_orm::DatabaseConnection;

use self::{
    each::{Changes, Forger, Forgers},
    tables::{Registry, Table, all, forger, run, texts},
};

mod each;
mod fill;
mod schema;
mod tables;

const KEY: [u8; 32] = [41; 32];
const KEY_TEXT: &str = "KSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSk=";

/// Stands before the names of tables that hold what others held earlier.
const EARLY: &str = "early_";

/// An exchange at which much was done, and that has stopped.
struct Ground {
    exchange: Exchange,
    db: DatabaseConnection,
    vault: Arc<Vault>,
    forgers: Forgers,
    tables: Vec<Table>,
    registry: Registry,
}

impl Ground {
    async fn lay(lane: Lane) -> Option<Ground> {
        let mut exchange = fill::entered(lane).await?;
        let door = Door::at(exchange.http.trim_start_matches("http://"));
        let stage = Stage::new(door, &Silent).await.unwrap();
        deal::play(&stage).await.unwrap();
        let own = Db::connect(&exchange.database_url).await.unwrap();
        for table in ["account", "row_proof"] {
            own.run(&format!("CREATE TABLE {EARLY}{table} AS SELECT * FROM {table}")).await.unwrap();
        }
        lots::play(&stage).await.unwrap();
        financing::play(&stage).await.unwrap();
        drop(stage);
        fill::play(&exchange).await;
        assert!(exchange.stop().iter().all(|code| *code == Some(0)));
        let vault = Arc::new(MasterKey::new(&KEY).open(&own).await.unwrap());
        own.close().await.unwrap();
        let honest = exchange.run(&["verify"]);
        assert_eq!(flaws(&honest), Vec::<String>::new());
        eprintln!("{}", String::from_utf8_lossy(&honest.stdout));
        let forgers = Forgers::gather(&exchange, &vault).await;
        let db = forger(&exchange.database_url).await;
        let tables = all(&db).await.into_iter().filter(|table| !table.name.starts_with(EARLY)).collect();
        Some(Ground { exchange, db, vault, forgers, tables, registry: Registry::read() })
    }

    /// Which row is named first after these changes, which are then undone.
    async fn found(&self, changes: &[String]) -> Option<String> {
        Forger { db: self.db.clone(), vault: self.vault.clone() }.found(changes).await
    }

    /// Whether `verify` as an operator runs it finds fault after the changes; they are undone with `undo`.
    async fn is_found(&self, changes: &str, undo: &str) -> bool {
        run(&self.db, changes).await;
        let verified = self.exchange.run(&["verify"]);
        run(&self.db, undo).await;
        let flaws = flaws(&verified);
        assert!(!flaws.iter().any(|flaw| flaw.contains("panicked")), "{changes}: {flaws:?}");
        !flaws.is_empty()
    }
}

/// What `verify` found but for the schema, of which those who forge have dropped what is in their way.
fn flaws(verified: &Output) -> Vec<String> {
    let told = String::from_utf8_lossy(&verified.stderr).into_owned();
    match told.split_once("the records do not verify\n") {
        _ if verified.status.success() => Vec::new(),
        Some((_, flaws)) => flaws.lines().filter(|flaw| !flaw.starts_with("schema: ")).map(str::to_owned).collect(),
        None => vec![told],
    }
}

async fn each_value_row_and_pair(lane: Lane) {
    let Some(ground) = Ground::lay(lane).await else { return };
    let backend = ground.db.get_database_backend();
    let bound = ground.tables.iter().filter(|table| ground.registry.of(&table.name, "") == "bound");
    let empty: Vec<&String> = bound.clone().filter(|table| table.rows == 0).map(|table| &table.name).collect();
    assert!(empty.is_empty(), "no journey fills {empty:?}");
    let changes: Vec<Changes> = bound.map(|table| Changes::of(table, &ground.registry, backend)).collect();
    let tried: usize = changes.iter().map(|changes| changes.ways.len()).sum();
    eprintln!("{tried} changes");
    let silent = ground.forgers.unnamed(changes).await;
    assert!(silent.is_empty(), "{} of {tried} were not named: {silent:#?}", silent.len());
    assert!(tried > 300, "{tried} changes");
    derived_ones(&ground).await;
    forgeries(&ground).await;
}

/// What is not bound row by row is worked out again, or is listed as deciding nothing.
async fn derived_ones(ground: &Ground) {
    let backend = ground.db.get_database_backend();
    let (mut tried, mut silent) = (0, Vec::new());
    for table in ground.tables.iter().filter(|table| table.rows > 0) {
        let derived = table.columns.iter().filter(|(column, _)| ground.registry.of(&table.name, column) == "derived");
        for (column, _) in derived {
            let (name, row) = (&table.name, table.one_row(backend));
            run(&ground.db, "DROP TABLE IF EXISTS kept").await;
            run(&ground.db, &format!("CREATE TABLE kept AS SELECT * FROM \"{name}\"")).await;
            let change = format!("UPDATE \"{name}\" SET {column} = {} WHERE {row}", table.other(column, backend));
            let undo = format!("DELETE FROM \"{name}\"; INSERT INTO \"{name}\" SELECT * FROM kept");
            tried += 1;
            if !ground.is_found(&change, &undo).await {
                silent.push(format!("{name}.{column}"));
            }
        }
    }
    run(&ground.db, "DROP TABLE IF EXISTS kept").await;
    eprintln!("{tried} derived values");
    assert!(silent.is_empty(), "{} of {tried} were not named: {silent:?}", silent.len());
    assert!(tried > 30, "{tried}");
}

/// Rows that fit together, as somebody would write them who knows the tables and lacks the key.
async fn forgeries(ground: &Ground) {
    let contract = [
        "UPDATE contract SET document = document || ' ', document_hash = 'f00d'",
        "UPDATE signature SET document_hash = 'f00d'",
    ];
    let money = [
        "UPDATE transfer SET amount = amount + 1, posted_amount = posted_amount + 1 WHERE state = 'POSTED' AND purpose = 'BANK_RECEIPT'",
        "UPDATE account SET balance = balance + (SELECT count(*) FROM transfer WHERE state = 'POSTED' AND purpose = 'BANK_RECEIPT'
            AND credit_id = account.id) - (SELECT count(*) FROM transfer WHERE state = 'POSTED' AND purpose = 'BANK_RECEIPT'
            AND debit_id = account.id)",
        "UPDATE bank_receipt SET amount = amount + 1",
    ];
    let role = ["UPDATE membership SET roles = 'ADMINISTRATOR,REVIEWER,CASHIER'"];
    for (forgery, named) in [(&contract[..], "contract "), (&money[..], "account "), (&role[..], "membership ")] {
        let forgery: Vec<String> = forgery.iter().map(|sql| (*sql).to_owned()).collect();
        let found = ground.found(&forgery).await;
        assert!(found.as_ref().is_some_and(|found| found.starts_with(named)), "{forgery:?}: {found:?}");
    }
    // Row and index go back to what they were before; the log knows of the later event.
    let older = [
        "UPDATE account SET balance = early_account.balance, held = early_account.held FROM early_account
            WHERE account.id = early_account.id",
        "UPDATE row_proof SET version = early.version, mark = early.mark, event_id = early.event_id
            FROM early_row_proof AS early WHERE row_proof.tbl = 'account' AND early.tbl = 'account' AND row_proof.key = early.key",
    ];
    let found = ground.found(&older.map(str::to_owned)).await;
    assert!(found.as_ref().is_some_and(|found| found.contains("older than its event")), "{found:?}");
    // A row and its index are gone together.
    let gone = ["DELETE FROM membership", "DELETE FROM row_proof WHERE tbl = 'membership'"].map(str::to_owned);
    let found = ground.found(&gone).await;
    assert!(found.as_ref().is_some_and(|found| found.contains("missing from the index")), "{found:?}");
    // An event that tells of the forged row, left for the exchange to seal.
    let last = texts(&ground.db, "SELECT CAST(count(*) AS text) AS it FROM event WHERE NOT sealed").await;
    assert_eq!(last, ["0"]);
    let event = "INSERT INTO event (id, service, kind, subject, actor, at, facts, announce, claimed_until, published_at, sealed, rows, mark)
        SELECT NEW, service, kind, subject, actor, at, facts, false, 0, NULL, false, rows, mark FROM event
        WHERE rows IS NOT NULL AND service = 'identity' ORDER BY id LIMIT 1";
    let id = if ground.exchange.lane == Lane::Sqlite { "randomblob(16)" } else { "gen_random_uuid()" };
    let found = ground.is_found(&event.replace("NEW", id), "DELETE FROM event WHERE NOT sealed").await;
    assert!(found, "an event that the exchange did not write");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_value_row_and_pair_on_sqlite() {
    each_value_row_and_pair(Lane::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_value_row_and_pair_on_postgres() {
    each_value_row_and_pair(Lane::Postgres).await;
}

/// What was written by hand is named until it is taken in, and the log tells that it was.
async fn adopted(lane: Lane) {
    let Some(mut exchange) = Exchange::start_with(lane, &[("JISHI_MASTER_KEY", KEY_TEXT)]).await else { return };
    assert!(exchange.stop().iter().all(|code| *code == Some(0)));
    let db = forger(&exchange.database_url).await;
    let verify = |arguments: &[&str]| {
        let output = exchange.run(arguments);
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let tables = all(&db).await;
    let empty = tables.iter().find(|table| table.name == "closed_listing" && table.rows == 0).unwrap();
    let changes = [
        (
            "rule_parameter ",
            "UPDATE rule_parameter SET parameter = parameter || ' ' WHERE effective_from = (SELECT min(effective_from) FROM rule_parameter)",
        ),
        ("calendar_day ", "DELETE FROM calendar_day WHERE date = (SELECT min(date) FROM calendar_day)"),
        ("closed_listing ", &empty.any_row(db.get_database_backend())),
    ];
    for (named, change) in changes {
        run(&db, change).await;
        let (verifies, told) = verify(&["verify"]);
        assert!(!verifies && told.contains(named), "{told}");
        // What it would take in is told, and nothing more is done until somebody agrees.
        let (done, told) = verify(&["adopt"]);
        assert!(
            !done && told.contains("nothing was taken in") && told.contains(&format!("{}: ", named.trim())),
            "{told}"
        );
        assert!(!verify(&["verify"]).0);
        let (done, told) = verify(&["adopt", "--yes"]);
        assert!(done && told.contains("count as they stand"), "{told}");
        let (verifies, told) = verify(&["verify"]);
        assert!(verifies, "{told}");
    }
    let (done, told) = verify(&["adopt"]);
    assert!(done && told.contains("nothing is taken in"), "{told}");
    let adopted = texts(&db, "SELECT facts AS it FROM event WHERE kind = 'RowsAdopted'").await;
    assert!(adopted.iter().any(|facts| facts.contains("rule_parameter")), "{adopted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn adopted_on_sqlite() {
    adopted(Lane::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn adopted_on_postgres() {
    adopted(Lane::Postgres).await;
}

/// A database that was rewound as a whole verifies, but not against a head that was kept elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_rewound_database_is_found_by_a_head_kept_elsewhere() {
    let Some(mut exchange) = Exchange::start_with(Lane::Sqlite, &[("JISHI_MASTER_KEY", KEY_TEXT)]).await else {
        return;
    };
    let file = exchange.database_url.trim_start_matches("sqlite://").to_owned();
    assert!(exchange.stop().iter().all(|code| *code == Some(0)));
    let earlier = std::fs::read(&file).unwrap();
    exchange.restart();
    let door = Door::at(exchange.http.trim_start_matches("http://"));
    let stage = Stage::new(door, &Silent).await.unwrap();
    financing::play(&stage).await.unwrap();
    let sealed = || async {
        let db = Db::connect(&exchange.database_url).await.unwrap();
        let waiting = texts(db.read(), "SELECT kind AS it FROM event WHERE NOT sealed").await;
        db.close().await.unwrap();
        Ok(waiting.is_empty().then_some(()))
    };
    stage.until("the sealing of all records", sealed).await.unwrap();
    let published = reqwest::get(format!("{}/heads", exchange.metrics)).await.unwrap().text().await.unwrap();
    assert!(published.lines().any(|line| line.starts_with("financing:")), "{published}");
    assert!(exchange.stop().iter().all(|code| *code == Some(0)));
    let kept = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(kept.path(), &published).unwrap();
    let against = ["verify", "--against", kept.path().to_str().unwrap()];
    let honest = exchange.run(&against);
    assert!(honest.status.success(), "{}", String::from_utf8_lossy(&honest.stderr));
    let told = String::from_utf8_lossy(&honest.stdout).into_owned();
    assert!(told.contains(&format!("the logs begin as {} noted heads say", published.lines().count())), "{told}");
    let nothing = tempfile::NamedTempFile::new().unwrap();
    let told = exchange.run(&["verify", "--against", nothing.path().to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&told.stderr).contains("there is no signed head in it"));

    std::fs::write(&file, earlier).unwrap();
    assert!(exchange.run(&["verify"]).status.success());
    let rewound = exchange.run(&against);
    let told = String::from_utf8_lossy(&rewound.stderr).into_owned();
    assert!(!rewound.status.success() && told.contains("deleted: there once were"), "{told}");
    let forged = published.lines().next().unwrap().replacen(":1", ":2", 1);
    let told = String::from_utf8_lossy(&exchange.run(&["verify", "--against", &forged]).stderr).into_owned();
    assert!(told.contains("did not sign it"), "{told}");
}
