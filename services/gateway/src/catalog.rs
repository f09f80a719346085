#![expect(clippy::too_many_arguments, reason = "they are arguments of GraphQL fields")]

use async_graphql::{Context, ID, Object, Result};
use wire::{
    Caller, answer,
    id::{AchievementId, ListingId, TransferApplicationId},
    v1,
};

use crate::{
    fault::valid,
    list::{List, cost, list, wanted},
};

/// Achievements, listings and transfer applications.
#[derive(Default)]
pub struct CatalogQuery;

#[Object]
impl CatalogQuery {
    /// One listing; null if there is none, or if it is not public yet and the caller is neither the transferor's
    /// member nor centre staff. Errors: INVALID_ID.
    ///
    /// Permission: anyone.
    async fn listing(&self, ctx: &Context<'_>, id: ID) -> Result<Option<v1::Listing>> {
        Caller::of(ctx)?.loaders.listing.link(valid::<ListingId>(id, "id")?).await
    }

    /// Listings that the caller may see, newest first. Errors: INVALID_INPUT, INVALID_ID.
    ///
    /// Permission: anyone.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn listings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "1-100; 20 if absent.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which to go on.")] after: Option<String>,
        #[graphql(desc = "Only those that stand here.")] status: Option<v1::ListingStatus>,
        #[graphql(desc = "Only those of this field of technology.")] field: Option<v1::TechnologyField>,
        #[graphql(desc = "Text to be found in title or summary.")] search: Option<String>,
        #[graphql(desc = "Only those of this transferor.")] organization_id: Option<ID>,
    ) -> Result<List<v1::Listing>> {
        let caller = Caller::of(ctx)?;
        let continued = after.is_some();
        let request = v1::ListListingsRequest {
            page: wanted(ctx, first, after),
            status: status.map(|status| status as i32),
            field: field.map(|field| field as i32),
            search,
            organization_id: organization_id.map(|id| id.0),
        };
        let page = answer(caller.clients.catalog.clone().list_listings(caller.request(request)).await)?;
        Ok(list(continued, page.items, page.end, |item| item.id.clone()))
    }

    /// One research result; null if the caller may not see it. Errors: INVALID_ID.
    ///
    /// Permission: anyone.
    async fn achievement(&self, ctx: &Context<'_>, id: ID) -> Result<Option<v1::Achievement>> {
        Caller::of(ctx)?.loaders.achievement.link(valid::<AchievementId>(id, "id")?).await
    }

    /// Research results that the caller may see, newest first. Errors: INVALID_INPUT, INVALID_ID.
    ///
    /// Permission: anyone.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn achievements(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "1-100; 20 if absent.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which to go on.")] after: Option<String>,
        #[graphql(desc = "Text to be found in title or summary.")] search: Option<String>,
        #[graphql(desc = "Only those that this organization manages.")] organization_id: Option<ID>,
    ) -> Result<List<v1::Achievement>> {
        let caller = Caller::of(ctx)?;
        let continued = after.is_some();
        let request = v1::ListAchievementsRequest {
            page: wanted(ctx, first, after),
            search,
            organization_id: organization_id.map(|id| id.0),
        };
        let page = answer(caller.clients.catalog.clone().list_achievements(caller.request(request)).await)?;
        Ok(list(continued, page.items, page.end, |item| item.id.clone()))
    }

    /// One transfer application; null unless the caller is the applicant's member or centre staff. Errors:
    /// INVALID_ID.
    ///
    /// Permission: anyone.
    async fn transfer_application(&self, ctx: &Context<'_>, id: ID) -> Result<Option<v1::TransferApplication>> {
        Caller::of(ctx)?.loaders.transfer_application.link(valid::<TransferApplicationId>(id, "id")?).await
    }

    /// Transfer applications of the caller's organizations, newest first; all of them for centre staff.
    /// Errors: UNAUTHENTICATED, INVALID_INPUT, INVALID_ID.
    ///
    /// Permission: whoever is signed in.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn transfer_applications(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "1-100; 20 if absent.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which to go on.")] after: Option<String>,
        #[graphql(desc = "Only those for this listing.")] listing_id: Option<ID>,
        #[graphql(desc = "Only those of this applicant.")] organization_id: Option<ID>,
    ) -> Result<List<v1::TransferApplication>> {
        let caller = Caller::of(ctx)?;
        let continued = after.is_some();
        let request = v1::ListTransferApplicationsRequest {
            page: wanted(ctx, first, after),
            listing_id: listing_id.map(|id| id.0),
            organization_id: organization_id.map(|id| id.0),
        };
        let page = answer(caller.clients.catalog.clone().list_transfer_applications(caller.request(request)).await)?;
        Ok(list(continued, page.items, page.end, |item| item.id.clone()))
    }
}
