//! The connections that read, and what is done about a database that says nothing. Its machine may be gone without a word:
//! no line to it is ever told then, and whoever waited on one, or for one to come back, would wait for ever.

use std::{
    io::{self, ErrorKind},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    ExecResult, IsolationLevel, QueryResult, RuntimeErr, Statement, TransactionTrait,
    sqlx::{self, Connection, Pool},
};

use super::{proved::Proved, statement::Read};

/// Within this whatever lives gives a sign of life.
pub(super) const SIGN_OF_LIFE: Duration = Duration::from_secs(3);
/// So long after somebody has given up waiting each connection that comes back to the pool is asked for one.
const DOUBT: Duration = Duration::from_secs(5);

/// The pool for queries; it refuses writes and what somebody altered, and does not wait for answers without end.
#[derive(Clone)]
pub struct Readers {
    pool: DatabaseConnection,
    answer: Duration,
    given_up: GivenUp,
    proved: Proved,
}

/// When somebody last gave up waiting for an answer.
#[derive(Clone, Default)]
struct GivenUp(Arc<Mutex<Option<Instant>>>);

impl GivenUp {
    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn is_recent(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at.elapsed() < DOUBT)
    }
}

/// A query under way. If it falls before its answer came, then before its connection goes back.
struct Awaited<'a> {
    given_up: &'a GivenUp,
    is_answered: bool,
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.given_up.note();
        }
    }
}

impl Readers {
    pub(super) async fn connect(
        mut options: ConnectOptions,
        answer: Duration,
        proved: Proved,
    ) -> Result<Readers, DbErr> {
        let given_up = GivenUp::default();
        let noted = given_up.clone();
        options.map_sqlx_postgres_pool_opts(move |pool| {
            let noted = noted.clone();
            // The driver would ask it as well, and wait for the answer for ever with its place in the pool taken.
            pool.after_release(move |connection, _| {
                let is_doubtful = noted.is_recent();
                Box::pin(async move {
                    if is_doubtful {
                        tokio::time::timeout(SIGN_OF_LIFE, connection.ping()).await.map_err(|_| silence())??;
                    }
                    Ok(true)
                })
            })
        });
        Ok(Readers { pool: Database::connect(options).await?, answer, given_up, proved })
    }

    /// The same, taking rows as they are.
    pub(super) fn unproved(&self) -> Readers {
        Readers { proved: Proved::by(Arc::default()), ..self.clone() }
    }

    /// One state of the database, for whoever looks at it for long while others write.
    pub(crate) async fn view(&self) -> Result<DatabaseTransaction, DbErr> {
        if self.get_database_backend() == DbBackend::Postgres {
            let (isolation, access) = (IsolationLevel::RepeatableRead, AccessMode::ReadOnly);
            return self.pool.begin_with_config(Some(isolation), Some(access)).await;
        }
        self.pool.begin().await
    }

    pub(super) async fn close(&self) -> Result<(), DbErr> {
        self.pool.close_by_ref().await
    }

    /// Rows as the exchange left them.
    async fn proved_rows(&self, read: Read, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let key = read.key(&statement);
        let rows = self.answered(self.pool.query_all_raw(statement.clone())).await?;
        if self.proved.are_proved(self, (read, key.as_deref()), &rows).await? {
            return Ok(rows);
        }
        // Read once more, where rows and index are of one instant: what was read before is nobody's.
        self.answered(async {
            let view = self.view().await?;
            let rows = view.query_all_raw(statement).await?;
            self.proved.require(&view, (read, key.as_deref()), &rows).await?;
            view.rollback().await?;
            Ok(rows)
        })
        .await
    }

    async fn answered<T>(&self, query: impl Future<Output = Result<T, DbErr>> + Send) -> Result<T, DbErr> {
        let mut query = pin!(query);
        let mut awaited = Awaited { given_up: &self.given_up, is_answered: false };
        let answer = within(self.answer, query.as_mut()).await;
        awaited.is_answered = answer.is_ok();
        if answer.is_err() && self.get_database_backend() == DbBackend::Postgres {
            forget_idle(self.pool.get_postgres_connection_pool());
        }
        answer?
    }
}

/// Closes what lies idle in a pool: one of its connections is silent, and they lead to the same place.
pub(super) fn forget_idle<DB: sqlx::Database>(pool: &Pool<DB>) {
    while let Some(mut idle) = pool.try_acquire() {
        idle.close_on_drop();
    }
}

/// Waits so long for the database; zero is for ever. The outer error is its silence.
pub(super) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, DbErr> {
    if limit.is_zero() {
        return Ok(work.await);
    }
    let answer = tokio::time::timeout(limit, work).await;
    answer.map_err(|_| DbErr::Exec(RuntimeErr::SqlxError(silence().into())))
}

fn silence() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(ErrorKind::TimedOut, "the database did not answer"))
}

#[async_trait::async_trait]
impl ConnectionTrait for Readers {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.answered(self.pool.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.answered(self.pool.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match Read::of(&statement.sql) {
            Some(read) => Ok(self.proved_rows(read, statement).await?.into_iter().next()),
            None => self.answered(self.pool.query_one_raw(statement)).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match Read::of(&statement.sql) {
            Some(read) => self.proved_rows(read, statement).await,
            None => self.answered(self.pool.query_all_raw(statement)).await,
        }
    }
}
