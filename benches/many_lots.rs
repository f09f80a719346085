//! Bids in flight on one lot, the same number on a hundred lots, and what the database can take at all: whole batches of
//! ready rows with one statement each. In one run, in turns.
//!
//! `./test --services-only` in one terminal, then in another, with the addresses it prints:
//! `cargo run --release -p exchange-benches -- many_lots`

use std::{io::Write, sync::Arc, time::Duration};

use exchange_benches::{OpenLot, Run, Sequencer, context, database, drive, load, median, open_lot, percent, ratio};
use kernel::{Context, Result};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

const CALLERS: usize = 256;
const LOTS: usize = 100;
const ROUNDS: usize = 3;
const SPAN: Duration = Duration::from_secs(3);

/// Measures and prints.
pub async fn run() -> Result<()> {
    let mut out = std::io::stdout();
    let Ok(url) = std::env::var("TEST_POSTGRES_URL") else {
        drop(writeln!(out, "not measured: TEST_POSTGRES_URL is not set (./test --services-only)"));
        return Ok(());
    };
    let cx = context(database(&url).await?).await?;
    let sequencer = Sequencer::start(&cx);
    let (mut one, mut many, mut batched) = (Vec::new(), Vec::new(), Vec::new());
    cx.db.write().execute_unprepared(TABLES).await?;
    for round in 0..ROUNDS {
        one.push(bids(&sequencer, vec![open_lot(&cx, CALLERS).await?]).await);
        let mut lots = Vec::new();
        for _ in 0..LOTS {
            lots.push(open_lot(&cx, CALLERS).await?);
        }
        many.push(bids(&sequencer, lots).await);
        batched.push(batches(&cx, round as i64).await);
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

/// One writer that has nothing to decide: the row of the lot, and as many rows of a log as callers are in flight, ready
/// and as long as ours.
async fn batches(cx: &Context, round: i64) -> Run {
    let cx = cx.clone();
    let (state, record) = (vec![7_u8; STATE_BYTES], vec![7_u8; RECORD_BYTES]);
    drive(1, SPAN, move |_, number| {
        let (cx, state, record) = (cx.clone(), state.clone(), record.clone());
        async move {
            let first = (round * 1_000_000 + number) * CALLERS as i64;
            let numbers: Vec<i64> = (first..first + CALLERS as i64).collect();
            let records = vec![record; CALLERS];
            let values: [sea_orm::Value; 4] = [(CALLERS as i64).into(), state.into(), numbers.into(), records.into()];
            let statement = Statement::from_sql_and_values(DbBackend::Postgres, BATCH, values);
            cx.db.write().execute_raw(statement).await.is_ok()
        }
    })
    .await
}

/// What a bid takes in the log, and the state of a lot with as many bidders as callers.
const RECORD_BYTES: usize = 60;
const STATE_BYTES: usize = 4_096;

const TABLES: &str = "CREATE TABLE batched_lot (id uuid PRIMARY KEY, seq bigint NOT NULL, state bytea);
     CREATE TABLE batched_log (lot_id uuid NOT NULL, seq bigint NOT NULL, record bytea NOT NULL, PRIMARY KEY (lot_id, seq));
     INSERT INTO batched_lot VALUES (gen_random_uuid(), 0, NULL)";

const BATCH: &str = "
WITH lot AS (UPDATE batched_lot SET seq = seq + $1, state = $2 RETURNING id)
INSERT INTO batched_log (lot_id, seq, record)
SELECT lot.id, e.seq, e.record FROM lot, unnest($3::bigint[], $4::bytea[]) AS e(seq, record)";
