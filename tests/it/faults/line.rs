//! One caller's line to the exchange: what goes over it, and nothing said again by itself.

use std::time::Duration;

use serde_json::{Value, json};

/// No caller waits longer than this (R3).
pub const PATIENCE: Duration = Duration::from_secs(15);

const REFUSAL: &str = "userErrors { code messageZh messageEn field rule accepted currentPrice minimumAmount serverTime closesAt depositHeld }";

/// A caller with its token.
pub struct Line {
    client: reqwest::Client,
    http: String,
    token: String,
}

impl Line {
    pub fn new(http: &str, token: String) -> Line {
        // A little more than the exchange allows itself, so that what is late is the exchange and not this caller.
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE + Duration::from_secs(15)).build().unwrap();
        Line { client, http: http.to_owned(), token }
    }

    /// The same line, of another caller; nobody's where there is no token.
    pub fn of(&self, token: String) -> Line {
        Line { client: self.client.clone(), http: self.http.clone(), token }
    }

    /// The whole answer as it came, or how the line failed.
    pub async fn say(&self, key: Option<&str>, body: &Value) -> Result<String, reqwest::Error> {
        let mut request = self.client.post(format!("{}/graphql", self.http)).json(body);
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        request.send().await?.text().await
    }

    /// With which status a path answers, if anybody answers in time.
    pub async fn status(&self, path: &str) -> Option<u16> {
        let asked = self.client.get(format!("{}{path}", self.http)).timeout(Duration::from_secs(5)).send().await;
        asked.ok().map(|answer| answer.status().as_u16())
    }

    /// The whole answer of a line that holds.
    pub async fn ask(&self, key: Option<&str>, body: &Value) -> Value {
        let text = self.say(key, body).await.unwrap();
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("no answer: {text}"))
    }

    /// Moves the clock of the process behind this line.
    pub async fn move_clock(&self, offset_millis: i64) {
        let wanted = json!({ "offsetMillis": offset_millis });
        let moved = self.client.post(format!("{}/dev/clock", self.http)).json(&wanted).send().await.unwrap();
        assert!(moved.status().is_success(), "{}", moved.text().await.unwrap());
    }

    /// How far that clock is from the real time.
    pub async fn clock_offset(&self, to: kernel::Instant) -> i64 {
        let wanted = json!({ "to": to.to_string() });
        let moved = self.client.post(format!("{}/dev/clock", self.http)).json(&wanted).send().await.unwrap();
        let told: Value = moved.json().await.unwrap();
        told["offsetMillis"].as_i64().unwrap_or_else(|| panic!("{told}"))
    }
}

/// One mutation, with all that its refusals tell.
pub fn mutation(verb: &str, selection: &str, input: &Value) -> Value {
    let (first, rest) = verb.split_at(1);
    let query = format!(
        "mutation($input: {}{rest}Input!) {{ {verb}(input: $input) {{ {selection} {REFUSAL} }} }}",
        first.to_uppercase()
    );
    json!({ "query": query, "variables": { "input": input } })
}

/// What a bid yields.
pub const BID: &str = "bid { sessionId seq bidderCode amount at closesAt }";

pub fn bid(session: &str, organization: &str, amount: kernel::Money) -> Value {
    json!({ "sessionId": session, "organizationId": organization, "amount": amount.to_string() })
}
