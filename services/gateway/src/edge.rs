//! GraphQL over HTTP: POST of JSON, one operation, nothing else.

use std::{sync::Arc, time::Duration};

use async_graphql::{ServerError, parser::types::OperationType};
use axum::{
    Extension, Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
        header::{ACCEPT_LANGUAGE, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER},
    },
    response::Response,
    routing::{get, post},
};
use kernel::{Actor, Clock, Error, Language, Limiter};
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_http::cors::CorsLayer;
use wire::{Caller, Clients};

use crate::{
    Addresses, DemoAccount, ExchangeSchema, Operations, Rates,
    access::{JWKS, jwks},
    cost::{Gauge, told},
    evidence::{BUNDLE, DOWNLOADS, bundle},
    fault::{failed, finished, invalid, top_level},
    frame::{Traced, answered, refused},
    graphiql,
    guard::Outline,
    home::home,
    live::{Shelves, live},
    rate::Meter,
    request_log::Entry,
    schema::{Mode, judge, schema},
    sealed::{KEYS, is_untold, keys},
    tokens::{Tokens, bearer},
};

/// The largest accepted body, in bytes.
const LARGEST: usize = 256 * 1024;

/// A body that has not come by then is waited for no longer.
const BODY: Duration = Duration::from_secs(10);

/// The most WebSockets at a time.
const SOCKETS: usize = 10_000;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What the front door stands on.
pub struct Edge {
    /// What it shows of itself.
    pub mode: Mode,
    /// The services.
    pub clients: Clients,
    /// The exchange's time.
    pub clock: Clock,
    /// Accounts that GraphiQL names; none in production.
    pub demo_accounts: Vec<DemoAccount>,
    /// Origins other than our own whose pages may call, such as `https://jishi.example`.
    pub allowed_origins: Vec<String>,
    /// Where callers come from.
    pub addresses: Addresses,
    /// How much they may ask for in a minute.
    pub rates: Rates,
    /// What counts it.
    pub limiter: Limiter,
    /// Operations known beforehand.
    pub operations: Operations,
    /// Ends the live streams.
    pub stop: CancellationToken,
    /// Counts the live streams, so that a stop can wait for them.
    pub tasks: TaskTracker,
}

/// The front door at work.
pub(crate) struct Door {
    pub schema: ExchangeSchema,
    pub gauge: Gauge,
    pub clients: Arc<Clients>,
    pub clock: Clock,
    pub tokens: Tokens,
    pub allowed_origins: Vec<String>,
    pub addresses: Addresses,
    pub meter: Arc<Meter>,
    pub operations: Operations,
    pub sockets: Arc<Semaphore>,
    pub downloads: Arc<Semaphore>,
    pub live: Shelves,
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
}

/// The routes of the gateway role.
pub fn router(edge: Edge) -> Router {
    let pages = graphiql::routes(&edge.demo_accounts).route("/", get(home));
    let origins = cors(&edge.allowed_origins);
    let door = Arc::new(Door {
        tokens: Tokens::new(edge.clients.access.clone(), edge.clock.clone()),
        meter: Meter::new(edge.limiter, edge.rates),
        sockets: Arc::new(Semaphore::new(SOCKETS)),
        downloads: Arc::new(Semaphore::new(DOWNLOADS)),
        schema: schema(edge.mode),
        gauge: Gauge::new(judge(edge.mode)),
        clients: Arc::new(edge.clients),
        clock: edge.clock,
        allowed_origins: edge.allowed_origins,
        addresses: edge.addresses,
        operations: edge.operations,
        live: Shelves::default(),
        stop: edge.stop,
        tasks: edge.tasks,
    });
    let graphql = Router::new().route(graphiql::ENDPOINT, post(graphql)).route(BUNDLE, get(bundle)).layer(origins);
    let graphql =
        graphql.route(graphiql::SUBSCRIPTION_ENDPOINT, get(live)).route(JWKS, get(jwks)).route(KEYS, get(keys));
    graphql.merge(pages).with_state(door)
}

/// Lets pages of the configured origins call with a token; nobody else's, and never with cookies.
fn cors(origins: &[String]) -> CorsLayer {
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::POST])
        .allow_headers([CONTENT_TYPE, AUTHORIZATION, ACCEPT_LANGUAGE, KEY])
        .expose_headers([HeaderName::from_static("x-trace-id"), RETRY_AFTER])
}

async fn graphql(
    State(door): State<Arc<Door>>,
    Extension(trace): Traced,
    Extension(entry): Extension<Entry>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if !is_json(&parts.headers) {
        let error = invalid("只接受 application/json。 Content-Type must be application/json.");
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, error, &trace);
    }
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > LARGEST) {
        return refused(StatusCode::PAYLOAD_TOO_LARGE, too_large(), &trace);
    }
    let body = match timeout(BODY, to_bytes(body, LARGEST)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return refused(StatusCode::PAYLOAD_TOO_LARGE, too_large(), &trace),
        Err(_) => {
            let error = invalid("请求体未在 10 秒内送达。 The body did not arrive within 10 s.");
            let mut response = refused(StatusCode::REQUEST_TIMEOUT, error, &trace);
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            return response;
        }
    };
    let Some(request) = parse(&body) else {
        let error =
            invalid("请求体应为 JSON 对象。 The body must be a JSON object with query, variables and operationName.");
        return refused(StatusCode::BAD_REQUEST, error, &trace);
    };
    let address = door.addresses.caller(&parts.extensions, &parts.headers);
    let asked = Asked { headers: &parts.headers, address, bytes: body.len(), request, entry };
    answered(&match execute(&door, asked).await {
        Ok(response) => finished(response, &trace.0),
        Err(error) => failed(error, &trace.0),
    })
}

/// One request as it came.
struct Asked<'a> {
    headers: &'a HeaderMap,
    address: String,
    bytes: usize,
    request: async_graphql::Request,
    entry: Entry,
}

async fn execute(door: &Door, asked: Asked<'_>) -> Result<async_graphql::Response, ServerError> {
    let Asked { headers, address, bytes, mut request, entry } = asked;
    let key = idempotency_key(headers)?;
    entry.caller(Arc::new(Actor { address: address.clone(), ..Actor::default() }));
    let actor = door.caller(headers, address).await?;
    entry.caller(actor.clone());
    let charge = door.meter.charge(&actor, bytes);
    charge.rested()?;
    let Outline { kind, roots } = match door.operations.admit(&mut request) {
        Ok(outline) => outline,
        Err(refused) => {
            charge.take(1).await?;
            return Err(refused);
        }
    };
    let is_untold = actor.is_known() && is_untold(&roots);
    entry.kind(if is_untold { OperationType::Query } else { kind });
    if kind == OperationType::Subscription {
        return Err(invalid("订阅请用 /graphql/ws。 Subscriptions run over graphql-transport-ws at /graphql/ws."));
    }
    let points = match door.gauge.weigh(&mut request).await {
        Ok(points) => points,
        // What is refused is not done: its judging is all that it costs.
        Err(refused) => {
            charge.take(1).await?;
            return Ok(refused);
        }
    };
    if is_untold {
        charge.take_least().await?;
        entry.write_as_query();
    } else {
        charge.take(points.max(1)).await?;
        entry.operation(roots.join(","));
    }
    let request =
        request.data(Caller::new(actor, key, door.clients.clone())).data(language(headers)).data(door.clock.clone());
    let response = door.schema.execute(request).await;
    if kind == OperationType::Mutation {
        door.tokens.heed(&roots);
    }
    entry.executed(kind, &response);
    Ok(told(response, points))
}

impl Door {
    /// Who calls from the address. A refused token is charged to it.
    pub async fn caller(&self, headers: &HeaderMap, address: String) -> Result<Arc<Actor>, ServerError> {
        let anonymous = Actor { address, ..Actor::default() };
        let known = match bearer(headers) {
            Ok(None) => return Ok(Arc::new(anonymous)),
            Ok(Some(token)) => self.tokens.authenticate(&token).await,
            Err(error) => Err(error),
        };
        match known {
            Ok(known) => Ok(Arc::new(Actor { address: anonymous.address, ..known.actor.clone() })),
            Err(error) => {
                if matches!(error, Error::Unauthenticated) {
                    self.meter.charge(&anonymous, 0).take(1).await?;
                }
                Err(top_level(&error))
            }
        }
    }
}

/// A batch is refused: a JSON array could also be read as the fields of one request in order.
fn parse(body: &Bytes) -> Option<async_graphql::Request> {
    let object = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    object.then(|| serde_json::from_slice(body).ok()).flatten()
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

fn too_large() -> ServerError {
    invalid("请求体过大。 The body may have 256 KiB at most.")
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ServerError> {
    let mut keys = headers.get_all(KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let printable =
        |key: &&str| (1..=200).contains(&key.len()) && key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    match (key.to_str().ok().filter(printable), keys.next()) {
        (Some(key), None) => Ok(Some(key.to_owned())),
        _ => Err(invalid(
            "Idempotency-Key 应为 1-200 个可见 ASCII 字符。 Idempotency-Key takes 1-200 printable ASCII characters.",
        )),
    }
}

/// Chinese, unless English is preferred.
fn language(headers: &HeaderMap) -> Language {
    let accepted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let weight = |wanted: &str| {
        accepted
            .split(',')
            .enumerate()
            .filter_map(|(place, range)| {
                let mut parts = range.split(';').map(str::trim);
                let tag = parts.next()?;
                let quality =
                    parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse::<f32>().ok())?;
                let primary = tag.split('-').next()?;
                // Of equal weights the first counts.
                (primary.eq_ignore_ascii_case(wanted) && quality > 0.0).then_some((quality, std::cmp::Reverse(place)))
            })
            .max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
    };
    let (zh, en) = (weight("zh"), weight("en"));
    match (zh, en) {
        (None, Some(_)) => Language::En,
        (Some(zh), Some(en)) if en.0 > zh.0 || (en.0 >= zh.0 && en.1 > zh.1) => Language::En,
        _ => Language::Zh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn english_only_where_it_is_preferred() {
        for (accepted, expected) in [
            ("", Language::Zh),
            ("en", Language::En),
            ("en-US,en;q=0.9", Language::En),
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Zh),
            ("en;q=0.8, zh;q=0.9", Language::Zh),
            ("en, zh", Language::En),
            ("zh, en", Language::Zh),
            ("fr", Language::Zh),
            ("en;q=0", Language::Zh),
            ("en;q=x", Language::Zh),
        ] {
            assert_eq!(language(&headers(ACCEPT_LANGUAGE, accepted)), expected, "{accepted:?}");
        }
    }

    #[test]
    fn only_objects_and_json_are_taken() {
        assert!(parse(&Bytes::from_static(b" {\"query\": \"{ serverTime }\"}")).is_some());
        for bad in ["", "[]", "[{\"query\": \"{ a }\"}]", "[\"{ a }\", null, {}, {}]", "{", "null", "\"{ a }\""] {
            assert!(parse(&Bytes::from(bad.to_owned())).is_none(), "{bad}");
        }
        for (kind, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("multipart/form-data; boundary=application/json", false),
        ] {
            assert_eq!(is_json(&headers(CONTENT_TYPE, kind)), expected, "{kind}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }

    #[test]
    fn keys_are_short_and_printable() {
        assert_eq!(idempotency_key(&HeaderMap::new()).unwrap(), None);
        assert_eq!(idempotency_key(&headers(KEY, "a-1")).unwrap().as_deref(), Some("a-1"));
        for bad in [String::new(), "x".repeat(201), "键".into(), "a\tb".into()] {
            assert!(idempotency_key(&headers(KEY, &bad)).is_err(), "{bad:?}");
        }
    }
}
