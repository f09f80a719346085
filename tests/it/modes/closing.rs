//! How open sessions end: in two stages, after an inquiry, or softly; and how far bids move the end.

use exchange_tests::Exchange;
use jishi::demo::{Fields, cast::House};
use kernel::Instant;
use serde_json::{Value, json};

use super::super::{
    bidding::steps,
    market::{FLOOR, FREE_SECONDS, Listed, Market, TIMED_SECONDS, made},
    refusal::{no, refused, with},
    sealed::lot::decided_again,
};

lanes! { two_stages_and_one_restart two_silent_stages only_who_goes_on_bids_after_the_inquiry a_soft_close_moves_as_far_as_announced }

/// A lot in its free period, and all buyers may bid.
async fn lot(market: &Market, draft: Value) -> (Listed, String) {
    let listing = market.disclosed(draft).await;
    for buyer in &market.buyers {
        market.eligible(buyer, &listing).await;
    }
    let session = market.bidding(&listing).await;
    (listing, session)
}

fn end(told: &Value) -> Instant {
    told.instant_at("/closesAt").unwrap()
}

/// No free bid moves the end; a timed one begins the cycle anew, as often as announced.
async fn two_stages_and_one_restart(exchange: Exchange) {
    let market = Market::open(&exchange, 2).await;
    let [one, two] = &market.buyers[..] else { panic!() };
    let bidding = json!({ "mode": "ASCENDING", "closeRule": "TWO_STAGE", "maxExtensions": 1 });
    let (listing, session) = lot(&market, market.terms(bidding)).await;
    let free = end(&market.session(&session).await);
    market.pass(free.plus_seconds(-5)).await;
    assert_eq!(end(&market.bid(one, &session, FLOOR).await), free, "a late free bid moves nothing");
    market.run_out(&session).await;
    market.until_session(&session, "TIMED").await;
    let first = end(&market.session(&session).await);
    assert_eq!(first, free.plus_seconds(TIMED_SECONDS));
    let bid = market.bid(two, &session, steps(1)).await;
    let moved = end(&bid);
    assert_eq!(moved, bid.instant_at("/at").unwrap().plus_seconds(TIMED_SECONDS));
    assert_eq!(end(&market.bid(one, &session, steps(2)).await), moved, "one restart was announced, and is used up");
    assert_eq!(market.session(&session).await["extensions"], 1);
    assert_eq!(market.run_out(&session).await, moved);
    sold(&exchange, &market, (&listing, &session), (one, steps(2).to_string())).await;
    let sale = market.log(&session).await.pop().unwrap();
    assert_eq!(sale.instant_at("/at").unwrap(), moved);
}

async fn sold(
    exchange: &Exchange,
    market: &Market,
    (listing, session): (&Listed, &str),
    (winner, price): (&House, String),
) {
    market.until_session(session, "SOLD").await;
    let award = market.award(listing).await;
    assert_eq!((&award["winnerId"], &award["price"]), (&json!(winner.id), &json!(price)));
    let verdict = decided_again(exchange, &market.staff.reviewer, session).await;
    assert!(verdict.contains(&format!("at {price}")), "{verdict}");
}

/// Where the timed period is silent the top free bid wins; where both are, nothing is sold.
async fn two_silent_stages(exchange: Exchange) {
    let market = Market::open(&exchange, 2).await;
    let draft = || market.terms(json!({ "mode": "ASCENDING", "closeRule": "TWO_STAGE" }));
    let (listing, session) = lot(&market, draft()).await;
    market.bid(&market.buyers[0], &session, FLOOR).await;
    market.bid(&market.buyers[1], &session, steps(3)).await;
    market.run_out(&session).await;
    market.until_session(&session, "TIMED").await;
    market.run_out(&session).await;
    sold(&exchange, &market, (&listing, &session), (&market.buyers[1], steps(3).to_string())).await;
    assert_eq!(market.kinds(&session).await, ["SCHEDULED", "OPENED", "BID", "BID", "TIMED", "SOLD"]);

    let (listing, session) = lot(&market, draft()).await;
    market.run_out(&session).await;
    market.until_session(&session, "TIMED").await;
    market.run_out(&session).await;
    market.stays_unsold(&session, &listing).await;
    let late = market.turned_away(&market.buyers[0], &session, (FLOOR, "SESSION_CLOSED")).await;
    assert_eq!(late["depositHeld"], false, "it comes free");
}

/// Three bid in the free period; one says that it goes on. One who has not bid may not say so.
async fn only_who_goes_on_bids_after_the_inquiry(exchange: Exchange) {
    let market = Market::open(&exchange, 4).await;
    let [one, two, three, silent] = &market.buyers[..] else { panic!() };
    let bidding = json!({ "mode": "ASCENDING", "closeRule": "INQUIRY_THEN_TIMED", "inquirySeconds": 120 });
    let (listing, session) = lot(&market, market.terms(bidding)).await;
    let own = |house: &House| json!({ "sessionId": session, "organizationId": house.id });
    let early = no("NOT_IN_INQUIRY", "sessionId").by("SM-5");
    refused(&one.person, "continueBidding", own(one), early).await;
    for (house, count) in [(one, 0), (two, 1), (three, 2)] {
        market.bid(house, &session, steps(count)).await;
    }
    let free = market.run_out(&session).await;
    market.until_session(&session, "INQUIRY").await;
    assert_eq!(end(&market.session(&session).await), free.plus_seconds(120));
    let quiet = market.turned_away(one, &session, (steps(3), "SESSION_NOT_OPEN")).await;
    assert_eq!(quiet["currentPrice"], steps(2).to_string());
    refused(&silent.person, "continueBidding", own(silent), no("NO_VALID_BID", "sessionId").by("SM-5")).await;
    made(&one.person, "continueBidding", "biddingSession", own(one)).await;
    refused(&one.person, "continueBidding", own(one), no("ALREADY_ANSWERED", "sessionId").by("SM-5")).await;
    market.run_out(&session).await;
    market.until_session(&session, "TIMED").await;
    for house in [two, silent] {
        market.turned_away(house, &session, (steps(3), "NOT_CONTINUING")).await;
    }
    market.bid(one, &session, steps(3)).await;
    // The leader before the inquiry may not answer either: it let the question pass.
    market.turned_away(three, &session, (steps(4), "NOT_CONTINUING")).await;
    market.run_out(&session).await;
    sold(&exchange, &market, (&listing, &session), (one, steps(3).to_string())).await;
    let kinds = ["SCHEDULED", "OPENED", "BID", "BID", "BID", "INQUIRY", "CONTINUED", "TIMED", "BID", "SOLD"];
    assert_eq!(market.kinds(&session).await, kinds);
}

/// A day at least; bids in the last five minutes move the end, twice at most. A free period that is shorter is refused.
async fn a_soft_close_moves_as_far_as_announced(exchange: Exchange) {
    let market = Market::open(&exchange, 2).await;
    let [one, two] = &market.buyers[..] else { panic!() };
    let soft =
        json!({ "mode": "ASCENDING", "closeRule": "SOFT_CLOSE", "extensionWindowSeconds": 300, "maxExtensions": 2 });
    let short = market.terms(soft);
    let a_day = no("TERMS_CONTRADICT", "freeSeconds").by("SM-5").accepting("≥ 86400");
    refused(&market.broker, "createListing", short.clone(), a_day).await;
    let (listing, session) = lot(&market, with(&short, "freeSeconds", 86_400)).await;
    let announced = end(&market.session(&session).await);
    assert!(86_400 > FREE_SECONDS && end(&market.bid(one, &session, FLOOR).await) == announced, "too early to move it");
    market.pass(announced.plus_seconds(-60)).await;
    let mut ends = vec![announced];
    for (house, count) in [(two, 1), (one, 2), (two, 3)] {
        market.pass(ends.last().unwrap().plus_seconds(-30)).await;
        let bid = market.bid(house, &session, steps(count)).await;
        ends.push(end(&bid));
        if count < 3 {
            assert_eq!(end(&bid), bid.instant_at("/at").unwrap().plus_seconds(TIMED_SECONDS));
        }
    }
    assert!(ends[0] < ends[1] && ends[1] < ends[2] && ends[2] == ends[3], "two extensions were announced: {ends:?}");
    market.turned_away(one, &session, (steps(3), "BELOW_MIN_INCREMENT")).await;
    assert_eq!(market.run_out(&session).await, ends[3]);
    market.turned_away(one, &session, (steps(4), "SESSION_CLOSED")).await;
    sold(&exchange, &market, (&listing, &session), (two, steps(3).to_string())).await;
}
