//! Events in: bidding that ended without an award gives every deposit back (SM-3, UNSOLD), and so does a transferor's
//! default; an open licence those of whoever did not accept it; a winner's default costs it its deposit (SM-4, FORFEITED).

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
        if let Some(failed) = event.read::<v1::TransferorDefaulted>()? {
            let sides = sides(&failed.listing_id, &failed.transferor_id)?;
            let winner = TransferApplicationId::parse(&failed.transfer_application_id, "transferApplicationId")?;
            // The awards of other licensees stand, and so do their deposits.
            let only = failed.open_licence.then_some(winner);
            return receive(&self.0, event, |tx| {
                Box::pin(async move {
                    match only {
                        Some(winner) => release::one(&cx, tx, sides, winner).await,
                        None => release::all(&cx, tx, sides, &[]).await,
                    }
                })
            })
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
        let sides = sides(&ended.0, &ended.1)?;
        let kept =
            ended.2.iter().map(|id| TransferApplicationId::parse(id, "acceptorIds")).collect::<Result<Vec<_>>>()?;
        receive(&self.0, event, |tx| Box::pin(async move { release::all(&cx, tx, sides, &kept).await })).await
    }
}

fn sides(listing: &str, transferor: &str) -> Result<(ListingId, OrganizationId)> {
    Ok((ListingId::parse(listing, "listingId")?, OrganizationId::parse(transferor, "transferorId")?))
}
