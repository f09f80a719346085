//! Whether the database keeps its word. A sample of what was acknowledged is looked for again within seconds, through a
//! connection that had no part in it. What is missing then was lost although its commit was answered: from there on
//! nothing is begun any more, so that nothing else is acknowledged and lost.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use sea_orm::{
    ColumnTrait, ConnectionTrait, Database, DatabaseConnection, EntityTrait, QueryFilter, QuerySelect, Statement,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Db, readers::within};
use crate::{
    Error, Result,
    audit_log::{leaf, marked},
    event::row as event,
};

/// One transaction in so many is looked for again; the first one always is.
const ONE_IN: u64 = 16;
/// How often the sample is looked for.
const PERIOD: Duration = Duration::from_secs(1);
/// So long after its commit an event is looked for in the audit log.
const SEALED_AFTER: Duration = Duration::from_secs(3);
/// So often it may be found waiting, three seconds apart, before nothing else is written. While a database is away, nothing is
/// found.
const SIGHTINGS: u32 = 10;
/// Most records that wait to be looked for; beyond that they are passed over.
const MOST: usize = 1_000;
/// Most events that do: more than are written while the sealer is seconds behind.
const MOST_EVENTS: usize = 100_000;
/// Most events looked for at once.
const CHUNK: usize = 500;
/// The longest that it is looked for; what is not found in time by a database that says nothing is passed over.
const CHECK_LIMIT: Duration = Duration::from_secs(30);
/// The longest that the heartbeat may take: whoever asks whether a process is ready waits for little longer.
const BEAT_LIMIT: Duration = Duration::from_secs(2);

/// A write that somebody was told of.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// The record, as an operator would look for it; nothing secret.
    pub what: String,
    /// A query that returns a row if the record is there.
    pub query: Statement,
}

/// An event that is not known to be in the log.
#[derive(Clone, Copy, Debug)]
struct Unsealed {
    id: Uuid,
    /// When it is looked for.
    due: Instant,
    /// How often it was found waiting.
    sightings: u32,
}

/// Events that are being looked for; whoever gives up meanwhile looks for them again.
struct Looked<'a> {
    check: &'a SelfCheck,
    events: Vec<Unsealed>,
}

impl Looked<'_> {
    fn are_found(mut self, waiting: Vec<Unsealed>) {
        self.events.clear();
        self.check.wait_on(waiting);
    }
}

impl Drop for Looked<'_> {
    fn drop(&mut self) {
        self.check.put_back(std::mem::take(&mut self.events));
    }
}

/// What one database was seen to keep; shared by all clones of its `Db`.
#[derive(Default)]
pub(super) struct SelfCheck {
    contradicted: AtomicBool,
    /// Whether an event waits for the log too long.
    behind: AtomicBool,
    begun: AtomicU64,
    alone: AtomicU64,
    sample: Mutex<Vec<Acknowledged>>,
    /// The latest events.
    unsealed: Mutex<Vec<Unsealed>>,
}

impl SelfCheck {
    /// Requires that nothing acknowledged was found missing.
    pub fn require(&self) -> Result<()> {
        if self.contradicted.load(Relaxed) {
            return Err(Error::Unavailable("the database lost what was acknowledged; nothing more is written".into()));
        }
        Ok(())
    }

    /// Requires besides that the audit log grows: what is not in it, an administrator could take away unseen.
    pub fn require_log(&self) -> Result<()> {
        if self.behind.load(Relaxed) {
            return Err(Error::Unavailable("the audit log does not grow; nothing is written before it does".into()));
        }
        self.require()
    }

    /// Whether the transaction that begins is one of the sample.
    pub fn picks(&self) -> bool {
        self.begun.fetch_add(1, Relaxed).is_multiple_of(ONE_IN)
    }

    /// Whether what a statement wrote that was a transaction of its own is.
    pub fn picks_alone(&self) -> bool {
        self.alone.fetch_add(1, Relaxed).is_multiple_of(ONE_IN)
    }

    /// Takes in what was committed: what it vouches for, and the events that it recorded.
    pub fn take(&self, record: Option<Acknowledged>, recorded: &[Uuid]) {
        let mut sample = self.sample.lock().unwrap_or_else(PoisonError::into_inner);
        if sample.len() < MOST {
            sample.extend(record);
        }
        let mut unsealed = self.unsealed.lock().unwrap_or_else(PoisonError::into_inner);
        if unsealed.len() < MOST_EVENTS {
            let due = Instant::now() + SEALED_AFTER;
            unsealed.extend(recorded.iter().map(|id| Unsealed { id: *id, due, sightings: 0 }));
        }
    }

    /// Looks for these once more, later. Whether one has waited too long decides whether others may write.
    fn wait_on(&self, waiting: Vec<Unsealed>) {
        let overdue = waiting.iter().find(|event| event.sightings >= SIGHTINGS);
        if self.behind.swap(overdue.is_some(), Relaxed) != overdue.is_some() {
            match overdue {
                Some(event) => {
                    tracing::error!(event = %event.id, "nothing more is written before the audit log grows")
                }
                None => tracing::warn!("the audit log grows again, and writing goes on"),
            }
        }
        let later = Instant::now() + SEALED_AFTER;
        let next = |event: Unsealed| match event.sightings {
            SIGHTINGS.. => event,
            sightings => Unsealed { due: later, sightings: sightings + 1, ..event },
        };
        self.put_back(waiting.into_iter().map(next).collect());
    }

    fn put_back(&self, waiting: Vec<Unsealed>) {
        self.unsealed.lock().unwrap_or_else(PoisonError::into_inner).extend(waiting);
    }

    /// The events that have had the time to be sealed.
    fn to_be_sealed(&self) -> Vec<Unsealed> {
        let (now, mut unsealed) = (Instant::now(), self.unsealed.lock().unwrap_or_else(PoisonError::into_inner));
        let (due, later) = std::mem::take(&mut *unsealed).into_iter().partition(|event| event.due <= now);
        *unsealed = later;
        due
    }

    fn is_idle(&self) -> bool {
        let is_empty = |waiting: &Vec<Unsealed>| waiting.iter().all(|event| event.due > Instant::now());
        !self.behind.load(Relaxed)
            && is_empty(&self.unsealed.lock().unwrap_or_else(PoisonError::into_inner))
            && self.sample.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn contradict(&self, missing: &str) {
        self.contradicted.store(true, Relaxed);
        metrics::counter!("jishi_acknowledged_records_missing_total").increment(1);
        tracing::error!(record = missing, "LOST: acknowledged, and not in the database; no further write is begun");
    }
}

impl Db {
    /// A record that was acknowledged is gone, as whoever remembers it has found: nothing more is begun.
    pub fn lost(&self, record: &str) {
        self.self_check.contradict(record);
    }

    /// Looks for what was acknowledged, until stopped; at the beginning also for what earlier processes recorded in the logs
    /// of these services, which this one seals.
    pub async fn check_own_word(self, services: &[&'static str], stop: CancellationToken) {
        if let Err(error) = self.take_in_unsealed(services).await {
            tracing::warn!(%error, "what waits for the audit log could not be looked for");
        }
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
            let checked = within(CHECK_LIMIT, self.check_sample()).await;
            if let Err(error) = checked.map_err(Error::from).and_then(|checked| checked) {
                tracing::warn!(%error, "what was acknowledged could not be looked for");
            }
        }
    }

    /// Looks for what was acknowledged since the last time.
    pub async fn check_sample(&self) -> Result<()> {
        if self.self_check.is_idle() {
            return Ok(());
        }
        let mut fresh = self.reader_options.clone();
        fresh.max_connections(1).min_connections(0);
        let fresh: DatabaseConnection = Database::connect(fresh).await?;
        let sample = std::mem::take(&mut *self.self_check.sample.lock().unwrap_or_else(PoisonError::into_inner));
        for record in sample {
            if fresh.query_one_raw(record.query.clone()).await?.is_none() {
                self.self_check.contradict(&record.what);
            }
        }
        let recorded = Looked { check: &self.self_check, events: self.self_check.to_be_sealed() };
        let waiting = self.waiting(&fresh, &recorded.events).await?;
        recorded.are_found(waiting);
        Ok(fresh.close().await?)
    }

    /// Takes in the events that other processes left to the sealer: they have had their time, but for a few seconds.
    async fn take_in_unsealed(&self, services: &[&str]) -> Result<()> {
        let Some(vault) = self.vault() else { return Ok(()) };
        for service in services {
            let (left, due) = (marked(service, None).limit(MOST_EVENTS as u64).all(&self.read).await?, Instant::now());
            let ours = left.into_iter().filter(|event| event.is_ours(vault));
            let had_its_time = |event: event::Model| Unsealed { id: event.id, due, sightings: SIGHTINGS - 1 };
            self.self_check.put_back(ours.map(had_its_time).collect());
        }
        Ok(())
    }

    async fn waiting(&self, fresh: &DatabaseConnection, recorded: &[Unsealed]) -> Result<Vec<Unsealed>> {
        let mut waiting = Vec::new();
        for events in recorded.chunks(CHUNK) {
            let still = self.check_log(fresh, events.iter().map(|event| event.id).collect()).await?;
            waiting.extend(events.iter().copied().filter(|event| still.contains(&event.id)));
        }
        Ok(waiting)
    }

    /// Looks whether these events are in the log, or on their way there: somebody may have taken them away or kept them from
    /// the sealer, and with them what they prove. Those that wait are returned.
    async fn check_log(&self, fresh: &DatabaseConnection, events: Vec<Uuid>) -> Result<HashSet<Uuid>> {
        let missing =
            |found: &HashSet<Uuid>| events.iter().copied().filter(|id| !found.contains(id)).collect::<Vec<_>>();
        let waiting = event::Entity::find().select_only().column(event::Column::Id);
        let waiting = waiting.filter(event::Column::Id.is_in(events.iter().copied()));
        let waiting: Vec<Uuid> = waiting.filter(event::Column::Sealed.eq(false)).into_tuple().all(fresh).await?;
        let waiting: HashSet<Uuid> = waiting.into_iter().collect();
        let mut found = waiting.clone();
        // After the other look: what is sealed between the two is in the log by now.
        let sealed = leaf::Entity::find().filter(leaf::Column::EventId.is_in(missing(&found))).all(fresh).await?;
        let services = event::Entity::find().select_only().columns([event::Column::Id, event::Column::Service]);
        let services = services.filter(event::Column::Id.is_in(missing(&found)));
        let services: HashMap<Uuid, String> = services.into_tuple().all(fresh).await?.into_iter().collect();
        let is_in_its_log = |leaf: &leaf::Model| {
            services.get(&leaf.event_id).is_none_or(|service| *service == leaf.service)
                && self.vault().is_none_or(|vault| leaf.is_ours(vault))
        };
        found.extend(sealed.into_iter().filter(is_in_its_log).map(|leaf| leaf.event_id));
        for id in missing(&found) {
            self.self_check.contradict(&format!("event {id}, which is not in the audit log"));
        }
        Ok(waiting)
    }

    /// Proves that the database writes and keeps: counts a row up, and reads it back through another connection. Where another
    /// write has lacked room lately, the small one proves nothing.
    pub async fn prove(&self) -> Result<()> {
        let proof = tokio::time::timeout(BEAT_LIMIT, self.beat());
        proof.await.map_err(|_| Error::Unavailable("the database takes too long to write".into()))??;
        self.disk.require_room()
    }

    async fn beat(&self) -> Result<()> {
        const BEAT: &str = "UPDATE heartbeat SET beats = beats + 1 WHERE id = 1 RETURNING beats";
        const LOOK: &str = "SELECT beats FROM heartbeat WHERE id = 1";
        let backend = self.backend();
        let tx = self.begin().await?;
        let written: i64 = beats(tx.query_one_raw(Statement::from_string(backend, BEAT)).await?)?;
        tx.commit().await?;
        let read = beats(self.read.query_one_raw(Statement::from_string(backend, LOOK)).await?)?;
        // Another process may have counted on.
        if read >= written {
            return Ok(());
        }
        self.lost(&format!("heartbeat {written}"));
        self.self_check.require()
    }
}

fn beats(row: Option<sea_orm::QueryResult>) -> Result<i64> {
    let row = row.ok_or_else(|| Error::Internal("heartbeat has no row".into()))?;
    Ok(row.try_get("", "beats")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_while_an_event_waits_for_the_log_too_long() {
        let check = SelfCheck::default();
        check.take(None, &[crate::fresh_uuid()]);
        assert!(check.is_idle() && check.to_be_sealed().is_empty(), "it has three seconds");
        let seen = |sightings| vec![Unsealed { id: crate::fresh_uuid(), due: Instant::now(), sightings }];
        drop(Looked { check: &check, events: seen(0) });
        assert_eq!(check.to_be_sealed().len(), 1, "whoever gave up looks again");
        check.wait_on(seen(SIGHTINGS - 1));
        assert!(check.require_log().is_ok() && check.is_idle(), "it has three seconds more");
        for (waiting, is_behind) in [(seen(SIGHTINGS), true), (Vec::new(), false), (seen(SIGHTINGS), true)] {
            check.wait_on(waiting);
            assert_eq!(check.require_log().is_err(), is_behind);
            check.require().unwrap();
            assert_eq!(check.to_be_sealed().len(), usize::from(is_behind), "it is looked for at once again");
        }
    }
}
