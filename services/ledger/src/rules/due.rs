//! A deposit that is due.

use kernel::{Id, Money};
use wire::id::{DepositId, ListingId, OrganizationId, TransferApplicationId, TransferId};

/// A deposit that is to be put on hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// For which application.
    pub application: TransferApplicationId,
    /// For which listing.
    pub listing: ListingId,
    /// Who pays.
    pub bidder: OrganizationId,
    /// Who would get it as part of the price.
    pub transferor: OrganizationId,
    /// How much.
    pub amount: Money,
    /// Whether the listing is an open licence, where it answers for the bidder's own deal alone.
    pub open_licence: bool,
}

impl Due {
    /// The one deposit of this application.
    pub fn deposit_id(&self) -> DepositId {
        DepositId::derived(self.application.0, "deposit")
    }

    /// The one pending transfer of this deposit.
    pub fn transfer_id(&self) -> TransferId {
        TransferId::derived(self.deposit_id().0, "hold")
    }
}
