//! A broker sells for somebody else: one listing a mandate, a commission when the deal is settled (SM-11).

use exchange_tests::Exchange;
use jishi::demo::Fields;
use kernel::Money;
use serde_json::json;

use super::{
    agency::{Agency, until_mandate},
    market::{FLOOR, Market, made},
    refusal::{no, reads_as_missing, refused, refused_as_missing, with},
};

lanes! { a_broker_sells_for_a_principal }

const LISTING: &str = "query L($id: ID!) { listing(id: $id) { id } }";

async fn a_broker_sells_for_a_principal(exchange: Exchange) {
    let market = Market::open(&exchange, 1).await;
    let [buyer] = &market.buyers[..] else { panic!() };
    let agency = Agency::come_in(&market, "沱江技术转移有限公司", &["ADMINISTRATOR", "BIDDER"]).await;
    agency.certified(&market, 365).await;
    let offer = with(&agency.offer(&market), "commissionBasisPoints", 500);
    let mandate = agency.offered(&market, offer).await;
    let Agency { house: agency, broker, .. } = agency;
    made(&broker, "answerMandate", "mandate", json!({ "mandateId": mandate, "accept": true })).await;
    broker.refresh_login().await.unwrap();
    let private = made(&market.broker, "createListing", "listing", market.draft()).await;

    let mandated = with(&market.draft(), "mandateId", mandate.clone());
    refused_as_missing(&broker, "createListing", market.draft(), "organizationId").await;
    refused_as_missing(&market.broker, "createListing", mandated.clone(), "mandateId").await;
    let created = broker
        .act("createListing", "listing { id organizationId mandateId centreId }", mandated.clone())
        .await
        .unwrap();
    assert_eq!((&created["organizationId"], &created["mandateId"]), (&json!(market.university.id), &json!(mandate)));
    let id = created.text_at("/id").unwrap().to_owned();
    refused(&broker, "createListing", mandated, no("ALREADY_EXISTS", "mandateId").by("SM-11")).await;

    // It is the one listing of the principal that the mandate opens while it is private.
    let all = "query A($id: ID!) { listings(organizationId: $id) { edges { node { id } } } }";
    let read = broker.glance(all, json!({ "id": market.university.id })).await.unwrap();
    assert_eq!(read["listings"]["edges"], json!([{ "node": { "id": id } }]));
    let private = private.text_at("/id").unwrap();
    reads_as_missing(&broker, LISTING, private).await;
    refused_as_missing(&broker, "submitListing", json!({ "listingId": private }), "listingId").await;
    reads_as_missing(&agency.person, LISTING, &id).await;

    made(&broker, "submitListing", "listing", json!({ "listingId": id })).await;
    until_mandate(&market, &broker, &mandate, "INTRODUCED").await;
    let listing = market.approved(id).await;

    // Whoever brokers it does not buy it, nor does the agency.
    agency.person.refresh_login().await.unwrap();
    let apply = json!({ "listingId": listing.id, "organizationId": agency.id });
    refused(&agency.person, "applyForTransfer", apply, no("CONFLICT_OF_INTEREST", "organizationId").by("SM-5")).await;

    market.eligible(buyer, &listing).await;
    market.pass(listing.ends_at).await;
    let deal = market.sold_to_sole(buyer, &listing).await;
    until_mandate(&market, &broker, &mandate, "CONCLUDED").await;
    market.settled(buyer, &listing, &deal).await;
    let due = until_mandate(&market, &broker, &mandate, "COMMISSION_DUE").await;
    assert_eq!(due["commission"], json!(Money(FLOOR.0 / 20).to_string()), "five per cent");
    reads_as_missing(&broker, "query D($id: ID!) { deal(id: $id) { id } }", deal.text_at("/id").unwrap()).await;
    market.ledger_is_sound().await;
}
