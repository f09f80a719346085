//! 多轮书面报价: sealed rounds, each with its own key. Whoever made no valid offer in one is out of the next; the last one
//! decides. Equals have an extra round where the notice says so; if none of them offers again, what they offered stands.

use exchange_tests::Exchange;
use jishi::demo::Fields;
use serde_json::{Value, json};

use super::super::{
    market::Market,
    refusal::{no, refused, with},
    sealed::lot::{SealedLot, TRUSTEES},
};

lanes! { the_last_of_three_sealed_rounds_decides equals_have_one_round_more }

/// What the log tells of each round that was opened after the first: its number, and who may offer in it.
async fn rounds(lot: &SealedLot<'_>) -> Vec<(u64, Vec<String>)> {
    let query =
        "query R($id: ID!) { auctionEvents(sessionId: $id, first: 200) { edges { node { kind round goingOn } } } }";
    let read = lot.market.staff.reviewer.glance(query, json!({ "id": lot.session })).await.unwrap();
    let edges = read["auctionEvents"]["edges"].as_array().unwrap().iter().map(|edge| &edge["node"]);
    let codes = |event: &Value| {
        event["goingOn"].as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect()
    };
    edges
        .filter(|event| event["kind"] == "ROUND_OPENED")
        .map(|event| (event["round"].as_u64().unwrap(), codes(event)))
        .collect()
}

/// The codes of bidders, as an event lists them.
fn codes(lot: &SealedLot<'_>, bidders: &[usize]) -> Vec<String> {
    let mut codes: Vec<String> = bidders.iter().map(|n| lot.codes[*n].clone()).collect();
    codes.sort();
    codes
}

/// Why envelopes were no offers, by bidder.
async fn invalid(lot: &SealedLot<'_>) -> Vec<(String, String)> {
    let log = lot.market.log(&lot.session).await;
    let invalid = log.iter().filter(|event| event["kind"] == "ENVELOPE_INVALID");
    invalid.map(|event| ["/bidderCode", "/reason"].map(|at| event.text_at(at).unwrap().to_owned()).into()).collect()
}

async fn stands(lot: &SealedLot<'_>) -> (Value, Value, Value) {
    let told = lot.told(&lot.market.staff.reviewer).await["biddingSession"].clone();
    (told["status"].clone(), told["round"].clone(), told["leadingCode"].clone())
}

/// Four may bid. One offers nothing and is out; one offers too little in the second round and is out; of the two who
/// are left, the one who had offered less at first wins.
async fn the_last_of_three_sealed_rounds_decides(exchange: Exchange) {
    let market = Market::open(&exchange, 4).await;
    let bidding = json!({ "mode": "MULTI_ROUND_SEALED", "rounds": 3 });
    let lot = SealedLot::scheduled((&exchange, &market), 4, bidding).await;
    lot.begins().await;
    let early = lot.offer(2, 0, &["--amount", "600000.00"]);
    let wrong = no("WRONG_ROUND", "round").by("SM-5").accepting("1");
    refused(&lot.buyer(0).person, "submitSealedBid", early, wrong).await;
    lot.offers(1, &[(0, "530000.00"), (1, "520000.00"), (2, "500000.00")]).await;
    lot.opened(1).await;

    market.until_session(&lot.session, "FREE").await;
    assert_eq!(stands(&lot).await, (json!("FREE"), json!(2), json!(null)), "nobody leads between rounds");
    assert_eq!(rounds(&lot).await, [(2, codes(&lot, &[0, 1, 2]))]);
    let silent = lot.offer(2, 3, &["--amount", "900000.00"]);
    let out = no("NOT_ELIGIBLE", "").by("SM-5");
    refused(&lot.buyer(3).person, "submitSealedBid", silent.clone(), out).await;
    let old = with(&silent, "round", 1);
    refused(&lot.buyer(3).person, "submitSealedBid", old, no("WRONG_ROUND", "round").accepting("2").by("SM-5")).await;
    lot.offers(2, &[(0, "531000.00"), (1, "499999.99"), (2, "515000.00")]).await;
    shares_of_another_round_open_nothing(&lot).await;
    lot.opened(2).await;

    market.until_session(&lot.session, "FREE").await;
    assert_eq!(rounds(&lot).await[1], (3, codes(&lot, &[0, 2])));
    assert_eq!(invalid(&lot).await, [(lot.codes[1].clone(), "BELOW_START".to_owned())]);
    let late = lot.offer(3, 1, &["--amount", "900000.00"]);
    refused(&lot.buyer(1).person, "submitSealedBid", late, no("NOT_ELIGIBLE", "").by("SM-5")).await;
    // The last round decides, whatever was offered in the rounds before.
    lot.offers(3, &[(0, "520000.00"), (2, "525000.00")]).await;
    lot.opened(3).await;
    market.until_session(&lot.session, "SOLD").await;
    won(&lot, (2, "525000.00")).await;
}

/// The key of the first round is public by now; its shares are refused in the second, and name their trustee.
async fn shares_of_another_round_open_nothing(lot: &SealedLot<'_>) {
    let told = lot.told(&lot.market.staff.reviewer).await;
    lot.market.pass(told.instant_at("/biddingSession/closesAt").unwrap().plus_seconds(60)).await;
    lot.market.until_session(&lot.session, "OPENING").await;
    let old = lot.trustees.share(lot.exchange, TRUSTEES[0]);
    let refusal = no("FALSE_SHARE", "share").by("P-3").accepting(TRUSTEES[0]);
    refused(&lot.market.staff.reviewer, "contributeShare", lot.contribution(TRUSTEES[0], &old), refusal).await;
    assert_eq!(lot.told(&lot.market.staff.reviewer).await["sealedOpenings"].as_array().unwrap().len(), 1);
}

/// One bidder has the lot at its own price; the deal follows, and the bundle says the same.
async fn won(lot: &SealedLot<'_>, (winner, price): (usize, &str)) {
    let award = lot.confirmed().await;
    assert_eq!((&award["winnerId"], &award["price"]), (&json!(lot.buyer(winner).id), &json!(price)));
    assert_eq!(lot.market.deal(&lot.listing).await["price"], price);
    let verdict = lot.verified().await;
    assert!(verdict.contains(&format!("SOLD to {} at {price}", lot.codes[winner])), "{verdict}");
    lot.market.ledger_is_sound().await;
}

/// Two lots with the same three bidders, of whom two are equal. In one of them one offers more and the other less than
/// before; in the other nobody offers again.
async fn equals_have_one_round_more(exchange: Exchange) {
    let market = Market::open(&exchange, 3).await;
    let bidding = || json!({ "mode": "SEALED_SINGLE", "tieRule": "EXTRA_ROUND" });
    let lot = SealedLot::scheduled((&exchange, &market), 3, bidding()).await;
    lot.begins().await;
    lot.offers(1, &[(0, "510000.00"), (1, "505000.00"), (2, "510000.00")]).await;
    lot.opened(1).await;
    market.until_session(&lot.session, "FREE").await;
    assert_eq!(rounds(&lot).await, [(2, codes(&lot, &[0, 2]))]);
    let third = lot.offer(2, 1, &["--amount", "900000.00"]);
    refused(&lot.buyer(1).person, "submitSealedBid", third, no("NOT_ELIGIBLE", "").by("SM-5")).await;
    lot.offers(2, &[(0, "509999.99"), (2, "510000.01")]).await;
    lot.opened(2).await;
    market.until_session(&lot.session, "SOLD").await;
    assert_eq!(invalid(&lot).await, [(lot.codes[0].clone(), "BELOW_OWN_OFFER".to_owned())]);
    won(&lot, (2, "510000.01")).await;

    let lot = SealedLot::scheduled((&exchange, &market), 3, bidding()).await;
    lot.begins().await;
    // In this order, which decides in the end.
    for offer in [(2, "510000.00"), (0, "510000.00"), (1, "505000.00")] {
        lot.offers(1, &[offer]).await;
    }
    lot.opened(1).await;
    market.until_session(&lot.session, "FREE").await;
    lot.opened(2).await;
    market.until_session(&lot.session, "SOLD").await;
    won(&lot, (2, "510000.00")).await;
}
