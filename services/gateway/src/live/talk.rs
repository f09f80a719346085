//! One socket's conversation: graphql-transport-ws, and when it ends.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use async_graphql::http::ClientMessage;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures::{FutureExt, StreamExt, future::poll_fn, stream::BoxStream};
use kernel::Error;
use metrics::Counter;
use serde_json::json;
use tokio::time::{interval, sleep, timeout};

use super::{
    Standing, Visit,
    canvas::Drawn,
    join::subscribed,
    outlet::{Outlet, Way},
};

/// Who has not introduced itself by then is closed: within 3 seconds, as S2 asks.
const INIT: Duration = Duration::from_millis(2_500);
/// How often the token is checked again: who is remembered for 2 seconds more is closed within 5, as S2 asks.
const CHECK: Duration = Duration::from_secs(2);
/// Checks between two pings; who was not heard of since the last one is gone.
const CHECKS_PER_PING: u32 = 15;
/// A client that takes no bytes for this long is closed.
const SEND: Duration = Duration::from_secs(5);
/// With so many subscriptions begun and not yet answered nothing more is read, so that they cannot pile up.
const ABREAST: usize = 64;
/// The longest id of a subscription: it stands before each of its frames.
const LONGEST_ID: usize = 128;
/// The longest reason of a close frame, in bytes (RFC 6455, 5.5).
const REASON: usize = 123;

/// Talks with a visitor until either ends it. What is rarely awaited is boxed: thousands wait here, and each would hold
/// the room for it all the time.
pub async fn converse(socket: WebSocket, visit: Arc<Visit>) {
    let (sink, mut heard) = socket.split();
    let outlet = Outlet::new(sink);
    let mut stopping = pin!(visit.door.stop.clone().cancelled_owned());
    let mut deadline = pin!(sleep(INIT));
    let mut checks = interval(CHECK);
    let (mut until_ping, mut is_heard) = (CHECKS_PER_PING, true);
    let mut watching = Watching::new(outlet.clone());
    loop {
        let message = tokio::select! {
            biased;
            () = &mut stopping => close(1001, "going away"),
            _ = checks.tick() => {
                until_ping -= 1;
                match visit.stands().boxed().await {
                    Standing::Unknown => close(4401, "Unauthorized"),
                    Standing::Changed => close(1012, "rights have changed; connect again"),
                    Standing::Same if until_ping > 0 => continue,
                    Standing::Same if is_heard => {
                        (until_ping, is_heard) = (CHECKS_PER_PING, false);
                        Message::Ping(Vec::new().into())
                    }
                    Standing::Same => close(1001, "not heard of"),
                }
            }
            () = &mut deadline, if !visit.init.load(Relaxed) => close(4408, "Connection initialisation timeout"),
            said = heard.next(), if watching.open.len() < ABREAST => {
                is_heard = true;
                match said {
                    Some(Ok(said @ (Message::Text(_) | Message::Binary(_)))) => {
                        match hear(&said.into_data(), &visit, &mut watching).boxed().await {
                            Some(answer) => answer,
                            None => continue,
                        }
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                }
            }
            () = outlet.stuck() => {
                if !matches!(timeout(SEND, outlet.flush()).await, Ok(Ok(()))) {
                    return;
                }
                continue;
            }
            message = watching.next() => message,
        };
        let last = matches!(message, Message::Close(_));
        let sent = outlet.send(message, || if last { None } else { watching.next().now_or_never() });
        if !matches!(timeout(SEND, sent).await, Ok(Ok(()))) || last {
            return;
        }
    }
}

/// Takes what the visitor said; what is answered at once.
async fn hear(said: &[u8], visit: &Arc<Visit>, watching: &mut Watching) -> Option<Message> {
    let Ok(message) = ClientMessage::from_bytes(said) else { return Some(close(4400, "Bad request")) };
    match message {
        ClientMessage::ConnectionInit { .. } if visit.init.load(Relaxed) => {
            Some(close(4429, "Too many initialisation requests"))
        }
        ClientMessage::ConnectionInit { payload } => Some(match visit.introduce(payload.unwrap_or_default()).await {
            Ok(()) => text(json!({ "type": "connection_ack" })),
            Err(Error::Unauthenticated) => close(4401, "Unauthorized"),
            Err(_) => close(1013, "try again later"),
        }),
        ClientMessage::Start { .. } if !visit.init.load(Relaxed) => Some(close(4401, "Unauthorized")),
        ClientMessage::Start { id, .. } if id.len() > LONGEST_ID => Some(close(4400, "Bad request")),
        ClientMessage::Start { id, .. } if watching.has(&id) => Some(exists(&id)),
        ClientMessage::Start { id, payload } => {
            watching.begin(id, |way| subscribed(visit, payload, way));
            None
        }
        ClientMessage::Stop { id } => watching.end(&id).then(|| complete(&id)),
        // By the time in the answer a client knows the offset of its clock (docs/live.md).
        ClientMessage::Ping { .. } => {
            let payload = json!({ "serverTime": visit.door.clock.now().to_string() });
            Some(text(json!({ "type": "pong", "payload": payload })))
        }
        ClientMessage::Pong { .. } => None,
        ClientMessage::ConnectionTerminate => Some(close(1000, "")),
    }
}

fn close(code: u16, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame { code, reason: reason.into() }))
}

/// The end of a socket over which a subscription is begun twice under one id, as the protocol words it. A reason has 123
/// bytes at most; an id may be longer.
fn exists(id: &str) -> Message {
    let (head, tail) = ("Subscriber for ", " already exists");
    let shown = id.floor_char_boundary(REASON - head.len() - tail.len());
    let reason = format!("{head}{}{tail}", id.get(..shown).unwrap_or_default());
    Message::Close(Some(CloseFrame { code: 4409, reason: reason.into() }))
}

fn text(said: serde_json::Value) -> Message {
    Message::Text(said.to_string().into())
}

fn complete(id: &str) -> Message {
    text(json!({ "type": "complete", "id": id }))
}

/// The subscriptions of one socket.
struct Watching {
    outlet: Arc<Outlet>,
    open: Vec<Subscription>,
    /// Who is asked first, so that one that always has something lets the others have their turn.
    first: usize,
    frames: Counter,
}

struct Subscription {
    id: String,
    way: Arc<Way>,
    drawn: BoxStream<'static, Drawn>,
}

impl Watching {
    fn new(outlet: Arc<Outlet>) -> Watching {
        Watching { outlet, open: Vec::new(), first: 0, frames: metrics::counter!("live_frames_total") }
    }

    /// Whether one of this id is under way.
    fn has(&self, id: &str) -> bool {
        self.open.iter().any(|subscription| subscription.id == id)
    }

    /// Begins one, under an id that no other has.
    fn begin(&mut self, id: String, drawn: impl FnOnce(Arc<Way>) -> BoxStream<'static, Drawn>) {
        let way = Way::new(&self.outlet, &id);
        self.open.push(Subscription { id, drawn: drawn(way.clone()), way });
    }

    /// Ends one; false if there is none.
    fn end(&mut self, id: &str) -> bool {
        let before = self.open.len();
        self.open.retain(|subscription| subscription.id != id);
        self.open.len() < before
    }

    /// The next frame of any, or that one has come to its end. While there is none it waits.
    async fn next(&mut self) -> Message {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Message> {
        let count = self.open.len();
        for turn in 0..count {
            let at = (self.first + turn) % count;
            let Some(subscription) = self.open.get_mut(at) else { continue };
            match subscription.drawn.poll_next_unpin(cx) {
                Poll::Pending => {}
                Poll::Ready(Some(drawn)) => {
                    self.first = at + 1;
                    self.frames.increment(1);
                    return Poll::Ready(subscription.way.message(&drawn));
                }
                Poll::Ready(None) => return Poll::Ready(complete(&self.open.swap_remove(at).id)),
            }
        }
        Poll::Pending
    }
}
