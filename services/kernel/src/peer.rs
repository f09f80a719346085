use std::{convert::Infallible, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use http::{HeaderValue, Request, Response};
use tonic::{
    Status,
    body::Body,
    service::Routes,
    transport::{Channel, Endpoint, Error},
};
use tower::{ServiceBuilder, ServiceExt, service_fn, util::BoxCloneSyncService};
use tracing::{Instrument, field::Empty};

use crate::trace::{self, Trace};

/// The other end of a call: a service in this process, or one across the network. Every generated
/// client is `XClient<Peer>` and no caller can tell which one it got.
///
/// The error is concrete: with a boxed one, spawning any client call fails to compile
/// (rust-lang/rust#64552).
pub type Peer = BoxCloneSyncService<Request<Body>, Response<Body>, Status>;

/// No call waits longer than this for its answer to begin.
pub const CALL_LIMIT: Duration = Duration::from_secs(15);

/// A peer across the network; it connects on first use and again after a break.
///
/// # Errors
/// The URL is none.
pub fn remote(url: &str, secret: &str) -> Result<Peer, Error> {
    let (channel, secret) = (connected(url)?, Secret::new(secret));
    let service = ServiceBuilder::new()
        .map_request(move |mut request: Request<Body>| {
            secret.stamp(&mut request);
            request
        })
        .map_err(|error: Error| Status::unavailable(error.to_string()))
        .service(channel);
    Ok(BoxCloneSyncService::new(service))
}

pub(crate) fn connected(url: &str) -> Result<Channel, Error> {
    let endpoint = Endpoint::from_shared(url.to_owned())?
        .timeout(CALL_LIMIT)
        .connect_timeout(Duration::from_secs(3))
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(5))
        .tcp_nodelay(true);
    Ok(endpoint.connect_lazy())
}

/// What networked peers share, as a header of their calls.
#[derive(Clone)]
pub(crate) struct Secret(HeaderValue);

impl Secret {
    pub(crate) fn new(secret: &str) -> Self {
        let mut secret = HeaderValue::from_str(secret).unwrap_or(HeaderValue::from_static(""));
        // Printed as "Sensitive", wherever a request is printed.
        secret.set_sensitive(true);
        Self(secret)
    }

    /// Signs a call that leaves this process, and names its trace.
    pub(crate) fn stamp(&self, request: &mut Request<Body>) {
        request.headers_mut().insert(PEER_HEADER, self.0.clone());
        trace::stamp(request.headers_mut());
    }
}

/// Carries the secret that networked peers share; the identity in metadata is believed only with it.
pub const PEER_HEADER: &str = "jishi-peer";

/// A peer in this process. A bare local call would ignore deadlines, let a handler's panic end the
/// caller and leak request extensions; this one does none of that.
#[must_use]
pub fn local(routes: Routes) -> Peer {
    let service = routes.prepare();
    BoxCloneSyncService::new(service_fn(move |mut request: Request<Body>| {
        let service = service.clone();
        request.extensions_mut().clear();
        async move {
            let call = AssertUnwindSafe(traced(service, request)).catch_unwind();
            match tokio::time::timeout(CALL_LIMIT, call).await {
                Err(_) => Err(Status::deadline_exceeded("timeout")),
                Ok(Err(_)) => Err(Status::internal("a handler panicked")),
                Ok(Ok(Ok(response))) => Ok(response),
                Ok(Ok(Err(never))) => {
                    let never: Infallible = never;
                    match never {}
                }
            }
        }
    }))
}

/// Calls that no trace and no line of the log may count (promise P-3): how many sealed bids came is nobody's to know.
const UNTOLD: [&str; 2] = ["jishi.v1.SealedBids/SubmitSealedBid", "jishi.v1.SealedBids/GetSealedReceipt"];

/// Answers within a span of the call's own, and within the trace that a caller in another process names.
async fn traced(service: Routes, request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let name = request.uri().path().trim_start_matches('/');
    if UNTOLD.contains(&name) {
        return service.oneshot(request).await;
    }
    if !trace::is_stamped(request.headers()) {
        let span = tracing::debug_span!("call", otel.name = name, otel.kind = "server", rpc.system = "grpc");
        return answered(service, request).instrument(span).await;
    }
    // At this level, so that whatever the log leaves out, its lines name their trace.
    let span = tracing::error_span!("call", otel.name = name, otel.kind = "server", rpc.system = "grpc", trace = Empty);
    Trace::of(request.headers(), &span).within(span, answered(service, request)).await
}

async fn answered(service: Routes, request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let answer = service.oneshot(request).await;
    tracing::debug!("answered");
    answer
}
