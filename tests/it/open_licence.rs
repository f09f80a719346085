//! An open licence (开放许可) is for everybody who accepts it: each has a contract, a settlement and a deposit of its own, and
//! whoever did not accept has its deposit back when the time to accept is over.

use exchange_tests::Exchange;
use jishi::demo::{Fields, cast::House};
use kernel::Money;
use serde_json::{Value, json};

use super::{
    agency::did,
    market::{DEPOSIT, FLOOR, FREE_SECONDS, Listed, Market, made},
    refusal::{no, refused, with},
};

lanes! { every_acceptor_settles_its_own_deal_and_others_have_their_deposits_back }

/// What the buyer itself sees of its deal.
const DEAL: &str = "query D($id: ID!) { deal(listingId: $id) { id status price contractId transferApplicationId } }";
const AWARD: &str = "query W($id: ID!) { award(listingId: $id) { id winnerId price transferApplicationId } }";

async fn every_acceptor_settles_its_own_deal_and_others_have_their_deposits_back(exchange: Exchange) {
    let market = Market::open(&exchange, 4).await;
    let [first, second, idle, unpaid] = &market.buyers[..] else { panic!() };
    let terms = market.terms(json!({ "mode": "OPEN_LICENCE" }));
    let listing = market.disclosed(with(&terms, "conversionMode", "LICENSE")).await;
    let mut applications = Vec::new();
    for buyer in [first, second, idle] {
        applications.push(market.eligible(buyer, &listing).await);
    }
    let due = market.qualified(unpaid, &listing).await;
    let session = market.bidding(&listing).await;
    for buyer in [first, second] {
        let accept = json!({ "sessionId": session, "organizationId": buyer.id });
        did(&buyer.person, "acceptOpenLicence", "biddingSession { id }", accept).await;
    }
    assert_eq!(market.account(idle).await, (DEPOSIT, DEPOSIT), "it may still accept");
    market.pass(market.stage.client.now().plus_seconds(FREE_SECONDS)).await;
    market.until_session(&session, "SOLD").await;

    market.until_application(&applications[2], "REFUNDED").await;
    assert_eq!(market.account(idle).await, (DEPOSIT, Money::ZERO));
    for buyer in [first, second] {
        assert_eq!(market.account(buyer).await, (DEPOSIT, DEPOSIT), "it answers for the licence");
    }
    market.staff.receive(&market.stage, unpaid, DEPOSIT).await.unwrap();
    let late = no("DEPOSIT_NOT_DUE", "transferApplicationId").by("SM-4");
    for (buyer, application) in [(unpaid, &due), (idle, &applications[2])] {
        refused(&buyer.person, "payDeposit", json!({ "transferApplicationId": application }), late).await;
    }

    // The second one's award is confirmed, and its contract signed, when the first one's deal is settled already.
    settles(&market, first, (&listing, &applications[0])).await;
    assert_eq!(market.account(second).await, (DEPOSIT, DEPOSIT), "another's settlement leaves it alone");
    settles(&market, second, (&listing, &applications[1])).await;
    let confirmed = market.confirmations(&listing).await;
    let named = confirmed.as_array().unwrap().iter().map(|told| &told["transferees"][0]["organizationId"]);
    assert_eq!(named.collect::<Vec<_>>(), [&json!(first.id), &json!(second.id)]);
    let read = market.staff.cashier.glance("{ trialBalance { held } }", json!({})).await.unwrap();
    assert_eq!(read["trialBalance"]["held"], "0.00");
    market.ledger_is_sound().await;
}

/// From one acceptor's award to its settlement.
async fn settles(market: &Market, buyer: &House, (listing, application): (&Listed, &String)) {
    let award = seen(market, buyer, (AWARD, "/award"), listing).await;
    let own = (json!(buyer.id), json!(FLOOR.to_string()), json!(application));
    assert_eq!((&award["winnerId"], &award["price"], &award["transferApplicationId"]), (&own.0, &own.1, &own.2));
    for person in [&market.staff.reviewer, &market.staff.qualifier] {
        made(person, "confirmAward", "award", json!({ "awardId": award["id"] })).await;
    }
    market.until_application(application, "WON").await;
    let deal = seen(market, buyer, (DEAL, "/deal"), listing).await;
    assert_eq!(deal["transferApplicationId"], own.2);
    let settlement = market.settled(buyer, listing, &deal).await;
    assert_eq!((&settlement["price"], &settlement["depositsReleased"]), (&own.1, &json!(0)));
    assert_eq!(settlement["depositApplied"], DEPOSIT.to_string());
    assert_eq!(market.account(buyer).await, (Money::ZERO, Money::ZERO));
    let ended = || async {
        let read = buyer.person.glance(DEAL, json!({ "id": listing.id })).await?;
        Ok((read.text_at("/deal/status")? == "SETTLED").then_some(()))
    };
    market.stage.until("the deal to be settled", ended).await.unwrap();
}

async fn seen(market: &Market, buyer: &House, (query, pointer): (&str, &str), listing: &Listed) -> Value {
    let ask = || async {
        let read = buyer.person.glance(query, json!({ "id": listing.id })).await?;
        Ok(read.pointer(pointer).filter(|found| !found.is_null()).cloned())
    };
    market.stage.until(pointer, ask).await.unwrap()
}
