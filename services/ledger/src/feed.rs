//! Events in: bidding that ended without an award gives every deposit back (SM-3, UNSOLD), an open licence those of whoever
//! did not accept it, a winner's default costs it its deposit (SM-4, FORFEITED).

use async_trait::async_trait;
use kernel::{Consumer, Context, Event, Id, Result, receive};
use wire::{
    id::{ListingId, OrganizationId, TransferApplicationId},
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
            (unsold.listing_id, unsold.transferor_id, Vec::new())
        } else if let Some(cancelled) = event.read::<v1::BiddingCancelled>()? {
            (cancelled.listing_id, cancelled.transferor_id, Vec::new())
        } else if let Some(licence) = event.read::<v1::OpenLicenceEnded>()? {
            (licence.listing_id, licence.transferor_id, licence.acceptor_ids)
        } else {
            return Ok(());
        };
        let sides = (ListingId::parse(&ended.0, "listingId")?, OrganizationId::parse(&ended.1, "transferorId")?);
        let kept =
            ended.2.iter().map(|id| TransferApplicationId::parse(id, "acceptorIds")).collect::<Result<Vec<_>>>()?;
        receive(&self.0, event, |tx| Box::pin(async move { release::all(&cx, tx, sides, &kept).await })).await
    }
}
