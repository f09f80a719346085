//! `GET /evidence/{sessionId}`: the bundle from which anybody decides a finished session again (docs/evidence.md).

use std::sync::Arc;

use async_graphql::ServerError;
use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{Path, Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use kernel::{Actor, Error, Id};
use wire::{id::BiddingSessionId, v1};

use crate::{
    edge::Door,
    fault::{failed, top_level},
    frame::{TraceId, Traced, answered, refused},
};

/// Where a session's bundle is.
pub const BUNDLE: &str = "/evidence/{session_id}";

/// The most downloads at a time.
pub const DOWNLOADS: usize = 100;

/// What a download costs, and what every thousand events of it cost more.
const COST: usize = 50;

/// Answers [`BUNDLE`]. What is no finished session answers as one that does not exist.
pub async fn bundle(
    State(door): State<Arc<Door>>,
    Extension(trace): Traced,
    Path(session_id): Path<String>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let address = door.addresses.caller(&parts.extensions, &parts.headers);
    let actor = match door.caller(&parts.headers, address.clone()).await {
        Ok(actor) => actor,
        Err(error) => return told(error, &trace),
    };
    // Behind a trusted proxy connections are not counted by address; downloads are.
    let Ok(place) = door.downloads.clone().try_acquire_owned() else {
        return unavailable(&Error::Unavailable("too many downloads".into()), &trace);
    };
    let Some(seat) = door.addresses.seat(address) else {
        return unavailable(&Error::Unavailable("too many connections".into()), &trace);
    };
    if BiddingSessionId::parse(&session_id, "sessionId").is_err() {
        return missing(&trace);
    }
    match open(&door, &actor, &session_id).await {
        Ok(Ok(lines)) => {
            let kept = stream::once(async move { drop((place, seat)) }).filter_map(|()| async { None });
            let name = format!("attachment; filename=\"{session_id}.ndjson\"");
            let mut response = Body::from_stream(lines.chain(kept)).into_response();
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
            // It grows if the winner defaults.
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            if let Ok(name) = HeaderValue::from_str(&name) {
                headers.insert(CONTENT_DISPOSITION, name);
            }
            response
        }
        Ok(Err(error)) => told(error, &trace),
        Err(Error::Refused(_)) => missing(&trace),
        Err(error) => unavailable(&error, &trace),
    }
}

type Lines = stream::BoxStream<'static, Result<Bytes, std::io::Error>>;

/// Charges for the bundle, and opens it up to its first lines: what can be refused is refused before the answer begins.
async fn open(door: &Door, actor: &Actor, session_id: &str) -> Result<Result<Lines, ServerError>, Error> {
    let charge = door.meter.charge(actor, 0);
    if let Err(limited) = charge.rested() {
        return Ok(Err(limited));
    }
    let wanted = || actor.asks(v1::EvidenceRequest { session_id: session_id.to_owned() });
    let mut auction = door.clients.auction.clone();
    let known = auction.get_evidence(wanted()).await?.into_inner().evidence;
    let thousands = known.as_ref().map_or(0, |known| usize::try_from(known.size / 1_000).unwrap_or(usize::MAX));
    if let Err(limited) = charge.take(COST.saturating_mul(thousands.saturating_add(1)).min(MOST)).await {
        return Ok(Err(limited));
    }
    if known.is_none() {
        return Err(Error::not_found("sessionId"));
    }
    let mut parts = auction.download_evidence(wanted()).await?.into_inner();
    let first = parts.message().await?.unwrap_or_default();
    let parts = stream::once(async { Ok(first) }).chain(parts);
    // Whoever is cut off sees that the answer is not whole, and the bundle lacks its last line.
    Ok(Ok(parts.map(|part| part.map(|part| Bytes::from(part.lines)).map_err(std::io::Error::other)).boxed()))
}

/// No download costs more, so that the longest can be had within the budget of one address.
const MOST: usize = 10_000;

fn told(error: ServerError, trace: &TraceId) -> Response {
    let mut response = answered(&failed(error, &trace.0));
    if response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    }
    response
}

fn missing(trace: &TraceId) -> Response {
    refused(StatusCode::NOT_FOUND, top_level(&Error::not_found("sessionId")), trace)
}

fn unavailable(error: &Error, trace: &TraceId) -> Response {
    refused(StatusCode::SERVICE_UNAVAILABLE, top_level(error), trace)
}
