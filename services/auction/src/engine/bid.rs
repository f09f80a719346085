//! One bid: open sessions, DUTCH acceptances, open licences. The checks come in the order of SM-5, one code each.

use kernel::{ErrorCode, Instant, Money};
use wire::v1::{
    AuctionEvent, AuctionEventKind as Kind, BidOrigin, BiddingMode as Mode, BiddingStatus as Status, CloseRule,
    ExtensionTrigger,
};

use super::{LARGEST, Lot};

impl Lot {
    pub(super) fn bid(
        &self,
        code: &str,
        (amount, origin, paddle): (Money, BidOrigin, Option<i32>),
        now: Instant,
    ) -> Result<AuctionEvent, ErrorCode> {
        self.require_live()?;
        // Asked first: under seal nobody is admitted before the opening, and who may bid there is told what does not fit.
        if !(self.terms.is_open() || self.terms.announced.mode() == Mode::Dutch) {
            return Err(ErrorCode::ModeMismatch);
        }
        let bidder = self.require_eligible(code)?;
        if self.state.inquired && !bidder.continues {
            return Err(ErrorCode::NotContinuing);
        }
        if amount <= Money::ZERO || amount > LARGEST {
            return Err(ErrorCode::AmountOutOfRange);
        }
        let rank = match self.terms.announced.mode() {
            Mode::Dutch => self.check_acceptance(amount)?,
            _ => self.check_raise(code, amount, origin)?,
        };
        let closes_at = match self.terms.announced.mode() {
            // The first acceptance ends it.
            Mode::Dutch => Some(now),
            _ => self.end_after_bid(code, now),
        };
        Ok(AuctionEvent {
            bidder_code: Some(code.to_owned()),
            amount: Some(amount),
            closes_at,
            origin: Some(origin.into()),
            preemption_rank: rank,
            paddle,
            ..self.event(Kind::Bid, now)
        })
    }

    /// Requires that bids are taken now.
    pub(super) fn require_live(&self) -> Result<(), ErrorCode> {
        match self.status() {
            Status::Free | Status::Timed => Ok(()),
            Status::Scheduled => Err(ErrorCode::SessionNotOpen),
            Status::Paused => Err(ErrorCode::SessionPaused),
            Status::Inquiry => Err(ErrorCode::SessionNotOpen),
            Status::Preemption
            | Status::Opening
            | Status::Scoring
            | Status::Hammered
            | Status::Sold
            | Status::Unsold
            | Status::Cancelled => Err(ErrorCode::SessionClosed),
        }
    }

    /// The bidder, unless it is none of the lot's, or barred from it.
    pub(super) fn require_eligible(&self, code: &str) -> Result<&super::Bidder, ErrorCode> {
        match self.state.bidders.get(code) {
            None => Err(ErrorCode::NotEligible),
            Some(bidder) if bidder.barred => Err(ErrorCode::NotEligible),
            Some(bidder) if bidder.excluded => Err(ErrorCode::ConflictOfInterest),
            Some(bidder) if bidder.resting => Err(ErrorCode::OrganizationNotVerified),
            Some(bidder) => Ok(bidder),
        }
    }

    fn check_acceptance(&self, amount: Money) -> Result<Option<i32>, ErrorCode> {
        let asking = self.state.asking.unwrap_or(self.terms.starting_price);
        // Whoever saw the price before it fell would pay more than it needs to; whoever hopes for the next one is early.
        if amount == asking { Ok(None) } else { Err(ErrorCode::OutOfOrder) }
    }

    /// The rank of the preemption right that the bid uses, if it does.
    fn check_raise(&self, code: &str, amount: Money, origin: BidOrigin) -> Result<Option<i32>, ErrorCode> {
        let terms = &self.terms;
        let Some(lead) = &self.state.lead else {
            return match amount == terms.starting_price {
                true => Ok(None),
                false if terms.is_better(terms.starting_price, amount) => Err(ErrorCode::BelowStart),
                false => self.check_step(terms.starting_price, amount, origin),
            };
        };
        // The engine may raise a leader's own bid to its maximum, where another maximum has just met it.
        if lead.code == code && origin != BidOrigin::Proxy {
            return Err(ErrorCode::AlreadyLeading);
        }
        if amount == lead.amount {
            return self.match_by_preemption(code).map(Some);
        }
        if !terms.is_better(amount, lead.amount) || terms.is_better(terms.further(lead.amount, 1), amount) {
            let at_start = amount == terms.starting_price;
            return Err(if at_start { ErrorCode::StartPriceTaken } else { ErrorCode::BelowMinIncrement });
        }
        self.check_step(lead.amount, amount, origin)
    }

    fn check_step(&self, base: Money, amount: Money, origin: BidOrigin) -> Result<Option<i32>, ErrorCode> {
        let distance = (amount.0 - base.0).abs();
        let step = self.terms.increment(base).0;
        let asked = self.state.asking == Some(amount) && matches!(origin, BidOrigin::Floor | BidOrigin::Phone);
        // What the auctioneer asks in the hall need not be on the ladder.
        if distance % step != 0 && !asked {
            return Err(ErrorCode::NotStepMultiple);
        }
        match i64::from(self.terms.announced.max_multiple) {
            0 => Ok(None),
            most if distance / step <= most => Ok(None),
            _ => Err(ErrorCode::OverMaxMultiple),
        }
    }

    /// When the phase ends after a bid: a valid one restarts a timed cycle, or moves a soft close, as far as announced.
    fn end_after_bid(&self, code: &str, now: Instant) -> Option<Instant> {
        let (state, announced) = (&self.state, &self.terms.announced);
        let end = state.closes_at?;
        let moves = match announced.extension_trigger() {
            ExtensionTrigger::AnyBid => true,
            ExtensionTrigger::LeadChange => state.lead.as_ref().is_none_or(|lead| lead.code != code),
        };
        let window = i64::from(announced.extension_window_seconds);
        let in_time = match (self.status(), announced.close_rule()) {
            (Status::Timed, _) => true,
            (Status::Free, CloseRule::SoftClose) => end.0 - now.0 <= window * 1_000,
            _ => false,
        };
        let used_up = announced.max_extensions > 0 && state.extensions >= announced.max_extensions;
        if !moves || !in_time || used_up {
            return Some(end);
        }
        let wanted = now.plus_seconds(i64::from(announced.timed_seconds)).max(end);
        let first = state.first_end.unwrap_or(end);
        Some(match i64::from(announced.max_extension_seconds) {
            0 => wanted,
            most => wanted.min(first.plus_seconds(most)).max(end),
        })
    }

    pub(super) fn accept(&self, code: &str, now: Instant) -> Result<AuctionEvent, ErrorCode> {
        self.require_live()?;
        let bidder = self.require_eligible(code)?;
        if self.terms.announced.mode() != Mode::OpenLicence {
            return Err(ErrorCode::ModeMismatch);
        }
        if bidder.standing.is_some() {
            return Err(ErrorCode::AlreadyExists);
        }
        let price = Some(self.terms.starting_price);
        Ok(AuctionEvent { bidder_code: Some(code.to_owned()), amount: price, ..self.event(Kind::Accepted, now) })
    }
}
