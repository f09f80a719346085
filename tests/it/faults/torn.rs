//! An exchange whose lines can be cut: between callers and the gateway, the gateway and the auction, the auction and its
//! database.

use std::{
    sync::Mutex,
    time::{Duration, Instant as Moment},
};

use exchange_tests::{Exchange, Lane};
use kernel::Money;
use serde_json::{Value, json};

use super::{
    cable::Cable,
    line::{BID, Line, bid, mutation},
};
use crate::market::{FLOOR, INCREMENT, Market};

/// The roles in processes of their own, with a lot in its free period.
pub struct Torn {
    exchange: Mutex<Exchange>,
    pub market: Market,
    pub session: String,
    /// Between callers and the gateway.
    pub outer: Cable,
    /// Between the gateway and the auction.
    pub inner: Cable,
    /// Between the auction and PostgreSQL.
    pub database: Cable,
}

impl Torn {
    pub async fn open(buyers: usize) -> Option<Torn> {
        let mut exchange = Exchange::start(Lane::Networked).await?;
        let outer = Cable::to(exchange.http.trim_start_matches("http://")).await;
        let peer = exchange.process("gateway").setting("JISHI_AUCTION_PEER").unwrap().to_owned();
        let inner = Cable::to(peer.trim_start_matches("http://")).await;
        let url = exchange.database_url.clone();
        let (scheme, rest) = url.split_once('@').unwrap();
        let (far, path) = rest.split_once('/').unwrap();
        let database = Cable::to(far).await;
        let through = format!("{scheme}@{}/{path}", database.address());
        tokio::task::block_in_place(|| {
            exchange.process("gateway").set("JISHI_AUCTION_PEER", &format!("http://{}", inner.address()));
            exchange.process("auction").set("JISHI_DATABASE_URL", &through);
            exchange.kill_and_restart("auction");
            exchange.kill_and_restart("gateway");
        });
        let market = Market::open(&exchange, buyers).await;
        let listing = market.disclosed(market.draft()).await;
        for buyer in &market.buyers {
            market.eligible(buyer, &listing).await;
        }
        let session = market.bidding(&listing).await;
        Some(Torn { exchange: Mutex::new(exchange), market, session, outer, inner, database })
    }

    /// Kills the auction's process, whatever it is about, and starts it again.
    pub fn kill(&self) {
        tokio::task::block_in_place(|| self.exchange.lock().unwrap().kill_and_restart("auction"));
    }

    /// A line of each buyer through the outer cable, good for some minutes.
    pub async fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for buyer in &self.market.buyers {
            let token = buyer.person.token().await.unwrap();
            lines.push(Line::new(&format!("http://{}", self.outer.address()), token));
        }
        lines
    }

    pub fn bid(&self, buyer: usize, steps: i64) -> Value {
        let amount = Money(FLOOR.0 + INCREMENT.0 * steps);
        mutation("placeBid", BID, &bid(&self.session, &self.market.buyers[buyer].id, amount))
    }

    /// The bids of the published log: number, amount.
    pub async fn logged(&self) -> Vec<(i64, Value)> {
        let query = "query L($id: ID!, $after: Int) { auctionEvents(sessionId: $id, afterSeq: $after, first: 100) { edges { node { seq kind amount } } } }";
        let mut log: Vec<Value> = Vec::new();
        loop {
            let after = log.last().map_or(0, |event| event["seq"].as_i64().unwrap());
            let variables = json!({ "id": self.session, "after": after });
            let page = self.market.staff.qualifier.glance(query, variables).await.unwrap();
            let edges = page["auctionEvents"]["edges"].as_array().unwrap().clone();
            if edges.is_empty() {
                break;
            }
            log.extend(edges.into_iter().map(|edge| edge["node"].clone()));
        }
        let numbers = log.iter().map(|event| event["seq"].as_i64().unwrap());
        assert!(numbers.eq(1..=i64::try_from(log.len()).unwrap()), "numbers without holes");
        let bids = log.iter().filter(|event| event["kind"] == "BID");
        bids.map(|event| (event["seq"].as_i64().unwrap(), event["amount"].clone())).collect()
    }
}

/// How a call ended for whoever made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Done or refused: the whole answer as it came.
    Told(String),
    /// Nobody can say: ask again under the key.
    Unknown,
}

/// Says something once; how it ended, and after how long.
pub async fn once(line: &Line, key: &str, body: &Value) -> (End, Duration) {
    let began = Moment::now();
    let end = tried(line, key, body).await.unwrap_or_else(|text| panic!("neither done, refused nor unknown: {text}"));
    (end, began.elapsed())
}

/// Says something once; how it ended, or a fault that should have been told as unknown.
pub async fn tried(line: &Line, key: &str, body: &Value) -> Result<End, String> {
    let Ok(text) = line.say(Some(key), body).await else { return Ok(End::Unknown) };
    let Ok(answer) = serde_json::from_str::<Value>(&text) else { return Ok(End::Unknown) };
    match answer.pointer("/errors/0/extensions/code").and_then(Value::as_str) {
        Some("UNAVAILABLE") => Ok(End::Unknown),
        Some(_) => Err(text),
        None => Ok(End::Told(text)),
    }
}

/// Says something until it is told what came of it; how often that took.
pub async fn insist(line: &Line, key: &str, body: &Value) -> (String, usize) {
    let began = Moment::now();
    let mut calls = 0;
    loop {
        calls += 1;
        if let (End::Told(text), _) = once(line, key, body).await {
            return (text, calls);
        }
        assert!(began.elapsed() < Duration::from_secs(60), "no answer under {key}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
