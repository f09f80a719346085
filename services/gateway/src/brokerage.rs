#![expect(clippy::too_many_arguments, reason = "they are arguments of GraphQL fields")]

use async_graphql::{Context, ID, Object, Result};
use wire::{Caller, answer, id::MandateId, v1};

use crate::{
    fault::valid,
    list::{List, cost, list, wanted},
};

/// Brokers' credentials, mandates and conflicts of interest.
#[derive(Default)]
pub struct BrokerageQuery;

#[Object]
impl BrokerageQuery {
    /// Broker credentials that the caller may see, newest first: one's own; for centre staff those of its centre and of
    /// all below it. Errors: UNAUTHENTICATED, INVALID_INPUT.
    ///
    /// Permission: whoever is signed in.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn broker_credentials(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "1-100; 20 if absent.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which to go on.")] after: Option<String>,
        #[graphql(desc = "Only those that stand here.")] status: Option<v1::CredentialStatus>,
        #[graphql(desc = "Only the caller's own.", default)] own: bool,
    ) -> Result<List<v1::BrokerCredential>> {
        let caller = Caller::of(ctx)?;
        let continued = after.is_some();
        let request = v1::ListBrokerCredentialsRequest {
            page: wanted(ctx, first, after),
            status: status.map(|status| status as i32),
            own,
        };
        let page = answer(caller.clients.brokerage.clone().list_broker_credentials(caller.request(request)).await)?;
        Ok(list(continued, page.items, page.end, |item| item.id.clone()))
    }

    /// One mandate; null unless the caller is on one of its sides, or reviewer or auditor of the centre in charge.
    /// Errors: INVALID_ID.
    ///
    /// Permission: anyone.
    async fn mandate(&self, ctx: &Context<'_>, id: ID) -> Result<Option<v1::Mandate>> {
        Caller::of(ctx)?.loaders.mandate.link(valid::<MandateId>(id, "id")?).await
    }

    /// Mandates that the caller may see, newest first. Errors: UNAUTHENTICATED, INVALID_INPUT.
    ///
    /// Permission: whoever is signed in.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn mandates(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "1-100; 20 if absent.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which to go on.")] after: Option<String>,
        #[graphql(desc = "Only those that stand here.")] status: Option<v1::MandateStatus>,
    ) -> Result<List<v1::Mandate>> {
        let caller = Caller::of(ctx)?;
        let continued = after.is_some();
        let request =
            v1::ListMandatesRequest { page: wanted(ctx, first, after), status: status.map(|status| status as i32) };
        let page = answer(caller.clients.brokerage.clone().list_mandates(caller.request(request)).await)?;
        Ok(list(continued, page.items, page.end, |item| item.id.clone()))
    }

    /// Declared conflicts of interest of the caller's organizations, newest first, lifted ones too; for reviewers and
    /// auditors those of their centre's organizations. Errors: UNAUTHENTICATED, INVALID_INPUT, INVALID_ID.
    ///
    /// Permission: whoever is signed in.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn conflicts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "1-100; 20 if absent.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which to go on.")] after: Option<String>,
        #[graphql(desc = "Only those of this organization.")] organization_id: Option<ID>,
    ) -> Result<List<v1::ConflictOfInterest>> {
        let caller = Caller::of(ctx)?;
        let continued = after.is_some();
        let request = v1::ListConflictsRequest {
            page: wanted(ctx, first, after),
            organization_id: organization_id.map(|id| id.0),
        };
        let page = answer(caller.clients.brokerage.clone().list_conflicts(caller.request(request)).await)?;
        Ok(list(continued, page.items, page.end, |item| item.id.clone()))
    }
}
