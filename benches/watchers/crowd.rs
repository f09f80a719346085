//! Thousands of watchers, each over a socket of its own, and when each heard what.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{SinkExt, StreamExt, TryStreamExt, stream};
use jishi::Result;
use serde_json::json;
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

use super::ears::{Ears, Heard};

/// Sockets opened at a time.
const ABREAST: usize = 64;
/// A frame that has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(20);
/// So long after the last bid its price has come to all.
const SETTLE: Duration = Duration::from_secs(2);

/// What a watcher says first.
#[derive(Clone)]
pub enum Greeting {
    /// To the bare loop.
    Nothing,
    /// To the exchange.
    Subscribe {
        /// The document.
        query: String,
        /// The lot.
        session_id: String,
    },
}

/// All watchers.
pub struct Crowd {
    ears: Ears,
    count: usize,
}

/// What came of a stream of bids.
#[derive(Default)]
pub struct Frames {
    /// All frames at all watchers.
    pub count: usize,
    /// By how many milliseconds a price was overtaken when it came.
    pub stale_p99: u64,
    /// The same at most.
    pub stale_most: u64,
    /// How many milliseconds a price stood after it was overtaken.
    pub stood_p99: u64,
    /// The same at most.
    pub stood_most: u64,
    /// Watchers whose last price is the lot's.
    pub ended_true: usize,
}

impl Crowd {
    /// Opens all sockets; each has heard its first frame.
    pub async fn gather(url: &str, count: usize, greeting: Greeting) -> Result<Crowd> {
        let opening = (0..count).map(|_| greeted(url, &greeting));
        let sockets: Vec<TcpStream> = stream::iter(opening).buffered(ABREAST).try_collect().await?;
        Ok(Crowd { ears: Ears::open(sockets)?, count })
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// One frame at each, and when it came.
    pub async fn heard(&mut self) -> Result<Vec<Heard>> {
        Ok(timeout(PATIENCE, self.ears.heard(self.count)).await?)
    }

    /// The frames of a stream of bids, each of which was answered then.
    pub async fn frames(&mut self, answered: Arc<HashMap<i64, Instant>>) -> Frames {
        let mut shown: Vec<Option<i64>> = vec![None; self.count()];
        let (mut count, mut stale, mut stood) = (0, Vec::new(), Vec::new());
        // The price with this number was overtaken when the next one was answered.
        let late = |seq: i64, at: Instant| {
            answered.get(&(seq + 1)).map_or(0, |overtaken| at.saturating_duration_since(*overtaken).as_millis())
        };
        let mut heard = self.ears.heard(0).await;
        loop {
            sleep(SETTLE).await;
            let more = self.ears.heard(0).await;
            if more.is_empty() {
                break;
            }
            heard.extend(more);
        }
        for Heard { watcher, at, seq, .. } in heard {
            let Some(before) = shown.get_mut(watcher) else { continue };
            count += 1;
            stale.push(late(seq, at));
            stood.extend(before.map(|before| late(before, at)));
            *before = Some(seq);
        }
        let last = answered.keys().max().copied();
        let ended_true = shown.iter().filter(|seq| **seq == last).count();
        let (stale, stood) = (Spread::of(stale), Spread::of(stood));
        let (stale_p99, stale_most) = (stale.p99, stale.most);
        Frames { count, stale_p99, stale_most, stood_p99: stood.p99, stood_most: stood.most, ended_true }
    }
}

struct Spread {
    p99: u64,
    most: u64,
}

impl Spread {
    fn of(mut millis: Vec<u128>) -> Spread {
        millis.sort_unstable();
        let at = |percent: usize| {
            let found = millis.get(millis.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default();
            u64::try_from(found).unwrap_or(u64::MAX)
        };
        Spread { p99: at(99), most: at(100) }
    }
}

/// Says what is said first; from there on only the stream is needed.
async fn greeted(url: &str, greeting: &Greeting) -> Result<TcpStream> {
    let mut request = url.into_client_request()?;
    let Greeting::Subscribe { query, session_id } = greeting else {
        let (mut socket, _) = connect_async(request).await?;
        timeout(PATIENCE, socket.next()).await?.ok_or("the bare loop hung up")??;
        return plain(socket);
    };
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("graphql-transport-ws"));
    let (mut socket, _) = connect_async(request).await?;
    let payload = json!({ "query": query, "variables": { "id": session_id } });
    let subscribe = json!({ "type": "subscribe", "id": kernel::fresh_uuid().to_string(), "payload": payload });
    for said in [json!({ "type": "connection_init" }), subscribe] {
        socket.send(Message::text(said.to_string())).await?;
        // The acknowledgement, and the state.
        timeout(PATIENCE, socket.next()).await?.ok_or("the exchange hung up")??;
    }
    plain(socket)
}

fn plain(socket: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Result<TcpStream> {
    match socket.into_inner() {
        MaybeTlsStream::Plain(stream) => Ok(stream),
        _ => Err("a plain stream".into()),
    }
}
