//! What was read of bound rows, held against the index before anything rests on it (promise P-5): a row that somebody
//! changed behind the exchange's back is neither built upon nor written over, which would make it the exchange's own.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, QueryResult};
use uuid::Uuid;

use super::{row, statement::Read, tables::Table};
use crate::{Error, ErrorCode, Refusal, Result, Vault, audit_log::proof, fresh_uuid};

/// Most rows looked up at once.
const CHUNK: usize = 500;

/// A transaction lasts no longer, clocks that differ included.
const MEANWHILE_SECONDS: u64 = 60;

/// A bound row's table and key.
pub(super) type RowKey = (&'static str, Vec<u8>);

/// Rows as they were read.
#[derive(Default)]
pub(super) struct Seen(BTreeMap<RowKey, Sight>);

/// What one row was.
struct Sight {
    /// Of what it held; empty where that cannot be read as the schema has it. None if it is only known that it was not there.
    mark: Option<Vec<u8>>,
    since: Hold,
}

/// From when on nobody else could write a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// It is not held.
    Never,
    /// From when it was read.
    Read,
    /// From when it was written, unread.
    Write,
}

impl Seen {
    /// Takes a row in; if it was seen before, what was held counts, else what was seen first.
    pub fn take(&mut self, vault: &Vault, read: Read, key: Vec<u8>, found: &QueryResult) {
        let mark = row::mark(vault, read.table, found).map_or(Vec::new(), |mark| mark.to_vec());
        self.note((read.table.name, key), Some(mark), if read.holds { Hold::Read } else { Hold::Never });
    }

    /// Notes that none has the key that was asked for.
    pub fn note_missing(&mut self, read: Read, key: Vec<u8>) {
        self.note((read.table.name, key), None, Hold::Never);
    }

    /// Notes that a row was inserted, so that none with its key was there.
    pub fn note_absent(&mut self, row: RowKey) {
        self.note(row, None, Hold::Read);
    }

    /// Notes that a row was inserted or written over, and that none with its key had been there to be read.
    pub fn note_upserted(&mut self, row: RowKey) {
        self.note(row, None, Hold::Write);
    }

    /// Whether the row was held when it was read.
    pub fn holds(&self, row: &RowKey) -> bool {
        self.0.get(row).is_some_and(|sight| sight.since == Hold::Read)
    }

    fn note(&mut self, row: RowKey, mark: Option<Vec<u8>>, since: Hold) {
        let earlier = self.0.get(&row);
        if earlier.is_none_or(|earlier| earlier.since == Hold::Never && since != Hold::Never) {
            self.0.insert(row, Sight { mark, since });
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
    pub async fn doubtful(self, db: &impl ConnectionTrait, vault: &Vault) -> Result<Doubtful> {
        let rows: Vec<_> = self.0.into_iter().collect();
        let mut doubtful = Doubtful::default();
        for rows in rows.chunks(CHUNK) {
            let named = rows.iter().map(|((table, key), _)| ((*table).to_owned(), key.clone())).collect();
            let index = proof::of_rows(db, named).await?;
            require_told(db, vault, index.values()).await?;
            for (row, sight) in rows {
                let proof = index.get(&(row.0.to_owned(), row.1.clone()));
                if proof.and_then(|proof| proof.mark.as_ref()) == sight.mark.as_ref() {
                    continue;
                }
                match sight.since {
                    Hold::Write if proof.is_some_and(|proof| is_recent(proof.event_id)) => {
                        return Err(written_meanwhile(row.0));
                    }
                    Hold::Read | Hold::Write => return Err(altered(row.0, &row.1, proof)),
                    Hold::Never => doubtful.0.entry(row.0).or_default().push(row.1.clone()),
                }
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
                require_told(db, vault, index.iter()).await?;
                let index: BTreeMap<_, _> = index.into_iter().map(|proof| (proof.key.clone(), proof)).collect();
                for key in keys {
                    let proof = index.get(key);
                    if proof.and_then(|proof| proof.mark.as_ref()) != marks.get(key) {
                        return Err(altered(name, key, proof));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether the event may be of a transaction that was under way together with one that is.
fn is_recent(event: Uuid) -> bool {
    let now = fresh_uuid().get_timestamp().map_or(0, |now| now.to_unix().0);
    event.get_timestamp().is_some_and(|at| at.to_unix().0.abs_diff(now) < MEANWHILE_SECONDS)
}

async fn require_told<'a>(
    db: &impl ConnectionTrait,
    vault: &Vault,
    entries: impl Iterator<Item = &'a proof::Model>,
) -> Result<()> {
    let untold = proof::untold(db, vault, entries).await?;
    untold.first().map_or(Ok(()), |entry| Err(altered(&entry.tbl, &entry.key, Some(entry))))
}

/// The statement met a row that was not there when it was asked for: another transaction wrote it in between, or somebody
/// else did. Whoever tries again reads it first.
pub(super) fn written_meanwhile(table: &str) -> Error {
    Error::Unavailable(format!("a row of {table} was written meanwhile"))
}

fn altered(table: &str, key: &[u8], proof: Option<&proof::Model>) -> Error {
    record_altered(&row::named(table, key), proof.map(|proof| proof.event_id))
}

/// Has the operator told of a record that is not as the exchange left it, with the event that left it; the caller is refused.
pub fn record_altered(record: &str, event: Option<Uuid>) -> Error {
    metrics::counter!("jishi_records_altered_total").increment(1);
    let event = event.map(tracing::field::display);
    tracing::error!(record, event, "ALTERED: not as the exchange left it; nothing rests on it");
    Refusal::new(ErrorCode::RecordAltered).by_rule("P-5").into()
}
