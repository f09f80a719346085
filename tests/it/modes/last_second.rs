//! A thousand bids in the last second: the end never moves back, no acknowledged bid is lost, and every answer is true.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed};

use exchange_tests::{Exchange, Lane};
use futures::future::join_all;
use jishi::demo::Fields;
use kernel::{Instant, Money};
use serde_json::{Value, json};

use super::super::{
    market::{FLOOR, INCREMENT, Listed, Market},
    sealed::lot::decided_again,
};

/// So many callers at once, each over a connection of its own.
const CONNECTIONS: usize = 64;
/// So many bids in the last second of a cycle that bids still restart, and in that of the last one.
const RESTARTING: usize = 400;
const LAST: usize = 1_000;
const SECONDS: i64 = 60;

const BID: &str =
    "mutation B($input: PlaceBidInput!) { placeBid(input: $input) { bid { seq bidderCode amount at closesAt }
    userErrors { code currentPrice minimumAmount closesAt serverTime depositHeld } } }";
const LOG: &str = "query L($id: ID!, $after: Int) { auctionEvents(sessionId: $id, afterSeq: $after, first: 1000) {
    edges { node { seq kind at bidderCode amount closesAt } } } }";

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite() {
    tell(Lane::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    tell(Lane::Postgres).await;
}

async fn tell(lane: Lane) {
    let Some(exchange) = Exchange::start(lane).await else { return };
    let market = Market::open(&exchange, 4).await;
    let mut draft = market.terms(json!({ "mode": "ASCENDING", "maxExtensions": 10 }));
    draft["timedSeconds"] = json!(SECONDS);
    let listing = market.disclosed(draft).await;
    let mut codes = Vec::new();
    for buyer in &market.buyers {
        let application = market.eligible(buyer, &listing).await;
        codes.push(market.code(buyer, &application).await);
    }
    let session = market.bidding(&listing).await;
    // However slow this machine is, there is a price to end with.
    let told = json!({ "bid": market.bid(&market.buyers[0], &session, FLOOR).await });
    let mut answers = vec![Answer { code: codes[0].clone(), amount: FLOOR, told }];
    market.run_out(&session).await;
    market.until_session(&session, "TIMED").await;
    let lot = Lot { exchange: &exchange, market: &market, listing, session, codes, top: AtomicI64::new(FLOOR.0) };
    answers.extend(lot.rush(RESTARTING, false).await);
    answers.extend(lot.rush(LAST, true).await);
    lot.judge(&answers).await;
}

/// The lot, and the highest price that anybody was told of.
struct Lot<'a> {
    exchange: &'a Exchange,
    market: &'a Market,
    listing: Listed,
    session: String,
    codes: Vec<String>,
    top: AtomicI64,
}

/// What one caller bid, and what it was told.
struct Answer {
    code: String,
    amount: Money,
    told: Value,
}

/// The lot after some of its events.
struct Stage {
    from: Instant,
    price: Value,
    leader: Value,
    end: Value,
    closed: bool,
}

impl Lot<'_> {
    /// All callers bid from one second before the end on; at last until each was told that it is over.
    async fn rush(&self, at_least: usize, last: bool) -> Vec<Answer> {
        for buyer in &self.market.buyers {
            buyer.person.refresh_login().await.unwrap();
        }
        let Ok(end) = self.market.session(&self.session).await.instant_at("/closesAt") else { return Vec::new() };
        let mut lines = Vec::new();
        for n in 0..CONNECTIONS {
            let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(1).build().unwrap();
            client.get(format!("{}/healthz", self.exchange.http)).send().await.unwrap();
            let buyer = n % self.market.buyers.len();
            lines.push((client, self.market.buyers[buyer].person.token().await.unwrap(), buyer));
        }
        let made = AtomicUsize::new(0);
        self.market.pass(end.plus_seconds(-1)).await;
        let callers = lines.iter().map(|line| self.call(line, (&made, at_least, last)));
        join_all(callers).await.into_iter().flatten().collect()
    }

    async fn call(
        &self,
        (client, token, buyer): &(reqwest::Client, String, usize),
        (made, at_least, last): (&AtomicUsize, usize, bool),
    ) -> Vec<Answer> {
        let buyer = *buyer;
        let mut answers: Vec<Answer> = Vec::new();
        let over =
            |answer: &Answer| answer.told.pointer("/userErrors/0/code").is_some_and(|code| code == "SESSION_CLOSED");
        while made.load(Relaxed) < at_least || last && !answers.last().is_some_and(over) {
            let number = made.fetch_add(1, Relaxed);
            let steps = i64::try_from(number % 3).unwrap();
            let amount = Money(self.top.load(Relaxed) + INCREMENT.0 * steps);
            let input = json!({ "sessionId": self.session, "organizationId": self.market.buyers[buyer].id,
                "amount": amount.to_string() });
            let body = json!({ "query": BID, "variables": { "input": input } });
            let sent = client.post(format!("{}/graphql", self.exchange.http)).bearer_auth(token).json(&body);
            let answer: Value = sent.send().await.unwrap().json().await.unwrap();
            assert!(answer.get("errors").is_none(), "{answer}");
            let told = answer["data"]["placeBid"].clone();
            for heard in ["/bid/amount", "/userErrors/0/currentPrice"] {
                if let Some(price) = told.pointer(heard).and_then(Value::as_str) {
                    self.top.fetch_max(Money::parse_yuan(price).unwrap().0, Relaxed);
                }
            }
            answers.push(Answer { code: self.codes[buyer].clone(), amount, told });
        }
        answers
    }

    async fn log(&self) -> Vec<Value> {
        let mut log: Vec<Value> = Vec::new();
        loop {
            let variables = json!({ "id": self.session, "after": log.len() });
            let read = self.market.staff.qualifier.glance(LOG, variables).await.unwrap();
            let edges = read["auctionEvents"]["edges"].as_array().unwrap();
            if edges.is_empty() {
                return log;
            }
            log.extend(edges.iter().map(|edge| edge["node"].clone()));
        }
    }

    async fn judge(&self, answers: &[Answer]) {
        self.market.until_session(&self.session, "SOLD").await;
        let log = self.log().await;
        let stages = stages(&log);
        let mut acknowledged = Vec::new();
        let mut refused = std::collections::BTreeMap::<&str, usize>::new();
        for answer in answers {
            match answer.told["bid"]["seq"].as_u64() {
                Some(seq) => acknowledged.push(is_logged(answer, &log, usize::try_from(seq).unwrap())),
                None => *refused.entry(is_true(answer, &stages)).or_default() += 1,
            }
        }
        acknowledged.sort_unstable();
        let logged = log.iter().filter(|event| event["kind"] == "BID").map(|event| event["seq"].as_u64().unwrap());
        let logged: Vec<usize> = logged.map(|seq| usize::try_from(seq).unwrap()).collect();
        assert_eq!(acknowledged, logged, "each acknowledged bid is in the log once, and nobody's else is");
        assert!(refused.get("SESSION_CLOSED").is_some_and(|late| *late >= CONNECTIONS), "{refused:?}");
        eprintln!("{:?}: {} bids, {} accepted, {refused:?}", self.exchange.lane, answers.len(), logged.len());

        let sale = log.last().unwrap();
        let best = &log[*logged.last().unwrap() - 1];
        assert_eq!(
            [&sale["kind"], &sale["bidderCode"], &sale["amount"]],
            [&json!("SOLD"), &best["bidderCode"], &best["amount"]]
        );
        assert_eq!(sale["at"], best["closesAt"], "it ends when it was said to end");
        assert_eq!(self.market.award(&self.listing).await["price"], best["amount"]);
        let verdict = decided_again(self.exchange, &self.market.staff.reviewer, &self.session).await;
        assert!(verdict.contains(&format!("at {}", best["amount"].as_str().unwrap())), "{verdict}");
    }
}

/// The lot after each event. Numbers have no holes, the price rises, and no bid moves the end back or comes after it.
fn stages(log: &[Value]) -> Vec<Stage> {
    let (mut stages, mut last): (Vec<Stage>, i64) = (Vec::new(), 0);
    for (event, seq) in log.iter().zip(1_u64..) {
        assert_eq!(event["seq"].as_u64(), Some(seq));
        let at = event.instant_at("/at").unwrap();
        let before = stages.last();
        let mut stage = Stage {
            from: at,
            price: before.map_or(json!(null), |stage| stage.price.clone()),
            leader: before.map_or(json!(null), |stage| stage.leader.clone()),
            end: event["closesAt"].clone(),
            closed: event["kind"] == "SOLD",
        };
        if event["kind"] == "BID" {
            let end = before.map(|stage| stage.end.clone()).unwrap();
            let end = json!({ "end": end }).instant_at("/end").unwrap();
            assert!(at < end && event.instant_at("/closesAt").unwrap() >= end, "{event} after {end}");
            let amount = Money::parse_yuan(event["amount"].as_str().unwrap()).unwrap().0;
            assert!(amount > last, "{event}");
            last = amount;
            (stage.price, stage.leader) = (event["amount"].clone(), event["bidderCode"].clone());
        }
        assert!(before.is_none_or(|before| before.from <= at), "{event}");
        stages.push(stage);
    }
    stages
}

/// An accepted bid stands in the log where its bidder was told.
fn is_logged(answer: &Answer, log: &[Value], seq: usize) -> usize {
    let (told, event) = (&answer.told["bid"], &log[seq - 1]);
    assert_eq!(event["kind"], "BID");
    for name in ["seq", "bidderCode", "amount", "at", "closesAt"] {
        assert_eq!(told[name], event[name], "{told} {event}");
    }
    assert_eq!((&told["bidderCode"], &told["amount"]), (&json!(answer.code), &json!(answer.amount.to_string())));
    seq
}

/// The reason that a refused bidder was told was true at the time that it was told, as were price and end.
fn is_true<'a>(answer: &'a Answer, stages: &[Stage]) -> &'a str {
    let error = &answer.told["userErrors"][0];
    let (code, at) = (error["code"].as_str().unwrap(), error.instant_at("/serverTime").unwrap());
    let price = error["currentPrice"].as_str().map(|price| Money::parse_yuan(price).unwrap());
    let holds = |stage: &Stage| match code {
        "SESSION_CLOSED" => stage.closed,
        "ALREADY_LEADING" => stage.leader == json!(answer.code),
        "BELOW_MIN_INCREMENT" | "START_PRICE_TAKEN" => {
            price.is_some_and(|price| answer.amount.0 < price.0 + INCREMENT.0)
        }
        _ => false,
    };
    let then = stages
        .iter()
        .enumerate()
        .filter(|(n, stage)| stage.from <= at && stages.get(n + 1).is_none_or(|next| at <= next.from));
    let stood = then.map(|(_, stage)| stage).any(|stage| {
        let told = stage.price == error["currentPrice"] && stage.end == error["closesAt"];
        told && holds(stage) && error["depositHeld"] == true
    });
    assert!(stood, "{} of {} was told {error}", answer.amount, answer.code);
    code
}
