//! Several organizations bid together (联合受让) once every one of them has said so itself.

use exchange_tests::Exchange;
use jishi::demo::{Fields, cast::House, timeline::Who};
use serde_json::{Value, json};

use super::{
    agency::did,
    bidding::steps,
    market::{DEPOSIT, FREE_SECONDS, Listed, Market, TIMED_SECONDS, made},
    refusal::{no, reads_as_missing, refused, refused_as_missing, with},
};

lanes! { a_consortium_bids_when_every_member_has_consented }

const APPLICATION: &str =
    "transferApplication { id status consortium members { organizationId shareBp consent answeredAt } }";
const SEEN: &str = "query A($id: ID!) { transferApplication(id: $id) { id } }";

/// A consortium under way.
struct Joint<'a> {
    market: &'a Market,
    listing: Listed,
    application: String,
}

impl<'a> Joint<'a> {
    /// The first buyer applies with the second one.
    async fn applied(market: &'a Market) -> Joint<'a> {
        let [lead, member, ..] = &market.buyers[..] else { panic!() };
        let plain = market.disclosed(market.draft()).await;
        let wish = json!({ "listingId": plain.id, "organizationId": lead.id, "members": [
            { "organizationId": lead.id, "shareBp": 6_000 }, { "organizationId": member.id, "shareBp": 4_000 },
        ] });
        let not_announced = no("CONSORTIUM_NOT_ALLOWED", "members").by("SM-4");
        refused(&lead.person, "applyForTransfer", wish.clone(), not_announced).await;
        let terms = json!({ "mode": "ASCENDING", "consortiumAllowed": true });
        let listing = market.disclosed(market.terms(terms)).await;
        let wish = with(&wish, "listingId", listing.id.clone());
        let applied = did(&lead.person, "applyForTransfer", APPLICATION, wish).await;
        assert_eq!((&applied["status"], &applied["consortium"]), (&json!("APPLIED"), &json!("FORMING")));
        assert_eq!(
            consents(&applied),
            ["GIVEN", "PENDING"],
            "the lead consents by applying, the other has to be asked"
        );
        let application = applied.text_at("/id").unwrap().to_owned();
        Joint { market, listing, application }
    }

    fn answer(&self, member: &House, consent: bool) -> Value {
        json!({ "transferApplicationId": self.application, "organizationId": member.id, "consent": consent })
    }

    /// Neither qualified nor paid for, so it does not bid.
    async fn waits(&self) {
        let [lead, member, ..] = &self.market.buyers[..] else { panic!() };
        let approve = json!({ "transferApplicationId": self.application, "approve": true });
        let waiting = no("CONSENT_MISSING", "transferApplicationId").by("SM-4").accepting(&member.id);
        refused(&self.market.staff.qualifier, "reviewTransferApplication", approve, waiting).await;
        let pay = json!({ "transferApplicationId": self.application });
        let early = no("DEPOSIT_NOT_DUE", "transferApplicationId").by("SM-4");
        refused(&lead.person, "payDeposit", pay, early).await;
    }

    /// Only a member's own people speak for it, and only those who may bind it.
    async fn is_nobody_elses_business(&self) {
        let [lead, member, stranger] = &self.market.buyers[..] else { panic!() };
        refused_as_missing(&stranger.person, "answerConsortium", self.answer(stranger, true), "transferApplicationId")
            .await;
        reads_as_missing(&stranger.person, SEEN, &self.application).await;
        reads_as_missing(&self.market.broker, SEEN, &self.application).await;
        let for_another = no("NOT_FOUND", "organizationId");
        refused(&lead.person, "answerConsortium", self.answer(member, true), for_another).await;
        refused(&member.person, "answerConsortium", self.answer(stranger, true), for_another).await;
        let twice = no("ALREADY_ANSWERED", "organizationId").by("SM-4");
        refused(&lead.person, "answerConsortium", self.answer(lead, false), twice).await;
        let signatory =
            member.hire(&self.market.stage, Who { zh: "签约人", en: "signatory" }, &["SIGNATORY"]).await.unwrap();
        let forbidden = no("FORBIDDEN", "organizationId").accepting("BIDDER | ADMINISTRATOR");
        refused(&signatory, "answerConsortium", self.answer(member, true), forbidden).await;
        // Whoever is asked finds it.
        let query = "{ transferApplications { edges { node { id organizationId members { shareBp } } } } }";
        let read = member.person.glance(query, json!({})).await.unwrap();
        assert_eq!(read["transferApplications"]["edges"][0]["node"]["id"], json!(self.application));
        assert_eq!(read["transferApplications"]["edges"][0]["node"]["organizationId"], json!(lead.id));
    }
}

fn consents(application: &Value) -> Vec<&str> {
    let members = application["members"].as_array().unwrap();
    members.iter().map(|member| member["consent"].as_str().unwrap()).collect()
}

async fn a_consortium_bids_when_every_member_has_consented(exchange: Exchange) {
    let market = Market::open(&exchange, 3).await;
    let [lead, member, rival] = &market.buyers[..] else { panic!() };
    let joint = Joint::applied(&market).await;
    joint.waits().await;
    joint.is_nobody_elses_business().await;
    joint.waits().await;

    let declined = did(&member.person, "answerConsortium", APPLICATION, joint.answer(member, false)).await;
    assert_eq!((consents(&declined), &declined["consortium"]), (vec!["GIVEN", "DECLINED"], &json!("FORMING")));
    joint.waits().await;
    let formed = did(&member.person, "answerConsortium", APPLICATION, joint.answer(member, true)).await;
    assert_eq!((consents(&formed), &formed["consortium"]), (vec!["GIVEN", "GIVEN"], &json!("FORMED")));
    assert!(formed["members"][1]["answeredAt"].is_string() && formed["members"][0]["answeredAt"].is_null());

    let approve = json!({ "transferApplicationId": joint.application, "approve": true });
    made(&market.staff.qualifier, "reviewTransferApplication", "transferApplication", approve).await;
    let bound = no("ILLEGAL_TRANSITION", "transferApplicationId").by("SM-4").accepting("APPLIED");
    refused(&member.person, "answerConsortium", joint.answer(member, false), bound).await;
    market.staff.receive(&market.stage, lead, DEPOSIT).await.unwrap();
    made(&lead.person, "payDeposit", "deposit", json!({ "transferApplicationId": joint.application })).await;
    market.until_application(&joint.application, "ELIGIBLE").await;
    market.eligible(rival, &joint.listing).await;
    acquires_together(&market, &joint.listing).await;
}

/// The lead bids for all of them, and all of them are named with their shares.
async fn acquires_together(market: &Market, listing: &Listed) {
    let [lead, member, rival] = &market.buyers[..] else { panic!() };
    let session = market.bidding(listing).await;
    market.bid(rival, &session, steps(0)).await;
    market.bid(lead, &session, steps(1)).await;
    market.pass(market.stage.client.now().plus_seconds(FREE_SECONDS + TIMED_SECONDS)).await;
    market.until_session(&session, "SOLD").await;
    let award = market.award(listing).await;
    assert_eq!(award["winnerId"], json!(lead.id));
    for person in [&market.staff.reviewer, &market.staff.qualifier] {
        made(person, "confirmAward", "award", json!({ "awardId": award["id"] })).await;
    }
    let told = market.confirmations(listing).await;
    let named = |house: &House, share: i32| json!({ "organizationId": house.id, "name": house.name, "shareBp": share });
    assert_eq!(told[0]["transferees"], json!([named(lead, 6_000), named(member, 4_000)]));
    let deal = market.deal(listing).await;
    market.settled(lead, listing, &deal).await;
    market.ledger_is_sound().await;
}
