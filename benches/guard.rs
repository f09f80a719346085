//! What the guard costs: a page of 20 listings with their organizations through the exchange's front door, and
//! through a bare route to the same services. Both over HTTP, in the same run, in turns.
//!
//! `cargo run --release -p exchange-benches -- guard` (SQLite)

use std::{io::Write, sync::Arc, time::Duration};

use async_graphql::Request;
use axum::{Json, Router, routing::post, serve::ListenerExt};
use exchange_benches::{Run, drive, load, median};
use gateway::ExchangeSchema;
use jishi::{Result, config::Config, serve::Running};
use kernel::Language;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use wire::Caller;

const CALLERS: usize = 16;
const ROUNDS: usize = 9;
const SPAN: Duration = Duration::from_secs(2);

const PAGE: &str = "{ listings(first: 20) { edges { node { id title summary status floorPrice organization { id name } } } pageInfo { hasNextPage endCursor } } }";

/// Measures and prints.
pub async fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // Budgets that are counted and never used up.
    let (rate_person, rate_organization, rate_address) = (u32::MAX, u32::MAX, u32::MAX);
    let embedded = Config::embedded(folder.path())?;
    let config = Config { rate_person, rate_organization, rate_address, ..embedded };
    let running = jishi::serve::start(config, None).await?;
    let bare = bare(&running).await?;
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(CALLERS).build()?;
    let (guarded, unguarded) = (page(&client, &running.http).await?, page(&client, &bare).await?);
    let items = guarded.pointer("/data/listings/edges").and_then(Value::as_array).map_or(0, Vec::len);
    if items == 0 || guarded.get("data") != unguarded.get("data") {
        return Err(format!("the two answer differently: {guarded} {unguarded}").into());
    }
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(measure(&client, &bare).await);
        with.push(measure(&client, &running.http).await);
    }
    let (with, without) = (median(with), median(without));
    let mut out = std::io::stdout();
    for (what, run) in [("bare route", &without), ("front door", &with)] {
        writeln!(out, "{what}: {} pages/s, p50 {} µs, p99 {} µs", run.answered, run.p50, run.p99)?;
    }
    let permille = with.answered.saturating_mul(1_000) / without.answered.max(1);
    writeln!(
        out,
        "the guard keeps {}.{} % of the throughput (wanted ≥ 90); {items} listings a page, {CALLERS} connections, \
         median of {ROUNDS} rounds in turns, load {}",
        permille / 10,
        permille % 10,
        load()
    )?;
    running.shutdown().await;
    Ok(())
}

/// What a GraphQL server is without a guard, on this machine's loopback for the time of this run.
async fn bare(running: &Running) -> Result<String> {
    let (schema, clients) = (gateway::unlimited(), Arc::new(running.clients.clone()));
    let clock = running.clock.clone();
    let answer = move |Json(request): Json<Request>| {
        let caller = Caller::new(Arc::default(), None, clients.clone());
        let request = request.data(caller).data(Language::Zh).data(clock.clone());
        let schema = schema.clone();
        async move { Json(ExchangeSchema::execute(&schema, request).await) }
    };
    let route = Router::new().route("/graphql", post(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let http = format!("http://{}", listener.local_addr()?);
    let listener = listener.tap_io(|line| drop(line.set_nodelay(true)));
    tokio::spawn(async move { axum::serve(listener, route).await });
    Ok(http)
}

async fn page(client: &reqwest::Client, http: &str) -> Result<Value> {
    let request = client.post(format!("{http}/graphql")).json(&json!({ "query": PAGE }));
    Ok(request.send().await?.json().await?)
}

async fn measure(client: &reqwest::Client, http: &str) -> Run {
    let (client, http) = (client.clone(), http.to_owned());
    drive(CALLERS, SPAN, move |_, _| {
        let (client, http) = (client.clone(), http.clone());
        async move { page(&client, &http).await.is_ok_and(|answer| answer.get("errors").is_none()) }
    })
    .await
}
