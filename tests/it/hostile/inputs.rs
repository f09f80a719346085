//! S8: every argument of every query and every mutation takes anything without a fault, tells nothing of what is inside,
//! and keeps what it accepts as it was said.

use std::{collections::HashMap, time::Instant};

use exchange_tests::{Exchange, Lane};
use futures::{StreamExt, stream};
use jishi::demo::{Fields, person::fresh_key};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};

use super::{
    limited,
    naughty::{named_alike, naughty},
    schema::{Call, HERE, Leaf, Schema},
    seconds,
};
use crate::{
    market::Market,
    refusal::{tells_nothing_internal, unknown},
};

/// Hostile values per argument in one run, but all of them for money; another seed takes others.
const SAMPLE: usize = 14;

/// Calls at a time.
const AT_ONCE: usize = 6;

/// What an answer may hold even less than `refusal::tells_nothing_internal` forbids.
const INTERNAL: [&str; 16] = [
    "async_graphql",
    "prost",
    "hyper",
    "serde",
    "Option<",
    "Vec<",
    "Some(",
    "Err(",
    "unwrap()",
    "backtrace",
    "/src/",
    "target/",
    "constraint",
    "syntax error",
    "no such column",
    "thread '",
];

/// Codes that blame the caller, not what was said.
const OTHERS: [&str; 4] = ["\"UNAUTHENTICATED\"", "\"FORBIDDEN\"", "\"NOT_FOUND\"", "\"SECOND_FACTOR_REQUIRED\""];

/// These end what others need, or rest an address: they come last.
const LAST: [&str; 14] = [
    "suspendOrganization",
    "closeOrganization",
    "closeCentre",
    "changeMemberRoles",
    "removeMember",
    "rotateSigningKey",
    "enrolSecondFactor",
    "confirmSecondFactor",
    "removeSecondFactor",
    "signIn",
    "changePassword",
    "endSession",
    "refreshSession",
    "signOut",
];

#[tokio::test(flavor = "multi_thread")]
async fn anything_is_taken_in_good_order_on_sqlite() {
    tell(Lane::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_is_taken_in_good_order_on_postgres() {
    tell(Lane::Postgres).await;
}

async fn tell(lane: Lane) {
    let Some(mut exchange) = limited(lane).await else { return };
    let seed = std::env::var("TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("S8: {lane:?}: TEST_SEED={seed}");
    let (began, run) = (Instant::now(), Run::begin(&exchange).await);
    let mut random = StdRng::seed_from_u64(seed);
    let mut calls = run.schema.calls();
    calls.sort_by_key(|call| LAST.iter().position(|last| call.field == *last).map_or(0, |place| place + 1));
    let mut tally = Tally::default();
    for call in &calls {
        let furthest = run.furthest(call).await;
        let tries = run.tries(call, furthest, &mut random);
        let outcomes: Vec<Tally> =
            stream::iter(&tries).map(|each| run.attempt(call, each)).buffer_unordered(AT_ONCE).collect().await;
        outcomes.into_iter().for_each(|outcome| tally.add(outcome));
        assert!(exchange.process("gateway").is_running(), "{} ended the exchange, seed {seed}", call.field);
    }
    println!("S8: {lane:?}: {} fields, {tally:?} in {:?}", calls.len(), began.elapsed());
    assert!(tally.calls >= 1_000 && tally.accepted >= 50 && tally.read_back >= 20, "too little was tried: {tally:?}");
}

/// How much was tried.
#[derive(Debug, Default)]
struct Tally {
    calls: usize,
    accepted: usize,
    read_back: usize,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.calls += other.calls;
        self.accepted += other.accepted;
        self.read_back += other.read_back;
    }
}

/// One hostile value at one place, said by somebody.
struct Try {
    leaf: Leaf,
    /// As JSON, or as what is none.
    value: String,
    variables: Value,
    token: Option<String>,
}

/// The exchange with people who try.
struct Run {
    schema: Schema,
    http: String,
    client: reqwest::Client,
    /// Nobody, and people with different roles.
    tokens: Vec<Option<String>>,
    known: HashMap<&'static str, Value>,
}

impl Run {
    async fn begin(exchange: &Exchange) -> Run {
        let market = Market::open(exchange, 2).await;
        let listing = market.disclosed(market.draft()).await;
        let [buyer, other] = &market.buyers[..] else { panic!() };
        let application = market.qualified(other, &listing).await;
        let mut tokens = vec![None];
        let staff = &market.staff;
        for person in [
            &market.broker,
            &buyer.person,
            &market.university.person,
            &staff.reviewer,
            &staff.cashier,
            &staff.qualifier,
        ] {
            tokens.push(Some(person.token().await.unwrap()));
        }
        let later = market.stage.client.now().plus_seconds(30 * 86_400);
        let mut known = HashMap::from([
            ("organizationId", json!(market.university.id)),
            ("listingId", json!(listing.id)),
            ("transferApplicationId", json!(application)),
            ("receivedAt", json!(market.stage.client.now().plus_seconds(-60).to_string())),
            ("DateTime", json!(later.to_string())),
            ("decision", json!("APPROVE")),
        ]);
        let draft = market.draft();
        for name in [
            "floorPrice",
            "deposit",
            "increment",
            "disclosureDays",
            "freeSeconds",
            "timedSeconds",
            "field",
            "stage",
            "conversionMode",
            "saleMethod",
        ] {
            known.insert(name, draft[name].clone());
        }
        // What is said here at once may be about one row: the last one waits for all before it.
        let client = reqwest::Client::builder().no_proxy().timeout(seconds(10)).build().unwrap();
        let http = exchange.http.clone();
        Run { schema: Schema::read(&http).await, http, client, tokens, known }
    }

    /// A value that might be accepted there.
    fn known(&self, name: &str, kind: &str) -> Value {
        if let Some(value) = self.known.get(name).or_else(|| self.known.get(kind)) {
            return value.clone();
        }
        match (kind, name) {
            ("Money", "mostAmount") => json!("900000.00"),
            ("Money", _) => json!("1000.00"),
            ("Int", _) => json!(5),
            ("Boolean", _) => json!(false),
            ("ID", _) => json!(unknown(&kind_of(name))),
            ("String", "login") => json!(format!("hostile-{}", fresh_key())),
            ("String", "password" | "newPassword") => json!("correct horse battery"),
            ("String", "usci") => json!("91110000600037341L"),
            ("String", "region" | "regions") => json!("510100"),
            ("String", "industry") => json!("M7340"),
            ("String", "bankReference") => json!(fresh_key()),
            ("String", _) => json!("合乎规定的文字，十个字以上"),
            // The first of an enum.
            _ => Value::Null,
        }
    }

    /// Whom of all the call takes furthest if nothing about it is hostile: the first who is not told off for being who
    /// they are.
    async fn furthest(&self, call: &Call) -> usize {
        let nowhere = Leaf { path: Vec::new(), kind: String::new() };
        let variables = self.schema.variables(call, &nowhere, &|name, kind| self.known(name, kind));
        let body = json!({ "query": self.schema.document(call), "variables": variables }).to_string();
        for (place, token) in self.tokens.iter().enumerate() {
            let (_, text) = self.post(token, body.clone()).await;
            if !OTHERS.iter().any(|code| text.contains(code)) {
                return place;
            }
        }
        0
    }

    /// A sample of hostile values for each argument, most of them said by the person who gets furthest.
    fn tries(&self, call: &Call, furthest: usize, random: &mut StdRng) -> Vec<Try> {
        let mut tries = Vec::new();
        for leaf in self.schema.leaves(call) {
            let values = naughty(&leaf.kind, leaf.path.last().unwrap());
            let sample = if leaf.kind == "Money" { values.len() } else { SAMPLE };
            for value in values.choose_multiple(random, sample) {
                let variables = self.schema.variables(call, &leaf, &|name, kind| self.known(name, kind));
                let anybody = random.random_range(0..self.tokens.len());
                let token = self.tokens[if random.random_bool(0.7) { furthest } else { anybody }].clone();
                tries.push(Try { leaf: leaf.clone(), value: value.clone(), variables, token });
            }
        }
        tries
    }

    /// Says it; a fault, a word of what is inside or a silent change fails the test.
    async fn attempt(&self, call: &Call, attempt: &Try) -> Tally {
        let Try { leaf, value, variables, token } = attempt;
        let body = json!({ "query": self.schema.document(call), "variables": variables }).to_string();
        let body = body.replace(&format!("\"{HERE}\""), value);
        let (status, text) = self.post(token, body).await;
        let shown = || {
            let clipped: String = value.chars().take(120).collect();
            let said: String = text.chars().take(800).collect();
            format!("{} {:?} = {clipped} → {status} {said}", call.field, leaf.path)
        };
        assert!(status < 500, "a fault: {}", shown());
        tells_nothing_internal(&json!(text));
        let leak = INTERNAL.iter().find(|word| text.contains(*word));
        assert!(leak.is_none(), "{leak:?} in {}", shown());
        let answer: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {}", shown()));
        let codes: Vec<_> =
            answer["errors"].as_array().into_iter().flatten().map(|error| &error["extensions"]["code"]).collect();
        assert!(!codes.iter().any(|code| code.is_null() || **code == "INTERNAL"), "a fault: {}", shown());
        assert!(
            !codes.iter().any(|code| **code == "UNAVAILABLE") || call.field.contains("Federated"),
            "a fault: {}",
            shown()
        );
        let Some(object) = self.accepted(call, &answer) else { return Tally { calls: 1, ..Tally::default() } };
        let read_back =
            self.reads_back(call, attempt, object).await.unwrap_or_else(|kept| panic!("kept as {kept}: {}", shown()));
        Tally { calls: 1, accepted: 1, read_back: usize::from(read_back) }
    }

    async fn post(&self, token: &Option<String>, body: String) -> (u16, String) {
        let request = self.client.post(format!("{}/graphql", self.http)).header("Content-Type", "application/json");
        let request = request.header("Idempotency-Key", fresh_key()).body(body);
        let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The object of a mutation that was done.
    fn accepted<'a>(&self, call: &Call, answer: &'a Value) -> Option<&'a Value> {
        let yielded = (call.kind == "mutation").then(|| self.schema.yields(call)).flatten()?;
        let payload = answer.pointer(&format!("/data/{}", call.field))?;
        payload.get(&yielded.field).filter(|object| !object.is_null())
    }

    /// Whether what was said is found in the object, in the answer and again in the database; an error is what is
    /// found there instead.
    async fn reads_back(&self, call: &Call, attempt: &Try, object: &Value) -> Result<bool, Value> {
        let (field, kind) = (attempt.leaf.path.last().unwrap(), &attempt.leaf.kind);
        let Some(of) = self.schema.yields(call).and_then(|yielded| yielded.object) else { return Ok(false) };
        let sent: Value = serde_json::from_str(&attempt.value).unwrap_or_default();
        if attempt.leaf.path.len() > 2 || !self.schema.has(&of, field, kind) {
            return Ok(false);
        }
        if !is_kept(kind, field, &sent, &object[field]) {
            return Err(object[field].clone());
        }
        if !self.schema.has(&of, "id", "ID") {
            return Ok(true);
        }
        let query = format!("query R($id:ID!){{node(id:$id){{...on {of}{{{field}}}}}}}");
        let body = json!({ "query": query, "variables": { "id": object["id"] } }).to_string();
        let (_, text) = self.post(&attempt.token, body).await;
        let read: Value = serde_json::from_str(&text).unwrap();
        match read.pointer("/data/node") {
            Some(Value::Object(node)) if !is_kept(kind, field, &sent, &node[field]) => Err(node[field].clone()),
            Some(Value::Object(_)) => Ok(true),
            // No node, or none that this caller sees.
            _ => Ok(false),
        }
    }
}

/// Whether a value was kept as it was said. Texts lose the white space around them, which their documentation says.
fn is_kept(kind: &str, field: &str, sent: &Value, kept: &Value) -> bool {
    if let (Value::Array(all), false) = (kept, sent.is_array()) {
        return all.iter().any(|each| is_kept(kind, field, sent, each));
    }
    match (kind, sent, kept) {
        // What is absent or null may have a default, and an empty text may count as absent.
        (_, Value::Null, _) => true,
        ("String", Value::String(sent), Value::Null) => sent.trim().is_empty(),
        ("Money", Value::String(sent), Value::String(kept)) => canonical(sent).as_deref() == Some(kept),
        ("DateTime", ..) => {
            let both = json!({ "sent": sent, "kept": kept });
            both.instant_at("/sent").ok() == both.instant_at("/kept").ok()
        }
        ("String" | "ID", Value::String(sent), Value::String(kept)) if named_alike(field) => {
            sent.trim().eq_ignore_ascii_case(kept)
        }
        ("String" | "ID", Value::String(sent), Value::String(kept)) => sent.trim() == kept,
        _ => sent == kept,
    }
}

/// An amount with two decimals, worked out without our own reading of money: nothing for what is none.
fn canonical(yuan: &str) -> Option<String> {
    let form = regex::Regex::new(r"^(-?)(0|[1-9][0-9]{0,14})(?:\.([0-9]{1,2}))?$").unwrap();
    let parts = form.captures(yuan)?;
    let amount = format!("{}.{:0<2}", &parts[2], parts.get(3).map_or("", |fen| fen.as_str()));
    Some(if amount == "0.00" { amount } else { format!("{}{amount}", &parts[1]) })
}

#[test]
fn amounts_have_one_form() {
    for (yuan, form) in [("1", "1.00"), ("0.1", "0.10"), ("-0", "0.00"), ("-1.05", "-1.05"), ("9007199254740993", "")] {
        assert_eq!(canonical(yuan).unwrap_or_default(), form, "{yuan}");
    }
}

/// The kind of object that an id field names: `transfer_application` of `transferApplicationId`.
pub fn kind_of(field: &str) -> String {
    let name = field.strip_suffix("Id").unwrap_or(field);
    name.chars().flat_map(|c| c.is_uppercase().then_some('_').into_iter().chain(c.to_lowercase())).collect()
}
