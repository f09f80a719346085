//! What is fixed before the first bid: the notice, and what it keeps secret.

use kernel::{Instant, Money};
use wire::v1::{BiddingMode as Mode, BiddingTerms, CloseRule, SealedKey};

/// The terms of one lot. Serde writes how they read in the lot's evidence.
#[derive(Clone, PartialEq, prost::Message, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Terms {
    /// What the notice announced.
    #[prost(message, required, tag = "1")]
    pub announced: BiddingTerms,
    /// The first bid may equal it.
    #[prost(message, required, tag = "2")]
    #[serde(serialize_with = "wire::readable::printed")]
    pub starting_price: Money,
    /// When bidding begins.
    #[prost(message, required, tag = "3")]
    #[serde(serialize_with = "wire::readable::printed")]
    pub starts_at: Instant,
    /// When free quoting inside the disclosure period ends (DYNAMIC_LISTING); otherwise a length decides.
    #[prost(message, optional, tag = "4")]
    #[serde(serialize_with = "wire::readable::text", skip_serializing_if = "Option::is_none")]
    pub free_ends_at: Option<Instant>,
    /// What the reserve's commitment stands for, and where a verifier looks for it.
    #[prost(string, tag = "5")]
    pub listing_id: String,
    /// To what sealed offers are sealed, round by round.
    #[prost(message, repeated, tag = "6")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sealed_keys: Vec<SealedKey>,
}

/// The secret reserve price (保留价) and the nonce that hides it in its commitment.
#[derive(Clone, PartialEq, Eq, prost::Message)]
#[prost(skip_debug)]
pub struct Reserve {
    /// Below it the lot stays unsold; in REVERSE above it.
    #[prost(message, required, tag = "1")]
    pub price: Money,
    /// Hexadecimal.
    #[prost(string, tag = "2")]
    pub nonce: String,
}

impl std::fmt::Debug for Reserve {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reserve(…)")
    }
}

impl Terms {
    /// When the free period ends unless it is extended; none where the auctioneer's hammer ends it.
    #[must_use]
    pub fn free_end(&self) -> Option<Instant> {
        if self.is_ended_by_hammer() {
            return None;
        }
        self.free_ends_at.or_else(|| Some(self.starts_at.plus_seconds(i64::from(self.announced.free_seconds))))
    }

    /// Whether every bid is seen by all, and each must beat the last.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.announced.mode(), Mode::Ascending | Mode::DynamicListing | Mode::Reverse)
    }

    /// Whether offers come in sealed envelopes.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        matches!(self.announced.mode(), Mode::SealedSingle | Mode::MultiRoundSealed | Mode::Weighted | Mode::Evaluation)
    }

    /// The key of a sealed round, 1 the first.
    #[must_use]
    pub fn sealed_key(&self, round: i32) -> Option<&SealedKey> {
        self.sealed_keys.get(usize::try_from(round).ok()?.checked_sub(1)?)
    }

    /// Whether the lowest price wins.
    #[must_use]
    pub fn is_reverse(&self) -> bool {
        self.announced.mode() == Mode::Reverse
    }

    /// Whether an auctioneer decides when it ends.
    #[must_use]
    pub fn is_ended_by_hammer(&self) -> bool {
        self.announced.close_rule() == CloseRule::Hammer
    }

    /// Whether bidders may come while bidding goes on.
    #[must_use]
    pub fn takes_late_bidders(&self) -> bool {
        self.announced.mode() == Mode::DynamicListing || self.is_ended_by_hammer()
    }

    /// Whether an amount is better than another for the side that sells (in REVERSE: that buys).
    #[must_use]
    pub fn is_better(&self, amount: Money, than: Money) -> bool {
        if self.is_reverse() { amount < than } else { amount > than }
    }

    /// By how much one must move from this price.
    #[must_use]
    pub fn increment(&self, price: Money) -> Money {
        let steps = self.announced.increments.iter();
        let step = steps.take_while(|step| step.from.unwrap_or_default() <= price).last();
        Money(step.and_then(|step| step.increment).unwrap_or(Money(1)).0.max(1))
    }

    /// The price `count` increments further on.
    #[must_use]
    pub fn further(&self, price: Money, count: i64) -> Money {
        let distance = self.increment(price).0.saturating_mul(count);
        let moved = if self.is_reverse() { price.0.saturating_sub(distance) } else { price.0.saturating_add(distance) };
        Money(moved)
    }

    /// The furthest price on the ladder from `price` that does not go beyond `limit`; none if even one step does.
    #[must_use]
    pub fn furthest(&self, price: Money, limit: Money) -> Option<Money> {
        let room = if self.is_reverse() { price.0.checked_sub(limit.0) } else { limit.0.checked_sub(price.0) };
        let count = room? / self.increment(price).0;
        (count > 0).then(|| self.further(price, count))
    }
}
