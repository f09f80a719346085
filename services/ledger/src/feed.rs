//! Events in: bidding that ended without an award gives every deposit back (SM-3, UNSOLD), a winner's default costs it
//! its deposit (SM-4, FORFEITED).

use async_trait::async_trait;
use kernel::{Consumer, Context, Event, Id, Result, receive};
use wire::{
    id::{ListingId, OrganizationId},
    v1,
};

use crate::{forfeiture, release};

/// Takes other services' events.
pub struct Releases(pub Context);

#[async_trait]
impl Consumer for Releases {
    fn name(&self) -> &'static str {
        self.0.service
    }

    async fn receive(&self, event: &Event) -> Result<()> {
        let cx = self.0.clone();
        if let Some(defaulted) = event.read::<v1::AwardDefaulted>()? {
            return receive(&self.0, event, |tx| Box::pin(async move { forfeiture::take(&cx, tx, &defaulted).await }))
                .await;
        }
        let ended = if let Some(unsold) = event.read::<v1::BiddingUnsold>()? {
            (unsold.listing_id, unsold.transferor_id)
        } else if let Some(cancelled) = event.read::<v1::BiddingCancelled>()? {
            (cancelled.listing_id, cancelled.transferor_id)
        } else {
            return Ok(());
        };
        let listing = ListingId::parse(&ended.0, "listingId")?;
        let transferor = OrganizationId::parse(&ended.1, "transferorId")?;
        receive(&self.0, event, |tx| Box::pin(async move { release::all(&cx, tx, listing, transferor).await })).await
    }
}
