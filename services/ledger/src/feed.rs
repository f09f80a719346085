//! Events in: a listing that ended without a bid gives every deposit back (SM-3, UNSOLD).

use async_trait::async_trait;
use kernel::{Consumer, Context, Error, Event, Id, Result, receive};
use sea_orm::DatabaseTransaction;
use serde_json::json;
use wire::{
    id::{ListingId, OrganizationId},
    v1::{self, DepositStatus},
};

use crate::{account::Holder, store};

/// Takes other services' events.
pub struct Releases(pub Context);

#[async_trait]
impl Consumer for Releases {
    fn name(&self) -> &'static str {
        self.0.service
    }

    async fn receive(&self, event: &Event) -> Result<()> {
        let Some(unsold) = event.read::<v1::BiddingUnsold>()? else { return Ok(()) };
        let cx = self.0.clone();
        receive(&self.0, event, |tx| Box::pin(async move { release(&cx, tx, &unsold).await })).await
    }
}

/// Voids every hold for the listing, each exactly once.
async fn release(cx: &Context, tx: &DatabaseTransaction, unsold: &v1::BiddingUnsold) -> Result<()> {
    let listing = ListingId::parse(&unsold.listing_id, "listingId")?;
    let transferor = OrganizationId::parse(&unsold.transferor_id, "transferorId")?;
    let now = cx.clock.now();
    let deposits = store::held_deposits(tx, listing).await?;
    let bidders = deposits.iter().map(|deposit| deposit.organization);
    let holders: Vec<_> = std::iter::once(transferor).chain(bidders).map(Holder::Organization).collect();
    let transfers: Vec<_> = deposits.iter().map(|deposit| deposit.transfer).collect();
    let mut opened = store::open(tx, &holders, &transfers).await?;
    if store::held_deposits(tx, listing).await? != deposits {
        return Err(Error::Unavailable("the listing's deposits moved while the accounts were locked".into()));
    }
    for deposit in &deposits {
        opened.book.void(deposit.transfer)?;
    }
    opened.save(tx, now).await?;
    for deposit in &deposits {
        store::conclude_deposit(tx, deposit.id, DepositStatus::Released).await?;
        let facts = json!({ "amount": deposit.amount.to_string(), "organization": deposit.organization.text() });
        cx.record(tx, now, &deposit.id.text(), ("DepositReleased", facts)).await?;
    }
    let released = v1::DepositsReleased { listing_id: unsold.listing_id.clone() };
    cx.announce(tx, now, &unsold.listing_id, &released).await
}
