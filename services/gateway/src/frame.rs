//! What every request of the process gets, whatever it asks for: a trace id, an end, headers that keep browsers
//! careful, and a count.

use std::{
    future::poll_fn,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    time::Duration,
};

use async_graphql::ServerError;
use axum::{
    Extension, Router,
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
            X_FRAME_OPTIONS,
        },
    },
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use kernel::{Error, Trace};
use tracing::{Span, field::Empty};

use crate::{
    Addresses, RequestLog,
    fault::{codes, failed, limited, retry_after, top_level},
    request_log::{Codes, Entry},
    unread::counted,
};

/// No request takes longer, its body included.
const LONGEST: Duration = Duration::from_secs(15);

const TRACE: HeaderName = HeaderName::from_static("x-trace-id");

/// The id under which a request is found in the logs.
#[derive(Clone)]
pub struct TraceId(pub String);

/// Puts the frame around all routes of the process.
pub fn framed(routes: Router, log: RequestLog, addresses: Addresses) -> Router {
    routes.layer(from_fn_with_state((log, addresses), frame))
}

async fn frame(State((log, addresses)): State<(RequestLog, Addresses)>, mut request: Request, next: Next) -> Response {
    // At this level, so that whatever the log leaves out, its lines name their trace.
    let span = tracing::error_span!("request", trace = Empty, otel.kind = "server");
    let current = Trace::of(request.headers(), &span);
    let trace = TraceId(current.to_string());
    let entry = log.entry(span);
    if let Some(path) = request.extensions().get::<MatchedPath>() {
        entry.operation(path.as_str().to_owned());
    }
    let address = addresses.caller(request.extensions(), request.headers());
    request.extensions_mut().insert(trace.clone());
    request.extensions_mut().insert(entry.clone());
    let mut response = match addresses.reads(&address) {
        true => current.within(Span::none(), run(request, next, &entry, &trace)).await,
        false => too_much_unread(&trace),
    };
    careful(&mut response, &trace);
    let response = counted(&addresses, &address, response).await.unwrap_or_else(|| too_much_unread(&trace));
    entry.answered(&response);
    response
}

async fn run(request: Request, next: Next, entry: &Entry, trace: &TraceId) -> Response {
    let mut work = pin!(AssertUnwindSafe(tokio::time::timeout(LONGEST, next.run(request))).catch_unwind());
    // The span ends with the line of the log: how long a sealed bid waits for its beat is told by neither.
    let within = poll_fn(|cx| {
        let span = entry.span().unwrap_or_else(Span::none);
        let _within = span.enter();
        Pin::as_mut(&mut work).poll(cx)
    });
    // What is told already is no longer told which request it was.
    let id = || if entry.is_written() { "" } else { trace.0.as_str() };
    match within.await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::warn!(trace = id(), "a request took too long");
            told(StatusCode::SERVICE_UNAVAILABLE, &Error::Unavailable("timeout".into()), trace)
        }
        Err(_) => {
            tracing::error!(trace = id(), "a request panicked");
            told(StatusCode::INTERNAL_SERVER_ERROR, &Error::Internal("panic".into()), trace)
        }
    }
}

fn too_much_unread(trace: &TraceId) -> Response {
    answered(&failed(limited(Duration::from_secs(1)), &trace.0))
}

fn careful(response: &mut Response, trace: &TraceId) {
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&trace.0) {
        headers.insert(TRACE, value);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let html = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    // Pages set their own policy; nothing else is a page.
    if !html && !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    }
}

fn told(status: StatusCode, error: &Error, trace: &TraceId) -> Response {
    refused(status, top_level(error), trace)
}

/// An answer of one error, in the shape of a GraphQL response.
pub fn refused(status: StatusCode, error: ServerError, trace: &TraceId) -> Response {
    json(status, &failed(error, &trace.0))
}

/// An answer as GraphQL over HTTP has it: 200, unless the caller asked for too much in too short a time.
pub fn answered(answer: &async_graphql::Response) -> Response {
    let Some(seconds) = retry_after(answer) else { return json(StatusCode::OK, answer) };
    let mut response = json(StatusCode::TOO_MANY_REQUESTS, answer);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// A GraphQL response; it may hold secrets, so nothing on the way keeps it.
pub fn json(status: StatusCode, response: &async_graphql::Response) -> Response {
    match serde_json::to_vec(response) {
        Ok(body) => {
            let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
            (status, Extension(Codes(codes(response))), headers, Body::from(body)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a response could not be written as JSON");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The trace id of the request under way.
pub type Traced = Extension<TraceId>;
