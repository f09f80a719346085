//! Two bidders who outbid each other over HTTP.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use jishi::{Result, demo::deal::OpenLot};
use kernel::Money;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::crowd::Crowd;

const BID: &str = "mutation($i: PlaceBidInput!) { placeBid(input: $i) { bid { seq } userErrors { code } } }";
/// A little above a hundred a second.
const PACE: Duration = Duration::from_millis(8);

/// The lot and who bids on it.
pub struct Bidding {
    client: reqwest::Client,
    url: String,
    lot: OpenLot,
    /// Tokens and organizations.
    bidders: Vec<(String, String)>,
    steps: i64,
}

impl Bidding {
    /// Bids on this lot.
    pub async fn new(http: &str, lot: OpenLot) -> Result<Bidding> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let mut bidders = Vec::new();
        for house in lot.bidders().iter().take(2) {
            bidders.push((house.person.token().await?, house.id.clone()));
        }
        Ok(Bidding { client, url: format!("{http}/graphql"), lot, bidders, steps: 0 })
    }

    /// The lot's session.
    pub fn session_id(&self) -> &str {
        self.lot.session_id()
    }

    /// The next bid; its number.
    pub async fn bid(&mut self) -> Result<i64> {
        let turn = usize::from(self.steps % 2 == 1);
        let (token, organization_id) = self.bidders.get(turn).ok_or("two bidders")?;
        let amount = Money(self.lot.floor().0 + self.lot.increment().0 * self.steps).to_string();
        let input = json!({ "sessionId": self.lot.session_id(), "organizationId": organization_id, "amount": amount });
        let body = json!({ "query": BID, "variables": { "i": input } });
        let reply = self.client.post(&self.url).bearer_auth(token).json(&body).send().await?;
        let answer: Value = reply.json().await?;
        self.steps += 1;
        let seq = answer.pointer("/data/placeBid/bid/seq").and_then(Value::as_i64);
        Ok(seq.ok_or_else(|| format!("a bid that is accepted: {answer}"))?)
    }

    /// What the crowd hears of a bid.
    pub async fn sample(&mut self, crowd: &mut Crowd) -> Result<String> {
        self.bid().await?;
        let sample = crowd.heard().await?.into_iter().find_map(|heard| heard.text);
        Ok(sample.ok_or("the first watcher's frame")?)
    }

    /// Bids evenly for so long; when each was answered, and how many they are.
    pub async fn stream(&mut self, span: Duration) -> Result<(HashMap<i64, Instant>, usize)> {
        let (began, mut pace) = (Instant::now(), interval(PACE));
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut answered = HashMap::new();
        while began.elapsed() < span {
            pace.tick().await;
            let seq = self.bid().await?;
            answered.insert(seq, Instant::now());
        }
        let bids = answered.len();
        Ok((answered, bids))
    }
}
