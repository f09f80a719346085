//! 动态报价: free quoting while the listing is still disclosed, by whoever has become eligible so far; then timed cycles.

use exchange_tests::Exchange;
use jishi::demo::Fields;
use serde_json::json;

use super::super::{
    bidding::steps,
    market::{FLOOR, Market, TIMED_SECONDS, made},
    refusal::{no, refused, with},
    sealed::lot::decided_again,
};

lanes! { quotes_begin_inside_the_disclosure_and_end_in_timed_cycles }

async fn quotes_begin_inside_the_disclosure_and_end_in_timed_cycles(exchange: Exchange) {
    let market = Market::open(&exchange, 3).await;
    let [first, late, too_late] = &market.buyers[..] else { panic!() };
    let listing = market.disclosed(market.terms(json!({ "mode": "DYNAMIC_LISTING" }))).await;
    let application = market.eligible(first, &listing).await;
    let starts_at = market.stage.client.now().plus_seconds(600);
    let schedule = json!({ "listingId": listing.id, "startsAt": starts_at.to_string() });
    let after = with(&schedule, "startsAt", listing.ends_at.to_string());
    let within = no("PERIOD_OUT_OF_RANGE", "startsAt").by("SM-3").accepting("≤ ");
    refused(&market.staff.qualifier, "scheduleBidding", after, within).await;
    let session = made(&market.staff.qualifier, "scheduleBidding", "biddingSession", schedule).await;
    let session = session.text_at("/id").unwrap().to_owned();
    market.pass(starts_at).await;
    market.until_session(&session, "FREE").await;
    let query = "query L($id: ID!) { listing(id: $id) { status } }";
    let read = market.staff.reviewer.glance(query, json!({ "id": listing.id })).await.unwrap();
    assert_eq!(read["listing"]["status"], "DISCLOSED", "it is quoted while it is disclosed");
    let end = market.session(&session).await.instant_at("/closesAt").unwrap();
    assert_eq!(end, listing.ends_at, "the free period ends with the disclosure");

    market.bid(first, &session, FLOOR).await;
    let stranger = json!({ "sessionId": session, "organizationId": late.id, "amount": steps(1).to_string() });
    refused(&late.person, "placeBid", stranger, no("NOT_ELIGIBLE", "organizationId").by("SM-5")).await;
    let second = market.eligible(late, &listing).await;
    let quoted = market.bid(late, &session, steps(1)).await;
    assert_eq!(quoted.instant_at("/closesAt").unwrap(), end, "no quote moves the end of the disclosure");
    assert_eq!(quoted["bidderCode"], json!(market.code(late, &second).await));
    market.run_out(&session).await;
    market.until_session(&session, "TIMED").await;
    let input = json!({ "listingId": listing.id, "organizationId": too_late.id });
    refused(&too_late.person, "applyForTransfer", input, no("LISTING_NOT_DISCLOSED", "listingId").by("SM-4")).await;
    let last = market.bid(first, &session, steps(2)).await;
    let cycle = last.instant_at("/closesAt").unwrap().0 - last.instant_at("/at").unwrap().0;
    assert_eq!(cycle, TIMED_SECONDS * 1_000, "each quote begins the cycle anew");
    market.turned_away(first, &session, (steps(3), "ALREADY_LEADING")).await;
    market.turned_away(late, &session, (steps(2), "BELOW_MIN_INCREMENT")).await;
    market.run_out(&session).await;
    market.until_session(&session, "SOLD").await;
    market.turned_away(late, &session, (steps(3), "SESSION_CLOSED")).await;
    let award = market.award(&listing).await;
    assert_eq!((&award["winnerId"], &award["price"]), (&json!(first.id), &json!(steps(2).to_string())));
    market.confirmed(&award).await;
    assert_eq!(market.deal(&listing).await["price"], steps(2).to_string());
    market.until_application(&application, "WON").await;
    let verdict = decided_again(&exchange, &market.staff.reviewer, &session).await;
    assert!(verdict.contains(&format!("at {}", steps(2))), "{verdict}");
}
