//! The boxes of sealed envelopes, written at a beat (promise P-3).
//!
//! A round's box has a place for every eligible bidder from the beginning. At each beat all places are sealed anew and
//! written together, whether anything came or not; what came since the last beat is among them. So neither one look at
//! the database nor all looks together tell who handed something in, how many did, or when. The beat runs by itself: no
//! span, no line of the log and no figure belongs to an envelope.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kernel::{Context, Error, ErrorCode, Id, Idempotency, Instant, Refusal, Result, Transaction};
use sea_orm::ConnectionTrait;
use tokio::sync::oneshot;
use wire::{
    id::{BiddingSessionId, OrganizationId},
    v1::{self, AuctionEventKind, BiddingStatus},
};

use crate::{
    engine::{Lot, Terms},
    sealed::{
        PublicKey, Seed,
        envelope::{Bid, seal},
        receipt::receipt,
        slot::{Held, Name},
    },
    store::{self, bidder, log, sealed, session},
};

/// How often all places of a box are written anew; an envelope is acknowledged with the next beat.
pub const BEAT: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 2_000 });
/// The log of a sealed lot is short.
const LOG: u64 = 10_000;

/// One envelope on its way into its box.
pub struct HandedIn {
    /// Whose.
    pub organization_id: OrganizationId,
    /// For which round.
    pub round: i32,
    /// 1,105 bytes.
    pub envelope: Vec<u8>,
    /// The key of the call.
    pub call: Option<Idempotency>,
    /// When it arrived.
    pub at: Instant,
}

/// An envelope, and where its receipt goes.
pub type Waiting = (HandedIn, oneshot::Sender<Result<v1::SealedReceipt>>);

/// What waits for the next beat in this process.
#[derive(Clone, Default)]
pub struct Boxes(Arc<Mutex<HashMap<BiddingSessionId, Vec<Waiting>>>>);

impl Boxes {
    /// Hands an envelope in; the receipt comes after the commit.
    pub async fn hand_in(&self, id: BiddingSessionId, handed_in: HandedIn) -> Result<v1::SealedReceipt> {
        let (answer, answered) = oneshot::channel();
        {
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.entry(id).or_default().push((handed_in, answer));
        }
        answered.await.map_err(|_| Error::Unavailable("outcome unknown".into()))?
    }

    /// What waits, which the next beat takes.
    pub fn drain(&self) -> HashMap<BiddingSessionId, Vec<Waiting>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Writes a box anew, with what came; answers after the commit.
pub async fn rewrite(cx: &Context, id: BiddingSessionId, waiting: Vec<Waiting>) -> Result<Option<BiddingStatus>> {
    let tx = cx.db.begin().await?;
    let Some(row) = sealed::locked(&tx, &cx.vault, id).await? else { return Ok(None) };
    let now = sealed::now(&tx, &cx.clock).await?;
    let lot = standing(&row, now)?;
    let mut open = Contents::read(cx, &tx, (&row, &lot)).await?;
    let mut answers = Vec::with_capacity(waiting.len());
    for (handed_in, answer) in waiting {
        // Measured on the monotonic clock, told by the database's.
        let age = cx.clock.now().0.saturating_sub(handed_in.at.0).max(0);
        answers.push((answer, open.take(cx, &handed_in, now.plus_millis(-age))));
    }
    if is_filled(&lot) || answers.iter().any(|(_, taken)| taken.is_ok()) {
        open.write(cx, &tx).await?;
    }
    tx.commit().await.map_err(|error| Error::Unavailable(format!("commit: {error}")))?;
    for (answer, taken) in answers {
        drop(answer.send(taken));
    }
    Ok(Some(lot.status()))
}

/// Whether envelopes may come, now or after a pause.
fn is_filled(lot: &Lot) -> bool {
    let interrupted = lot.state.paused.as_ref().map(|pause| pause.from);
    lot.status() == BiddingStatus::Free || interrupted == Some(BiddingStatus::Free.into())
}

/// The lot as time has moved it by now, whether its writer has noticed or not.
pub fn standing(row: &session::Model, now: Instant) -> Result<Lot> {
    let mut lot = row.lot()?;
    if lot.terms.is_sealed() && matches!(lot.status(), BiddingStatus::Scheduled | BiddingStatus::Free) {
        lot.pass(now);
    }
    Ok(lot)
}

/// Whether an envelope that came at this time belongs into the box of the round. `sealed_at` is when the round's time
/// was over, if it is.
pub fn admissible(
    lot: &Lot,
    (code, round): (Option<&str>, i32),
    received_at: Instant,
    sealed_at: Option<Instant>,
) -> Result<(), ErrorCode> {
    use BiddingStatus::{Free, Opening, Paused, Scheduled};
    if !lot.terms.is_sealed() {
        return Err(ErrorCode::ModeMismatch);
    }
    let state = &lot.state;
    match lot.status() {
        Free => {}
        Scheduled => return Err(ErrorCode::SessionNotOpen),
        // What came in time is taken although the beat was after the end: while nobody can have seen anything.
        Paused if is_filled(lot) && received_at <= state.last_at => {}
        Opening if state.shares.is_empty() && sealed_at.is_some_and(|end| received_at < end) => {}
        Paused => return Err(ErrorCode::SessionPaused),
        _ => return Err(ErrorCode::SessionClosed),
    }
    if round != state.round {
        return Err(ErrorCode::WrongRound);
    }
    let code = code.ok_or(ErrorCode::NotEligible)?;
    match state.bidders.get(code).is_some_and(|bidder| bidder.shut_out) {
        true => Err(ErrorCode::NotEligible),
        false => Ok(()),
    }
}

/// A refusal of an envelope.
pub fn refusal(lot: &Lot, code: ErrorCode, now: Instant) -> Refusal {
    let refusal = Refusal { minimum_amount: None, ..lot.refuse(code, now) };
    match code {
        ErrorCode::WrongRound => refusal.at_field("round").accepting(lot.state.round.to_string()),
        _ => refusal,
    }
}

/// A round's box while its lot is locked.
struct Contents<'a> {
    lot: &'a Lot,
    bidders: Vec<bidder::Model>,
    sealed_at: Option<Instant>,
    /// Of all rounds: a call is known wherever it went.
    places: Vec<(Name, Held)>,
}

impl<'a> Contents<'a> {
    async fn read(cx: &Context, tx: &Transaction, (row, lot): (&session::Model, &'a Lot)) -> Result<Contents<'a>> {
        let sealed_at = match lot.status() {
            BiddingStatus::Opening => sealed_at(tx, (row, lot)).await?,
            _ => None,
        };
        Ok(Contents { lot, bidders: codes(tx, row.id).await?, sealed_at, places: places(cx, tx, row.id).await? })
    }

    fn take(&mut self, cx: &Context, handed_in: &HandedIn, at: Instant) -> Result<v1::SealedReceipt> {
        if let Some(earlier) = earlier(cx, &self.places, handed_in.call.as_ref()) {
            return earlier;
        }
        let number = self.bidders.iter().position(|bidder| bidder.organization_id == handed_in.organization_id);
        let code = number.and_then(|number| self.bidders.get(number)).map(|bidder| bidder.code.as_str());
        admissible(self.lot, (code, handed_in.round), at, self.sealed_at)
            .map_err(|code| refusal(self.lot, code, at))?;
        let place = number.and_then(|number| i32::try_from(number + 1).ok());
        let own = |name: &Name| name.round == handed_in.round && Some(name.place) == place;
        let Some((name, held)) = self.places.iter_mut().find(|(name, _)| own(name)) else {
            return Err(Error::Internal("a bidder has no place".into()));
        };
        let taken = held.take(&handed_in.envelope, at, handed_in.call.as_ref()).map_err(Error::Refused)?;
        Ok(receipt(&cx.vault, name, &taken))
    }

    async fn write(&self, cx: &Context, tx: &Transaction) -> Result<()> {
        for (name, held) in self.places.iter().filter(|(name, _)| name.round == self.lot.state.round) {
            sealed::rewrite(tx, stored(cx, name, held)?).await?;
        }
        Ok(())
    }
}

/// When the round under way was over, by the log, or by the time that its writer has not noticed yet.
async fn sealed_at(db: &impl ConnectionTrait, (row, lot): (&session::Model, &Lot)) -> Result<Option<Instant>> {
    if row.status != BiddingStatus::Opening {
        return Ok(Some(lot.state.last_at));
    }
    let events = log::events(db, row.id, 0, LOG).await?;
    Ok(events.iter().rev().find(|event| event.kind() == AuctionEventKind::Sealed).and_then(|event| event.at))
}

/// From when on no process can still hold an envelope that came in time.
pub async fn settled_at(db: &impl ConnectionTrait, (row, lot): (&session::Model, &Lot)) -> Result<Instant> {
    let beats = i64::try_from(BEAT.as_millis()).unwrap_or(i64::MAX).saturating_mul(2);
    Ok(sealed_at(db, (row, lot)).await?.unwrap_or(lot.state.last_at).plus_millis(beats))
}

/// The bidders by their places, the first first.
pub async fn codes(db: &impl ConnectionTrait, id: BiddingSessionId) -> Result<Vec<bidder::Model>> {
    let mut bidders = store::bidders(db, id).await?;
    bidders.sort_by(|one, other| one.code.cmp(&other.code));
    Ok(bidders)
}

/// What is in the boxes of a lot.
pub async fn places(cx: &Context, db: &impl ConnectionTrait, id: BiddingSessionId) -> Result<Vec<(Name, Held)>> {
    let rows = sealed::places(db, id).await?;
    rows.into_iter()
        .map(|row| {
            let name = Name { session: row.session_id, round: row.round, place: row.place };
            Ok((name, Held::unwrap(&cx.vault, &name, &row.wrapped)?))
        })
        .collect()
}

/// The answer to an earlier copy of the call.
pub fn earlier(cx: &Context, places: &[(Name, Held)], call: Option<&Idempotency>) -> Option<Result<v1::SealedReceipt>> {
    let call = call?;
    let (name, earlier) = places.iter().find_map(|(name, held)| Some((name, held.earlier(call)?)))?;
    Some(earlier.map(|taken| receipt(&cx.vault, name, &taken)).map_err(Error::Refused))
}

/// Fills the box of a round: every eligible bidder has an envelope in it that holds no bid, until it sends one.
pub async fn fill(
    cx: &Context,
    tx: &Transaction,
    (id, terms): (BiddingSessionId, &Terms),
    (bidders, round): (&[bidder::Model], i32),
) -> Result<()> {
    let key = terms.sealed_key(round).and_then(|key| PublicKey::parse(&key.public_key));
    let key = key.ok_or_else(|| Error::Internal(format!("{id} has no key for round {round}")))?;
    let mut codes: Vec<&str> = bidders.iter().map(|bidder| bidder.code.as_str()).collect();
    codes.sort_unstable();
    let mut rows = Vec::with_capacity(codes.len());
    for (place, code) in (1..).zip(codes) {
        let name = Name { session: id, round, place };
        rows.push(stored(cx, &name, &Held::decoy(decoy(&key, &name, code)?))?);
    }
    sealed::insert_places(tx, rows).await
}

/// An envelope without a bid, like one that a bidder would make.
fn decoy(key: &PublicKey, name: &Name, code: &str) -> Result<Vec<u8>> {
    let bid = Bid {
        session: name.session.text(),
        bidder: code.to_owned(),
        round: u32::try_from(name.round).unwrap_or_default(),
        amount: None,
        values: std::collections::BTreeMap::new(),
        nonce: kernel::fresh_nonce()?,
    };
    let mut seed = [0; 32];
    for (into, from) in seed.chunks_exact_mut(16).zip([kernel::fresh_nonce()?, kernel::fresh_nonce()?]) {
        into.copy_from_slice(&from);
    }
    seal(key, &bid, Seed::new(seed)).map_err(|fault| Error::Internal(format!("a decoy: {fault}")))
}

fn stored(cx: &Context, name: &Name, held: &Held) -> Result<sealed::place::Model> {
    let wrapped = held.wrap(&cx.vault, name)?;
    Ok(sealed::place::Model { session_id: name.session, round: name.round, place: name.place, wrapped })
}
