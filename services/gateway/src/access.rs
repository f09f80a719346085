use std::sync::Arc;

use async_graphql::{Context, Object, Result};
use axum::{
    extract::State,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use kernel::Actor;
use wire::{Caller, answer, v1};

use crate::edge::Door;

/// Where the public halves of the signing keys are found (RFC 8615, RFC 7517).
pub const JWKS: &str = "/.well-known/jwks.json";

/// How people get in.
#[derive(Default)]
pub struct AccessQuery;

#[Object]
impl AccessQuery {
    /// The caller's open sessions, the newest first, at most 200. Errors: UNAUTHENTICATED, FORBIDDEN.
    ///
    /// Permission: whoever is signed in.
    async fn sessions(&self, ctx: &Context<'_>) -> Result<Vec<v1::OpenSession>> {
        let caller = Caller::of(ctx)?;
        Ok(answer(caller.clients.access.clone().list_sessions(caller.request(v1::Nothing {})).await)?.items)
    }

    /// The caller's keys for tools, the newest first, at most 200. Errors: UNAUTHENTICATED, FORBIDDEN.
    ///
    /// Permission: whoever is signed in.
    async fn api_keys(&self, ctx: &Context<'_>) -> Result<Vec<v1::ApiKey>> {
        let caller = Caller::of(ctx)?;
        Ok(answer(caller.clients.access.clone().list_api_keys(caller.request(v1::Nothing {})).await)?.items)
    }

    /// Who vouches for people: the names that `startFederatedSignIn` takes.
    ///
    /// Permission: anyone.
    async fn sign_in_providers(&self, ctx: &Context<'_>) -> Result<Vec<v1::SignInProvider>> {
        let caller = Caller::of(ctx)?;
        Ok(answer(caller.clients.access.clone().list_sign_in_providers(caller.request(v1::Nothing {})).await)?.items)
    }

    /// The keys by which access tokens are verified, the newest first; their public halves are at
    /// `/.well-known/jwks.json`.
    ///
    /// Permission: anyone.
    async fn signing_keys(&self, ctx: &Context<'_>) -> Result<Vec<v1::SigningKey>> {
        let caller = Caller::of(ctx)?;
        Ok(answer(caller.clients.access.clone().list_signing_keys(caller.request(v1::Nothing {})).await)?.items)
    }
}

/// Answers [`JWKS`].
pub async fn jwks(State(door): State<Arc<Door>>) -> Response {
    let asked = door.clients.access.clone().get_jwks(Actor::default().asks(v1::Nothing {})).await;
    match asked {
        Ok(reply) => {
            // Shorter than a former key verifies, so that nobody misses a new one for long.
            let headers = [(CONTENT_TYPE, "application/jwk-set+json"), (CACHE_CONTROL, "public, max-age=60")];
            (headers, reply.into_inner().json).into_response()
        }
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
