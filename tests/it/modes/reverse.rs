//! 反向竞价: for the demand side, each bid below the last. The floor price is the most that is paid; the lowest wins.

use exchange_tests::Exchange;
use jishi::demo::Fields;
use serde_json::{Value, json};

use super::super::{
    bidding::steps,
    market::{DEPOSIT, FLOOR, INCREMENT, Listed, Market, TIMED_SECONDS},
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
    the_winner_is_paid(&market, &listing, &award).await;
}

/// Who asks pays, and whoever won is paid; its deposit was only its word, and goes back like all others.
async fn the_winner_is_paid(market: &Market, listing: &Listed, award: &Value) {
    let [one, _, winner] = &market.buyers[..] else { panic!() };
    market.confirmed(award).await;
    let deal = market.deal(listing).await;
    let parties = "query D($id: ID!) { deal(listingId: $id) { transferorId transfereeId } }";
    let read = winner.person.glance(parties, json!({ "id": listing.id })).await.unwrap();
    assert_eq!(read["deal"], json!({ "transferorId": winner.id, "transfereeId": market.university.id }));
    market.registered(winner, &deal).await;
    let price = deal.money_at("/price").unwrap();
    let input = json!({ "dealId": deal["id"] });
    refused(&market.staff.cashier, "settle", input, no("INSUFFICIENT_FUNDS", "dealId").by("SM-5b")).await;
    market.staff.receive(&market.stage, &market.university, price).await.unwrap();
    let settlement = market.settle(listing, &deal).await;
    assert_eq!((&settlement["depositApplied"], &settlement["depositsReleased"]), (&json!("0.00"), &json!(3)));
    let paid = settlement.money_at("/paidToTransferor").unwrap();
    assert!(Money::ZERO < paid && paid < price, "less the fee");
    assert_eq!(market.account(winner).await, (DEPOSIT.plus(paid).unwrap(), Money::ZERO));
    assert_eq!(market.account(one).await, (DEPOSIT, Money::ZERO));
    assert_eq!(market.account(&market.university).await, (Money::ZERO, Money::ZERO));
    market.ledger_is_sound().await;
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
