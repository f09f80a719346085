//! Parties that leave, are put out, or are said to stand too near, while something is under way: nobody loses by another's
//! fault, and nobody is put out of a race by a word.

use exchange_tests::Exchange;
use jishi::demo::{
    cast::House,
    person::{Act, Person, fresh_key},
    timeline::Who,
};
use kernel::Money;
use serde_json::{Value, json};

use super::{
    agency::did,
    bidding::steps,
    hall::bundle::downloaded,
    market::{DEPOSIT, FREE_SECONDS, Listed, Market, TIMED_SECONDS, made},
    refusal::{no, refused, tried},
};

lanes! {
    a_party_with_business_is_not_closed
    a_failing_transferor_ends_the_sale_and_the_winner_loses_nothing
    a_suspended_bidder_is_passed_over
    a_declaration_puts_nobody_out_of_a_race
}

fn because(house: &House) -> Value {
    json!({ "organizationId": house.id, "reason": "经营异常" })
}

/// Does something twice under one key; the one answer.
async fn twice(person: &Person, verb: &str, selection: &str, input: Value) -> Value {
    let key = fresh_key();
    let act = || Act { verb, selection, key: &key };
    let first = person.act_under(act(), input.clone()).await.unwrap();
    assert_eq!(person.act_under(act(), input).await.unwrap(), first);
    first
}

/// What a closure is refused for.
async fn open_business(person: &Person, house: &House) -> String {
    let answer = tried(person, "closeOrganization", because(house)).await;
    let error = &answer["data"]["closeOrganization"]["userErrors"][0];
    assert_eq!(error["code"], "BUSINESS_UNDER_WAY", "{answer}");
    assert_eq!(error["field"], json!(["input", "organizationId"]));
    error["accepted"].as_str().unwrap().to_owned()
}

/// Both bidders bid, the first buyer wins at one increment; the session has ended.
async fn sold(market: &Market) -> (Listed, Value, Vec<String>) {
    let [winner, next, ..] = &market.buyers[..] else { panic!() };
    let listing = market.disclosed(market.draft()).await;
    let mut applications = Vec::new();
    for buyer in [winner, next] {
        applications.push(market.eligible(buyer, &listing).await);
    }
    let session = market.bidding(&listing).await;
    market.bid(next, &session, steps(0)).await;
    market.bid(winner, &session, steps(1)).await;
    ended(market, &session).await;
    let award = market.award(&listing).await;
    assert_eq!(award["winnerId"], json!(winner.id));
    (listing, award, applications)
}

async fn ended(market: &Market, session: &str) {
    market.pass(market.stage.client.now().plus_seconds(FREE_SECONDS + TIMED_SECONDS)).await;
    market.until_session(session, "SOLD").await;
}

/// From the hand-in to the settlement neither side is closed, by itself or by the staff; what is open is named.
async fn a_party_with_business_is_not_closed(exchange: Exchange) {
    let market = Market::open(&exchange, 2).await;
    let [winner, loser] = &market.buyers[..] else { panic!() };
    let (university, reviewer) = (&market.university, &market.staff.reviewer);
    let draft = made(&market.broker, "createListing", "listing", market.draft()).await;
    made(&market.broker, "submitListing", "listing", json!({ "listingId": draft["id"] })).await;
    let open = open_business(&university.person, university).await;
    assert_eq!(open, format!("{} SUBMITTED → RETURNED | REJECTED", draft["id"].as_str().unwrap()));
    let reject = json!({ "listingId": draft["id"], "decision": "REJECT", "note": "材料不齐" });
    made(reviewer, "reviewListing", "listing", reject).await;

    let listing = market.disclosed(market.draft()).await;
    let application = market.eligible(winner, &listing).await;
    market.eligible(loser, &listing).await;
    let session = market.bidding(&listing).await;
    market.bid(winner, &session, steps(0)).await;
    for person in [&university.person, reviewer] {
        let open = open_business(person, university).await;
        assert_eq!(open, format!("{} BIDDING → SETTLED | UNSOLD | TERMINATED", listing.id));
    }
    for person in [&winner.person, reviewer] {
        let open = open_business(person, winner).await;
        assert!(open.starts_with(&format!("{application} ELIGIBLE → REFUNDED; deposit_")), "{open}");
        assert!(open.ends_with(" HELD → APPLIED | RELEASED | FORFEITED"), "{open}");
    }
    let refusal = no("BUSINESS_UNDER_WAY", "organizationId");
    refused(&loser.person, "closeOrganization", because(loser), refusal.accepting("HELD →")).await;

    ended(&market, &session).await;
    let award = market.award(&listing).await;
    let proposed = format!("{} PROPOSED → CONFIRMED", award["id"].as_str().unwrap());
    assert!(open_business(&winner.person, winner).await.contains(&proposed));
    market.confirmed(&award).await;
    let deal = market.deal(&listing).await;
    let drafted = format!("{} DRAFTED → SETTLED | CANCELLED", deal["id"].as_str().unwrap());
    for (person, house) in [(&university.person, university), (&winner.person, winner)] {
        assert!(open_business(person, house).await.contains(&drafted));
    }
    market.settled(winner, &listing, &deal).await;
    market.until_application(&application, "WON").await;
    for house in [university, winner, loser] {
        // The events of the settlement are on their way to whoever still waits for them.
        let closed = || async {
            let answer = tried(&house.person, "closeOrganization", because(house)).await;
            let refused = answer.pointer("/data/closeOrganization/userErrors/0/code").cloned();
            assert!(refused.as_ref().is_none_or(|code| code == "BUSINESS_UNDER_WAY"), "{answer}");
            Ok(refused.is_none().then_some(()))
        };
        market.stage.until("the closure", closed).await.unwrap();
    }
}

/// Suspended after the award was confirmed, the transferor cannot sign: the winner is not to blame for it.
async fn a_failing_transferor_ends_the_sale_and_the_winner_loses_nothing(exchange: Exchange) {
    let market = Market::open(&exchange, 2).await;
    let [winner, next] = &market.buyers[..] else { panic!() };
    let (university, staff) = (&market.university, &market.staff);
    let (listing, award, applications) = sold(&market).await;
    let blame = json!({ "awardId": award["id"], "reason": "转让方被暂停，无法签约" });
    let early = no("ILLEGAL_TRANSITION", "awardId").by("SM-3").accepting("CONFIRMED");
    refused(&staff.qualifier, "declareTransferorDefault", blame.clone(), early).await;
    for party in [&university.person, &winner.person] {
        let forbidden = no("FORBIDDEN", "").accepting("REVIEWER | QUALIFIER");
        refused(party, "declareTransferorDefault", blame.clone(), forbidden).await;
    }
    market.confirmed(&award).await;
    let deal = market.deal(&listing).await;
    market.until_application(&applications[0], "WON").await;

    made(&staff.reviewer, "suspendOrganization", "organization", because(university)).await;
    let innocent = no("ORGANIZATION_NOT_VERIFIED", "awardId").by("SM-3").accepting("declareTransferorDefault");
    refused(&staff.qualifier, "declareDefault", blame.clone(), innocent).await;
    let selection = "award { id status availableTransitions defaultHindrance }";
    let ended = twice(&staff.qualifier, "declareTransferorDefault", selection, blame.clone()).await;
    assert_eq!((&ended["status"], &ended["availableTransitions"]), (&json!("TRANSFEROR_DEFAULTED"), &json!([])));
    // Asked again without the key, it is found done; nor is there anything left to confirm or to blame the winner for.
    let again = did(&staff.reviewer, "declareTransferorDefault", selection, blame.clone()).await;
    assert_eq!(again, ended);
    let over = no("ILLEGAL_TRANSITION", "awardId");
    refused(&staff.qualifier, "declareDefault", blame, over.by("SM-3")).await;
    refused(&staff.qualifier, "confirmAward", json!({ "awardId": award["id"] }), over).await;

    market.until_listing(&listing, "TERMINATED").await;
    for application in &applications {
        market.until_application(application, "REFUNDED").await;
    }
    for buyer in [winner, next] {
        assert_eq!(market.account(buyer).await, (DEPOSIT, Money::ZERO));
    }
    let cancelled = || async {
        let query = "query D($id: ID!) { deal(listingId: $id) { status } }";
        let read = winner.person.glance(query, json!({ "id": listing.id })).await?;
        Ok((read["deal"]["status"] == "CANCELLED").then_some(()))
    };
    market.stage.until("the deal's end", cancelled).await.unwrap();
    refused(&staff.cashier, "settle", json!({ "dealId": deal["id"] }), no("DEAL_CANCELLED", "dealId").by("SM-5b"))
        .await;
    // Anybody reads who failed.
    assert_eq!(market.confirmations(&listing).await[0]["status"], "TRANSFEROR_DEFAULTED");
    market.ledger_is_sound().await;
    made(&staff.reviewer, "closeOrganization", "organization", because(university)).await;
}

/// Its bids and its hidden maximum rest while it is suspended; it is awarded nothing, and a lot passes over it.
async fn a_suspended_bidder_is_passed_over(exchange: Exchange) {
    let market = Market::open(&exchange, 3).await;
    let [hidden, second, third] = &market.buyers[..] else { panic!() };
    let staff = &market.staff;
    let listing = market.disclosed(market.terms(json!({ "mode": "ASCENDING", "proxyAllowed": true }))).await;
    let mut applications = Vec::new();
    for buyer in &market.buyers {
        applications.push(market.eligible(buyer, &listing).await);
    }
    let session = market.bidding(&listing).await;
    let maximum = json!({ "sessionId": session, "organizationId": hidden.id, "maximum": steps(50).to_string() });
    made(&hidden.person, "setProxyBid", "proxyBid", maximum).await;
    market.bid(second, &session, steps(3)).await;
    let code = market.code(hidden, &applications[0]).await;
    assert_eq!(market.session(&session).await["leadingCode"], json!(code));

    made(&staff.reviewer, "suspendOrganization", "organization", because(hidden)).await;
    let rests = until_event(&market, &session, "BIDDER_RESTS").await;
    assert_eq!((&rests["bidderCode"], &rests["reason"]), (&json!(code), &json!("SUSPENDED")));
    assert_eq!(rests["amount"], json!(steps(3).to_string()), "the second one leads now");
    let led = market.bid(third, &session, steps(5)).await;
    let now = market.session(&session).await;
    assert_eq!(
        (&now["leadingCode"], &now["seq"]),
        (&led["bidderCode"], &led["seq"]),
        "no bid was made for the maximum"
    );

    // Reinstated, its maximum counts again; suspended once more, it rests, and the others' bids decide.
    made(&staff.reviewer, "reinstateOrganization", "organization", because(hidden)).await;
    until_event(&market, &session, "BIDDER_RETURNS").await;
    let now = market.session(&session).await;
    assert_eq!((&now["leadingCode"], &now["currentPrice"]), (&json!(code), &json!(steps(6).to_string())));
    let before = market.log(&session).await.len();
    made(&staff.reviewer, "suspendOrganization", "organization", because(hidden)).await;
    let again = || async { Ok((market.log(&session).await.len() > before).then_some(())) };
    market.stage.until("the second rest", again).await.unwrap();
    ended(&market, &session).await;

    let award = market.award(&listing).await;
    assert_eq!((&award["winnerId"], &award["price"]), (&json!(third.id), &json!(steps(5).to_string())));
    // The winner is suspended before its award is confirmed: nothing is confirmed to it, the lot passes to the second one.
    let confirm = json!({ "awardId": award["id"] });
    made(&staff.reviewer, "confirmAward", "award", confirm.clone()).await;
    made(&staff.reviewer, "suspendOrganization", "organization", because(third)).await;
    let rests = no("ORGANIZATION_NOT_VERIFIED", "awardId").by("SM-3");
    refused(&staff.qualifier, "confirmAward", confirm, rests.accepting("reinstateOrganization | declareDefault")).await;
    let blame = json!({ "awardId": award["id"], "reason": "受让方被暂停" });
    twice(&staff.qualifier, "declareDefault", "award { id defaultDeclaredAt }", blame).await;
    market.until_application(&applications[2], "FORFEITED").await;
    let follows = market.award(&listing).await;
    assert_eq!((&follows["winnerId"], &follows["price"]), (&json!(second.id), &json!(steps(3).to_string())));
    market.confirmed(&follows).await;
    let deal = market.deal(&listing).await;
    market.settled(second, &listing, &deal).await;
    let balance = "query G($id: ID!) { ledgerAccount(organizationId: $id) { held } }";
    let read = staff.cashier.glance(balance, json!({ "id": hidden.id })).await.unwrap();
    assert_eq!(read["ledgerAccount"]["held"], "0.00", "passed over, it has lost like others");
    market.ledger_is_sound().await;
    // Whoever holds the log decides it again, rests and returns included.
    let (status, bundle) = downloaded(&exchange, &format!("/evidence/{session}")).await;
    assert_eq!(status, 200);
    auction::evidence::verify(bundle.as_slice(), None).unwrap();
}

/// Waits for the last event of the lot to be of this kind, but for bids that it brings about.
async fn until_event(market: &Market, session: &str, kind: &str) -> Value {
    let ask = || async { Ok(market.log(session).await.into_iter().rev().find(|event| event["kind"] == kind)) };
    market.stage.until(kind, ask).await.unwrap()
}

/// Said by the seller, said and proved, proposed by one: the bidder bids on. Paused and confirmed by a second: it is out.
async fn a_declaration_puts_nobody_out_of_a_race(exchange: Exchange) {
    let market = Market::open(&exchange, 3).await;
    let [accused, rival, own] = &market.buyers[..] else { panic!() };
    let staff = &market.staff;
    let listing = market.disclosed(market.draft()).await;
    // Whoever declares binds itself at once.
    let near = |one: &House, other: &House| json!({ "organizationId": one.id, "otherOrganizationId": other.id, "nature": "控股子公司" });
    made(&own.person, "declareConflict", "conflictOfInterest", near(own, &market.university)).await;
    let apply = json!({ "listingId": listing.id, "organizationId": own.id });
    refused(&own.person, "applyForTransfer", apply, no("CONFLICT_OF_INTEREST", "organizationId").by("SM-5")).await;

    let application = market.eligible(accused, &listing).await;
    market.eligible(rival, &listing).await;
    let session = market.bidding(&listing).await;
    market.bid(rival, &session, steps(0)).await;
    let conflict = did(
        &market.university.person,
        "declareConflict",
        "conflictOfInterest { id }",
        near(&market.university, accused),
    )
    .await;
    market.bid(accused, &session, steps(1)).await;

    let exclude = json!({ "sessionId": session, "organizationId": accused.id, "reason": "转让方控股子公司" });
    let pause = || json!({ "sessionId": session, "reason": "核查利益冲突" });
    let running = no("ILLEGAL_TRANSITION", "sessionId").by("SM-5").accepting("PAUSED");
    refused(&staff.qualifier, "excludeBidder", exclude.clone(), running).await;
    refused(&market.university.person, "excludeBidder", exclude.clone(), no("FORBIDDEN", "")).await;
    made(&staff.qualifier, "pauseBidding", "biddingSession", pause()).await;
    let unproved = no("NO_CONFLICT", "organizationId").by("SM-5").accepting("confirmConflict");
    refused(&staff.qualifier, "excludeBidder", exclude.clone(), unproved).await;
    let confirm = json!({ "conflictOfInterestId": conflict["id"], "evidence": "股东名册" });
    made(&staff.reviewer, "confirmConflict", "conflictOfInterest", confirm).await;
    // Proved, it still puts nobody out by itself.
    made(&staff.qualifier, "resumeBidding", "biddingSession", json!({ "sessionId": session })).await;
    market.bid(rival, &session, steps(2)).await;
    market.bid(accused, &session, steps(3)).await;

    made(&staff.qualifier, "pauseBidding", "biddingSession", pause()).await;
    let selection = "bidderExclusion { sessionId organizationId reason proposedAt excludedAt }";
    let proposed = twice(&staff.qualifier, "excludeBidder", selection, exclude.clone()).await;
    assert!(proposed["proposedAt"].is_string() && proposed["excludedAt"].is_null(), "{proposed}");
    let same = no("SAME_PERSON", "organizationId").by("SM-5").accepting("REVIEWER | QUALIFIER");
    refused(&staff.qualifier, "excludeBidder", exclude.clone(), same).await;
    let code = market.code(accused, &application).await;
    assert_eq!(market.session(&session).await["leadingCode"], json!(code), "one person puts nobody out");
    let stranger = json!({ "sessionId": session, "organizationId": own.id, "reason": "控股子公司" });
    refused(&staff.reviewer, "excludeBidder", stranger, no("NOT_ELIGIBLE", "organizationId").by("SM-5")).await;
    let excluded = twice(&staff.reviewer, "excludeBidder", selection, exclude.clone()).await;
    assert!(excluded["excludedAt"].is_string() && excluded["reason"] == exclude["reason"], "{excluded}");
    let third = market.hub().await;
    let third = third.hire(&market.stage, Who { zh: "复核", en: "third" }, &["QUALIFIER"]).await.unwrap();
    refused(&third, "excludeBidder", exclude, no("ALREADY_EXISTS", "organizationId").by("SM-5")).await;

    let event = until_event(&market, &session, "BIDDER_EXCLUDED").await;
    assert_eq!((&event["bidderCode"], &event["amount"]), (&json!(code), &json!(steps(2).to_string())));
    made(&staff.qualifier, "resumeBidding", "biddingSession", json!({ "sessionId": session })).await;
    let bid = json!({ "sessionId": session, "organizationId": accused.id, "amount": steps(5).to_string() });
    refused(&accused.person, "placeBid", bid, no("CONFLICT_OF_INTEREST", "organizationId").by("SM-5")).await;
    ended(&market, &session).await;
    let award = market.award(&listing).await;
    assert_eq!((&award["winnerId"], &award["price"]), (&json!(rival.id), &json!(steps(2).to_string())));
    market.confirmed(&award).await;
    let deal = market.deal(&listing).await;
    market.settled(rival, &listing, &deal).await;
    assert_eq!(market.account(accused).await, (DEPOSIT, Money::ZERO), "out without a loss");
    market.ledger_is_sound().await;
}
