//! What an operator asks a process: is it alive, may it get work, how is it doing. In drills: what time it is.

use std::{future::Future, pin::Pin, sync::Arc};

use async_graphql::{ScalarType, Value};
use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get, routing::post};
use kernel::Instant;
use serde::{Deserialize, Serialize};

type Asked<A, R> = Arc<dyn Fn(A) -> Pin<Box<dyn Future<Output = R> + Send>> + Send + Sync>;

/// Moves the clock of the whole exchange.
pub type MoveClock = Asked<ClockMove, kernel::Result<ClockPosition>>;

/// The process's answers.
#[derive(Clone)]
pub struct Probes {
    /// Whether it may get work: it is not stopping, and its databases answer.
    pub ready: Asked<(), bool>,
    /// Moves the clock; present in development only.
    pub move_clock: Option<MoveClock>,
}

/// Where to move the drill clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockMove {
    /// To the real time plus this many milliseconds.
    Offset(i64),
    /// To this instant.
    To(Instant),
}

/// Where the drill clock stands.
#[derive(Clone, Copy, Debug)]
pub struct ClockPosition {
    /// The time of the exchange.
    pub now: Instant,
    /// How far it is from the real time.
    pub offset_millis: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    offset_millis: Option<i64>,
    to: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    now: String,
    offset_millis: i64,
}

/// The routes `/healthz`, `/readyz` and, in development, `/dev/clock`.
pub fn probes(probes: Probes) -> Router {
    let mut routes = Router::new().route("/healthz", get(async || "ok")).route("/readyz", get(ready));
    if probes.move_clock.is_some() {
        routes = routes.route("/dev/clock", post(move_clock));
    }
    routes.with_state(probes)
}

/// The route `/metrics`, for a listener of its own: counters that anybody may poll tell who does what when. `render` makes
/// Prometheus text.
pub fn metrics(render: impl Fn() -> String + Clone + Send + Sync + 'static) -> Router {
    Router::new().route("/metrics", get(async move || render()))
}

async fn ready(State(probes): State<Probes>) -> impl IntoResponse {
    if (probes.ready)(()).await { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") }
}

async fn move_clock(State(probes): State<Probes>, Json(wanted): Json<Wanted>) -> impl IntoResponse {
    let Some(move_clock) = &probes.move_clock else { return Err((StatusCode::NOT_FOUND, String::new())) };
    let to = match wanted {
        Wanted { offset_millis: Some(millis), to: None } => ClockMove::Offset(millis),
        Wanted { offset_millis: None, to: Some(text) } => {
            let parsed = <Instant as ScalarType>::parse(Value::String(text));
            ClockMove::To(parsed.map_err(|_| (StatusCode::BAD_REQUEST, "to: RFC 3339".to_owned()))?)
        }
        _ => return Err((StatusCode::BAD_REQUEST, "offsetMillis | to".to_owned())),
    };
    match move_clock(to).await {
        Ok(position) => Ok(Json(Told { now: position.now.to_string(), offset_millis: position.offset_millis })),
        Err(error) => Err((StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
    }
}
