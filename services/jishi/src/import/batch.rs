//! Sends records to the catalog, many at a time, and keeps count of what became of them.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use kernel::{Actor, Error, Peer};
use wire::v1::{self, ImportOutcome, ImportRecord, catalog_client::CatalogClient};

use super::{
    Failure, mapping,
    report::{Entry, Report, Summary},
};

/// As many as the catalog takes at once.
const MOST_RECORDS: usize = 500;

/// A batch is sent before it grows larger than this, however few its records are.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// How often a batch is sent before the import gives up. Sending it again is harmless.
const TRIES: u32 = 5;

/// A record on its way, and where it stood.
pub struct Pending {
    /// The file.
    pub file: String,
    /// The line where its row begins.
    pub line: u64,
    /// The record.
    pub record: ImportRecord,
}

/// The records that wait, and the counts so far.
pub struct Batch {
    catalog: CatalogClient<Peer>,
    organization_id: String,
    pending: Vec<Pending>,
    bytes: usize,
    /// Hashes of the source ids of this run. Two that fall together only mislabel an unchanged record.
    seen: HashSet<u64>,
    report: Report,
    summary: Summary,
}

impl Batch {
    /// An empty one.
    pub fn new(catalog: CatalogClient<Peer>, organization_id: String, report: Report) -> Self {
        let (pending, seen) = (Vec::with_capacity(MOST_RECORDS), HashSet::new());
        Batch { catalog, organization_id, pending, bytes: 0, seen, report, summary: Summary::default() }
    }

    /// Takes one record, and sends all if it is time.
    pub async fn add(&mut self, pending: Pending, size: usize) -> Result<(), Failure> {
        self.pending.push(pending);
        self.bytes += size;
        if self.pending.len() >= MOST_RECORDS || self.bytes >= MOST_BYTES { self.send().await } else { Ok(()) }
    }

    /// Counts and reports a row that was not taken.
    pub fn refuse(&mut self, entry: &Entry<'_>) -> Result<(), Failure> {
        self.summary.read += 1;
        self.summary.refused += 1;
        Ok(self.report.write(entry)?)
    }

    /// Sends the rest and closes the report.
    pub async fn finish(mut self) -> Result<Summary, Failure> {
        self.send().await?;
        self.report.finish()?;
        Ok(self.summary)
    }

    async fn send(&mut self) -> Result<(), Failure> {
        let sent = std::mem::take(&mut self.pending);
        self.bytes = 0;
        if sent.is_empty() {
            return Ok(());
        }
        let outcomes = self.ask(&sent).await?;
        if outcomes.len() != sent.len() {
            return Err(format!("{} outcomes of {} records", outcomes.len(), sent.len()).into());
        }
        for (pending, outcome) in sent.iter().zip(outcomes) {
            self.count(pending, &outcome)?;
        }
        Ok(())
    }

    /// A server at work on the same SQLite file may hold its one writer for a while, and a reply may be lost; then
    /// what went in already comes back as unchanged.
    async fn ask(&mut self, sent: &[Pending]) -> Result<Vec<ImportOutcome>, Failure> {
        let records: Vec<ImportRecord> = sent.iter().map(|pending| pending.record.clone()).collect();
        let request = v1::ImportRequest { organization_id: self.organization_id.clone(), records };
        let mut tries = 0;
        loop {
            tries += 1;
            let fault = match self.catalog.import(Actor::exchange().asks(request.clone())).await {
                Ok(reply) => return Ok(reply.into_inner().outcomes),
                Err(status) => Error::from(status),
            };
            if let Error::Refused(refusal) = &fault {
                return Err(format!("{} {}", refusal.message_zh, refusal.message_en).into());
            }
            if tries >= TRIES {
                return Err(fault.into());
            }
            tracing::warn!(%fault, tries, "the batch is sent again");
            tokio::time::sleep(Duration::from_secs(u64::from(tries))).await;
        }
    }

    fn count(&mut self, pending: &Pending, outcome: &ImportOutcome) -> Result<(), Failure> {
        let (record, place) = (&pending.record, (pending.file.as_str(), pending.line));
        if let Some(refusal) = &outcome.refusal {
            let value = mapping::shown(record, refusal.field.last().map(String::as_str).unwrap_or_default());
            return self.refuse(&Entry::refused(place, &record.source_id, refusal, &value));
        }
        self.summary.read += 1;
        let is_first = self.seen.insert(hash(&record.source_id));
        if outcome.created {
            self.summary.created += 1;
        } else if is_first {
            self.summary.unchanged += 1;
        } else {
            self.summary.duplicates += 1;
            self.report.write(&Entry::duplicate(place, &record.source_id))?;
        }
        Ok(())
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
