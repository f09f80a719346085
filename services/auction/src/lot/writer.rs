//! The sequencer: one writer per lot. Bids, phase changes and the close are commands of one order with
//! one `seq`. The writer drains its queue, decides all pending commands in memory, writes them as one
//! transaction, and only then answers all callers (group commit).
//!
//! Several replicas stay correct because the version in the same transaction is the fence: the loser has
//! told nobody "ok", reads the lot again and decides again. Who loses again and again, as whoever must read first
//! does against one who need not, holds the lot's row while it decides.

use std::{collections::HashMap, convert::Infallible, sync::Arc, time::Duration};

use kernel::{Context, Error, Id, Idempotency, Instant, Result, Transaction};
use sea_orm::ConnectionTrait;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use wire::{
    id::{BiddingSessionId, OrganizationId},
    v1::AuctionEvent,
};

use crate::{
    engine::Lot,
    lot::{
        batch::Batch,
        command::{Answer, LotCommand},
    },
    store::{self, bidder, flush::BatchCommit, log, session},
};

/// Most commands decided in one round.
const ROUND: usize = 512;
/// How often a round is decided again after losing the fence.
const ATTEMPTS: usize = 8;
/// After so many the lot's row is held from the reading to the commit: nobody else moves the lot then.
const UNHELD: usize = 2;
/// How often a watched, idle lot is read again for what another replica may have written.
const REFRESH: Duration = Duration::from_secs(1);
/// What was begun to be decided so long ago, while another round was written, is decided again: it would be written too late.
const AHEAD_MILLIS: i64 = 500;
/// The clock steps back by less when it is anchored anew; what it was further ahead by was an error.
const STEP_MILLIS: i64 = 500;

/// Who may not bid on a lot (SM-5). They never change.
pub struct Sides {
    /// Who sells.
    pub transferor_id: String,
    /// The centre in charge.
    pub centre_id: String,
}

/// One lot's writer while it runs.
pub struct Writer {
    cx: Context,
    row: Arc<session::Model>,
    lot: Lot,
    bidders: Vec<bidder::Model>,
    codes: HashMap<OrganizationId, String>,
    feed: broadcast::Sender<Arc<AuctionEvent>>,
    /// Set when a write's outcome is unknown: memory may be behind the database.
    stale: bool,
    /// The instant of the last answers.
    told_at: Instant,
    /// The next round as far as it was decided while the last one was being written.
    ahead: Option<Batch>,
}

impl Writer {
    /// Reads the lot; nothing if there is no such session.
    pub async fn load(
        cx: Context,
        id: BiddingSessionId,
        feed: broadcast::Sender<Arc<AuctionEvent>>,
    ) -> Result<Option<Writer>> {
        let Some((row, bidders)) = store::load(cx.db.read(), &cx.vault, id).await? else { return Ok(None) };
        let codes = bidders.iter().map(|bidder| (bidder.organization_id, bidder.code.clone())).collect();
        let (lot, row) = (row.whole_lot(&cx)?, Arc::new(row));
        let (stale, told_at, ahead) = (false, Instant(0), None);
        Ok(Some(Writer { lot, cx, row, bidders, codes, feed, stale, told_at, ahead }))
    }

    /// Who sells the lot, and who runs the sale.
    pub fn sides(&self) -> Sides {
        Sides { transferor_id: self.row.transferor_id.text(), centre_id: self.row.centre_id.text() }
    }

    /// Serves the queue until stopped, or until the lot is closed and nobody asks or watches any more.
    pub async fn run(mut self, mut queue: mpsc::Receiver<LotCommand>, stop: CancellationToken) {
        let mut pending = Vec::with_capacity(ROUND);
        while !stop.is_cancelled() {
            if pending.is_empty() && !self.wait(&mut pending, &mut queue, &stop).await {
                return;
            }
            take_waiting(&mut queue, &mut pending);
            self.round(&mut pending, &mut queue).await;
        }
    }

    /// Waits for commands, or until time moves the lot; false if there is nothing left to wait for.
    async fn wait(
        &mut self,
        pending: &mut Vec<LotCommand>,
        queue: &mut mpsc::Receiver<LotCommand>,
        stop: &CancellationToken,
    ) -> bool {
        let clock = self.cx.clock.clone();
        loop {
            let wakes_at = self.lot.wakes_at();
            let due = async {
                match wakes_at {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return false,
                taken = queue.recv_many(pending, ROUND) => return taken > 0,
                () = due => return true,
                () = tokio::time::sleep(REFRESH) => {
                    if self.lot.is_closed() && self.feed.receiver_count() == 0 && queue.is_empty() {
                        return false;
                    }
                    if self.feed.receiver_count() > 0 {
                        self.refresh().await;
                    }
                }
            }
        }
    }

    /// Decides, writes and answers everything pending. What comes meanwhile is pending then.
    async fn round(&mut self, pending: &mut Vec<LotCommand>, queue: &mut mpsc::Receiver<LotCommand>) {
        let commands = std::mem::take(pending);
        metrics::histogram!("jishi_auction_round_size").record(u32::try_from(commands.len()).unwrap_or(u32::MAX));
        let began = std::time::Instant::now();
        let mut outcome = Err(Error::Unavailable("the lot kept moving".into()));
        for attempt in 0..ATTEMPTS {
            outcome = self.attempt(&commands, attempt >= UNHELD, (pending, queue)).await;
            match &outcome {
                Ok(Some(_)) => break,
                Ok(None) => {
                    tracing::debug!(session = %self.row.id, attempt, "fenced; deciding again");
                    self.stale = true;
                    if let Err(error) = self.cx.clock.anchor(&self.cx.db).await {
                        outcome = Err(error);
                        break;
                    }
                }
                Err(_) => {
                    // The outcome is unknown: nobody is told "ok"; callers ask again under their keys.
                    self.stale = true;
                    break;
                }
            }
        }
        metrics::histogram!("jishi_auction_round_seconds").record(began.elapsed());
        match outcome {
            Ok(Some(answers)) => {
                for (command, answer) in commands.into_iter().zip(answers) {
                    // A caller that went away finds its answer under its key.
                    drop(command.answer.send(answer));
                }
            }
            failed => {
                let error = failed.err().unwrap_or_else(|| Error::Unavailable("the lot kept moving".into()));
                tracing::warn!(session = %self.row.id, %error, "a round could not be written");
                for command in commands {
                    drop(command.answer.send(Err(Error::Unavailable("outcome unknown".into()))));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Now. It does not go back behind what was told: a refusal is true at its time, and nothing happens before it later.
    fn now(&self, lot: &Lot, told_at: Instant) -> Instant {
        let now = self.cx.clock.now().max(lot.state.last_at);
        let ahead = told_at.0 - now.0;
        if (0..STEP_MILLIS).contains(&ahead) { told_at } else { now }
    }

    /// One attempt: answers after the commit, nothing when fenced.
    async fn attempt(
        &mut self,
        commands: &[LotCommand],
        hold: bool,
        (pending, queue): (&mut Vec<LotCommand>, &mut mpsc::Receiver<LotCommand>),
    ) -> Result<Option<Vec<Result<Answer>>>> {
        let db = self.cx.db.clone();
        let (tx, decided) = if hold {
            let tx = db.begin().await?;
            store::hold(&tx, self.row.id).await?;
            let decided = self.decide(&tx, commands).await;
            (Some(tx), decided)
        } else {
            (None, self.decide(db.read(), commands).await)
        };
        match decided {
            Ok(Some(decided)) if decided.writes() => self.write(decided, tx, (pending, queue)).await,
            decided => {
                if let Some(tx) = tx {
                    tx.rollback().await?;
                }
                let Some(decided) = decided? else { return Ok(None) };
                self.told_at = decided.now;
                Ok(Some(decided.answers))
            }
        }
    }

    /// Decides on the lot as it is read or remembered; nothing if it is remembered wrongly and nothing would tell.
    async fn decide(&mut self, db: &impl ConnectionTrait, commands: &[LotCommand]) -> Result<Option<Batch>> {
        let ahead = self.ahead.take();
        if self.stale {
            self.reload(db).await?;
        }
        let now = self.now(&self.lot, self.told_at);
        // Nor is anything kept that was decided by a clock which has been set back since.
        let is_timely = |ahead: &Batch| now.0 - ahead.since.0 < AHEAD_MILLIS && ahead.now.0 - now.0 < STEP_MILLIS;
        let ahead = ahead.filter(|ahead| ahead.stands_on(&self.row) && is_timely(ahead));
        let mut decided = ahead.unwrap_or_else(|| Batch::new(self.lot.clone(), self.row.clone(), now));
        let commands = commands.get(decided.answers.len()..).unwrap_or_default();
        decided.know(known(db, commands).await?);
        decided.pass(now);
        commands.iter().for_each(|command| decided.take(command, &self.codes));
        if !decided.writes() && !decided.answers.is_empty() {
            // Nothing is written, so nothing is fenced; and yet what is refused must be true, whoever moved the lot.
            let is_current = store::version(db, self.row.id).await? == self.row.version;
            return Ok(is_current.then_some(decided));
        }
        Ok(Some(decided))
    }

    /// Writes what was decided, and tells the watchers. Meanwhile the next round is decided, as if this one were there.
    async fn write(
        &mut self,
        decided: Batch,
        tx: Option<Transaction>,
        (pending, queue): (&mut Vec<LotCommand>, &mut mpsc::Receiver<LotCommand>),
    ) -> Result<Option<Vec<Result<Answer>>>> {
        let Batch { answers, lot, events, replies, beside, halted, since, now, .. } = decided;
        let tree = log::grow(&self.row.peaks, self.row.seq, &events)?;
        let mut after = session::Model::clone(&self.row);
        after.put(&lot);
        if lot.secrets != self.lot.secrets {
            after.put_secrets(&self.cx, &lot.secrets)?;
        }
        after.peaks = tree.peaks();
        after.halted = halted;
        after.version += 1;
        let after = Arc::new(after);
        let late = beside.admitted.clone();
        let (before, events) = (&*self.row, &*events);
        let round = BatchCommit { before, after: &after, lot: &lot, tree: &tree, events, replies, beside, since, now };
        let is_plain = round.is_plain();
        // What is decided ahead stays here until the commit was answered: otherwise it never was.
        let mut ahead = None;
        let written = tokio::select! {
            biased;
            written = round.commit(&self.cx, &self.bidders, tx) => written?,
            never = self.look_ahead((&lot, &after, now), &mut ahead, pending, queue), if is_plain => match never {},
        };
        if !written {
            return Ok(None);
        }
        if !is_plain {
            self.cx.committed.notify_one();
        }
        self.ahead = ahead;
        self.row = after;
        self.lot = lot;
        self.told_at = now;
        self.know(late);
        self.tell(events);
        Ok(Some(answers))
    }

    /// Decides what comes while a round is written, on a lot that is not yet committed: as far as the database need not be
    /// asked. Each command at its time.
    async fn look_ahead(
        &self,
        (lot, row, told_at): (&Lot, &Arc<session::Model>, Instant),
        ahead: &mut Option<Batch>,
        pending: &mut Vec<LotCommand>,
        queue: &mut mpsc::Receiver<LotCommand>,
    ) -> Infallible {
        while pending.len() < ROUND && queue.recv_many(pending, ROUND - pending.len()).await > 0 {
            let decided = ahead.get_or_insert_with(|| Batch::new(lot.clone(), row.clone(), self.now(lot, told_at)));
            decided.pass(self.now(&decided.lot, decided.now));
            let fresh = pending.iter().skip(decided.answers.len()).take_while(|command| command.keyed.is_none());
            fresh.for_each(|command| decided.take(command, &self.codes));
        }
        std::future::pending().await
    }

    fn know(&mut self, late: Vec<bidder::Model>) {
        for bidder in late {
            self.codes.insert(bidder.organization_id, bidder.code.clone());
            self.bidders.push(bidder);
        }
    }

    fn tell(&self, events: &[AuctionEvent]) {
        if self.feed.receiver_count() == 0 {
            return;
        }
        let session_id = self.row.id.to_string();
        for event in events {
            self.publish(AuctionEvent { session_id: session_id.clone(), ..event.clone() });
        }
    }

    fn publish(&self, event: AuctionEvent) {
        // No watcher is no error.
        drop(self.feed.send(Arc::new(event)));
    }

    async fn reload(&mut self, db: &impl ConnectionTrait) -> Result<()> {
        let before = self.lot.state.seq;
        let Some(row) = store::session(db, &self.cx.vault, self.row.id).await? else {
            return Err(Error::Internal(format!("{} is gone", self.row.id)));
        };
        if row.version < self.row.version {
            self.cx.db.lost(&format!("round {} of {}", self.row.version, self.row.id));
            return Err(Error::Unavailable("the lot was put back".into()));
        }
        if row.version != self.row.version {
            self.lot = row.whole_lot(&self.cx)?;
            if self.lot.state.bidders.len() > self.bidders.len() {
                self.bidders = store::bidders(db, row.id).await?;
                self.codes = self.bidders.iter().map(|b| (b.organization_id, b.code.clone())).collect();
            }
        }
        self.row = Arc::new(row);
        self.stale = false;
        if self.lot.state.seq > before {
            for event in log::events(db, self.row.id, before, 10_000).await? {
                self.publish(event);
            }
        }
        Ok(())
    }

    async fn refresh(&mut self) {
        let db = self.cx.db.clone();
        if let Err(error) = self.reload(db.read()).await {
            tracing::warn!(session = %self.row.id, %error, "the lot could not be read again");
        }
    }
}

/// Takes what waits, as much as one round decides.
fn take_waiting(queue: &mut mpsc::Receiver<LotCommand>, pending: &mut Vec<LotCommand>) {
    while pending.len() < ROUND {
        let Ok(command) = queue.try_recv() else { return };
        pending.push(command);
    }
}

/// The stored answers of keyed commands that were done before.
async fn known(db: &impl ConnectionTrait, commands: &[LotCommand]) -> Result<HashMap<String, Result<Vec<u8>>>> {
    let keyed: Vec<&Idempotency> = commands.iter().filter_map(|command| command.keyed.as_ref()).collect();
    Ok(Idempotency::find_all(db, &keyed).await?.into_iter().collect())
}
