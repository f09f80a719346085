//! Sealed offers: what the opening ceremony brings to light, in the order in which the envelopes had come.

use kernel::{ErrorCode, Instant, Money};
use wire::v1::{AuctionEvent, AuctionEventKind as Kind, BiddingStatus as Status, OfferValue};

use super::{Bidder, LARGEST, Lot, Offer, Standing, score::is_offered};

impl Lot {
    pub(super) fn give_share(&self, trustee: &str, commitment: &str, now: Instant) -> Result<AuctionEvent, ErrorCode> {
        if self.status() != Status::Opening {
            return Err(self.not_opening());
        }
        if let Some(key) = self.terms.sealed_key(self.state.round) {
            let named = key.trustees.iter().find(|named| named.name == trustee).ok_or(ErrorCode::NoTrustee)?;
            if named.digest != commitment {
                return Err(ErrorCode::FalseShare);
            }
        }
        if self.state.shares.iter().any(|given| given == trustee) {
            return Err(ErrorCode::AlreadyAnswered);
        }
        Ok(AuctionEvent {
            named: Some(trustee.to_owned()),
            commitment: Some(commitment.to_owned()),
            ..self.event(Kind::ShareGiven, now)
        })
    }

    fn not_opening(&self) -> ErrorCode {
        if self.terms.is_sealed() { ErrorCode::IllegalTransition } else { ErrorCode::ModeMismatch }
    }

    /// Whether as many trustees have met as it takes.
    #[must_use]
    pub fn may_open(&self) -> bool {
        let needed = self.terms.sealed_key(self.state.round).map_or(0, |key| key.threshold);
        self.status() == Status::Opening
            && !self.state.complete
            && i32::try_from(self.state.shares.len()).is_ok_and(|given| given >= needed)
    }

    pub(super) fn open_envelope(
        &self,
        code: &str,
        commitment: &str,
        (offer, last): (&Offer, bool),
        now: Instant,
    ) -> Result<AuctionEvent, ErrorCode> {
        if !self.may_open() {
            return Err(self.not_opening());
        }
        // The envelope of a bidder who rests is opened like all others; that it counts for nothing decides afterwards.
        if self.state.bidders.get(code).ok_or(ErrorCode::NotEligible)?.opened {
            return Err(ErrorCode::AlreadyAnswered);
        }
        let opened = AuctionEvent {
            bidder_code: Some(code.to_owned()),
            commitment: Some(commitment.to_owned()),
            round: Some(self.state.round),
            closes_at: last.then_some(now),
            ..self.event(Kind::EnvelopeOpened, now)
        };
        let invalid = |reason: &str| AuctionEvent {
            kind: Kind::EnvelopeInvalid.into(),
            reason: Some(reason.to_owned()),
            ..opened.clone()
        };
        Ok(match offer {
            Offer::None => opened,
            Offer::Invalid(reason) => invalid(reason),
            Offer::Some { amount, values } => match self.flaw(code, *amount, values) {
                Some(flaw) => invalid(flaw),
                None => AuctionEvent { amount: Some(*amount), values: values.clone(), ..opened },
            },
        })
    }

    /// What makes an offer that could be read no valid one.
    fn flaw(&self, code: &str, amount: Money, values: &[OfferValue]) -> Option<&'static str> {
        let bidder = self.state.bidders.get(code);
        let shut_out = bidder.is_some_and(|bidder| bidder.shut_out);
        let asked = || self.terms.announced.criteria.iter().filter(|criterion| is_offered(criterion));
        let named = |value: &OfferValue| value.value >= 0 && asked().any(|criterion| criterion.name == value.name);
        if shut_out {
            Some("NOT_IN_THIS_ROUND")
        } else if amount <= Money::ZERO || amount > LARGEST {
            Some("AMOUNT_OUT_OF_RANGE")
        } else if self.terms.is_better(self.terms.starting_price, amount) {
            Some("BELOW_START")
        } else if !values.iter().all(named) || asked().count() != values.len() {
            Some("VALUES_DIFFER")
        } else if bidder.is_some_and(|bidder| self.takes_back(bidder, amount, values)) {
            Some("BELOW_OWN_OFFER")
        } else {
            None
        }
    }

    /// Whether an offer of the extra round is in any number worse than the bidder's own before: equals are asked for
    /// more, and a bid once made is not taken back (拍卖法 36).
    fn takes_back(&self, bidder: &Bidder, amount: Money, values: &[OfferValue]) -> bool {
        let Some(before) = bidder.before.as_ref().filter(|_| self.state.round > self.rounds()) else { return false };
        let anew = Standing { amount, values: values.to_vec(), ..Standing::default() };
        match self.terms.announced.criteria.is_empty() {
            true => self.terms.is_better(before.amount, amount),
            false => self.is_worse(&anew, before),
        }
    }

    /// The best offer by the order key: (price or composite, preemption rank, seq).
    pub(super) fn best(&self) -> Option<Standing> {
        if !self.terms.is_sealed() {
            return self.state.lead.clone();
        }
        self.first()
    }

    /// The first of all standing bids by the order key.
    pub(super) fn first(&self) -> Option<Standing> {
        self.ranked().into_iter().next()
    }

    /// The best that remains without this bidder.
    pub(super) fn runner_up(&self, without: &str) -> Option<Standing> {
        self.ranked().into_iter().find(|standing| standing.code != without)
    }

    /// The codes of the best offer, and of all that are equal to it.
    pub(super) fn equals(&self) -> Vec<String> {
        let ranked = self.ranked();
        let Some(best) = ranked.first().map(|best| self.worth(best)) else { return Vec::new() };
        let equal = ranked.iter().filter(|standing| self.worth(standing) == best);
        let mut codes: Vec<String> = equal.map(|standing| standing.code.clone()).collect();
        codes.sort_unstable();
        codes
    }

    /// All standing bids, the best first.
    fn ranked(&self) -> Vec<Standing> {
        let eligible = self.state.bidders.values().filter(|bidder| bidder.counts());
        let mut standings: Vec<Standing> = eligible.filter_map(|bidder| bidder.standing.clone()).collect();
        standings.sort_by_cached_key(|standing| {
            let rank = standing.rank.unwrap_or(i32::MAX);
            (std::cmp::Reverse(self.worth(standing)), rank, standing.seq)
        });
        standings
    }

    /// What a bid is worth to the side that sells: more is better.
    fn worth(&self, standing: &Standing) -> i128 {
        match self.terms.announced.criteria.is_empty() {
            false => self.composite(standing),
            true if self.terms.is_reverse() => -i128::from(standing.amount.0),
            true => i128::from(standing.amount.0),
        }
    }
}
