//! R1: the process is killed with SIGKILL again and again, at moments that nobody chose, while bids, hidden maxima, a
//! holder's matches and withdrawals pour in and staff pauses the lot. Everybody asks under the key until told. In the end
//! the log has every acknowledged command once and no other; there is one award, and the ledger sums to zero.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use auction::engine;
use exchange_tests::{Exchange, Jishi, Lane};
use futures::future::join_all;
use jishi::demo::{Fields, cast::House, person::fresh_key};
use kernel::Money;
use serde_json::{Value, json};
use tokio::sync::watch;
use wire::v1::{AuctionEvent, AuctionEventKind as Kind, BidOrigin};

use super::{
    Dice,
    histories::{Floor, Lot, steps},
    line::{BID, Line, bid, mutation},
    torn::insist,
};
use crate::market::Market;

const KILLS: usize = 30;
/// Bidders at work at once: each of the four organizations is this many people.
const DESKS: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn thirty_kills_on_sqlite() {
    thirty_kills(Lane::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_kills_on_postgres() {
    thirty_kills(Lane::Postgres).await;
}

/// Two replicas, one of which is always there: bidding goes on while the other is dead.
#[tokio::test(flavor = "multi_thread")]
async fn thirty_kills_of_two_replicas() {
    thirty_kills(Lane::Replicated).await;
}

/// One command as its caller was told of it, and as the log has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    /// Its number, its amount, its code.
    Bid(i64, Money, String),
    /// By its commitment.
    Maximum(String),
    /// These two by their reasons, each of which is given once.
    Withdrawal(String),
    Pause(String),
    Resume,
}

/// What all callers share.
struct Hall<'a> {
    lot: &'a Lot<'a>,
    http: &'a str,
    floor: Floor,
    told: Mutex<Vec<Mark>>,
    count: watch::Sender<usize>,
    over: AtomicBool,
}

async fn thirty_kills(lane: Lane) {
    let Some(exchange) = Exchange::start(lane).await else { return };
    let market = Market::open(&exchange, 4).await;
    let doors = [exchange.http.clone()];
    let lot = Lot::open(&market, &doors, 0).await;
    let mut dice = Dice::of(&format!("R1 on {lane:?}"));
    let (told, count, over) = (Mutex::default(), watch::Sender::new(0), AtomicBool::new(false));
    let hall = Hall { lot: &lot, http: &doors[0], floor: Floor::new(0), told, count, over };
    let desks = join_all((0..DESKS * market.buyers.len()).map(|desk| {
        let buyer = desk / DESKS;
        hall.bidder(buyer, Dice::seeded(dice.below(u64::MAX)))
    }));
    let killing = async {
        let exchange = hall.kills(exchange, dice).await;
        hall.over.store(true, Relaxed);
        exchange
    };
    let (_, (), exchange) = tokio::join!(desks, hall.staff(), killing);
    let told = hall.told.lock().unwrap().clone();
    judge(&lot, told).await;
    drop(exchange);
}

impl Hall<'_> {
    /// What came of it in the end; nothing if it was refused.
    async fn done(&self, line: &Line, (verb, selection): (&str, &str), input: Value) -> Option<Value> {
        let (text, _) = insist(line, &fresh_key(), &mutation(verb, selection, &input)).await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        let payload = &answer["data"][verb];
        self.floor.hear(payload.money_at("/userErrors/0/currentPrice").ok());
        let object = &payload[selection.split(' ').next().unwrap()];
        assert!(object.is_object() || payload["userErrors"][0].is_object(), "neither done nor refused: {answer}");
        object.is_object().then(|| object.clone())
    }

    fn note(&self, mark: Mark) {
        let mut told = self.told.lock().unwrap();
        told.push(mark);
        self.count.send_replace(told.len());
    }

    /// One of a bidder's people.
    async fn bidder(&self, buyer: usize, mut dice: Dice) {
        let house = &self.lot.market.buyers[buyer];
        let line = Line::new(self.http, house.person.token().await.unwrap());
        while !self.over.load(Relaxed) {
            let price = self.floor.heard();
            match dice.below(10) {
                0..6 => {
                    // The first buyer holds a preemption right: the price itself is enough.
                    let matched = buyer == 0 && dice.below(2) == 0;
                    let raise = if matched { 0 } else { 1 + dice.amount(3) };
                    self.bid(&line, house, steps(price.max(0) + raise)).await;
                }
                6..9 => self.leave(&line, house, steps(price + dice.amount(8))).await,
                _ => self.withdraw(&line, house).await,
            }
        }
    }

    async fn bid(&self, line: &Line, house: &House, amount: Money) {
        let input = bid(&self.lot.session, &house.id, amount);
        let Some(done) = self.done(line, ("placeBid", BID), input).await else { return };
        let told = done.money_at("/amount").unwrap();
        self.floor.hear(Some(told));
        let code = done.text_at("/bidderCode").unwrap().to_owned();
        self.note(Mark::Bid(done.number_at("/seq").unwrap(), told, code));
    }

    async fn leave(&self, line: &Line, house: &House, maximum: Money) {
        let (session, organization) = (&self.lot.session, &house.id);
        let input = json!({ "sessionId": session, "organizationId": organization, "maximum": maximum.to_string() });
        if let Some(done) = self.done(line, ("setProxyBid", "proxyBid { commitment }"), input).await {
            self.note(Mark::Maximum(done.text_at("/commitment").unwrap().to_owned()));
        }
    }

    async fn withdraw(&self, line: &Line, house: &House) {
        let (session, reason) = (&self.lot.session, fresh_key());
        let input = json!({ "sessionId": session, "organizationId": house.id, "reason": reason });
        if self.done(line, ("withdrawBid", "biddingSession { seq }"), input).await.is_some() {
            self.note(Mark::Withdrawal(reason));
        }
    }

    /// Pauses the lot now and then, and lets it go on.
    async fn staff(&self) {
        let qualifier = &self.lot.market.staff.qualifier;
        // Bidders have just been given theirs.
        qualifier.refresh_login().await.unwrap();
        let line = Line::new(self.http, qualifier.token().await.unwrap());
        let mut counted = self.count.subscribe();
        while !self.over.load(Relaxed) {
            let wanted = *counted.borrow() + 15;
            tokio::select! {
                reached = counted.wait_for(|count| *count >= wanted) => drop(reached.unwrap()),
                () = tokio::time::sleep(Duration::from_secs(2)) => continue,
            }
            let (session, reason) = (&self.lot.session, fresh_key());
            let input = json!({ "sessionId": session, "reason": reason });
            if self.done(&line, ("pauseBidding", "biddingSession { seq }"), input).await.is_some() {
                self.note(Mark::Pause(reason));
                let input = json!({ "sessionId": session });
                self.done(&line, ("resumeBidding", "biddingSession { seq }"), input).await.expect("it goes on");
                self.note(Mark::Resume);
            }
        }
    }

    /// Each after some more acknowledged commands, at a random point of the next ones.
    async fn kills(&self, mut exchange: Exchange, mut dice: Dice) -> Exchange {
        let mut counted = self.count.subscribe();
        for _ in 0..KILLS {
            let wanted = *counted.borrow() + 1 + usize::try_from(dice.below(20)).unwrap();
            counted.wait_for(|count| *count >= wanted).await.unwrap();
            tokio::time::sleep(Duration::from_micros(dice.below(20_000))).await;
            let chosen = dice.below(u64::MAX);
            exchange = with_replica(exchange, chosen, Jishi::kill).await;
            if exchange.lane == Lane::Replicated {
                let wanted = *counted.borrow() + 5;
                counted.wait_for(|count| *count >= wanted).await.unwrap();
            }
            exchange = with_replica(exchange, chosen, Jishi::restart).await;
        }
        exchange
    }
}

/// Does something that blocks to one of the auction's processes.
async fn with_replica(mut exchange: Exchange, chosen: u64, act: fn(&mut Jishi)) -> Exchange {
    let done = tokio::task::spawn_blocking(move || {
        let count = u64::try_from(exchange.replicas("auction").count()).unwrap();
        act(exchange.replicas("auction").nth(usize::try_from(chosen % count).unwrap()).unwrap());
        exchange
    });
    done.await.unwrap()
}

/// What must hold when the lot is closed.
async fn judge(lot: &Lot<'_>, mut told: Vec<Mark>) {
    lot.close().await;
    let log = lot.log().await;
    let mut logged: Vec<Mark> = log.iter().filter_map(mark).collect();
    told.sort();
    logged.sort();
    let lost: Vec<&Mark> = told.iter().filter(|mark| logged.binary_search(mark).is_err()).collect();
    let untold: Vec<&Mark> = logged.iter().filter(|mark| told.binary_search(mark).is_err()).collect();
    assert!(
        lost.is_empty() && untold.is_empty(),
        "acknowledged, not logged: {lost:?}; logged, not acknowledged: {untold:?}"
    );
    assert_eq!(told, logged, "something is there twice");
    let of = |kind: Kind| log.iter().filter(|event| event.kind() == kind).count();
    let matched = log.iter().filter(|event| event.kind() == Kind::Bid && event.preemption_rank.is_some()).count();
    let raised = log.iter().filter(|event| event.kind() == Kind::Bid && event.origin() == BidOrigin::Proxy).count();
    let (bids, maxima, withdrawn) = (of(Kind::Bid), of(Kind::ProxySet), of(Kind::Withdrawn));
    let paused = of(Kind::Paused);
    eprintln!(
        "{bids} bids, {raised} of them for {maxima} maxima, {matched} matches, {withdrawn} withdrawn, {paused} pauses"
    );
    let all = [told.len() / KILLS, raised, maxima, matched, withdrawn, paused];
    assert!(all.iter().all(|count| *count > 0), "some kind of command never came: {all:?}");
    let replayed = engine::replay(lot.terms().await, &log).unwrap_or_else(|flaw| panic!("{flaw:?} breaks the rules"));
    let (lead, award) = (replayed.state.lead.unwrap(), lot.market.award(&lot.listing).await);
    let winner = lot.codes.iter().position(|code| *code == lead.code).unwrap();
    assert_eq!(award["winnerId"], lot.market.buyers[winner].id);
    assert_eq!(award.money_at("/price").unwrap(), lead.amount);
    lot.market.ledger_is_sound().await;
}

/// What somebody asked for; nothing for what the engine did by itself.
fn mark(event: &AuctionEvent) -> Option<Mark> {
    let reason = || event.reason().to_owned();
    Some(match event.kind() {
        Kind::Bid if event.origin() == BidOrigin::Online => {
            Mark::Bid(event.seq, event.amount.unwrap(), event.bidder_code().to_owned())
        }
        Kind::ProxySet => Mark::Maximum(event.commitment().to_owned()),
        Kind::Withdrawn => Mark::Withdrawal(reason()),
        Kind::Paused => Mark::Pause(reason()),
        Kind::Resumed => Mark::Resume,
        _ => return None,
    })
}
