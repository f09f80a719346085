//! R4: replies are lost on the way, on either of two lines, and processes are killed; whoever asks again under the same
//! key, in however many copies at once, gets the same answer byte for byte, and the bid is made once. The same key with
//! another body is refused.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use futures::future::join_all;
use jishi::demo::person::fresh_key;
use serde_json::Value;

use super::{
    Dice,
    cable::Fault,
    line::Line,
    times,
    torn::{Torn, insist},
};

const BUYERS: usize = 4;
const COPIES: u64 = 50;
/// So many lines break in each spell at least.
const BROKEN: usize = 6;

/// One key that has been answered.
struct Kept {
    buyer: usize,
    key: String,
    body: Value,
    text: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_one_effect_and_one_answer() {
    let Some(torn) = Torn::open(BUYERS).await else { return };
    let mut dice = Dice::of("R4");
    let wanted = times(1_000, 10_000);
    let mut kept = Vec::new();
    let calls = AtomicUsize::new(0);
    // The auction's process is killed within each spell and after it, and all that was answered is asked for again.
    for spell in 0..times(2, 10) {
        let until = wanted * (spell + 1) / times(2, 10);
        kept.extend(spell_of_faults(&torn, &calls, until, &mut dice).await);
        torn.kill();
        let lines = torn.lines().await;
        for chunk in kept.chunks(25) {
            join_all(chunk.iter().map(|kept| asked_again(&lines[kept.buyer], kept))).await;
        }
    }
    eprintln!("{} calls, {} keys, {} broken lines", calls.load(Relaxed), kept.len(), broken(&torn));
    one_effect_each(&torn, &kept).await;
    two_bodies_at_once(&torn, &mut dice).await;
    torn.market.ledger_is_sound().await;
}

fn broken(torn: &Torn) -> usize {
    torn.outer.broken() + torn.inner.broken()
}

/// Buyers bid, each bid in many copies, while lines fail; until so many calls were made, and enough lines broke.
async fn spell_of_faults(torn: &Torn, calls: &AtomicUsize, until: usize, dice: &mut Dice) -> Vec<Kept> {
    let over = AtomicBool::new(false);
    let mut chaos = Dice::seeded(dice.below(u64::MAX));
    let (begun, whole) = (calls.load(Relaxed), broken(torn));
    let goes_on = || calls.load(Relaxed) < until || broken(torn) < whole + BROKEN;
    let failing = async {
        let mut killed = false;
        while !over.load(Relaxed) {
            let fault = match chaos.below(6) {
                0 | 1 => Fault::LoseReplies,
                2 => Fault::Reset,
                3 => Fault::Silent,
                4 => Fault::Slow(Duration::from_millis(5)),
                _ => Fault::Clear,
            };
            let cable = if chaos.below(2) == 0 { &torn.outer } else { &torn.inner };
            cable.set(fault);
            tokio::time::sleep(Duration::from_millis(5 + chaos.below(20))).await;
            cable.set(Fault::Clear);
            tokio::time::sleep(Duration::from_millis(chaos.below(200))).await;
            if !killed && calls.load(Relaxed) > usize::midpoint(begun, until) {
                killed = true;
                torn.kill();
            }
        }
    };
    let seeds: Vec<u64> = (0..BUYERS).map(|_| dice.below(u64::MAX)).collect();
    let lines = torn.lines().await;
    let bidding = async {
        let desks = seeds.into_iter().zip(&lines).enumerate();
        let buyers = desks.map(|(buyer, (seed, line))| buy(torn, (buyer, line), Dice::seeded(seed), (calls, &goes_on)));
        let kept = join_all(buyers).await;
        over.store(true, Relaxed);
        kept
    };
    let (kept, ()) = tokio::join!(bidding, failing);
    kept.into_iter().flatten().collect()
}

async fn buy(
    torn: &Torn,
    (buyer, line): (usize, &Line),
    mut dice: Dice,
    (calls, goes_on): (&AtomicUsize, &impl Fn() -> bool),
) -> Vec<Kept> {
    let mut kept = Vec::new();
    while goes_on() {
        let copies = 1 + dice.below(COPIES);
        // Bids of others rise meanwhile: some of these are accepted and some are refused.
        let step = i64::try_from(calls.load(Relaxed)).unwrap() + dice.amount(20);
        let (key, body) = (fresh_key(), torn.bid(buyer, step));
        let texts = join_all((0..copies).map(|_| insist(line, &key, &body))).await;
        calls.fetch_add(texts.iter().map(|(_, calls)| calls).sum(), Relaxed);
        let (text, _) = texts[0].clone();
        assert!(texts.iter().all(|(other, _)| *other == text), "two answers under one key: {texts:?}");
        kept.push(Kept { buyer, key, body, text });
    }
    kept
}

/// The answer is the one of before; another body under the key is refused.
async fn asked_again(line: &Line, kept: &Kept) {
    assert_eq!(insist(line, &kept.key, &kept.body).await.0, kept.text, "after the restart");
    let mut other = kept.body.clone();
    other["variables"]["input"]["amount"] = "1.00".into();
    let (refused, _) = insist(line, &kept.key, &other).await;
    assert_eq!(told(&refused)["userErrors"][0]["code"], "IDEMPOTENCY_CONFLICT", "{refused}");
}

/// Two requests under one key at the same time: one is answered, and the other is refused.
async fn two_bodies_at_once(torn: &Torn, dice: &mut Dice) {
    let lines = torn.lines().await;
    for _ in 0..times(20, 200) {
        let (key, buyer) = (fresh_key(), usize::try_from(dice.below(4)).unwrap());
        let bodies = [1, 2].map(|step| torn.bid(buyer, 1_000_000 + dice.amount(1_000_000) + step));
        let told = join_all(bodies.iter().map(|body| insist(&lines[buyer], &key, body))).await;
        let conflicts = told.iter().filter(|(text, _)| told_code(text) == "IDEMPOTENCY_CONFLICT").count();
        assert_eq!(conflicts, 1, "{told:?}");
    }
}

fn told_code(text: &str) -> Value {
    told(text)["userErrors"][0]["code"].clone()
}

async fn one_effect_each(torn: &Torn, kept: &[Kept]) {
    let bids = kept.iter().map(|kept| told(&kept.text)["bid"].clone()).filter(|bid| !bid.is_null());
    let mut acknowledged: Vec<(i64, Value)> =
        bids.map(|bid| (bid["seq"].as_i64().unwrap(), bid["amount"].clone())).collect();
    acknowledged.sort_by_key(|(seq, _)| *seq);
    assert!(acknowledged.len() > 3, "{} bids were accepted", acknowledged.len());
    assert_eq!(torn.logged().await, acknowledged);
}

fn told(text: &str) -> Value {
    serde_json::from_str::<Value>(text).unwrap()["data"]["placeBid"].clone()
}
