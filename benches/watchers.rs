//! What watching costs: one event to thousands of WebSockets beside a bare loop that sends the same bytes and beside
//! graphql-ws on Node, the memory of a watcher, and how old a watcher's price is while bids come in.
//!
//! `cargo build --release --workspace && ulimit -n 30000 && cargo run --release -p exchange-benches -- watchers`
//! (a number after `--` watches in place of 5,000; where Node and npm are, the first run installs what
//! `peers/package-lock.json` names)

mod bare;
mod bidding;
mod crowd;
mod ears;
mod theirs;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use exchange_benches::{load, node, ratio};
use exchange_tests::{Exchange, Lane};
use jishi::{
    Result,
    demo::{client::Door, deal, stage::Stage, timeline::Silent},
};

use bare::Bare;
use bidding::Bidding;
use crowd::{Crowd, Greeting};
use ears::Heard;
use theirs::Theirs;

use crate::print;

const WATCHERS: usize = 5_000;
/// Events of each side, taken in turns.
const EVENTS: usize = 20;
/// How long bids come in while prices are watched.
const SPAN: Duration = Duration::from_secs(10);

const EVENTS_QUERY: &str = "subscription($id: ID!) { auctionEvents(sessionId: $id) { snapshot { seq status currentPrice } \
     event { seq kind bidderCode amount closesAt } lagged { fromSeq } } }";
const PRICE_QUERY: &str =
    "subscription($id: ID!) { auctionPrice(sessionId: $id) { seq currentPrice minimumAmount closesAt } }";

/// Measures and prints.
pub async fn run(argument: Option<String>) -> Result<()> {
    if argument.as_deref() == Some("bare") {
        return bare::serve().await;
    }
    let count = argument.map_or(Ok(WATCHERS), |count| count.parse()).map_err(|_| "a number of watchers")?;
    let free = ["JISHI_RATE_ADDRESS", "JISHI_RATE_PERSON", "JISHI_RATE_ORGANIZATION", "JISHI_CONNECTIONS_PER_ADDRESS"];
    let mut exchange = Exchange::start_with(Lane::Sqlite, &free.map(|key| (key, "0"))).await.ok_or("no exchange")?;
    let address = exchange.http.trim_start_matches("http://").to_owned();
    let stage = Stage::new(Door::at(&address), &Silent).await?;
    let mut bidding = Bidding::new(&exchange.http, deal::open(&stage).await?).await?;
    let process = exchange.process("gateway").id();
    let session_id = bidding.session_id().to_owned();
    let subscribe = |query: &str| Greeting::Subscribe { query: query.to_owned(), session_id: session_id.clone() };
    let ws = format!("ws://{address}/graphql/ws");
    // The first ones take what the process had free, or need once: what a watcher costs is what those cost who come then.
    let first = Crowd::gather(&ws, count / 2, subscribe(EVENTS_QUERY)).await?;
    let before = memory(process);
    let mut crowd = Crowd::gather(&ws, count, subscribe(EVENTS_QUERY)).await?;
    print(&format!(
        "{count} watchers, load {}: {} bytes of memory a watcher (goal ≤ 10240)",
        load(),
        memory(process).saturating_sub(before) * 1_024 / count
    ));
    drop(first);
    one_event(&mut bidding, &mut crowd, subscribe(EVENTS_QUERY)).await?;
    drop(crowd);
    let crowd = Crowd::gather(&ws, count, subscribe(PRICE_QUERY)).await?;
    prices(&mut bidding, crowd).await
}

/// One event to all, in turns with the bare loop and with Node.
async fn one_event(bidding: &mut Bidding, crowd: &mut Crowd, greeting: Greeting) -> Result<()> {
    let sample = bidding.sample(crowd).await?;
    let event = theirs::event(&sample)?;
    let bare = Bare::start().await?;
    let mut listeners = Crowd::gather(&bare.ws, crowd.count(), Greeting::Nothing).await?;
    let mut node = match Theirs::start().await? {
        Some(theirs) => Some((Crowd::gather(&theirs.ws, crowd.count(), greeting).await?, theirs)),
        None => None,
    };
    let (mut ours, mut least, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..EVENTS {
        let began = Instant::now();
        bidding.bid().await?;
        ours.push(Sent::of(began, &crowd.heard().await?));
        let began = Instant::now();
        bare.send(&sample).await?;
        least.push(Sent::of(began, &listeners.heard().await?));
        if let Some((subscribers, node)) = &mut node {
            let began = Instant::now();
            node.send(&event).await?;
            theirs.push(Sent::of(began, &subscribers.heard().await?));
        }
    }
    print(&format!("  medians of {EVENTS} events of {} bytes", sample.len()));
    let ours = Sent::tell("a bid, from its sending on", ours);
    let least = Sent::tell("the bare loop", least);
    print(&format!("  p99 {} of the bare loop's (goal ≤ 1.3×), load {}", ratio(ours.p99, least.p99), load()));
    if node.is_none() {
        print(&format!("  graphql-ws {}", node::NOT_MEASURED));
        return Ok(());
    }
    let theirs = Sent::tell("graphql-ws on Node", theirs);
    print(&format!("  p99 {} faster than Node's (goal ≥ 3×), load {}", ratio(theirs.p99, ours.p99), load()));
    Ok(())
}

/// Bids come in; how long a price that was overtaken still stood with a watcher.
async fn prices(bidding: &mut Bidding, mut crowd: Crowd) -> Result<()> {
    let count = crowd.count();
    let began = Instant::now();
    let (answered, bids) = bidding.stream(SPAN).await?;
    let span = began.elapsed();
    let frames = crowd.frames(Arc::new(answered)).await;
    let bids_a_second = u128::try_from(bids).unwrap_or_default() * 1_000 / span.as_millis().max(1);
    print(&format!(
        "{bids_a_second} bids/s (goal ≥ 100) with {count} watchers of the price: {} frames a watcher a second; a price was \
         overtaken when it came by {} ms at p99, {} ms at most (goal ≤ 250); it stood {} ms too long at p99, {} ms at most; \
         {} of {count} ended on the last price, load {}",
        frames.count * 1_000 / count / usize::try_from(span.as_millis()).unwrap_or(1).max(1),
        frames.stale_p99,
        frames.stale_most,
        frames.stood_p99,
        frames.stood_most,
        frames.ended_true,
        load()
    ));
    Ok(())
}

/// How long one event was on its way, in microseconds.
#[derive(Clone, Default)]
struct Sent {
    p50: u64,
    p99: u64,
    last: u64,
}

impl Sent {
    fn of(began: Instant, heard: &[Heard]) -> Sent {
        let mut ways: Vec<u64> = heard.iter().map(|heard| micros(heard.at.duration_since(began))).collect();
        ways.sort_unstable();
        let at = |percent: usize| ways.get(ways.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default();
        Sent { p50: at(50), p99: at(99), last: at(100) }
    }

    /// The event with the median p99.
    fn tell(what: &str, mut sent: Vec<Sent>) -> Sent {
        sent.sort_by_key(|sent| sent.p99);
        let middle = sent.get(sent.len() / 2).cloned().unwrap_or_default();
        print(&format!("  {what}: p50 {} µs, p99 {} µs, the last of all {} µs", middle.p50, middle.p99, middle.last));
        middle
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// The memory that a process holds, in KiB.
fn memory(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
