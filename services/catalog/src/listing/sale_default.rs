//! A sale that one of its sides lets down (SM-3): what becomes of the listing and of those who applied.

use kernel::{Error, Id, Instant, Result, Transaction};
use wire::{
    id::{ListingId, TransferApplicationId},
    v1::{BiddingMode, ListingStatus, TransferApplicationStatus},
};

use crate::{
    store::{self, Application, Listing},
    transition::early,
};

/// The transferee did not sign or pay, or was suspended or closed before its award was confirmed.
pub struct Default {
    /// What it had won.
    pub listing: ListingId,
    /// Its application.
    pub defaulter: TransferApplicationId,
    /// Whether the lot passed to the next bidder.
    pub passed_on: bool,
    /// Whether two persons had not confirmed its award yet.
    pub unconfirmed: bool,
}

impl Default {
    /// It is barred from the lot, which passes to the next bidder or stays unsold. Its application is FORFEITED when its
    /// deposit is. Other licensees of an open licence are not touched.
    pub async fn take(self, tx: &Transaction, now: Instant) -> Result<()> {
        use ListingStatus::{Bidding, Contracted, PeriodEnded, TransfereeFixed, Unsold};
        use TransferApplicationStatus::{Eligible, Forfeited, Lost, Won};
        let (row, application) = store::told_application(tx, self.defaulter).await?;
        if application.listing_id != self.listing {
            return Err(Error::Internal(format!("{} is no application for {}", self.defaulter, self.listing)));
        }
        let bidders = application.bidders()?;
        match application.status {
            Won | Forfeited => {}
            // Nobody told of an award that was never confirmed: it is won and lost at once.
            Eligible if self.unconfirmed => {
                store::save_application(tx, Application { status: Won, ..application }).await?;
            }
            other => return Err(early(&self.defaulter.text(), other.stored())),
        }
        store::bar(tx, row.origin_id, bidders).await?;
        if row.mode()? == BiddingMode::OpenLicence {
            return Ok(());
        }
        let stands = row.status_at(now);
        let begun = self.unconfirmed && matches!(stands, Bidding | PeriodEnded);
        if !begun && !matches!(stands, TransfereeFixed | Contracted) {
            return Err(early(&self.listing.text(), stands.stored()));
        }
        let status = if self.passed_on { Bidding } else { Unsold };
        store::save_listing(tx, Listing { status, ..row }).await?;
        let (from, to) = if self.passed_on { (Lost, Eligible) } else { (Eligible, Lost) };
        store::move_applications(tx, self.listing, from, to).await
    }
}

/// The transferor does not go through with an award.
pub struct TransferorDefault {
    /// Of which listing.
    pub listing: ListingId,
    /// Who had won it.
    pub winner: TransferApplicationId,
    /// Whether others are licensed too.
    pub open_licence: bool,
    /// Whether two persons had not confirmed the award yet.
    pub unconfirmed: bool,
}

impl TransferorDefault {
    /// The listing is terminated, and everybody goes without; applications are REFUNDED when their deposits are free. Of an
    /// open licence only this licensee goes without.
    pub async fn take(self, tx: &Transaction, now: Instant) -> Result<()> {
        use ListingStatus::{Bidding, Contracted, PeriodEnded, Terminated, TransfereeFixed};
        use TransferApplicationStatus::{Eligible, Lost, Refunded, Won};
        let (row, application) = store::told_application(tx, self.winner).await?;
        if application.listing_id != self.listing {
            return Err(Error::Internal(format!("{} is no application for {}", self.winner, self.listing)));
        }
        match application.status {
            Won => {}
            Eligible if self.unconfirmed => {}
            Lost | Refunded => return Ok(()),
            other => return Err(early(&self.winner.text(), other.stored())),
        }
        store::save_application(tx, Application { status: Lost, ..application }).await?;
        if self.open_licence {
            return Ok(());
        }
        let stands = row.status_at(now);
        if !matches!(stands, PeriodEnded | Bidding | TransfereeFixed | Contracted) {
            return Err(early(&self.listing.text(), stands.stored()));
        }
        store::save_listing(tx, Listing { status: Terminated, ..row }).await?;
        store::move_applications(tx, self.listing, Eligible, Lost).await
    }
}
