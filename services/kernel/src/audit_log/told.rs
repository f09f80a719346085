//! What events tell of bound rows, one event after the other.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::proof;
use crate::{
    Result, Vault,
    event::{WrittenRow, row as event},
};

/// Most events read at once: each may tell of a thousand rows.
const EVENTS: u64 = 200;
/// Most rows looked up at once.
const ROWS: usize = 500;
/// The event of rows that count as they stand, whatever became of them before.
pub(super) const ADOPTED: &str = "RowsAdopted";

/// A row's table and key.
pub(super) type RowName = (String, Vec<u8>);

/// The next events that tell of rows. `after` goes along; none at the end.
pub(super) async fn next(db: &impl ConnectionTrait, after: &mut Option<Uuid>) -> Result<Vec<event::Model>> {
    let mut told = event::Entity::find().filter(event::Column::Rows.is_not_null());
    if let Some(id) = after {
        told = told.filter(event::Column::Id.gt(*id));
    }
    let events = told.order_by(event::Column::Id, Order::Asc).limit(EVENTS).all(db).await?;
    *after = events.last().map(|event| event.id).or(*after);
    Ok(events)
}

/// For which time these rows were written last, as far as the exchange told of them.
pub(super) async fn last_versions(
    db: &impl ConnectionTrait,
    vault: &Vault,
    rows: &BTreeSet<RowName>,
) -> Result<BTreeMap<RowName, i64>> {
    let (mut after, mut last) = (None, BTreeMap::new());
    loop {
        let events = next(db, &mut after).await?;
        if rows.is_empty() || events.is_empty() {
            return Ok(last);
        }
        for event in events.into_iter().filter(|event| event.is_ours(vault)) {
            for row in event.written_rows()? {
                let name = (row.table, row.key);
                if rows.contains(&name) {
                    let version = last.entry(name).or_insert(row.version);
                    *version = row.version.max(*version);
                }
            }
        }
    }
}

/// The rows that the index does not have as the last event tells of them.
pub(super) async fn behind(db: &impl ConnectionTrait, vault: &Vault) -> Result<BTreeSet<RowName>> {
    let (mut after, mut behind) = (None, BTreeSet::new());
    loop {
        let events = next(db, &mut after).await?;
        if events.is_empty() {
            return Ok(behind);
        }
        for event in events.into_iter().filter(|event| event.is_ours(vault)) {
            let rows = event.written_rows()?;
            for rows in rows.chunks(ROWS) {
                let index = proof::of_written(db, rows).await?;
                for row in rows {
                    let name = (row.table.clone(), row.key.clone());
                    let is_later = index.get(&name).is_some_and(|entry| {
                        entry.version > row.version || entry.version == row.version && entry.event_id == event.id
                    });
                    if !is_later {
                        behind.insert(name);
                    }
                }
            }
        }
    }
}

/// The rows that somebody put back, the index with them, before the exchange wrote them again.
pub(super) async fn put_back(db: &impl ConnectionTrait, vault: &Vault) -> Result<BTreeMap<RowName, Uuid>> {
    let (mut after, mut writings) = (None, Writings::default());
    loop {
        let events = next(db, &mut after).await?;
        if events.is_empty() {
            return writings.put_back(db, vault).await;
        }
        for event in events.into_iter().filter(|event| event.is_ours(vault)) {
            writings.note(&event.written_rows()?);
        }
    }
}

/// Which row was written for which time, a number for each: eight bytes, since there are many.
#[derive(Default)]
pub(super) struct Writings(Vec<u64>);

impl Writings {
    pub fn note(&mut self, rows: &[WrittenRow]) {
        self.0.extend(rows.iter().map(Writings::of));
    }

    /// Those of which two events tell that they were written for the same time, with the later event: in between, somebody had
    /// put them back. Once they were adopted they count as they stand.
    pub async fn put_back(self, db: &impl ConnectionTrait, vault: &Vault) -> Result<BTreeMap<RowName, Uuid>> {
        let (twice, mut once, mut found) = (self.twice(), HashSet::new(), BTreeMap::new());
        let mut after = None;
        loop {
            let events = next(db, &mut after).await?;
            if twice.is_empty() || events.is_empty() {
                return Ok(found);
            }
            for event in events.into_iter().filter(|event| event.is_ours(vault)) {
                let adopts = event.kind == ADOPTED;
                for row in event.written_rows()? {
                    let writing = Writings::of(&row);
                    if twice.contains(&writing) && !once.insert(writing) {
                        found.insert((row.table, row.key), event.id);
                    } else if adopts {
                        found.remove(&(row.table, row.key));
                    }
                }
            }
        }
    }

    fn of(row: &WrittenRow) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&row.table, &row.key, row.version).hash(&mut hasher);
        hasher.finish()
    }

    fn twice(mut self) -> HashSet<u64> {
        self.0.sort_unstable();
        self.0.windows(2).filter(|pair| pair.first() == pair.last()).flatten().copied().collect()
    }
}
