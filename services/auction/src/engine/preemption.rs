//! Preemption rights (优先购买权): confirmed beforehand, with rank; used in the session or after it, as announced.

use kernel::{ErrorCode, Instant};
use wire::v1::{AuctionEvent, AuctionEventKind as Kind, BiddingStatus as Status, PreemptionRule};

use super::{Lot, Standing};

impl Lot {
    /// The rank by which a bid equal to the top one leads. Among holders at one price the better rank stays.
    pub(super) fn match_by_preemption(&self, code: &str) -> Result<i32, ErrorCode> {
        let holder = self.state.bidders.get(code).and_then(|bidder| bidder.rank.map(|rank| (bidder, rank)));
        let (Some((bidder, rank)), PreemptionRule::InSession) = (holder, self.terms.announced.preemption()) else {
            // Not below the increment for want of a step, but for want of the right.
            let announced = self.terms.announced.preemption() == PreemptionRule::InSession;
            return Err(if announced { ErrorCode::NoPreemption } else { self.same_price() });
        };
        let quota = self.terms.announced.preemption_quota;
        if quota > 0 && bidder.used >= quota {
            return Err(ErrorCode::PreemptionQuota);
        }
        match self.state.lead.as_ref().and_then(|lead| lead.rank) {
            Some(better) if better <= rank => Err(ErrorCode::NoPreemption),
            _ => Ok(rank),
        }
    }

    fn same_price(&self) -> ErrorCode {
        let start = self.terms.starting_price;
        match self.state.lead.as_ref().is_some_and(|lead| lead.amount == start) {
            true => ErrorCode::StartPriceTaken,
            false => ErrorCode::BelowMinIncrement,
        }
    }

    /// Whether the last quote is still to be offered to holders.
    pub(super) fn owes_offer(&self) -> bool {
        let holder = |code: &str| self.state.bidders.get(code).is_some_and(|bidder| bidder.rank.is_some());
        let asked = self.status() == Status::Preemption;
        let leads = self.best().is_some_and(|best| !holder(&best.code));
        let held = self.state.bidders.values().any(|bidder| bidder.rank.is_some() && bidder.counts());
        self.terms.announced.preemption() == PreemptionRule::AfterSession && !asked && leads && held
    }

    pub(super) fn offer(&self, at: Instant) -> AuctionEvent {
        let best = self.best();
        AuctionEvent {
            amount: best.as_ref().map(|best| best.amount),
            bidder_code: best.map(|best| best.code),
            closes_at: Some(at.plus_seconds(i64::from(self.terms.announced.preemption_seconds))),
            ..self.event(Kind::PreemptionOffered, at)
        }
    }

    pub(super) fn answer_preemption(
        &self,
        code: &str,
        exercise: bool,
        now: Instant,
    ) -> Result<AuctionEvent, ErrorCode> {
        if self.status() != Status::Preemption {
            return Err(ErrorCode::NoOffer);
        }
        let bidder = self.require_eligible(code)?;
        let rank = bidder.rank.ok_or(ErrorCode::NoPreemption)?;
        if bidder.answer.is_some() {
            return Err(ErrorCode::AlreadyAnswered);
        }
        let kind = if exercise { Kind::PreemptionExercised } else { Kind::PreemptionWaived };
        let event = AuctionEvent {
            bidder_code: Some(code.to_owned()),
            preemption_rank: Some(rank),
            amount: self.best().map(|best| best.amount),
            ..self.event(kind, now)
        };
        // Nobody need be waited for who could no longer change the outcome.
        let taken = self.taker().map_or(i32::MAX, |(taken, _)| taken);
        let best = if exercise { taken.min(rank) } else { taken };
        let open = self.state.bidders.iter();
        let open = open.filter(|(other, bidder)| *other != code && bidder.counts() && bidder.answer.is_none());
        let waiting = open.filter_map(|(_, bidder)| bidder.rank).any(|other| other < best);
        Ok(if waiting { event } else { AuctionEvent { closes_at: Some(now), ..event } })
    }

    /// The holder of the best rank that takes the offer.
    fn taker(&self) -> Option<(i32, &str)> {
        let takers = self.state.bidders.iter().filter(|(_, bidder)| bidder.counts() && bidder.answer == Some(true));
        takers.filter_map(|(code, bidder)| Some((bidder.rank?, code.as_str()))).min()
    }

    /// Who acquires the lot, by the order key and the holders' answers.
    pub(super) fn winner(&self) -> Option<Standing> {
        let best = self.best()?;
        let Some((rank, code)) = self.taker() else { return Some(best) };
        Some(Standing { code: code.to_owned(), rank: Some(rank), ..best })
    }
}
