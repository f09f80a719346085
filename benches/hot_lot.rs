//! One hot lot: durable bids per second through the sequencer (its gRPC door, in process) against a naive
//! implementation that locks the row for every bid, on the same database in the same run.
//!
//! `./test --services-only` in one terminal, then in another, with the addresses it prints:
//! `cargo run --release -p exchange-benches -- hot_lot` (a number after it calls in place of 64)

use std::time::Duration;

use exchange_benches::{OpenLot, Run, Sequencer, context, database, drive, load, median, open_lot, ratio};
use kernel::{Context, Id, Result};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement, TransactionTrait,
    sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous},
};

use crate::print;

const CALLERS: usize = 64;
/// From here on more is wanted: a batch is larger.
const MANY: usize = 256;
const ROUNDS: usize = 3;
const SPAN: Duration = Duration::from_secs(3);

/// Measures and prints.
pub async fn run(argument: Option<String>) -> Result<()> {
    let callers = argument.map_or(Ok(CALLERS), |callers| callers.parse());
    let callers: usize = callers.map_err(|_| kernel::Error::Internal("a number of callers".into()))?;
    let folder = tempfile::tempdir().map_err(|error| kernel::Error::Internal(error.to_string()))?;
    let sqlite = format!("sqlite://{}", folder.path().join("bench.db").display());
    side_by_side("SQLite, WAL, synchronous=FULL: group commit vs one transaction a bid", &sqlite, (callers, 6)).await?;
    match std::env::var("TEST_POSTGRES_URL") {
        Ok(url) => {
            let wanted = if callers < MANY { 20 } else { 40 };
            let title = "PostgreSQL, fsync on: group commit vs SELECT … FOR UPDATE a bid";
            side_by_side(title, &url, (callers, wanted)).await?;
        }
        Err(_) => print("PostgreSQL not measured: TEST_POSTGRES_URL is not set (./test --services-only)"),
    }
    Ok(())
}

async fn side_by_side(title: &str, url: &str, (callers, wanted): (usize, u64)) -> Result<()> {
    print(&format!("\n{title}; {callers} callers, {ROUNDS} interleaved rounds of {SPAN:?}, load {}", load()));
    let cx = context(database(url).await?).await?;
    let sequencer = Sequencer::start(&cx);
    let naive_pool = naive_pool(&cx, url).await?;
    let (mut naive, mut group) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let lot = open_lot(&cx, callers).await?;
        naive.push(measure_naive(&naive_pool, &lot, callers).await);
        let lot = open_lot(&cx, callers).await?;
        group.push(measure_sequencer(&sequencer, &lot, callers).await);
        print(&format!("  round {round}: naive {:?}\n           group {:?}", naive.last(), group.last()));
    }
    sequencer.stop();
    let (naive, group) = (median(naive), median(group));
    print(&format!("  median naive {} bids/s p50 {} µs p99 {} µs", naive.per_second, naive.p50, naive.p99));
    print(&format!("  median group {} bids/s p50 {} µs p99 {} µs", group.per_second, group.p50, group.p99));
    print(&format!("  ratio {} (wanted ≥ {wanted}×), load {}", ratio(group.per_second, naive.per_second), load()));
    Ok(())
}

/// The naive side gets a pool of its own, as large as it likes best; SQLite allows one writer.
async fn naive_pool(cx: &Context, url: &str) -> Result<DatabaseConnection> {
    if cx.db.backend() == DbBackend::Sqlite {
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false).test_before_acquire(false);
        options.map_sqlx_sqlite_opts(|sqlite| {
            let sqlite = sqlite.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
            sqlite.busy_timeout(Duration::from_secs(5))
        });
        return Ok(Database::connect(options).await?);
    }
    let row = Statement::from_string(DbBackend::Postgres, "SELECT current_schema()::text AS s");
    let found = cx.db.read().query_one_raw(row).await?;
    let schema: String = found.ok_or_else(|| kernel::Error::Internal("no schema".into()))?.try_get("", "s")?;
    let mut options = ConnectOptions::new(format!("{url}?options[search_path]={schema}"));
    options.max_connections(32).sqlx_logging(false).test_before_acquire_if_idle_for(Duration::from_secs(30));
    Ok(Database::connect(options).await?)
}

async fn measure_naive(pool: &DatabaseConnection, lot: &OpenLot, callers: usize) -> Run {
    let (pool, id) = (pool.clone(), lot.id.uuid());
    drive(callers, SPAN, move |caller, amount| {
        let pool = pool.clone();
        async move { naive_bid(&pool, id, caller, amount).await.unwrap_or(false) }
    })
    .await
}

/// What one would write first: lock the lot, check, write the bid, commit. In its favour, a bid that comes
/// late takes the next price instead of being refused, so that every transaction counts; the sequencer's
/// refusals do not count.
async fn naive_bid(pool: &DatabaseConnection, id: sea_orm::prelude::Uuid, caller: usize, amount: i64) -> Result<bool> {
    let backend = pool.get_database_backend();
    let options = sea_orm::TransactionOptions {
        sqlite_transaction_mode: Some(sea_orm::SqliteTransactionMode::Immediate),
        ..Default::default()
    };
    let tx = pool.begin_with_options(options).await?;
    let lock = if backend == DbBackend::Postgres { " FOR UPDATE" } else { "" };
    let select = format!("SELECT seq, current_price FROM naive_lot WHERE id = $1{lock}");
    let row = tx.query_one_raw(Statement::from_sql_and_values(backend, select, [id.into()])).await?;
    let Some(row) = row else { return Ok(false) };
    let (seq, price): (i64, Option<i64>) = (row.try_get("", "seq")?, row.try_get("", "current_price")?);
    let code = format!("B{caller:03}");
    let amount = amount.max(price.unwrap_or_default() + 1);
    let update =
        "UPDATE naive_lot SET seq = $1, bid_count = bid_count + 1, current_price = $2, leading_code = $3 WHERE id = $4";
    let values: [sea_orm::Value; 4] = [(seq + 1).into(), amount.into(), code.clone().into(), id.into()];
    tx.execute_raw(Statement::from_sql_and_values(backend, update, values)).await?;
    let insert = "INSERT INTO naive_bid (lot_id, seq, bidder_code, amount) VALUES ($1, $2, $3, $4)";
    let values: [sea_orm::Value; 4] = [id.into(), (seq + 1).into(), code.into(), amount.into()];
    tx.execute_raw(Statement::from_sql_and_values(backend, insert, values)).await?;
    tx.commit().await?;
    Ok(true)
}

async fn measure_sequencer(sequencer: &Sequencer, lot: &OpenLot, callers: usize) -> Run {
    let (sequencer, lot) = (sequencer.clone(), lot.clone());
    drive(callers, SPAN, move |caller, amount| {
        let (sequencer, lot) = (sequencer.clone(), lot.clone());
        async move { sequencer.bid(&lot, caller, amount).await }
    })
    .await
}
