//! A broker from the credential to the commission, and organizations that stand too near (SM-11).

use exchange_tests::Exchange;
use jishi::demo::{cast::House, timeline::Who};
use kernel::Money;
use serde_json::{Value, json};

use super::{
    agency::{Agency, DAY, MANDATE, did, until_mandate},
    market::{FLOOR, Market, made},
    refusal::{no, reads_as_missing, refused, refused_as_missing, with},
};

lanes! { from_credential_to_commission expired_credential conflicts_bar_both_directions }

const ROLES: &[&str] = &["ADMINISTRATOR", "SIGNATORY"];

async fn from_credential_to_commission(exchange: Exchange) {
    let market = Market::open(&exchange, 1).await;
    let [buyer] = &market.buyers[..] else { panic!() };
    let agency = Agency::come_in(&market, "天府技术转移有限公司", ROLES).await;
    let rival = Agency::come_in(&market, "嘉陵技术转移有限公司", ROLES).await;
    credentials(&market, &agency, &rival).await;
    rival.certified(&market, 300).await;
    let mandate = mandates(&market, &agency, &rival).await;

    let draft = with(&market.draft(), "mandateId", mandate.clone());
    refused_as_missing(&rival.broker, "createListing", draft.clone(), "mandateId").await;
    let listing = market.disclosed_by(&agency.broker, draft).await;
    let read = until_mandate(&market, &agency.house.person, &mandate, "INTRODUCED").await;
    assert_eq!((&read["listingId"], &read["commission"]), (&json!(listing.id), &Value::Null), "no deal, no commission");
    let paid = json!({ "mandateId": mandate, "bankReference": "ICBC-2026-1" });
    refused(&agency.house.person, "confirmCommissionPaid", paid.clone(), illegal().accepting("CONCLUDED | ENDED"))
        .await;

    market.eligible(buyer, &listing).await;
    market.pass(listing.ends_at).await;
    let price = Money(FLOOR.0 + 1);
    let quote = json!({ "listingId": listing.id, "organizationId": buyer.id, "price": price.to_string() });
    let award = made(&buyer.person, "quoteAsSoleBidder", "award", quote).await;
    for person in [&market.staff.reviewer, &market.staff.qualifier] {
        made(person, "confirmAward", "award", json!({ "awardId": award["id"] })).await;
    }
    // 500000.01 × 3.33 % = 16650.000333: rounded down.
    let read = until_mandate(&market, &agency.house.person, &mandate, "CONCLUDED").await;
    assert_eq!(read["commission"], "16650.00");
    let end = json!({ "mandateId": mandate, "reason": "另寻买家" });
    refused(&market.university.person, "endMandate", end, illegal().accepting("COMMISSION_DUE")).await;

    let deal = market.deal(&listing).await;
    market.settled(buyer, &listing, &deal).await;
    until_mandate(&market, &agency.house.person, &mandate, "COMMISSION_DUE").await;
    refused(&market.university.person, "confirmCommissionPaid", paid.clone(), no("FORBIDDEN", "mandateId")).await;
    refused_as_missing(&rival.house.person, "confirmCommissionPaid", paid.clone(), "mandateId").await;
    let read = did(&agency.house.person, "confirmCommissionPaid", "mandate { status commission }", paid).await;
    assert_eq!(read, json!({ "status": "PAID", "commission": "16650.00" }));
}

/// Shown by the broker, certified by the centre.
async fn credentials(market: &Market, agency: &Agency, rival: &Agency) {
    const OBJECT: &str = "brokerCredential { id status practising availableTransitions }";
    let input = agency.credential(market, 300);
    refused_as_missing(&rival.broker, "registerBrokerCredential", input.clone(), "organizationId").await;
    let future = market.stage.client.now().plus_seconds(DAY).to_string();
    for (field, value) in [("issuedAt", future), ("expiresAt", "2020-01-01T00:00:00Z".into())] {
        let wrong = with(&input, field, value);
        refused(&agency.broker, "registerBrokerCredential", wrong, no("PERIOD_OUT_OF_RANGE", field).by("SM-11")).await;
    }
    let administrator = no("FORBIDDEN", "organizationId").accepting("BROKER");
    refused(&agency.house.person, "registerBrokerCredential", input.clone(), administrator).await;
    let credential = did(&agency.broker, "registerBrokerCredential", OBJECT, input.clone()).await;
    assert_eq!((&credential["status"], &credential["practising"]), (&json!("APPLICANT"), &json!(false)));
    assert_eq!(credential["availableTransitions"], json!(["CERTIFIED", "REJECTED"]));
    let copied = with(&input, "organizationId", rival.house.id.clone());
    refused(&rival.broker, "registerBrokerCredential", copied, no("ALREADY_EXISTS", "number")).await;
    let early = no("NOT_PRACTISING", "brokerId").by("SM-11");
    refused(&market.university.person, "offerMandate", agency.offer(market), early).await;

    let review =
        |status: &str| json!({ "brokerCredentialId": credential["id"], "status": status, "evidence": "证书已核" });
    refused_as_missing(&rival.broker, "reviewBrokerCredential", review("CERTIFIED"), "brokerCredentialId").await;
    refused_as_missing(&market.university.person, "reviewBrokerCredential", review("CERTIFIED"), "brokerCredentialId")
        .await;
    let own = no("FORBIDDEN", "").accepting("REVIEWER");
    refused(&agency.broker, "reviewBrokerCredential", review("CERTIFIED"), own).await;
    let reviewer = &market.staff.reviewer;
    let wrong = no("ILLEGAL_TRANSITION", "status").by("SM-11").accepting("CERTIFIED | REJECTED");
    refused(reviewer, "reviewBrokerCredential", review("SUSPENDED"), wrong).await;
    for (status, practising) in [("CERTIFIED", true), ("SUSPENDED", false), ("CERTIFIED", true)] {
        let read = did(reviewer, "reviewBrokerCredential", OBJECT, review(status)).await;
        assert_eq!((&read["status"], &read["practising"]), (&json!(status), &json!(practising)));
    }
    let list = "{ brokerCredentials(first: 5) { totalCount } }";
    for (person, count) in [(&agency.broker, 1), (&agency.house.person, 0), (&rival.broker, 0)] {
        let read = person.glance(list, json!({})).await.unwrap();
        assert_eq!(read["brokerCredentials"]["totalCount"], count);
    }
}

/// Offered and taken; who stands outside sees nothing and does nothing.
async fn mandates(market: &Market, agency: &Agency, rival: &Agency) -> String {
    let university = &market.university.person;
    let offer = agency.offer(market);
    refused_as_missing(&rival.house.person, "offerMandate", offer.clone(), "principalId").await;
    refused_as_missing(university, "offerMandate", with(&offer, "brokerId", rival.broker_id.clone()), "brokerId").await;
    let long = market.stage.client.now().plus_seconds(4 * 366 * DAY).to_string();
    for (field, value, refusal) in [
        ("agencyId", json!(market.university.id), no("OWN_MANDATE", "agencyId").by("SM-11")),
        ("validUntil", json!(long), no("PERIOD_OUT_OF_RANGE", "validUntil").by("SM-11")),
        ("commissionBasisPoints", json!(3_001), no("INVALID_INPUT", "commissionBasisPoints").accepting("3000")),
    ] {
        refused(university, "offerMandate", with(&offer, field, value), refusal).await;
    }

    let withdrawn = agency.offered(market, agency.offer(market)).await;
    let end = json!({ "mandateId": withdrawn, "reason": "条款有误" });
    refused(&agency.house.person, "endMandate", end.clone(), no("FORBIDDEN", "mandateId")).await;
    let ended = did(university, "endMandate", "mandate { status commission }", end).await;
    assert_eq!(ended, json!({ "status": "ENDED", "commission": null }));
    let declined = json!({ "mandateId": agency.offered(market, agency.offer(market)).await, "accept": false });
    let declined = did(&agency.broker, "answerMandate", "mandate { status }", declined).await;
    assert_eq!(declined["status"], "DECLINED");

    let mandate = agency.offered(market, agency.offer(market)).await;
    let accept = json!({ "mandateId": mandate, "accept": true });
    let draft = market.draft();
    refused_as_missing(&agency.broker, "createListing", draft.clone(), "organizationId").await;
    for stranger in [&rival.broker, &rival.house.person, &market.buyers[0].person] {
        reads_as_missing(stranger, "query M($id: ID!) { mandate(id: $id) { status } }", &mandate).await;
        let list = stranger.glance("{ mandates(first: 5) { totalCount edges { node { id } } } }", json!({})).await;
        assert_eq!(list.unwrap()["mandates"], json!({ "totalCount": 0, "edges": [] }));
        refused_as_missing(stranger, "answerMandate", accept.clone(), "mandateId").await;
    }
    for onlooker in [&agency.house.person, university, &market.staff.reviewer] {
        refused(onlooker, "answerMandate", accept.clone(), no("FORBIDDEN", "mandateId")).await;
        let read = onlooker.glance(MANDATE, json!({ "id": mandate })).await.unwrap();
        assert_eq!(read["mandate"]["status"], "OFFERED");
    }
    let taken = did(&agency.broker, "answerMandate", "mandate { status availableTransitions }", accept.clone()).await;
    assert_eq!(taken, json!({ "status": "ACTIVE", "availableTransitions": ["INTRODUCED", "ENDED"] }));
    refused(&agency.broker, "answerMandate", accept, illegal().accepting("INTRODUCED | ENDED")).await;
    agency.broker.refresh_login().await.unwrap();
    // Acting for the university is not belonging to it.
    refused_as_missing(&agency.broker, "inviteMember", invitation(market), "organizationId").await;
    let account = "query G($id: ID!) { ledgerAccount(organizationId: $id) { balance } }";
    let read = agency.broker.glance(account, json!({ "id": market.university.id })).await;
    assert!(read.is_ok_and(|read| read["ledgerAccount"].is_null()), "a broker reads the principal's money");
    mandate
}

fn invitation(market: &Market) -> Value {
    json!({ "organizationId": market.university.id, "login": "somebody", "roles": ["ADMINISTRATOR"] })
}

/// Does something that is not refused; what is selected of it.
fn illegal<'a>() -> super::refusal::Refusal<'a> {
    no("ILLEGAL_TRANSITION", "mandateId").by("SM-11")
}

/// The credential runs out between offer and answer, and later under a mandate that was taken.
async fn expired_credential(exchange: Exchange) {
    let market = Market::open(&exchange, 0).await;
    let agency = Agency::come_in(&market, "岷江技术转移有限公司", ROLES).await;
    agency.certified(&market, 30).await;
    let (taken, open) =
        (agency.offered(&market, agency.offer(&market)).await, agency.offered(&market, agency.offer(&market)).await);
    let accept = |mandate: &str| json!({ "mandateId": mandate, "accept": true });
    did(&agency.broker, "answerMandate", "mandate { status }", accept(&taken)).await;
    let draft = with(&market.draft(), "mandateId", taken.clone());
    agency.broker.refresh_login().await.unwrap();
    made(&agency.broker, "createListing", "listing", draft.clone()).await;
    until_mandate(&market, &agency.house.person, &taken, "INTRODUCED").await;

    market.pass(market.stage.client.now().plus_seconds(31 * DAY)).await;
    let own =
        agency.broker.glance("{ brokerCredentials(own: true) { edges { node { status practising } } } }", json!({}));
    let own = own.await.unwrap()["brokerCredentials"]["edges"][0]["node"].clone();
    assert_eq!(own, json!({ "status": "CERTIFIED", "practising": false }));
    let expired = no("NOT_PRACTISING", "mandateId").by("SM-11");
    refused(&agency.broker, "answerMandate", accept(&open), expired).await;
    let offer = no("NOT_PRACTISING", "brokerId").by("SM-11");
    refused(&market.university.person, "offerMandate", agency.offer(&market), offer).await;
    // Nor does the broker act any longer for whoever gave a mandate before.
    refused_as_missing(&agency.broker, "createListing", draft, "mandateId").await;
    agency.certified(&market, 300).await;
    did(&agency.broker, "answerMandate", "mandate { status }", accept(&open)).await;
}

/// Whichever of the two declared it, and whichever wants to acquire, once a second person has seen evidence.
async fn conflicts_bar_both_directions(exchange: Exchange) {
    let market = Market::open(&exchange, 3).await;
    let [first, second, neither] = &market.buyers[..] else { panic!() };
    let university = &market.university;
    let between = |one: &House, other: &House| {
        let (one, other) = (&one.id, &other.id);
        json!({ "organizationId": one, "otherOrganizationId": other, "nature": "控股子公司 subsidiary" })
    };
    let pair = between(university, first);
    refused_as_missing(&neither.person, "declareConflict", pair.clone(), "organizationId").await;
    let own = with(&pair, "otherOrganizationId", university.id.clone());
    refused(&university.person, "declareConflict", own, no("INVALID_INPUT", "otherOrganizationId")).await;
    const OBJECT: &str = "conflictOfInterest { id status availableTransitions declarerId evidence confirmedAt }";
    let theirs = did(&university.person, "declareConflict", OBJECT, pair.clone()).await;
    assert_eq!((&theirs["status"], &theirs["declarerId"]), (&json!("DECLARED"), &json!(university.id)));
    assert_eq!(theirs["availableTransitions"], json!(["CONFIRMED", "LIFTED"]));
    for again in [pair, between(first, university)] {
        refused(&first.person, "declareConflict", again, no("ALREADY_EXISTS", "otherOrganizationId")).await;
    }
    let reviewer = &market.staff.reviewer;
    let other = did(reviewer, "declareConflict", OBJECT, between(second, university)).await;
    assert_eq!((&other["status"], &other["declarerId"]), (&json!("DECLARED"), &Value::Null));

    let judge = market.hub().await;
    let judge = judge.hire(&market.stage, Who { zh: "复审", en: "judge" }, &["REVIEWER"]).await.unwrap();
    let confirm = |conflict: &Value| json!({ "conflictOfInterestId": conflict["id"], "evidence": "股东名册" });
    refused_as_missing(&neither.person, "confirmConflict", confirm(&other), "conflictOfInterestId").await;
    for party in [&university.person, &second.person] {
        refused(party, "confirmConflict", confirm(&other), no("FORBIDDEN", "").accepting("REVIEWER")).await;
    }
    refused(reviewer, "confirmConflict", confirm(&other), no("SAME_PERSON", "conflictOfInterestId")).await;
    refused(&judge, "confirmConflict", with(&confirm(&other), "evidence", ""), no("REQUIRED", "evidence")).await;
    for conflict in [&theirs, &other] {
        let confirmed = did(&judge, "confirmConflict", OBJECT, confirm(conflict)).await;
        assert_eq!((&confirmed["status"], &confirmed["evidence"]), (&json!("CONFIRMED"), &json!("股东名册")));
        let again = no("ILLEGAL_TRANSITION", "conflictOfInterestId").accepting("LIFTED");
        refused(&judge, "confirmConflict", confirm(conflict), again).await;
    }

    let listing = market.disclosed(market.draft()).await;
    let apply = |house: &House| json!({ "listingId": listing.id, "organizationId": house.id });
    for barred in [first, second] {
        let answer = super::refusal::tried(&barred.person, "applyForTransfer", apply(barred)).await;
        assert_eq!(answer["data"]["applyForTransfer"]["userErrors"][0]["code"], "CONFLICT_OF_INTEREST", "{answer}");
    }
    market.apply(neither, &listing).await;

    let list = "{ conflicts(first: 5) { totalCount } }";
    for (person, count) in [(&university.person, 2), (&first.person, 1), (&neither.person, 0), (reviewer, 2)] {
        let read = person.glance(list, json!({})).await.unwrap();
        assert_eq!(read["conflicts"]["totalCount"], count);
    }
    let lift = |conflict: &Value| json!({ "conflictOfInterestId": conflict["id"], "reason": "股权已转让" });
    refused_as_missing(&neither.person, "liftConflict", lift(&other), "conflictOfInterestId").await;
    refused(&university.person, "liftConflict", lift(&other), no("FORBIDDEN", "").accepting("REVIEWER")).await;
    for involved in [reviewer, &judge] {
        refused(involved, "liftConflict", lift(&other), no("SAME_PERSON", "conflictOfInterestId")).await;
    }
    let lifted = did(reviewer, "liftConflict", "conflictOfInterest { status liftedAt }", lift(&theirs)).await;
    assert!(lifted["liftedAt"].is_string() && lifted["status"] == "LIFTED", "{lifted}");
    refused(reviewer, "liftConflict", lift(&theirs), no("ILLEGAL_TRANSITION", "conflictOfInterestId")).await;
    market.apply(first, &listing).await;
}
