#![expect(clippy::too_many_arguments, reason = "they are arguments of GraphQL fields")]

use async_graphql::{Context, ID, Object, Result};
use wire::{Caller, answer, id::OrganizationId, v1};

use crate::{
    fault::valid,
    list::{List, cost, list, wanted},
};

/// Who is who.
#[derive(Default)]
pub struct IdentityQuery;

#[Object]
impl IdentityQuery {
    /// The signed-in person; null for an anonymous caller.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Option<v1::Person>> {
        let caller = Caller::of(ctx)?;
        if !caller.actor.is_known() {
            return Ok(None);
        }
        let request = caller.request(v1::Nothing {});
        Ok(answer(caller.clients.identity.clone().get_viewer(request).await)?.person)
    }

    /// One organization; null if there is none, or if it is not verified and the caller is neither its member nor
    /// centre staff. Open to anyone. Errors: INVALID_ID.
    async fn organization(&self, ctx: &Context<'_>, id: ID) -> Result<Option<v1::Organization>> {
        Caller::of(ctx)?.loaders.organization.link(valid::<OrganizationId>(id, "id")?).await
    }

    /// Organizations that the caller may see, newest first. Open to anyone. Errors: INVALID_INPUT.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn organizations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "1-100; 20 if absent.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which to go on.")] after: Option<String>,
        #[graphql(desc = "Only those that stand here.")] status: Option<v1::OrganizationStatus>,
        #[graphql(desc = "Text to be found in the name.")] search: Option<String>,
    ) -> Result<List<v1::Organization>> {
        let caller = Caller::of(ctx)?;
        let continued = after.is_some();
        let request = v1::ListOrganizationsRequest {
            page: wanted(ctx, first, after),
            status: status.map(|status| status as i32),
            search,
        };
        let page = answer(caller.clients.identity.clone().list_organizations(caller.request(request)).await)?;
        Ok(list(continued, page.items, page.end, |item| item.id.clone()))
    }
}
