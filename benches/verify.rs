//! How long `verify` takes for a million rows, and how much memory: written in transactions of a thousand rows, as an import
//! does; and for a tenth as many, written by two, as a mutation does.
//!
//! `./test --services-only` in one terminal, then in another, with the addresses it prints:
//! `cargo run --release -p exchange-benches -- verify` (a number after it writes so many rows in place of 1,000,000)

use std::time::Instant;

use exchange_benches::{context, database, load};
use kernel::{Context, Result, audit_log::rows::verify_rows, fresh_uuid};
use sea_orm::{ConnectionTrait, Statement, Value};

use crate::print;

const ROWS: usize = 1_000_000;
/// Rows of a transaction, and which part of the rows is written so.
const WAYS: [(usize, usize); 2] = [(1_000, 1), (2, 10)];

/// Measures and prints.
pub async fn run(argument: Option<String>) -> Result<()> {
    let rows = argument.map_or(Ok(ROWS), |rows| rows.parse());
    let rows: usize = rows.map_err(|_| kernel::Error::Internal("a number of rows".into()))?;
    let folder = tempfile::tempdir().map_err(|error| kernel::Error::Internal(error.to_string()))?;
    let sqlite = format!("sqlite://{}", folder.path().join("bench.db").display());
    measure("SQLite", &sqlite, rows).await?;
    match std::env::var("TEST_POSTGRES_URL") {
        Ok(url) => measure("PostgreSQL", &url, rows).await,
        Err(_) => {
            print("PostgreSQL not measured: TEST_POSTGRES_URL is not set (./test --services-only)");
            Ok(())
        }
    }
}

async fn measure(title: &str, url: &str, rows: usize) -> Result<()> {
    let cx = context(database(url).await?).await?;
    for (together, part) in WAYS {
        let began = Instant::now();
        for _ in 0..rows / part / together {
            fill(&cx, together).await?;
        }
        let took = began.elapsed().as_secs_f64();
        print(&format!("\n{title}: {} rows written, {together} together, in {took:.1} s", rows / part));
        verify(&cx).await?;
    }
    Ok(())
}

async fn verify(cx: &Context) -> Result<()> {
    let (before, began) = (resident_kib(), Instant::now());
    let found = verify_rows(&cx.db, &cx.vault).await?;
    let took = began.elapsed().as_secs_f64();
    print(&format!(
        "  {} rows verify: {:?}; {took:.1} s (wanted ≤ 60 for a million), {} MiB resident before, {} MiB after, load {}",
        found.count,
        found.flaw,
        before / 1_024,
        resident_kib() / 1_024,
        load()
    ));
    Ok(())
}

/// So many rows of a bound table, in one transaction.
async fn fill(cx: &Context, together: usize) -> Result<()> {
    let mut values: Vec<Value> = Vec::with_capacity(2 * together);
    let mut places = Vec::with_capacity(together);
    for row in 0..together {
        places.push(format!("(${}, ${})", 2 * row + 1, 2 * row + 2));
        values.extend(["bench".into(), fresh_uuid().into()]);
    }
    let sql = format!(r#"INSERT INTO "inbox" ("consumer", "event_id") VALUES {}"#, places.join(", "));
    let tx = cx.db.begin().await?;
    tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values)).await?;
    tx.commit().await
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse().ok()).unwrap_or_default()
}
