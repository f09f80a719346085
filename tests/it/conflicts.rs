//! Whoever sells, brokers or runs a sale does not buy in it, nor through another organization (SM-5).

use exchange_tests::Exchange;
use jishi::demo::{cast::House, person::Person, timeline::Who};
use kernel::Money;
use serde_json::{Value, json};

use super::{
    market::{DEPOSIT, FLOOR, FREE_SECONDS, INCREMENT, Market, TIMED_SECONDS, made},
    refusal::{Refusal, no, refused},
};

lanes! { applying bidding }

const CONFLICT: Refusal<'static> = no("CONFLICT_OF_INTEREST", "organizationId").by("SM-5");

async fn applying(exchange: Exchange) {
    let market = Market::open(&exchange, 4).await;
    let [declared, through, staffed, clear] = &market.buyers[..] else { panic!() };
    let listing = market.disclosed(market.draft()).await;
    let apply = |house: &House| json!({ "listingId": listing.id, "organizationId": house.id });

    let conflict = declare(&market, declared).await;
    let judge = judge(&market).await;
    let confirm = json!({ "conflictOfInterestId": conflict, "evidence": "股东名册" });
    made(&judge, "confirmConflict", "conflictOfInterest", confirm).await;
    refused(&declared.person, "applyForTransfer", apply(declared), CONFLICT).await;

    // One of the university's people also bids for a company.
    engage(through, &market.broker).await;
    let own = no("OWN_LISTING", "organizationId").by("SM-5");
    refused(&market.broker, "applyForTransfer", apply(through), own).await;
    refused(&through.person, "applyForTransfer", apply(through), CONFLICT).await;

    // So does one of the centre's staff.
    engage(staffed, &market.staff.registrar).await;
    refused(&market.staff.registrar, "applyForTransfer", apply(staffed), CONFLICT).await;
    refused(&staffed.person, "applyForTransfer", apply(staffed), CONFLICT).await;
    market.apply(clear, &listing).await;

    // What was confirmed in error stands in nobody's way once it is lifted, by another person than confirmed it.
    let lift = json!({ "conflictOfInterestId": conflict, "reason": "误报" });
    made(&market.staff.reviewer, "liftConflict", "conflictOfInterest", lift).await;
    market.apply(declared, &listing).await;
}

async fn bidding(exchange: Exchange) {
    let market = Market::open(&exchange, 3).await;
    let [first, second, late] = &market.buyers[..] else { panic!() };
    let listing = market.disclosed(market.draft()).await;
    for buyer in &market.buyers {
        market.eligible(buyer, &listing).await;
    }
    // Found out after the application: the session does without this bidder, and the trail says so.
    let conflict = declare(&market, late).await;
    let confirm = json!({ "conflictOfInterestId": conflict, "evidence": "股东名册" });
    made(&judge(&market).await, "confirmConflict", "conflictOfInterest", confirm).await;
    let (session, starts_at) = market.scheduled(&listing).await;
    let count = "query S($id: ID!) { biddingSession(id: $id) { bidderCount } }";
    let read = first.person.glance(count, json!({ "id": session })).await.unwrap();
    assert_eq!(read["biddingSession"]["bidderCount"], 2);
    market.pass(starts_at).await;
    market.until_session(&session, "FREE").await;

    let bid = |house: &House, amount: Money| json!({ "sessionId": session, "organizationId": house.id, "amount": amount.to_string() });
    refused(&late.person, "placeBid", bid(late, FLOOR), CONFLICT).await;
    // A bidder takes on one of the staff and one of the university's people: neither may bid for it, others may.
    engage(first, &market.staff.cashier).await;
    engage(first, &market.broker).await;
    refused(&market.staff.cashier, "placeBid", bid(first, FLOOR), CONFLICT).await;
    refused(&market.broker, "placeBid", bid(first, FLOOR), no("OWN_LISTING", "organizationId").by("SM-5")).await;
    made(&first.person, "placeBid", "bid", bid(first, FLOOR)).await;
    made(&second.person, "placeBid", "bid", bid(second, Money(FLOOR.0 + INCREMENT.0))).await;

    market.pass(starts_at.plus_seconds(FREE_SECONDS + TIMED_SECONDS)).await;
    let award = market.award(&listing).await;
    assert_eq!(award["winnerId"], json!(second.id));
    for person in [&market.staff.reviewer, &market.staff.qualifier] {
        made(person, "confirmAward", "award", json!({ "awardId": award["id"] })).await;
    }
    let deal = market.deal(&listing).await;
    market.settled(second, &listing, &deal).await;
    // Whoever was shut out has lost like the others, and the deposit is free again.
    assert_eq!(market.account(late).await, (DEPOSIT, Money::ZERO));
    market.ledger_is_sound().await;
}

/// The university tells the exchange that the company is too near.
async fn declare(market: &Market, house: &House) -> Value {
    let input =
        json!({ "organizationId": market.university.id, "otherOrganizationId": house.id, "nature": "控股子公司" });
    let selection = "conflictOfInterest { id }";
    market.university.person.act("declareConflict", selection, input).await.unwrap()["id"].clone()
}

/// Another reviewer of the hub.
async fn judge(market: &Market) -> Person {
    let who = Who { zh: "复审", en: "second reviewer" };
    market.hub().await.hire(&market.stage, who, &["REVIEWER"]).await.unwrap()
}

/// Takes somebody on who works elsewhere as well.
async fn engage(house: &House, person: &Person) {
    let invitation = house.invite(&person.login, &["BIDDER"]).await.unwrap();
    person.accept(&invitation).await.unwrap();
}
