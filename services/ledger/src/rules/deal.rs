//! A deal whose money is due.

use kernel::{Instant, Money};
use wire::id::{DealId, ListingId, OrganizationId, TransferApplicationId};

/// A deal that may be settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Which deal.
    pub deal: DealId,
    /// Of which listing.
    pub listing: ListingId,
    /// The winner's application. Its deposit counts towards the price that it pays, or goes back where it is paid (REVERSE).
    pub application: TransferApplicationId,
    /// Who is paid.
    pub transferor: OrganizationId,
    /// Who pays.
    pub transferee: OrganizationId,
    /// The whole price.
    pub price: Money,
    /// When the contract took effect, where it can be told (G11).
    pub effective_at: Option<Instant>,
    /// Whether the listing is an open licence: other bidders have deals, and deposits, of their own.
    pub open_licence: bool,
}

/// What a settlement moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    /// The whole price.
    pub price: Money,
    /// Withheld from the transferor.
    pub fee: Money,
    /// The part of the price that the winner's deposit covers.
    pub deposit_applied: Money,
    /// How many other deposits go back.
    pub deposits_released: i32,
}
