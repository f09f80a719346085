//! What a request costs: told in the answer, bounded, and charged before anything is executed.
//!
//! An extension in the schema that executes would be asked at every field of every answer, for a tenth of the
//! throughput. So a second schema judges and never executes; what it found of a document is remembered, and the schema
//! that executes need not judge again.

use std::sync::{Arc, OnceLock};

use async_graphql::{
    Request, Response, ServerError, ValidationResult, Value,
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

/// Documents, with their variables, whose cost is remembered.
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
        let key = key(request);
        if let Some(known) = self.known.get(&key) {
            return Ok(known);
        }
        let document = request.parsed_query().map_err(|error| Response::from_errors(vec![error]))?.clone();
        let found = Arc::new(OnceLock::new());
        let mut judged = Request::new("").variables(request.variables.clone()).data(found.clone());
        judged.operation_name.clone_from(&request.operation_name);
        judged.set_parsed_query(document);
        let response = self.schema.execute(judged).await;
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
    let named = request.extensions.get("persistedQuery").map(ToString::to_string).unwrap_or_default();
    let variables = serde_json::to_vec(&request.variables).unwrap_or_default();
    let operation = request.operation_name.as_deref().unwrap_or_default();
    let mut digest = Sha256::new();
    for part in [request.query.as_bytes(), named.as_bytes(), operation.as_bytes(), &variables] {
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
