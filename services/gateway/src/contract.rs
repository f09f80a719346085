use async_graphql::{Context, ID, Object, Result};
use wire::{
    Caller, answer,
    id::{ContractId, DealId, ListingId},
    v1,
};

use crate::fault::{exactly_one, valid};

/// Deals and contracts.
#[derive(Default)]
pub struct ContractQuery;

#[Object]
impl ContractQuery {
    /// One deal, by its own id or by the listing's: give exactly one. Null unless the caller belongs to one of its
    /// parties or is centre staff. Errors: INVALID_INPUT, INVALID_ID.
    ///
    /// Permission: anyone.
    #[graphql(complexity = "5 + child_complexity")]
    async fn deal(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The deal's id.")] id: Option<ID>,
        #[graphql(desc = "The listing's id.")] listing_id: Option<ID>,
    ) -> Result<Option<v1::Deal>> {
        exactly_one(&id, &listing_id, "id | listingId")?;
        let loaders = &Caller::of(ctx)?.loaders;
        match (id, listing_id) {
            (Some(id), _) => loaders.deal.link(valid::<DealId>(id, "id")?).await,
            (None, Some(listing)) => loaders.deal_of_listing.link(valid::<ListingId>(listing, "listingId")?).await,
            (None, None) => Ok(None),
        }
    }

    /// Every deal of a listing that the caller may see, the one that `deal` tells last: an open licence has one for each
    /// licensee.
    /// Errors: INVALID_ID.
    ///
    /// Permission: anyone.
    #[graphql(complexity = "crate::list::cost(Some(100), child_complexity)")]
    async fn deals(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The listing's id.")] listing_id: ID,
    ) -> Result<Vec<v1::Deal>> {
        let caller = Caller::of(ctx)?;
        let listing_ids = valid::<ListingId>(listing_id, "listingId")?.into_iter().collect();
        let wanted = v1::GetDealsRequest { listing_ids, ..v1::GetDealsRequest::default() };
        Ok(answer(caller.clients.contracting.clone().get_deals(caller.request(wanted)).await)?.items)
    }

    /// One contract; null unless the caller belongs to one of its sides or is centre staff. Errors: INVALID_ID.
    ///
    /// Permission: anyone.
    #[graphql(complexity = "5 + child_complexity")]
    async fn contract(&self, ctx: &Context<'_>, id: ID) -> Result<Option<v1::Contract>> {
        Caller::of(ctx)?.loaders.contract.link(valid::<ContractId>(id, "id")?).await
    }
}
