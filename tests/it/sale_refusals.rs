//! Refusals from the bidding to the settlement: each says why and changes nothing.

use exchange_tests::Exchange;
use jishi::demo::{Fields, timeline::Who};
use kernel::Money;
use serde_json::{Value, json};

use super::{
    market::{DEPOSIT, FLOOR, FREE_SECONDS, INCREMENT, Market, TIMED_SECONDS, made},
    refusal::{no, reads_as_missing, refused, refused_as_malformed, refused_as_missing, unknown, with},
};

lanes! { bidding dealing }

async fn bidding(exchange: Exchange) {
    let market = Market::open(&exchange, 4).await;
    let [first, second, unpaid, stranger] = &market.buyers[..] else { panic!() };
    let listing = market.disclosed(market.draft()).await;
    market.eligible(first, &listing).await;
    market.eligible(second, &listing).await;
    let due = market.qualified(unpaid, &listing).await;
    let (session, starts_at) = market.scheduled(&listing).await;
    let bid = |house: &str, amount: Money| json!({ "sessionId": session, "organizationId": house, "amount": amount.to_string() });
    let by = |code, field| no(code, field).by("SM-5");
    let again = json!({ "listingId": listing.id, "startsAt": starts_at.to_string() });
    refused(&market.staff.qualifier, "scheduleBidding", again, no("ALREADY_SCHEDULED", "listingId")).await;
    refused(&first.person, "placeBid", bid(&first.id, FLOOR), by("SESSION_NOT_OPEN", "amount")).await;
    // The bidders are fixed now: a deposit would qualify for nothing.
    market.staff.receive(&market.stage, unpaid, DEPOSIT).await.unwrap();
    refused(
        &unpaid.person,
        "payDeposit",
        json!({ "transferApplicationId": due }),
        no("DEPOSIT_NOT_DUE", "transferApplicationId").by("SM-4"),
    )
    .await;
    assert_eq!(market.account(unpaid).await, (DEPOSIT, Money::ZERO));
    market.pass(starts_at).await;
    market.until_session(&session, "FREE").await;

    let trader = market.university.hire(&market.stage, Who { zh: "投标人", en: "trader" }, &["BIDDER"]).await.unwrap();
    refused(&trader, "placeBid", bid(&market.university.id, FLOOR), by("OWN_LISTING", "organizationId")).await;
    refused(&unpaid.person, "placeBid", bid(&unpaid.id, FLOOR), by("DEPOSIT_INSUFFICIENT", "organizationId")).await;
    refused(&stranger.person, "placeBid", bid(&stranger.id, FLOOR), by("NOT_ELIGIBLE", "organizationId")).await;
    refused_as_missing(&stranger.person, "placeBid", bid(&first.id, FLOOR), "organizationId").await;
    refused(
        &market.broker,
        "placeBid",
        bid(&market.university.id, FLOOR),
        no("FORBIDDEN", "organizationId").accepting("BIDDER"),
    )
    .await;
    let step = |steps: i64| Money(FLOOR.0 + INCREMENT.0 * steps);
    for (amount, code) in [
        (Money(FLOOR.0 - 1), "BELOW_START"),
        (Money(FLOOR.0 + 1), "NOT_STEP_MULTIPLE"),
        (Money::ZERO, "AMOUNT_OUT_OF_RANGE"),
        (Money(-FLOOR.0), "AMOUNT_OUT_OF_RANGE"),
        (Money(9_999_999_999_999_999), "AMOUNT_OUT_OF_RANGE"),
    ] {
        refused(&first.person, "placeBid", bid(&first.id, amount), by(code, "amount")).await;
    }
    for amount in [json!(500_000), json!("5e5"), json!("500000.001")] {
        refused_as_malformed(&first.person, "placeBid", with(&bid(&first.id, FLOOR), "amount", amount)).await;
    }
    let elsewhere = with(&bid(&first.id, FLOOR), "sessionId", unknown("bidding"));
    refused(&first.person, "placeBid", elsewhere, no("NOT_FOUND", "sessionId")).await;
    let wrong_kind = with(&bid(&first.id, FLOOR), "sessionId", listing.id.clone());
    refused(&first.person, "placeBid", wrong_kind, no("INVALID_ID", "sessionId").accepting("bidding_")).await;
    assert_eq!(bids(&market, &session).await, (0, Value::Null), "a refused bid counted");

    made(&first.person, "placeBid", "bid", bid(&first.id, FLOOR)).await;
    refused(&first.person, "placeBid", bid(&first.id, step(1)), by("ALREADY_LEADING", "amount")).await;
    refused(
        &second.person,
        "placeBid",
        bid(&second.id, FLOOR),
        by("START_PRICE_TAKEN", "amount").accepting("510000.00"),
    )
    .await;
    refused(&second.person, "placeBid", bid(&second.id, Money(step(1).0 + 1)), by("NOT_STEP_MULTIPLE", "amount")).await;
    market.pass(starts_at.plus_seconds(FREE_SECONDS + TIMED_SECONDS)).await;
    refused(&second.person, "placeBid", bid(&second.id, step(1)), by("SESSION_CLOSED", "amount")).await;
    assert_eq!(bids(&market, &session).await, (1, json!(FLOOR.to_string())));
    market.ledger_is_sound().await;
}

async fn bids(market: &Market, session: &str) -> (i64, Value) {
    let query = "query S($id: ID!) { biddingSession(id: $id) { bidCount currentPrice } }";
    let read = market.broker.glance(query, json!({ "id": session })).await.unwrap();
    (read.number_at("/biddingSession/bidCount").unwrap(), read["biddingSession"]["currentPrice"].clone())
}

async fn dealing(exchange: Exchange) {
    let market = Market::open(&exchange, 2).await;
    let [buyer, rival] = &market.buyers[..] else { panic!() };
    let (reviewer, registrar, cashier) = (&market.staff.reviewer, &market.staff.registrar, &market.staff.cashier);
    let listing = market.disclosed(market.draft()).await;
    market.eligible(buyer, &listing).await;
    market.pass(listing.ends_at).await;
    let input = json!({ "listingId": listing.id, "organizationId": buyer.id, "price": FLOOR.to_string() });
    let award = made(&buyer.person, "quoteAsSoleBidder", "award", input).await["id"].as_str().unwrap().to_owned();
    let confirm = json!({ "awardId": award });
    refused(&buyer.person, "confirmAward", confirm.clone(), no("FORBIDDEN", "").accepting("REVIEWER | QUALIFIER"))
        .await;
    refused(reviewer, "confirmAward", json!({ "awardId": unknown("award") }), no("NOT_FOUND", "awardId")).await;
    made(reviewer, "confirmAward", "award", confirm.clone()).await;
    refused(reviewer, "confirmAward", confirm.clone(), no("SAME_PERSON", "awardId")).await;
    assert_eq!(market.award(&listing).await["status"], "HALF_CONFIRMED");
    made(&market.staff.qualifier, "confirmAward", "award", confirm.clone()).await;
    refused(reviewer, "confirmAward", confirm, no("ILLEGAL_TRANSITION", "awardId")).await;

    let deal = market.deal(&listing).await;
    let (id, contract) = (deal["id"].as_str().unwrap(), deal["contractId"].as_str().unwrap());
    for (query, id) in [
        ("query W($id: ID!) { award(id: $id) { id } }", award.as_str()),
        ("query D($id: ID!) { deal(id: $id) { id } }", id),
        ("query C($id: ID!) { contract(id: $id) { id document } }", contract),
    ] {
        reads_as_missing(&rival.person, query, id).await;
    }
    let register = json!({ "contractId": contract, "kind": "ASSIGNMENT", "contractAmount": deal["price"], "technicalAmount": deal["price"] });
    let sign = json!({ "contractId": contract, "organizationId": buyer.id, "documentHash": "0".repeat(64) });
    refused_as_missing(&rival.person, "registerContract", register.clone(), "contractId").await;
    refused_as_missing(&rival.person, "signContract", with(&sign, "organizationId", rival.id.clone()), "contractId")
        .await;
    refused(&buyer.person, "registerContract", register.clone(), no("FORBIDDEN", "").accepting("REGISTRAR")).await;
    refused(
        registrar,
        "registerContract",
        register.clone(),
        no("CONTRACT_NOT_SIGNED", "").by("T10").accepting("SIGNED"),
    )
    .await;
    refused(&buyer.person, "signContract", sign.clone(), no("DOCUMENT_CHANGED", "documentHash").by("E2")).await;
    let other_side = with(&sign, "organizationId", market.university.id.clone());
    refused(&buyer.person, "signContract", other_side.clone(), no("NOT_FOUND", "organizationId")).await;
    refused(&market.broker, "signContract", other_side, no("FORBIDDEN", "organizationId").accepting("SIGNATORY")).await;
    refused(cashier, "settle", json!({ "dealId": id }), no("CONTRACT_NOT_REGISTERED", "dealId").by("SM-5b")).await;
    refused(&buyer.person, "settle", json!({ "dealId": id }), no("FORBIDDEN", "").accepting("CASHIER")).await;
    refused(cashier, "settle", json!({ "dealId": unknown("deal") }), no("NOT_FOUND", "dealId")).await;
    assert_eq!(market.deal(&listing).await["status"], "DRAFTED");

    market.signed(buyer, &deal["contractId"]).await;
    refused(&buyer.person, "signContract", sign, no("ALREADY_SIGNED", "organizationId")).await;
    for (field, value, code) in [
        ("contractAmount", Money(FLOOR.0 + 1), "INVALID_INPUT"),
        ("technicalAmount", Money(FLOOR.0 + 1), "TECHNICAL_AMOUNT_ABOVE_CONTRACT"),
        ("technicalAmount", Money(-1), "AMOUNT_OUT_OF_RANGE"),
    ] {
        refused(registrar, "registerContract", with(&register, field, value.to_string()), no(code, field).by("T11"))
            .await;
    }
    made(registrar, "registerContract", "contract", register.clone()).await;
    refused(registrar, "registerContract", register, no("ILLEGAL_TRANSITION", "")).await;
    refused(cashier, "settle", json!({ "dealId": id }), no("INSUFFICIENT_FUNDS", "dealId").by("SM-5b")).await;
    assert_eq!(market.account(buyer).await, (DEPOSIT, DEPOSIT), "a refused settlement moved money");
    assert_eq!(market.account(&market.university).await, (Money::ZERO, Money::ZERO));
    market.ledger_is_sound().await;
}
