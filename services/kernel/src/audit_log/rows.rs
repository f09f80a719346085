//! Holds the rows of all bound tables against the events that left them, and the events against the rows: whatever was
//! changed, is missing, was put in or is older than its event is named. All of it is read from one view of the database,
//! which others go on writing.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, Statement};
use uuid::Uuid;

use super::{
    proof,
    told::{self, Writings},
};
use crate::{
    Db, Result, Vault,
    db::{
        row,
        tables::{BOUND, Table},
    },
    event::WrittenRow,
};

/// Most rows read at once.
const CHUNK: usize = 500;

/// What the rows of a database are found to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// How many are as their events left them.
    pub count: u64,
    /// The first that is not.
    pub flaw: Option<RowFlaw>,
}

/// A row that is not as it was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowFlaw {
    /// Its table and key, such as `transfer id=0198…`.
    pub row: String,
    /// The event that left it, where one did.
    pub event: Option<Uuid>,
    /// What is wrong.
    pub what: &'static str,
}

/// Goes through events, index and tables of a database.
pub async fn verify_rows(db: &Db, vault: &Vault) -> Result<Rows> {
    let view = db.read().view().await?;
    let rows = verify_rows_in(&view, vault).await?;
    view.rollback().await?;
    Ok(rows)
}

/// The same in a view that somebody has opened.
pub async fn verify_rows_in(view: &DatabaseTransaction, vault: &Vault) -> Result<Rows> {
    let mut walk = Walk { view, vault, count: 0 };
    let flaw = walk.all().await?;
    Ok(Rows { count: walk.count, flaw })
}

struct Walk<'a> {
    view: &'a DatabaseTransaction,
    vault: &'a Vault,
    count: u64,
}

impl Walk<'_> {
    async fn all(&mut self) -> Result<Option<RowFlaw>> {
        if let Some(flaw) = self.events().await? {
            return Ok(Some(flaw));
        }
        for table in BOUND {
            if let Some(flaw) = self.table(table).await? {
                return Ok(Some(flaw));
            }
        }
        Ok(None)
    }

    /// Every row that an event tells of stands in the index, as this event or a later one left it; and the index knows of
    /// no other.
    async fn events(&self) -> Result<Option<RowFlaw>> {
        let (mut after, mut last, mut writings) = (None, 0, Writings::default());
        loop {
            let events = told::next(self.view, &mut after).await?;
            if events.is_empty() {
                break;
            }
            let mut told = Vec::new();
            for event in events {
                if !event.is_ours(self.vault) {
                    let rows = event.written_rows().unwrap_or_default();
                    let row =
                        rows.first().map_or_else(|| "its rows".to_owned(), |row| row::named(&row.table, &row.key));
                    return Ok(flaw(row, event.id, "told of by an event that the exchange did not write"));
                }
                let rows = event.written_rows()?;
                writings.note(&rows);
                told.extend(rows.into_iter().map(|row| (event.id, row)));
            }
            for told in told.chunks(CHUNK) {
                match self.told(told).await? {
                    Ok(those) => last += those,
                    Err(flaw) => return Ok(Some(flaw)),
                }
            }
        }
        if let Some(((table, key), event)) = writings.put_back(self.view, self.vault).await?.pop_first() {
            let row = row::named(&table, &key);
            return Ok(flaw(row, event, "put back before this event, which wrote it again"));
        }
        if proof::Entity::find().count(self.view).await? == last {
            return Ok(None);
        }
        self.never_told().await
    }

    /// Of how many of these rows their events are the last word; or the first that the index does not confirm.
    async fn told(&self, told: &[(Uuid, WrittenRow)]) -> Result<Result<u64, RowFlaw>> {
        let index = proof::of_written(self.view, told.iter().map(|(_, row)| row)).await?;
        let mut last = 0;
        for (event, row) in told {
            let event = *event;
            let what = match index.get(&(row.table.clone(), row.key.clone())) {
                None => "missing from the index of rows",
                Some(proof) if proof.version < row.version => "older than its event",
                Some(proof) if proof.version > row.version => continue,
                Some(proof) if proof.mark == row.mark && proof.event_id == event => {
                    last += 1;
                    continue;
                }
                Some(_) => "not what the index of rows says",
            };
            return Ok(Err(RowFlaw { row: row::named(&row.table, &row.key), event: Some(event), what }));
        }
        Ok(Ok(last))
    }

    /// What the index says of a row, and no event does.
    async fn never_told(&self) -> Result<Option<RowFlaw>> {
        for table in BOUND {
            let mut after = Some(Vec::new());
            while after.is_some() {
                let untold = proof::next_untold(self.view, self.vault, table, (&mut after, CHUNK)).await?;
                if let Some(entry) = untold.first() {
                    let row = row::named(table.name, &entry.key);
                    return Ok(flaw(row, entry.event_id, "in the index of rows, and no event tells of it"));
                }
            }
        }
        let strange = proof::strange(self.view).await?;
        let what = "the index of rows knows of what is no row of a bound table";
        Ok(strange.first().and_then(|entry| flaw(format!("{} {:?}", entry.tbl, entry.key), entry.event_id, what)))
    }

    /// Every row that the index knows of is there, as it was left; and no other.
    async fn table(&mut self, table: &Table) -> Result<Option<RowFlaw>> {
        let (mut after, mut found) = (Vec::new(), 0);
        loop {
            let proofs = proof::page(self.view, table, after, CHUNK).await?;
            let Some(end) = proofs.last() else { break };
            after = end.key.clone();
            let rows = proof::marks(self.view, self.vault, table, proofs.iter().map(|proof| &proof.key), "").await?;
            for proof in &proofs {
                let what = match (rows.get(&proof.key), &proof.mark) {
                    (None, None) => continue,
                    (Some(mark), Some(left)) if mark == left => {
                        found += 1;
                        continue;
                    }
                    (Some(_), Some(_)) => "changed",
                    (None, Some(_)) => "missing",
                    (Some(_), None) => "deleted by its event, and there again",
                };
                return Ok(flaw(row::named(table.name, &proof.key), proof.event_id, what));
            }
        }
        self.count += found;
        let count = format!("SELECT CAST(count(*) AS bigint) AS it FROM \"{}\"", table.name);
        let count = self.view.query_one_raw(Statement::from_string(self.view.get_database_backend(), count)).await?;
        let count: i64 = count.map_or(Ok(0), |row| row.try_get("", "it"))?;
        if u64::try_from(count).unwrap_or_default() == found { Ok(None) } else { self.inserted(table).await }
    }

    /// The first row that the index does not know.
    async fn inserted(&self, table: &Table) -> Result<Option<RowFlaw>> {
        let mut after = Vec::new();
        loop {
            let rows = proof::rows(self.view, self.vault, table, (&mut after, CHUNK), "").await?;
            if rows.is_empty() {
                return Ok(None);
            }
            if rows.iter().any(|(key, _)| key.is_empty()) {
                let what = "its key cannot be read: a value is not of its column's type";
                return Ok(Some(RowFlaw { row: row::named(table.name, &[]), event: None, what }));
            }
            let known = proof::of(self.view, table.name, rows.iter().map(|(key, _)| key.clone())).await?;
            let known: HashSet<Vec<u8>> = known.into_iter().map(|proof| proof.key).collect();
            if let Some((strange, _)) = rows.iter().find(|(key, _)| !known.contains(key)) {
                let what = "inserted: no event tells of it";
                return Ok(Some(RowFlaw { row: row::named(table.name, strange), event: None, what }));
            }
        }
    }
}

fn flaw(row: String, event: Uuid, what: &'static str) -> Option<RowFlaw> {
    Some(RowFlaw { row, event: Some(event), what })
}
