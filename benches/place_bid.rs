//! Durable bids through GraphQL over HTTP on one lot, 64 connections: ours beside PostGraphile 5 over a stored
//! `place_bid()`, on the same PostgreSQL server, with the same light client, in turns; and ours on SQLite. In their favour
//! theirs asks nobody who they are, and keeps no deposits, no evidence and no end of the lot.
//!
//! `./test --services-only` in one terminal, then in another, with the addresses it prints:
//! `cargo run --release -p exchange-benches -- place_bid` (Node and npm are needed; the first run installs what
//! `peers/package-lock.json` names). `-- apart` after a `cargo build --release --workspace` runs ours, too, in
//! processes of their own. PEER_POOL and PEER_PROCESSES tune theirs, see `peers/postgraphile/server.js`.

mod exchange;
mod theirs;

use std::time::Duration;

use exchange_benches::{Run, load, median, node, percent, ratio};
use exchange_tests::Lane;
use jishi::Result;

use exchange::Ours;
use theirs::{Late, Theirs};

use crate::print;

const CALLERS: usize = 64;
/// Measured; one more comes first, until everything is warm.
const ROUNDS: usize = 3;
const SPAN: Duration = Duration::from_secs(3);

/// Measures and prints.
pub async fn run(argument: Option<String>) -> Result<()> {
    let Ok(server) = std::env::var("TEST_POSTGRES_URL") else {
        print("not measured: TEST_POSTGRES_URL is not set (./test --services-only)");
        return Ok(());
    };
    let Some(mut theirs) = Theirs::start(&server).await? else {
        print(node::NOT_MEASURED);
        return Ok(());
    };
    let apart = argument.is_some_and(|argument| argument == "apart");
    let (postgres, sqlite) = match apart {
        true => (Ours::apart(Lane::Postgres).await?, Ours::apart(Lane::Sqlite).await?),
        false => (Ours::here(Some(&server)).await?, Ours::here(None).await?),
    };
    print(&format!(
        "{CALLERS} connections, one warm-up and {ROUNDS} rounds of {SPAN:?} in turns, ours {}, Node {}, load {}",
        if apart { "apart" } else { "in the client's process" },
        node::version().await.unwrap_or_default(),
        load()
    ));
    let mut runs = Runs::default();
    for round in 0..=ROUNDS {
        let row = [
            postgres.measure().await?,
            measure(&mut theirs, Late::Refused).await?,
            sqlite.measure().await?,
            measure(&mut theirs, Late::TakesTheNext).await?,
        ];
        if round > 0 {
            runs.0.push(row);
        }
    }
    runs.tell();
    postgres.end().await;
    sqlite.end().await;
    Ok(())
}

async fn measure(theirs: &mut Theirs, late: Late) -> Result<Run> {
    let (lot, bidders) = theirs.bidders(late).await?;
    let run = bidders.bid(CALLERS, SPAN).await?;
    let found = theirs.count(lot).await?;
    if found != run.accepted {
        return Err(format!("{} of their bids were acknowledged, {found} are there", run.accepted).into());
    }
    Ok(run)
}

/// Rows of: ours on PostgreSQL, theirs, ours on SQLite, theirs in their favour.
#[derive(Default)]
struct Runs(Vec<[Run; 4]>);

impl Runs {
    fn tell(self) {
        let column = |take: fn(&[Run; 4]) -> &Run| median(self.0.iter().map(take).cloned().collect());
        let postgres = column(|[postgres, ..]| postgres);
        let theirs = column(|[_, theirs, ..]| theirs);
        let sqlite = column(|[_, _, sqlite, _]| sqlite);
        let favoured = column(|[.., favoured]| favoured);
        let lines = [
            ("ours, PostgreSQL", &postgres),
            ("ours, SQLite", &sqlite),
            ("PostGraphile, overtaken bids are refused", &theirs),
            ("PostGraphile, late bids take the next price", &favoured),
        ];
        for (what, run) in lines {
            print(&format!(
                "  {what}: {} answers/s, {} accepted durable bids/s, p50 {} µs, p99 {} µs, p99 of the accepted {} µs",
                run.answered, run.per_second, run.p50, run.p99, run.accepted_p99
            ));
        }
        for (what, ours, goal) in [("PostgreSQL", &postgres, 10), ("SQLite", &sqlite, 12)] {
            compare(what, ours, (&theirs, "they refuse"), goal);
            compare(what, ours, (&favoured, "they never refuse"), goal);
        }
        print(&format!("  load {}", load()));
    }
}

fn compare(what: &str, ours: &Run, (theirs, how): (&Run, &str), goal: u32) {
    print(&format!(
        "  ours on {what}, {how}: {} the accepted bids (goal ≥ {goal}×), {} the answers, p99 of the accepted {} of \
         theirs (goal ≤ 0.10), p99 of all {}",
        ratio(ours.per_second, theirs.per_second),
        ratio(ours.answered, theirs.answered),
        percent(ours.accepted_p99, theirs.accepted_p99),
        percent(ours.p99, theirs.p99)
    ));
}
