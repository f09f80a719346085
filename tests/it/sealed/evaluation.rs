//! 综合评议: sealed offers with a price and another number, opened by trustees, scored by a panel that has declared that
//! nothing ties it to anybody; the published weights decide.

use exchange_tests::Exchange;
use jishi::demo::{
    Fields,
    person::{Person, fresh_key},
    timeline::Who,
};
use serde_json::{Value, json};

use super::{
    super::{
        agency::did,
        market::{Market, made},
        refusal::{no, refused, with},
    },
    lot::{SealedLot, TRUSTEES},
};

lanes! { a_panel_of_the_impartial_decides_by_published_weights }

/// The dear offer has all points for the price, the quick one all for the years; the panel prefers the quick one.
async fn a_panel_of_the_impartial_decides_by_published_weights(exchange: Exchange) {
    let market = Market::open(&exchange, 2).await;
    let criteria = json!([
        { "name": "价格", "kind": "PRICE", "weightBp": 4_000, "lowerIsBetter": false },
        { "name": "达产年限", "kind": "NUMBER", "weightBp": 3_000, "lowerIsBetter": true },
        { "name": "实施方案", "kind": "PANEL", "weightBp": 3_000, "lowerIsBetter": false },
    ]);
    let bidding = json!({ "mode": "EVALUATION", "criteria": criteria });
    let lot = SealedLot::scheduled((&exchange, &market), 2, bidding).await;
    let panel = [expert(&market).await, expert(&market).await, expert(&market).await];
    appoints(&lot, &panel).await;
    lot.begins().await;
    for (n, amount, years) in [(0, "600000.00", "4"), (1, "540000.00", "2")] {
        let sealed = lot.sealed(n, &["--amount", amount, "--value", &format!("达产年限={years}")]);
        lot.hand_in(n, &sealed, &fresh_key()).await;
    }
    lot.ends().await;
    for trustee in &TRUSTEES[1..] {
        lot.contribute(&market.signatory, trustee).await;
    }
    market.until_session(&lot.session, "SCORING").await;
    // 40 × 1 + 30 × 2/4 + 30 × 0.61 = 73.3 against 40 × 0.9 + 30 × 1 + 30 × 0.6 = 84.
    scores(&lot, &panel).await;
    market.until_session(&lot.session, "SOLD").await;
    let award = lot.confirmed().await;
    assert_eq!((&award["winnerId"], &award["price"]), (&json!(lot.buyer(1).id), &json!("540000.00")));
    let verdict = lot.verified().await;
    assert!(verdict.contains(&format!("SOLD to {} at 540000.00", lot.codes[1])), "{verdict}");
}

/// Somebody who belongs to none of the sides.
pub async fn expert(market: &Market) -> Person {
    let login = jishi::demo::cast::fresh_login();
    let expert = Person::new(&market.stage.client, Who { zh: "专家", en: "expert" }, login, "a password of 24 letters");
    expert.sign_up("评审专家").await.unwrap();
    expert
}

/// The qualifier appoints; nobody of a side sits on the panel.
async fn appoints(lot: &SealedLot<'_>, panel: &[Person]) {
    let qualifier = &lot.market.staff.qualifier;
    let mut ids = Vec::new();
    for expert in panel {
        ids.push(expert.id().await.unwrap());
    }
    let input = json!({ "sessionId": lot.session, "personIds": ids });
    refused(&panel[0], "appointPanel", input.clone(), no("FORBIDDEN", "").accepting("QUALIFIER")).await;
    let partial = with(&input, "personIds", json!([lot.buyer(0).person.id().await.unwrap()]));
    refused(qualifier, "appointPanel", partial, no("CONFLICT_OF_INTEREST", "").by("SM-5")).await;
    made(qualifier, "appointPanel", "biddingSession", input).await;
}

/// Each declares once. The one who is tied does not score, and with the last score of the others all is decided.
async fn scores(lot: &SealedLot<'_>, [one, two, tied]: &[Person; 3]) {
    let points = |code: &str, points: &str| json!({ "sessionId": lot.session, "bidderCode": code, "points": [{ "criterion": "实施方案", "points": points }] });
    let [first, second] = [lot.codes[0].as_str(), lot.codes[1].as_str()];
    let waiting = no("ILLEGAL_TRANSITION", "sessionId").by("SM-5");
    refused(one, "scoreOffer", points(first, "60"), waiting).await;
    let mut names: Vec<Value> = Vec::new();
    for (expert, impartial) in [(one, true), (two, true), (tied, false)] {
        let input = json!({ "sessionId": lot.session, "impartial": impartial });
        let member = did(expert, "declareImpartiality", "panelMember { name impartial }", input).await;
        assert_eq!(member["impartial"], impartial);
        names.push(member["name"].clone());
    }
    let again = json!({ "sessionId": lot.session, "impartial": true });
    refused(tied, "declareImpartiality", again, no("ALREADY_ANSWERED", "sessionId")).await;
    refused(tied, "scoreOffer", points(first, "100"), no("CONFLICT_OF_INTEREST", "").by("SM-5")).await;
    refused(&lot.market.staff.qualifier, "scoreOffer", points(first, "100"), no("NOT_FOUND", "sessionId")).await;
    for (expert, code, given) in [(one, first, "62"), (two, first, "60"), (one, second, "55.5"), (two, second, "64.5")]
    {
        made(expert, "scoreOffer", "biddingSession", points(code, given)).await;
    }
    lot.market.until_session(&lot.session, "SOLD").await;
    let query = "query S($id: ID!) { auctionEvents(sessionId: $id, first: 100) { edges { node { kind named } } } }";
    let read = lot.market.staff.reviewer.glance(query, json!({ "id": lot.session })).await.unwrap();
    let scored =
        read["auctionEvents"]["edges"].as_array().unwrap().iter().filter(|edge| edge["node"]["kind"] == "SCORED");
    let by: Vec<&str> = scored.map(|edge| edge.text_at("/node/named").unwrap()).collect();
    assert!(by.len() == 4 && by.iter().all(|name| *name != names[2]), "{by:?}");
}
