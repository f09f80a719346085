//! 反向竞价: for the demand side, each bid below the last. The floor price is the most that is paid; the lowest wins.

use exchange_tests::Exchange;
use serde_json::json;

use super::super::{
    bidding::steps,
    market::{FLOOR, INCREMENT, Market, TIMED_SECONDS},
    refusal::{no, refused},
    sealed::lot::decided_again,
};
use kernel::Money;

lanes! { the_lowest_price_wins above_a_secret_limit_nothing_is_bought }

async fn the_lowest_price_wins(exchange: Exchange) {
    let market = Market::open(&exchange, 3).await;
    let [one, two, three] = &market.buyers[..] else { panic!() };
    let dear = market.terms(json!({ "mode": "REVERSE", "reservePrice": steps(1).to_string() }));
    let limit = no("TERMS_CONTRADICT", "bidding.reservePrice").by("SM-5").accepting("≤ 500000.00");
    refused(&market.broker, "createListing", dear, limit).await;
    let listing = market.disclosed(market.terms(json!({ "mode": "REVERSE", "maxMultiple": 3 }))).await;
    let mut codes = Vec::new();
    for buyer in &market.buyers {
        let application = market.eligible(buyer, &listing).await;
        codes.push(market.code(buyer, &application).await);
    }
    let session = market.bidding(&listing).await;

    market.turned_away(one, &session, (steps(1), "BELOW_START")).await;
    market.bid(one, &session, FLOOR).await;
    market.turned_away(one, &session, (steps(-1), "ALREADY_LEADING")).await;
    market.turned_away(two, &session, (FLOOR, "START_PRICE_TAKEN")).await;
    market.turned_away(two, &session, (steps(1), "BELOW_MIN_INCREMENT")).await;
    market.turned_away(two, &session, (Money(FLOOR.0 - 1), "BELOW_MIN_INCREMENT")).await;
    market.turned_away(two, &session, (Money(FLOOR.0 - INCREMENT.0 - 1), "NOT_STEP_MULTIPLE")).await;
    let told = market.turned_away(two, &session, (steps(-4), "OVER_MAX_MULTIPLE")).await;
    assert_eq!((&told["currentPrice"], &told["minimumAmount"]), (&json!("500000.00"), &json!("490000.00")));
    assert_eq!(told["accepted"], "490000.00 - k × 10000.00, k < 3");
    market.bid(two, &session, steps(-3)).await;
    let end = market.run_out(&session).await;
    market.until_session(&session, "TIMED").await;
    let bid = market.bid(three, &session, steps(-4)).await;
    assert_ne!(bid["closesAt"], json!(end.plus_seconds(TIMED_SECONDS).to_string()), "the cycle begins anew");
    market.run_out(&session).await;
    market.until_session(&session, "SOLD").await;
    market.turned_away(one, &session, (steps(-5), "SESSION_CLOSED")).await;
    let award = market.award(&listing).await;
    assert_eq!((&award["winnerId"], &award["price"]), (&json!(three.id), &json!("460000.00")));
    let verdict = decided_again(&exchange, &market.staff.reviewer, &session).await;
    assert!(verdict.contains(&format!("SOLD to {} at 460000.00", codes[2])), "{verdict}");
}

/// The secret reserve of a demand is the most that it pays; it is told when the session ends.
async fn above_a_secret_limit_nothing_is_bought(exchange: Exchange) {
    let market = Market::open(&exchange, 2).await;
    let bidding = json!({ "mode": "REVERSE", "reservePrice": steps(-10).to_string() });
    let listing = market.disclosed(market.terms(bidding)).await;
    for buyer in &market.buyers {
        market.eligible(buyer, &listing).await;
    }
    let session = market.bidding(&listing).await;
    market.bid(&market.buyers[0], &session, FLOOR).await;
    market.bid(&market.buyers[1], &session, steps(-9)).await;
    market.run_out(&session).await;
    market.until_session(&session, "TIMED").await;
    market.run_out(&session).await;
    market.stays_unsold(&session, &listing).await;
    let log = market.log(&session).await;
    let revealed = log.iter().find(|event| event["kind"] == "RESERVE_REVEALED").unwrap();
    assert_eq!(revealed["amount"], "400000.00");
}
