#![expect(clippy::too_many_arguments, reason = "they are arguments of GraphQL fields")]

use async_graphql::{Context, ID, Object, Result};
use wire::{
    Caller, answer,
    id::{FinancingProjectId, InvestorId},
    v1,
};

use crate::{
    fault::{exactly_one, valid},
    list::{List, cost, list, wanted},
};

/// Investors, financing projects and interests.
#[derive(Default)]
pub struct FinancingQuery;

#[Object]
impl FinancingQuery {
    /// One investor; null unless the caller may see it. Errors: INVALID_ID.
    ///
    /// Permission: anyone.
    async fn investor(&self, ctx: &Context<'_>, id: ID) -> Result<Option<v1::Investor>> {
        Caller::of(ctx)?.loaders.investor.link(valid::<InvestorId>(id, "id")?).await
    }

    /// One financing project; null if it is not open and the caller is neither its member nor a centre reviewer.
    /// `details` are confidential (rule F5). Errors: INVALID_ID.
    ///
    /// Permission: anyone.
    async fn financing_project(&self, ctx: &Context<'_>, id: ID) -> Result<Option<v1::FinancingProject>> {
        Caller::of(ctx)?.loaders.financing_project.link(valid::<FinancingProjectId>(id, "id")?).await
    }

    /// Financing projects that the caller may see, newest first. Errors: INVALID_INPUT, INVALID_ID.
    ///
    /// Permission: anyone.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn financing_projects(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "1-100; 20 if absent.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which to go on.")] after: Option<String>,
        #[graphql(desc = "Only those of this organization.")] organization_id: Option<ID>,
    ) -> Result<List<v1::FinancingProject>> {
        let caller = Caller::of(ctx)?;
        let continued = after.is_some();
        let request = v1::ListFinancingProjectsRequest {
            page: wanted(ctx, first, after),
            organization_id: organization_id.map(|id| id.0),
        };
        let page = answer(caller.clients.financing.clone().list_financing_projects(caller.request(request)).await)?;
        Ok(list(continued, page.items, page.end, |item| item.id.clone()))
    }

    /// Interests of the caller's investors and in the caller's projects, newest first; all of them for centre staff.
    /// Errors: UNAUTHENTICATED, INVALID_INPUT, INVALID_ID.
    ///
    /// Permission: whoever is signed in.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn interests(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "1-100; 20 if absent.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which to go on.")] after: Option<String>,
        #[graphql(desc = "Only those in this project.")] financing_project_id: Option<ID>,
        #[graphql(desc = "Only those of this investor.")] investor_id: Option<ID>,
    ) -> Result<List<v1::Interest>> {
        let caller = Caller::of(ctx)?;
        let continued = after.is_some();
        let request = v1::ListInterestsRequest {
            page: wanted(ctx, first, after),
            financing_project_id: financing_project_id.map(|id| id.0),
            investor_id: investor_id.map(|id| id.0),
        };
        let page = answer(caller.clients.financing.clone().list_interests(caller.request(request)).await)?;
        Ok(list(continued, page.items, page.end, |item| item.id.clone()))
    }

    /// Suggestions, best first: projects for an investor, or investors for a project; give exactly one. For members
    /// of that side and for centre staff. Errors: UNAUTHENTICATED, NOT_FOUND, INVALID_INPUT, INVALID_ID.
    ///
    /// Permission: whoever is signed in.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn financing_matches(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The investor's id.")] investor_id: Option<ID>,
        #[graphql(desc = "The project's id.")] financing_project_id: Option<ID>,
        #[graphql(desc = "1-100; 20 if absent.")] first: Option<i32>,
    ) -> Result<Vec<v1::FinancingMatch>> {
        exactly_one(&investor_id, &financing_project_id, "investorId | financingProjectId")?;
        let caller = Caller::of(ctx)?;
        let request = v1::FinancingMatchesRequest {
            investor_id: investor_id.map(|id| id.0),
            financing_project_id: financing_project_id.map(|id| id.0),
            first,
        };
        Ok(answer(caller.clients.financing.clone().list_matches(caller.request(request)).await)?.items)
    }
}
