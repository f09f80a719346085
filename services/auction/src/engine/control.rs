//! What staff and bidders do to the course of a session: pauses, the end without a result, withdrawals, defaults.

use kernel::{ErrorCode, Instant};
use wire::v1::{AuctionEvent, AuctionEventKind as Kind, BiddingStatus as Status};

use super::Lot;

impl Lot {
    /// Before bidding ends: the others were admitted when it was scheduled.
    pub(super) fn admit(&self, code: &str, rank: Option<i32>, now: Instant) -> Result<AuctionEvent, ErrorCode> {
        match self.status() {
            // Who offers under seal is not known before the opening.
            Status::Opening if self.terms.is_sealed() => {}
            _ if self.terms.is_sealed() => return Err(ErrorCode::IllegalTransition),
            Status::Scheduled => {}
            Status::Free if self.terms.takes_late_bidders() => {}
            _ if self.is_closed() => return Err(ErrorCode::SessionClosed),
            _ => return Err(ErrorCode::IllegalTransition),
        }
        if self.state.bidders.contains_key(code) {
            return Err(ErrorCode::AlreadyExists);
        }
        Ok(AuctionEvent {
            bidder_code: Some(code.to_owned()),
            preemption_rank: rank,
            ..self.event(Kind::Admitted, now)
        })
    }

    /// The end stays where it is: whoever led before leads again, and has no more time than announced.
    pub(super) fn withdraw(&self, code: &str, reason: &str, now: Instant) -> Result<AuctionEvent, ErrorCode> {
        self.require_live()?;
        self.require_eligible(code)?;
        if !self.terms.announced.withdrawal_allowed || self.status() == Status::Timed || !self.terms.is_open() {
            return Err(ErrorCode::WithdrawalNotAllowed);
        }
        if self.state.lead.as_ref().is_none_or(|lead| lead.code != code) {
            return Err(ErrorCode::NotLeading);
        }
        Ok(AuctionEvent {
            bidder_code: Some(code.to_owned()),
            amount: self.runner_up(code).map(|next| next.amount),
            reason: Some(reason.to_owned()),
            ..self.event(Kind::Withdrawn, now)
        })
    }

    pub(super) fn go_on(&self, code: &str, now: Instant) -> Result<AuctionEvent, ErrorCode> {
        if self.status() != Status::Inquiry {
            return Err(ErrorCode::NotInInquiry);
        }
        let bidder = self.require_eligible(code)?;
        if bidder.standing.is_none() {
            return Err(ErrorCode::NoValidBid);
        }
        if bidder.continues {
            return Err(ErrorCode::AlreadyAnswered);
        }
        Ok(AuctionEvent { bidder_code: Some(code.to_owned()), ..self.event(Kind::Continued, now) })
    }

    pub(super) fn pause(&self, reason: &str, now: Instant) -> Result<AuctionEvent, ErrorCode> {
        match self.status() {
            Status::Paused => return Err(ErrorCode::SessionPaused),
            // Before it begins there is no time to keep.
            Status::Scheduled => return Err(ErrorCode::SessionNotOpen),
            _ if self.is_closed() => return Err(ErrorCode::SessionClosed),
            _ => {}
        }
        Ok(AuctionEvent { reason: Some(reason.to_owned()), closes_at: None, ..self.event(Kind::Paused, now) })
    }

    pub(super) fn resume(&self, now: Instant) -> Result<AuctionEvent, ErrorCode> {
        let pause = self.state.paused.as_ref().ok_or(ErrorCode::IllegalTransition)?;
        let closes_at = pause.remaining.map(|millis| Instant(now.0.saturating_add(millis)));
        Ok(AuctionEvent { closes_at, ..self.event(Kind::Resumed, now) })
    }

    pub(super) fn cancel(&self, reason: &str, now: Instant) -> Result<AuctionEvent, ErrorCode> {
        if self.is_closed() {
            return Err(ErrorCode::SessionClosed);
        }
        Ok(AuctionEvent { reason: Some(reason.to_owned()), closes_at: None, ..self.event(Kind::Cancelled, now) })
    }

    /// The lot of a defaulter passes to the next bidder by the order key, if there is one that meets the reserve.
    pub(super) fn pass_on(&self, code: &str, now: Instant) -> Result<AuctionEvent, ErrorCode> {
        let lead = self.state.lead.as_ref().filter(|lead| self.status() == Status::Sold && lead.code == code);
        let lead = lead.ok_or(ErrorCode::IllegalTransition)?;
        let next = self.runner_up(&lead.code);
        let next = next.filter(|next| {
            let reserve = self.state.reserve;
            reserve.is_none_or(|reserve| !self.terms.is_better(reserve, next.amount))
        });
        Ok(match next {
            None => self.event(Kind::Unsold, now),
            Some(next) => AuctionEvent {
                bidder_code: Some(next.code.clone()),
                amount: Some(next.amount),
                preemption_rank: next.rank,
                ..self.event(Kind::PassedOn, now)
            },
        })
    }
}
