//! What every request of the process gets, whatever it asks for: a trace id, an end, headers that keep browsers
//! careful, and a count.

use std::{panic::AssertUnwindSafe, time::Duration};

use async_graphql::ServerError;
use axum::{
    Extension, Router,
    body::Body,
    extract::Request,
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
            X_FRAME_OPTIONS,
        },
    },
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use kernel::{Error, Trace};
use tracing::field::Empty;

use crate::fault::{failed, retry_after, top_level};

/// No request takes longer, its body included.
const LONGEST: Duration = Duration::from_secs(15);

const TRACE: HeaderName = HeaderName::from_static("x-trace-id");

/// The id under which a request is found in the logs.
#[derive(Clone)]
pub struct TraceId(pub String);

/// Puts the frame around all routes of the process.
pub fn framed(routes: Router) -> Router {
    routes.layer(from_fn(frame))
}

async fn frame(mut request: Request, next: Next) -> Response {
    // At this level, so that whatever the log leaves out, its lines name their trace.
    let span = tracing::error_span!("request", trace = Empty, otel.kind = "server");
    let current = Trace::of(request.headers(), &span);
    let trace = TraceId(current.to_string());
    request.extensions_mut().insert(trace.clone());
    let work = AssertUnwindSafe(tokio::time::timeout(LONGEST, next.run(request))).catch_unwind();
    let answer = current.within(span, work).await;
    let mut response = match answer {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::warn!(trace = trace.0, "a request took too long");
            told(StatusCode::SERVICE_UNAVAILABLE, &Error::Unavailable("timeout".into()), &trace)
        }
        Err(_) => {
            tracing::error!(trace = trace.0, "a request panicked");
            told(StatusCode::INTERNAL_SERVER_ERROR, &Error::Internal("panic".into()), &trace)
        }
    };
    careful(&mut response, &trace);
    metrics::counter!("http_requests_total", "code" => response.status().as_str().to_owned()).increment(1);
    response
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
            (status, headers, Body::from(body)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a response could not be written as JSON");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The trace id of the request under way.
pub type Traced = Extension<TraceId>;
