//! A broker sells for somebody else: one listing a mandate, a commission when the deal is settled (SM-11).

use exchange_tests::Exchange;
use jishi::demo::{
    Fields,
    cast::{House, Plan},
    person::{Person, fresh_key},
    timeline::Who,
};
use kernel::Money;
use serde_json::{Value, json};

use super::{
    market::{FLOOR, Listed, Market, made},
    refusal::{no, reads_as_missing, refused, refused_as_missing, with},
};

lanes! { a_broker_sells_for_a_principal }

const LISTING: &str = "query L($id: ID!) { listing(id: $id) { id } }";

async fn a_broker_sells_for_a_principal(exchange: Exchange) {
    let market = Market::open(&exchange, 1).await;
    let [buyer] = &market.buyers[..] else { panic!() };
    let (agency, broker) = agency(&market).await;
    let mandate = mandate(&market, &agency, &broker).await;
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
    let input = json!({ "listingId": id, "decision": "APPROVE" });
    let disclosed = market.staff.reviewer.act("reviewListing", "listing { id disclosureEndsAt }", input).await.unwrap();
    let listing = Listed { id, ends_at: disclosed.instant_at("/disclosureEndsAt").unwrap() };

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

/// An agency with a broker whose credential the centre has certified.
async fn agency(market: &Market) -> (House, Person) {
    let plan = Plan {
        who: Who { zh: "技术转移机构", en: "agency" },
        name: "沱江技术转移有限公司",
        kind: "TRANSFER_AGENCY",
        authority: "91",
        roles: &["ADMINISTRATOR", "BIDDER"],
    };
    let agency = market.staff.admit(&market.stage, &[plan]).await.unwrap().remove(0);
    let broker = agency.hire(&market.stage, Who { zh: "经纪人", en: "broker" }, &["BROKER"]).await.unwrap();
    let now = market.stage.client.now();
    let input = json!({
        "organizationId": agency.id, "level": "SENIOR", "number": fresh_key(), "issuer": "国家技术转移人才培养基地",
        "issuedAt": now.plus_seconds(-86_400).to_string(), "expiresAt": now.plus_seconds(365 * 86_400).to_string(),
    });
    let credential = broker.act("registerBrokerCredential", "brokerCredential { id }", input).await.unwrap();
    let input = json!({ "brokerCredentialId": credential["id"], "status": "CERTIFIED", "evidence": "证书核验无误" });
    made(&market.staff.reviewer, "reviewBrokerCredential", "brokerCredential", input).await;
    (agency, broker)
}

/// A mandate of the university at five per cent that the broker has taken.
async fn mandate(market: &Market, agency: &House, broker: &Person) -> String {
    let input = json!({
        "principalId": market.university.id, "agencyId": agency.id, "brokerId": broker.id().await.unwrap(),
        "commissionBasisPoints": 500, "expenses": "",
        "validUntil": market.stage.client.now().plus_seconds(200 * 86_400).to_string(),
    });
    let offered = market.university.person.act("offerMandate", "mandate { id status }", input).await.unwrap();
    let id = offered.text_at("/id").unwrap().to_owned();
    made(broker, "answerMandate", "mandate", json!({ "mandateId": id, "accept": true })).await;
    broker.refresh_login().await.unwrap();
    id
}

/// Waits until the mandate stands there: its steps come as events.
async fn until_mandate(market: &Market, broker: &Person, id: &str, status: &str) -> Value {
    let query = "query M($id: ID!) { mandate(id: $id) { status commission } }";
    let ask = || async {
        let read = broker.glance(query, json!({ "id": id })).await?;
        Ok(Some(read["mandate"].clone()).filter(|mandate| mandate["status"] == status))
    };
    market.stage.until(status, ask).await.unwrap()
}
