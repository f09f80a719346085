//! Watching a bidding session live: graphql-transport-ws, with the numbers of the events checked.

use std::time::{Duration, Instant as Moment};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

use super::{
    Error, Fields, Result,
    client::{Client, PATIENCE},
};

const QUERY: &str = "subscription AuctionEvents($sessionId: ID!, $afterSeq: Int) {
  auctionEvents(sessionId: $sessionId, afterSeq: $afterSeq) {
    snapshot { status seq currentPrice leadingCode minimumAmount closesAt bidCount serverTime }
    event { seq kind at bidderCode amount closesAt }
    lagged { fromSeq }
  }
}";

/// A spectator of one session. A lost line is taken up again after the last number seen.
pub struct Feed {
    client: Client,
    session_id: String,
    socket: Option<WebSocketStream<MaybeTlsStream<TcpStream>>>,
    last: i64,
    /// The state with which the watching began.
    pub snapshot: Value,
    /// Every event since, in order.
    pub events: Vec<Value>,
    /// How often a line was opened.
    pub lines: u32,
}

impl Feed {
    /// Begins to watch, from a snapshot on.
    pub async fn open(client: &Client, session_id: &str) -> Result<Feed> {
        let mut feed = Feed {
            client: client.clone(),
            session_id: session_id.to_owned(),
            socket: None,
            last: 0,
            snapshot: Value::Null,
            events: Vec::new(),
            lines: 0,
        };
        feed.connect(None).await?;
        let first = feed.payload().await?.ok_or_else(|| Error::Line("the feed ended before its snapshot".into()))?;
        feed.snapshot = first.at("/data/auctionEvents/snapshot")?.clone();
        feed.last = feed.snapshot.number_at("/seq")?;
        Ok(feed)
    }

    /// Waits for the next event. Its number must be the next one.
    pub async fn next(&mut self) -> Result<Value> {
        let began = Moment::now();
        while began.elapsed() < PATIENCE {
            if self.socket.is_none() {
                self.connect(Some(self.last)).await?;
            }
            let Some(payload) = self.payload().await? else {
                self.hang_up();
                // The exchange may be away: not at once again.
                sleep(Duration::from_millis(20)).await;
                continue;
            };
            let frame = payload.at("/data/auctionEvents")?;
            if !frame.at("/lagged")?.is_null() {
                self.hang_up();
                continue;
            }
            let event = frame.at("/event")?.clone();
            if event.number_at("/seq")? != self.last + 1 {
                return Err(Error::answer(format!("event {} of the feed", self.last + 1), payload));
            }
            self.last += 1;
            self.events.push(event.clone());
            return Ok(event);
        }
        Err(Error::Late(format!("event {} of {}", self.last + 1, self.session_id)))
    }

    /// Waits until the event with this number has been seen, and returns it.
    pub async fn until(&mut self, seq: i64) -> Result<Value> {
        while self.last < seq {
            self.next().await?;
        }
        let seen = self.events.iter().find(|event| event.get("seq").and_then(Value::as_i64) == Some(seq));
        seen.cloned().ok_or_else(|| Error::Line(format!("event {seq} came before the snapshot")))
    }

    /// Loses the line.
    pub fn hang_up(&mut self) {
        self.socket = None;
    }

    async fn connect(&mut self, after_seq: Option<i64>) -> Result<()> {
        let began = Moment::now();
        loop {
            match self.dial(after_seq).await {
                Ok(()) => return Ok(()),
                Err(error) if began.elapsed() > PATIENCE => return Err(error),
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn dial(&mut self, after_seq: Option<i64>) -> Result<()> {
        let mut request = self.client.door().ws.into_client_request().map_err(line)?;
        let protocol = HeaderValue::from_static("graphql-transport-ws");
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
        let (mut socket, _) = connect_async(request).await.map_err(line)?;
        send(&mut socket, &json!({ "type": "connection_init", "payload": {} })).await?;
        let acknowledged = hear(&mut socket).await?;
        if acknowledged.as_ref().is_none_or(|said| said.get("type") != Some(&json!("connection_ack"))) {
            return Err(Error::answer("connection_ack", acknowledged));
        }
        let variables = json!({ "sessionId": self.session_id, "afterSeq": after_seq });
        let payload = json!({ "query": QUERY, "variables": variables });
        send(&mut socket, &json!({ "type": "subscribe", "id": "1", "payload": payload })).await?;
        if let Some(transcript) = self.client.transcript() {
            transcript.subscribed(QUERY, &variables);
        }
        self.lines += 1;
        self.socket = Some(socket);
        Ok(())
    }

    /// The next frame; nothing if the line went down or the exchange went away.
    async fn payload(&mut self) -> Result<Option<Value>> {
        let Some(socket) = &mut self.socket else { return Ok(None) };
        let Some(said) = hear(socket).await? else { return Ok(None) };
        let payload = said.get("payload").cloned().unwrap_or_default();
        let away = payload.pointer("/errors/0/extensions/code").and_then(Value::as_str) == Some("UNAVAILABLE");
        match said.get("type").and_then(Value::as_str) {
            Some("next") if payload.get("errors").is_none() => {
                if let Some(transcript) = self.client.transcript() {
                    transcript.frame(&payload);
                }
                Ok(Some(payload))
            }
            Some("complete") => Ok(None),
            Some("next") if away => Ok(None),
            _ => Err(Error::answer("a frame of the feed", said)),
        }
    }
}

async fn send(socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>, said: &Value) -> Result<()> {
    socket.send(Message::text(said.to_string())).await.map_err(line)
}

/// The next message that says something; nothing if the line is down.
async fn hear(socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>) -> Result<Option<Value>> {
    loop {
        let message = timeout(PATIENCE, socket.next()).await;
        match message.map_err(|_| Error::Late("a frame of the feed".into()))? {
            Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).map(Some).map_err(line),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Binary(_) | Message::Close(_) | Message::Frame(_)) | Err(_)) | None => return Ok(None),
        }
    }
}

fn line(error: impl std::fmt::Display) -> Error {
    Error::Line(error.to_string())
}
