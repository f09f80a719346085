//! A lot that the hammer ends takes bidders while it is called: a deposit that comes late is taken until the hammer falls.

use exchange_tests::Exchange;
use jishi::demo::{Fields, cast::House, feed::Feed};
use kernel::Money;
use serde_json::{Value, json};

use super::{
    super::{
        bidding::steps,
        market::{DEPOSIT, Market, made},
        refusal::{no, refused},
    },
    court::{Crew, FLOOR_PADDLE, Lot, PHONE_PADDLE},
};

pub async fn deposits_are_taken_until_the_hammer(exchange: Exchange) {
    let market = Market::open(&exchange, 5).await;
    let [one, other, late, later, too_late] = &market.buyers[..] else { panic!() };
    let listing = market.disclosed(market.house_draft()).await;
    for buyer in [one, other] {
        market.eligible(buyer, &listing).await;
    }
    let mut due = Vec::new();
    for buyer in [late, later, too_late] {
        due.push(market.qualified(buyer, &listing).await);
        market.staff.receive(&market.stage, buyer, DEPOSIT).await.unwrap();
    }
    let (session, starts_at) = market.scheduled(&listing).await;
    let crew = Crew::gather(&market).await;
    let hall = crew.opened(&session).await;
    let front = crew.terminal(&hall, 1, &session).await;
    let phones = crew.terminal(&hall, 2, &session).await;
    let watcher = Feed::open(&market.stage.client, &session).await.unwrap();
    let mut lot = Lot { market: &market, crew, listing, session, hall, front, phones, watcher };

    // Scheduled, and not begun.
    comes(&lot, late, (&due[0], FLOOR_PADDLE)).await;
    market.pass(starts_at.plus_seconds(-60)).await;
    lot.beat(&lot.front).await;
    market.pass(starts_at).await;
    market.until_session(&lot.session, "FREE").await;
    let first = lot.front.note((FLOOR_PADDLE, steps(0), "FLOOR"), lot.now());
    lot.entered(first).await;
    // While it is called.
    comes(&lot, later, (&due[1], PHONE_PADDLE)).await;
    let raise = lot.phones.note((PHONE_PADDLE, steps(1), "PHONE"), lot.now());
    lot.entered(raise).await;
    for verb in ["giveFairWarning", "dropHammer"] {
        lot.led(verb, json!({})).await;
    }
    assert_eq!(takes_late_bidders(&lot).await, json!(false));
    let fixed = no("DEPOSIT_NOT_DUE", "transferApplicationId").by("SM-4");
    let pay = json!({ "transferApplicationId": due[2] });
    refused(&too_late.person, "payDeposit", pay, fixed).await;
    assert_eq!(market.account(too_late).await, (DEPOSIT, Money::ZERO));
    the_last_to_come_has_it(&lot, &due).await;
}

/// Pays, is let in with the paddle, and holds it.
async fn comes(lot: &Lot<'_>, buyer: &House, (application, paddle): (&String, i32)) {
    assert_eq!(takes_late_bidders(lot).await, json!(true));
    let check_in = json!({ "hallSessionId": lot.hall, "organizationId": buyer.id, "number": paddle });
    refused(&lot.crew.clerk, "checkIn", check_in, no("NOT_ELIGIBLE", "organizationId").by("SM-5")).await;
    let pay = json!({ "transferApplicationId": application });
    made(&buyer.person, "payDeposit", "deposit", pay.clone()).await;
    lot.market.until_application(application, "ELIGIBLE").await;
    lot.crew.checked_in(&lot.hall, buyer, paddle).await;
    refused(&buyer.person, "payDeposit", pay, no("DEPOSIT_PAID", "transferApplicationId").by("SM-4")).await;
}

async fn takes_late_bidders(lot: &Lot<'_>) -> Value {
    let query = "query S($id: ID!) { biddingSession(id: $id) { takesLateBidders } }";
    let read = lot.market.staff.qualifier.glance(query, json!({ "id": lot.session })).await.unwrap();
    read["biddingSession"]["takesLateBidders"].clone()
}

/// Whoever came late and lost has the deposit back with the others.
async fn the_last_to_come_has_it(lot: &Lot<'_>, due: &[String]) {
    let market = lot.market;
    let [_, _, late, later, _] = &market.buyers[..] else { panic!() };
    let end = market.session(&lot.session).await.instant_at("/closesAt").unwrap();
    market.pass(end).await;
    market.until_session(&lot.session, "SOLD").await;
    let award = market.award(&lot.listing).await;
    assert_eq!((&award["winnerId"], &award["price"]), (&json!(later.id), &json!(steps(1).to_string())));
    for person in [&market.staff.reviewer, &market.staff.qualifier] {
        made(person, "confirmAward", "award", json!({ "awardId": award["id"] })).await;
    }
    let deal = market.deal(&lot.listing).await;
    let settlement = market.settled(later, &lot.listing, &deal).await;
    assert_eq!(settlement["depositsReleased"], 3);
    market.until_application(&due[0], "REFUNDED").await;
    assert_eq!(market.account(late).await, (DEPOSIT, Money::ZERO));
    market.ledger_is_sound().await;
}
