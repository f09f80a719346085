//! R2 at chosen points: one process decides bids, a refusal and the close on what it remembers, while another process has
//! moved the lot; two processes stand in the middle of the same confirmation, and of the same settlement; one is frozen
//! (SIGSTOP) inside its transaction. Whoever is late is fenced, each thing is done once, nobody is held up for ever.

use std::{path::Path, time::Duration};

use exchange_tests::{Exchange, Jishi, LOGS, Lane};
use jishi::demo::{
    Fields,
    person::{Person, fresh_key},
};
use serde_json::{Value, json};
use wire::v1::AuctionEventKind as Kind;

use super::{
    histories::{Lot, steps},
    hold::Hold,
    line::{BID, Line, bid, mutation},
    torn::{End, insist, once},
};
use crate::market::Market;

/// Two processes with all roles. Nobody watches at the first one, so it learns what the other one did only by the fence.
struct Pair {
    exchange: Exchange,
    other: Jishi,
    doors: [String; 2],
}

impl Pair {
    async fn start(logs: &Path) -> Option<Pair> {
        let told = [(LOGS, logs.to_str().unwrap()), ("JISHI_LOG", "warn,auction=debug")];
        let exchange = Exchange::start_with(Lane::Postgres, &told).await?;
        let other = tokio::task::block_in_place(|| exchange.replica());
        let doors = [exchange.http.clone(), other.http().to_owned()];
        Some(Pair { exchange, other, doors })
    }

    /// Somebody's lines to both processes.
    async fn lines(&self, person: &Person) -> [Line; 2] {
        let token = person.token().await.unwrap();
        [0, 1].map(|door| Line::new(&self.doors[door], token.clone()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_round_is_fenced() {
    let logs = tempfile::tempdir().unwrap();
    let Some(pair) = Pair::start(logs.path()).await else { return };
    let market = Market::open(&pair.exchange, 4).await;
    let lot = Lot::open(&market, &pair.doors, 0).await;
    let mut lines = Vec::new();
    for buyer in &market.buyers {
        lines.push(pair.lines(&buyer.person).await);
    }
    let bid = |buyer: usize, count: i64| {
        mutation("placeBid", BID, &bid(&lot.session, &market.buyers[buyer].id, steps(count)))
    };
    let seq = |text: &str| serde_json::from_str::<Value>(text).unwrap()["data"]["placeBid"]["bid"]["seq"].as_i64();
    let mut told = vec![(insist(&lines[1][0], &fresh_key(), &bid(1, 0)).await.0, 0)];
    told.push((insist(&lines[3][1], &fresh_key(), &bid(3, 2)).await.0, 2));
    told.push((insist(&lines[1][1], &fresh_key(), &bid(1, 3)).await.0, 3));
    let before = fences(logs.path());
    let answer = lines[2][0].ask(None, &bid(2, 1)).await;
    assert_eq!(answer["data"]["placeBid"]["userErrors"][0]["code"], "BELOW_MIN_INCREMENT", "{answer}");
    until_fenced(logs.path(), before).await;

    // What only a refusal and its kept answer are written for is fenced as well: the log's own key would not tell.
    told.push((insist(&lines[3][1], &fresh_key(), &bid(3, 4)).await.0, 4));
    told.push((insist(&lines[1][0], &fresh_key(), &bid(1, 5)).await.0, 5));
    let told: Vec<_> = told.into_iter().map(|(text, count)| (seq(&text).expect(&text), Some(steps(count)))).collect();
    let log = lot.log().await;
    let bids = log.iter().filter(|event| event.kind() == Kind::Bid).map(|event| (event.seq, event.amount));
    assert_eq!(bids.collect::<Vec<_>>(), told);
}

/// The first process remembers an end that a bid at the other one has moved, and would sell the lot to the wrong bidder.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_close_is_fenced() {
    let logs = tempfile::tempdir().unwrap();
    let Some(pair) = Pair::start(logs.path()).await else { return };
    let market = Market::open(&pair.exchange, 4).await;
    let lot = Lot::open(&market, &pair.doors, 0).await;
    lot.pass(lot.read().await.instant_at("/closesAt").unwrap()).await;
    lot.market.until_session(&lot.session, "TIMED").await;
    let buyers = &lot.market.buyers;
    let first = pair.lines(&buyers[2].person).await;
    let second = pair.lines(&buyers[3].person).await;
    let body =
        |buyer: usize, count: i64| mutation("placeBid", BID, &bid(&lot.session, &buyers[buyer].id, steps(count)));
    insist(&first[0], &fresh_key(), &body(2, 0)).await;
    let end = lot.read().await.instant_at("/closesAt").unwrap();
    lot.pass(end.plus_seconds(-20)).await;
    insist(&second[1], &fresh_key(), &body(3, 1)).await;
    let before = fences(logs.path());
    lot.pass(end).await;
    until_fenced(logs.path(), before).await;
    assert_eq!(lot.read().await["status"], "TIMED", "the late process closed the lot");
    lot.close().await;
    let award = lot.market.award(&lot.listing).await;
    assert_eq!((&award["winnerId"], award.money_at("/price").unwrap()), (&json!(buyers[3].id), steps(1)));
    once_each(&pair, &lot, &award).await;
}

/// Two confirm and one settles, each at both processes at once, who meet in the middle of their transactions.
async fn once_each(pair: &Pair, lot: &Lot<'_>, award: &Value) {
    let market = lot.market;
    for person in [&market.staff.reviewer, &market.staff.qualifier] {
        let act = ("confirmAward", "award { id status }", json!({ "awardId": award["id"] }));
        meet(pair, person, ("SELECT 1 FROM award FOR UPDATE", "%\"award\"%"), act).await;
    }
    let deal = market.deal(&lot.listing).await;
    market.payable(&market.buyers[3], &deal).await;
    let act = ("settle", "settlement { id price fee }", json!({ "dealId": deal["id"] }));
    meet(pair, &market.staff.cashier, ("SELECT 1 FROM account FOR UPDATE", "%\"account\"%"), act).await;
    market.until_listing(&lot.listing, "SETTLED").await;
    market.ledger_is_sound().await;
}

/// Says the same at both processes under two keys while their rows are held, until both wait. One of the two is done.
async fn meet(
    pair: &Pair,
    person: &Person,
    (rows, statement): (&str, &str),
    (verb, selection, input): (&str, &str, Value),
) {
    let (lines, body) = (pair.lines(person).await, mutation(verb, selection, &input));
    let hold = Hold::on(&pair.exchange.database_url, rows).await;
    let keys = [fresh_key(), fresh_key()];
    let (here, there, ()) =
        tokio::join!(insist(&lines[0], &keys[0], &body), insist(&lines[1], &keys[1], &body), async {
            hold.until_waited_for(2, statement).await;
            hold.release().await;
        });
    let object = selection.split(' ').next().unwrap();
    let payloads = [here.0, there.0].map(|text| serde_json::from_str::<Value>(&text).unwrap()["data"][verb].clone());
    let done = payloads.iter().filter(|payload| payload[object].is_object()).count();
    assert_eq!(done, 1, "{verb}: {payloads:?}");
}

/// How often a late writer was told.
fn fences(logs: &Path) -> usize {
    let said = std::fs::read_to_string(logs.join("all")).unwrap();
    said.lines().filter(|line| line.contains("fenced")).count()
}

async fn until_fenced(logs: &Path, before: usize) {
    for _ in 0..2_000 {
        if fences(logs) > before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the late writer was not fenced");
}

/// It is frozen when it has moved the lot's row and comes to the audit trail. The database undoes what it began, after
/// `idle_transaction_millis`; meanwhile the other process waits, and takes the bid.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_frozen_in_its_transaction_holds_nobody_up() {
    let logs = tempfile::tempdir().unwrap();
    let Some(mut pair) = Pair::start(logs.path()).await else { return };
    let market = Market::open(&pair.exchange, 4).await;
    let doors = pair.doors.clone();
    let lot = Lot::open(&market, &doors, 0).await;
    let staff = pair.lines(&market.staff.qualifier).await;
    let buyer = pair.lines(&market.buyers[1].person).await;
    let (pause_key, bid_key) = (fresh_key(), fresh_key());
    let input = json!({ "sessionId": lot.session, "reason": "设备检修" });
    let pause = mutation("pauseBidding", "biddingSession { status }", &input);
    let first_bid = mutation("placeBid", BID, &bid(&lot.session, &market.buyers[1].id, steps(0)));
    let hold = Hold::on(&pair.exchange.database_url, "LOCK TABLE event IN SHARE MODE").await;
    let process = pair.exchange.process("auction");
    let (asleep, told) = tokio::join!(once(&staff[0], &pause_key, &pause), async {
        hold.until_waited_for(1, "INSERT INTO \"event\"%").await;
        process.freeze();
        hold.release().await;
        let told = once(&buyer[1], &bid_key, &first_bid).await;
        process.thaw();
        told
    });
    let End::Told(text) = told.0 else { panic!("a frozen process held the lot") };
    assert!(serde_json::from_str::<Value>(&text).unwrap()["data"]["placeBid"]["bid"].is_object(), "{text}");
    assert_eq!(asleep.0, End::Unknown, "its transaction was undone");
    assert!(pair.other.is_running() && pair.exchange.process("auction").is_running());
    // Whoever was not told asks again, here and there.
    let here = insist(&staff[0], &pause_key, &pause).await.0;
    assert_eq!(here, insist(&staff[1], &pause_key, &pause).await.0);
    assert_eq!(insist(&buyer[0], &bid_key, &first_bid).await.0, text);
    let kinds: Vec<Kind> = lot.log().await.iter().map(|event| event.kind()).collect();
    assert_eq!(kinds[kinds.len() - 2..], [Kind::Bid, Kind::Paused], "each once: {kinds:?}");
    let again = |kind: Kind| kinds.iter().filter(|found| **found == kind).count();
    assert_eq!((again(Kind::Bid), again(Kind::Paused)), (1, 1));
}
