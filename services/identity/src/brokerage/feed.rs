//! Events in: what becomes of the listing that was made under a mandate. The sender of an award does not know of
//! mandates, and events come in any order: what is told of a sale is kept, and the mandate goes as far as that allows.

use async_trait::async_trait;
use kernel::{Consumer, Context, Error, Event, Id, Result, Transaction, receive};
use serde_json::json;
use wire::{
    id::{ListingId, MandateId},
    v1::{self, MandateStatus},
};

use super::mandate::{self, Sale};
use crate::store::brokerage::{self, Mandate};

/// Takes other services' events.
pub struct Sales(pub Context);

/// What an event tells of a listing.
enum Told {
    Mandated(MandateId),
    Awarded(kernel::Money),
    Settled,
}

#[async_trait]
impl Consumer for Sales {
    fn name(&self) -> &'static str {
        self.0.service
    }

    async fn receive(&self, event: &Event) -> Result<()> {
        let Some((listing, told)) = read(event)? else { return Ok(()) };
        let cx = self.0.clone();
        receive(&self.0, event, |tx| Box::pin(async move { take(&cx, tx, listing, told).await })).await
    }
}

fn read(event: &Event) -> Result<Option<(ListingId, Told)>> {
    let listing = |id: &str| ListingId::parse(id, "listingId");
    Ok(Some(if let Some(e) = event.read::<v1::ListingMandated>()? {
        (listing(&e.listing_id)?, Told::Mandated(MandateId::parse(&e.mandate_id, "mandateId")?))
    } else if let Some(e) = event.read::<v1::AwardConfirmed>()? {
        let price = e.price.ok_or_else(|| Error::Internal(format!("the award of {} has no price", e.listing_id)))?;
        (listing(&e.listing_id)?, Told::Awarded(price))
    } else if let Some(e) = event.read::<v1::DealSettled>()? {
        (listing(&e.listing_id)?, Told::Settled)
    } else {
        return Ok(None);
    }))
}

async fn take(cx: &Context, tx: &Transaction, listing: ListingId, told: Told) -> Result<()> {
    // Everything told of one listing takes turns on this row.
    let known = brokerage::lock_sale(tx, listing).await?;
    let (sale, mandate) = match told {
        Told::Mandated(id) => (known, introduce(cx, tx, id, listing).await?),
        Told::Awarded(price) => {
            (Sale { price: Some(price), ..known }, brokerage::lock_mandate_of_listing(tx, listing).await?)
        }
        Told::Settled => (Sale { settled: true, ..known }, brokerage::lock_mandate_of_listing(tx, listing).await?),
    };
    if sale != known {
        brokerage::save_sale(tx, listing, sale).await?;
    }
    match mandate {
        Some(mandate) => advance(cx, tx, mandate, sale).await,
        None => Ok(()),
    }
}

/// The broker listed something under the mandate. One that ended meanwhile, or that has its listing, takes none: the
/// listing stays, no commission comes of it, and the trail says so.
async fn introduce(cx: &Context, tx: &Transaction, id: MandateId, listing: ListingId) -> Result<Option<Mandate>> {
    let early = |why: &str| Error::Unavailable(format!("{id} is {why}: the event is early"));
    let row = brokerage::lock_mandate(tx, id).await?.ok_or_else(|| early("unknown"))?;
    if row.listing_id == Some(listing) {
        return Ok(Some(row));
    }
    let facts = json!({ "listingId": listing.text() });
    match row.status {
        MandateStatus::Offered => Err(early("not taken")),
        MandateStatus::Active => {
            let introduced = Mandate { status: MandateStatus::Introduced, listing_id: Some(listing), ..row };
            let row = brokerage::save_mandate(tx, introduced).await?;
            cx.record(tx, cx.clock.now(), &id.text(), ("MandateIntroduced", facts)).await?;
            Ok(Some(row))
        }
        _ => {
            cx.record(tx, cx.clock.now(), &id.text(), ("ListingNotMandated", facts)).await?;
            Ok(None)
        }
    }
}

/// Moves a mandate as far as the sale of its listing allows.
async fn advance(cx: &Context, tx: &Transaction, row: Mandate, sale: Sale) -> Result<()> {
    let status = mandate::reached(row.status, sale);
    if status == row.status {
        return Ok(());
    }
    let owed = sale.price.map(|price| mandate::commission(price, row.commission_basis_points)).transpose()?;
    let commission = row.commission.or(owed);
    let facts = json!({ "commission": commission.map(|owed| owed.to_string()) });
    let kind = if status == MandateStatus::Concluded { "MandateConcluded" } else { "CommissionDue" };
    let row = brokerage::save_mandate(tx, Mandate { status, commission, ..row }).await?;
    cx.record(tx, cx.clock.now(), &row.id.text(), (kind, facts)).await
}
