#![expect(clippy::too_many_arguments, reason = "they are arguments of GraphQL fields")]

use async_graphql::{Context, Enum, ID, Object, Result};
use kernel::{ErrorCode, Refusal};
use wire::{Caller, answer, fault, v1};

use crate::list::{Log, cost, log};

/// The audit trails, one per service.
#[derive(Default)]
pub struct AuditQuery;

/// Who recorded a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(name = "AuditSource")]
pub enum Source {
    /// Persons, sessions, organizations, centres, invitations, keys, credentials, mandates, conflicts of interest.
    Identity,
    /// Achievements, listings, transfer applications.
    Catalog,
    /// Bidding sessions, awards.
    Auction,
    /// Accounts, receipts, deposits, settlements.
    Ledger,
    /// Deals, contracts.
    Contract,
    /// Investors, financing projects, interests.
    Financing,
}

#[Object]
impl AuditQuery {
    /// Recorded facts, oldest first. The subject's kind decides which service is asked unless `service` does; without
    /// a subject `service` is required. Centre staff: AUDITOR. Errors: UNAUTHENTICATED, FORBIDDEN, INVALID_ID, REQUIRED.
    ///
    /// Permission: AUDITOR of its centre or of one above; of the hub.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn audit_trail(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The service whose trail is wanted.")] service: Option<Source>,
        #[graphql(desc = "The object whose facts are wanted.")] subject: Option<ID>,
        #[graphql(desc = "1-100; 20 if absent.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which to go on.")] after: Option<String>,
    ) -> Result<Log<v1::AuditRecord>> {
        let caller = Caller::of(ctx)?;
        let source = match (service, &subject) {
            (Some(service), _) => service,
            (None, Some(subject)) => source_of(subject)
                .ok_or_else(|| fault(&Refusal::new(ErrorCode::InvalidId).at_field("subject").into()))?,
            (None, None) => return Err(fault(&Refusal::new(ErrorCode::Required).at_field("service").into())),
        };
        let continued = after.is_some();
        let page = Some(v1::Page { first, after, count: false });
        let request = caller.request(v1::ListAuditRequest { page, subject: subject.map(|id| id.0) });
        let clients = caller.clients.clone();
        let page = answer(match source {
            Source::Identity => clients.identity.clone().list_audit(request).await,
            Source::Catalog => clients.catalog.clone().list_audit(request).await,
            Source::Auction => clients.auction.clone().list_audit(request).await,
            Source::Ledger => clients.ledger.clone().list_audit(request).await,
            Source::Contract => clients.contracting.clone().list_audit(request).await,
            Source::Financing => clients.financing.clone().list_audit(request).await,
        })?;
        Ok(log(continued, page.items, page.end.unwrap_or_default().has_next, |record| record.id.clone()))
    }
}

/// The service that owns the object.
fn source_of(subject: &str) -> Option<Source> {
    let (prefix, _) = kernel::decode(subject)?;
    Some(match prefix.as_str() {
        "person" | "session" | "organization" | "invitation" | "apikey" | "credential" | "mandate" | "conflict" => {
            Source::Identity
        }
        "achievement" | "listing" | "application" => Source::Catalog,
        "bidding" | "award" => Source::Auction,
        "account" | "receipt" | "deposit" | "transfer" | "settlement" => Source::Ledger,
        "deal" | "contract" => Source::Contract,
        "investor" | "project" | "interest" => Source::Financing,
        _ => return None,
    })
}
