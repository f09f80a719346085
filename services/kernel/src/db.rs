mod alone;
mod connection;
mod disk;
mod proved;
mod readers;
pub(crate) mod row;
mod seen;
mod self_check;
mod statement;
pub(crate) mod tables;
#[cfg(test)]
mod tests;
mod transaction;
mod written;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use sea_orm::{
    ConnectOptions, Database, DatabaseConnectionType, DbBackend, DbErr, RuntimeErr,
    sqlx::{
        self, PgPool, SqlitePool,
        sqlite::{SqliteJournalMode, SqliteSynchronous},
    },
};

use self::{
    connection::{Connection, Line},
    disk::Disk,
    proved::Proved,
    readers::{SIGN_OF_LIFE, forget_idle, within},
    self_check::SelfCheck,
    written::Binding,
};
pub use self::{readers::Readers, seen::record_altered, self_check::Acknowledged, transaction::Transaction};
use crate::{Clock, Result, Vault};

/// One service's database: writers and readers.
///
/// Only a [`Transaction`] writes, which [`Db::begin`] gives out, or [`Db::write_alone`]; the readers refuse to write. SQLite has one writer:
/// every write transaction is `BEGIN IMMEDIATE` on a pool of one connection, since deferred ones fail with "database is
/// locked" whatever the busy timeout. On PostgreSQL there are two pools as well: a mutation holds a writer while it reads
/// in other services, and with one pool enough of them starve each other.
#[derive(Clone)]
pub struct Db {
    writers: Writers,
    read: Readers,
    reader_options: ConnectOptions,
    answer: Duration,
    self_check: Arc<SelfCheck>,
    disk: Arc<Disk>,
    binding: Arc<OnceLock<Binding>>,
}

#[derive(Clone)]
enum Writers {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

/// For so long a transaction that could not be begun is begun again on another connection: once more after silence.
const BEGIN_AGAIN: Duration = Duration::from_secs(4);
/// Most connections in a pool on PostgreSQL.
const MOST_CONNECTIONS: u32 = 20;
/// How long a writer may stand in the way of others; PostgreSQL sees to it. And how long PostgreSQL itself may. Zero is for
/// ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteLimits {
    /// A transaction whose process says nothing for so long is undone, and what it locked is free: the process may be
    /// frozen, or cut off without either side being told.
    pub idle: Duration,
    /// A statement that has waited for a lock for so long fails.
    pub lock: Duration,
    /// A statement without an answer for so long is given up, and its connection with it: the server's machine may be gone
    /// without a word, and another one may have its address.
    pub answer: Duration,
}

impl Default for WriteLimits {
    /// Whoever waits for a frozen process outwaits it, and both together are less than a call may last; either is told
    /// before silence is believed.
    fn default() -> Self {
        let [idle, lock, answer] = [5, 8, 10].map(Duration::from_secs);
        WriteLimits { idle, lock, answer }
    }
}

impl Db {
    /// Connects to `sqlite://path` (made if absent) or `postgres://…`.
    pub async fn connect(url: &str) -> Result<Db> {
        Db::connect_within(url, WriteLimits::default()).await
    }

    /// The same with limits of one's own for the writers on PostgreSQL.
    pub async fn connect_within(url: &str, limits: WriteLimits) -> Result<Db> {
        let mut options = ConnectOptions::new(url);
        options.sqlx_logging(false).acquire_timeout(Duration::from_secs(5));
        // A file is not gone without a word.
        let is_file = url.starts_with("sqlite");
        let answer = if is_file { Duration::ZERO } else { limits.answer };
        let (writer, reader) = if is_file { sqlite(options) } else { postgres(options, limits) };
        let (self_check, disk, binding) = (Arc::default(), Arc::default(), Arc::default());
        let proved = Proved::by(Arc::clone(&binding));
        let (write, read) = (Database::connect(writer).await?, Readers::connect(reader.clone(), answer, proved).await?);
        let writers = match &write.inner {
            DatabaseConnectionType::SqlxPostgresPoolConnection(_) => {
                Writers::Postgres(write.get_postgres_connection_pool().clone())
            }
            _ => Writers::Sqlite(write.get_sqlite_connection_pool().clone()),
        };
        Ok(Db { writers, read, reader_options: reader, answer, self_check, disk, binding })
    }

    /// SQLite or PostgreSQL.
    #[must_use]
    pub fn backend(&self) -> DbBackend {
        match self.writers {
            Writers::Postgres(_) => DbBackend::Postgres,
            Writers::Sqlite(_) => DbBackend::Sqlite,
        }
    }

    /// The pool for queries; it refuses writes, and rows that somebody altered.
    #[must_use]
    pub fn read(&self) -> &Readers {
        &self.read
    }

    /// The same for whoever looks at what is there, altered or not; what it writes is bound to nothing.
    #[must_use]
    pub fn to_look(&self) -> Db {
        Db { binding: Arc::default(), read: self.read.unproved(), ..self.clone() }
    }

    /// Begins a write transaction, on a connection that was proved to have none open.
    pub async fn begin(&self) -> Result<Transaction> {
        self.self_check.require_log()?;
        self.begin_for_log().await
    }

    /// The same for the sealer of the audit log, for which the others may have to wait.
    pub(crate) async fn begin_for_log(&self) -> Result<Transaction> {
        self.self_check.require()?;
        // After a restart of the database every connection of the pool may be dead; nothing is lost by trying another.
        let since = std::time::Instant::now();
        for _ in 0..MOST_CONNECTIONS {
            match self.begin_on(self.writer().await?).await {
                Ok(transaction) => return Ok(transaction),
                Err(error) if since.elapsed() < BEGIN_AGAIN => tracing::warn!(%error, "a write connection is replaced"),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.begin_on(self.writer().await?).await?)
    }

    /// From here on every row of a bound table is bound to the audit log as it is written. What was said first holds.
    pub(crate) fn bind(&self, service: &'static str, clock: &Clock, vault: &Arc<Vault>) {
        self.binding.get_or_init(|| Binding { service, clock: clock.clone(), vault: vault.clone() });
    }

    /// The keys of an exchange that is at work on this database.
    pub(crate) fn vault(&self) -> Option<&Vault> {
        self.binding.get().map(|binding| &*binding.vault)
    }

    async fn begin_on(&self, connection: Connection) -> Result<Transaction, DbErr> {
        let begun = Transaction::begin(connection, self.answer, &self.self_check, &self.binding);
        let limit = if self.answer.is_zero() { self.answer } else { SIGN_OF_LIFE };
        within(limit, begun).await.unwrap_or_else(|silence| {
            if let Writers::Postgres(pool) = &self.writers {
                forget_idle(pool);
            }
            Err(silence)
        })
    }

    /// Runs SQL text in a transaction of its own; what it writes is bound to nothing.
    pub async fn run(&self, sql: &str) -> Result<()> {
        let transaction = self.begin().await?;
        sea_orm::ConnectionTrait::execute_unprepared(&transaction, sql).await?;
        transaction.commit().await
    }

    /// Overwrites what was deleted from the tables as far as the database lets us: on SQLite the log of changes is
    /// folded into the file and emptied, on PostgreSQL the dead rows are taken away. Neither runs within a transaction.
    pub async fn scrub(&self, tables: &[&str]) -> Result<()> {
        let mut connection = self.writer().await?;
        // Should anything go wrong, or the caller go away, then nobody else gets this connection.
        connection.destroy();
        if self.backend() == DbBackend::Sqlite {
            connection.run("PRAGMA wal_checkpoint(TRUNCATE)").await?;
            return Ok(());
        }
        for table in tables {
            connection.run(&format!("VACUUM {table}")).await?;
        }
        Ok(())
    }

    /// Closes both pools.
    pub async fn close(&self) -> Result<()> {
        self.read.close().await?;
        match &self.writers {
            Writers::Postgres(pool) => pool.close().await,
            Writers::Sqlite(pool) => pool.close().await,
        }
        Ok(())
    }

    async fn writer(&self) -> Result<Connection, DbErr> {
        let taken = match &self.writers {
            Writers::Postgres(pool) => pool.acquire().await.map(Line::Postgres),
            Writers::Sqlite(pool) => pool.acquire().await.map(Line::Sqlite),
        };
        let taken = taken.map(|line| Connection { line, disk: self.disk.clone() });
        taken.map_err(|error| match error {
            sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::Timeout),
            error => DbErr::Conn(RuntimeErr::SqlxError(error.into())),
        })
    }
}

/// Options for the writers and for the readers.
fn postgres(mut options: ConnectOptions, limits: WriteLimits) -> (ConnectOptions, ConnectOptions) {
    options.max_connections(MOST_CONNECTIONS).test_before_acquire(false);
    let mut writer = options.clone();
    writer.map_sqlx_postgres_opts(move |postgres| {
        let settings = [("idle_in_transaction_session_timeout", limits.idle), ("lock_timeout", limits.lock)];
        postgres.options(settings.map(|(name, limit)| (name, limit.as_millis().to_string())))
    });
    options.test_before_acquire_if_idle_for(Duration::from_secs(30));
    options.map_sqlx_postgres_opts(|postgres| postgres.options([("default_transaction_read_only", "on")]));
    (writer, options)
}

fn sqlite(mut options: ConnectOptions) -> (ConnectOptions, ConnectOptions) {
    let mut writer = options.clone();
    writer.max_connections(1).min_connections(1).idle_timeout(None::<Duration>).max_lifetime(None::<Duration>);
    writer.test_before_acquire(false);
    writer.map_sqlx_sqlite_opts(|sqlite| {
        sqlite
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5))
            .foreign_keys(true)
            // What is deleted is overwritten: an erased person must not be found in free pages.
            .pragma("secure_delete", "on")
    });
    options.max_connections(4).test_before_acquire_if_idle_for(Duration::from_secs(30));
    options.map_sqlx_sqlite_opts(|sqlite| {
        sqlite.journal_mode(SqliteJournalMode::Wal).busy_timeout(Duration::from_secs(5)).pragma("query_only", "on")
    });
    (writer, options)
}
