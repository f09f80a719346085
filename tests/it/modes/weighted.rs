//! 权重报价: sealed offers of a price and other numbers; the composite of published criteria and weights decides. What is
//! best may then be offered to the holder of a preemption right.

use exchange_tests::Exchange;
use jishi::demo::{Fields, person::fresh_key};
use serde_json::{Value, json};

use super::super::{
    market::{Market, made},
    refusal::{no, refused},
    sealed::lot::SealedLot,
};

lanes! { the_best_composite_wins_and_not_the_best_price a_holder_is_offered_the_best_sealed_offer }

fn criteria() -> Value {
    json!([
        { "name": "报价", "kind": "PRICE", "weightBp": 6_000, "lowerIsBetter": false },
        { "name": "投产月数", "kind": "NUMBER", "weightBp": 4_000, "lowerIsBetter": true },
    ])
}

/// Prices of 600,000 and 540,000 with 12 and 6 months: 60 + 40 × 6/12 = 80 against 60 × 0.9 + 40 = 94. An offer without
/// the months is none, whatever its price.
async fn the_best_composite_wins_and_not_the_best_price(exchange: Exchange) {
    let market = Market::open(&exchange, 3).await;
    weights_are_published(&market).await;
    let lot =
        SealedLot::scheduled((&exchange, &market), 3, json!({ "mode": "WEIGHTED", "criteria": criteria() })).await;
    let query = "query S($id: ID!) { biddingSession(id: $id) { terms { mode criteria { name kind weightBp lowerIsBetter } } } }";
    let read = market.buyers[0].person.glance(query, json!({ "id": lot.session })).await.unwrap();
    assert_eq!(read["biddingSession"]["terms"], json!({ "mode": "WEIGHTED", "criteria": criteria() }));
    lot.begins().await;
    let open = json!({ "sessionId": lot.session, "organizationId": lot.buyer(0).id, "amount": "600000.00" });
    refused(&lot.buyer(0).person, "placeBid", open, no("MODE_MISMATCH", "amount").by("SM-5")).await;
    for (n, amount, months) in [(0, "600000.00", Some("12")), (1, "540000.00", Some("6")), (2, "900000.00", None)] {
        let months = months.map(|months| format!("投产月数={months}"));
        let mut offer = vec!["--amount", amount];
        offer.extend(months.iter().flat_map(|months| ["--value", months.as_str()]));
        lot.hand_in(n, &lot.sealed(n, &offer), &fresh_key()).await;
    }
    lot.opened(1).await;
    market.until_session(&lot.session, "SOLD").await;
    let log = market.log(&lot.session).await;
    let flawed = log.iter().find(|event| event["kind"] == "ENVELOPE_INVALID").unwrap();
    assert_eq!((&flawed["bidderCode"], &flawed["reason"]), (&json!(lot.codes[2]), &json!("VALUES_DIFFER")));
    let award = lot.confirmed().await;
    assert_eq!((&award["winnerId"], &award["price"]), (&json!(lot.buyer(1).id), &json!("540000.00")));
    let verdict = lot.verified().await;
    assert!(verdict.contains(&format!("SOLD to {} at 540000.00", lot.codes[1])), "{verdict}");
}

/// A notice whose weights are not the whole, or that leaves points to a panel, is refused.
async fn weights_are_published(market: &Market) {
    let refused_for = async |criteria: Value, expected| {
        let draft = market.terms(json!({ "mode": "WEIGHTED", "criteria": criteria }));
        refused(&market.broker, "createListing", draft, expected).await;
    };
    let contradicts = |field| no("TERMS_CONTRADICT", field).by("SM-5");
    let mut short = criteria();
    short[0]["weightBp"] = json!(5_999);
    refused_for(short, contradicts("bidding.criteria").accepting("Σ weightBp = 10000")).await;
    let mut panel = criteria();
    panel[1]["kind"] = json!("PANEL");
    refused_for(panel, contradicts("bidding.criteria.1.kind").accepting("PRICE | NUMBER")).await;
    refused_for(json!([]), contradicts("bidding.criteria").accepting("WEIGHTED")).await;
}

/// The completer's right (民法典 847) holds under seal too: what was best is offered to it, at that price.
async fn a_holder_is_offered_the_best_sealed_offer(exchange: Exchange) {
    let market = Market::open(&exchange, 3).await;
    let bidding = json!({ "mode": "SEALED_SINGLE", "preemption": "AFTER_SESSION", "preemptionSeconds": 600 });
    let lot = SealedLot::with_holder((&exchange, &market), 3, bidding).await;
    let [first, _, holder] = &market.buyers[..] else { panic!() };
    lot.begins().await;
    lot.offers(1, &[(0, "530000.00"), (1, "520000.00"), (2, "500000.00")]).await;
    let answer =
        |exercise: bool| json!({ "sessionId": lot.session, "organizationId": holder.id, "exercise": exercise });
    refused(&holder.person, "answerPreemption", answer(true), no("NO_OFFER", "sessionId").by("SM-5")).await;
    lot.opened(1).await;
    market.until_session(&lot.session, "PREEMPTION").await;
    let offer = market.log(&lot.session).await.pop().unwrap();
    assert_eq!((offer.text_at("/kind").unwrap(), &offer["amount"]), ("PREEMPTION_OFFERED", &json!("530000.00")));
    assert_eq!(offer["bidderCode"], json!(lot.codes[0]));
    let other = json!({ "sessionId": lot.session, "organizationId": first.id, "exercise": true });
    refused(&first.person, "answerPreemption", other, no("NO_PREEMPTION", "sessionId").by("SM-5")).await;
    made(&holder.person, "answerPreemption", "biddingSession", answer(true)).await;
    market.until_session(&lot.session, "SOLD").await;
    let award = lot.confirmed().await;
    assert_eq!((&award["winnerId"], &award["price"]), (&json!(holder.id), &json!("530000.00")));
    let verdict = lot.verified().await;
    assert!(verdict.contains(&format!("SOLD to {} at 530000.00", lot.codes[2])), "{verdict}");
}
