//! A mutation whose caller goes away at any of its awaits does nothing by halves, and takes nothing from anybody else: what
//! others were told is there, as every other connection sees, and no transaction stays open behind them.

#![cfg(test)]

use std::time::Duration;

use futures::future::join_all;
use kernel::{
    Actor, Clock, Context, Db, Error, Payload, Refusal, Vault, dropped_after, load_drill_offset, save_drill_offset,
};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tonic::Request;

/// How often each await is met, since what a drop leaves behind depends on how far the database has come.
const SWEEPS: usize = 20;
/// Others at work beside who goes away.
const OTHERS: usize = 3;

#[derive(Clone, PartialEq, prost::Message)]
struct Note {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct NotePayload {
    #[prost(string, tag = "1")]
    name: String,
}

impl Payload for NotePayload {
    type Object = String;

    fn of(outcome: Result<String, Refusal>) -> Self {
        NotePayload { name: outcome.unwrap_or_default() }
    }
}

/// A pool under test, and a connection that has nothing to do with it.
struct Ground {
    cx: Context,
    other: Db,
    /// By which PostgreSQL tells the connections of the pool under test.
    name: String,
    _folder: tempfile::TempDir,
}

impl Ground {
    async fn on_sqlite() -> Ground {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("notes.db").display());
        Ground::at(&url, &url, String::new(), folder).await
    }

    async fn on_postgres() -> Option<Ground> {
        let Ok(server) = std::env::var("TEST_POSTGRES_URL") else {
            assert!(std::env::var("TEST_LANES").is_err(), "PostgreSQL must be there");
            eprintln!("skipped: TEST_POSTGRES_URL is not set; run ./test");
            return None;
        };
        let name = format!("dropped_{}", kernel::fresh_uuid().simple());
        let db = Db::connect(&server).await.unwrap();
        let tx = db.begin().await.unwrap();
        tx.execute_unprepared(&format!("CREATE SCHEMA {name}")).await.unwrap();
        tx.commit().await.unwrap();
        let other = format!("{server}?options[search_path]={name}");
        let url = format!("{other}&application_name={name}");
        Some(Ground::at(&url, &other, name, tempfile::tempdir().unwrap()).await)
    }

    async fn at(url: &str, other: &str, name: String, folder: tempfile::TempDir) -> Ground {
        let db = Db::connect(url).await.unwrap();
        migrations::migrate(&db).await.unwrap();
        let tx = db.begin().await.unwrap();
        tx.execute_unprepared("CREATE TABLE note (name text PRIMARY KEY)").await.unwrap();
        tx.commit().await.unwrap();
        let cx = Context::open("catalog", db, Clock::system(), Vault::development()).await.unwrap();
        Ground { cx, other: Db::connect(other).await.unwrap(), name, _folder: folder }
    }

    /// A row, an event and a kept answer, under a key.
    async fn note(&self, name: &str) -> Result<String, String> {
        let mut request = Request::new(Note { name: name.to_owned() });
        Actor::exchange().write(Some(name), request.metadata_mut());
        let noted = self.cx.mutate::<_, NotePayload, _>(request, "note", |call, input: Note| {
            Box::pin(async move {
                let insert = format!("INSERT INTO note VALUES ('{}')", input.name);
                call.tx.execute_unprepared(&insert).await.map_err(Error::from)?;
                call.record("Noted", &input.name, serde_json::json!({})).await?;
                Ok(input.name)
            })
        });
        noted.await.map(|answer| answer.into_inner().name).map_err(|status| status.to_string())
    }

    /// What another connection counts.
    async fn count(&self, sql: &str) -> i64 {
        let asked = Statement::from_string(self.cx.db.backend(), format!("SELECT count(*) AS found FROM {sql}"));
        self.other.read().query_one_raw(asked).await.unwrap().unwrap().try_get("", "found").unwrap()
    }

    /// Waits until no transaction is open, as it must be when nobody is at work.
    async fn rests(&self, when: &str) {
        for _ in 0..200 {
            let open = match self.cx.db.backend() {
                DbBackend::Postgres => {
                    let ours = format!(
                        "pg_stat_activity WHERE application_name = '{}' AND state LIKE 'idle in transaction%'",
                        self.name
                    );
                    self.count(&ours).await
                }
                // SQLite has one writer: another's transaction can begin when ours has ended.
                _ => match self.other.begin().await {
                    Ok(tx) => i64::from(tx.rollback().await.is_err()),
                    Err(_) => 1,
                },
            };
            if open == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("a transaction is still open {when}");
    }

    /// Done, or not done; nothing between.
    async fn is_whole(&self, name: &str) -> bool {
        let rows = self.count(&format!("note WHERE name = '{name}'")).await;
        let events = self.count(&format!("event WHERE kind = 'Noted' AND subject = '{name}'")).await;
        assert_eq!(rows, events, "{name} is there by halves");
        rows == 1
    }

    /// Others do something of each kind, at once, and see that it is there.
    async fn others(&self, sweep: usize, polls: usize) -> Vec<String> {
        let names: Vec<String> = (0..OTHERS).map(|other| format!("other-{sweep}-{polls}-{other}")).collect();
        let noted = join_all(names.iter().map(|name| self.note(name))).await;
        for (noted, name) in noted.into_iter().zip(&names) {
            assert_eq!(noted.as_ref(), Ok(name), "beside a drop after {polls} polls");
        }
        let offset = i64::try_from(sweep * 1_000 + polls).unwrap();
        for round in 0..i64::try_from(OTHERS).unwrap() {
            let offset = offset * 10 + round;
            save_drill_offset(&self.cx.db, offset).await.unwrap();
            let seen = load_drill_offset(&self.other).await.unwrap();
            assert_eq!(seen, offset, "what was acknowledged is seen by nobody else, after a drop after {polls} polls");
        }
        names
    }
}

/// Drops a mutation at each of its awaits, with others beside it.
async fn dropped_everywhere(ground: &Ground) {
    let mut told = Vec::new();
    let mut awaits = 0;
    for sweep in 0..SWEEPS {
        for polls in 0.. {
            let name = format!("gone-{sweep}-{polls}");
            let gone = dropped_after(polls, ground.note(&name)).await;
            told.extend(ground.others(sweep, polls).await);
            ground.rests(&format!("after a drop after {polls} polls")).await;
            let is_there = ground.is_whole(&name).await;
            if let Some(done) = gone {
                assert_eq!(done.as_ref(), Ok(&name));
                assert!(is_there, "{name} was acknowledged");
                awaits = awaits.max(polls);
                break;
            }
        }
    }
    assert!(awaits > 1, "a mutation of {awaits} awaits is none");
    eprintln!("{} acknowledged beside drops at up to {awaits} awaits", told.len());
    for name in &told {
        assert!(ground.is_whole(name).await, "{name} was acknowledged and is gone");
    }
    let notes = ground.count("note").await;
    assert_eq!(notes, ground.count("idempotency WHERE reply IS NOT NULL").await, "kept answers");
    assert_eq!(ground.count("idempotency WHERE reply IS NULL").await, 0, "keys that block whoever asks again");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_every_await_on_sqlite() {
    dropped_everywhere(&Ground::on_sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_every_await_on_postgres() {
    if let Some(ground) = Ground::on_postgres().await {
        dropped_everywhere(&ground).await;
    }
}
