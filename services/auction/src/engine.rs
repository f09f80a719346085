//! The rules of an ascending session with a two-stage close (SM-5): a free period of fixed length, then a
//! timed period that each valid bid restarts; it ends after one silent cycle.
//!
//! Pure: no I/O, no clock, no randomness. `due` and `bid` decide, `apply` moves the state, and replaying
//! the log gives the same state again.

use kernel::{ErrorCode, Instant, Money, Refusal};
use wire::v1::{AuctionEvent, AuctionEventKind as Kind, BiddingStatus as Status};

/// More than this in one bid is a slip: ten trillion yuan, in fen.
const LARGEST: Money = Money(1_000_000_000_000_000);

/// What is fixed when the session is scheduled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The first bid may equal it.
    pub starting_price: Money,
    /// A raise is a positive multiple of it.
    pub increment: Money,
    /// When free bidding begins.
    pub starts_at: Instant,
    /// When the timed period begins.
    pub free_ends_at: Instant,
    /// Length of one timed cycle.
    pub timed_seconds: i64,
}

/// The leading bid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    /// The bidder's anonymous code.
    pub code: String,
    /// What it offers.
    pub amount: Money,
}

/// The whole state of one lot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lot {
    /// What was fixed.
    pub terms: Terms,
    /// The phase.
    pub status: Status,
    /// The number of the last event.
    pub seq: i64,
    /// How many bids were accepted.
    pub bid_count: i64,
    /// Who leads.
    pub lead: Option<Lead>,
    /// When the phase ends, while there is one.
    pub closes_at: Option<Instant>,
    /// No later event is earlier than this.
    pub last_at: Instant,
}

/// Every legal move. Anything absent is refused.
#[must_use]
pub fn next(status: Status) -> &'static [Status] {
    match status {
        Status::Scheduled => &[Status::Free],
        Status::Free => &[Status::Timed],
        Status::Timed => &[Status::Sold, Status::Unsold],
        Status::Sold | Status::Unsold => &[],
    }
}

impl Lot {
    /// A lot as scheduled, before its first event.
    #[must_use]
    pub fn scheduled(terms: Terms, now: Instant) -> Lot {
        Lot { terms, status: Status::Scheduled, seq: 0, bid_count: 0, lead: None, closes_at: None, last_at: now }
    }

    /// Whether nothing can happen any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        next(self.status).is_empty()
    }

    /// When time alone will move the lot; none once it is closed.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Instant> {
        match self.status {
            Status::Scheduled => Some(self.terms.starts_at),
            _ => self.closes_at,
        }
    }

    /// What time alone makes happen by `now`: one event, to be applied before asking again. It carries the
    /// instant at which it fell due, whenever it is noticed.
    #[must_use]
    pub fn due(&self, now: Instant) -> Option<AuctionEvent> {
        let at = self.wakes_at().filter(|at| *at <= now)?;
        Some(match (self.status, &self.lead) {
            (Status::Scheduled, _) => self.event(Kind::Opened, at, Some(self.terms.free_ends_at)),
            (Status::Free, _) => self.event(Kind::Timed, at, Some(self.cycle_from(at))),
            (_, Some(lead)) => AuctionEvent {
                bidder_code: Some(lead.code.clone()),
                amount: Some(lead.amount),
                ..self.event(Kind::Sold, at, None)
            },
            (_, None) => self.event(Kind::Unsold, at, None),
        })
    }

    /// Decides one bid. Expects that what was due by `now` is applied. The checks come in this order:
    /// open, in range, not leading already, start, increment, multiple.
    pub fn bid(&self, code: &str, amount: Money, now: Instant) -> Result<AuctionEvent, Box<Refusal>> {
        self.check(code, amount).map_err(|error_code| Box::new(self.refuse(error_code, now)))?;
        let closes_at = match self.status {
            Status::Timed => Some(self.cycle_from(now)),
            _ => self.closes_at,
        };
        Ok(AuctionEvent {
            bidder_code: Some(code.to_owned()),
            amount: Some(amount),
            ..self.event(Kind::Bid, now, closes_at)
        })
    }

    fn check(&self, code: &str, amount: Money) -> Result<(), ErrorCode> {
        match self.status {
            Status::Scheduled => return Err(ErrorCode::SessionNotOpen),
            Status::Sold | Status::Unsold => return Err(ErrorCode::SessionClosed),
            Status::Free | Status::Timed => {}
        }
        if amount <= Money::ZERO || amount > LARGEST {
            return Err(ErrorCode::AmountOutOfRange);
        }
        let (base, below) = match &self.lead {
            Some(lead) if lead.code == code => return Err(ErrorCode::AlreadyLeading),
            Some(lead) => (lead.amount, ErrorCode::BelowMinIncrement),
            None => (self.terms.starting_price, ErrorCode::BelowStart),
        };
        if amount < self.minimum() {
            return Err(below);
        }
        if (amount.0 - base.0) % self.terms.increment.0 != 0 {
            return Err(ErrorCode::NotStepMultiple);
        }
        Ok(())
    }

    /// A refusal that tells where the lot stands.
    #[must_use]
    pub fn refuse(&self, code: ErrorCode, now: Instant) -> Refusal {
        let refusal = Refusal {
            current_price: self.lead.as_ref().map(|lead| lead.amount),
            server_time: Some(now),
            ..Refusal::new(code).at_field("amount").by_rule("SM-5")
        };
        match self.status {
            Status::Scheduled => refusal.accepting(format!("≥ {}", self.terms.starts_at)),
            Status::Sold | Status::Unsold => refusal,
            Status::Free | Status::Timed => {
                let (minimum, step) = (self.minimum(), self.terms.increment);
                Refusal { minimum_amount: Some(minimum), ..refusal.accepting(format!("{minimum} + k × {step}")) }
            }
        }
    }

    /// The least amount that would be accepted now.
    #[must_use]
    pub fn minimum(&self) -> Money {
        match &self.lead {
            Some(lead) => Money(lead.amount.0.saturating_add(self.terms.increment.0)),
            None => self.terms.starting_price,
        }
    }

    /// Moves the state by one decided event.
    pub fn apply(&mut self, event: &AuctionEvent) {
        self.seq = event.seq;
        self.last_at = self.last_at.max(event.at.unwrap_or(self.last_at));
        self.closes_at = event.closes_at;
        match event.kind() {
            Kind::Scheduled => self.status = Status::Scheduled,
            Kind::Opened => self.status = Status::Free,
            Kind::Timed => self.status = Status::Timed,
            Kind::Sold => self.status = Status::Sold,
            Kind::Unsold => self.status = Status::Unsold,
            Kind::Bid => {
                self.bid_count += 1;
                let code = event.bidder_code.clone().unwrap_or_default();
                self.lead = Some(Lead { code, amount: event.amount.unwrap_or_default() });
            }
        }
    }

    /// The next event's frame.
    #[must_use]
    pub fn event(&self, kind: Kind, at: Instant, closes_at: Option<Instant>) -> AuctionEvent {
        AuctionEvent { seq: self.seq + 1, kind: kind.into(), at: Some(at), closes_at, ..AuctionEvent::default() }
    }

    fn cycle_from(&self, at: Instant) -> Instant {
        at.plus_seconds(self.terms.timed_seconds)
    }
}

/// Recomputes a lot from its terms and its log, checking every event against the rules: nothing but what
/// the rules would have decided, in order and without holes. Errors name the first bad event's number.
pub fn replay(terms: Terms, log: &[AuctionEvent]) -> Result<Lot, i64> {
    let start = log.first().and_then(|event| event.at).unwrap_or_default();
    let mut lot = Lot::scheduled(terms, start);
    for event in log {
        let (seq, at) = (lot.seq + 1, event.at.unwrap_or_default());
        let expected = match event.kind() {
            Kind::Scheduled if lot.seq == 0 => Some(lot.event(Kind::Scheduled, at, None)),
            Kind::Scheduled => None,
            Kind::Bid if lot.due(at).is_none() && at >= lot.last_at => {
                lot.bid(event.bidder_code(), event.amount.unwrap_or_default(), at).ok()
            }
            Kind::Bid => None,
            _ => lot.due(at),
        };
        let same = |e: AuctionEvent| AuctionEvent { session_id: event.session_id.clone(), ..e } == *event;
        if !expected.is_some_and(same) {
            return Err(seq);
        }
        lot.apply(event);
    }
    Ok(lot)
}
