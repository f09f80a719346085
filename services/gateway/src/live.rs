//! GraphQL over WebSocket: graphql-transport-ws, subscriptions only.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use async_graphql::{
    Data, Executor, Request, Response,
    http::{WebSocket as Protocol, WebSocketProtocols, WsMessage},
    parser::types::OperationType,
};
use axum::{
    extract::{
        State, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket},
    },
    http::{
        Extensions, HeaderMap, StatusCode,
        header::{HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL},
    },
    response::{IntoResponse, Response as HttpResponse},
};
use futures::{
    SinkExt, StreamExt,
    future::ready,
    stream::{BoxStream, once},
};
use kernel::{Actor, Error, Language};
use tokio::time::{interval, sleep, timeout};
use wire::Caller;

use crate::{
    edge::{Door, language},
    fault::{failed, finished, invalid, refusal},
    tokens::token_of,
};

const PROTOCOL: &str = "graphql-transport-ws";
/// Who has not introduced itself by then is closed: within 3 seconds, as S2 asks.
const INIT: Duration = Duration::from_millis(2_500);
/// How often the token is checked again: who is remembered for 2 seconds more is closed within 5, as S2 asks.
const CHECK: Duration = Duration::from_secs(2);
/// Checks between two pings; who was not heard of since the last one is gone.
const CHECKS_PER_PING: u32 = 15;
/// A client that takes no bytes for this long is closed.
const SEND: Duration = Duration::from_secs(5);
const MESSAGE: usize = 64 * 1024;
const BUFFER: usize = 4 * 1024;
/// Subscriptions at a time over one socket.
const SUBSCRIPTIONS: usize = 20;

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
    let language = language(&headers);
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
                    language,
                    init: AtomicBool::new(false),
                    token: Mutex::default(),
                    open: AtomicUsize::new(0),
                });
                converse(socket, visit).await;
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

/// One socket's visit.
struct Visit {
    door: Arc<Door>,
    /// Where the visitor comes from.
    address: String,
    language: Language,
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

    /// Checks the token again; who signed out or ran out of time is no longer served. While identity is away the
    /// visit goes on, since streams show nothing that a session could not see when it began.
    async fn still_known(&self) -> bool {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(token, _)| token.clone());
        match token {
            Some(token) => !matches!(self.believe(token).await, Err(Error::Unauthenticated)),
            None => true,
        }
    }

    async fn believe(&self, token: String) -> kernel::Result<()> {
        let known = self.door.tokens.authenticate(&token).await?;
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some((token, known.actor.clone()));
        Ok(())
    }
}

async fn converse(socket: WebSocket, visit: Arc<Visit>) {
    let (mut sink, stream) = socket.split();
    let heard = Arc::new(AtomicBool::new(true));
    let hearing = heard.clone();
    let stop = visit.door.stop.clone();
    let incoming = stream
        .take_until(stop.clone().cancelled_owned())
        .take_while(|message| ready(message.is_ok()))
        .inspect(move |_| hearing.store(true, Relaxed))
        .filter_map(|message| {
            let spoken = message.ok().filter(|message| matches!(message, Message::Text(_) | Message::Binary(_)));
            ready(spoken.map(Message::into_data))
        });
    let introduced = visit.clone();
    let init = move |payload| async move {
        introduced.introduce(payload).await.map_err(|error| wire::fault(&error))?;
        Ok(Data::default())
    };
    let protocol = Protocol::new(Subscriptions(visit.clone()), incoming, WebSocketProtocols::GraphQLWS);
    let mut outgoing = pin!(protocol.on_connection_init(init));
    let mut deadline = pin!(sleep(INIT));
    let mut checks = interval(CHECK);
    let mut until_ping = CHECKS_PER_PING;
    loop {
        let message = tokio::select! {
            biased;
            () = stop.cancelled() => close(1001, "going away"),
            _ = checks.tick() => {
                until_ping -= 1;
                if !visit.still_known().await {
                    close(4401, "Unauthorized")
                } else if until_ping > 0 {
                    continue;
                } else if heard.swap(false, Relaxed) {
                    until_ping = CHECKS_PER_PING;
                    Message::Ping(Vec::new().into())
                } else {
                    close(1001, "not heard of")
                }
            }
            () = &mut deadline, if !visit.init.load(Relaxed) => close(4408, "Connection initialisation timeout"),
            message = outgoing.next() => match message {
                Some(WsMessage::Text(text)) => Message::Text(text.into()),
                Some(WsMessage::Close(code, reason)) => closing(code, reason),
                // The client is gone, or the stop token has ended its stream: then the next turn says so.
                None if stop.is_cancelled() => continue,
                None => return,
            },
        };
        let last = matches!(message, Message::Close(_));
        if !matches!(timeout(SEND, sink.send(message)).await, Ok(Ok(()))) || last {
            return;
        }
    }
}

fn close(code: u16, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame { code, reason: reason.into() }))
}

/// The library closes with 1002 on a refused token and on unreadable messages, and names the parser's trouble.
fn closing(code: u16, reason: String) -> Message {
    match code {
        1002 if reason.contains("Sign in") => close(4401, "Unauthorized"),
        1002 if reason.contains("Unavailable") => close(1013, "try again later"),
        1002 => close(4400, "Bad request"),
        1011 => close(4401, "Unauthorized"),
        _ => Message::Close(Some(CloseFrame { code, reason: reason.into() })),
    }
}

/// Runs subscriptions for the visitor and refuses everything else.
#[derive(Clone)]
struct Subscriptions(Arc<Visit>);

impl Executor for Subscriptions {
    async fn execute(&self, _: Request) -> Response {
        refused_kind()
    }

    fn execute_stream(&self, mut request: Request, _: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        let Subscriptions(visit) = self;
        let trace = kernel::fresh_uuid().to_string();
        let Some(place) = Place::taken(visit) else {
            let error = refusal("TOO_MANY_SUBSCRIPTIONS", "订阅过多。 Too many subscriptions over one socket.");
            return only(failed(error, &trace));
        };
        let (actor, door, language) = (visit.actor(), visit.door.clone(), visit.language);
        let charge = door.meter.charge(&actor, request.query.len());
        if let Err(error) = charge.rested() {
            return only(failed(error, &trace));
        }
        let judged = async move {
            let admitted = match door.operations.admit(&mut request) {
                Ok(outline) if outline.kind == OperationType::Subscription => door.gauge.weigh(&mut request).await,
                Ok(_) => Err(refused_kind()),
                Err(error) => Err(Response::from_errors(vec![error])),
            };
            let points = admitted.as_ref().map_or(1, |points| (*points).max(1));
            if let Err(error) = charge.take(points).await {
                return only(Response::from_errors(vec![error]));
            }
            match admitted {
                Err(refused) => only(refused),
                Ok(_) => {
                    let caller = Caller::new(actor, None, door.clients.clone());
                    let request = request.data(caller).data(language).data(door.clock.clone());
                    door.schema.execute_stream(request).boxed()
                }
            }
        };
        once(judged)
            .flatten()
            .map(move |response| {
                let _place = &place;
                finished(response, &trace)
            })
            .boxed()
    }
}

fn only(response: Response) -> BoxStream<'static, Response> {
    once(ready(response)).boxed()
}

fn refused_kind() -> Response {
    let error = invalid("此连接只接受订阅。 Only subscriptions run over WebSocket; POST the rest to /graphql.");
    Response::from_errors(vec![error])
}

/// A subscription's place among the visit's; freed on drop.
struct Place(Arc<Visit>);

impl Place {
    fn taken(visit: &Arc<Visit>) -> Option<Place> {
        let place = Place(visit.clone());
        (visit.open.fetch_add(1, Relaxed) < SUBSCRIPTIONS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
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
