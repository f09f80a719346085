//! A winner's default.

use kernel::{Error, Id, Money, Result};
use wire::{
    id::{AwardId, ForfeitureId, ListingId, OrganizationId, TransferApplicationId, TransferId},
    v1,
};

/// A winner's default, as the auction told it.
pub struct Breach {
    /// The award that the winner let down.
    pub award: AwardId,
    /// Of which listing.
    pub listing: ListingId,
    /// Whose deposit is lost.
    pub application: TransferApplicationId,
    /// Whose listing it is: to whom the price was due, unless `reverse`.
    pub transferor: OrganizationId,
    /// The price.
    pub price: Money,
    /// Whether the lot passed to the next bidder, whose deposit stays on hold then.
    pub passed_on: bool,
    /// The next bidder's price.
    pub next_price: Option<Money>,
    /// Whether the listing's side was to pay the price.
    pub reverse: bool,
}

impl Breach {
    /// What the event says.
    pub fn read(told: &v1::AwardDefaulted) -> Result<Breach> {
        let award = AwardId::parse(&told.award_id, "awardId")?;
        Ok(Breach {
            award,
            listing: ListingId::parse(&told.listing_id, "listingId")?,
            application: TransferApplicationId::parse(&told.transfer_application_id, "transferApplicationId")?,
            transferor: OrganizationId::parse(&told.transferor_id, "transferorId")?,
            price: told.price.ok_or_else(|| Error::Internal(format!("{award} has no price")))?,
            passed_on: told.passed_on,
            next_price: told.next_price.filter(|_| told.passed_on),
            reverse: told.reverse,
        })
    }

    /// The one forfeiture of this application's deposit.
    pub fn id(&self) -> ForfeitureId {
        ForfeitureId::derived(self.application.0, "forfeiture")
    }

    /// The transfer by which it is lost.
    pub fn entry(&self) -> TransferId {
        TransferId::derived(self.id().0, "forfeit")
    }
}
