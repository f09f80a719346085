//! `jishi backup` and `jishi restore`: a copy is taken under load, the machine is lost, the exchange goes on elsewhere; what
//! was acknowledged before the copy is there, and how much of the rest is missing is said.

mod load;

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use exchange_tests::{Exchange, Lane, binary};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::market::Market;
use load::Load;

const KEY: [u8; 32] = [23; 32];

/// Where an exchange may be put again.
struct Place {
    folder: tempfile::TempDir,
    url: String,
}

impl Place {
    /// An empty one of the same kind as the exchange's.
    async fn like(exchange: &Exchange) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let url = match exchange.lane {
            Lane::Sqlite => format!("sqlite://{}", folder.path().join("elsewhere/jishi.db").display()),
            _ => database_like(&exchange.database_url).await,
        };
        Place { folder, url }
    }

    fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("JISHI_DATABASE_URL", self.url.clone()),
            ("JISHI_DATA_DIR", self.folder.path().display().to_string()),
            ("JISHI_MASTER_KEY", BASE64_STANDARD.encode(KEY)),
            ("JISHI_LOG", "warn".into()),
        ]
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(binary()).args(arguments).envs(self.environment()).output().unwrap()
    }
}

/// Another database on the same server, with an empty schema of the same name.
async fn database_like(url: &str) -> String {
    let (server, schema) = url.split_once("?options[search_path]=").unwrap();
    let name = format!("test_{}", kernel::fresh_uuid().simple());
    let (host, _) = server.rsplit_once('/').unwrap();
    for (at, sql) in [
        (server.to_owned(), format!("CREATE DATABASE {name}")),
        (format!("{host}/{name}"), format!("CREATE SCHEMA {schema}")),
    ] {
        let db = sea_orm::Database::connect(at).await.unwrap();
        db.execute_unprepared(&sql).await.unwrap();
        db.close().await.unwrap();
    }
    format!("{host}/{name}?options[search_path]={schema}")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What it says, having succeeded.
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    said(output)
}

/// What it says, having refused.
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", said(output));
    said(output)
}

fn key() -> String {
    BASE64_STANDARD.encode(KEY)
}

fn manifest(backup: &Path) -> Value {
    serde_json::from_slice(&fs::read(backup.join("manifest.json")).unwrap()).unwrap()
}

async fn the_machine_is_lost(lane: Lane) {
    let Some(mut exchange) = Exchange::start_with(lane, &[("JISHI_MASTER_KEY", &key())]).await else { return };
    let market = Market::open(&exchange, 2).await;
    let listing = market.disclosed(market.draft()).await;
    for buyer in &market.buyers {
        market.eligible(buyer, &listing).await;
    }
    let session = market.bidding(&listing).await;
    let kept = tempfile::tempdir().unwrap();
    let (backup, heads) = (kept.path().join("monday"), kept.path().join("heads.txt"));

    let load = Load::new(&exchange.http, &market, &session);
    let taken = async {
        load.until_told(8).await;
        let before = load.told();
        let more = |told: &load::Answers| told.bids.len().max(told.sign_ups.len()) + 8;
        let copying = slow_backup(&exchange, kept.path(), &backup).spawn().unwrap();
        load.until_told(more(&before)).await;
        fs::write(kept.path().join("go"), "").unwrap();
        let output = tokio::task::spawn_blocking(|| copying.wait_with_output().unwrap()).await.unwrap();
        load.until_told(more(&load.told())).await;
        load.stop();
        (before, done(&output))
    };
    let ((), (), (before, told)) = tokio::join!(load.bid(), load.sign_up(), taken);
    let after = load.told();
    assert!(exchange.stop().iter().all(|code| *code == Some(0)));
    fs::write(&heads, done(&exchange.run(&["heads"]))).unwrap();

    let place = Place::like(&exchange).await;
    // Whoever bids and signs up announces nothing, so these were all delivered before the copy was begun.
    let delivered = count(&exchange.database_url, "announce AND published_mark IS NOT NULL").await;
    drop(exchange);
    let restore = ["restore", backup.to_str().unwrap(), "--head", heads.to_str().unwrap()];
    let restored = done(&place.run(&restore));
    assert!(restored.contains("everything that was restored verifies"), "{restored}");
    let missing = missing(&backup, &heads, &restored);
    for line in told.lines().filter(|line| line.contains("; head ")) {
        assert!(restored.contains(line), "{line} is not said of what was restored: {restored}");
    }
    assert!(refused(&place.run(&restore)).contains("already"));

    assert_eq!((undelivered(&place.url).await, delivered > 0), (delivered, true), "all events go out once more");

    let environment = place.environment();
    let environment: Vec<_> = environment.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let mut again = Exchange::start_with(lane, &environment).await.unwrap();
    let lost = load.at(&again.http).told_again(&before, &after).await;
    assert!(lost > 0 && lost <= missing, "{lost} people are gone, {missing} records of identity are missing");
    assert!(again.stop().iter().all(|code| *code == Some(0)));
    assert_eq!(undelivered(&place.url).await, 0, "and find their takers");
    assert!(done(&place.run(&["verify"])).contains("records verify"));
}

/// Announced events that wait for delivery.
async fn undelivered(url: &str) -> i64 {
    count(url, "announce AND published_mark IS NULL").await
}

async fn count(url: &str, which: &str) -> i64 {
    let db = sea_orm::Database::connect(url).await.unwrap();
    let select = format!("SELECT count(*) AS it FROM event WHERE {which}");
    let row = db.query_one_raw(sea_orm::Statement::from_string(db.get_database_backend(), select)).await.unwrap();
    db.close().await.unwrap();
    row.unwrap().try_get("", "it").unwrap()
}

/// A backup whose `pg_dump` waits for a file `go`: between the view and the copy much is acknowledged.
fn slow_backup(exchange: &Exchange, folder: &Path, to: &Path) -> Command {
    let program = folder.join("pg_dump");
    let script = "#!/bin/sh\nwhile [ ! -e \"${0%/*}/go\" ]; do sleep 0.05; done\nexec pg_dump \"$@\"\n";
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o700)).unwrap();
    let mut command = Command::new(binary());
    command.arg("backup").arg(to).env("JISHI_DATABASE_URL", &exchange.database_url);
    command.env("JISHI_POSTGRES_PROGRAMS", folder).env("JISHI_LOG", "error");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// How many records of identity are missing, by the manifest and by the heads; `restore` must say the same of all.
fn missing(backup: &Path, heads: &Path, restored: &str) -> u64 {
    let heads = fs::read_to_string(heads).unwrap();
    let manifest = manifest(backup);
    let mut of_identity = 0;
    let log = manifest["databases"][0]["log"].as_array().unwrap();
    assert_eq!(log.len(), 6, "{manifest}");
    for reach in log {
        let service = reach["service"].as_str().unwrap();
        let size = |text: &str| text.split(':').nth(1).unwrap().parse::<u64>().unwrap();
        let head = heads.split_whitespace().find(|word| word.starts_with(&format!("{service}:")) && word.len() > 64);
        let there = reach["size"].as_u64().unwrap() + reach["waiting"].as_u64().unwrap();
        // A log without a record has no head.
        let Some(head) = head else {
            assert_eq!(there, 0, "{service}");
            continue;
        };
        let count = size(head) - there;
        let line = match count {
            0 => format!("{service}: nothing is missing"),
            _ => format!("{service}: {count} records that were acknowledged after the backup are missing"),
        };
        assert!(restored.contains(&line), "{line}: {restored}");
        // What the database itself holds, to the record, is what the manifest says of it.
        let (size, root, waiting) = (&reach["size"], reach["root"].as_str().unwrap(), &reach["waiting"]);
        let waiting = if *waiting == 0 { String::new() } else { format!(" ({waiting} not sealed yet)") };
        let line = format!("{service}: {size} records verify{waiting}; head {service}:{size}:{root}");
        assert!(restored.contains(&line), "{line}: {restored}");
        if service == "identity" {
            of_identity = count;
        }
    }
    of_identity
}

#[tokio::test(flavor = "multi_thread")]
async fn the_machine_is_lost_on_sqlite() {
    the_machine_is_lost(Lane::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_machine_is_lost_on_postgres() {
    the_machine_is_lost(Lane::Postgres).await;
}

/// A backup, and what must be refused of it and of its place.
async fn what_does_not_fit_is_refused(lane: Lane) {
    let Some(exchange) = Exchange::start_with(lane, &[("JISHI_MASTER_KEY", &key())]).await else { return };
    let kept = tempfile::tempdir().unwrap();
    let backup = kept.path().join("monday");
    let name = backup.to_str().unwrap();
    done(&exchange.run(&["backup", name]));
    assert!(refused(&exchange.run(&["backup", name])).contains("there already"));
    assert!(refused(&exchange.run(&["restore", name])).contains("already"), "the exchange itself is no empty place");
    let names: Vec<PathBuf> = fs::read_dir(kept.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(names, std::slice::from_ref(&backup), "nothing is left beside it");

    let place = Place::like(&exchange).await;
    let strange = |key: &'static str, value: &str| {
        Command::new(binary()).args(["restore", name]).envs(place.environment()).env(key, value).output().unwrap()
    };
    assert!(
        refused(&strange("JISHI_MASTER_KEY", &BASE64_STANDARD.encode([24; 32]))).contains("master_key is not that")
    );
    let elsewhere = format!("sqlite://{}", kept.path().join("ledger.db").display());
    assert!(refused(&strange("JISHI_LEDGER_DATABASE_URL", &elsewhere)).contains("of other databases"));

    let dump = backup.join(manifest(&backup)["databases"][0]["file"].as_str().unwrap());
    let whole = fs::read(&dump).unwrap();
    let mut bent = whole.clone();
    let middle = bent.len() / 2;
    bent[middle] ^= 1;
    for changed in [&bent[..], &whole[..middle]] {
        fs::write(&dump, changed).unwrap();
        assert!(refused(&place.run(&["restore", name])).contains("not as it was written"));
    }
    fs::write(&dump, &whole).unwrap();
    let text = fs::read_to_string(backup.join("manifest.json")).unwrap();
    for (from, to, named) in [("\"format\": 1", "\"format\": 2", "format 1"), ("\"m0", "\"n0", "does not know")] {
        assert!(text.contains(from), "{text}");
        fs::write(backup.join("manifest.json"), text.replace(from, to)).unwrap();
        assert!(refused(&place.run(&["restore", name])).contains(named));
    }
    fs::remove_file(backup.join("manifest.json")).unwrap();
    assert!(refused(&place.run(&["restore", name])).contains("no whole backup"));
    fs::write(backup.join("manifest.json"), text).unwrap();
    let heads = kept.path().join("heads.txt");
    let later = ["restore", name, "--head", heads.to_str().unwrap()];
    fs::write(&heads, format!("ghost:1:{}", "ab".repeat(32))).unwrap();
    assert!(refused(&place.run(&later)).contains("holds no log of ghost"));
    // Nothing that was refused left a trace: the place is as empty as before.
    let reach = &manifest(&backup)["databases"][0]["log"][0];
    fs::write(&heads, format!("{}:{}:{}", reach["service"].as_str().unwrap(), reach["size"], "ab".repeat(32))).unwrap();
    assert!(refused(&place.run(&later)).contains("once had another head"), "of what the backup itself goes up to");
    let place = Place::like(&exchange).await;
    let signed = done(&exchange.run(&["heads"]));
    let forged = signed.lines().next().unwrap().replacen(':', ":9", 1);
    fs::write(&heads, forged).unwrap();
    assert!(refused(&place.run(&later)).contains("this exchange did not sign it"));
    let place = Place::like(&exchange).await;
    assert!(done(&place.run(&["restore", name])).contains("everything that was restored verifies"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_on_sqlite() {
    what_does_not_fit_is_refused(Lane::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_on_postgres() {
    what_does_not_fit_is_refused(Lane::Postgres).await;
}

/// Services with a database of their own get a dump of their own, and each goes back to its place.
#[tokio::test(flavor = "multi_thread")]
async fn each_database_has_its_dump() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = |name: &str| format!("sqlite://{}", folder.path().join(name).display());
    let environment = [("JISHI_MASTER_KEY", key()), ("JISHI_LEDGER_DATABASE_URL", ledger("ledger.db"))];
    let environment: Vec<_> = environment.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let exchange = Exchange::start_with(Lane::Sqlite, &environment).await.unwrap();
    let backup = folder.path().join("monday");
    done(&exchange.run(&["backup", backup.to_str().unwrap()]));
    let told = manifest(&backup);
    let services = |at: usize| told["databases"][at]["services"].clone();
    let rest = json!(["identity", "catalog", "auction", "contract", "financing"]);
    assert_eq!([services(0), services(1), services(2)], [rest, json!(["ledger"]), Value::Null]);
    let place = Place::like(&exchange).await;
    let mut command = Command::new(binary());
    command.args(["restore", backup.to_str().unwrap()]).envs(place.environment());
    let output = command.env("JISHI_LEDGER_DATABASE_URL", ledger("elsewhere.db")).output().unwrap();
    assert!(done(&output).contains("everything that was restored verifies"));
    assert!(folder.path().join("elsewhere.db").is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_program_is_named() {
    let Some(exchange) = Exchange::start(Lane::Postgres).await else { return };
    let kept = tempfile::tempdir().unwrap();
    let name = kept.path().join("monday");
    let mut command = Command::new(binary());
    command.arg("backup").arg(&name).env("JISHI_DATABASE_URL", &exchange.database_url);
    let output = command.env("JISHI_POSTGRES_PROGRAMS", kept.path()).output().unwrap();
    let told = refused(&output);
    assert!(told.contains("pg_dump was not found: install") && told.contains("postgresql-client"), "{told}");
    assert_eq!(fs::read_dir(kept.path()).unwrap().count(), 0, "a part of a backup stays");
}
