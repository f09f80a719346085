//! What the auctioneer does in the hall: the asking price, fair warning, the hammer, and taking a lot up again.

use kernel::{ErrorCode, Instant, Money};
use wire::v1::{AuctionEvent, AuctionEventKind as Kind, BiddingStatus as Status};

use super::{LARGEST, Lot};

impl Lot {
    fn require_floor(&self) -> Result<(), ErrorCode> {
        match self.terms.is_ended_by_hammer() {
            true => Ok(()),
            false => Err(ErrorCode::ModeMismatch),
        }
    }

    /// The floor price stays what was bid; the asking price is what the auctioneer calls for next.
    pub(super) fn ask(&self, amount: Money, now: Instant) -> Result<AuctionEvent, ErrorCode> {
        self.require_floor()?;
        self.require_live()?;
        if amount <= Money::ZERO || amount > LARGEST {
            return Err(ErrorCode::AmountOutOfRange);
        }
        let beaten = match &self.state.lead {
            Some(lead) => !self.terms.is_better(amount, lead.amount),
            None => self.terms.is_better(self.terms.starting_price, amount),
        };
        if beaten {
            return Err(ErrorCode::BelowMinIncrement);
        }
        Ok(AuctionEvent { amount: Some(amount), ..self.event(Kind::Asked, now) })
    }

    pub(super) fn warn(&self, now: Instant) -> Result<AuctionEvent, ErrorCode> {
        self.require_floor()?;
        self.require_live()?;
        Ok(self.event(Kind::Warned, now))
    }

    /// After at least one fair warning since the last bid. The lot closes when the time to take it up again is over.
    pub(super) fn hammer(&self, now: Instant) -> Result<AuctionEvent, ErrorCode> {
        self.require_floor()?;
        self.require_live()?;
        if self.state.warnings == 0 {
            return Err(ErrorCode::WarningDue);
        }
        let end = now.plus_seconds(i64::from(self.terms.announced.timed_seconds));
        let lead = self.state.lead.as_ref();
        Ok(AuctionEvent {
            bidder_code: lead.map(|lead| lead.code.clone()),
            amount: lead.map(|lead| lead.amount),
            closes_at: Some(end),
            ..self.event(Kind::Hammered, now)
        })
    }

    pub(super) fn reopen(&self, reason: &str, now: Instant) -> Result<AuctionEvent, ErrorCode> {
        self.require_floor()?;
        if self.status() != Status::Hammered {
            return Err(ErrorCode::IllegalTransition);
        }
        Ok(AuctionEvent { reason: Some(reason.to_owned()), closes_at: None, ..self.event(Kind::Reopened, now) })
    }
}
