//! Bidders who may not go on: a suspended or closed organization rests until it is reinstated, one that is excluded does not
//! come back. What they had bid counts for nothing meanwhile, and whoever is next by the order key leads.

use kernel::{ErrorCode, Instant, Money};
use wire::v1::{AuctionEvent, AuctionEventKind as Kind, BiddingStatus as Status};

use super::{Bidder, Lot};

impl Lot {
    /// At any time: also of a lot that is sold, since it may pass on.
    pub(super) fn rest(&self, code: &str, reason: &str, now: Instant) -> Result<AuctionEvent, ErrorCode> {
        if self.standing_of(code)?.resting {
            return Err(ErrorCode::AlreadyExists);
        }
        let amount = self.lead_after(code, |bidder| bidder.resting = true);
        Ok(AuctionEvent { reason: Some(reason.to_owned()), ..self.moved(Kind::BidderRests, (code, amount), now) })
    }

    pub(super) fn come_back(&self, code: &str, now: Instant) -> Result<AuctionEvent, ErrorCode> {
        if !self.standing_of(code)?.resting {
            return Err(ErrorCode::AlreadyExists);
        }
        let amount = self.lead_after(code, |bidder| bidder.resting = false);
        Ok(self.moved(Kind::BidderReturns, (code, amount), now))
    }

    /// Only while the lot is paused: nobody is put out of a race that runs.
    pub(super) fn exclude(&self, code: &str, reason: &str, now: Instant) -> Result<AuctionEvent, ErrorCode> {
        if self.standing_of(code)?.excluded {
            return Err(ErrorCode::AlreadyExists);
        }
        if self.status() != Status::Paused {
            return Err(ErrorCode::IllegalTransition);
        }
        let amount = self.lead_after(code, |bidder| bidder.excluded = true);
        Ok(AuctionEvent { reason: Some(reason.to_owned()), ..self.moved(Kind::BidderExcluded, (code, amount), now) })
    }

    fn standing_of(&self, code: &str) -> Result<&Bidder, ErrorCode> {
        match self.status() {
            Status::Unsold | Status::Cancelled => Err(ErrorCode::SessionClosed),
            _ => self.state.bidders.get(code).ok_or(ErrorCode::NotEligible),
        }
    }

    fn moved(&self, kind: Kind, (code, amount): (&str, Option<Money>), now: Instant) -> AuctionEvent {
        AuctionEvent { bidder_code: Some(code.to_owned()), amount, ..self.event(kind, now) }
    }

    /// What is led with once the bidder has changed; none under seal, where nobody leads, and where the lot is sold.
    fn lead_after(&self, code: &str, change: impl FnOnce(&mut Bidder)) -> Option<Money> {
        if self.terms.is_sealed() || self.status() == Status::Sold {
            return None;
        }
        let mut after = self.clone();
        if let Some(bidder) = after.state.bidders.get_mut(code) {
            change(bidder);
        }
        after.first().map(|best| best.amount)
    }
}
