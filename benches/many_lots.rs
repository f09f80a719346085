//! Bids in flight on one lot, the same number on a hundred lots, and what batched SQL can do at all: as many callers, whose
//! rows one writer, who decides nothing, writes with one statement a batch; and the same without callers, whole batches of
//! ready rows one after the other. In one run, in turns.
//!
//! `./test --services-only` in one terminal, then in another, with the addresses it prints:
//! `cargo run --release -p exchange-benches -- many_lots`

use std::{io::Write, sync::Arc, time::Duration};

use exchange_benches::{OpenLot, Run, Sequencer, context, database, drive, load, median, open_lot, percent, ratio};
use kernel::{Context, Result};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio::sync::{mpsc, oneshot};

const CALLERS: usize = 256;
const LOTS: usize = 100;
const ROUNDS: usize = 3;
const SPAN: Duration = Duration::from_secs(3);
/// No run writes so many rows: each has numbers of its own.
const APART: i64 = 1_000_000_000;

/// Measures and prints.
pub async fn run() -> Result<()> {
    let mut out = std::io::stdout();
    let Ok(url) = std::env::var("TEST_POSTGRES_URL") else {
        drop(writeln!(out, "not measured: TEST_POSTGRES_URL is not set (./test --services-only)"));
        return Ok(());
    };
    let cx = context(database(&url).await?).await?;
    let sequencer = Sequencer::start(&cx);
    let (mut one, mut many, mut batched, mut ready) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    cx.db.run(TABLES).await?;
    for round in 0..ROUNDS {
        one.push(bids(&sequencer, vec![open_lot(&cx, CALLERS).await?]).await);
        let mut lots = Vec::new();
        for _ in 0..LOTS {
            lots.push(open_lot(&cx, CALLERS).await?);
        }
        many.push(bids(&sequencer, lots).await);
        let from = round as i64 * 2 * APART;
        batched.push(called(&cx, from).await);
        ready.push(batches(&cx, from + APART).await);
    }
    sequencer.stop();
    let (one, many, batched, ready) = (median(one), median(many), median(batched), median(ready));
    for (what, run) in [("one lot", &one), ("a hundred lots", &many), ("batched SQL, as many callers", &batched)] {
        drop(writeln!(out, "{what}: {} bids/s, p50 {} µs, p99 {} µs", run.per_second, run.p50, run.p99));
    }
    let rows = ready.per_second * CALLERS as u64;
    drop(writeln!(out, "batched SQL without callers, {CALLERS} ready rows a batch: {rows} rows/s"));
    drop(writeln!(
        out,
        "one lot of batched SQL: {} (wanted ≥ 0.7), without callers {}; one lot against a hundred: {} (wanted ≥ 0.9×); \
         {CALLERS} callers, median of {ROUNDS} rounds of {SPAN:?}, PostgreSQL, load {}",
        percent(one.per_second, batched.per_second),
        percent(one.per_second, rows),
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

/// Callers who wait for a writer that has nothing to decide: it takes what is there, writes it, and answers.
async fn called(cx: &Context, from: i64) -> Run {
    let (queue, mut asked) = mpsc::channel::<(i64, oneshot::Sender<bool>)>(CALLERS);
    let cx = cx.clone();
    let writer = tokio::spawn(async move {
        let mut batch = Vec::new();
        while asked.recv_many(&mut batch, CALLERS).await > 0 {
            let numbers = batch.iter().map(|(number, _)| from + number).collect();
            let done = write(&cx, numbers).await;
            for (_, answer) in batch.drain(..) {
                assert!(answer.send(done).is_ok(), "every caller waits");
            }
        }
    });
    let run = drive(CALLERS, SPAN, move |_, number| {
        let queue = queue.clone();
        async move {
            let (answer, answered) = oneshot::channel();
            queue.send((number, answer)).await.is_ok() && answered.await.unwrap_or(false)
        }
    })
    .await;
    drop(writer.await);
    run
}

/// Batches that are ready, one after the other.
async fn batches(cx: &Context, from: i64) -> Run {
    let cx = cx.clone();
    drive(1, SPAN, move |_, number| {
        let cx = cx.clone();
        async move {
            let first = from + number * CALLERS as i64;
            write(&cx, (first..first + CALLERS as i64).collect()).await
        }
    })
    .await
}

/// The row of the lot, and rows of a log as long as ours.
async fn write(cx: &Context, numbers: Vec<i64>) -> bool {
    let records = vec![vec![7_u8; RECORD_BYTES]; numbers.len()];
    let state = vec![7_u8; STATE_BYTES];
    let values: [sea_orm::Value; 4] = [(numbers.len() as i64).into(), state.into(), numbers.into(), records.into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, BATCH, values);
    let Ok(tx) = cx.db.begin().await else { return false };
    tx.execute_raw(statement).await.is_ok() && tx.commit().await.is_ok()
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
