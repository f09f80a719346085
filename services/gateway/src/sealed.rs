use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result};
use axum::{
    extract::State,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use kernel::Actor;
use wire::{
    Caller, answer,
    id::{BiddingSessionId, OrganizationId},
    v1,
};

use crate::{edge::Door, fault::valid};

/// Where the key is found by which receipts of sealed bids and heads of logs are checked.
pub const KEYS: &str = "/.well-known/jishi-keys.json";

/// Sealed bids.
#[derive(Default)]
pub struct SealedQuery;

#[Object]
impl SealedQuery {
    /// The exchange's receipt for a bidder's last sealed bid in a session. Null for whoever is not BIDDER of the
    /// organization, and where it has sent none. Errors: INVALID_ID.
    ///
    /// Permission: BIDDER of its organization.
    async fn sealed_receipt(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The session's id.")] session_id: ID,
        #[graphql(desc = "The bidder's id.")] organization_id: ID,
    ) -> Result<Option<v1::SealedReceipt>> {
        valid::<BiddingSessionId>(session_id.clone(), "sessionId")?;
        valid::<OrganizationId>(organization_id.clone(), "organizationId")?;
        let caller = Caller::of(ctx)?;
        let request = v1::GetSealedReceiptRequest { session_id: session_id.0, organization_id: organization_id.0 };
        let reply = answer(caller.clients.sealed_bids.clone().get_sealed_receipt(caller.request(request)).await)?;
        Ok(reply.receipt)
    }

    /// What opened the sealed rounds of a session, and the envelopes: with both, whoever likes opens them again. Empty
    /// before the first opening is complete. Errors: NOT_FOUND, INVALID_ID.
    ///
    /// Permission: anyone.
    #[graphql(complexity = "20 + child_complexity * 20")]
    async fn sealed_openings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The session's id.")] session_id: ID,
    ) -> Result<Vec<v1::SealedOpening>> {
        let caller = Caller::of(ctx)?;
        let request = caller.request(v1::GetSealedOpeningsRequest { session_id: session_id.0 });
        Ok(answer(caller.clients.sealed_bids.clone().get_sealed_openings(request).await)?.items)
    }
}

/// Whether an operation must not be told from a query (promise P-3): a sealed bid waits for its beat, and how long it took,
/// or when it was answered, would tell it from anything else.
pub fn is_untold(roots: &[String]) -> bool {
    roots.iter().any(|root| root == "submitSealedBid" || root == "sealedReceipt")
}

/// Answers [`KEYS`].
pub async fn keys(State(door): State<Arc<Door>>) -> Response {
    let asked = door.clients.sealed_bids.clone().get_exchange_keys(Actor::default().asks(v1::Nothing {})).await;
    match asked {
        Ok(reply) => {
            let headers = [(CONTENT_TYPE, "application/jwk-set+json"), (CACHE_CONTROL, "public, max-age=60")];
            (headers, reply.into_inner().json).into_response()
        }
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
