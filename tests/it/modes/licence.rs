//! 开放许可: fixed terms, no rivalry; every acceptor is licensed, and its deal goes its own way.

use exchange_tests::Exchange;
use jishi::demo::cast::House;
use serde_json::{Value, json};

use super::super::{
    market::{FLOOR, FREE_SECONDS, Listed, Market, made},
    refusal::{no, refused, with},
    sealed::lot::decided_again,
};

lanes! { every_acceptor_is_licensed nobody_accepts }

async fn offered(market: &Market) -> (Listed, String) {
    let draft = with(&market.terms(json!({ "mode": "OPEN_LICENCE" })), "conversionMode", "LICENSE");
    let assigned = with(&draft, "conversionMode", "TRANSFER");
    let licences = no("TERMS_CONTRADICT", "conversionMode").by("SM-5").accepting("LICENSE");
    refused(&market.broker, "createListing", assigned, licences).await;
    let listing = market.disclosed(draft).await;
    for buyer in &market.buyers[..3] {
        market.eligible(buyer, &listing).await;
    }
    let session = market.bidding(&listing).await;
    (listing, session)
}

/// Two of three take it; a stranger may not.
async fn every_acceptor_is_licensed(exchange: Exchange) {
    let market = Market::open(&exchange, 4).await;
    let [first, second, silent, stranger] = &market.buyers[..] else { panic!() };
    let (listing, session) = offered(&market).await;
    let own = |house: &House| json!({ "sessionId": session, "organizationId": house.id });
    let higher = with(&own(first), "amount", "600000.00");
    refused(&first.person, "placeBid", higher, no("MODE_MISMATCH", "amount").by("SM-5")).await;
    refused(&stranger.person, "acceptOpenLicence", own(stranger), no("NOT_ELIGIBLE", "organizationId").by("SM-5"))
        .await;
    for house in [first, second] {
        let taken = made(&house.person, "acceptOpenLicence", "biddingSession", own(house)).await;
        assert_eq!(taken["status"], "FREE", "one acceptance ends nothing");
    }
    let again =
        refused(&first.person, "acceptOpenLicence", own(first), no("ALREADY_EXISTS", "sessionId").by("SM-5")).await;
    assert_eq!(again["depositHeld"], true);
    market.pass(market.stage.client.now().plus_seconds(FREE_SECONDS)).await;
    market.until_session(&session, "SOLD").await;
    let late = no("SESSION_CLOSED", "sessionId").by("SM-5");
    refused(&silent.person, "acceptOpenLicence", own(silent), late).await;

    let awards = market.awards(&market.staff.reviewer, &listing).await;
    let winners: Vec<&Value> = awards.iter().map(|award| &award["winnerId"]).collect();
    let mut licensees = [json!(first.id), json!(second.id)];
    licensees.sort_by_key(ToString::to_string);
    let mut found: Vec<Value> = winners.into_iter().cloned().collect();
    found.sort_by_key(ToString::to_string);
    assert_eq!(found, licensees);
    assert!(awards.iter().all(|award| award["price"] == FLOOR.to_string()), "{awards:?}");
    for house in [first, second] {
        let seen = market.awards(&house.person, &listing).await;
        assert!(seen.len() == 1 && seen[0]["winnerId"] == json!(house.id), "a licensee sees its own: {seen:?}");
    }
    assert_eq!(market.awards(&silent.person, &listing).await, Vec::<Value>::new());
    deals(&market, &listing, &awards).await;
    let verdict = decided_again(&exchange, &market.staff.reviewer, &session).await;
    assert!(verdict.contains("SOLD to 2 licensees"), "{verdict}");
}

/// Each award is confirmed by itself, and has a deal and a confirmation of its own.
async fn deals(market: &Market, listing: &Listed, awards: &[Value]) {
    for award in awards {
        market.confirmed(award).await;
    }
    let query = "query D($id: ID!) { deals(listingId: $id) { id price contractId transfereeId } }";
    let ask = || async {
        let read = market.staff.reviewer.glance(query, json!({ "id": listing.id })).await?;
        Ok(read["deals"].as_array().filter(|deals| deals.len() == awards.len()).cloned())
    };
    let deals = market.stage.until("all deals", ask).await.unwrap();
    assert_ne!(deals[0]["contractId"], deals[1]["contractId"]);
    for house in &market.buyers[..2] {
        let read = house.person.glance(query, json!({ "id": listing.id })).await.unwrap();
        let own = read["deals"].as_array().unwrap();
        assert!(own.len() == 1 && own[0]["transfereeId"] == json!(house.id), "{own:?}");
    }
    let query =
        "query C($id: ID!) { transactionConfirmations(listingId: $id) { price transferees { organizationId } } }";
    let read = market.buyers[3].person.glance(query, json!({ "id": listing.id })).await.unwrap();
    assert_eq!(read["transactionConfirmations"].as_array().unwrap().len(), 2);
}

async fn nobody_accepts(exchange: Exchange) {
    let market = Market::open(&exchange, 3).await;
    let (listing, session) = offered(&market).await;
    market.run_out(&session).await;
    market.stays_unsold(&session, &listing).await;
}
