//! R9: many callers bid, leave maxima and read at once while the free and the timed period end; what they saw, with the
//! moments at which they asked and were answered, is explained by one order of all calls under the engine's own rules.
//! Every history is then bent in every way, and none of the bent ones is.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant as Moment},
};

use auction::engine::{Command, Terms};
use exchange_tests::{Exchange, Lane};
use futures::future::join_all;
use jishi::demo::{Fields, cast::House, instant, person::fresh_key};
use kernel::Money;
use serde_json::{Value, json};
use wire::v1::{AuctionEvent, AuctionEventKind, BidOrigin, BiddingStatus, BiddingTerms, IncrementStep, PreemptionRule};

use super::{
    Dice,
    bent::{BENDS, assert_refused, bent},
    line::{BID, Line, bid, mutation},
    linear::{Call, Did, History, Seen, Told, check},
    times,
    torn::insist,
};
use crate::market::{FLOOR, FREE_SECONDS, INCREMENT, Listed, Market};

const CALLS: usize = 500;
/// Lines per buyer.
const LINES: usize = 3;
const SECONDS: i64 = 60;

const SESSION: &str =
    "query S($id: ID!) { biddingSession(id: $id) { seq status currentPrice leadingCode bidCount closesAt startsAt } }";
const LOG: &str = "query L($id: ID!, $after: Int) { auctionEvents(sessionId: $id, afterSeq: $after, first: 100) {
    edges { node { seq kind at bidderCode amount closesAt origin preemptionRank commitment reason } } } }";

#[tokio::test(flavor = "multi_thread")]
async fn one_process_on_sqlite() {
    histories(Lane::Sqlite, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_postgres() {
    histories(Lane::Postgres, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn networked_roles() {
    histories(Lane::Networked, false).await;
}

async fn histories(lane: Lane, twice: bool) {
    let Some(exchange) = Exchange::start(lane).await else { return };
    let replica = twice.then(|| tokio::task::block_in_place(|| exchange.replica()));
    let mut doors = vec![exchange.http.clone()];
    doors.extend(replica.iter().map(|replica| replica.http().to_owned()));
    let market = Market::open(&exchange, 4).await;
    for _ in 0..times(2, 17) {
        let mut dice = Dice::of(&format!("R9 on {lane:?}"));
        let lot = Lot::open(&market, &doors, 0).await;
        let floor = Floor::new(CALLS);
        let history = lot.record(&mut dice, &floor, lot.run_out(&floor)).await;
        if let Err(flaw) = check(&history) {
            panic!("{flaw:?}\n{}", shown(&history));
        }
        let refused =
            history.calls.iter().filter(|call| matches!(call.did, Did::Sent(_, Told::Refused { .. }))).count();
        eprintln!("{} events, {} calls, {refused} refused", history.log.len(), history.calls.len());
        for how in BENDS {
            let place = (0..100).find_map(|_| bent(&history, how, &mut dice));
            let bent = place.unwrap_or_else(|| panic!("{how:?}: no place for it"));
            assert_refused(how, check(&bent));
        }
    }
}

fn shown(history: &History) -> String {
    let log = history.log.iter().map(|event| format!("{event:?}"));
    log.chain(history.calls.iter().enumerate().map(|call| format!("{call:?}"))).collect::<Vec<_>>().join("\n")
}

/// A lot in its free period; the first buyer holds a preemption right.
pub struct Lot<'a> {
    pub market: &'a Market,
    pub session: String,
    pub listing: Listed,
    doors: &'a [String],
    pub codes: Vec<String>,
    max_extensions: i32,
}

/// One caller of one buyer.
struct Desk<'a> {
    line: Line,
    house: &'a House,
    code: &'a str,
    dice: Dice,
}

/// What a caller did, while the number of its maximum is not known yet.
enum Raw {
    /// It may have been done or not, and without a key nobody can ask. If it was, the log has what nobody explains.
    Unknown,
    Known(Did),
    Maximum(Command, String),
}

/// What all callers share.
pub struct Floor {
    pub began: Moment,
    pub calls: AtomicUsize,
    /// After so many calls no more are made.
    pub limit: AtomicUsize,
    /// The steps of the highest price that anybody has heard of.
    steps: AtomicI64,
}

impl<'a> Lot<'a> {
    /// With a limit to the extensions, if it is not 0.
    pub async fn open(market: &'a Market, doors: &'a [String], max_extensions: i32) -> Lot<'a> {
        let mut draft = market.terms(json!({
            "mode": "ASCENDING", "proxyAllowed": true, "withdrawalAllowed": true, "preemption": "IN_SESSION",
            "maxExtensions": (max_extensions > 0).then_some(max_extensions),
        }));
        draft["timedSeconds"] = json!(SECONDS);
        let listing = market.disclosed(draft).await;
        let mut applications = Vec::new();
        for buyer in &market.buyers[1..] {
            applications.push(market.eligible(buyer, &listing).await);
        }
        applications.insert(0, market.holder(&market.buyers[0], &listing).await);
        let mut codes = Vec::new();
        for (application, buyer) in applications.iter().zip(&market.buyers) {
            let query = "query A($id: ID!) { transferApplication(id: $id) { bidderCode } }";
            let read = buyer.person.glance(query, json!({ "id": application })).await.unwrap();
            codes.push(read.text_at("/transferApplication/bidderCode").unwrap().to_owned());
        }
        let session = market.bidding(&listing).await;
        let lot = Lot { market, session, listing, doors, codes, max_extensions };
        // Tokens live ten minutes: what is left of both periods must fit into that.
        lot.pass(lot.read().await.instant_at("/closesAt").unwrap().plus_seconds(-SECONDS)).await;
        for buyer in &market.buyers {
            buyer.person.refresh_login().await.unwrap();
        }
        lot
    }

    /// Lets time pass at every door.
    pub async fn pass(&self, to: kernel::Instant) {
        let lines: Vec<Line> = self.doors.iter().map(|door| Line::new(door, String::new())).collect();
        let (first, others) = lines.split_first().unwrap();
        let offset = first.clock_offset(to.max(self.market.stage.client.now())).await;
        for other in others {
            other.move_clock(offset).await;
        }
        self.market.pass(to).await;
    }

    pub async fn read(&self) -> Value {
        let read = self.market.staff.qualifier.glance(SESSION, json!({ "id": self.session })).await.unwrap();
        read["biddingSession"].clone()
    }

    /// All buyers call while something else goes on; then the lot runs out.
    pub async fn record(&self, dice: &mut Dice, floor: &Floor, meanwhile: impl Future<Output = ()>) -> History {
        let mut desks = Vec::new();
        for number in 0..self.market.buyers.len() * LINES {
            let (house, code) = (&self.market.buyers[number / LINES], &self.codes[number / LINES]);
            let door = &self.doors[number % self.doors.len()];
            let line = Line::new(door, house.person.token().await.unwrap());
            desks.push(Desk { line, house, code, dice: Dice::seeded(dice.below(u64::MAX)) });
        }
        let calling = join_all(desks.into_iter().map(|desk| self.call(desk, floor)));
        let (calls, ()) = tokio::join!(calling, meanwhile);
        self.close().await;
        let log = self.log().await;
        let sets = log.iter().filter_map(|event| Some((event.commitment.clone()?, event.seq)));
        let sets: HashMap<String, i64> = sets.collect();
        let known = |(made, answered, raw): (i64, i64, Raw)| {
            let did = match raw {
                Raw::Unknown => return None,
                Raw::Known(did) => did,
                // One that is not in the log is as lost as an event beyond its end.
                Raw::Maximum(command, set) => Did::Sent(command, Told::Accepted(*sets.get(&set).unwrap_or(&i64::MAX))),
            };
            Some(Call { made, answered, did })
        };
        let calls = calls.into_iter().flatten().filter_map(known).collect();
        History { terms: self.terms().await, log, calls }
    }

    /// Lets time pass until the lot is sold.
    pub async fn close(&self) {
        while self.read().await["status"] != "SOLD" {
            let end = self.read().await.instant_at("/closesAt");
            self.pass(end.unwrap_or_default()).await;
        }
    }

    /// Ends the free period while callers are busy, and the timed one.
    async fn run_out(&self, floor: &Floor) {
        for share in [6, 9] {
            while floor.calls.load(Relaxed) < CALLS * share / 10 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let end = self.read().await.instant_at("/closesAt").unwrap();
            self.pass(end).await;
        }
    }

    pub async fn terms(&self) -> Terms {
        let step = IncrementStep { from: Some(Money(0)), increment: Some(INCREMENT) };
        let seconds = i32::try_from(SECONDS).unwrap();
        let announced = BiddingTerms {
            increments: vec![step],
            free_seconds: i32::try_from(FREE_SECONDS).unwrap(),
            timed_seconds: seconds,
            proxy_allowed: true,
            withdrawal_allowed: true,
            preemption: PreemptionRule::InSession.into(),
            max_extensions: self.max_extensions,
            ..BiddingTerms::default()
        };
        let starts_at = self.read().await.instant_at("/startsAt").unwrap();
        Terms { announced, starting_price: FLOOR, starts_at, ..Terms::default() }
    }

    pub async fn log(&self) -> Vec<AuctionEvent> {
        let mut log: Vec<AuctionEvent> = Vec::new();
        loop {
            let after = log.last().map_or(0, |event| event.seq);
            let variables = json!({ "id": self.session, "after": after });
            let page = self.market.staff.qualifier.glance(LOG, variables).await.unwrap();
            let edges = page["auctionEvents"]["edges"].as_array().unwrap();
            if edges.is_empty() {
                return log;
            }
            log.extend(edges.iter().map(|edge| event(&edge["node"])));
        }
    }

    /// One caller until all calls are made: made, answered, what it did.
    async fn call(&self, mut desk: Desk<'a>, floor: &Floor) -> Vec<(i64, i64, Raw)> {
        let mut calls = Vec::new();
        while floor.calls.fetch_add(1, Relaxed) < floor.limit.load(Relaxed) {
            let known = floor.steps.load(Relaxed);
            let micros = || i64::try_from(floor.began.elapsed().as_micros()).unwrap();
            let made;
            let raw = match desk.dice.below(10) {
                0..6 => {
                    let amount = steps(known + desk.dice.amount(5) - 1);
                    // The answer of a bid without a key is not kept, so it takes another way through the writer.
                    let key = (desk.dice.below(3) > 0).then(fresh_key);
                    made = micros();
                    desk.bid(&self.session, amount, key, floor).await
                }
                6 => {
                    let maximum = steps(known + desk.dice.amount(7));
                    made = micros();
                    desk.leave(&self.session, maximum, floor).await
                }
                _ => {
                    made = micros();
                    Raw::Known(Did::Read(desk.read(&self.session, floor).await))
                }
            };
            calls.push((made, micros(), raw));
        }
        calls
    }
}

impl Desk<'_> {
    /// What came of it. Where processes contend for a lot, that may be unknown: whoever has a key asks again.
    async fn told(&self, key: Option<&str>, body: &Value) -> Option<Value> {
        if let Some(key) = key {
            return serde_json::from_str(&insist(&self.line, key, body).await.0).ok();
        }
        let answer = self.line.ask(None, body).await;
        let unknown = answer.pointer("/errors/0/extensions/code").is_some_and(|code| code == "UNAVAILABLE");
        (!unknown).then_some(answer)
    }

    async fn bid(&self, session: &str, amount: Money, key: Option<String>, floor: &Floor) -> Raw {
        let body = mutation("placeBid", BID, &bid(session, &self.house.id, amount));
        let Some(answer) = self.told(key.as_deref(), &body).await else { return Raw::Unknown };
        let (code, origin) = (self.code.to_owned(), BidOrigin::Online);
        let command = Command::Bid { code, amount, origin, paddle: None };
        let payload = &answer["data"]["placeBid"];
        let told = match payload["bid"]["seq"].as_i64() {
            Some(seq) => Told::Accepted(seq),
            None => refusal(&answer, payload),
        };
        floor.hear(payload.money_at("/bid/amount").ok());
        Raw::Known(Did::Sent(command, told))
    }

    async fn leave(&self, session: &str, maximum: Money, floor: &Floor) -> Raw {
        let input = json!({ "sessionId": session, "organizationId": self.house.id, "maximum": maximum.to_string() });
        let body = mutation("setProxyBid", "proxyBid { commitment }", &input);
        let Some(answer) = self.told(Some(&fresh_key()), &body).await else { return Raw::Unknown };
        let payload = &answer["data"]["setProxyBid"];
        floor.hear(payload.money_at("/userErrors/0/currentPrice").ok());
        let commitment = payload["proxyBid"]["commitment"].as_str().unwrap_or_default().to_owned();
        let command = Command::Proxy { code: self.code.to_owned(), maximum, commitment: commitment.clone() };
        match commitment.is_empty() {
            true => Raw::Known(Did::Sent(command, refusal(&answer, payload))),
            false => Raw::Maximum(command, commitment),
        }
    }

    async fn read(&self, session: &str, floor: &Floor) -> Seen {
        let body = json!({ "query": SESSION, "variables": { "id": session } });
        let answer = self.line.ask(None, &body).await;
        let read = &answer["data"]["biddingSession"];
        let price = read.money_at("/currentPrice").ok();
        floor.hear(price);
        let status = read.text_at("/status").unwrap_or_else(|_| panic!("{answer}"));
        Seen {
            seq: read.number_at("/seq").unwrap(),
            status: BiddingStatus::from_str_name(&format!("BIDDING_STATUS_{status}")).unwrap().into(),
            price,
            leader: read["leadingCode"].as_str().map(str::to_owned),
            bids: read.number_at("/bidCount").unwrap(),
        }
    }
}

impl Floor {
    pub fn new(limit: usize) -> Floor {
        let (calls, limit) = (AtomicUsize::new(0), AtomicUsize::new(limit));
        Floor { began: Moment::now(), calls, limit, steps: AtomicI64::new(-1) }
    }

    /// How many steps the price has risen above the floor, as far as anybody has heard.
    pub fn heard(&self) -> i64 {
        self.steps.load(Relaxed)
    }

    pub fn hear(&self, price: Option<Money>) {
        if let Some(price) = price {
            self.steps.fetch_max((price.0 - FLOOR.0) / INCREMENT.0, Relaxed);
        }
    }
}

pub fn steps(count: i64) -> Money {
    Money(FLOOR.0 + INCREMENT.0 * count)
}

fn refusal(answer: &Value, payload: &Value) -> Told {
    let told = payload.at("/userErrors/0").unwrap_or_else(|_| panic!("neither done nor refused: {answer}"));
    Told::Refused {
        code: told.text_at("/code").unwrap().to_owned(),
        price: told.money_at("/currentPrice").ok(),
        minimum: told.money_at("/minimumAmount").ok(),
        at: told.instant_at("/serverTime").unwrap_or_else(|_| panic!("a refusal of another kind: {answer}")),
    }
}

/// An event of the published log.
fn event(told: &Value) -> AuctionEvent {
    let text = |name: &str| told[name].as_str();
    let kind = AuctionEventKind::from_str_name(&format!("AUCTION_EVENT_KIND_{}", text("kind").unwrap())).unwrap();
    let origin = text("origin").and_then(|origin| BidOrigin::from_str_name(&format!("BID_ORIGIN_{origin}")));
    AuctionEvent {
        seq: told.number_at("/seq").unwrap(),
        kind: kind.into(),
        at: Some(told.instant_at("/at").unwrap()),
        bidder_code: text("bidderCode").map(str::to_owned),
        amount: text("amount").and_then(Money::parse_yuan),
        closes_at: text("closesAt").and_then(instant),
        origin: origin.map(Into::into),
        preemption_rank: told["preemptionRank"].as_i64().map(|rank| i32::try_from(rank).unwrap()),
        commitment: text("commitment").map(str::to_owned),
        reason: text("reason").map(str::to_owned),
        ..AuctionEvent::default()
    }
}

/// A refusal without a key is kept by nobody, and yet it is true: a process whose memory is behind finds that out.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_behind_refuses_nobody_unjustly() {
    let Some(exchange) = Exchange::start(Lane::Postgres).await else { return };
    let replica = tokio::task::block_in_place(|| exchange.replica());
    let doors = [exchange.http.clone(), replica.http().to_owned()];
    let market = Market::open(&exchange, 4).await;
    let lot = Lot::open(&market, &doors, 0).await;
    let mut lines = Vec::new();
    for (buyer, door) in [(1, &doors[1]), (2, &doors[0]), (1, &doors[1])] {
        lines.push((buyer, Line::new(door, market.buyers[buyer].person.token().await.unwrap())));
    }
    for (count, (buyer, line)) in (0..).zip(&lines) {
        let body = mutation("placeBid", BID, &bid(&lot.session, &market.buyers[*buyer].id, steps(count)));
        let answer = line.ask(None, &body).await;
        assert!(answer["data"]["placeBid"]["bid"].is_object(), "{answer}");
    }
}
