//! One connection that writes, and the words with which a transaction begins and ends on it.
//!
//! The driver's own `begin` and `commit` are not used: they count how deep a connection is in transactions, and the
//! count and the connection part when a future is dropped or the database ends a transaction by itself
//! (docs/design/connections.md). Here the database is asked, in the very message that begins or ends.

use futures::TryStreamExt;
use sea_orm::{
    DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement,
    sea_query::Values,
    sqlx::{self, AssertSqlSafe, Either, Executor, Postgres, Row, Sqlite, pool::PoolConnection, postgres::PgRow},
};
use sea_query_sqlx::SqlxValues;

/// The one message that begins on PostgreSQL: a transaction that had been open before began at another instant.
const BEGIN_POSTGRES: &str =
    "BEGIN; SELECT statement_timestamp() = transaction_timestamp() AS fresh, transaction_timestamp()::text AS began";

/// A connection that is out of the pool.
pub(super) enum Connection {
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
        match self {
            Connection::Postgres(_) => DbBackend::Postgres,
            Connection::Sqlite(_) => DbBackend::Sqlite,
        }
    }

    /// Begins a transaction and proves that none was open. Returns by what this one is told from any other.
    pub async fn begin(&mut self) -> Result<String, DbErr> {
        match self {
            Connection::Postgres(connection) => {
                begun(&sqlx::raw_sql(BEGIN_POSTGRES).fetch_one(&mut **connection).await.map_err(failed)?)
            }
            // SQLite refuses to begin within a transaction, so that beginning is the proof.
            Connection::Sqlite(connection) => {
                sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut **connection).await.map_err(failed)?;
                Ok(String::new())
            }
        }
    }

    /// Commits the transaction that `begin` named, and fails if it is no longer open or can only be rolled back.
    pub async fn commit(&mut self, began: &str) -> Result<(), DbErr> {
        match self {
            Connection::Postgres(connection) => {
                let commit = sqlx::raw_sql(AssertSqlSafe(commit_postgres(began)));
                commit.execute(&mut **connection).await.map_err(failed)?;
            }
            // SQLite refuses to commit outside a transaction.
            Connection::Sqlite(connection) => {
                sqlx::raw_sql("COMMIT").execute(&mut **connection).await.map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Commits and begins the next transaction, on PostgreSQL in one message.
    pub async fn commit_and_begin(&mut self, began: &str) -> Result<String, DbErr> {
        let Connection::Postgres(connection) = self else {
            self.commit(began).await?;
            return self.begin().await;
        };
        let message = AssertSqlSafe(format!("{}; {BEGIN_POSTGRES}", commit_postgres(began)));
        let told = sqlx::raw_sql(message).fetch_all(&mut **connection).await.map_err(failed)?;
        begun(told.last().ok_or_else(|| DbErr::Custom("a transaction that began said nothing".into()))?)
    }

    /// Rolls back. On SQLite it is an error if nothing is open: the database then rolled back by itself.
    pub async fn rollback(&mut self) -> Result<(), DbErr> {
        self.run("ROLLBACK").await.map(drop)
    }

    /// Runs SQL text that takes no values: one statement or several.
    pub async fn run(&mut self, sql: &str) -> Result<ExecResult, DbErr> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Connection::Postgres(connection) => sql.execute(&mut **connection).await.map(ExecResult::from),
            Connection::Sqlite(connection) => sql.execute(&mut **connection).await.map(ExecResult::from),
        }
        .map_err(failed)
    }

    /// Runs one statement to its end.
    pub async fn execute(&mut self, statement: Statement) -> Result<Done, DbErr> {
        let Statement { sql, values, .. } = statement;
        let values = SqlxValues(values.unwrap_or(Values(Vec::new())));
        match self {
            Connection::Postgres(connection) => {
                let answers = (**connection).fetch_many(sqlx::query_with(AssertSqlSafe(sql), values));
                collect(answers).await
            }
            Connection::Sqlite(connection) => {
                let answers = (**connection).fetch_many(sqlx::query_with(AssertSqlSafe(sql), values));
                collect(answers).await
            }
        }
    }

    /// Has the connection closed, not given back, when it is dropped: the database then ends what is open on it.
    pub fn destroy(&mut self) {
        match self {
            Connection::Postgres(connection) => connection.close_on_drop(),
            Connection::Sqlite(connection) => connection.close_on_drop(),
        }
    }
}

/// A bare COMMIT is answered without an error where nothing is open and where all is rolled back. The division fails there,
/// and nothing after it in the message is carried out.
fn commit_postgres(began: &str) -> String {
    format!("SELECT 1 / (transaction_timestamp() = '{began}'::timestamptz)::int; COMMIT")
}

/// What `BEGIN_POSTGRES` told.
fn begun(row: &PgRow) -> Result<String, DbErr> {
    let began: String = row.try_get("began").map_err(failed)?;
    if row.try_get::<bool, _>("fresh").map_err(failed)? {
        return Ok(began);
    }
    Err(DbErr::Custom(format!("a transaction of {began} was open on a connection of the pool")))
}

async fn collect<C, R>(answers: impl futures::Stream<Item = Result<Either<C, R>, sqlx::Error>>) -> Result<Done, DbErr>
where
    C: Default + Extend<C> + Into<ExecResult>,
    R: Into<QueryResult>,
{
    let (mut count, mut rows) = (C::default(), Vec::new());
    let mut answers = std::pin::pin!(answers);
    while let Some(answer) = answers.try_next().await.map_err(failed)? {
        match answer {
            Either::Left(done) => count.extend([done]),
            Either::Right(row) => rows.push(row.into()),
        }
    }
    Ok(Done { count: count.into(), rows })
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}
