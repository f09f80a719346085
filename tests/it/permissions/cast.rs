//! Everybody who could be, and one object of each kind that some may know of and some may not.

use exchange_tests::Exchange;
use jishi::demo::{
    Fields,
    cast::House,
    person::{Person, fresh_key},
    timeline::Who,
};
use kernel::Role;
use serde_json::{Value, json};
use strum::IntoEnumIterator;

use super::super::{
    agency::{Agency, did},
    hall::court::{Crew, JOURNAL},
    market::{FLOOR, Market, made},
};

/// Where somebody stands towards the objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nobody is signed in.
    Anonymous,
    /// Signed in, a member of nothing.
    Nobody,
    /// A member of the organizations that the objects belong to.
    Own,
    /// A member of another organization.
    Foreign,
    /// Staff of the hub, in whose charge the objects are.
    Hub,
    /// Staff of a branch that has nothing to do with them.
    Branch,
}

/// Somebody with one role in one place.
pub struct Persona {
    pub place: Place,
    pub role: Option<Role>,
    pub person: Option<Person>,
}

impl Persona {
    pub fn name(&self) -> String {
        let role: &'static str = self.role.map_or("-", Into::into);
        format!("{:?} {role}", self.place)
    }
}

/// The objects, by the name of the input field that names them.
pub struct World {
    pub market: Market,
    pub personas: Vec<Persona>,
    pub ids: Value,
    /// Objects that `node` finds: their type, their id, whether anyone may see them now.
    pub nodes: Vec<(&'static str, String, bool)>,
}

impl World {
    pub async fn build(exchange: &Exchange) -> World {
        let market = Market::open(exchange, 4).await;
        let (buyer, rival) = (&market.buyers[0], &market.buyers[1]);
        let mut ids = objects(&market, buyer, rival).await;
        let hub = market.hub().await;
        let centres = hub.person.glance("{ centres { organizationId tier } }", json!({})).await.unwrap();
        let centre = |tier: &str| {
            let all = centres["centres"].as_array().unwrap();
            all.iter().find(|centre| centre["tier"] == tier).unwrap()["organizationId"].as_str().unwrap().to_owned()
        };
        ids["parentId"] = json!(hub.id);
        ids["centreId"] = json!(centre("BRANCH"));
        let branch = branch(&market, &hub).await;
        hall(&market, &mut ids).await;
        let personas = personas(&market, [buyer, &market.buyers[3]], [&hub, &branch]).await;
        ids["personId"] = json!(market.broker.id().await.unwrap());
        let node = |kind, field: &str, public| (kind, ids[field].as_str().unwrap().to_owned(), public);
        let nodes = vec![
            node("Listing", "listingId", false),
            node("TransferApplication", "transferApplicationId", false),
            node("BiddingSession", "sessionId", true),
            node("Award", "awardId", false),
            node("Deal", "dealId", false),
            node("Contract", "contractId", false),
            node("LedgerAccount", "accountId", false),
            node("Investor", "investorId", false),
            node("FinancingProject", "financingProjectId", false),
            node("Mandate", "mandateId", false),
            node("Organization", "organizationId", true),
        ];
        World { personas, ids, nodes, market }
    }
}

/// A draft, a sold lot, a lot in bidding, a draft project, an investor, a mandate, an invitation and a conflict, all of
/// the university; the buyer is the other side where there is one.
async fn objects(market: &Market, buyer: &House, rival: &House) -> Value {
    let university = &market.university;
    let (sold, running) = (market.disclosed(market.draft()).await, market.disclosed(market.draft()).await);
    let sold_application = market.eligible(buyer, &sold).await;
    for bidder in [buyer, rival] {
        market.eligible(bidder, &running).await;
    }
    let (session, starts_at) = market.scheduled(&running).await;
    let deal = market.sold_to_sole(buyer, &sold).await;
    let award = market.award(&sold).await;
    market.pass(starts_at).await;
    let draft = made(&market.broker, "createListing", "listing", market.draft()).await;
    let read = "query A($id: ID!) { ledgerAccount(organizationId: $id) { id } }";
    let account = university.person.glance(read, json!({ "id": university.id })).await.unwrap();
    let investor = json!({
        "organizationId": university.id, "fields": ["NEW_MATERIALS"], "stages": ["PILOT"], "leastAmount": "1.00",
        "mostAmount": "2.00", "regions": ["51"],
    });
    let investor = did(&university.person, "registerInvestor", "investor { id }", investor).await;
    let project = json!({
        "organizationId": university.id, "title": "中试线", "teaser": "年产百兆瓦时", "details": "商业计划书全文",
        "kind": "EQUITY", "amount": "500.00", "field": "NEW_ENERGY", "stage": "PILOT", "region": "510100",
    });
    let project = did(&university.person, "createFinancingProject", "financingProject { id }", project).await;
    let interest = interest(market, rival).await;
    let invitation = university.invite("nobody-yet", &["BIDDER"]).await.unwrap();
    let conflict =
        json!({ "organizationId": university.id, "otherOrganizationId": buyer.id, "nature": "同一控制人 one owner" });
    let conflict = did(&university.person, "declareConflict", "conflictOfInterest { id }", conflict).await;
    let (mandate, credential, broker) = mandate(market).await;
    json!({
        "organizationId": university.id, "otherOrganizationId": rival.id, "principalId": university.id,
        "agencyId": rival.id, "brokerId": broker, "listingId": draft["id"], "soldListingId": sold.id,
        "transferApplicationId": sold_application, "sessionId": session, "awardId": award["id"], "dealId": deal["id"],
        "contractId": deal["contractId"], "accountId": account["ledgerAccount"]["id"], "investorId": investor["id"],
        "financingProjectId": project["id"], "invitationId": invitation, "conflictOfInterestId": conflict["id"],
        "mandateId": mandate, "interestId": interest, "brokerCredentialId": credential,
    })
}

/// A rival's interest in an open project of the university.
async fn interest(market: &Market, rival: &House) -> String {
    let (university, reviewer) = (&market.university, &market.staff.reviewer);
    let project = json!({
        "organizationId": university.id, "title": "二期", "teaser": "扩产", "details": "二期商业计划书", "kind": "EQUITY",
        "amount": "500.00", "field": "NEW_ENERGY", "stage": "PILOT", "region": "510100",
    });
    let project = did(&university.person, "createFinancingProject", "financingProject { id }", project).await;
    let project = json!({ "financingProjectId": project["id"] });
    did(reviewer, "publishFinancingProject", "financingProject { id }", project.clone()).await;
    let investor = json!({
        "organizationId": rival.id, "fields": ["NEW_ENERGY"], "stages": ["PILOT"], "leastAmount": "1.00",
        "mostAmount": "999.00", "regions": ["51"],
    });
    let investor = did(&rival.person, "registerInvestor", "investor { id }", investor).await;
    let verdict = json!({ "investorId": investor["id"], "approve": true, "evidence": "备案证明 filed" });
    did(reviewer, "verifyInvestor", "investor { id }", verdict).await;
    let interest = json!({
        "financingProjectId": project["financingProjectId"], "investorId": investor["id"], "acceptNda": true,
    });
    text(&did(&rival.person, "expressInterest", "interest { id }", interest).await)
}

/// A mandate of the university, offered to a broker of an agency; the mandate, the credential, the broker.
async fn mandate(market: &Market) -> (String, String, String) {
    let agency = Agency::come_in(market, "剑南技术转移中心", &["ADMINISTRATOR", "SIGNATORY"]).await;
    let credential = agency.certified(market, 900).await;
    let mandate = agency.offered(market, agency.offer(market)).await;
    (mandate, credential, agency.broker_id)
}

/// A hall session of the running lot, and its terminal, of which a line conflicts: nobody has its paddle.
async fn hall(market: &Market, ids: &mut Value) {
    let session = ids["sessionId"].as_str().unwrap().to_owned();
    let crew = Crew::gather(market).await;
    let hall = crew.opened(&session).await;
    let mut terminal = crew.terminal(&hall, 1, &session).await;
    terminal.note((7, FLOOR, "FLOOR"), market.stage.client.now());
    let upload = did(&crew.clerk, "uploadHallJournal", JOURNAL, terminal.journal(0)).await;
    assert_eq!(upload["entries"][0]["conflict"], "NO_PADDLE");
    ids["hallSessionId"] = json!(hall);
    ids["deviceId"] = json!(terminal.id);
}

async fn branch(market: &Market, hub: &House) -> House {
    let input = json!({
        "parentId": hub.id, "tier": "BRANCH", "name": format!("示例分中心{}", fresh_key()),
        "usci": jishi::demo::cast::fresh_usci("12"), "region": "530100", "legalRepresentative": "李示例",
    });
    let centre = did(&hub.person, "openCentre", "centre { organizationId }", input).await;
    let id = centre.text_at("/organizationId").unwrap().to_owned();
    let person = Person::seeded(&market.stage.client, Who { zh: "中心", en: "centre" }, "centre");
    House { id, name: String::new(), person }
}

/// One person for each role in each place. The own ones belong to both sides of the deal.
async fn personas(market: &Market, [buyer, foreign]: [&House; 2], [hub, branch]: [&House; 2]) -> Vec<Persona> {
    let nobody = Person::new(&market.stage.client, WHO, fresh_login(), PASSWORD);
    nobody.sign_up("无所属 nobody").await.unwrap();
    let mut personas = vec![
        Persona { place: Place::Anonymous, role: None, person: None },
        Persona { place: Place::Nobody, role: None, person: Some(nobody) },
    ];
    for role in Role::iter() {
        let name: &'static str = role.into();
        let centres: [(Place, &[&House]); 2] = [(Place::Hub, &[hub]), (Place::Branch, &[branch])];
        let sides: [(Place, &[&House]); 2] = [(Place::Own, &[&market.university, buyer]), (Place::Foreign, &[foreign])];
        let centres = centres.into_iter().filter(|_| role.is_staff() || role == Role::Administrator);
        for (place, houses) in centres.chain(sides.into_iter().filter(|_| !role.is_staff())) {
            let [first, others @ ..] = houses else { continue };
            let person = first.hire(&market.stage, WHO, &[name]).await.unwrap();
            if matches!(place, Place::Hub | Place::Branch) {
                // Whatever is done for a centre takes a second factor, its administration too.
                person.take_up(&["REVIEWER"]).await.unwrap();
            }
            for other in others {
                person.accept(&other.invite(&person.login, &[name]).await.unwrap()).await.unwrap();
            }
            personas.push(Persona { place, role: Some(role), person: Some(person) });
        }
    }
    personas
}

const WHO: Who = Who { zh: "某人", en: "somebody" };
const PASSWORD: &str = "a password of 24 letters";

fn fresh_login() -> String {
    format!("p-{}", fresh_key())
}

fn text(object: &Value) -> String {
    object.text_at("/id").unwrap().to_owned()
}
