#![expect(clippy::too_many_arguments, reason = "they are arguments of GraphQL fields")]

use async_graphql::{Context, ID, Object, Result};
use kernel::Error;
use tonic::{Code, Response, Status};
use wire::{
    Caller, answer, fault,
    id::OrganizationId,
    policy::{self, Of, permit},
    v1,
};

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
    ///
    /// Permission: anyone.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Option<v1::Person>> {
        let caller = Caller::of(ctx)?;
        if !caller.actor.is_known() {
            return Ok(None);
        }
        let request = caller.request(v1::Nothing {});
        Ok(answer(caller.clients.identity.clone().get_viewer(request).await)?.person)
    }

    /// One organization; null if there is none, or if it was never verified and the caller is neither its member nor
    /// its centre's staff. Errors: INVALID_ID.
    ///
    /// Permission: anyone.
    async fn organization(&self, ctx: &Context<'_>, id: ID) -> Result<Option<v1::Organization>> {
        Caller::of(ctx)?.loaders.organization.link(valid::<OrganizationId>(id, "id")?).await
    }

    /// Organizations that the caller may see, newest first. Errors: INVALID_INPUT.
    ///
    /// Permission: anyone.
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

    /// The exchange's centres, the oldest first; `parentId` makes a tree of them.
    ///
    /// Permission: anyone.
    #[graphql(complexity = "cost(None, child_complexity)")]
    async fn centres(&self, ctx: &Context<'_>) -> Result<Vec<v1::Centre>> {
        let caller = Caller::of(ctx)?;
        Ok(answer(caller.clients.identity.clone().list_centres(caller.request(v1::Nothing {})).await)?.items)
    }

    /// What a centre and all below it have to show. Staff of the centre or of one above it. Errors: NOT_FOUND.
    ///
    /// Permission: staff of its centre or of one above.
    #[graphql(complexity = "10 + child_complexity")]
    async fn centre_totals(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The centre at the top of what is added up.")] centre_id: ID,
    ) -> Result<v1::CentreTotals> {
        let caller = Caller::of(ctx)?;
        let id = valid::<OrganizationId>(centre_id, "centreId")?.unwrap_or_default();
        permit(&caller.actor, policy::CENTRE_TOTALS, Of::centre(&id, "centreId")).map_err(|error| fault(&error))?;
        let tree = answer(caller.clients.identity.clone().list_centres(caller.request(v1::Nothing {})).await)?.items;
        if !tree.iter().any(|centre| centre.organization_id == id) {
            return Err(fault(&Error::not_found("centreId")));
        }
        totals(caller, with_all_below(&tree, id)).await
    }

    /// Who acts for an organization, newest first. Its administrators; of a centre, also those of a centre above it.
    /// Errors: INVALID_ID, UNAUTHENTICATED, FORBIDDEN, NOT_FOUND.
    ///
    /// Permission: ADMINISTRATOR of its organization.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn members(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The organization.")] organization_id: ID,
        #[graphql(desc = "1-100; 20 if absent.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which to go on.")] after: Option<String>,
    ) -> Result<List<v1::Member>> {
        let caller = Caller::of(ctx)?;
        let (continued, page) = (after.is_some(), wanted(ctx, first, after));
        let request = caller.request(v1::ListMembersRequest { organization_id: organization_id.0, page });
        let page = answer(caller.clients.identity.clone().list_members(request).await)?;
        Ok(list(continued, page.items, page.end, |item| item.person_id.clone()))
    }

    /// Offers of roles, newest first: those of an organization, for its administrators; without one, those made to the
    /// caller. Errors: INVALID_ID, UNAUTHENTICATED, FORBIDDEN, NOT_FOUND.
    ///
    /// Permission: whoever is signed in.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn invitations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those of this organization.")] organization_id: Option<ID>,
        #[graphql(desc = "1-100; 20 if absent.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which to go on.")] after: Option<String>,
    ) -> Result<List<v1::Invitation>> {
        let caller = Caller::of(ctx)?;
        let (continued, page) = (after.is_some(), wanted(ctx, first, after));
        let request = v1::ListInvitationsRequest { page, organization_id: organization_id.map(|id| id.0) };
        let page = answer(caller.clients.identity.clone().list_invitations(caller.request(request)).await)?;
        Ok(list(continued, page.items, page.end, |item| item.id.clone()))
    }
}

/// The centre and all below it, closed ones too: their records remain.
fn with_all_below(tree: &[v1::Centre], id: String) -> Vec<String> {
    let mut found = vec![id];
    let mut done = 0;
    while let Some(above) = found.get(done).cloned() {
        let below = tree.iter().filter(|centre| centre.parent_id.as_ref() == Some(&above));
        found.extend(below.map(|centre| centre.organization_id.clone()));
        done += 1;
    }
    found
}

/// The sum of what the services count.
async fn totals(caller: &Caller, centre_ids: Vec<String>) -> Result<v1::CentreTotals> {
    let asked = || caller.request(v1::TotalsRequest { centre_ids: centre_ids.clone() });
    let clients = &caller.clients;
    let (mut identity, mut catalog) = (clients.identity.clone(), clients.catalog.clone());
    let (mut contracting, mut financing) = (clients.contracting.clone(), clients.financing.clone());
    let (identity, catalog, contracting, financing) = tokio::join!(
        identity.get_totals(asked()),
        catalog.get_totals(asked()),
        contracting.get_totals(asked()),
        financing.get_totals(asked()),
    );
    let (identity, catalog) = (counted(identity)?, counted(catalog)?);
    let (contracting, financing) = (counted(contracting)?, counted(financing)?);
    Ok(v1::CentreTotals {
        organizations: identity.organizations,
        listings: catalog.listings,
        deals: contracting.deals,
        deal_amount: contracting.deal_amount,
        registered_contracts: contracting.registered_contracts,
        technical_amount: contracting.technical_amount,
        financing_projects: financing.financing_projects,
    })
}

/// What a service counts; nothing if it does not count.
fn counted(reply: Result<Response<v1::CentreTotals>, Status>) -> Result<v1::CentreTotals> {
    match reply {
        Err(status) if status.code() == Code::Unimplemented => Ok(v1::CentreTotals::default()),
        reply => answer(reply),
    }
}
