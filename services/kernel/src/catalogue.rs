//! What a database says of its own schema, and what the log says that it was: a trigger, a view in place of a table, a policy
//! or a constraint that is gone would make true rows tell something else (promise P-5).

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Context, Error, Instant, Result, Transaction, Vault, event::row};

/// What the log says when a schema has become another one, and of what.
const CHANGED: (&str, &str) = ("SchemaChanged", "schema");

const SQLITE: &str =
    "SELECT type || ' ' || name || CASE WHEN type IN ('index', 'trigger') THEN ' on ' || tbl_name ELSE '' END
    AS object, coalesce(sql, '') AS definition FROM sqlite_master
    WHERE type <> 'table' OR name NOT IN ('sqlite_stat1', 'sqlite_stat4')";

/// Each object of a schema, such as `table award`, with a short hash of its definition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Catalogue(BTreeMap<String, String>);

impl Catalogue {
    /// As the database shows it.
    async fn shown(db: &impl ConnectionTrait) -> Result<Catalogue> {
        let backend = db.get_database_backend();
        let query = if backend == DbBackend::Postgres { include_str!("catalogue/postgres.sql") } else { SQLITE };
        let mut objects = BTreeMap::new();
        for row in db.query_all_raw(Statement::from_string(backend, query)).await? {
            let definition: String = row.try_get("", "definition")?;
            let hash = Sha256::digest(definition);
            objects.insert(row.try_get("", "object")?, HEXLOWER.encode(hash.first_chunk::<16>().unwrap_or(&[0; 16])));
        }
        Ok(Catalogue(objects))
    }
}

/// What the log says of the schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// How often it was said: the highest number counts, since clocks may differ.
    number: u64,
    objects: Catalogue,
}

impl Recorded {
    /// Of how many objects.
    #[must_use]
    pub fn count(&self) -> usize {
        self.objects.0.len()
    }

    /// Each object that the database shows to be another one.
    pub async fn differences(&self, db: &impl ConnectionTrait) -> Result<Vec<String>> {
        let (said, shown) = (&self.objects.0, Catalogue::shown(db).await?.0);
        let present = shown.iter().filter_map(|(object, hash)| match said.get(object) {
            None => Some(format!("{object}: no change of the schema made it")),
            Some(recorded) if recorded != hash => Some(format!("{object}: changed")),
            Some(_) => None,
        });
        let gone = said.keys().filter(|object| !shown.contains_key(*object));
        Ok(present.chain(gone.map(|object| format!("{object}: missing"))).collect())
    }
}

/// Whether anything was said, as far as that can be told without the key.
pub async fn is_recorded(db: &impl ConnectionTrait) -> Result<bool> {
    let backend = db.get_database_backend();
    let events = match backend {
        DbBackend::Postgres => "SELECT 1 AS it WHERE to_regclass('event') IS NOT NULL",
        _ => "SELECT 1 AS it FROM sqlite_master WHERE name = 'event'",
    };
    let is_begun = db.query_one_raw(Statement::from_string(backend, events)).await?.is_some();
    let (kind, subject) = CHANGED;
    let said = format!("SELECT 1 AS it FROM event WHERE subject = '{subject}' AND kind = '{kind}' LIMIT 1");
    Ok(is_begun && db.query_one_raw(Statement::from_string(backend, said)).await?.is_some())
}

/// The latest that the exchange said. Columns are named: there may be fewer than this program knows.
pub async fn recorded(db: &impl ConnectionTrait, vault: &Vault) -> Result<Option<Recorded>> {
    let (kind, subject) = CHANGED;
    let query = format!(
        "SELECT id, service, actor, at, facts, announce, rows, mark FROM event WHERE subject = '{subject}' AND kind = '{kind}'"
    );
    let mut latest: Option<Recorded> = None;
    for found in db.query_all_raw(Statement::from_string(db.get_database_backend(), query)).await? {
        let event = row::Model {
            id: found.try_get("", "id")?,
            kind: kind.to_owned(),
            subject: subject.to_owned(),
            actor: found.try_get("", "actor")?,
            facts: found.try_get("", "facts")?,
            announce: found.try_get("", "announce")?,
            rows: found.try_get("", "rows")?,
            mark: found.try_get("", "mark")?,
            ..row::Model::rows_written(&found.try_get::<String>("", "service")?, Instant(found.try_get("", "at")?))
        };
        if event.is_ours(vault) {
            let said: Recorded = serde_json::from_str(&event.facts)
                .map_err(|error| Error::Internal(format!("event {}: {error}", event.id)))?;
            latest = latest.into_iter().chain([said]).max_by_key(|said| said.number);
        }
    }
    Ok(latest)
}

/// Says what the schema is, after what was said last.
pub async fn record(cx: &Context, tx: &Transaction, last: Option<Recorded>) -> Result<()> {
    let number = last.map_or(0, |last| last.number) + 1;
    let said = Recorded { number, objects: Catalogue::shown(tx).await? };
    let facts = serde_json::to_value(said).map_err(|error| Error::Internal(error.to_string()))?;
    let (kind, subject) = CHANGED;
    cx.record(tx, cx.clock.now(), subject, (kind, facts)).await
}
