//! R3: the auction is cut off from the gateway, or from its database: half-open, or reset. Every call ends in time as
//! done, refused or unknown; when the line is whole again whoever asks under the key is told, and nothing is wrong.

use std::time::{Duration, Instant as Moment};

use futures::future::join_all;
use jishi::demo::person::fresh_key;
use serde_json::Value;

use super::{
    Dice,
    cable::{Cable, Fault},
    line::PATIENCE,
    times,
    torn::{End, Torn, insist, once},
};

const BUYERS: usize = 4;
/// The exchange ends a call after fifteen seconds; a machine at work may tell it somewhat later.
const SLACK: Duration = Duration::from_secs(2);
/// How soon after healing callers are served again.
const RECOVERY: Duration = Duration::from_secs(5);

/// A bid in the time of a partition.
struct Tried {
    buyer: usize,
    key: String,
    body: Value,
    end: End,
    took: Duration,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_ends_and_heals() {
    let Some(torn) = Torn::open(BUYERS).await else { return };
    let mut dice = Dice::of("R3");
    let mut told = Vec::new();
    let mut steps = 0;
    for _ in 0..times(1, 5) {
        for cable in [&torn.inner, &torn.database] {
            // A half-open line heals by itself, or the other side has forgotten it.
            for (fault, then) in [(Fault::Reset, None), (Fault::Silent, None), (Fault::Silent, Some(Fault::Reset))] {
                told.extend(partition(&torn, (cable, fault, then), &mut steps, &mut dice).await);
            }
        }
    }
    // 0 anomalies: what callers were told in the end is what the log says.
    let bids = told.iter().map(|text| answer(text)["bid"].clone()).filter(|bid| !bid.is_null());
    let mut bids: Vec<(i64, Value)> = bids.map(|bid| (bid["seq"].as_i64().unwrap(), bid["amount"].clone())).collect();
    bids.sort_by_key(|(seq, _)| *seq);
    assert!(bids.len() >= 6, "{} bids were accepted", bids.len());
    assert_eq!(torn.logged().await, bids);
    torn.market.ledger_is_sound().await;
}

/// Cuts one line under bids, waits until all calls have ended, heals it; what the callers were told in the end.
async fn partition(
    torn: &Torn,
    (cable, fault, then): (&Cable, Fault, Option<Fault>),
    steps: &mut i64,
    dice: &mut Dice,
) -> Vec<String> {
    let lines = torn.lines().await;
    let moment = Duration::from_micros(dice.below(20_000));
    let first = *steps;
    *steps += 2 * i64::try_from(BUYERS).unwrap() + 2;
    let cut = async {
        tokio::time::sleep(moment).await;
        cable.set(fault);
    };
    // Two bids of each buyer: one that the cut may meet on its way, one that is made when the line is down.
    let bidding = join_all(lines.iter().enumerate().map(|(buyer, line)| async move {
        let mut tried = Vec::new();
        for turn in 0..2 {
            let step = first + 1 + i64::try_from(turn * BUYERS + buyer).unwrap();
            let (key, body) = (fresh_key(), torn.bid(buyer, step));
            let (end, took) = once(line, &key, &body).await;
            tried.push(Tried { buyer, key, body, end, took });
        }
        tried
    }));
    let (tried, ()) = tokio::join!(bidding, cut);
    let tried: Vec<Tried> = tried.into_iter().flatten().collect();
    let slowest = tried.iter().map(|tried| tried.took).max().unwrap();
    let unknown = tried.iter().filter(|tried| tried.end == End::Unknown).count();
    assert!(slowest <= PATIENCE + SLACK, "{fault:?}: a call took {slowest:?}");
    if let Some(then) = then {
        cable.set(then);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    cable.set(Fault::Clear);
    let healed = Moment::now();
    let again = tried.iter().map(|tried| insist(&lines[tried.buyer], &tried.key, &tried.body));
    let again: Vec<String> = join_all(again).await.into_iter().map(|(text, _)| text).collect();
    let recovery = healed.elapsed();
    eprintln!(
        "{fault:?} then {then:?}: {unknown} of {} unknown, slowest {slowest:?}, told after {recovery:?}",
        tried.len()
    );
    assert!(recovery <= RECOVERY + SLACK, "{fault:?}: {recovery:?} after healing");
    for (tried, again) in tried.iter().zip(&again) {
        if let End::Told(text) = &tried.end {
            assert_eq!(text, again, "two answers under one key");
        }
    }
    again
}

fn answer(text: &str) -> Value {
    serde_json::from_str::<Value>(text).unwrap()["data"]["placeBid"].clone()
}
