//! An exchange with people at work: what several stories need before their own begins. Everything goes through the
//! public API; waiting ends with what is waited for.

use exchange_tests::Exchange;
use jishi::demo::{
    Fields,
    cast::{House, Plan, Staff},
    client::Door,
    person::Person,
    stage::Stage,
    timeline::{Silent, Who},
};
use kernel::{Instant, Money};
use serde_json::{Value, json};

pub const FLOOR: Money = Money(50_000_000);
pub const DEPOSIT: Money = Money(10_000_000);
pub const INCREMENT: Money = Money(1_000_000);
pub const FREE_SECONDS: i64 = 600;
pub const TIMED_SECONDS: i64 = 120;

const ENTERPRISE: &[&str] = &["ADMINISTRATOR", "BIDDER", "SIGNATORY"];
const BUYERS: [(&str, &str); 5] = [
    ("甲", "绵阳涪江电子有限公司"),
    ("乙", "成都东部新材料有限公司"),
    ("丙", "泸州长江化工有限公司"),
    ("丁", "达州巴渠机械有限公司"),
    ("戊", "乐山沫若光电有限公司"),
];

/// A university that sells, companies that buy, and the centre's staff.
pub struct Market {
    pub stage: Stage<'static>,
    pub staff: Staff,
    pub university: House,
    pub broker: Person,
    pub signatory: Person,
    pub buyers: Vec<House>,
}

/// A listing that has been disclosed.
pub struct Listed {
    pub id: String,
    pub ends_at: Instant,
}

pub fn door(exchange: &Exchange) -> Door {
    Door::at(exchange.http.trim_start_matches("http://"))
}

impl Market {
    /// Lets everybody in.
    pub async fn open(exchange: &Exchange, buyers: usize) -> Market {
        let stage = Stage::new(door(exchange), &Silent).await.unwrap();
        let staff = Staff::gather(&stage).await.unwrap();
        let university = Plan {
            who: Who { zh: "高校", en: "university" },
            name: "涪江科技大学",
            kind: "UNIVERSITY",
            authority: "12",
            roles: &["ADMINISTRATOR"],
        };
        let buyer = |(zh, name)| Plan {
            who: Who { zh, en: "buyer" },
            name,
            kind: "ENTERPRISE",
            authority: "91",
            roles: ENTERPRISE,
        };
        let mut plans = vec![university];
        plans.extend(BUYERS.into_iter().take(buyers).map(buyer));
        let mut buyers = staff.admit(&stage, &plans).await.unwrap();
        let university = buyers.remove(0);
        let broker = university.hire(&stage, Who { zh: "经纪人", en: "broker" }, &["TRANSFEROR"]).await.unwrap();
        let signatory = university.hire(&stage, Who { zh: "签约人", en: "signatory" }, &["SIGNATORY"]).await.unwrap();
        Market { stage, staff, university, broker, signatory, buyers }
    }

    /// The hub, by its administrator.
    pub async fn hub(&self) -> House {
        let person = Person::seeded(&self.stage.client, Who { zh: "中心", en: "centre" }, "centre");
        let read = person.glance("{ centres { organizationId tier } }", json!({})).await.unwrap();
        let hub = read["centres"].as_array().unwrap().iter().find(|centre| centre["tier"] == "HUB").unwrap();
        House { id: hub.text_at("/organizationId").unwrap().to_owned(), name: String::new(), person }
    }

    /// A listing that breaks no rule.
    pub fn draft(&self) -> Value {
        json!({
            "organizationId": self.university.id, "title": "高镍三元前驱体连续共沉淀工艺",
            "summary": "单釜连续共沉淀，振实密度 2.1 g/cm³，已通过公斤级试验。", "field": "NEW_MATERIALS", "stage": "PILOT",
            "conversionMode": "TRANSFER", "saleMethod": "ONLINE_BIDDING", "floorPrice": FLOOR.to_string(),
            "deposit": DEPOSIT.to_string(), "increment": INCREMENT.to_string(), "disclosureDays": 5,
            "freeSeconds": FREE_SECONDS, "timedSeconds": TIMED_SECONDS, "secret": false,
        })
    }

    /// Drafts, hands in and discloses.
    pub async fn disclosed(&self, draft: Value) -> Listed {
        self.disclosed_by(&self.broker, draft).await
    }

    /// Drafted and handed in by somebody who may, and disclosed.
    pub async fn disclosed_by(&self, broker: &Person, draft: Value) -> Listed {
        let id = made(broker, "createListing", "listing", draft).await.text_at("/id").unwrap().to_owned();
        made(broker, "submitListing", "listing", json!({ "listingId": id })).await;
        self.approved(id).await
    }

    /// Approved by the reviewer, and so disclosed.
    pub async fn approved(&self, id: String) -> Listed {
        let input = json!({ "listingId": id, "decision": "APPROVE" });
        let selection = "listing { id status disclosureEndsAt }";
        let listing = self.staff.reviewer.act("reviewListing", selection, input).await.unwrap();
        assert_eq!(listing["status"], "DISCLOSED");
        Listed { id, ends_at: listing.instant_at("/disclosureEndsAt").unwrap() }
    }

    /// Applies; the application's id.
    pub async fn apply(&self, buyer: &House, listing: &Listed) -> String {
        let input = json!({ "listingId": listing.id, "organizationId": buyer.id });
        let application = made(&buyer.person, "applyForTransfer", "transferApplication", input).await;
        application.text_at("/id").unwrap().to_owned()
    }

    /// Applies and is qualified: the deposit is due.
    pub async fn qualified(&self, buyer: &House, listing: &Listed) -> String {
        let application = self.apply(buyer, listing).await;
        let input = json!({ "transferApplicationId": application, "approve": true });
        made(&self.staff.qualifier, "reviewTransferApplication", "transferApplication", input).await;
        application
    }

    /// Applies, is qualified and pays: the buyer may bid.
    pub async fn eligible(&self, buyer: &House, listing: &Listed) -> String {
        let application = self.qualified(buyer, listing).await;
        self.staff.receive(&self.stage, buyer, DEPOSIT).await.unwrap();
        made(&buyer.person, "payDeposit", "deposit", json!({ "transferApplicationId": application })).await;
        self.until_application(&application, "ELIGIBLE").await;
        application
    }

    /// The anonymous code of an applicant that may bid.
    pub async fn code(&self, buyer: &House, application: &str) -> String {
        let query = "query A($id: ID!) { transferApplication(id: $id) { bidderCode } }";
        let read = buyer.person.glance(query, json!({ "id": application })).await.unwrap();
        read.text_at("/transferApplication/bidderCode").unwrap().to_owned()
    }

    /// Waits until the application stands there: the step comes as an event.
    pub async fn until_application(&self, id: &str, status: &str) {
        let query = "query A($id: ID!) { transferApplication(id: $id) { status } }";
        self.until(query, json!({ "id": id }), "/transferApplication/status", status).await;
    }

    /// Waits until the listing stands there.
    pub async fn until_listing(&self, listing: &Listed, status: &str) {
        let query = "query L($id: ID!) { listing(id: $id) { status } }";
        self.until(query, json!({ "id": listing.id }), "/listing/status", status).await;
    }

    /// Waits until the session stands there.
    pub async fn until_session(&self, id: &str, status: &str) {
        let query = "query S($id: ID!) { biddingSession(id: $id) { status } }";
        self.until(query, json!({ "id": id }), "/biddingSession/status", status).await;
    }

    async fn until(&self, query: &str, variables: Value, pointer: &str, expected: &str) {
        let ask = || async {
            let read = self.staff.qualifier.glance(query, variables.clone()).await?;
            Ok(read.pointer(pointer).is_some_and(|found| found == expected).then_some(()))
        };
        self.stage.until(expected, ask).await.unwrap();
    }

    /// Lets time pass. Logins that ran out are renewed when they are next needed.
    pub async fn pass(&self, to: Instant) {
        self.stage.client.move_clock(to).await.unwrap();
    }

    /// Ends the disclosure and schedules the bidding for an hour later; the session's id and its start.
    pub async fn scheduled(&self, listing: &Listed) -> (String, Instant) {
        self.pass(listing.ends_at).await;
        let starts_at = listing.ends_at.plus_seconds(3_600);
        let input = json!({ "listingId": listing.id, "startsAt": starts_at.to_string() });
        let session = made(&self.staff.qualifier, "scheduleBidding", "biddingSession", input).await;
        self.until_listing(listing, "BIDDING").await;
        (session.text_at("/id").unwrap().to_owned(), starts_at)
    }

    /// Reaches the free period.
    pub async fn bidding(&self, listing: &Listed) -> String {
        let (session, starts_at) = self.scheduled(listing).await;
        self.pass(starts_at).await;
        self.until_session(&session, "FREE").await;
        session
    }

    /// The award of a listing, once there.
    pub async fn award(&self, listing: &Listed) -> Value {
        let query = "query W($id: ID!) { award(listingId: $id) { id status price winnerId sessionId } }";
        let ask = || async {
            let read = self.staff.reviewer.glance(query, json!({ "id": listing.id })).await?;
            Ok(read.pointer("/award").filter(|award| !award.is_null()).cloned())
        };
        self.stage.until("award", ask).await.unwrap()
    }

    /// Every award of a listing that somebody sees.
    pub async fn awards(&self, reader: &Person, listing: &Listed) -> Vec<Value> {
        let query = "query W($id: ID!) { awards(listingId: $id) { id status price winnerId } }";
        let read = reader.glance(query, json!({ "id": listing.id })).await.unwrap();
        read["awards"].as_array().unwrap().clone()
    }

    /// Two persons confirm an award.
    pub async fn confirmed(&self, award: &Value) {
        for person in [&self.staff.reviewer, &self.staff.qualifier] {
            made(person, "confirmAward", "award", json!({ "awardId": award["id"] })).await;
        }
    }

    /// The deal of a confirmed award, once there; one that a default cancelled is none.
    pub async fn deal(&self, listing: &Listed) -> Value {
        let query = "query D($id: ID!) { deal(listingId: $id) { id status price contractId } }";
        let ask = || async {
            let read = self.staff.reviewer.glance(query, json!({ "id": listing.id })).await?;
            let stands = |deal: &&Value| !deal.is_null() && deal["status"] != "CANCELLED";
            Ok(read.pointer("/deal").filter(stands).cloned())
        };
        self.stage.until("deal", ask).await.unwrap()
    }

    /// The only eligible buyer takes the listing at the floor, and two confirm: the deal.
    pub async fn sold_to_sole(&self, buyer: &House, listing: &Listed) -> Value {
        let input = json!({ "listingId": listing.id, "organizationId": buyer.id, "price": FLOOR.to_string() });
        let award = made(&buyer.person, "quoteAsSoleBidder", "award", input).await;
        for person in [&self.staff.reviewer, &self.staff.qualifier] {
            made(person, "confirmAward", "award", json!({ "awardId": award["id"] })).await;
        }
        self.deal(listing).await
    }

    /// Both sides sign the text that they read.
    pub async fn signed(&self, buyer: &House, contract: &Value) {
        let read = buyer
            .person
            .glance("query C($id: ID!) { contract(id: $id) { documentHash } }", json!({ "id": contract }))
            .await;
        let hash = read.unwrap()["contract"]["documentHash"].clone();
        for (person, side) in [(&self.signatory, &self.university.id), (&buyer.person, &buyer.id)] {
            let input = json!({ "contractId": contract, "organizationId": side, "documentHash": hash });
            made(person, "signContract", "contract", input).await;
        }
    }

    /// From the deal to where it may be settled: signed, registered, the money there.
    pub async fn payable(&self, buyer: &House, deal: &Value) {
        self.registered(buyer, deal).await;
        let rest = deal.money_at("/price").unwrap().minus(DEPOSIT).unwrap();
        self.staff.receive(&self.stage, buyer, rest).await.unwrap();
    }

    /// Both sides sign, and the contract is registered.
    pub async fn registered(&self, buyer: &House, deal: &Value) {
        self.signed(buyer, &deal["contractId"]).await;
        let input = json!({
            "contractId": deal["contractId"], "kind": "ASSIGNMENT", "contractAmount": deal["price"], "technicalAmount": deal["price"],
        });
        made(&self.staff.registrar, "registerContract", "contract", input).await;
    }

    /// From the deal to the end: signed, registered, paid, settled.
    pub async fn settled(&self, buyer: &House, listing: &Listed, deal: &Value) -> Value {
        self.payable(buyer, deal).await;
        self.settle(listing, deal).await
    }

    /// The cashier settles what is payable.
    pub async fn settle(&self, listing: &Listed, deal: &Value) -> Value {
        let selection = "settlement { price fee paidToTransferor depositApplied depositsReleased }";
        let settlement = self.staff.cashier.act("settle", selection, json!({ "dealId": deal["id"] })).await.unwrap();
        self.until_listing(listing, "SETTLED").await;
        settlement
    }

    /// An organization's balance and what of it is held, as its own person reads them.
    pub async fn account(&self, house: &House) -> (Money, Money) {
        let query = "query G($id: ID!) { ledgerAccount(organizationId: $id) { balance held } }";
        let read = house.person.glance(query, json!({ "id": house.id })).await.unwrap();
        (read.money_at("/ledgerAccount/balance").unwrap(), read.money_at("/ledgerAccount/held").unwrap())
    }

    /// The ledger holds together (promise P-4).
    pub async fn ledger_is_sound(&self) {
        let query = "{ trialBalance { total faultyAccounts } }";
        let read = self.staff.cashier.glance(query, json!({})).await.unwrap();
        assert_eq!(read["trialBalance"], json!({ "total": "0.00", "faultyAccounts": 0 }));
    }
}

/// Does something that is not refused; what it yields.
pub async fn made(person: &Person, verb: &str, object: &str, input: Value) -> Value {
    let fields = match object {
        "deal" | "listing" | "transferApplication" | "award" | "contract" | "deposit" | "biddingSession" => "id status",
        _ => "__typename",
    };
    person
        .act(verb, &format!("{object} {{ {fields} {} }}", if object == "deposit" { "amount" } else { "" }), input)
        .await
        .unwrap()
}
