//! A listing with one bidder, and a session in which nobody bids.

use exchange_tests::Exchange;
use kernel::Money;
use serde_json::json;

use super::{
    market::{DEPOSIT, FLOOR, FREE_SECONDS, Market, TIMED_SECONDS, made},
    refusal::{no, refused},
};

lanes! { sole_bidder nobody_bids sole_quote_bars_a_session }

/// One qualified bidder is no failure: it takes the listing at no less than the floor, without a session.
async fn sole_bidder(exchange: Exchange) {
    let market = Market::open(&exchange, 2).await;
    let [buyer, stranger] = &market.buyers[..] else { panic!() };
    let listing = market.disclosed(market.draft()).await;
    let application = market.eligible(buyer, &listing).await;
    let quote = |house: &str, price: Money| json!({ "listingId": listing.id, "organizationId": house, "price": price.to_string() });
    let early = no("DISCLOSURE_RUNNING", "listingId").by("SM-3");
    refused(&buyer.person, "quoteAsSoleBidder", quote(&buyer.id, FLOOR), early).await;
    market.pass(listing.ends_at).await;

    let session = json!({ "listingId": listing.id, "startsAt": listing.ends_at.plus_seconds(3_600).to_string() });
    let few = no("TOO_FEW_BIDDERS", "listingId").by("SM-5").accepting("quoteAsSoleBidder");
    refused(&market.staff.qualifier, "scheduleBidding", session, few).await;
    let below = no("BELOW_FLOOR", "price").by("SM-3").accepting("≥ 500000.00");
    refused(&buyer.person, "quoteAsSoleBidder", quote(&buyer.id, Money(FLOOR.0 - 1)), below).await;
    let stranger_quotes = quote(&stranger.id, FLOOR);
    refused(&stranger.person, "quoteAsSoleBidder", stranger_quotes, no("NOT_ELIGIBLE", "organizationId").by("SM-4"))
        .await;
    let read = market
        .staff
        .reviewer
        .glance("query W($id: ID!) { award(listingId: $id) { id } }", json!({ "id": listing.id }))
        .await;
    assert!(read.unwrap()["award"].is_null(), "a refused quote made an award");

    let deal = market.sold_to_sole(buyer, &listing).await;
    assert_eq!(deal["price"], FLOOR.to_string());
    let award = market.award(&listing).await;
    assert_eq!(
        (&award["status"], &award["sessionId"], &award["winnerId"]),
        (&json!("CONFIRMED"), &json!(null), &json!(buyer.id))
    );
    let again = quote(&buyer.id, FLOOR);
    market.until_listing(&listing, "TRANSFEREE_FIXED").await;
    refused(&buyer.person, "quoteAsSoleBidder", again, no("ILLEGAL_TRANSITION", "listingId").by("SM-3")).await;

    let settlement = market.settled(buyer, &listing, &deal).await;
    let fee = kernel::Money::parse_yuan(settlement["fee"].as_str().unwrap()).unwrap();
    assert!(fee > Money::ZERO && fee < DEPOSIT, "{settlement}");
    assert_eq!(
        (&settlement["depositApplied"], &settlement["depositsReleased"]),
        (&json!(DEPOSIT.to_string()), &json!(0))
    );
    assert_eq!(market.account(buyer).await, (Money::ZERO, Money::ZERO));
    assert_eq!(market.account(&market.university).await, (FLOOR.minus(fee).unwrap(), Money::ZERO));
    market.until_application(&application, "WON").await;
    market.ledger_is_sound().await;
}

/// Two could bid and neither does: the listing is unsold, and both have their deposits back.
async fn nobody_bids(exchange: Exchange) {
    let market = Market::open(&exchange, 2).await;
    let listing = market.disclosed(market.draft()).await;
    let mut applications = Vec::new();
    for buyer in &market.buyers {
        applications.push(market.eligible(buyer, &listing).await);
        assert_eq!(market.account(buyer).await, (DEPOSIT, DEPOSIT));
    }
    let (session, starts_at) = market.scheduled(&listing).await;
    market.pass(starts_at.plus_seconds(FREE_SECONDS + TIMED_SECONDS)).await;
    market.until_session(&session, "UNSOLD").await;
    market.until_listing(&listing, "UNSOLD").await;
    for (buyer, application) in market.buyers.iter().zip(&applications) {
        market.until_application(application, "REFUNDED").await;
        assert_eq!(market.account(buyer).await, (DEPOSIT, Money::ZERO));
    }
    let read = market.staff.cashier.glance("{ trialBalance { held } }", json!({})).await.unwrap();
    assert_eq!(read["trialBalance"]["held"], "0.00");
    market.ledger_is_sound().await;
    // What is free again can be used again.
    let next = market.disclosed(market.draft()).await;
    let buyer = &market.buyers[0];
    let again = market.qualified(buyer, &next).await;
    made(&buyer.person, "payDeposit", "deposit", json!({ "transferApplicationId": again })).await;
    market.until_application(&again, "ELIGIBLE").await;
}

/// One listing, one award (promise P-2): once the sole bidder has quoted, whoever qualifies later comes too late.
async fn sole_quote_bars_a_session(exchange: Exchange) {
    let market = Market::open(&exchange, 2).await;
    let [buyer, late] = &market.buyers[..] else { panic!() };
    let listing = market.disclosed(market.draft()).await;
    market.eligible(buyer, &listing).await;
    let application = market.qualified(late, &listing).await;
    market.pass(listing.ends_at).await;
    let quote = json!({ "listingId": listing.id, "organizationId": buyer.id, "price": FLOOR.to_string() });
    made(&buyer.person, "quoteAsSoleBidder", "award", quote.clone()).await;
    refused(&buyer.person, "quoteAsSoleBidder", quote, no("ALREADY_EXISTS", "listingId").by("P-2")).await;

    market.staff.receive(&market.stage, late, DEPOSIT).await.unwrap();
    made(&late.person, "payDeposit", "deposit", json!({ "transferApplicationId": application })).await;
    market.until_application(&application, "ELIGIBLE").await;
    let session = json!({ "listingId": listing.id, "startsAt": listing.ends_at.plus_seconds(3_600).to_string() });
    refused(&market.staff.qualifier, "scheduleBidding", session, no("ALREADY_EXISTS", "listingId").by("P-2")).await;

    let award = market.award(&listing).await;
    for person in [&market.staff.reviewer, &market.staff.qualifier] {
        made(person, "confirmAward", "award", json!({ "awardId": award["id"] })).await;
    }
    let deal = market.deal(&listing).await;
    let settlement = market.settled(buyer, &listing, &deal).await;
    assert_eq!(settlement["depositsReleased"], 1);
    market.until_application(&application, "REFUNDED").await;
    assert_eq!(market.account(late).await, (DEPOSIT, Money::ZERO));
    market.ledger_is_sound().await;
}
