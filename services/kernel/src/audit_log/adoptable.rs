//! What `adopt` would take in, looked for without taking it.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{
    adopt::bare,
    proof,
    told::{self, RowName},
};
use crate::{
    Db, Result, Vault,
    db::{
        row,
        tables::{BOUND, Table},
    },
    event::{behind, row as event},
};

/// Most rows read at once.
const CHUNK: usize = 500;
/// So many of a kind are named.
const NAMED: usize = 20;

/// Records by what is wrong with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adoptable(BTreeMap<(String, &'static str), Kind>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Kind {
    count: u64,
    first: Vec<String>,
}

impl Adoptable {
    /// Takes one more in.
    pub fn add(&mut self, table: &str, what: &'static str, key: String) {
        let kind = self.0.entry((table.to_owned(), what)).or_default();
        kind.count += 1;
        if kind.first.len() < NAMED {
            kind.first.push(key);
        }
    }

    /// Whether there is nothing to be taken in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A line for each kind, and for each of its first records.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let told = |((table, what), kind): (&(String, &'static str), &Kind)| {
            let Kind { count, first } = kind;
            let mut lines = vec![format!("{table}: {count} {what}")];
            lines.extend(first.iter().map(|key| format!("  {key}")));
            if *count > first.len() as u64 {
                lines.push("  …".to_owned());
            }
            lines
        };
        self.0.iter().flat_map(told).collect()
    }
}

/// How the index came to say what the log does not bear out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mistold {
    /// Its entry is not as the last event tells of it, or gone.
    Untold,
    /// Two events tell that they wrote the row for the same time.
    PutBack,
}

impl Mistold {
    fn words(self) -> &'static str {
        match self {
            Mistold::Untold => "in the index of rows not as its last event tells",
            Mistold::PutBack => "put back, and written again since",
        }
    }
}

/// The rows of which the index is not to be believed, or was not when they were written again.
pub(super) async fn mistold(db: &impl ConnectionTrait, vault: &Vault) -> Result<BTreeMap<RowName, Mistold>> {
    let put_back = told::put_back(db, vault).await?.into_keys().map(|row| (row, Mistold::PutBack));
    let behind = told::behind(db, vault).await?.into_iter().map(|row| (row, Mistold::Untold));
    let mut found: BTreeMap<_, _> = behind.chain(put_back).collect();
    for table in BOUND {
        let mut after = Some(Vec::new());
        while after.is_some() {
            let untold = proof::next_untold(db, vault, table, (&mut after, CHUNK)).await?;
            found.extend(untold.into_iter().map(|entry| ((entry.tbl, entry.key), Mistold::Untold)));
        }
    }
    Ok(found)
}

/// All rows and events of a database that are not as the exchange left them.
pub async fn adoptable(db: &Db, vault: &Vault) -> Result<Adoptable> {
    let view = db.read().view().await?;
    let mut found = Adoptable::default();
    events(&view, vault, &mut found).await?;
    for entry in proof::strange(&view).await? {
        found.add("row_proof", "of what is no row of a bound table: to be forgotten", format!("table={:?}", entry.tbl));
    }
    let mistold = mistold(&view, vault).await?;
    for ((table, key), mistold) in &mistold {
        let words = Table::named(table).map(|table| row::words(table, key)).unwrap_or_default();
        found.add(table, mistold.words(), words);
    }
    for table in BOUND {
        let is_named = |key: &Vec<u8>| mistold.contains_key(&(table.name.to_owned(), key.clone()));
        present(&view, vault, table, (&mut found, is_named)).await?;
        gone(&view, vault, table, &mut found).await?;
    }
    view.rollback().await?;
    Ok(found)
}

async fn events(view: &DatabaseTransaction, vault: &Vault, found: &mut Adoptable) -> Result<()> {
    let mut after = None;
    loop {
        let next = bare().filter(behind(after)).order_by_asc(event::Column::Id);
        let next = next.limit(CHUNK as u64).all(view).await?;
        let Some(last) = next.last() else { break };
        after = Some(last.id);
        for event in next {
            let what = match event.rows {
                Some(_) => "without the exchange's mark, and tells of rows: not taken in, to be deleted",
                None => "without the exchange's mark",
            };
            found.add("event", what, format!("id={} {}", event.id, event.kind));
        }
    }
    let mut after = None;
    loop {
        let marked = event::Entity::find().filter(event::Column::PublishedMark.is_not_null());
        let marked = marked.filter(behind(after)).order_by_asc(event::Column::Id);
        let marked = marked.limit(CHUNK as u64).all(view).await?;
        let Some(last) = marked.last() else { return Ok(()) };
        after = Some(last.id);
        for event in marked.iter().filter(|event| event.is_falsely_delivered(vault)) {
            let what = "marked as delivered, and not by the exchange: to be delivered";
            found.add("event", what, format!("id={} {}", event.id, event.kind));
        }
    }
}

async fn present(
    view: &DatabaseTransaction,
    vault: &Vault,
    table: &Table,
    (found, is_named): (&mut Adoptable, impl Fn(&Vec<u8>) -> bool),
) -> Result<()> {
    let mut after = Vec::new();
    loop {
        let rows = proof::rows(view, vault, table, (&mut after, CHUNK), "").await?;
        if rows.is_empty() {
            return Ok(());
        }
        let is_readable = rows.iter().all(|(key, _)| !key.is_empty());
        let known = proof::known(view, table, &rows).await?;
        for (key, mark) in rows {
            let what = match known.get(&key) {
                _ if mark.is_empty() => "with a value that is not of its column's type: to be put right first",
                None if is_named(&key) => continue,
                None => "inserted: no event tells of it",
                Some(None) => "deleted by its event, and there again",
                Some(Some(left)) if *left != mark => "changed",
                Some(Some(_)) => continue,
            };
            found.add(table.name, what, row::words(table, &key));
        }
        if !is_readable {
            return Ok(());
        }
    }
}

async fn gone(view: &DatabaseTransaction, vault: &Vault, table: &Table, found: &mut Adoptable) -> Result<()> {
    let mut after = Some(Vec::new());
    while after.is_some() {
        for key in proof::missing(view, vault, table, (&mut after, CHUNK)).await? {
            found.add(table.name, "missing", row::words(table, &key));
        }
    }
    Ok(())
}
