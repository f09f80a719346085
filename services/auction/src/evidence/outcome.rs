//! Who has the lot, for how much, and when bidding ended: the last line, and what a verifier must find.

use kernel::{Instant, Money};
use serde::Serialize;
use wire::{
    readable::text,
    v1::{AuctionEvent, AuctionEventKind as Kind, BiddingMode, BiddingStatus as Status},
};

use crate::engine::{Lot, Standing};

/// The result of a lot. Names stand in the transaction confirmation; here bidders keep their codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// SOLD, UNSOLD or CANCELLED.
    pub result: &'static str,
    /// The code of the winner, if one has the lot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub winner: Option<String>,
    /// Its price.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub price: Option<Money>,
    /// Of an open licence: all who took it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub licensees: Vec<Licensee>,
    /// When bidding ended; what happened to the winner later does not move it.
    #[serde(serialize_with = "text")]
    pub end: Option<Instant>,
}

/// One acceptor of an open licence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Licensee {
    /// Its code.
    pub code: String,
    /// What it pays.
    #[serde(serialize_with = "text")]
    pub price: Option<Money>,
}

impl Outcome {
    /// The result of a lot that is closed.
    #[must_use]
    pub fn of(lot: &Lot, end: Option<Instant>) -> Outcome {
        let sold = lot.status() == Status::Sold;
        let open = lot.terms.announced.mode() == BiddingMode::OpenLicence;
        let lead = lot.state.lead.as_ref().filter(|_| sold && !open);
        let standings = lot.state.bidders.values().filter(|bidder| bidder.counts());
        let standings = standings.filter_map(|bidder| bidder.standing.as_ref());
        let licensee = |standing: &Standing| Licensee { code: standing.code.clone(), price: Some(standing.amount) };
        Outcome {
            result: lot.status().stored(),
            winner: lead.map(|lead| lead.code.clone()),
            price: lead.map(|lead| lead.amount),
            licensees: standings.filter(|_| sold && open).map(licensee).collect(),
            end,
        }
    }

    /// The end that an event makes, if bidding had not ended before.
    pub(super) fn end(before: Option<Instant>, event: &AuctionEvent) -> Option<Instant> {
        let closes = matches!(event.kind(), Kind::Sold | Kind::Unsold | Kind::Cancelled);
        before.or_else(|| event.at.filter(|_| closes))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.result)?;
        if let (Some(winner), Some(price)) = (&self.winner, self.price) {
            write!(f, " to {winner} at {price}")?;
        }
        if !self.licensees.is_empty() {
            write!(f, " to {} licensees", self.licensees.len())?;
        }
        self.end.map_or(Ok(()), |end| write!(f, ", end {end}"))
    }
}
