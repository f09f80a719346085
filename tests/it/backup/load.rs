//! People at work while a copy is taken: everything under a key, and every answer kept.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use jishi::demo::{Fields, person::fresh_key};
use kernel::Money;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::market::{FLOOR, INCREMENT, Market};

/// One call and what its caller was told.
#[derive(Clone)]
pub struct Told {
    key: String,
    body: Value,
    answer: String,
}

/// All that was told by a moment.
#[derive(Clone, Default)]
pub struct Answers {
    pub bids: Vec<Told>,
    pub sign_ups: Vec<Told>,
}

/// Two bidders and a stream of strangers.
pub struct Load<'a> {
    http: String,
    market: &'a Market,
    session: &'a str,
    told: Mutex<Answers>,
    least: watch::Sender<usize>,
    over: AtomicBool,
}

impl<'a> Load<'a> {
    pub fn new(http: &str, market: &'a Market, session: &'a str) -> Load<'a> {
        let (told, least, over) = (Mutex::default(), watch::Sender::new(0), AtomicBool::new(false));
        Load { http: http.to_owned(), market, session, told, least, over }
    }

    /// The same people before another door.
    pub fn at(&self, http: &str) -> Load<'a> {
        Load::new(http, self.market, self.session)
    }

    pub fn told(&self) -> Answers {
        self.told.lock().unwrap().clone()
    }

    /// Waits until so many of each kind are told.
    pub async fn until_told(&self, count: usize) {
        let mut least = self.least.subscribe();
        let reached = least.wait_for(|least| *least >= count);
        tokio::time::timeout(Duration::from_secs(300), reached).await.expect("people are told in time").unwrap();
    }

    pub fn stop(&self) {
        self.over.store(true, Relaxed);
    }

    fn keep(&self, list: fn(&mut Answers) -> &mut Vec<Told>, told: Told) {
        let mut answers = self.told.lock().unwrap();
        list(&mut answers).push(told);
        self.least.send_replace(answers.bids.len().min(answers.sign_ups.len()));
    }

    pub async fn bid(&self) {
        let mut step = 0;
        while !self.over.load(Relaxed) {
            let buyer = &self.market.buyers[step % 2];
            let amount = Money(FLOOR.0 + i64::try_from(step).unwrap() * INCREMENT.0);
            let input = json!({ "sessionId": self.session, "organizationId": buyer.id, "amount": amount.to_string() });
            let query = "mutation B($input: PlaceBidInput!) { placeBid(input: $input) { bid { seq bidderCode amount at } userErrors { code } } }";
            let (key, body) = (fresh_key(), json!({ "query": query, "variables": { "input": input } }));
            let answer = self.say(Some(&buyer.person.token().await.unwrap()), &key, &body).await;
            assert!(answer.contains("\"seq\":"), "{answer}");
            self.keep(|answers| &mut answers.bids, Told { key, body, answer });
            step += 1;
        }
    }

    pub async fn sign_up(&self) {
        while !self.over.load(Relaxed) {
            let input = json!({ "login": fresh_key(), "password": fresh_key(), "name": "过客" });
            let query =
                "mutation U($input: SignUpInput!) { signUp(input: $input) { person { id } userErrors { code } } }";
            let (key, body) = (fresh_key(), json!({ "query": query, "variables": { "input": input } }));
            let answer = self.say(None, &key, &body).await;
            assert!(answer.contains("person_"), "{answer}");
            self.keep(|answers| &mut answers.sign_ups, Told { key, body, answer });
        }
    }

    /// Everybody asks again under the key, as clients do: who was told before the copy was begun is told the same, and
    /// whoever else is told something. How many people were not there any more.
    pub async fn told_again(&self, before: &Answers, after: &Answers) -> u64 {
        for told in &before.bids {
            let buyer = &self.market.buyers[0].person;
            let log = "query L($id: ID!) { auctionEvents(sessionId: $id, first: 1000) { edges { node { seq amount bidderCode } } } }";
            let log = json!({ "query": log, "variables": { "id": self.session } });
            let log = self.say(Some(&buyer.token().await.unwrap()), &fresh_key(), &log).await;
            let bid: Value = serde_json::from_str(&told.answer).unwrap();
            let bid = &bid["data"]["placeBid"]["bid"];
            let log: Value = serde_json::from_str(&log).unwrap();
            let edges = log["data"]["auctionEvents"]["edges"].as_array().unwrap_or_else(|| panic!("{log}"));
            let same =
                |edge: &Value| ["seq", "amount", "bidderCode"].iter().all(|name| edge["node"][name] == bid[name]);
            assert!(edges.iter().any(same), "an acknowledged bid is gone: {bid}");
        }
        let mut lost = 0;
        for (number, told) in after.sign_ups.iter().enumerate() {
            let answer = self.say(None, &told.key, &told.body).await;
            let told: Value = serde_json::from_str(&told.answer).unwrap();
            let now: Value = serde_json::from_str(&answer).unwrap();
            assert!(now.text_at("/data/signUp/person/id").is_ok(), "{now}");
            if now["data"] != told["data"] {
                assert!(number >= before.sign_ups.len(), "{told} was told before the copy, and is gone");
                lost += 1;
            }
        }
        lost
    }

    async fn say(&self, token: Option<&str>, key: &str, body: &Value) -> String {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.post(format!("{}/graphql", self.http)).header("Idempotency-Key", key).json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await.unwrap().text().await.unwrap()
    }
}
