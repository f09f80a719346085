use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::lock::Mutex;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use tracing::Instrument;

use super::{
    connection::{Connection, Done},
    readers::within,
    self_check::{Acknowledged, SelfCheck},
    statement::{Before, Read, Write, telling_rows},
    written::{Binding, Written, require_unaltered, settle},
};
use crate::{Result, error::within_query, event};

/// A write transaction: the only way to write. Whoever drops it, at whatever await, leaves nothing behind: a connection
/// goes back to the pool only when the database has answered that the transaction is over; any other is closed.
pub struct Transaction {
    backend: DbBackend,
    lease: Mutex<Lease>,
    /// With what its rows are bound to the log; nothing before an exchange has its key.
    binding: Arc<OnceLock<Binding>>,
    written: Mutex<Written>,
    self_check: Arc<SelfCheck>,
    /// Whether the record that it vouches for is looked for again.
    is_sampled: bool,
    vouched: OnceLock<Acknowledged>,
}

/// The connection while a transaction has it.
pub(super) struct Lease {
    connection: Connection,
    /// So long each answer is waited for.
    limit: Duration,
    began: String,
    state: State,
}

/// What is known of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The transaction is open, or begins with the next statement, and every statement was answered.
    Open,
    /// A statement was sent. If this is found later, whoever sent it has gone before the answer.
    Asked,
    /// A constraint refused a statement: all that is left is to roll back.
    Refused,
    /// Anything else went wrong: nothing is known.
    Broken,
    /// The database has answered that it is over.
    Over,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.state != State::Over {
            metrics::counter!("jishi_write_connections_closed_total").increment(1);
            self.connection.destroy();
        }
    }
}

impl Transaction {
    /// Begins on a connection that came from the pool in an unknown state; on an error it is closed.
    pub(super) async fn begin(
        connection: Connection,
        limit: Duration,
        self_check: &Arc<SelfCheck>,
        binding: &Arc<OnceLock<Binding>>,
    ) -> Result<Transaction, DbErr> {
        let mut lease = Lease::of(connection, limit);
        lease.state = State::Asked;
        lease.began = lease.connection.begin().await?;
        lease.state = State::Open;
        let backend = lease.connection.backend();
        let (self_check, is_sampled) = (self_check.clone(), self_check.picks());
        let (binding, vouched, written) = (binding.clone(), OnceLock::new(), Mutex::default());
        Ok(Transaction { backend, lease: Mutex::new(lease), binding, written, self_check, is_sampled, vouched })
    }

    /// Names a record that must be there once this is committed: what somebody will be told stands on it. One transaction
    /// in sixteen is held to its word; of several records the first one counts.
    pub fn vouch(&self, record: impl FnOnce() -> Acknowledged) {
        if self.is_sampled {
            self.vouched.get_or_init(record);
        }
    }

    /// Records an event; it is written at the end, with the rows that the transaction wrote.
    pub(crate) async fn record(&self, event: event::row::Model) {
        self.written.lock().await.record(event);
    }

    /// Has the log tell of a row that somebody else wrote.
    pub(crate) async fn tell_of(&self, table: &'static str, key: Vec<u8>, mark: Option<Vec<u8>>) {
        self.written.lock().await.tell_of(table, key, mark);
    }

    /// Commits. On an error the outcome is unknown, unless a statement had failed before: then nothing was written.
    pub async fn commit(self) -> Result<()> {
        let written = std::mem::take(&mut *self.written.lock().await);
        let recorded = settle(&self, self.binding.get(), written).await?;
        let mut lease = self.lease.into_inner();
        lease.ask()?;
        within(lease.limit, lease.connection.commit(&lease.began)).await??;
        lease.finish();
        self.self_check.take(self.vouched.into_inner(), &recorded);
        Ok(())
    }

    /// Rolls back what is refused. An error if the refusal was decided on a row that is not as the exchange left it: then
    /// that is what the caller is told, and no answer is kept.
    pub async fn refuse(self) -> Result<()> {
        let written = std::mem::take(&mut *self.written.lock().await);
        // After a constraint's refusal the transaction answers nothing more.
        let is_open = self.lease.lock().await.state == State::Open;
        let unaltered = if is_open { require_unaltered(&self, self.binding.get(), written).await } else { Ok(()) };
        self.rollback().await?;
        unaltered
    }

    /// Rolls back.
    pub async fn rollback(self) -> Result<()> {
        let mut lease = self.lease.into_inner();
        if !matches!(lease.state, State::Open | State::Refused) {
            // It is closed when it is dropped, and with it ends the transaction.
            return Ok(());
        }
        lease.state = State::Asked;
        within(lease.limit, lease.connection.rollback()).await??;
        lease.finish();
        Ok(())
    }

    async fn execute(&self, mut statement: Statement) -> Result<Done, DbErr> {
        let mut lease = self.lease.lock().await;
        let Some(binding) = self.binding.get() else {
            if let Some(write) = Write::of(&statement.sql) {
                return Err(DbErr::Custom(format!("rows of {} are bound to nothing yet", write.table.name)));
            }
            return lease.execute(statement).await;
        };
        let mut written = self.written.lock().await;
        let Some(write) = Write::of(&statement.sql) else {
            let read = Read::of(&statement.sql).map(|read| (read, read.key(&statement)));
            let done = lease.execute(statement).await?;
            if let Some((mut read, key)) = read {
                // On SQLite there is no other writer.
                read.holds |= self.backend == DbBackend::Sqlite;
                written.find(&binding.vault, read, &done.rows)?;
                if let Some(key) = key.filter(|_| done.rows.is_empty()) {
                    written.miss(read, key);
                }
            }
            return Ok(done);
        };
        if let Some(Before { turn, read, rows }) = write.before(&statement)? {
            if let Some(turn) = turn {
                lease.execute(turn).await?;
            }
            written.find(&binding.vault, read, &lease.execute(rows).await?.rows)?;
        }
        statement.sql = telling_rows(&statement, write.kind);
        let done = lease.execute(statement).await?;
        written.take(&binding.vault, write, &done.rows).map_err(within_query)?;
        Ok(done)
    }
}

impl Lease {
    /// A connection on which the next statement may be sent.
    pub(super) fn of(connection: Connection, limit: Duration) -> Lease {
        Lease { connection, limit, began: String::new(), state: State::Open }
    }

    /// The database has answered that the transaction is over: the connection goes back to the pool.
    pub(super) fn finish(&mut self) {
        self.state = State::Over;
    }

    /// Requires that the transaction is open and well, and notes that an answer is awaited.
    fn ask(&mut self) -> Result<(), DbErr> {
        if self.state != State::Open {
            return Err(DbErr::Custom(format!("the transaction cannot go on: {:?}", self.state)));
        }
        self.state = State::Asked;
        Ok(())
    }

    pub(super) async fn execute(&mut self, statement: Statement) -> Result<Done, DbErr> {
        self.ask()?;
        let system = if self.connection.backend() == DbBackend::Postgres { "postgresql" } else { "sqlite" };
        let text = &statement.sql;
        let span = tracing::info_span!("statement", otel.kind = "client", db.system = system, db.statement = text);
        let answer = within(self.limit, self.connection.execute(statement).instrument(span)).await;
        let answer = answer.and_then(|answer| answer);
        self.answered(&answer);
        answer
    }

    fn answered<T>(&mut self, answer: &Result<T, DbErr>) {
        self.state = match answer {
            Ok(_) => State::Open,
            Err(error) if error.sql_err().is_some() => State::Refused,
            Err(_) => State::Broken,
        };
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        self.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        Ok(self.execute(statement).await?.count)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut lease = self.lease.lock().await;
        lease.ask()?;
        let answer = lease.connection.run(sql).await;
        lease.answered(&answer);
        answer
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.execute(statement).await?.rows.into_iter().next())
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        Ok(self.execute(statement).await?.rows)
    }
}
