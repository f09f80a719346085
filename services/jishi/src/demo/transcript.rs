//! What was really said, as Markdown fragments for the README.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{Value, json};

use super::{client::Exchange, timeline::Who};

/// A record of exchanges in order. Clones write into the same one.
#[derive(Clone, Default)]
pub struct Transcript(Arc<Mutex<Vec<Fragment>>>);

struct Fragment {
    title: String,
    body: String,
}

impl Transcript {
    /// Takes down a call over HTTP.
    pub fn call(&self, who: Who, exchange: &Exchange) {
        let operation = &exchange.operation;
        let key = operation.key.as_ref().map(|key| format!("Idempotency-Key: {key}\n\n")).unwrap_or_default();
        let body = format!(
            "{key}```graphql\n{}\n```\n\n```json\n{:#}\n```\n\n```json\n{:#}\n```\n",
            operation.query,
            masked(&operation.variables),
            masked(&exchange.answer)
        );
        self.push(format!("{} ({} {})", root(&operation.query), who.zh, who.en), body);
    }

    /// Takes down a subscription as it begins.
    pub fn subscribed(&self, query: &str, variables: &Value) {
        let body = format!("```graphql\n{query}\n```\n\n```json\n{variables:#}\n```\n");
        self.push("subscription auctionEvents".into(), body);
    }

    /// Takes down a frame of a subscription.
    pub fn frame(&self, payload: &Value) {
        self.push("frame of auctionEvents".into(), format!("```json\n{payload:#}\n```\n"));
    }

    fn push(&self, title: String, body: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Fragment { title, body });
    }

    /// Writes everything down.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let fragments = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, fragment) in (1..).zip(fragments.iter()) {
            writeln!(out, "### {number}. {}\n\n{}", fragment.title, fragment.body)?;
        }
        Ok(())
    }
}

/// The first root field of a document.
fn root(query: &str) -> &str {
    let inside = query.split_once('{').map_or(query, |(_, inside)| inside).trim_start();
    inside.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default()
}

/// Passwords and tokens are not for print, those of a demo neither.
fn masked(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let secret = |name: &str| matches!(name, "password" | "accessToken" | "refreshToken" | "secret" | "uri");
            let mask = |(name, value): (&String, &Value)| {
                (name.clone(), if secret(name) && !value.is_boolean() { json!("…") } else { masked(value) })
            };
            Value::Object(fields.iter().map(mask).collect())
        }
        Value::Array(items) => items.iter().map(masked).collect(),
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_at_any_depth() {
        let said = json!({ "data": { "signIn": { "session": { "accessToken": "a", "personId": "p" } } }, "list": [{ "password": 1 }] });
        let shown = json!({ "data": { "signIn": { "session": { "accessToken": "…", "personId": "p" } } }, "list": [{ "password": "…" }] });
        assert_eq!(masked(&said), shown);
        assert_eq!(root("mutation PlaceBid($input: PlaceBidInput!) {\n  placeBid(input: $input) {"), "placeBid");
        assert_eq!(root("{ serverTime }"), "serverTime");
    }
}
