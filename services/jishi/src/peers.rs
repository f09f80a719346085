//! Who answers for a role: this process, or one across the network.

use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::Request;
use kernel::{PEER_HEADER, Peer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    Status,
    body::Body,
    service::Routes,
    transport::{Server, server::TcpIncoming},
};
use tower::{ServiceExt, service_fn, util::BoxCloneSyncService};
use wire::Clients;

use crate::{
    Result,
    config::Config,
    roles::{Role, Roles},
};

/// This process as a peer. Services call each other, so the peer must exist before the services that it leads to.
#[derive(Clone, Default)]
pub struct Here(Arc<OnceLock<Peer>>);

impl Here {
    /// The peer; until it is opened it is unavailable.
    #[must_use]
    pub fn peer(&self) -> Peer {
        let here = self.0.clone();
        BoxCloneSyncService::new(service_fn(move |request: Request<Body>| {
            let peer = here.get().cloned();
            async move {
                match peer {
                    Some(peer) => peer.oneshot(request).await,
                    None => Err(Status::unavailable("starting")),
                }
            }
        }))
    }

    /// Lets the calls in.
    pub fn open(&self, routes: Routes) {
        if self.0.set(kernel::local(routes)).is_err() {
            tracing::error!("the routes of this process were opened twice");
        }
    }
}

/// Clients of all services, wherever they live.
pub fn clients(config: &Config, roles: &Roles, here: &Here) -> Result<Clients> {
    let mut peers = Vec::new();
    for role in roles.elsewhere() {
        peers.push((role.name(), remote(config, role)?));
    }
    Ok(Clients::new(|name| {
        let elsewhere = peers.iter().find(|(role, _)| *role == name);
        elsewhere.map_or_else(|| here.peer(), |(_, peer)| peer.clone())
    }))
}

/// A role that lives elsewhere, in one process or in several.
pub fn remote(config: &Config, role: Role) -> Result<Peer> {
    let urls: Vec<&str> = config.peers(role).collect();
    let peer = match urls.as_slice() {
        [] => return Err(format!("{}_peer is not set", role.name()).into()),
        [url] => kernel::remote(url, &config.peer_secret),
        urls => kernel::replicas(urls.iter().copied(), &config.peer_secret),
    };
    Ok(peer.map_err(|error| format!("{}_peer: {error}", role.name()))?)
}

/// Serves this process's roles to the others until stopped. A caller without the secret is refused: the acting
/// person in a call's metadata is believed only from a peer. The way in is the guarded one that local calls take.
pub async fn serve(listener: TcpListener, here: Here, secret: String, stop: CancellationToken) {
    let peer = here.peer();
    let service = service_fn(move |request: Request<Body>| {
        let known =
            request.headers().get(PEER_HEADER).is_some_and(|given| is_same(given.as_bytes(), secret.as_bytes()));
        let peer = peer.clone();
        async move {
            let answer = match known {
                true => peer.oneshot(request).await,
                false => Err(Status::permission_denied("not a peer")),
            };
            Ok::<_, Infallible>(answer.unwrap_or_else(Status::into_http))
        }
    });
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let served = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .http2_keepalive_timeout(Some(Duration::from_secs(5)))
        .serve_with_incoming_shutdown(service, incoming, stop.cancelled_owned())
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "gRPC ended");
    }
}

/// Compares in a time that tells nothing about where the two differ.
fn is_same(given: &[u8], secret: &[u8]) -> bool {
    let differ = given.iter().zip(secret).fold(0, |differ, (a, b)| differ | (a ^ b));
    given.len() == secret.len() && std::hint::black_box(differ) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_secret_is_the_secret() {
        assert!(is_same(b"secret", b"secret"));
        for wrong in [&b""[..], b"secre", b"secrets", b"Secret"] {
            assert!(!is_same(wrong, b"secret"));
        }
    }
}
