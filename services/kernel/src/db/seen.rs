//! What was read of bound rows, held against the index before anything rests on it (promise P-5): a row that somebody
//! changed behind the exchange's back is neither built upon nor written over, which would make it the exchange's own.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbErr, QueryResult};
use uuid::Uuid;

use super::{row, statement::Read, tables::Table};
use crate::{Error, ErrorCode, Refusal, Result, Vault, audit_log::proof};

/// Most rows looked up at once.
const CHUNK: usize = 500;

/// A bound row's table and key.
pub(super) type RowKey = (&'static str, Vec<u8>);

/// Rows as they were read.
#[derive(Default)]
pub(super) struct Seen(BTreeMap<RowKey, Sight>);

/// What one row was.
struct Sight {
    /// Of what it held; empty where that cannot be read as the schema has it. None if it is only known that it was not there.
    mark: Option<Vec<u8>>,
    /// Nobody else could write it from then on.
    is_held: bool,
}

impl Seen {
    /// Takes a row in; if it was seen before, what was held counts, else what was seen first.
    pub fn take(&mut self, vault: &Vault, read: Read, found: &QueryResult) -> Result<(), DbErr> {
        let row = (read.table.name, row::key(read.table, found)?);
        let mark = row::mark(vault, read.table, found).map_or(Vec::new(), |mark| mark.to_vec());
        self.note(row, Some(mark), read.holds);
        Ok(())
    }

    /// Notes that a row was inserted, so that none with its key was there.
    pub fn note_absent(&mut self, row: RowKey) {
        self.note(row, None, true);
    }

    /// A row that the transaction has come to hold by writing it: what it was before is not known, if nobody held it then.
    pub fn note_written(&mut self, row: &RowKey) {
        if self.0.get(row).is_some_and(|sight| !sight.is_held) {
            self.0.remove(row);
        }
    }

    fn note(&mut self, row: RowKey, mark: Option<Vec<u8>>, is_held: bool) {
        let earlier = self.0.get(&row);
        if earlier.is_none_or(|earlier| is_held && !earlier.is_held) {
            self.0.insert(row, Sight { mark, is_held });
        }
    }

    /// Leaves out rows of which it is known that they hold what was seen.
    pub fn without(mut self, is_known: impl Fn(&RowKey, &[u8]) -> bool) -> Seen {
        self.0.retain(|row, sight| !sight.mark.as_ref().is_some_and(|mark| is_known(row, mark)));
        self
    }

    /// The rows with the marks of what they held.
    pub fn marks(&self) -> impl Iterator<Item = (RowKey, Vec<u8>)> {
        self.0.iter().filter_map(|(row, sight)| Some((row.clone(), sight.mark.clone()?)))
    }

    /// The rows of which the index says otherwise; refused if one of them was held when it was read.
    pub async fn doubtful(self, db: &impl ConnectionTrait) -> Result<Doubtful> {
        let rows: Vec<_> = self.0.into_iter().collect();
        let mut doubtful = Doubtful::default();
        for rows in rows.chunks(CHUNK) {
            let named = rows.iter().map(|((table, key), _)| ((*table).to_owned(), key.clone())).collect();
            let index = proof::of_rows(db, named).await?;
            for (row, sight) in rows {
                let proof = index.get(&(row.0.to_owned(), row.1.clone()));
                if proof.and_then(|proof| proof.mark.as_ref()) == sight.mark.as_ref() {
                    continue;
                }
                if sight.is_held {
                    return Err(altered(row, proof));
                }
                doubtful.0.entry(row.0).or_default().push(row.1.clone());
            }
        }
        Ok(doubtful)
    }
}

/// Rows that are not as the index says, or that somebody wrote between the two looks.
#[derive(Default)]
pub(super) struct Doubtful(BTreeMap<&'static str, Vec<Vec<u8>>>);

impl Doubtful {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Looks once more, where rows and index are of one instant: in a view, or with the rows `locked` before the index is read.
    pub async fn settle(self, db: &impl ConnectionTrait, vault: &Vault, locked: &str) -> Result<()> {
        for (name, keys) in self.0 {
            let Some(table) = Table::named(name) else { continue };
            for keys in keys.chunks(CHUNK) {
                let marks = proof::marks(db, vault, table, keys, locked).await?;
                let index = proof::of(db, name, keys.iter().cloned()).await?;
                let index: BTreeMap<_, _> = index.into_iter().map(|proof| (proof.key.clone(), proof)).collect();
                for key in keys {
                    let proof = index.get(key);
                    if proof.and_then(|proof| proof.mark.as_ref()) != marks.get(key) {
                        return Err(altered(&(name, key.clone()), proof));
                    }
                }
            }
        }
        Ok(())
    }
}

fn altered((name, key): &RowKey, proof: Option<&proof::Model>) -> Error {
    let words = Table::named(name).map(|table| row::words(table, key)).unwrap_or_default();
    record_altered(&format!("{name} {words}"), proof.map(|proof| proof.event_id))
}

/// Has the operator told of a record that is not as the exchange left it, with the event that left it; the caller is refused.
pub fn record_altered(record: &str, event: Option<Uuid>) -> Error {
    metrics::counter!("jishi_records_altered_total").increment(1);
    let event = event.map(tracing::field::display);
    tracing::error!(record, event, "ALTERED: not as the exchange left it; nothing rests on it");
    Refusal::new(ErrorCode::RecordAltered).by_rule("P-5").into()
}
