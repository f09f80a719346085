//! What the catalog does on other services' events. They may come late and out of order: a step that is
//! done already is left alone, one whose precondition is not there yet is taken at a later delivery.

use async_trait::async_trait;
use kernel::{Consumer, Context, Error, Event, Id, Instant, Result};
use sea_orm::DatabaseTransaction;
use wire::{
    id::{ListingId, TransferApplicationId},
    v1::{self, ListingStatus, TransferApplicationStatus},
};

use crate::{
    application, listing,
    store::{self, Application, Listing},
    transition::{Arrival, arrival},
};

pub struct Feed {
    pub cx: Context,
}

#[async_trait]
impl Consumer for Feed {
    fn name(&self) -> &'static str {
        crate::NAME
    }

    async fn receive(&self, event: &Event) -> Result<()> {
        let Some(step) = Step::read(event)? else { return Ok(()) };
        // What its sender decided once the period had ended was so, even if this clock lags behind.
        let now = self.cx.clock.now().max(event.at);
        kernel::receive(&self.cx, event, |tx| Box::pin(async move { step.take(tx, now).await })).await
    }
}

/// What an event asks for.
enum Step {
    MakeEligible(TransferApplicationId),
    Move(ListingId, ListingStatus),
    Award { listing: ListingId, winner: TransferApplicationId },
    Refund(ListingId),
}

impl Step {
    fn read(event: &Event) -> Result<Option<Step>> {
        use ListingStatus::{Bidding, Contracted, Settled, Unsold};
        let listing = |id: &str| ListingId::parse(id, "listingId");
        let application = |id: &str| TransferApplicationId::parse(id, "transferApplicationId");
        Ok(Some(if let Some(e) = event.read::<v1::DepositHeld>()? {
            Step::MakeEligible(application(&e.transfer_application_id)?)
        } else if let Some(e) = event.read::<v1::BiddingScheduled>()? {
            Step::Move(listing(&e.listing_id)?, Bidding)
        } else if let Some(e) = event.read::<v1::BiddingUnsold>()? {
            Step::Move(listing(&e.listing_id)?, Unsold)
        } else if let Some(e) = event.read::<v1::DepositsReleased>()? {
            Step::Refund(listing(&e.listing_id)?)
        } else if let Some(e) = event.read::<v1::AwardConfirmed>()? {
            Step::Award { listing: listing(&e.listing_id)?, winner: application(&e.transfer_application_id)? }
        } else if let Some(e) = event.read::<v1::ContractSigned>()? {
            Step::Move(listing(&e.listing_id)?, Contracted)
        } else if let Some(e) = event.read::<v1::DealSettled>()? {
            Step::Move(listing(&e.listing_id)?, Settled)
        } else {
            return Ok(None);
        }))
    }

    async fn take(self, tx: &DatabaseTransaction, now: Instant) -> Result<()> {
        match self {
            Step::MakeEligible(id) => make_eligible(tx, id).await,
            Step::Move(id, to) => move_listing(tx, id, to, now).await,
            Step::Award { listing, winner } => award(tx, listing, winner, now).await,
            Step::Refund(id) => refund(tx, id).await,
        }
    }
}

/// The deposit is on hold: the bidder gets the listing's next anonymous code (SM-4).
async fn make_eligible(tx: &DatabaseTransaction, id: TransferApplicationId) -> Result<()> {
    let (mut listing, mut row) = known_application(tx, id).await?;
    match arrival(application::next, row.status, TransferApplicationStatus::Eligible) {
        Arrival::Done => return Ok(()),
        Arrival::Early => return Err(early(&row.id.text(), row.status.stored())),
        Arrival::Due => {}
    }
    listing.bidder_codes += 1;
    row.bidder_code = Some(application::bidder_code(listing.bidder_codes));
    row.status = application::on_deposit(listing.status);
    store::save_listing(tx, listing).await?;
    store::save_application(tx, row).await?;
    Ok(())
}

async fn move_listing(tx: &DatabaseTransaction, id: ListingId, to: ListingStatus, now: Instant) -> Result<()> {
    use TransferApplicationStatus::{Eligible, Lost, Refunded};
    let Some(row) = due(tx, id, to, now).await? else { return Ok(()) };
    let id = row.id;
    store::save_listing(tx, Listing { status: to, ..row }).await?;
    match to {
        ListingStatus::Unsold => store::move_applications(tx, id, Eligible, Lost).await,
        // The deposits of those who lost have been released by then.
        ListingStatus::Settled => store::move_applications(tx, id, Lost, Refunded).await,
        _ => Ok(()),
    }
}

/// The deposits of an unsold listing are free again. Before the listing is UNSOLD nobody has lost yet.
async fn refund(tx: &DatabaseTransaction, id: ListingId) -> Result<()> {
    let row = store::locked_listing(tx, id).await?.ok_or_else(|| early(&id.text(), "unknown"))?;
    if row.status != ListingStatus::Unsold {
        return Err(early(&id.text(), row.status.stored()));
    }
    store::move_applications(tx, id, TransferApplicationStatus::Lost, TransferApplicationStatus::Refunded).await
}

/// One bidder acquires the listing, all others have lost (promise P-2). A sole bidder gets it without
/// bidding, so the listing may come from PERIOD_ENDED.
async fn award(tx: &DatabaseTransaction, id: ListingId, winner: TransferApplicationId, now: Instant) -> Result<()> {
    use TransferApplicationStatus::{Eligible, Lost, Won};
    let Some(row) = due(tx, id, ListingStatus::TransfereeFixed, now).await? else { return Ok(()) };
    let (_, won) = known_application(tx, winner).await?;
    if won.listing_id != id {
        return Err(Error::Internal(format!("{winner} is no application for {id}")));
    }
    if arrival(application::next, won.status, Won) == Arrival::Early {
        return Err(early(&winner.text(), won.status.stored()));
    }
    store::save_application(tx, Application { status: Won, ..won }).await?;
    store::move_applications(tx, id, Eligible, Lost).await?;
    store::save_listing(tx, Listing { status: ListingStatus::TransfereeFixed, ..row }).await?;
    Ok(())
}

/// The listing with its row held if the step to `to` is due, nothing if it is done.
async fn due(tx: &DatabaseTransaction, id: ListingId, to: ListingStatus, now: Instant) -> Result<Option<Listing>> {
    let row = store::locked_listing(tx, id).await?.ok_or_else(|| early(&id.text(), "unknown"))?;
    let stands = row.status_at(now);
    match arrival(listing::next, stands, to) {
        Arrival::Due => Ok(Some(row)),
        Arrival::Done => Ok(None),
        Arrival::Early => Err(early(&id.text(), stands.stored())),
    }
}

async fn known_application(tx: &DatabaseTransaction, id: TransferApplicationId) -> Result<(Listing, Application)> {
    store::locked_application(tx, id).await?.ok_or_else(|| early(&id.text(), "unknown"))
}

fn early(id: &str, status: &str) -> Error {
    Error::Unavailable(format!("{id} is {status}: the event is early"))
}
