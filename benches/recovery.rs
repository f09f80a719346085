//! How long a lot with a million logged bids is away when its process begins anew: from the start of the service to the
//! first acknowledged bid.
//!
//! `cargo run --release -p exchange-benches -- recovery` (SQLite; with TEST_POSTGRES_URL on PostgreSQL too)

use std::{
    io::Write,
    time::{Duration, Instant},
};

use exchange_benches::{OpenLot, Sequencer, context, database, drive, load, open_lot};
use kernel::{Context, Result};

const BIDS: i64 = 1_000_000;
const CALLERS: usize = 256;
const SPAN: Duration = Duration::from_secs(5);
const STARTS: usize = 5;

/// Measures and prints.
pub async fn run() -> Result<()> {
    let folder = tempfile::tempdir().map_err(|error| kernel::Error::Internal(error.to_string()))?;
    let sqlite = format!("sqlite://{}", folder.path().join("bench.db").display());
    measure("SQLite", &sqlite).await?;
    match std::env::var("TEST_POSTGRES_URL") {
        Ok(url) => measure("PostgreSQL", &url).await,
        Err(_) => Ok(()),
    }
}

async fn measure(name: &str, url: &str) -> Result<()> {
    let cx = context(database(url).await?).await?;
    let lot = open_lot(&cx, CALLERS + STARTS).await?;
    let (logged, offered) = fill(&cx, &lot).await;
    let mut waits = Vec::new();
    for start in 0..STARTS {
        let began = Instant::now();
        let sequencer = Sequencer::start(&cx);
        // Nobody leads who bids here, and nobody offered so much.
        let amount = offered + 1_000 + i64::try_from(start).unwrap_or_default();
        let taken = sequencer.bid(&lot, CALLERS + start, amount).await;
        waits.push((began.elapsed(), taken));
        sequencer.stop();
    }
    let mut out = std::io::stdout();
    let all = waits.iter().all(|(_, taken)| *taken);
    let slowest = waits.iter().map(|(wait, _)| *wait).max().unwrap_or_default();
    drop(writeln!(
        out,
        "{name}: {logged} logged bids; start to the first acknowledged bid: slowest of {STARTS} {slowest:?} (wanted ≤ 1 s), \
         all acknowledged: {all}, load {}",
        load()
    ));
    Ok(())
}

/// Bids until a million are in the log; how many there are, and how many were offered.
async fn fill(cx: &Context, lot: &OpenLot) -> (i64, i64) {
    let sequencer = Sequencer::start(cx);
    let (mut logged, mut offered) = (0, 0);
    while logged < BIDS {
        let (one, at) = (sequencer.clone(), lot.clone());
        let from = offered;
        let run = drive(CALLERS, SPAN, move |caller, amount| {
            let (one, at) = (one.clone(), at.clone());
            async move { one.bid(&at, caller, from + amount).await }
        })
        .await;
        offered += i64::try_from(run.offered).unwrap_or_default() + 1;
        logged += i64::try_from(run.accepted).unwrap_or_default();
    }
    sequencer.stop();
    (logged, offered)
}
