//! Settles what a notice says of bidding, and hides its secret reserve.

use kernel::{Call, Result};
use prost::Message;
use wire::{id::ListingId, v1};

use crate::listing::{
    bidding_terms::{self, Figures},
    reserve::Reserve,
    terms::Notice,
};

/// What a listing keeps of its terms of bidding.
#[derive(Clone, Debug)]
pub struct Bidding {
    /// What is announced, as the wire carries it.
    pub announced: Vec<u8>,
    /// The sealed reserve, if there is one.
    pub reserve: Option<Vec<u8>>,
}

/// The terms that are asked for, within the rules of today.
pub fn settle(
    call: &Call,
    listing: ListingId,
    asked: Option<&v1::BiddingTermsInput>,
    notice: &Notice,
) -> Result<Bidding> {
    let settled = bidding_terms::settle(asked, notice, &figures(call)?)?;
    let reserve = settled.reserve_price.map(Reserve::hide).transpose()?;
    let commitment = reserve.as_ref().map(|reserve| reserve.commitment(listing));
    Ok(Bidding {
        announced: bidding_terms::announce(&settled, &notice.terms, commitment).encode_to_vec(),
        reserve: reserve.map(|reserve| reserve.seal(&call.cx.vault, listing)).transpose()?,
    })
}

/// The figures in force now.
pub fn figures(call: &Call) -> Result<Figures<'_>> {
    Figures::read(|key| call.cx.rule(key, call.now))
}
