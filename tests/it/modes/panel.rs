//! 综合评议 with a panel of whom some stay silent: staff takes them off it, for a reason that everybody reads, and the
//! others decide; below the announced quorum substitutes come first.

use exchange_tests::Exchange;
use jishi::demo::{Fields, person::Person};
use serde_json::{Value, json};

use super::super::{
    market::{Market, made},
    refusal::{no, refused, with},
    sealed::{evaluation::expert, lot::SealedLot},
};

lanes! { whoever_stays_silent_leaves_the_panel }

/// Three are appointed, two must score: one never declares, and one never scores its second offer.
async fn whoever_stays_silent_leaves_the_panel(exchange: Exchange) {
    let market = Market::open(&exchange, 2).await;
    let criteria = json!([
        { "name": "报价", "kind": "PRICE", "weightBp": 5_000, "lowerIsBetter": false },
        { "name": "方案", "kind": "PANEL", "weightBp": 5_000, "lowerIsBetter": false },
    ]);
    let bidding = json!({ "mode": "EVALUATION", "criteria": criteria, "panelQuorum": 2 });
    let lot = SealedLot::scheduled((&exchange, &market), 2, bidding).await;
    // One at a time, so that each has the number of its turn.
    let (mut panel, mut names) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        panel.push(appointed(&lot).await);
    }
    lot.begins().await;
    lot.offers(1, &[(0, "500000.00"), (1, "600000.00")]).await;
    lot.opened(1).await;
    market.until_session(&lot.session, "SCORING").await;
    for member in &panel[..2] {
        names.push(declared(&lot, member).await);
    }
    names.push("P03".to_owned());
    refuses(&lot, &panel, &names).await;
    dismissed(&lot, &names[2]).await;
    refused(&panel[2], "declareImpartiality", impartial(&lot), no("NOT_FOUND", "sessionId")).await;
    for (member, n, given) in [(0, 0, "90"), (0, 1, "10"), (1, 0, "100")] {
        made(&panel[member], "scoreOffer", "biddingSession", points(&lot, n, given)).await;
    }
    // The other one is silent from here on: without it they are too few, and somebody takes its place.
    dismissed(&lot, &names[1]).await;
    assert_eq!(market.session(&lot.session).await["status"], "SCORING");
    let few = no("ILLEGAL_TRANSITION", "sessionId").by("SM-5").accepting("appointPanel");
    refused(&panel[0], "scoreOffer", points(&lot, 0, "1"), few).await;
    let substitute = appointed(&lot).await;
    let input = json!({ "sessionId": lot.session, "personIds": [market.staff.cashier.id().await.unwrap()] });
    let enough = no("ILLEGAL_TRANSITION", "sessionId").by("SM-5");
    refused(&market.staff.qualifier, "appointPanel", input, enough).await;
    let name = declared(&lot, &substitute).await;
    for (n, given) in [(0, "80"), (1, "30")] {
        made(&substitute, "scoreOffer", "biddingSession", points(&lot, n, given)).await;
    }
    market.until_session(&lot.session, "SOLD").await;
    decided(&lot, &[&names[2], &names[1]], &[&names[0], &name]).await;
}

/// Somebody who belongs to none of the sides, appointed.
async fn appointed(lot: &SealedLot<'_>) -> Person {
    let expert = expert(lot.market).await;
    let input = json!({ "sessionId": lot.session, "personIds": [expert.id().await.unwrap()] });
    made(&lot.market.staff.qualifier, "appointPanel", "biddingSession", input).await;
    expert
}

fn impartial(lot: &SealedLot<'_>) -> Value {
    json!({ "sessionId": lot.session, "impartial": true })
}

/// Declares that nothing ties it to anybody; its name on the panel.
async fn declared(lot: &SealedLot<'_>, member: &Person) -> String {
    let told = member.act("declareImpartiality", "panelMember { name }", impartial(lot)).await.unwrap();
    told.text_at("/name").unwrap().to_owned()
}

fn points(lot: &SealedLot<'_>, n: usize, points: &str) -> Value {
    json!({ "sessionId": lot.session, "bidderCode": lot.codes[n], "points": [{ "criterion": "方案", "points": points }] })
}

fn dismissal(lot: &SealedLot<'_>, name: &str) -> Value {
    json!({ "sessionId": lot.session, "name": name, "reason": "逾期未评分" })
}

async fn dismissed(lot: &SealedLot<'_>, name: &str) {
    made(&lot.market.staff.qualifier, "dismissPanelMember", "biddingSession", dismissal(lot, name)).await;
}

/// Nobody but the qualifier dismisses, nobody without a reason, and nobody who does not sit there.
async fn refuses(lot: &SealedLot<'_>, panel: &[Person], names: &[String]) {
    let qualifier = &lot.market.staff.qualifier;
    let waits = no("ILLEGAL_TRANSITION", "sessionId").by("SM-5").accepting("declareImpartiality");
    refused(&panel[0], "scoreOffer", points(lot, 0, "90"), waits).await;
    let input = dismissal(lot, &names[2]);
    let may = no("FORBIDDEN", "").accepting("QUALIFIER");
    for other in [&panel[0], &lot.market.staff.reviewer, &lot.buyer(0).person] {
        refused(other, "dismissPanelMember", input.clone(), may).await;
    }
    refused(qualifier, "dismissPanelMember", with(&input, "name", "P09"), no("NOT_FOUND", "name")).await;
    let short = refused(qualifier, "dismissPanelMember", with(&input, "reason", ""), no("REQUIRED", "reason")).await;
    assert!(short["serverTime"].is_null());
}

/// The mean of those who scored everything decides: 50 × 5/6 + 0.5 × 85 = 84.2 against 50 + 0.5 × 20 = 60.
async fn decided(lot: &SealedLot<'_>, gone: &[&str], scored: &[&str]) {
    let award = lot.confirmed().await;
    assert_eq!((&award["winnerId"], &award["price"]), (&json!(lot.buyer(0).id), &json!("500000.00")));
    let query =
        "query S($id: ID!) { auctionEvents(sessionId: $id, first: 100) { edges { node { kind named reason } } } }";
    let read = lot.buyer(1).person.glance(query, json!({ "id": lot.session })).await.unwrap();
    let edges = read["auctionEvents"]["edges"].as_array().unwrap().iter().map(|edge| &edge["node"]);
    let of = |kind: &str| edges.clone().filter(|event| event["kind"] == kind).cloned().collect::<Vec<_>>();
    let dismissed = of("MEMBER_DISMISSED");
    assert!(dismissed.iter().map(|event| &event["named"]).eq(gone), "{dismissed:?}");
    assert!(dismissed.iter().all(|event| event["reason"] == "逾期未评分"));
    assert!(of("SCORED").iter().rev().take(2).all(|event| event["named"] == scored[1]));
    assert_eq!(scored[0], "P01");
    let verdict = lot.verified().await;
    assert!(verdict.contains(&format!("SOLD to {} at 500000.00", lot.codes[0])), "{verdict}");
}
