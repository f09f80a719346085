//! One connection that writes, and the words with which a transaction begins and ends on it.
//!
//! The driver's own `begin` and `commit` are not used: they count how deep a connection is in transactions, and the
//! count and the connection part when a future is dropped or the database ends a transaction by itself
//! (docs/design/connections.md). Here the database is asked, in the very message that begins or ends.

use std::sync::Arc;

use futures::TryStreamExt;
use sea_orm::{
    DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement,
    sea_query::Values,
    sqlx::{self, AssertSqlSafe, Either, Executor, Postgres, Row, Sqlite, pool::PoolConnection, postgres::PgRow},
};
use sea_query_sqlx::SqlxValues;

use super::disk::Disk;

/// The one message that begins on PostgreSQL: a transaction that had been open before began at another instant.
const BEGIN_POSTGRES: &str =
    "BEGIN; SELECT statement_timestamp() = transaction_timestamp() AS fresh, transaction_timestamp()::text AS began";

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
            Line::Postgres(connection) => begun(
                &sqlx::raw_sql(BEGIN_POSTGRES)
                    .fetch_one(&mut **connection)
                    .await
                    .map_err(|error| self.disk.failed(error))?,
            ),
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
                let commit = sqlx::raw_sql(AssertSqlSafe(commit_postgres(began)));
                commit.execute(&mut **connection).await.map_err(|error| self.disk.failed(error))?;
            }
            // SQLite refuses to commit outside a transaction.
            Line::Sqlite(connection) => {
                sqlx::raw_sql("COMMIT").execute(&mut **connection).await.map_err(|error| self.disk.failed(error))?;
            }
        }
        Ok(())
    }

    /// Commits and begins the next transaction, on PostgreSQL in one message.
    pub async fn commit_and_begin(&mut self, began: &str) -> Result<String, DbErr> {
        let Line::Postgres(connection) = &mut self.line else {
            self.commit(began).await?;
            return self.begin().await;
        };
        // A transaction begins at the instant of its message: what the first one tells of that names the second one, without another
        // look between the disk and the answer.
        let look = format!("SELECT 1 / ({})::int, statement_timestamp()::text AS began", is_open(began));
        let message = AssertSqlSafe(format!("{look}; COMMIT; BEGIN"));
        let told =
            sqlx::raw_sql(message).fetch_all(&mut **connection).await.map_err(|error| self.disk.failed(error))?;
        let told = told.first().ok_or_else(|| DbErr::Custom("a transaction that began said nothing".into()))?;
        told.try_get("began").map_err(untold)
    }

    /// Rolls back. On SQLite it is an error if nothing is open: the database then rolled back by itself.
    pub async fn rollback(&mut self) -> Result<(), DbErr> {
        self.run("ROLLBACK").await.map(drop)
    }

    /// Runs SQL text that takes no values: one statement or several.
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

/// A bare COMMIT is answered without an error where nothing is open and where all is rolled back. The division fails there,
/// and nothing after it in the message is carried out.
fn commit_postgres(began: &str) -> String {
    format!("SELECT 1 / ({})::int; COMMIT", is_open(began))
}

fn is_open(began: &str) -> String {
    format!("transaction_timestamp() = '{began}'::timestamptz")
}

fn untold(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

/// What `BEGIN_POSTGRES` told.
fn begun(row: &PgRow) -> Result<String, DbErr> {
    let began: String = row.try_get("began").map_err(untold)?;
    if row.try_get::<bool, _>("fresh").map_err(untold)? {
        return Ok(began);
    }
    Err(DbErr::Custom(format!("a transaction of {began} was open on a connection of the pool")))
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
