//! A person tells, acts, is read, exports and is erased; then nothing of the person is left, and what was done still
//! verifies (check S9).

use exchange_tests::Exchange;
use jishi::demo::{
    Fields,
    person::{Person, fresh_key},
    timeline::Who,
};
use kernel::{Db, decode};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use super::{
    market::{Market, made},
    refusal::{no, refused, unknown},
    search::{dump, forms, hex, hits, texts},
};

lanes! { nothing_is_left }

const NAME: &str = "欧阳抹除·示例";
const LEGAL_NAME: &str = "欧阳法定·示例";
const PHONE: &str = "17358294610";
const ID_NUMBER: &str = "11010519491231002X";
const EMAIL: &str = "ouyang.erased@mail.example.com";
const KEY_NAME: &str = "欧阳的报价工具";
const PASSWORD: &str = "gone with the key 4711";

/// Somebody with everything that a person can have.
struct Known {
    person: Person,
    id: String,
    login: String,
    credential: String,
}

impl Known {
    async fn settle(market: &Market) -> Known {
        let login = format!("ouyang.{}", fresh_key());
        let who = Who { zh: "成员", en: "member" };
        let person = Person::new(&market.stage.client, who, login.clone(), PASSWORD);
        person.sign_up(NAME).await.unwrap();
        let id = person.id().await.unwrap();
        let told =
            json!({ "legalName": LEGAL_NAME, "phone": "+86 173-5829-4610", "idNumber": ID_NUMBER, "email": EMAIL });
        let masked = person.act("updatePersonalData", PERSONAL, told).await.unwrap();
        assert_eq!(masked, of_me(Some(("173****4610", "110*************2X", "o***@mail.example.com"))));
        let invited = market.university.invite(&login, &["TRANSFEROR", "BROKER"]).await.unwrap();
        person.accept(&invited).await.unwrap();
        let credential = format!("OY-{}", fresh_key());
        let now = market.stage.client.now();
        let shown = json!({
            "level": "SENIOR", "number": credential, "issuer": "省技术市场协会（示例）", "organizationId": market.university.id,
            "issuedAt": now.plus_seconds(-86_400).to_string(), "expiresAt": now.plus_seconds(86_400).to_string(),
        });
        made(&person, "registerBrokerCredential", "brokerCredential", shown).await;
        let key = json!({
            "name": KEY_NAME, "organizationId": market.university.id, "roles": ["TRANSFEROR"],
            "expiresAt": now.plus_seconds(86_400).to_string(),
        });
        made(&person, "createApiKey", "newApiKey", key).await;
        let draft = super::refusal::with(&market.draft(), "organizationId", market.university.id.clone());
        made(&person, "createListing", "listing", draft).await;
        // From here on every sign-in takes the second factor as well.
        person.take_up(&["SIGNATORY"]).await.unwrap();
        Known { person, id, login, credential }
    }

    /// What must not be found afterwards.
    fn words(&self) -> Vec<&str> {
        let mut words = vec![NAME, LEGAL_NAME, PHONE, ID_NUMBER, EMAIL, KEY_NAME, PASSWORD];
        words.extend([self.login.as_str(), self.credential.as_str()]);
        words
    }
}

const PERSONAL: &str = "personalData { legalName phoneMasked idNumberMasked emailMasked }";

fn of_me(told: Option<(&str, &str, &str)>) -> Value {
    let (phone, number, email) = told.map_or((None, None, None), |(p, n, e)| (Some(p), Some(n), Some(e)));
    json!({
        "legalName": told.map(|_| LEGAL_NAME), "phoneMasked": phone, "idNumberMasked": number, "emailMasked": email,
    })
}

/// As whoever can write to the database does it.
pub async fn change(exchange: &Exchange, sql: &str) {
    let db = Db::connect(&exchange.database_url).await.unwrap();
    db.run(sql).await.unwrap();
    db.close().await.unwrap();
}

/// The person's data key as stored.
async fn stored_key(exchange: &Exchange, id: &str) -> Vec<Vec<u8>> {
    let (_, uuid) = decode(id).unwrap();
    let db = Db::connect(&exchange.database_url).await.unwrap();
    let find = Statement::from_sql_and_values(
        db.backend(),
        "SELECT wrapped_key AS bytes FROM person_key WHERE person_id = $1",
        [uuid.into()],
    );
    let rows = db.read().query_all_raw(find).await.unwrap();
    let keys = rows.iter().map(|row| row.try_get::<Vec<u8>>("", "bytes").unwrap()).collect();
    db.close().await.unwrap();
    keys
}

async fn nothing_is_left(exchange: Exchange) {
    let market = Market::open(&exchange, 0).await;
    let known = Known::settle(&market).await;
    is_found_and_read(&market, &known).await;
    exports(&known).await;
    let words: Vec<Vec<u8>> = known.words().into_iter().flat_map(forms).collect();
    let key = stored_key(&exchange, &known.id).await;
    assert_eq!(key.len(), 1);
    let key: Vec<Vec<u8>> = key.iter().flat_map(|key| [key.clone(), hex(key).into_bytes()]).collect();
    let before = dump(&exchange).await;
    // The search finds what is there: a public name, and the key.
    assert!(hits(&before, &forms(&market.university.name)) > 0 && hits(&before, &key) > 0);

    is_erased(&market, &known).await;
    let after = dump(&exchange).await;
    assert!(hits(&after, &forms(&market.university.name)) > 0);
    assert_eq!(hits(&after, &words), 0, "the person's words");
    assert_eq!(hits(&after, &key), 0, "the person's key");
    still_verifies(&exchange, &market, &known).await;
}

/// A reviewer finds the person and reads, for a reason that names nobody.
async fn is_found_and_read(market: &Market, known: &Known) {
    let reviewer = &market.staff.reviewer;
    let search = json!({ "field": "ID_NUMBER", "value": ID_NUMBER.to_lowercase(), "reason": "核对投诉 complaint 17" });
    let selection = "search { matches { personId legalNameMasked phoneMasked idNumberMasked emailMasked } }";
    let found = reviewer.act("searchPersonalData", selection, search).await.unwrap();
    assert!(found["matches"].as_array().unwrap().iter().any(|found| found["personId"] == json!(known.id)), "{found}");
    assert!(!found.to_string().contains(PHONE) && !found.to_string().contains(LEGAL_NAME), "{found}");
    let read = |reason: &str| json!({ "personId": known.id, "reason": reason });
    let told = format!("本人电话 {PHONE}");
    refused(
        reviewer,
        "readPersonalData",
        read(&told),
        no("INVALID_INPUT", "reason").accepting("without personal data"),
    )
    .await;
    refused(
        reviewer,
        "readPersonalData",
        json!({ "personId": unknown("person"), "reason": "核对" }),
        no("NOT_FOUND", "personId"),
    )
    .await;
    refused(&market.staff.cashier, "readPersonalData", read("核对"), no("FORBIDDEN", "").accepting("REVIEWER")).await;
    refused(&known.person, "readPersonalData", read("核对"), no("FORBIDDEN", "").accepting("REVIEWER")).await;
    let selection = "reading { legalName phone idNumber email }";
    let reading = reviewer.act("readPersonalData", selection, read("核对投诉 complaint 17")).await.unwrap();
    let whole = json!({ "legalName": LEGAL_NAME, "phone": PHONE, "idNumber": ID_NUMBER, "email": EMAIL });
    assert_eq!(reading, whole);
    // Nobody sees it in passing: not the reviewer, and of oneself only masked.
    let query = "query P($id: ID!) { node(id: $id) { ... on Person { personal { legalName phoneMasked idNumberMasked emailMasked } } } }";
    let seen = reviewer.glance(query, json!({ "id": known.id })).await.unwrap();
    assert_eq!(seen["node"], Value::Null);
    let own = known.person.glance(query, json!({ "id": known.id })).await.unwrap();
    assert_eq!(own["node"]["personal"], of_me(Some(("173****4610", "110*************2X", "o***@mail.example.com"))));
    for (field, bad, accepted) in
        [("phone", "12345678901", "1[3-9]"), ("idNumber", "110105194912310021", "18"), ("email", "nobody", "@")]
    {
        let mut refusal = no("INVALID_INPUT", field).accepting(accepted);
        if field == "idNumber" {
            refusal = refusal.by("GB 11643");
        }
        refused(&known.person, "updatePersonalData", json!({ field: bad }), refusal).await;
    }
}

/// The person has all that is known of them, the reading included.
async fn exports(known: &Known) {
    refused(&known.person, "exportMyData", json!({ "password": "another password" }), no("BAD_CREDENTIALS", "")).await;
    let export =
        known.person.act("exportMyData", "dataExport { madeAt content }", json!({ "password": PASSWORD })).await;
    let content = export.unwrap().text_at("/content").unwrap().to_owned();
    for word in known.words().into_iter().filter(|word| *word != PASSWORD) {
        assert!(content.contains(word), "{word} in {content}");
    }
    let content: Value = serde_json::from_str(&content).unwrap();
    assert_eq!(content["person"]["id"], json!(known.id));
    assert_eq!(content["memberships"][0]["roles"], json!(["BROKER", "TRANSFEROR"]));
    let records = content["auditRecords"].as_array().unwrap();
    for kind in
        ["SignedUp", "SignedIn", "PersonalDataUpdated", "PersonalDataRead", "ApiKeyCreated", "SecondFactorConfirmed"]
    {
        let record = records.iter().find(|record| record["kind"] == kind);
        let record = record.unwrap_or_else(|| panic!("no {kind} in {records:?}")).to_string();
        assert!(known.words().iter().all(|word| !record.contains(word)), "{record}");
    }
    let reading = records.iter().find(|record| record["kind"] == "PersonalDataRead").unwrap();
    let facts: Value = serde_json::from_str(reading["facts"].as_str().unwrap()).unwrap();
    assert_eq!(facts["reason"], "核对投诉 complaint 17");
    assert_eq!(facts["fields"], json!(["legalName", "phone", "idNumber", "email"]));
}

async fn is_erased(market: &Market, known: &Known) {
    let Known { person, id, .. } = known;
    refused(person, "erasePerson", json!({ "password": "another password" }), no("BAD_CREDENTIALS", "")).await;
    let other = json!({ "personId": id, "reason": "不再需要" });
    refused(&market.broker, "erasePerson", other, no("FORBIDDEN", "").accepting("ADMINISTRATOR")).await;
    let last = json!({ "password": jishi::seed::DEMO_PASSWORD });
    refused(&market.university.person, "erasePerson", last, no("LAST_ADMINISTRATOR", "personId")).await;
    assert!(person.is_believed().await.unwrap());
    assert_eq!(person.act("erasePerson", "done", json!({ "password": PASSWORD })).await.unwrap(), json!(true));
    assert!(!person.is_believed().await.unwrap(), "the session is over");
    assert!(person.sign_in().await.unwrap_err().to_string().contains("BAD_CREDENTIALS"));
    let read = json!({ "personId": id, "reason": "核对" });
    refused(&market.staff.reviewer, "readPersonalData", read, no("NOT_FOUND", "personId")).await;
    let search = json!({ "field": "PHONE", "value": PHONE, "reason": "核对" });
    let found =
        market.staff.reviewer.act("searchPersonalData", "search { matches { personId } }", search).await.unwrap();
    assert_eq!(found["matches"], json!([]));
}

/// The audit log verifies, and a single changed record is named.
async fn still_verifies(exchange: &Exchange, market: &Market, known: &Known) {
    let sealed = || async {
        let waiting = texts(exchange, "SELECT kind AS text FROM event WHERE NOT sealed").await;
        Ok(waiting.is_empty().then_some(()))
    };
    market.stage.until("the sealing of all records", sealed).await.unwrap();
    let honest = exchange.run(&["verify"]);
    let said = String::from_utf8_lossy(&honest.stdout).into_owned();
    assert_eq!(honest.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&honest.stderr));
    let line = said.lines().find(|line| line.starts_with("identity: ")).unwrap();
    let head = line.rsplit(' ').next().unwrap();
    let size: u64 = head.split(':').nth(1).unwrap().parse().unwrap();
    assert!(size > 20 && line.starts_with(&format!("identity: {size} records verify")), "{line}");
    assert_eq!(exchange.run(&["verify", "--known", head]).status.code(), Some(0));

    change(
        exchange,
        &format!("UPDATE event SET facts = '{{}}' WHERE kind = 'PersonErased' AND subject = '{}'", known.id),
    )
    .await;
    let found = exchange.run(&["verify"]);
    let said = String::from_utf8_lossy(&found.stderr).into_owned();
    assert_eq!(found.status.code(), Some(1), "{said}");
    let named = said.lines().find(|line| line.starts_with("identity: record ")).unwrap_or_else(|| panic!("{said}"));
    assert!(named.contains(" event_") && named.contains("changed: the event is not what was sealed"), "{named}");
    assert_eq!(said.matches(" record ").count(), 1, "only the one: {said}");
}
