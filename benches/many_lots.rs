//! Bids in flight on one lot, the same number on a hundred lots, and what the database can take at all: whole batches of
//! ready rows with one statement each. In one run, in turns.
//!
//! `./test --services-only` in one terminal, then in another, with the addresses it prints:
//! `cargo run --release -p exchange-benches --bin many_lots`

use std::{io::Write, sync::Arc, time::Duration};

use exchange_benches::{OpenLot, Run, Sequencer, context, database, drive, load, median, open_lot, percent, ratio};
use kernel::{Context, Id, Result};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

const CALLERS: usize = 256;
const LOTS: usize = 100;
const ROUNDS: usize = 3;
const SPAN: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> Result<()> {
    let mut out = std::io::stdout();
    let Ok(url) = std::env::var("TEST_POSTGRES_URL") else {
        drop(writeln!(out, "not measured: TEST_POSTGRES_URL is not set (./test --services-only)"));
        return Ok(());
    };
    let cx = context(database(&url).await?).await?;
    let sequencer = Sequencer::start(&cx);
    let (mut one, mut many, mut batched) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        one.push(bids(&sequencer, vec![open_lot(&cx, CALLERS).await?]).await);
        let mut lots = Vec::new();
        for _ in 0..LOTS {
            lots.push(open_lot(&cx, CALLERS).await?);
        }
        many.push(bids(&sequencer, lots).await);
        batched.push(batches(&cx, &open_lot(&cx, 1).await?).await);
    }
    sequencer.stop();
    let (one, many, batched) = (median(one), median(many), median(batched));
    for (what, run) in [("one lot", &one), ("a hundred lots", &many)] {
        drop(writeln!(out, "{what}: {} bids/s, p50 {} µs, p99 {} µs", run.per_second, run.p50, run.p99));
    }
    let limit = batched.per_second * CALLERS as u64;
    drop(writeln!(out, "ready rows in batches of {CALLERS}: {limit} rows/s"));
    drop(writeln!(
        out,
        "one lot of the limit: {} (wanted ≥ 0.7); one lot against a hundred: {} (wanted ≥ 0.9×); {CALLERS} callers, \
         median of {ROUNDS} rounds of {SPAN:?}, PostgreSQL, load {}",
        percent(one.per_second, limit),
        ratio(one.per_second, many.per_second),
        load()
    ));
    Ok(())
}

async fn bids(sequencer: &Sequencer, lots: Vec<OpenLot>) -> Run {
    let (sequencer, lots) = (sequencer.clone(), Arc::new(lots));
    drive(CALLERS, SPAN, move |caller, amount| {
        let (sequencer, lots) = (sequencer.clone(), lots.clone());
        async move {
            match lots.get(caller % lots.len().max(1)) {
                Some(lot) => sequencer.bid(lot, caller, amount).await,
                None => false,
            }
        }
    })
    .await
}

/// One writer that has nothing to decide: the row of the lot, and as many rows of a log as callers are in flight.
async fn batches(cx: &Context, lot: &OpenLot) -> Run {
    let (cx, id) = (cx.clone(), lot.id.uuid());
    drive(1, SPAN, move |_, number| {
        let cx = cx.clone();
        async move {
            let first = number * CALLERS as i64;
            let values: [sea_orm::Value; 3] = [id.into(), first.into(), (first + CALLERS as i64 - 1).into()];
            let statement = Statement::from_sql_and_values(DbBackend::Postgres, BATCH, values);
            cx.db.write().execute_raw(statement).await.is_ok()
        }
    })
    .await
}

const BATCH: &str = "
WITH lot AS (UPDATE naive_lot SET seq = $3, bid_count = bid_count + 1 WHERE id = $1 RETURNING id)
INSERT INTO naive_bid (lot_id, seq, bidder_code, amount)
SELECT lot.id, seq, 'B001', seq FROM lot, generate_series($2::bigint, $3::bigint) AS seq";
