//! What was read of bound rows, held against the index before anything rests on it (promise P-5): a row that somebody
//! changed behind the exchange's back is neither built upon nor written over, which would make it the exchange's own.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::{ConnectionTrait, QueryResult};
use uuid::Uuid;

use super::{row, statement::Read, tables::Table};
use crate::{Error, ErrorCode, Refusal, Result, Vault, audit_log::proof, event::WrittenRow, fresh_uuid, id::encode};

/// Most rows looked up at once.
const CHUNK: usize = 500;

/// A transaction lasts no longer, clocks that differ included.
const MEANWHILE_SECONDS: u64 = 60;

/// A bound row's table and key.
pub(super) type RowKey = (&'static str, Vec<u8>);
/// Of what a row held: empty where that cannot be read as the schema has it, none if it was not there.
type Mark = Option<Vec<u8>>;

/// Rows as they were read.
#[derive(Default)]
pub(super) struct Seen(BTreeMap<RowKey, Sight>);

/// What one row was.
#[derive(Default)]
struct Sight {
    /// When nobody else could write it any more.
    held: Option<Mark>,
    /// At times when others could: of each there may have been another row.
    unheld: BTreeSet<Mark>,
}

impl Sight {
    fn marks(&self) -> impl Iterator<Item = &Mark> {
        self.held.iter().chain(&self.unheld)
    }
}

/// Rows that were found as the index has them.
pub(super) struct Checked {
    /// How often each was written, and its mark.
    entries: HashMap<RowKey, (i64, Mark)>,
    doubtful: BTreeMap<&'static str, BTreeMap<Vec<u8>, Sight>>,
}

impl Seen {
    /// Takes a row in.
    pub fn take(&mut self, vault: &Vault, read: Read, key: Vec<u8>, found: &QueryResult) {
        let mark = row::mark(vault, read.table, found).map_or(Vec::new(), |mark| mark.to_vec());
        self.note((read.table.name, key), Some(mark), read.holds);
    }

    /// Notes that none has the key that was asked for.
    pub fn note_missing(&mut self, read: Read, key: Vec<u8>) {
        self.note((read.table.name, key), None, false);
    }

    /// Notes that a row was inserted, so that none with its key was there.
    pub fn note_absent(&mut self, row: RowKey) {
        self.note(row, None, true);
    }

    /// Whether the row was held when it was read.
    pub fn holds(&self, row: &RowKey) -> bool {
        self.0.get(row).is_some_and(|sight| sight.held.is_some())
    }

    fn note(&mut self, row: RowKey, mark: Mark, holds: bool) {
        let sight = self.0.entry(row).or_default();
        if holds {
            sight.held.get_or_insert(mark);
        } else if sight.held.is_none() {
            sight.unheld.insert(mark);
        }
    }

    /// Leaves out rows of which it is known that they hold what was seen.
    pub fn without(mut self, is_known: impl Fn(&RowKey, &[u8]) -> bool) -> Seen {
        self.0.retain(|row, sight| !sight.marks().all(|mark| mark.as_ref().is_some_and(|mark| is_known(row, mark))));
        self
    }

    /// The rows with the marks of what they held.
    pub fn marks(&self) -> impl Iterator<Item = (RowKey, Vec<u8>)> {
        self.0.iter().flat_map(|(row, sight)| sight.marks().flatten().map(|mark| (row.clone(), mark.clone())))
    }

    /// Holds them against the index; refused if a row that was held is not what the index says.
    pub async fn check(self, db: &impl ConnectionTrait, vault: &Vault) -> Result<Checked> {
        let mut rows = self.0.into_iter().peekable();
        let (mut entries, mut doubtful) = (HashMap::new(), BTreeMap::<_, BTreeMap<_, _>>::new());
        while rows.peek().is_some() {
            let rows: Vec<_> = rows.by_ref().take(CHUNK).collect();
            let named = rows.iter().map(|((table, key), _)| ((*table).to_owned(), key.clone())).collect();
            let index = proof::of_rows(db, named).await?;
            told(db, vault, index.values()).await?;
            for (row, sight) in rows {
                let entry = index.get(&(row.0.to_owned(), row.1.clone()));
                let mark = entry.and_then(|entry| entry.mark.clone());
                if sight.held.as_ref().is_some_and(|held| *held != mark) {
                    return Err(altered(row.0, &row.1, entry));
                }
                let is_doubtful = sight.unheld.iter().any(|seen| *seen != mark);
                entries.insert(row.clone(), (entry.map_or(0, |entry| entry.version), mark));
                if is_doubtful {
                    doubtful.entry(row.0).or_default().insert(row.1, sight);
                }
            }
        }
        Ok(Checked { entries, doubtful })
    }
}

impl Checked {
    pub fn is_doubtful(&self) -> bool {
        !self.doubtful.is_empty()
    }

    /// How often a row had been written, and its mark, if it was seen at all.
    pub fn entry(&self, row: &RowKey) -> Option<&(i64, Mark)> {
        self.entries.get(row)
    }

    /// Settles what was not what the index says, with rows and index of one instant: in a view, or with the rows `locked` before the
    /// index is read. The row is altered still; or another transaction has written it meanwhile, and its event says that this was
    /// there before; or nobody can tell, and nothing is decided on it.
    pub async fn require_undoubted(&self, db: &impl ConnectionTrait, vault: &Vault, locked: &str) -> Result<()> {
        for (name, rows) in &self.doubtful {
            let Some(table) = Table::named(name) else { continue };
            let marks = proof::marks(db, vault, table, rows.keys(), locked).await?;
            let index = proof::of(db, name, rows.keys().cloned()).await?;
            let told = told(db, vault, &index).await?;
            let index: HashMap<_, _> = index.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
            for (key, sight) in rows {
                let entry = index.get(key);
                let mark = entry.and_then(|entry| entry.mark.as_ref());
                // One that was held is as the index says, unless the transaction itself has written it since.
                if sight.held.is_none() && mark != marks.get(key) {
                    return Err(altered(name, key, entry));
                }
                let recent = entry.filter(|entry| is_recent(entry.event_id));
                let before = recent.and_then(|_| told.get(&((*name).to_owned(), key.clone()))).map(|told| &told.before);
                if sight.unheld.iter().any(|seen| seen.as_ref() != mark && Some(seen) != before) {
                    return Err(written_meanwhile(name));
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

/// What events tell of these entries, which they all do.
async fn told<'a>(
    db: &impl ConnectionTrait,
    vault: &Vault,
    entries: impl IntoIterator<Item = &'a proof::Model> + Clone,
) -> Result<HashMap<(String, Vec<u8>), WrittenRow>> {
    let told = proof::told(db, vault, entries.clone()).await?;
    let untold = entries.into_iter().find(|entry| !told.contains_key(&(entry.tbl.clone(), entry.key.clone())));
    untold.map_or(Ok(told), |entry| Err(altered(&entry.tbl, &entry.key, Some(entry))))
}

/// Others wrote the row in between, or somebody who may not. Whoever tries again reads it first.
pub(super) fn written_meanwhile(table: &str) -> Error {
    Error::Unavailable(format!("a row of {table} was written meanwhile"))
}

fn altered(table: &str, key: &[u8], proof: Option<&proof::Model>) -> Error {
    record_altered(&row::named(table, key), proof.map(|proof| proof.event_id))
}

/// Has the operator told of a record that is not as the exchange left it, with the event that left it; the caller is refused.
pub fn record_altered(record: &str, event: Option<Uuid>) -> Error {
    metrics::counter!("jishi_records_altered_total").increment(1);
    let event = event.map(|event| encode("event", event));
    tracing::error!(record, event, "ALTERED: not as the exchange left it; nothing rests on it");
    Refusal::new(ErrorCode::RecordAltered).by_rule("P-5").into()
}
