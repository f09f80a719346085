//! What time alone makes happen, one event at a time: phases, price drops, the close.

use kernel::Instant;
use wire::v1::{
    AuctionEvent, AuctionEventKind as Kind, BiddingMode as Mode, BiddingStatus as Status, CloseRule, CriterionKind,
    TieRule,
};

use super::{Lot, Standing};

impl Lot {
    /// What time alone makes happen by `now`: one event, to be applied before asking again. It carries the instant at
    /// which it fell due, whenever it is noticed.
    #[must_use]
    pub fn due(&self, now: Instant) -> Option<AuctionEvent> {
        let at = self.wakes_at().filter(|at| *at <= now)?;
        let cycle = || Some(at.plus_seconds(i64::from(self.terms.announced.timed_seconds)));
        Some(match self.status() {
            Status::Scheduled => self.open(at),
            Status::Free => match self.terms.announced.mode() {
                Mode::Dutch if self.state.lead.is_none() => self.drop(at),
                Mode::OpenLicence => self.end_licence(at),
                _ if self.terms.is_sealed() => AuctionEvent { closes_at: None, ..self.event(Kind::Sealed, at) },
                _ if !self.terms.is_open() => self.close(at),
                _ => match self.terms.announced.close_rule() {
                    CloseRule::SoftClose => self.close(at),
                    CloseRule::InquiryThenTimed if self.state.lead.is_none() => self.close(at),
                    CloseRule::InquiryThenTimed => {
                        let end = at.plus_seconds(i64::from(self.terms.announced.inquiry_seconds));
                        AuctionEvent { closes_at: Some(end), ..self.event(Kind::Inquiry, at) }
                    }
                    _ => AuctionEvent { closes_at: cycle(), ..self.event(Kind::Timed, at) },
                },
            },
            Status::Inquiry => AuctionEvent { closes_at: cycle(), ..self.event(Kind::Timed, at) },
            Status::Opening => self.after_opening(at),
            _ => self.close(at),
        })
    }

    fn open(&self, at: Instant) -> AuctionEvent {
        let announced = &self.terms.announced;
        let (closes_at, amount) = match announced.mode() {
            Mode::Dutch => (Some(at.plus_seconds(i64::from(announced.drop_seconds))), Some(self.terms.starting_price)),
            _ => (self.terms.free_end(), None),
        };
        let round = self.terms.is_sealed().then_some(1);
        AuctionEvent { closes_at, amount, round, ..self.event(Kind::Opened, at) }
    }

    /// The next lower price; after the lowest, nobody wanted it.
    fn drop(&self, at: Instant) -> AuctionEvent {
        let announced = &self.terms.announced;
        let lowest = announced.lowest_price.unwrap_or(self.terms.starting_price);
        let asking = self.state.asking.unwrap_or(self.terms.starting_price);
        if asking <= lowest {
            return self.close(at);
        }
        let lower = asking.0.saturating_sub(announced.drop.unwrap_or_default().0.max(1));
        let next = at.plus_seconds(i64::from(announced.drop_seconds.max(1)));
        AuctionEvent {
            amount: Some(kernel::Money(lower).max(lowest)),
            closes_at: Some(next),
            ..self.event(Kind::Dropped, at)
        }
    }

    fn end_licence(&self, at: Instant) -> AuctionEvent {
        let taken = self.state.bidders.values().any(|bidder| bidder.counts() && bidder.standing.is_some());
        let kind = if taken { Kind::Sold } else { Kind::Unsold };
        AuctionEvent { closes_at: None, ..self.event(kind, at) }
    }

    /// The steps of a close, each once: the reserve is revealed, holders are asked, the lot is sold or not.
    fn close(&self, at: Instant) -> AuctionEvent {
        if let Some(reserve) = self.secrets.reserve.as_ref().filter(|_| self.state.reserve.is_none()) {
            return AuctionEvent {
                amount: Some(reserve.price),
                nonce: Some(reserve.nonce.clone()),
                closes_at: Some(at),
                ..self.event(Kind::ReserveRevealed, at)
            };
        }
        let unsold = AuctionEvent { closes_at: None, ..self.event(Kind::Unsold, at) };
        let best = self.best();
        let Some(best) = best.filter(|best| self.meets_reserve(best)) else { return unsold };
        if self.owes_offer() {
            return self.offer(at);
        }
        let winner = self.winner().unwrap_or(best);
        AuctionEvent {
            bidder_code: Some(winner.code),
            amount: Some(winner.amount),
            preemption_rank: winner.rank,
            closes_at: None,
            ..self.event(Kind::Sold, at)
        }
    }

    fn meets_reserve(&self, best: &Standing) -> bool {
        self.state.reserve.is_none_or(|reserve| !self.terms.is_better(reserve, best.amount))
    }

    /// All envelopes of the round are open: another round, the panel, or the close.
    fn after_opening(&self, at: Instant) -> AuctionEvent {
        let (state, announced) = (&self.state, &self.terms.announced);
        let next = |going_on| {
            let end = at.plus_seconds(i64::from(announced.free_seconds));
            let round = Some(state.round + 1);
            AuctionEvent { round, going_on, closes_at: Some(end), ..self.event(Kind::RoundOpened, at) }
        };
        let offered = state.bidders.iter().filter(|(_, bidder)| bidder.counts() && bidder.standing.is_some());
        let offered: Vec<String> = offered.map(|(code, _)| code.clone()).collect();
        if state.round < self.rounds() && offered.len() > 1 && !state.fell_back {
            return next(offered);
        }
        let panel = announced.criteria.iter().any(|criterion| criterion.kind() == CriterionKind::Panel);
        if panel && !offered.is_empty() {
            return AuctionEvent { closes_at: None, ..self.event(Kind::Scoring, at) };
        }
        // One extra round among equals, not more: then the earlier offer decides. An evaluation has no key for one.
        let again = announced.tie_rule() == TieRule::ExtraRound && announced.mode() != Mode::Evaluation;
        let extra = again && state.round == self.rounds() && !state.fell_back;
        let equals = self.equals();
        if extra && equals.len() > 1 { next(equals) } else { self.close(at) }
    }

    /// How many sealed rounds were announced, without an extra one.
    pub(super) fn rounds(&self) -> i32 {
        let announced = &self.terms.announced;
        if announced.mode() == Mode::MultiRoundSealed { announced.rounds.max(1) } else { 1 }
    }
}
