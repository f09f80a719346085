//! The sequencer: one writer per lot. Bids, phase changes and the close are commands of one order with
//! one `seq`. The writer drains its queue, decides all pending commands in memory, writes them as one
//! transaction, and only then answers all callers (group commit).
//!
//! Several replicas stay correct because the version in the same transaction is the fence: the loser has
//! told nobody "ok", reads the lot again and decides again. Who loses again and again, as whoever must read first
//! does against one who need not, holds the lot's row while it decides.

use std::{collections::HashMap, sync::Arc, time::Duration};

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
    lot_command::{Answer, LotCommand},
    round::Decided,
    store::{
        self, bidder,
        flush::{Beside, Flushed, Round},
        log, session,
    },
};

/// Most commands decided in one round.
const ROUND: usize = 512;
/// How often a round is decided again after losing the fence.
const ATTEMPTS: usize = 8;
/// After so many the lot's row is held from the reading to the commit: nobody else moves the lot then.
const UNHELD: usize = 2;
/// How often a watched, idle lot is read again for what another replica may have written.
const REFRESH: Duration = Duration::from_secs(1);
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
    row: session::Model,
    lot: Lot,
    bidders: Vec<bidder::Model>,
    codes: HashMap<OrganizationId, String>,
    feed: broadcast::Sender<Arc<AuctionEvent>>,
    /// Set when a write's outcome is unknown: memory may be behind the database.
    stale: bool,
    /// The instant of the last answers.
    told_at: Instant,
    /// The transaction of the next round, if it has begun.
    begun: Option<Box<Transaction>>,
}

/// What a round comes to, before anybody is told.
struct Outcome {
    answers: Vec<Result<Answer>>,
    lot: Lot,
    events: Vec<AuctionEvent>,
    replies: Vec<(Idempotency, Vec<u8>)>,
    beside: Beside,
    halted: bool,
    now: Instant,
}

impl Writer {
    /// Reads the lot; nothing if there is no such session.
    pub async fn load(
        cx: Context,
        id: BiddingSessionId,
        feed: broadcast::Sender<Arc<AuctionEvent>>,
    ) -> Result<Option<Writer>> {
        let Some((row, bidders)) = store::load(cx.db.read(), id).await? else { return Ok(None) };
        let codes = bidders.iter().map(|bidder| (bidder.organization_id, bidder.code.clone())).collect();
        row.require_ours(&cx.vault)?;
        let lot = row.whole_lot(&cx)?;
        Ok(Some(Writer { lot, cx, row, bidders, codes, feed, stale: false, told_at: Instant(0), begun: None }))
    }

    /// Who sells the lot, and who runs the sale.
    pub fn sides(&self) -> Sides {
        Sides { transferor_id: self.row.transferor_id.text(), centre_id: self.row.centre_id.text() }
    }

    /// Serves the queue until stopped, or until the lot is closed and nobody asks or watches any more.
    pub async fn run(mut self, mut queue: mpsc::Receiver<LotCommand>, stop: CancellationToken) {
        let mut pending = Vec::with_capacity(ROUND);
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
                () = stop.cancelled() => return,
                taken = queue.recv_many(&mut pending, ROUND) => {
                    if taken == 0 {
                        return;
                    }
                }
                () = due => {}
                () = tokio::time::sleep(REFRESH) => {
                    if self.lot.is_closed() && self.feed.receiver_count() == 0 && queue.is_empty() {
                        return;
                    }
                    if self.feed.receiver_count() > 0 {
                        self.refresh().await;
                    }
                    continue;
                }
            }
            self.round(&mut pending, &queue).await;
        }
    }

    /// Decides, writes and answers everything pending.
    async fn round(&mut self, pending: &mut Vec<LotCommand>, queue: &mpsc::Receiver<LotCommand>) {
        let commands = std::mem::take(pending);
        metrics::histogram!("jishi_auction_round_size").record(u32::try_from(commands.len()).unwrap_or(u32::MAX));
        let began = std::time::Instant::now();
        let mut outcome = Err(Error::Unavailable("the lot kept moving".into()));
        for attempt in 0..ATTEMPTS {
            outcome = self.attempt(&commands, attempt >= UNHELD, || !queue.is_empty()).await;
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
    fn now(&self) -> Instant {
        let now = self.cx.clock.now().max(self.lot.state.last_at);
        let ahead = self.told_at.0 - now.0;
        if (0..STEP_MILLIS).contains(&ahead) { self.told_at } else { now }
    }

    /// One attempt: answers after the commit, nothing when fenced.
    async fn attempt(
        &mut self,
        commands: &[LotCommand],
        hold: bool,
        waits: impl Fn() -> bool,
    ) -> Result<Option<Vec<Result<Answer>>>> {
        let (db, begun) = (self.cx.db.clone(), self.begun.take());
        let begin = async {
            match begun {
                Some(tx) => Ok(*tx),
                None => db.begin().await,
            }
        };
        let (tx, outcome) = if hold {
            let tx = begin.await?;
            store::hold(&tx, self.row.id).await?;
            let outcome = self.decide(&tx, commands).await;
            (tx, outcome)
        } else {
            // It begins while the round is decided: one wait for the database less.
            let (tx, outcome) = tokio::join!(begin, self.decide(db.read(), commands));
            (tx?, outcome)
        };
        let outcome = match outcome {
            Ok(Some(outcome)) => outcome,
            nothing => {
                tx.rollback().await?;
                return nothing.map(|_| None);
            }
        };
        if outcome.events.is_empty() && outcome.replies.is_empty() {
            tx.rollback().await?;
            self.told_at = outcome.now;
            return Ok(Some(outcome.answers));
        }
        self.write(outcome, (tx, waits)).await
    }

    /// Decides on the lot as it is read or remembered; nothing if it is remembered wrongly and nothing would tell.
    async fn decide(&mut self, db: &impl ConnectionTrait, commands: &[LotCommand]) -> Result<Option<Outcome>> {
        if self.stale {
            self.reload(db).await?;
        }
        let now = self.now();
        let mut decided = Decided::new(self.lot.clone(), &self.row, known(db, commands).await?, now);
        decided.pass();
        let answers: Vec<_> = commands.iter().map(|command| decided.take(command, &self.codes)).collect();
        let Decided { lot, events, replies, beside, halted, .. } = decided;
        if events.is_empty() && replies.is_empty() {
            // Nothing is written, so nothing is fenced; and yet what is refused must be true, whoever moved the lot.
            let current = commands.is_empty() || store::version(db, self.row.id).await? == self.row.version;
            if !current {
                return Ok(None);
            }
        }
        Ok(Some(Outcome { answers, lot, events, replies, beside, halted, now }))
    }

    /// Writes what was decided, and tells the watchers.
    async fn write(
        &mut self,
        outcome: Outcome,
        writing: (Transaction, impl Fn() -> bool),
    ) -> Result<Option<Vec<Result<Answer>>>> {
        let Outcome { answers, lot, events, replies, beside, halted, now } = outcome;
        let tree = log::grow(&self.row.peaks, self.row.seq, &events)?;
        let mut after = self.row.clone();
        after.put(&lot);
        if lot.secrets != self.lot.secrets {
            after.put_secrets(&self.cx, &lot.secrets)?;
        }
        after.peaks = tree.peaks();
        after.halted = halted;
        after.version += 1;
        let late = beside.admitted.clone();
        let round =
            Round { before: &self.row, after: &after, lot: &lot, tree: &tree, events: &events, replies, beside, now };
        let Flushed::Done(begun) = round.flush(&self.cx, &self.bidders, writing).await? else { return Ok(None) };
        self.begun = begun;
        self.row = after;
        self.lot = lot;
        self.told_at = now;
        self.know(late);
        let session_id = self.row.id.to_string();
        for event in events {
            self.publish(AuctionEvent { session_id: session_id.clone(), ..event });
        }
        Ok(Some(answers))
    }

    fn know(&mut self, late: Vec<bidder::Model>) {
        for bidder in late {
            self.codes.insert(bidder.organization_id, bidder.code.clone());
            self.bidders.push(bidder);
        }
    }

    fn publish(&self, event: AuctionEvent) {
        // No watcher is no error.
        drop(self.feed.send(Arc::new(event)));
    }

    async fn reload(&mut self, db: &impl ConnectionTrait) -> Result<()> {
        let before = self.lot.state.seq;
        let sessions = store::sessions(db, vec![self.row.id], Vec::new()).await?;
        let Some(row) = sessions.into_iter().next() else {
            return Err(Error::Internal(format!("{} is gone", self.row.id)));
        };
        if row.version < self.row.version {
            self.cx.db.lost(&format!("round {} of {}", self.row.version, self.row.id));
            return Err(Error::Unavailable("the lot was put back".into()));
        }
        row.require_ours(&self.cx.vault)?;
        if row.version != self.row.version {
            self.lot = row.whole_lot(&self.cx)?;
            if self.lot.state.bidders.len() > self.bidders.len() {
                self.bidders = store::bidders(db, row.id).await?;
                self.codes = self.bidders.iter().map(|b| (b.organization_id, b.code.clone())).collect();
            }
        }
        self.row = row;
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

/// The stored answers of keyed commands that were done before.
async fn known(db: &impl ConnectionTrait, commands: &[LotCommand]) -> Result<HashMap<String, Result<Vec<u8>>>> {
    let keyed: Vec<&Idempotency> = commands.iter().filter_map(|command| command.keyed.as_ref()).collect();
    Ok(Idempotency::find_all(db, &keyed).await?.into_iter().collect())
}
