//! What a refusal must say, and what no answer may say.

use jishi::demo::{
    client::Operation,
    person::{Person, fresh_key},
};
use serde_json::{Value, json};

/// Words that only our own code and its libraries use.
const INTERNAL: [&str; 16] = [
    "panicked",
    "sea_orm",
    "sea-orm",
    "sqlx",
    "tonic",
    "SELECT ",
    "INSERT ",
    "UPDATE ",
    "UNIQUE constraint",
    ".rs:",
    "::",
    "DbErr",
    "sqlite",
    "postgres",
    "Status {",
    "RUST_BACKTRACE",
];

/// All that a refusal tells.
const TOLD: &str =
    "code messageZh messageEn field rule accepted currentPrice minimumAmount closesAt serverTime depositHeld";

/// What a refusal must say.
#[derive(Clone, Copy)]
pub struct Refusal<'a> {
    pub code: &'a str,
    /// The path below `input`, joined by dots; empty if no single field is to blame.
    pub field: &'a str,
    pub rule: Option<&'a str>,
    /// What would be accepted must hold this; empty if nothing needs to be said.
    pub accepted: &'a str,
}

/// A refusal with its code and field, by no rule.
pub const fn no<'a>(code: &'a str, field: &'a str) -> Refusal<'a> {
    Refusal { code, field, rule: None, accepted: "" }
}

impl<'a> Refusal<'a> {
    pub const fn by(self, rule: &'a str) -> Refusal<'a> {
        Refusal { rule: Some(rule), ..self }
    }

    pub const fn accepting(self, accepted: &'a str) -> Refusal<'a> {
        Refusal { accepted, ..self }
    }
}

/// The whole answer to a mutation of which only the refusals are read.
pub async fn tried(person: &Person, verb: &str, input: Value) -> Value {
    let (first, rest) = verb.split_at(1);
    let query = format!(
        "mutation($input: {}{rest}Input!) {{ {verb}(input: $input) {{ userErrors {{ {TOLD} }} }} }}",
        first.to_uppercase()
    );
    let operation = Operation { query, variables: json!({ "input": input }), key: Some(fresh_key()) };
    let answer = person.call(operation).await.unwrap().answer;
    tells_nothing_internal(&answer);
    answer
}

/// The mutation is refused, and the refusal says all that it should.
pub async fn refused(person: &Person, verb: &str, input: Value, expected: Refusal<'_>) -> Value {
    let answer = tried(person, verb, input.clone()).await;
    let errors =
        answer.pointer(&format!("/data/{verb}/userErrors")).and_then(Value::as_array).cloned().unwrap_or_default();
    let shown = || format!("{verb}({}) → {answer}", clipped(&input));
    assert_eq!(errors.len(), 1, "{}", shown());
    let error = &errors[0];
    let path = expected.field.split('.').filter(|name| !name.is_empty());
    let field: Vec<&str> = path.clone().next().map(|_| "input").into_iter().chain(path).collect();
    assert_eq!(error["code"], expected.code, "{}", shown());
    assert_eq!(error["field"], json!(field), "{}", shown());
    assert_eq!(error["rule"], json!(expected.rule), "{}", shown());
    assert!(error["accepted"].as_str().unwrap_or_default().contains(expected.accepted), "{}", shown());
    let (zh, en) = (error["messageZh"].as_str().unwrap(), error["messageEn"].as_str().unwrap());
    assert!(zh.ends_with('。') && zh.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)), "{}", shown());
    assert!(en.ends_with('.') && en.is_ascii(), "{}", shown());
    error.clone()
}

/// The mutation is refused exactly as if what the input names at `field` did not exist (promise P-6).
pub async fn refused_as_missing(person: &Person, verb: &str, input: Value, field: &str) {
    let mut missing = input.clone();
    let (kind, _) = input[field].as_str().unwrap().split_once('_').unwrap();
    missing[field] = json!(unknown(kind));
    let foreign = refused(person, verb, input, no("NOT_FOUND", field)).await;
    assert_eq!(foreign, refused(person, verb, missing, no("NOT_FOUND", field)).await);
}

/// A well-formed id of something that does not exist.
pub fn unknown(kind: &str) -> String {
    format!("{kind}_01h455vb4pex5vsknk084sn02q")
}

/// No answer shows what the exchange is made of.
pub fn tells_nothing_internal(answer: &Value) {
    let text = answer.to_string();
    let leak = INTERNAL.iter().find(|word| text.contains(*word));
    assert!(leak.is_none(), "{leak:?} in {text}");
}

fn clipped(value: &Value) -> String {
    value.to_string().chars().take(600).collect()
}

/// `value` with one field changed.
pub fn with(value: &Value, field: &str, new: impl Into<Value>) -> Value {
    let mut changed = value.clone();
    changed[field] = new.into();
    changed
}

pub async fn read(person: &Person, query: &str, id: &str) -> Value {
    let answer =
        person.call(Operation { query: query.into(), variables: json!({ "id": id }), key: None }).await.unwrap().answer;
    tells_nothing_internal(&answer);
    answer
}

/// Who may not know of an object reads exactly what it would read of one that does not exist (promise P-6).
pub async fn reads_as_missing(person: &Person, query: &str, id: &str) {
    let (kind, _) = id.split_once('_').unwrap();
    let answer = read(person, query, id).await;
    assert!(answer.get("errors").is_none(), "{query}: {answer}");
    assert!(answer["data"].as_object().unwrap().values().all(Value::is_null), "{query}: {answer}");
    assert_eq!(answer, read(person, query, &unknown(kind)).await);
    let node = "query N($id: ID!) { node(id: $id) { id } }";
    let answer = read(person, node, id).await;
    assert_eq!((&answer["data"], answer.get("errors")), (&json!({ "node": null }), None));
}

/// A value that is no value of its type is refused before anything is done.
pub async fn refused_as_malformed(person: &Person, verb: &str, input: Value) {
    let answer = tried(person, verb, input).await;
    let code = answer.pointer("/errors/0/extensions/code").and_then(Value::as_str);
    assert_eq!(code, Some("INVALID_INPUT"), "{answer}");
    assert!(answer.get("data").is_none_or(Value::is_null), "{answer}");
}
