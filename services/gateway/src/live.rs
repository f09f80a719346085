//! GraphQL over WebSocket: graphql-transport-ws, subscriptions only.
//!
//! A document is executed once per event for all who watch by it (`canvas`), whatever their number; what one of them
//! may see and another may not keeps them apart (`audience`). `events` leaves nothing out, `price` leaves out all but
//! the latest state. A feed tells those who wait for it (`listeners`) over their sockets (`outlet`), each with its own id
//! before what was drawn; all else is the socket's conversation (`talk`).

mod audience;
mod beginning;
mod canvas;
mod events;
mod join;
mod listeners;
mod lot;
mod outlet;
mod price;
mod shelf;
mod talk;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use axum::{
    extract::{State, WebSocketUpgrade},
    http::{
        Extensions, HeaderMap, StatusCode,
        header::{HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL},
    },
    response::{IntoResponse, Response as HttpResponse},
};
use kernel::{Actor, Error};

use crate::{edge::Door, tokens::token_of};

pub use join::{Wanted, frames};
pub use shelf::Shelves;

const PROTOCOL: &str = "graphql-transport-ws";
const MESSAGE: usize = 64 * 1024;
/// What is read from a socket at a time. The default would cost 130 KiB a watcher.
const BUFFER: usize = 2 * 1024;

/// Answers `/graphql/ws`.
pub async fn live(
    State(door): State<Arc<Door>>,
    extensions: Extensions,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> HttpResponse {
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    if !offered.flat_map(|value| value.split(',')).any(|name| name.trim() == PROTOCOL) {
        return (StatusCode::BAD_REQUEST, "Sec-WebSocket-Protocol: graphql-transport-ws").into_response();
    }
    if !is_allowed(&headers, &door.allowed_origins) {
        return (StatusCode::FORBIDDEN, "Origin").into_response();
    }
    let Ok(place) = door.sockets.clone().try_acquire_owned() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let address = door.addresses.caller(&extensions, &headers);
    let Some(seat) = door.addresses.seat(address.clone()) else {
        return StatusCode::TOO_MANY_REQUESTS.into_response();
    };
    let tasks = door.tasks.clone();
    upgrade
        .protocols([PROTOCOL])
        .max_message_size(MESSAGE)
        .max_frame_size(MESSAGE)
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .on_upgrade(move |socket| {
            tasks.track_future(async move {
                let visit = Arc::new(Visit {
                    door,
                    address,
                    init: AtomicBool::new(false),
                    token: Mutex::default(),
                    open: AtomicUsize::new(0),
                });
                talk::converse(socket, visit).await;
                drop((place, seat));
            })
        })
}

/// A browser's page of another site may not open a socket here; programs send no Origin.
fn is_allowed(headers: &HeaderMap, allowed: &[String]) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let same = origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host));
    origins.next().is_none() && (same || allowed.iter().any(|allowed| allowed == origin))
}

/// What became of a visitor.
enum Standing {
    Same,
    /// The session is over.
    Unknown,
    /// The same person may do more or less now.
    Changed,
}

/// One socket's visit.
struct Visit {
    door: Arc<Door>,
    /// Where the visitor comes from.
    address: String,
    /// Whether `connection_init` has come.
    init: AtomicBool,
    /// The access token and who stands behind it; nothing for an anonymous visitor.
    token: Mutex<Option<(String, Actor)>>,
    /// Subscriptions under way.
    open: AtomicUsize,
}

impl Visit {
    fn actor(&self) -> Actor {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let actor = token.as_ref().map(|(_, actor)| actor.clone()).unwrap_or_default();
        Actor { address: self.address.clone(), ..actor }
    }

    /// Takes the token of `connection_init`, if there is one. A bad one ends the visit.
    async fn introduce(&self, payload: serde_json::Value) -> kernel::Result<()> {
        self.init.store(true, Relaxed);
        let credentials = payload.get("Authorization").or_else(|| payload.get("authorization"));
        let Some(credentials) = credentials.filter(|credentials| !credentials.is_null()) else { return Ok(()) };
        let believed = match credentials.as_str().and_then(token_of) {
            Some(token) => self.believe(token).await,
            None => Err(Error::Unauthenticated),
        };
        if matches!(believed, Err(Error::Unauthenticated)) {
            // The visitor is still anonymous: its address pays. The visit ends either way.
            drop(self.door.meter.charge(&self.actor(), 0).take(1).await);
        }
        believed
    }

    /// Checks the token again: who signed out or ran out of time is no longer served, and whose rights changed has to
    /// come again with those. While identity is away the visit goes on as it began.
    async fn stands(&self) -> Standing {
        let kept = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((token, actor)) = kept else { return Standing::Same };
        match self.door.tokens.authenticate(&token).await {
            Ok(known) if known.actor != actor => Standing::Changed,
            Err(Error::Unauthenticated) => Standing::Unknown,
            _ => Standing::Same,
        }
    }

    async fn believe(&self, token: String) -> kernel::Result<()> {
        let known = self.door.tokens.authenticate(&token).await?;
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some((token, known.actor.clone()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_sites_may_not_come_in() {
        let headers = |origin: &'static str| -> HeaderMap {
            HeaderMap::from_iter([(ORIGIN, origin.parse().unwrap()), (HOST, "jishi.example:8080".parse().unwrap())])
        };
        let allowed = ["https://front.example".to_owned()];
        assert!(is_allowed(&HeaderMap::new(), &allowed));
        assert!(is_allowed(&headers("http://jishi.example:8080"), &allowed));
        assert!(is_allowed(&headers("https://front.example"), &allowed));
        for foreign in ["null", "https://evil.example", "https://front.example.evil.example", "http://jishi.example"] {
            assert!(!is_allowed(&headers(foreign), &allowed), "{foreign}");
        }
    }
}
