//! A small GraphQL client: what a front end of the exchange has to do, and no more.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant as Moment},
};

use kernel::Instant;
use reqwest::{StatusCode, header::AUTHORIZATION};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Error, Fields, Result, transcript::Transcript};

/// How long the exchange may be away before the story gives up.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Where the exchange is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// Such as `http://127.0.0.1:4000`.
    pub http: String,
    /// Such as `ws://127.0.0.1:4000/graphql/ws`.
    pub ws: String,
}

impl Door {
    /// The door of a gateway at `host:port`.
    #[must_use]
    pub fn at(address: impl std::fmt::Display) -> Door {
        Door { http: format!("http://{address}"), ws: format!("ws://{address}/graphql/ws") }
    }
}

/// One operation, said once or, while the exchange is away, again under the same key.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The document, of one operation.
    pub query: String,
    /// Its variables.
    pub variables: Value,
    /// The `Idempotency-Key` header.
    pub key: Option<String>,
}

/// One operation with its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What was asked.
    pub operation: Operation,
    /// The whole answer.
    pub answer: Value,
}

impl Exchange {
    /// The answer's data; a top-level error is none.
    pub fn data(self) -> Result<Value> {
        match self.answer.get("data") {
            Some(data) if self.answer.get("errors").is_none() => Ok(data.clone()),
            _ => Err(self.but("data without errors")),
        }
    }

    /// All of it as an error: it should have been otherwise.
    #[must_use]
    pub fn but(&self, expected: &str) -> Error {
        let Operation { query, variables, key } = &self.operation;
        Error::answer(expected, json!({ "query": query, "variables": variables, "key": key, "answer": self.answer }))
    }
}

/// The line to one exchange. Clones share it.
#[derive(Clone)]
pub struct Client(Arc<Line>);

struct Line {
    http: reqwest::Client,
    door: RwLock<Door>,
    /// The exchange's time when it was last heard, and when that was.
    heard: RwLock<(Instant, Moment)>,
    transcript: Option<Transcript>,
    retries: AtomicU32,
}

impl Client {
    /// A client of the exchange behind `door`, knowing its time.
    pub async fn new(door: Door, transcript: Option<Transcript>) -> Result<Client> {
        // A proxy of the developer's shell is none of the exchange's business.
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(15)).build()?;
        let heard = RwLock::new((Instant(0), Moment::now()));
        let line = Line { http, door: RwLock::new(door), heard, transcript, retries: AtomicU32::new(0) };
        let client = Client(Arc::new(line));
        let asked = Operation { query: "{ serverTime }".into(), variables: json!({}), key: None };
        let told = client.ask(None, asked).await?.data()?;
        client.hear(told.instant_at("/serverTime")?);
        Ok(client)
    }

    /// Where the exchange is found now.
    #[must_use]
    pub fn door(&self) -> Door {
        self.0.door.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The exchange is found elsewhere from now on.
    pub fn move_to(&self, door: Door) {
        *self.0.door.write().unwrap_or_else(PoisonError::into_inner) = door;
    }

    /// How often something was said again because the exchange was away.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.0.retries.load(Relaxed)
    }

    /// Where what is said is written down, if anywhere.
    #[must_use]
    pub fn transcript(&self) -> Option<&Transcript> {
        self.0.transcript.as_ref()
    }

    /// The exchange's time, as last heard and counted on from there.
    #[must_use]
    pub fn now(&self) -> Instant {
        let (at, since) = *self.0.heard.read().unwrap_or_else(PoisonError::into_inner);
        at.plus_millis(i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    fn hear(&self, now: Instant) {
        *self.0.heard.write().unwrap_or_else(PoisonError::into_inner) = (now, Moment::now());
    }

    /// Moves the exchange's clock, which only a development exchange has. It never goes back.
    pub async fn move_clock(&self, to: Instant) -> Result<Instant> {
        let began = Moment::now();
        loop {
            match self.post_clock(json!({ "to": to.max(self.now()).to_string() })).await {
                Ok(now) => {
                    self.hear(now);
                    return Ok(now);
                }
                Err(error) if began.elapsed() > PATIENCE => return Err(error),
                // A process of the exchange is away; the same call again moves those that have not moved.
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn post_clock(&self, wanted: Value) -> Result<Instant> {
        let response = self.0.http.post(format!("{}/dev/clock", self.door().http)).json(&wanted).send().await?;
        let (status, text) = (response.status(), response.text().await?);
        let told: Value = serde_json::from_str(&text).unwrap_or_default();
        if status == StatusCode::OK {
            told.instant_at("/now")
        } else {
            Err(Error::Line(format!("/dev/clock: {status} {text}")))
        }
    }

    /// What the exchange publishes under a path, such as the evidence of a session.
    pub async fn download(&self, path: &str) -> Result<Vec<u8>> {
        let response = self.0.http.get(format!("{}{path}", self.door().http)).send().await?;
        Ok(response.error_for_status()?.bytes().await?.to_vec())
    }

    /// Says one operation as the bearer of `token`. While the exchange is away it is said again, which is harmless
    /// for queries and, by its key, for a mutation (promise P-7).
    pub async fn ask(&self, token: Option<&str>, operation: Operation) -> Result<Exchange> {
        let began = Moment::now();
        let harmless = operation.key.is_some() || !operation.query.starts_with("mutation");
        let mut pause = Duration::from_millis(10);
        loop {
            match self.post(token, &operation).await {
                Ok(answer) => return Ok(Exchange { operation, answer }),
                Err(error) if !harmless || began.elapsed() > PATIENCE => return Err(error),
                Err(_) => {
                    self.0.retries.fetch_add(1, Relaxed);
                    sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(200));
                }
            }
        }
    }

    /// One attempt. An error is a line that is down; whatever else the exchange says is an answer.
    async fn post(&self, token: Option<&str>, operation: &Operation) -> Result<Value> {
        let Operation { query, variables, key } = operation;
        let body = json!({ "query": query, "variables": variables });
        let mut request = self.0.http.post(format!("{}/graphql", self.door().http)).json(&body);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let response = request.send().await?;
        let (status, text) = (response.status(), response.text().await?);
        let answer: Value = serde_json::from_str(&text).map_err(|_| Error::Line(format!("{status}: {text}")))?;
        let code = answer.pointer("/errors/0/extensions/code").and_then(Value::as_str);
        if status.is_server_error() || code == Some("UNAVAILABLE") {
            return Err(Exchange { operation: operation.clone(), answer }.but("an exchange that is there"));
        }
        Ok(answer)
    }
}
