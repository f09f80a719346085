//! One connection that writes, and the words with which a transaction begins and ends on it.
//!
//! The driver's own `begin` and `commit` are not used: they count how deep a connection is in transactions, and the
//! count and the connection part when a future is dropped or the database ends a transaction by itself
//! (docs/design/connections.md). Here the database is asked, in the very message that begins or ends.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use futures::TryStreamExt;
use sea_orm::{
    DbBackend, DbErr, ExecResult, QueryResult, Statement,
    sea_query::Values,
    sqlx::{self, AssertSqlSafe, Either, Executor, Postgres, Row, Sqlite, pool::PoolConnection, postgres::PgRow},
};
use sea_query_sqlx::SqlxValues;

use super::disk::Disk;

/// How many transactions this process has begun: each bears its number, until it ends.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// A connection that is out of the pool.
pub(super) struct Connection {
    pub line: Line,
    /// Told of all that goes wrong.
    pub disk: Arc<Disk>,
}

pub(super) enum Line {
    Postgres(PoolConnection<Postgres>),
    Sqlite(PoolConnection<Sqlite>),
}

/// What a statement did: the database's count, and the rows that it returned.
pub(super) struct Done {
    pub count: ExecResult,
    pub rows: Vec<QueryResult>,
}

impl Connection {
    pub fn backend(&self) -> DbBackend {
        match &self.line {
            Line::Postgres(_) => DbBackend::Postgres,
            Line::Sqlite(_) => DbBackend::Sqlite,
        }
    }

    /// Begins a transaction and proves that none was open. Returns by what this one is told from any other.
    pub async fn begin(&mut self) -> Result<String, DbErr> {
        match &mut self.line {
            Line::Postgres(connection) => {
                let (begin, name) = begin_postgres();
                // A transaction that had been open before began at another instant.
                let message = format!("{begin}; SELECT statement_timestamp() = transaction_timestamp() AS fresh");
                let told = ask(connection, message, &self.disk).await?;
                match told.first().map(|row| row.try_get::<bool, _>("fresh")) {
                    Some(Ok(true)) => Ok(name),
                    _ => Err(DbErr::Custom("a transaction was open on a connection of the pool".into())),
                }
            }
            // SQLite refuses to begin within a transaction, so that beginning is the proof.
            Line::Sqlite(connection) => {
                sqlx::raw_sql("BEGIN IMMEDIATE")
                    .execute(&mut **connection)
                    .await
                    .map_err(|error| self.disk.failed(error))?;
                Ok(String::new())
            }
        }
    }

    /// Commits the transaction that `begin` named, and fails if it is no longer open or can only be rolled back.
    pub async fn commit(&mut self, began: &str) -> Result<(), DbErr> {
        match &mut self.line {
            Line::Postgres(connection) => {
                require_open(&ask(connection, COMMIT_POSTGRES.to_owned(), &self.disk).await?, began)?;
            }
            // SQLite refuses to commit outside a transaction.
            Line::Sqlite(connection) => {
                sqlx::raw_sql("COMMIT").execute(&mut **connection).await.map_err(|error| self.disk.failed(error))?;
            }
        }
        Ok(())
    }

    /// Rolls back. On SQLite it is an error if nothing is open: the database then rolled back by itself.
    pub async fn rollback(&mut self) -> Result<(), DbErr> {
        self.run("ROLLBACK").await.map(drop)
    }

    /// Runs SQL text that takes no values: one statement or several. It must not begin a transaction: nobody would find one
    /// without a name.
    pub async fn run(&mut self, sql: &str) -> Result<ExecResult, DbErr> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match &mut self.line {
            Line::Postgres(connection) => sql.execute(&mut **connection).await.map(ExecResult::from),
            Line::Sqlite(connection) => sql.execute(&mut **connection).await.map(ExecResult::from),
        }
        .map_err(|error| self.disk.failed(error))
    }

    /// Runs one statement to its end.
    pub async fn execute(&mut self, statement: Statement) -> Result<Done, DbErr> {
        let Statement { sql, values, .. } = statement;
        let values = SqlxValues(values.unwrap_or(Values(Vec::new())));
        match &mut self.line {
            Line::Postgres(connection) => {
                let answers = (**connection).fetch_many(sqlx::query_with(AssertSqlSafe(sql), values));
                collect(answers, &self.disk).await
            }
            Line::Sqlite(connection) => {
                let answers = (**connection).fetch_many(sqlx::query_with(AssertSqlSafe(sql), values));
                collect(answers, &self.disk).await
            }
        }
    }

    /// Has the connection closed, not given back, when it is dropped: the database then ends what is open on it.
    pub fn destroy(&mut self) {
        match &mut self.line {
            Line::Postgres(connection) => connection.close_on_drop(),
            Line::Sqlite(connection) => connection.close_on_drop(),
        }
    }
}

/// A bare COMMIT is answered without an error where nothing is open and where all is rolled back. To say the transaction's name
/// is refused where all is rolled back, and what comes after it in the message is not carried out; where nothing is open it
/// says none. A query of the clock would do as well, and takes the server longer than the rest of the message.
const COMMIT_POSTGRES: &str = "SHOW jishi.transaction; COMMIT";

/// What begins a transaction and names it, and its name.
fn begin_postgres() -> (String, String) {
    let name = BEGUN.fetch_add(1, Relaxed).to_string();
    (format!("BEGIN; SET LOCAL jishi.transaction = '{name}'"), name)
}

/// Sends one message, and waits until all of it was carried out.
async fn ask(connection: &mut PoolConnection<Postgres>, message: String, disk: &Disk) -> Result<Vec<PgRow>, DbErr> {
    let told = sqlx::raw_sql(AssertSqlSafe(message)).fetch_all(&mut **connection).await;
    told.map_err(|error| disk.failed(error))
}

/// Requires that the transaction of this name was open when it was asked to commit.
fn require_open(told: &[PgRow], name: &str) -> Result<(), DbErr> {
    let open: Option<String> = told.first().and_then(|row| row.try_get(0).ok());
    if open.as_deref() == Some(name) {
        return Ok(());
    }
    Err(DbErr::Custom(format!("not transaction {name} was open, but {open:?}")))
}

async fn collect<C, R>(
    answers: impl futures::Stream<Item = Result<Either<C, R>, sqlx::Error>>,
    disk: &Disk,
) -> Result<Done, DbErr>
where
    C: Default + Extend<C> + Into<ExecResult>,
    R: Into<QueryResult>,
{
    let (mut count, mut rows) = (C::default(), Vec::new());
    let mut answers = std::pin::pin!(answers);
    while let Some(answer) = answers.try_next().await.map_err(|error| disk.failed(error))? {
        match answer {
            Either::Left(done) => count.extend([done]),
            Either::Right(row) => rows.push(row.into()),
        }
    }
    Ok(Done { count: count.into(), rows })
}
