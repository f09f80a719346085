//! What a request costs: told in the answer, bounded, and charged before anything is executed.
//!
//! An extension in the schema that executes would be asked at every field of every answer, for a tenth of the
//! throughput. So a second schema judges and never executes; what it found of a document is remembered, and the schema
//! that executes need not judge again.

use std::sync::{Arc, OnceLock};

use async_graphql::{
    Request, Response, ServerError, ValidationResult, Value, Variables,
    async_trait::async_trait,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute, NextValidation},
    value,
};
use moka::sync::Cache;
use sha2::{Digest, Sha256};

use crate::{
    ExchangeSchema,
    fault::{TOO_COMPLEX, refusal},
};

/// Lists and links multiply (`list::cost`), so this bounds what one request can make the services look up.
pub const LIMIT: usize = 2_000;

/// Documents, with the shapes of their variables, whose cost is remembered.
const REMEMBERED: u64 = 10_000;

/// Judges requests.
pub(crate) struct Gauge {
    schema: ExchangeSchema,
    known: Cache<[u8; 32], usize>,
}

impl Gauge {
    /// Judges by this schema, which has the extension `Cost`.
    pub fn new(schema: ExchangeSchema) -> Self {
        Self { schema, known: Cache::new(REMEMBERED) }
    }

    /// The cost of a request whose document is parsed; or the answer, if it is not to be executed.
    pub async fn weigh(&self, request: &mut Request) -> Result<usize, Response> {
        let key = digest(request, &shape(&request.variables));
        if let Some(known) = self.known.get(&key) {
            return Ok(known);
        }
        let document = request.parsed_query().map_err(|error| Response::from_errors(vec![error]))?.clone();
        let found = Arc::new(OnceLock::new());
        let mut judged = Request::new("").variables(request.variables.clone()).data(found.clone());
        judged.operation_name.clone_from(&request.operation_name);
        judged.set_parsed_query(document);
        // Boxed: what is rare takes no room in every request's future.
        let response = Box::pin(self.schema.execute(judged)).await;
        match found.get() {
            Some(points) if response.errors.is_empty() => {
                self.known.insert(key, *points);
                Ok(*points)
            }
            Some(points) => Err(told(response, *points)),
            None => Err(response),
        }
    }
}

/// Says in an answer what it cost.
pub(crate) fn told(response: Response, points: usize) -> Response {
    response.extension("cost", value!({ "requested": points, "limit": LIMIT }))
}

/// The document, however it is named, the operation and the variables.
pub(crate) fn key(request: &Request) -> [u8; 32] {
    digest(request, &serde_json::to_vec(&request.variables).unwrap_or_default())
}

/// The variables as far as judging depends on them. Of a string, the schema only judges whether it names a value of an
/// enum: no other string makes a request dearer or invalid before it is executed. So two bids are judged once.
fn shape(variables: &Variables) -> Vec<u8> {
    let mut shape = Vec::with_capacity(256);
    for (name, value) in variables.iter() {
        draw(name.as_bytes(), &mut shape);
        outline(value, &mut shape);
    }
    shape
}

fn outline(value: &Value, shape: &mut Vec<u8>) {
    match value {
        Value::String(text) if !may_be_enum(text) => shape.push(b'"'),
        Value::List(items) => {
            shape.push(b'[');
            items.iter().for_each(|item| outline(item, shape));
            shape.push(b']');
        }
        Value::Object(fields) => {
            shape.push(b'{');
            for (name, value) in fields {
                draw(name.as_bytes(), shape);
                outline(value, shape);
            }
            shape.push(b'}');
        }
        other => draw(other.to_string().as_bytes(), shape),
    }
}

/// With its length before it, so that no two values draw alike.
fn draw(bytes: &[u8], shape: &mut Vec<u8>) {
    shape.push(b'=');
    shape.extend((bytes.len() as u64).to_be_bytes());
    shape.extend(bytes);
}

fn may_be_enum(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

fn digest(request: &Request, variables: &[u8]) -> [u8; 32] {
    let named = request.extensions.get("persistedQuery").map(ToString::to_string).unwrap_or_default();
    let operation = request.operation_name.as_deref().unwrap_or_default();
    let mut digest = Sha256::new();
    for part in [request.query.as_bytes(), named.as_bytes(), operation.as_bytes(), variables] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// Measures, and keeps everything from being executed.
pub(crate) struct Cost;

impl ExtensionFactory for Cost {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Cost)
    }
}

#[async_trait]
impl Extension for Cost {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let valid = next.run(ctx).await?;
        if let Some(found) = ctx.data_opt::<Arc<OnceLock<usize>>>() {
            found.get_or_init(|| valid.complexity);
        }
        if valid.complexity <= LIMIT { Ok(valid) } else { Err(vec![too_costly(valid.complexity)]) }
    }

    async fn execute(&self, _: &ExtensionContext<'_>, _: Option<&str>, _: NextExecute<'_>) -> Response {
        Response::new(Value::Null)
    }
}

fn too_costly(requested: usize) -> ServerError {
    let zh = format!("查询过于复杂：需 {requested} 点，上限 {LIMIT} 点。");
    refusal(TOO_COMPLEX, format!("{zh} The query is too complex: it takes {requested} points of at most {LIMIT}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape_of(variables: serde_json::Value) -> Vec<u8> {
        shape(&Variables::from_json(variables))
    }

    #[test]
    fn only_strings_that_name_no_enum_value_are_alike() {
        let of = |json: &str| shape_of(serde_json::from_str(json).unwrap());
        let one = of(r#"{ "i": { "sessionId": "bidding_01h", "amount": "1.00", "n": 1 } }"#);
        assert_eq!(one, of(r#"{ "i": { "sessionId": "bidding_02x", "amount": "20.50", "n": 1 } }"#));
        for other in [
            r#"{ "i": { "sessionId": "bidding_01h", "amount": "1.00", "n": 2 } }"#,
            r#"{ "i": { "sessionId": "bidding_01h", "amount": "1.00" } }"#,
            r#"{ "i": { "sessionId": "bidding_01h", "price": "1.00", "n": 1 } }"#,
            r#"{ "i": { "sessionId": "bidding_01h", "amount": 1, "n": 1 } }"#,
            r#"{ "i": { "sessionId": "bidding_01h", "amount": null, "n": 1 } }"#,
            r#"{ "i": { "sessionId": "bidding_01h", "amount": ["1.00"], "n": 1 } }"#,
            r#"{ "i": { "sessionId": "DUTCH", "amount": "1.00", "n": 1 } }"#,
            r#"{ "j": { "sessionId": "bidding_01h", "amount": "1.00", "n": 1 } }"#,
        ] {
            assert_ne!(one, of(other), "{other}");
        }
        assert_ne!(of(r#"{ "a": ["x", ["x"]] }"#), of(r#"{ "a": [["x"], "x"] }"#));
        assert_ne!(of(r#"{ "a": "DUTCH" }"#), of(r#"{ "a": "REVERSE" }"#));
        assert_ne!(of(r#"{ "a": [1, 23] }"#), of(r#"{ "a": [12, 3] }"#));
    }
}
