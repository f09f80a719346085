//! Journeys by which rows come into tables that the demo leaves empty.

use exchange_tests::{Exchange, Lane};
use jishi::demo::{Fields, cast::House, timeline::Who};
use kernel::Money;
use serde_json::{Value, json};

use super::{
    super::{
        agency::{Agency, did},
        bidding::steps,
        federated::{Campus, enter},
        market::{FREE_SECONDS, Listed, Market, TIMED_SECONDS, made},
        sealed::{evaluation::expert, lot::SealedLot},
    },
    KEY_TEXT,
};

/// An exchange that two people have entered by their campus's word.
pub async fn entered(lane: Lane) -> Option<Exchange> {
    let campus = Campus::open().await;
    let providers = json!([campus.provider()]).to_string();
    let more =
        [("JISHI_MASTER_KEY", KEY_TEXT), ("JISHI_OIDC_PROVIDERS", providers.as_str()), ("NO_PROXY", "127.0.0.1")];
    let exchange = Exchange::start_with(lane, &more).await?;
    for who in ["who=li", "who=wang"] {
        enter(&exchange, who).await;
    }
    Some(exchange)
}

/// Everything else.
pub async fn play(exchange: &Exchange) {
    let market = Market::open(exchange, 3).await;
    tools_and_personal_data(&market).await;
    brokerage(&market).await;
    consortium(&market).await;
    two_defaults(&market).await;
    panel(exchange, &market).await;
}

async fn tools_and_personal_data(market: &Market) {
    let expires_at = market.stage.client.now().plus_seconds(86_400).to_string();
    for name in ["报价工具", "对账工具"] {
        let key = json!({
            "name": name, "organizationId": market.university.id, "roles": ["TRANSFEROR"], "expiresAt": expires_at,
        });
        made(&market.broker, "createApiKey", "newApiKey", key).await;
    }
    let told = json!({ "legalName": "钟守密", "phone": "13900007391", "email": "zhong@mail.example.com" });
    made(&market.broker, "updatePersonalData", "personalData", told).await;
}

/// Two credentials, two mandates, and an agency that stands near a company.
async fn brokerage(market: &Market) {
    let agency = Agency::come_in(market, "青衣江技术转移有限公司", &["ADMINISTRATOR"]).await;
    for days in [300, 400] {
        agency.certified(market, days).await;
        agency.offered(market, agency.offer(market)).await;
    }
    declared(&agency.house, &market.buyers[1]).await;
}

/// One tells the exchange that the other is too near; the conflict's id.
async fn declared(one: &House, other: &House) -> Value {
    let near = json!({ "organizationId": one.id, "otherOrganizationId": other.id, "nature": "控股子公司" });
    did(&one.person, "declareConflict", "conflictOfInterest { id }", near).await["id"].clone()
}

/// Two companies apply as one.
async fn consortium(market: &Market) {
    let [lead, member, ..] = &market.buyers[..] else { panic!() };
    let terms = json!({ "mode": "ASCENDING", "consortiumAllowed": true });
    let listing = market.disclosed(market.terms(terms)).await;
    let members =
        [(lead, 6_000), (member, 4_000)].map(|(house, share)| json!({ "organizationId": house.id, "shareBp": share }));
    let wish = json!({ "listingId": listing.id, "organizationId": lead.id, "members": members });
    made(&lead.person, "applyForTransfer", "transferApplication", wish).await;
}

/// One bidder is put out, and both others win and do not sign: the listing ends unsold. The first lost deposit is given out.
async fn two_defaults(market: &Market) {
    let [first, second, near] = &market.buyers[..] else { panic!() };
    let listing = market.disclosed(market.draft()).await;
    let mut applications = Vec::new();
    for buyer in &market.buyers {
        applications.push(market.eligible(buyer, &listing).await);
    }
    let session = market.bidding(&listing).await;
    excluded(market, &session, near).await;
    market.bid(second, &session, steps(0)).await;
    market.bid(first, &session, steps(1)).await;
    market.pass(market.stage.client.now().plus_seconds(FREE_SECONDS + TIMED_SECONDS)).await;
    market.until_session(&session, "SOLD").await;
    defaulted(market, &listing, &applications[0]).await;
    given_out(market, &applications[0]).await;
    market.until_listing(&listing, "BIDDING").await;
    defaulted(market, &listing, &applications[1]).await;
    market.until_listing(&listing, "UNSOLD").await;
}

/// While the lot is paused, on evidence, by two persons.
async fn excluded(market: &Market, session: &str, house: &House) {
    let (reviewer, qualifier) = (&market.staff.reviewer, &market.staff.qualifier);
    let conflict = declared(&market.university, house).await;
    let confirm = json!({ "conflictOfInterestId": conflict, "evidence": "股东名册" });
    made(reviewer, "confirmConflict", "conflictOfInterest", confirm).await;
    let pause = json!({ "sessionId": session, "reason": "核查利益冲突" });
    made(qualifier, "pauseBidding", "biddingSession", pause).await;
    for person in [qualifier, reviewer] {
        let out = json!({ "sessionId": session, "organizationId": house.id, "reason": "转让方控股子公司" });
        made(person, "excludeBidder", "bidderExclusion", out).await;
    }
    made(qualifier, "resumeBidding", "biddingSession", json!({ "sessionId": session })).await;
}

/// The present award is confirmed, and its winner does not sign.
async fn defaulted(market: &Market, listing: &Listed, application: &str) {
    let award = market.award(listing).await;
    market.confirmed(&award).await;
    market.until_application(application, "WON").await;
    let blame = json!({ "awardId": award["id"], "reason": "逾期未签约" });
    made(&market.staff.qualifier, "declareDefault", "award", blame).await;
    market.until_application(application, "FORFEITED").await;
}

/// Costs and the price gap by one cashier, two debts by another.
async fn given_out(market: &Market, application: &str) {
    let costs = json!({ "transferApplicationId": application, "costs": "1234.56" });
    let given = did(&market.staff.cashier, "distributeForfeit", "forfeiture { remainder }", costs).await;
    let rest = given.money_at("/remainder").unwrap();
    let debts = json!([
        { "organizationId": market.university.id, "amount": rest.minus(Money(1)).unwrap().to_string(), "ground": "约定违约金" },
        { "organizationId": market.buyers[2].id, "amount": Money(1).to_string(), "ground": "欠付评估费" },
    ]);
    let who = Who { zh: "复核", en: "second cashier" };
    let second = market.hub().await.hire(&market.stage, who, &["CASHIER"]).await.unwrap();
    let pay = json!({ "transferApplicationId": application, "debts": debts });
    made(&second, "payForfeitDebts", "forfeiture", pay).await;
}

/// Two experts are to score sealed offers.
async fn panel(exchange: &Exchange, market: &Market) {
    let criteria = json!([
        { "name": "报价", "kind": "PRICE", "weightBp": 5_000, "lowerIsBetter": false },
        { "name": "方案", "kind": "PANEL", "weightBp": 5_000, "lowerIsBetter": false },
    ]);
    let bidding = json!({ "mode": "EVALUATION", "criteria": criteria });
    let lot = SealedLot::scheduled((exchange, market), 2, bidding).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(expert(market).await.id().await.unwrap());
    }
    let appoint = json!({ "sessionId": lot.session, "personIds": ids });
    made(&market.staff.qualifier, "appointPanel", "biddingSession", appoint).await;
}
