//! R1: the process is killed with SIGKILL again and again while bids pour in, at moments that nobody chose.
//! No acknowledged bid is lost or doubled, there is one award, and the ledger sums to zero.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use exchange_tests::{Exchange, Jishi, Lane};
use futures::future::join_all;
use jishi::demo::{
    Fields,
    check::{SESSION, read_log, recompute},
    client::Door,
    deal::{self, OpenLot},
    person::{Act, fresh_key},
    stage::Stage,
    timeline::Silent,
};
use kernel::Money;
use serde_json::json;
use tokio::sync::watch;

use super::faults::Dice;

const KILLS: usize = 30;
/// Bidders at work at once: each of the three organizations is this many people.
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

/// One acknowledged bid: its number, its amount and its code.
type Receipt = (i64, Money, String);

async fn thirty_kills(lane: Lane) {
    let Some(mut exchange) = Exchange::start(lane).await else { return };
    let stage = Stage::new(Door::at(exchange.http.trim_start_matches("http://")), &Silent).await.unwrap();
    let lot = deal::open(&stage).await.unwrap();
    let mut dice = Dice::of(&format!("kills on {lane:?}"));
    let receipts = Arc::new(Mutex::new(Vec::<Receipt>::new()));
    let (count, mut counted) = watch::channel(0_usize);
    let (step, over) = (AtomicI64::new(0), AtomicBool::new(false));
    let bidding = async {
        let desks = (0..DESKS).flat_map(|_| lot.bidders().iter());
        join_all(desks.map(|house| async {
            while !over.load(Ordering::Relaxed) {
                let raise = lot.increment().0 * step.fetch_add(1, Ordering::Relaxed);
                let amount = Money(lot.floor().0 + raise);
                let key = fresh_key();
                let act = Act { verb: "placeBid", selection: "bid { seq amount bidderCode }", key: &key };
                let input =
                    json!({ "sessionId": lot.session_id(), "organizationId": house.id, "amount": amount.to_string() });
                // Overtaken bids are refused: that is no fault.
                if let Ok(bid) = house.person.act_under(act, input).await {
                    let receipt = (
                        bid.number_at("/seq").unwrap(),
                        bid.money_at("/amount").unwrap(),
                        bid.text_at("/bidderCode").unwrap().to_owned(),
                    );
                    let mut receipts = receipts.lock().unwrap();
                    receipts.push(receipt);
                    count.send_replace(receipts.len());
                }
            }
        }))
        .await;
    };
    let killing = async {
        for _ in 0..KILLS {
            // After some more acknowledged bids, at a random point of the next ones.
            let wanted = *counted.borrow() + 1 + usize::try_from(dice.below(20)).unwrap();
            counted.wait_for(|count| *count >= wanted).await.unwrap();
            tokio::time::sleep(Duration::from_micros(dice.below(20_000))).await;
            let chosen = dice.below(u64::MAX);
            exchange = killed(exchange, chosen).await;
            if lane == Lane::Replicated {
                let wanted = *counted.borrow() + 5;
                counted.wait_for(|count| *count >= wanted).await.unwrap();
            }
            exchange = restarted(exchange, chosen).await;
        }
        over.store(true, Ordering::Relaxed);
        exchange
    };
    let (_, exchange) = tokio::join!(bidding, killing);
    let receipts = receipts.lock().unwrap().clone();
    assert!(receipts.len() > KILLS, "only {} bids were acknowledged", receipts.len());
    judge(&stage, &lot, &receipts).await;
    drop(exchange);
}

async fn killed(exchange: Exchange, chosen: u64) -> Exchange {
    with_replica(exchange, chosen, Jishi::kill).await
}

async fn restarted(exchange: Exchange, chosen: u64) -> Exchange {
    with_replica(exchange, chosen, Jishi::restart).await
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
async fn judge(stage: &Stage<'_>, lot: &OpenLot, receipts: &[Receipt]) {
    let award = lot.close(stage).await.unwrap();
    let reader = &lot.bidders()[0].person;
    let log = read_log(reader, lot.session_id()).await.unwrap();
    let bids: Vec<_> = log.iter().filter(|event| event.text_at("/kind").unwrap() == "BID").collect();
    let logged: HashMap<i64, Receipt> = bids
        .iter()
        .map(|event| {
            let seq = event.number_at("/seq").unwrap();
            (seq, (seq, event.money_at("/amount").unwrap(), event.text_at("/bidderCode").unwrap().to_owned()))
        })
        .collect();
    let mut seen = HashMap::new();
    for receipt in receipts {
        assert_eq!(logged.get(&receipt.0), Some(receipt), "an acknowledged bid is not in the log");
        assert_eq!(seen.insert(receipt.0, receipt.1), None, "two bids were acknowledged under one number");
    }
    let session = reader.read(SESSION, json!({ "id": lot.session_id() })).await.unwrap();
    let recomputed = recompute(session.at("/biddingSession").unwrap(), &log).unwrap();
    let lead = recomputed.state.lead.unwrap();
    assert_eq!(award.money_at("/price").unwrap(), lead.amount);
    let highest = receipts.iter().map(|receipt| receipt.1).max().unwrap();
    assert!(lead.amount >= highest, "the award is below an acknowledged bid");
    let balance = lot.trial_balance().await.unwrap();
    assert_eq!(balance.money_at("/total").unwrap(), Money::ZERO);
    assert_eq!(balance.number_at("/faultyAccounts").unwrap(), 0);
}
