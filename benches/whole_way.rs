//! Bids through GraphQL over HTTP on one lot, 64 connections: rate, latency, and where the time goes. The client is the
//! one of `place_bid`.
//!
//! The parts are found by subtraction, each measured in this run: the engine alone, an in-process gRPC
//! call, a durable bid through the auction's gRPC door (sequencer and store), the whole way.
//!
//! `cargo run --release -p exchange-benches -- whole_way` (SQLite; PostgreSQL too where
//! TEST_POSTGRES_URL is set)

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use auction::engine::{Command, Lot, Secrets, Terms};
use exchange_benches::{FIRST_STEP, Run, drive, load, median, ours, schema};
use jishi::{
    Result,
    config::Config,
    demo::{client::Door, deal, stage::Stage, timeline::Silent},
};
use kernel::{Actor, Money};
use wire::v1::{self, BidOrigin, BiddingTerms, IncrementStep};

use crate::print;

const CALLERS: usize = 64;
const ROUNDS: usize = 3;
const SPAN: Duration = Duration::from_secs(3);

/// Measures and prints.
pub async fn run() -> Result<()> {
    print(&format!("engine alone: {} ns a bid", engine_nanos()));
    measure("SQLite", None).await?;
    if let Ok(url) = std::env::var("TEST_POSTGRES_URL") {
        measure("PostgreSQL", Some(schema(&url).await?)).await?;
    }
    Ok(())
}

async fn measure(title: &str, database_url: Option<String>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = Config { database_url, ..Config::embedded(folder.path())? };
    let running = jishi::serve::start(config, None).await?;
    let stage = Stage::new(Door::at(running.http.trim_start_matches("http://")), &Silent).await?;
    let (mut http, mut grpc) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let lot = Arc::new(deal::open(&stage).await?);
        grpc.push(over_grpc(&running, &lot).await?);
        let lot = deal::open(&stage).await?;
        http.push(ours::bidders(&running.http, &lot).await?.bid(CALLERS, SPAN).await?);
    }
    let call = grpc_call_nanos(&running).await;
    let (http, grpc) = (median(http), median(grpc));
    let each = |run: &Run| 1_000_000 / run.answered.max(1);
    print(&format!("\n{title}, {CALLERS} connections, median of {ROUNDS} rounds, load {}", load()));
    print(&format!(
        "  GraphQL over HTTP: {} answers/s, {} accepted bids/s, p50 {} µs, p99 {} µs",
        http.answered, http.per_second, http.p50, http.p99
    ));
    print(&format!(
        "  auction over gRPC in process: {} answers/s, {} accepted bids/s, p50 {} µs, p99 {} µs",
        grpc.answered, grpc.per_second, grpc.p50, grpc.p99
    ));
    print(&format!("  one in-process gRPC call with an empty answer: {call} ns"));
    let (whole, inner) = (each(&http), each(&grpc));
    print(&format!(
        "  a call takes {whole} µs of the machine: gateway and HTTP (client included) {} µs, sequencer and store {} µs, \
         gRPC {} µs, engine < 1 µs",
        whole.saturating_sub(inner),
        inner.saturating_sub(call / 1_000),
        call / 1_000
    ));
    running.shutdown().await;
    Ok(())
}

async fn over_grpc(running: &jishi::serve::Running, lot: &Arc<deal::OpenLot>) -> Result<Run> {
    let callers: Vec<(Actor, String)> =
        lot.bidders().iter().map(|house| (exchange_benches::bidder(&house.id), house.id.clone())).collect();
    let (client, callers, lot) = (running.clients.auction.clone(), Arc::new(callers), lot.clone());
    Ok(drive(CALLERS, SPAN, move |_, step| {
        let (mut client, callers, lot) = (client.clone(), callers.clone(), lot.clone());
        async move {
            let turn = usize::try_from(step).unwrap_or_default() % callers.len();
            let Some((actor, organization_id)) = callers.get(turn) else { return false };
            let amount = Some(Money(lot.floor().0 + lot.increment().0 * (step - FIRST_STEP)));
            let session_id = lot.session_id().to_owned();
            let mut request =
                tonic::Request::new(v1::PlaceBidInput { session_id, organization_id: organization_id.clone(), amount });
            actor.write(None, request.metadata_mut());
            client.place_bid(request).await.is_ok_and(|reply| reply.get_ref().bid.is_some())
        }
    })
    .await)
}

async fn grpc_call_nanos(running: &jishi::serve::Running) -> u64 {
    const CALLS: u32 = 20_000;
    let mut client = running.clients.auction.clone();
    let began = Instant::now();
    for _ in 0..CALLS {
        // Refused before any read: the call itself is what is measured.
        drop(client.list_auction_events(v1::ListAuctionEventsRequest::default()).await);
    }
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX) / u64::from(CALLS)
}

fn engine_nanos() -> u64 {
    const BIDS: u32 = 1_000_000;
    let step = IncrementStep { from: Some(Money(0)), increment: Some(Money(1)) };
    let announced = BiddingTerms { increments: vec![step], free_seconds: i32::MAX, ..BiddingTerms::default() };
    let terms = Terms { announced, starting_price: Money(100), ..Terms::default() };
    let mut lot = Lot::scheduled(terms, Secrets::default(), kernel::Instant(0));
    for code in ["B01", "B02"] {
        lot.take(&Command::Admit { code: code.into(), rank: None }, kernel::Instant(0));
    }
    lot.pass(kernel::Instant(0));
    let began = Instant::now();
    for n in 0..BIDS {
        let code = if n % 2 == 0 { "B01" } else { "B02" };
        let amount = Money(100 + i64::from(n));
        let bid = Command::Bid { code: code.into(), amount, origin: BidOrigin::Online, paddle: None };
        lot.take(&bid, kernel::Instant(1));
    }
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX) / u64::from(BIDS)
}
