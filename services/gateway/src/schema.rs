use async_graphql::{Context, MergedObject, Object, Result, Schema, SchemaBuilder, ValidationMode};
use kernel::{Clock, Instant};
use wire::mutation::{
    AccessMutation, AuctionMutation, BrokerageMutation, CatalogMutation, ContractingMutation, FinancingMutation,
    HallMutation, IdentityMutation, LedgerMutation, PrivacyMutation, SealedBidsMutation,
};

use crate::{
    access::AccessQuery,
    auction::{AuctionQuery, Subscription},
    audit::AuditQuery,
    brokerage::BrokerageQuery,
    catalog::CatalogQuery,
    contract::ContractQuery,
    cost::Cost,
    financing::FinancingQuery,
    hall::HallQuery,
    identity::IdentityQuery,
    ledger::LedgerQuery,
    node::NodeQuery,
    sealed::SealedQuery,
};

/// The schema of the exchange.
pub type ExchangeSchema = Schema<Query, Mutation, Subscription>;

/// Where the exchange runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// On a developer's machine: introspection, suggestions, a clock that can be moved.
    Development,
    /// For real.
    Production,
}

/// Everything that can be asked. Nothing tells more than the caller may see: an object of others reads as null,
/// exactly like one that does not exist.
#[derive(MergedObject, Default)]
pub struct Query(
    ExchangeQuery,
    NodeQuery,
    IdentityQuery,
    AccessQuery,
    BrokerageQuery,
    CatalogQuery,
    AuctionQuery,
    SealedQuery,
    HallQuery,
    LedgerQuery,
    ContractQuery,
    FinancingQuery,
    AuditQuery,
);

/// Everything that can be done. Each mutation yields its object or `userErrors`; each honours the `Idempotency-Key`
/// header, so that a retry is harmless.
#[derive(MergedObject, Default)]
pub struct Mutation(
    IdentityMutation,
    AccessMutation,
    BrokerageMutation,
    PrivacyMutation,
    CatalogMutation,
    AuctionMutation,
    SealedBidsMutation,
    HallMutation,
    LedgerMutation,
    ContractingMutation,
    FinancingMutation,
);

/// What concerns the exchange as a whole.
#[derive(Default)]
struct ExchangeQuery;

#[Object]
impl ExchangeQuery {
    /// The time of the exchange, by which every deadline is judged.
    ///
    /// Permission: anyone.
    async fn server_time(&self, ctx: &Context<'_>) -> Result<Instant> {
        Ok(ctx.data::<Clock>()?.now())
    }
}

/// The tools' own introspection query is this deep; `guard` holds every other query to less.
const DEPTH: usize = 16;

/// Builds the schema that executes what [`judge`]'s has judged. In production it does not describe itself.
#[must_use]
pub fn schema(mode: Mode) -> ExchangeSchema {
    limited(mode).validation_mode(ValidationMode::Fast).finish()
}

/// Builds the schema that judges and executes nothing. In production it does not suggest names.
pub(crate) fn judge(mode: Mode) -> ExchangeSchema {
    limited(mode).extension(Cost).finish()
}

fn limited(mode: Mode) -> SchemaBuilder<Query, Mutation, Subscription> {
    let builder = Schema::build(Query::default(), Mutation::default(), Subscription)
        .limit_depth(DEPTH)
        .limit_recursive_depth(DEPTH * 2)
        .limit_directives(4);
    match mode {
        Mode::Development => builder,
        Mode::Production => builder.disable_introspection().disable_suggestions(),
    }
}

/// The schema without any limit, only to measure what the limits cost: nothing that is reached from outside may
/// execute it.
#[must_use]
pub fn unlimited() -> ExchangeSchema {
    Schema::new(Query::default(), Mutation::default(), Subscription)
}
