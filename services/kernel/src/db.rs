use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
    sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous},
};

use crate::Result;

/// One service's database: a writer and readers.
///
/// SQLite has one writer: every write transaction is `BEGIN IMMEDIATE` on a pool of one connection,
/// since deferred ones fail with "database is locked" whatever the busy timeout. On PostgreSQL there are
/// two pools as well: a mutation holds a writer while it reads in other services, and with one pool
/// enough of them starve each other.
#[derive(Clone)]
pub struct Db {
    write: DatabaseConnection,
    read: DatabaseConnection,
}

/// How long a writer may stand in the way of others; PostgreSQL sees to it. Zero is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteLimits {
    /// A transaction whose process says nothing for so long is undone, and what it locked is free: the process may be
    /// frozen, or cut off without either side being told.
    pub idle: Duration,
    /// A statement that has waited for a lock for so long fails.
    pub lock: Duration,
}

impl Default for WriteLimits {
    /// Whoever waits for a frozen process outwaits it, and both together are less than a call may last.
    fn default() -> Self {
        WriteLimits { idle: Duration::from_secs(5), lock: Duration::from_secs(8) }
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
        if !url.starts_with("sqlite") {
            options.max_connections(20).test_before_acquire_if_idle_for(Duration::from_secs(30));
            let mut writer = options.clone();
            writer.map_sqlx_postgres_opts(move |postgres| {
                let settings = [("idle_in_transaction_session_timeout", limits.idle), ("lock_timeout", limits.lock)];
                postgres.options(settings.map(|(name, limit)| (name, limit.as_millis().to_string())))
            });
            return Ok(Db { write: Database::connect(writer).await?, read: Database::connect(options).await? });
        }
        let mut writer = options.clone();
        writer.max_connections(1).min_connections(1).idle_timeout(None::<Duration>).max_lifetime(None::<Duration>);
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
        let write = Database::connect(writer).await?;
        options.max_connections(4).test_before_acquire_if_idle_for(Duration::from_secs(30));
        options.map_sqlx_sqlite_opts(|sqlite| {
            sqlite.journal_mode(SqliteJournalMode::Wal).busy_timeout(Duration::from_secs(5)).pragma("query_only", "on")
        });
        Ok(Db { write, read: Database::connect(options).await? })
    }

    /// SQLite or PostgreSQL.
    #[must_use]
    pub fn backend(&self) -> DbBackend {
        self.write.get_database_backend()
    }

    /// The pool that may write.
    #[must_use]
    pub fn write(&self) -> &DatabaseConnection {
        &self.write
    }

    /// The pool for queries; on SQLite it refuses writes.
    #[must_use]
    pub fn read(&self) -> &DatabaseConnection {
        &self.read
    }

    /// Begins a write transaction.
    pub async fn begin(&self) -> Result<DatabaseTransaction> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok(self.write.begin_with_options(options).await?)
    }

    /// Overwrites what was deleted from the tables as far as the database lets us: on SQLite the log of changes is
    /// folded into the file and emptied, on PostgreSQL the dead rows are taken away.
    pub async fn scrub(&self, tables: &[&str]) -> Result<()> {
        if self.backend() == DbBackend::Sqlite {
            self.write.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await?;
            return Ok(());
        }
        for table in tables {
            self.write.execute_unprepared(&format!("VACUUM {table}")).await?;
        }
        Ok(())
    }

    /// Closes both pools.
    pub async fn close(&self) -> Result<()> {
        self.read.close_by_ref().await?;
        Ok(self.write.close_by_ref().await?)
    }
}
