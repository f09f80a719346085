//! Whoever holds the terms and the log decides the lot again (promise P-2).

use kernel::{Instant, Money};
use wire::v1::{AuctionEvent, AuctionEventKind as Kind};

use super::{Command, Lot, Offer, Reserve, Secrets, Terms, commitment};

/// The first event that is not what the rules decide, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The number that the event has, or should have.
    pub seq: i64,
}

/// Recomputes a lot from its terms and its published log, checking every event against the rules: nothing but what the
/// rules decide, in order and without holes. Hidden maxima are not in the log; the bids made for them are, and each is
/// checked like any other.
pub fn replay(terms: Terms, log: &[AuctionEvent]) -> Result<Lot, Flaw> {
    let mut replay = Replay::of(terms);
    log.iter().try_for_each(|event| replay.take(event))?;
    Ok(replay.lot())
}

/// A replay under way, for logs that are longer than the memory at hand.
pub struct Replay(Lot);

impl Replay {
    /// Before the first event.
    #[must_use]
    pub fn of(terms: Terms) -> Replay {
        // A lot with a reserve does not close without revealing it: until the log does, nothing matches this one.
        let hidden = terms.announced.reserve_commitment.as_ref();
        let reserve = hidden.map(|_| Reserve { price: Money::ZERO, nonce: String::new() });
        Replay(Lot::scheduled(terms, Secrets { reserve, ..Secrets::default() }, Instant::default()))
    }

    /// Takes the next event, if it is what the rules decide.
    pub fn take(&mut self, event: &AuctionEvent) -> Result<(), Flaw> {
        let lot = &mut self.0;
        let flaw = Flaw { seq: lot.state.seq + 1 };
        let at = event.at.unwrap_or_default();
        if lot.state.seq == 0 {
            lot.state.last_at = at;
        }
        if event.kind() == Kind::ReserveRevealed {
            lot.secrets.reserve = Some(revealed(&lot.terms, event).ok_or(flaw)?);
        }
        if expected(lot, event, at).is_none_or(|expected| expected != *event) {
            return Err(flaw);
        }
        lot.state.apply(event);
        Ok(())
    }

    /// The lot after the last event that was taken.
    #[must_use]
    pub fn state(&self) -> &Lot {
        &self.0
    }

    /// The lot as the whole log leaves it; it hides nothing that the log does not tell.
    #[must_use]
    pub fn lot(self) -> Lot {
        let Lot { terms, state, secrets } = self.0;
        let reserve = secrets.reserve.filter(|_| state.reserve.is_some());
        Lot { terms, state, secrets: Secrets { reserve, ..Secrets::default() } }
    }
}

/// The reserve as an event reveals it, if it is the one of the notice.
fn revealed(terms: &Terms, event: &AuctionEvent) -> Option<Reserve> {
    let reserve = Reserve { price: event.amount.unwrap_or_default(), nonce: event.nonce().to_owned() };
    let told = commitment(&[&terms.listing_id], reserve.price, &reserve.nonce);
    (terms.announced.reserve_commitment.as_ref() == Some(&told)).then_some(reserve)
}

/// What the rules decide in this place, if the log says that something like `event` happened then.
fn expected(lot: &Lot, event: &AuctionEvent, at: Instant) -> Option<AuctionEvent> {
    if at < lot.state.last_at && lot.state.seq > 0 && lot.due(at).is_none() {
        return None;
    }
    let session_id = event.session_id.clone();
    let decided = match event.kind() {
        Kind::Scheduled if lot.state.seq == 0 => Some(lot.event(Kind::Scheduled, at)),
        Kind::Scheduled => None,
        // Its maximum is hidden: any that the rules admit would do.
        Kind::ProxySet if lot.due(at).is_none() => {
            let told = AuctionEvent { commitment: event.commitment.clone(), ..lot.event(Kind::ProxySet, at) };
            Some(told).filter(|_| lot.terms.announced.proxy_allowed && lot.require_live().is_ok())
        }
        kind => match command(lot, event, kind) {
            Some(command) if lot.due(at).is_none() => lot.decide(&command, at).ok(),
            _ => lot.due(at),
        },
    };
    decided.map(|decided| AuctionEvent { session_id, ..decided })
}

/// The command that an event stands for; none for what time alone makes happen.
fn command(lot: &Lot, event: &AuctionEvent, kind: Kind) -> Option<Command> {
    let code = event.bidder_code().to_owned();
    let reason = event.reason().to_owned();
    let amount = event.amount.unwrap_or(Money::ZERO);
    let last = event.closes_at.is_some();
    let commitment = event.commitment().to_owned();
    let opened = |offer| Command::Open { code: code.clone(), commitment: commitment.clone(), offer, last };
    Some(match kind {
        Kind::Admitted => Command::Admit { code, rank: event.preemption_rank },
        Kind::Bid => Command::Bid { code, amount, origin: event.origin(), paddle: event.paddle },
        Kind::Withdrawn => Command::Withdraw { code, reason },
        Kind::Continued => Command::Continue { code },
        Kind::PreemptionExercised => Command::AnswerPreemption { code, exercise: true },
        Kind::PreemptionWaived => Command::AnswerPreemption { code, exercise: false },
        Kind::Accepted => Command::Accept { code },
        Kind::Paused => Command::Pause { reason },
        Kind::Resumed => Command::Resume,
        Kind::Cancelled => Command::Cancel { reason },
        Kind::Asked => Command::Ask { amount },
        Kind::Warned => Command::Warn,
        Kind::Hammered => Command::Hammer,
        Kind::Reopened => Command::Reopen { reason },
        Kind::ShareGiven => Command::GiveShare { trustee: event.named().to_owned(), commitment },
        Kind::EnvelopeOpened => opened(match event.amount {
            Some(amount) => Offer::Some { amount, values: event.values.clone() },
            None => Offer::None,
        }),
        Kind::EnvelopeInvalid => opened(Offer::Invalid(reason)),
        Kind::Scored => Command::Score { member: event.named().to_owned(), code, points: event.values.clone(), last },
        Kind::MemberDismissed => Command::Dismiss { member: event.named().to_owned(), reason, last },
        Kind::BidderRests => Command::Rest { code, reason },
        Kind::BidderReturns => Command::Return { code },
        Kind::BidderExcluded => Command::Exclude { code, reason },
        Kind::PassedOn => Command::PassOn { code: lot.state.lead.as_ref()?.code.clone() },
        Kind::Unsold if lot.is_closed() => Command::PassOn { code: lot.state.lead.as_ref()?.code.clone() },
        _ => return None,
    })
}
