//! Organizations, the tree of centres, and the people in both: who decides about whom, and what stops at once.

use std::path::Path;

use exchange_tests::{Exchange, Lane, binary};
use futures::future::{join, join_all};
use jishi::demo::{
    Fields,
    cast::{House, fresh_login, fresh_usci},
    client::Operation,
    person::Person,
    timeline::Who,
};
use serde_json::{Value, json};

use super::{
    market::{Market, made},
    refusal::{no, read, reads_as_missing, refused, refused_as_missing, tried, unknown, with},
};

lanes! { coming_in_and_resting centres people }

const PASSWORD: &str = "correct horse battery";
const SEEN: &str = "query O($id: ID!) { organization(id: $id) { name status evidence centreId region industry legalRepresentative nameWarnings { kind organizationId name } } }";

async fn newcomer(market: &Market, login: &str) -> Person {
    let who = Who { zh: "新人", en: "newcomer" };
    let person = Person::new(&market.stage.client, who, login, PASSWORD);
    person.sign_up("杨新").await.unwrap();
    person
}

fn staff(market: &Market, login: &str) -> Person {
    Person::seeded(&market.stage.client, Who { zh: "工作人员", en: "staff" }, login)
}

fn application(name: &str) -> Value {
    json!({
        "name": name, "kind": "ENTERPRISE", "usci": fresh_usci("91"), "region": "510100", "legalRepresentative": "杨新",
        "industry": "C3976",
    })
}

/// Applies; the organization with whoever applied.
async fn applied(market: &Market, input: Value) -> House {
    let person = newcomer(market, &fresh_login()).await;
    let selection = "organization { id name status availableTransitions }";
    let made = person.act("registerOrganization", selection, input).await.unwrap();
    assert_eq!(made["status"], "APPLIED");
    House { id: made.text_at("/id").unwrap().into(), name: made.text_at("/name").unwrap().into(), person }
}

async fn seen(person: &Person, id: &str) -> Value {
    read(person, SEEN, id).await["data"]["organization"].clone()
}

fn verdict(id: &str, approve: bool) -> Value {
    json!({ "organizationId": id, "approve": approve, "evidence": "营业执照与代码证书一致" })
}

fn because(id: &str) -> Value {
    json!({ "organizationId": id, "reason": "年报未按期公示" })
}

async fn stands(person: &Person, verb: &str, input: Value) -> String {
    made(person, verb, "organization", input.clone()).await;
    seen(person, input["organizationId"].as_str().unwrap()).await["status"].as_str().unwrap_or_default().to_owned()
}

async fn coming_in_and_resting(exchange: Exchange) {
    let market = Market::open(&exchange, 1).await;
    let (reviewer, qualifier) = (&market.staff.reviewer, &market.staff.qualifier);
    let [buyer] = &market.buyers[..] else { panic!() };
    look_alikes(&market).await;

    // Roles rest from the very next request on, and come back.
    let own = with(&market.draft(), "organizationId", buyer.id.clone());
    let listing = json!({ "organizationId": buyer.id, "login": "somebody", "roles": ["BIDDER"] });
    let rests = no("ORGANIZATION_NOT_VERIFIED", "organizationId");
    made(&buyer.person, "createListing", "listing", own.clone()).await;
    refused(qualifier, "suspendOrganization", because(&buyer.id), no("FORBIDDEN", "").accepting("REVIEWER")).await;
    refused(&buyer.person, "suspendOrganization", because(&buyer.id), no("FORBIDDEN", "").accepting("REVIEWER")).await;
    assert_eq!(stands(reviewer, "suspendOrganization", because(&buyer.id)).await, "SUSPENDED");
    refused(&buyer.person, "createListing", own.clone(), rests).await;
    refused(&buyer.person, "inviteMember", listing, rests).await;
    refused(&buyer.person, "closeOrganization", because(&buyer.id), rests).await;
    refused(reviewer, "verifyOrganization", verdict(&buyer.id, true), no("ILLEGAL_TRANSITION", "organizationId")).await;
    assert_eq!(seen(&market.broker, &buyer.id).await["status"], "SUSPENDED", "its deals remain explainable");
    assert_eq!(seen(&market.broker, &buyer.id).await["evidence"], "", "others do not learn why");
    assert_eq!(seen(&buyer.person, &buyer.id).await["evidence"], "年报未按期公示");
    assert_eq!(stands(reviewer, "reinstateOrganization", because(&buyer.id)).await, "VERIFIED");
    made(&buyer.person, "createListing", "listing", own.clone()).await;

    // Closed for good; the code is free for another record.
    let code = read(&buyer.person, "query U($id: ID!) { organization(id: $id) { usci } }", &buyer.id).await;
    refused(&market.broker, "closeOrganization", because(&buyer.id), no("FORBIDDEN", "").accepting("REVIEWER")).await;
    assert_eq!(stands(&buyer.person, "closeOrganization", because(&buyer.id)).await, "CLOSED");
    refused(&buyer.person, "createListing", own, rests).await;
    refused(reviewer, "reinstateOrganization", because(&buyer.id), no("ILLEGAL_TRANSITION", "organizationId")).await;
    let again = with(&application("又来实业有限公司"), "usci", code["data"]["organization"]["usci"].clone());
    let again = applied(&market, again).await;
    made(&again.person, "closeOrganization", "organization", because(&again.id)).await;
    reads_as_missing(&market.broker, SEEN, &again.id).await;
}

/// Who judges is warned of names like others; nobody else learns of it.
async fn look_alikes(market: &Market) {
    let (reviewer, university) = (&market.staff.reviewer, &market.university);
    let twin = applied(market, application(&university.name.replace('（', "(").replace('）', ")"))).await;
    let near = applied(market, application(&university.name.replace("科技", "科枝"))).await;
    let other = applied(market, application("沱江水文仪器有限公司")).await;
    for (house, kind) in [(&twin, "HOMOGLYPH"), (&near, "NEARLY_SAME")] {
        let warnings = seen(reviewer, &house.id).await["nameWarnings"].clone();
        let found = warnings.as_array().unwrap().iter().find(|warning| warning["organizationId"] == university.id);
        assert_eq!(found.unwrap()["kind"], kind, "{warnings}");
        for person in [&house.person, &market.staff.qualifier] {
            let organization = seen(person, &house.id).await;
            assert_eq!(organization["nameWarnings"], json!([]), "{organization}");
            assert_eq!((&organization["region"], &organization["industry"]), (&json!("510100"), &json!("C3976")));
        }
        reads_as_missing(&market.broker, SEEN, &house.id).await;
    }
    assert_eq!(seen(reviewer, &other.id).await["nameWarnings"], json!([]));
    let listed = "{ organizations(status: APPLIED, first: 50) { edges { node { id nameWarnings { kind } } } } }";
    let edges = reviewer.glance(listed, json!({})).await.unwrap()["organizations"]["edges"].clone();
    let warned = |edge: &&Value| edge["node"]["nameWarnings"] != json!([]);
    assert_eq!(edges.as_array().unwrap().iter().filter(warned).count(), 2, "{edges}");
    let edges = other.person.glance(listed, json!({})).await.unwrap()["organizations"]["edges"].clone();
    assert_eq!(edges.as_array().unwrap().len(), 1, "{edges}");
}

const TREE: &str = "{ centres { organizationId tier parentId status organization { name } } }";

async fn centre(market: &Market, name: &str) -> Value {
    let read = market.broker.glance(TREE, json!({})).await.unwrap();
    let named = |centre: &&Value| centre["organization"]["name"].as_str().unwrap().contains(name);
    read["centres"].as_array().unwrap().iter().rfind(named).unwrap_or_else(|| panic!("{name}: {read}")).clone()
}

/// The code of the error that a query about `id` ends with.
async fn denied(person: &Person, query: &str, id: &str) -> String {
    let answer = read(person, query, id).await;
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

const TOTALS: &str = "query T($id: ID!) { centreTotals(centreId: $id) { organizations listings deals } }";
const MEMBERS: &str = "query M($id: ID!) { members(organizationId: $id) { edges { node { personId name roles } } } }";

async fn centres(exchange: Exchange) {
    let market = Market::open(&exchange, 0).await;
    let branch = centre(&market, "重庆分中心").await;
    let (hub, branch) = (branch.text_at("/parentId").unwrap(), branch.text_at("/organizationId").unwrap());
    let [judge, elsewhere, chief, head] =
        ["cq-reviewer", "yn-reviewer", "cq-centre", "centre"].map(|login| staff(&market, login));
    let far = applied(&market, with(&application("巫峡航运科技有限公司"), "centreId", branch)).await;
    let near = applied(&market, application("岷江航运科技有限公司")).await;

    // A branch reaches what is in its care, the hub reaches everything; what lies elsewhere is not there.
    for (stranger, house) in [(&judge, &near), (&elsewhere, &far)] {
        refused_as_missing(stranger, "verifyOrganization", verdict(&house.id, true), "organizationId").await;
        reads_as_missing(stranger, SEEN, &house.id).await;
    }
    refused_as_missing(&judge, "suspendOrganization", because(&market.university.id), "organizationId").await;
    assert_eq!(seen(&market.staff.reviewer, &far.id).await["centreId"], branch);
    assert_eq!(stands(&judge, "verifyOrganization", verdict(&far.id, true)).await, "VERIFIED");
    assert_eq!(stands(&market.staff.reviewer, "verifyOrganization", verdict(&near.id, true)).await, "VERIFIED");
    refused_as_missing(&elsewhere, "suspendOrganization", because(&far.id), "organizationId").await;

    let total = read(&judge, TOTALS, branch).await["data"]["centreTotals"]["organizations"].clone();
    let all = read(&market.staff.reviewer, TOTALS, hub).await["data"]["centreTotals"]["organizations"].clone();
    assert!(total == 1 && all.as_i64().unwrap() >= 3, "{total} of {all}");
    assert_eq!(denied(&judge, TOTALS, hub).await, "NOT_FOUND");
    assert_eq!(denied(&judge, TOTALS, &unknown("organization")).await, "NOT_FOUND");
    assert_eq!(denied(&far.person, TOTALS, branch).await, "FORBIDDEN");
    growing(&market, (hub, branch), [&judge, &chief, &head], &far).await;
}

/// A workstation comes and goes below a branch, and then the branch itself goes.
async fn growing(market: &Market, (hub, branch): (&str, &str), [judge, chief, head]: [&Person; 3], far: &House) {
    let station = json!({
        "parentId": branch, "tier": "WORKSTATION", "name": "万州工作站（示例）", "usci": fresh_usci("12"),
        "region": "500101", "legalRepresentative": "杨新",
    });
    refused(judge, "openCentre", station.clone(), no("FORBIDDEN", "").accepting("ADMINISTRATOR")).await;
    refused_as_missing(chief, "openCentre", with(&station, "parentId", hub), "parentId").await;
    let tier = no("ILLEGAL_TRANSITION", "tier").accepting("WORKSTATION");
    refused(chief, "openCentre", with(&station, "tier", "BRANCH"), tier).await;
    let opened =
        chief.act("openCentre", "centre { organizationId tier parentId status }", station.clone()).await.unwrap();
    let below = opened.text_at("/organizationId").unwrap();
    assert_eq!((&opened["parentId"], &opened["tier"]), (&json!(branch), &json!("WORKSTATION")));
    refused(chief, "openCentre", station.clone(), no("ALREADY_EXISTS", "usci")).await;
    let deeper = with(&with(&station, "parentId", below), "usci", fresh_usci("12"));
    refused(chief, "openCentre", deeper, no("ILLEGAL_TRANSITION", "tier")).await;
    let members = read(head, MEMBERS, below).await["data"]["members"]["edges"].clone();
    assert_eq!(members[0]["node"]["roles"], json!(["ADMINISTRATOR"]), "who opened it administers it");
    assert_eq!(denied(judge, MEMBERS, below).await, "NOT_FOUND");

    // The branch reaches what is in the care of its workstation.
    let assign = |to: &str| json!({ "organizationId": far.id, "centreId": to });
    refused_as_missing(chief, "assignCentre", assign(hub), "centreId").await;
    refused(judge, "assignCentre", assign(below), no("FORBIDDEN", "").accepting("ADMINISTRATOR")).await;
    made(chief, "assignCentre", "organization", assign(below)).await;
    assert_eq!(stands(judge, "suspendOrganization", because(&far.id)).await, "SUSPENDED");
    assert_eq!(stands(judge, "reinstateOrganization", because(&far.id)).await, "VERIFIED");
    assert_eq!(read(judge, TOTALS, branch).await["data"]["centreTotals"]["organizations"], 1);

    let close = |id: &str| json!({ "centreId": id, "reason": "并入上级中心" });
    refused(head, "closeCentre", close(branch), no("ILLEGAL_TRANSITION", "centreId")).await;
    refused(head, "closeCentre", close(hub), no("ILLEGAL_TRANSITION", "centreId")).await;
    refused(chief, "closeCentre", close(branch), no("NOT_FOUND", "centreId")).await;
    refused(head, "closeOrganization", because(branch), no("FORBIDDEN", "").accepting("REVIEWER")).await;
    let answer = tried(&market.staff.reviewer, "closeOrganization", because(branch)).await;
    let kept = &answer["data"]["closeOrganization"]["userErrors"][0];
    assert_eq!((&kept["code"], &kept["accepted"]), (&json!("ILLEGAL_TRANSITION"), &json!("closeCentre")));
    made(chief, "closeCentre", "centre", close(below)).await;
    assert_eq!(seen(&far.person, &far.id).await["centreId"], branch);
    let late = with(&application("来迟了有限公司"), "centreId", below);
    refused(&far.person, "registerOrganization", late, no("NOT_FOUND", "centreId")).await;
    made(head, "closeCentre", "centre", close(branch)).await;
    assert_eq!(seen(&far.person, &far.id).await["centreId"], hub);
    refused(judge, "suspendOrganization", because(&far.id), no("FORBIDDEN", "").accepting("REVIEWER")).await;
    assert_eq!(centre(market, "重庆分中心").await["status"], "CLOSED");
}

const INVITED: &str = "invitation { id organizationId roles status createdAt expiresAt }";

async fn people(exchange: Exchange) {
    let market = Market::open(&exchange, 0).await;
    let (university, rector) = (&market.university, &market.university.person);
    let known = newcomer(&market, &fresh_login()).await;
    let (late, bystander) = (fresh_login(), newcomer(&market, &fresh_login()).await);
    let offer = |login: &str, roles: Value| json!({ "organizationId": university.id, "login": login, "roles": roles });

    // Whether anybody has the login makes no difference.
    let both = [known.login.as_str(), &late]
        .map(|login| rector.act("inviteMember", INVITED, offer(login, json!(["TRANSFEROR"]))));
    let both: Vec<Value> = join_all(both).await.into_iter().map(Result::unwrap).collect();
    for invitation in &both {
        assert_eq!((&invitation["status"], &invitation["roles"]), (&json!("PENDING"), &json!(["TRANSFEROR"])));
    }
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&both[0]), fields(&both[1]));
    refused(rector, "inviteMember", offer(&late, json!(["REVIEWER"])), no("INVALID_INPUT", "roles")).await;
    refused(rector, "inviteMember", offer(&late, json!([])), no("REQUIRED", "roles")).await;
    refused_as_missing(&bystander, "inviteMember", offer(&late, json!(["BROKER"])), "organizationId").await;
    refused(&market.broker, "inviteMember", offer(&late, json!(["BROKER"])), no("FORBIDDEN", "organizationId")).await;

    // It is for whom it was made, and counts at once.
    let take = |at: usize| json!({ "invitationId": both[at]["id"], "accept": true });
    refused_as_missing(&bystander, "answerInvitation", take(0), "invitationId").await;
    refused_as_missing(&bystander, "revokeInvitation", json!({ "invitationId": both[0]["id"] }), "invitationId").await;
    refused_as_missing(&known, "createListing", market.draft(), "organizationId").await;
    made(&known, "answerInvitation", "invitation", take(0)).await;
    made(&known, "createListing", "listing", market.draft()).await;
    refused(&known, "answerInvitation", take(0), no("ILLEGAL_TRANSITION", "invitationId")).await;
    let comer = newcomer(&market, &late).await;
    let own = "{ invitations { edges { node { id status organization { name } } } } }";
    let waiting = comer.glance(own, json!({})).await.unwrap();
    assert_eq!(waiting["invitations"]["edges"][0]["node"]["organization"]["name"], university.name);
    made(&comer, "answerInvitation", "invitation", take(1)).await;
    let members = read(rector, MEMBERS, &university.id).await["data"]["members"]["edges"].as_array().unwrap().clone();
    assert!(members.iter().any(|member| member["node"]["name"] == "杨新"), "{members:?}");
    assert_eq!(denied(&known, MEMBERS, &university.id).await, "FORBIDDEN");
    assert_eq!(
        denied(&bystander, MEMBERS, &university.id).await,
        denied(&bystander, MEMBERS, &unknown("organization")).await
    );

    administrators(&market, &known).await;
    running_out(&market, &bystander).await;
}

/// One administrator always stays, however many step down at once.
async fn administrators(market: &Market, second: &Person) {
    let (university, rector) = (&market.university, &market.university.person);
    let ids = [rector.id().await.unwrap(), second.id().await.unwrap()];
    let roles =
        |at: usize, roles: Value| json!({ "organizationId": university.id, "personId": ids[at], "roles": roles });
    let leave = |at: usize| json!({ "organizationId": university.id, "personId": ids[at] });
    let last = no("LAST_ADMINISTRATOR", "personId");
    refused(rector, "changeMemberRoles", roles(0, json!(["TRANSFEROR"])), last).await;
    refused(rector, "removeMember", leave(0), last).await;
    refused(second, "changeMemberRoles", roles(0, json!(["BROKER"])), no("FORBIDDEN", "organizationId")).await;
    refused(second, "removeMember", leave(0), no("FORBIDDEN", "organizationId")).await;
    for _ in 0..3 {
        // Whoever administers it makes the other one an administrator as well.
        for (person, at) in [(rector, 1), (second, 0)] {
            tried(person, "changeMemberRoles", roles(at, json!(["ADMINISTRATOR", "TRANSFEROR"]))).await;
        }
        let step = |person, at| tried(person, "changeMemberRoles", roles(at, json!(["TRANSFEROR"])));
        let (one, other) = join(step(rector, 0), step(second, 1)).await;
        let refusals =
            [one, other].map(|answer| answer["data"]["changeMemberRoles"]["userErrors"].as_array().unwrap().len());
        assert_eq!(refusals.iter().sum::<usize>(), 1, "exactly one may step down");
    }
    for (person, at) in [(rector, 1), (second, 0)] {
        tried(person, "changeMemberRoles", roles(at, json!(["ADMINISTRATOR", "TRANSFEROR"]))).await;
    }
    let left = tried(second, "removeMember", leave(1)).await;
    assert_eq!(left["data"]["removeMember"]["userErrors"], json!([]), "anybody may leave");
    refused_as_missing(second, "createListing", market.draft(), "organizationId").await;
    refused(rector, "removeMember", leave(1), no("NOT_FOUND", "personId")).await;
}

/// An offer is taken back, replaced, or runs out.
async fn running_out(market: &Market, person: &Person) {
    let (university, rector) = (&market.university, &market.university.person);
    let first = university.invite(&person.login, &["BIDDER"]).await.unwrap();
    let second = university.invite(&person.login, &["BROKER"]).await.unwrap();
    let take = |id: &str| json!({ "invitationId": id, "accept": true });
    let gone = no("ILLEGAL_TRANSITION", "invitationId");
    refused(person, "answerInvitation", take(&first), gone).await;
    made(rector, "revokeInvitation", "invitation", json!({ "invitationId": second })).await;
    refused(person, "answerInvitation", take(&second), gone).await;
    let third = university.invite(&person.login, &["BROKER"]).await.unwrap();
    market.pass(market.stage.client.now().plus_seconds(14 * 86_400 + 1)).await;
    refused(person, "answerInvitation", take(&third), gone).await;
    let offers = "query I($id: ID) { invitations(organizationId: $id, first: 3) { edges { node { id status } } } }";
    let read = rector.glance(offers, json!({ "id": university.id })).await.unwrap();
    let statuses: Vec<&Value> =
        read["invitations"]["edges"].as_array().unwrap().iter().map(|edge| &edge["node"]["status"]).collect();
    assert_eq!(statuses, ["EXPIRED", "REVOKED", "REVOKED"]);
}

/// Once the operator has loaded a list, only its codes are accepted.
#[tokio::test(flavor = "multi_thread")]
async fn loaded_code_lists_are_exact() {
    let exchange = Exchange::start(Lane::Sqlite).await.unwrap();
    let market = Market::open(&exchange, 0).await;
    let folder = tempfile::tempdir().unwrap();
    let load = |list: &str, text: &str| {
        let file = folder.path().join(format!("{list}.csv"));
        std::fs::write(&file, text).unwrap();
        let mut command = std::process::Command::new(binary());
        command.args(["codes", "--list", list]).arg(&file).env("JISHI_DATABASE_URL", &exchange.database_url);
        // The key of the exchange lies beside its database.
        let beside = Path::new(exchange.database_url.trim_start_matches("sqlite://")).parent().unwrap();
        command.env("JISHI_DATA_DIR", beside);
        command.env("JISHI_LOG", "error").output().unwrap()
    };
    let odd = with(&with(&application("嘉陵江测绘有限公司"), "region", "519900"), "industry", "C3999");
    applied(&market, odd.clone()).await;
    let odd = with(&odd, "usci", fresh_usci("91"));
    let loaded = load("gbt2260", "code,level,name\n510000,province,四川省\n510100,prefecture,成都市\n");
    assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
    assert_eq!(String::from_utf8_lossy(&loaded.stdout), "gbt2260 2\n");
    assert!(load("gbt4754", "code,level,name\nC,section,制造业\n3976,class,光电子器件制造\n").status.success());
    let broken = load("gbt2260", "code,level,name\n990000,province,某省\n");
    assert!(!broken.status.success() && String::from_utf8_lossy(&broken.stderr).contains("990000"));
    let person = newcomer(&market, &fresh_login()).await;
    refused(&person, "registerOrganization", odd.clone(), no("INVALID_REGION", "region").by("GB/T 2260")).await;
    let odd = with(&odd, "region", "510100");
    refused(&person, "registerOrganization", odd.clone(), no("INVALID_INDUSTRY", "industry").by("GB/T 4754-2017"))
        .await;
    applied(&market, with(&odd, "industry", "C3976")).await;
    let anonymous = Operation { query: TREE.into(), variables: json!({}), key: None };
    let tree = market.stage.client.ask(None, anonymous).await.unwrap().data().unwrap();
    assert_eq!(tree["centres"].as_array().unwrap().len(), 4, "the tree is no secret");
}
