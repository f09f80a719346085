//! What the catalog does on other services' events. They may come late and out of order: a step that is
//! done already is left alone, one whose precondition is not there yet is taken at a later delivery.

use async_trait::async_trait;
use kernel::{Consumer, Context, Error, Event, Id, Instant, Result, Transaction};
use wire::{
    id::{ListingId, TransferApplicationId},
    v1::{self, BiddingMode, ListingStatus, TransferApplicationStatus},
};

use crate::{
    application::application_status,
    listing::{
        listing_status,
        sale_default::{Default, TransferorDefault},
    },
    store::{self, Application, Listing},
    transition::{Arrival, arrival, early},
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
    Default(Default),
    TransferorDefault(TransferorDefault),
    Forfeit(TransferApplicationId),
    EndLicence { listing: ListingId, acceptors: Vec<TransferApplicationId> },
    Refund(ListingId, Vec<TransferApplicationId>),
}

impl Step {
    fn read(event: &Event) -> Result<Option<Step>> {
        use ListingStatus::{Bidding, Contracted, Settled, Terminated, Unsold};
        let listing = |id: &str| ListingId::parse(id, "listingId");
        let application = |id: &str| TransferApplicationId::parse(id, "transferApplicationId");
        let applications = |ids: &[String]| ids.iter().map(|id| application(id)).collect::<Result<Vec<_>>>();
        Ok(Some(if let Some(e) = event.read::<v1::DepositHeld>()? {
            Step::MakeEligible(application(&e.transfer_application_id)?)
        } else if let Some(e) = event.read::<v1::BiddingScheduled>()? {
            Step::Move(listing(&e.listing_id)?, Bidding)
        } else if let Some(e) = event.read::<v1::BiddingUnsold>()? {
            Step::Move(listing(&e.listing_id)?, Unsold)
        } else if let Some(e) = event.read::<v1::BiddingCancelled>()? {
            Step::Move(listing(&e.listing_id)?, Terminated)
        } else if let Some(e) = event.read::<v1::AwardDefaulted>()? {
            let defaulter = application(&e.transfer_application_id)?;
            let (passed_on, unconfirmed) = (e.passed_on, e.unconfirmed);
            Step::Default(Default { listing: listing(&e.listing_id)?, defaulter, passed_on, unconfirmed })
        } else if let Some(e) = event.read::<v1::TransferorDefaulted>()? {
            let winner = application(&e.transfer_application_id)?;
            let (open_licence, unconfirmed) = (e.open_licence, e.unconfirmed);
            Step::TransferorDefault(TransferorDefault {
                listing: listing(&e.listing_id)?,
                winner,
                open_licence,
                unconfirmed,
            })
        } else if let Some(e) = event.read::<v1::DepositForfeited>()? {
            Step::Forfeit(application(&e.transfer_application_id)?)
        } else if let Some(e) = event.read::<v1::DepositsReleased>()? {
            Step::Refund(listing(&e.listing_id)?, applications(&e.transfer_application_ids)?)
        } else if let Some(e) = event.read::<v1::OpenLicenceEnded>()? {
            Step::EndLicence { listing: listing(&e.listing_id)?, acceptors: applications(&e.acceptor_ids)? }
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

    async fn take(self, tx: &Transaction, now: Instant) -> Result<()> {
        match self {
            Step::MakeEligible(id) => make_eligible(tx, id).await,
            Step::Move(id, to) => move_listing(tx, id, to, now).await,
            Step::Award { listing, winner } => award(tx, listing, winner, now).await,
            Step::Default(default) => default.take(tx, now).await,
            Step::TransferorDefault(default) => default.take(tx, now).await,
            Step::Forfeit(id) => forfeit(tx, id).await,
            Step::EndLicence { listing, acceptors } => end_licence(tx, listing, acceptors).await,
            Step::Refund(id, only) if only.is_empty() => refund(tx, id).await,
            Step::Refund(_, only) => refund_these(tx, only).await,
        }
    }
}

/// The deposit is on hold: the bidder gets the listing's next anonymous code (SM-4).
async fn make_eligible(tx: &Transaction, id: TransferApplicationId) -> Result<()> {
    let (mut listing, mut row) = store::told_application(tx, id).await?;
    match arrival(application_status::onward, row.status, TransferApplicationStatus::Eligible) {
        Arrival::Done => return Ok(()),
        Arrival::Early => return Err(early(&row.id.text(), row.status.stored())),
        Arrival::Due => {}
    }
    listing.bidder_codes += 1;
    row.bidder_code = Some(application_status::bidder_code(listing.bidder_codes));
    row.status = application_status::on_deposit(listing.status);
    store::save_listing(tx, listing).await?;
    store::save_application(tx, row).await?;
    Ok(())
}

async fn move_listing(tx: &Transaction, id: ListingId, to: ListingStatus, now: Instant) -> Result<()> {
    use ListingStatus::{Bidding, Contracted, Disclosed, Settled, Terminated, Unsold};
    use TransferApplicationStatus::{Eligible, Lost, Refunded};
    let row = locked(tx, id).await?;
    let stands = row.status_at(now);
    if (to, stands) == (Bidding, Disclosed) && row.mode()? == BiddingMode::DynamicListing {
        // Free quoting goes on inside the disclosure, which stays open to others until its cut-off.
        store::save_listing(tx, Listing { scheduled: true, ..row }).await?;
        return Ok(());
    }
    if matches!(to, Contracted | Settled) && matches!(stands, Unsold | Terminated) {
        // What a defaulter had signed counts no more.
        return Ok(());
    }
    if !is_due(&row, to, now)? {
        return Ok(());
    }
    store::save_listing(tx, Listing { status: to, ..row }).await?;
    match to {
        Unsold | Terminated => store::move_applications(tx, id, Eligible, Lost).await,
        // The deposits of those who lost have been released by then.
        Settled => store::move_applications(tx, id, Lost, Refunded).await,
        _ => Ok(()),
    }
}

/// The deposits of a listing without a sale are free again. Before it is without one nobody has lost yet.
async fn refund(tx: &Transaction, id: ListingId) -> Result<()> {
    let row = locked(tx, id).await?;
    if !matches!(row.status, ListingStatus::Unsold | ListingStatus::Terminated) {
        return Err(early(&id.text(), row.status.stored()));
    }
    store::move_applications(tx, id, TransferApplicationStatus::Lost, TransferApplicationStatus::Refunded).await
}

/// Whoever did not accept an open licence in its time goes without.
async fn end_licence(tx: &Transaction, id: ListingId, acceptors: Vec<TransferApplicationId>) -> Result<()> {
    use TransferApplicationStatus::{Eligible, Lost};
    locked(tx, id).await?;
    store::move_others(tx, id, (Eligible, Lost), acceptors).await
}

/// Deposits that are free again although the listing is not without a sale.
async fn refund_these(tx: &Transaction, ids: Vec<TransferApplicationId>) -> Result<()> {
    use TransferApplicationStatus::Refunded;
    for id in ids {
        let (_, row) = store::told_application(tx, id).await?;
        match arrival(application_status::onward, row.status, Refunded) {
            Arrival::Done => {}
            Arrival::Early => return Err(early(&id.text(), row.status.stored())),
            Arrival::Due => {
                store::save_application(tx, Application { status: Refunded, ..row }).await?;
            }
        }
    }
    Ok(())
}

/// One bidder acquires the listing, all others have lost (promise P-2); an open licence has no rivals. A sole bidder
/// gets it without bidding, so the listing may come from PERIOD_ENDED.
async fn award(tx: &Transaction, id: ListingId, winner: TransferApplicationId, now: Instant) -> Result<()> {
    use ListingStatus::TransfereeFixed;
    use TransferApplicationStatus::{Eligible, Forfeited, Lost, Won};
    let (row, won) = store::told_application(tx, winner).await?;
    if won.listing_id != id {
        return Err(Error::Internal(format!("{winner} is no application for {id}")));
    }
    if matches!(won.status, Won | Forfeited) {
        return Ok(());
    }
    let licence = row.mode()? == BiddingMode::OpenLicence;
    // Another's award stands: it must have been defaulted on first, unless everybody is licensed.
    let due = is_due(&row, TransfereeFixed, now)?;
    if !due && !licence {
        return Err(early(&id.text(), row.status.stored()));
    }
    if arrival(application_status::onward, won.status, Won) != Arrival::Due {
        return Err(early(&winner.text(), won.status.stored()));
    }
    store::save_application(tx, Application { status: Won, ..won }).await?;
    if !licence {
        store::move_applications(tx, id, Eligible, Lost).await?;
    }
    if due {
        store::save_listing(tx, Listing { status: TransfereeFixed, ..row }).await?;
    }
    Ok(())
}

/// A defaulter's deposit is gone.
async fn forfeit(tx: &Transaction, id: TransferApplicationId) -> Result<()> {
    use TransferApplicationStatus::Forfeited;
    let (_, row) = store::told_application(tx, id).await?;
    match arrival(application_status::onward, row.status, Forfeited) {
        Arrival::Done => Ok(()),
        Arrival::Early => Err(early(&id.text(), row.status.stored())),
        Arrival::Due => {
            store::save_application(tx, Application { status: Forfeited, ..row }).await?;
            Ok(())
        }
    }
}

async fn locked(tx: &Transaction, id: ListingId) -> Result<Listing> {
    store::locked_listing(tx, id).await?.ok_or_else(|| early(&id.text(), "unknown"))
}

/// Whether the step to `to` is due; if not, it is done already.
fn is_due(row: &Listing, to: ListingStatus, now: Instant) -> Result<bool> {
    let stands = row.status_at(now);
    match arrival(listing_status::onward, stands, to) {
        Arrival::Due => Ok(true),
        Arrival::Done => Ok(false),
        Arrival::Early => Err(early(&row.id.text(), stands.stored())),
    }
}
