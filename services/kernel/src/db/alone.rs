//! One statement that is a transaction of its own, for whoever writes often: the database is waited for once instead of
//! thrice. It ends with the statement, and the answer to the statement's end is the one to its commit.

use sea_orm::{DbErr, QueryResult, Statement};

use super::{Acknowledged, Db, Writers, readers::forget_idle, statement::Write, transaction::Lease};
use crate::error::{is_cut_off, within_query};

/// What a statement must select that is a transaction of its own: whether no transaction was open before it. Each that is begun
/// bears a name until it ends. Clocks would not tell: the database takes the time of the transaction when the statement is
/// bound, and that of the statement when it is executed.
#[macro_export]
macro_rules! is_alone {
    () => {
        "coalesce(current_setting('jishi.transaction', true), '') = '' AS is_alone"
    };
}

impl Db {
    /// Carries out one statement of PostgreSQL in a transaction of its own, and returns its row when that is committed. On an
    /// error the outcome is unknown, unless a constraint refused it: then nothing was written.
    ///
    /// The row must tell [`is_alone`](crate::is_alone). Where a transaction was open before, that is false, and the connection
    /// is closed with all that was done on it: otherwise somebody's rollback could still undo what is acknowledged
    /// (docs/design/connections.md). A statement that the query builder made for rows of a bound table is refused: only a
    /// [`Transaction`](crate::Transaction) binds them.
    pub async fn write_alone(&self, statement: Statement) -> Result<QueryResult, DbErr> {
        self.self_check.require_log().map_err(within_query)?;
        if let Some(write) = Write::of(&statement.sql) {
            return Err(DbErr::Custom(format!("rows of {} are bound by a transaction", write.table.name)));
        }
        let mut lease = Lease::of(self.writer().await?, self.answer);
        let done = match lease.execute(statement).await {
            Err(error) => {
                // After a restart of the database, or its silence, all that lies idle is dead as well.
                if let (Writers::Postgres(pool), true) = (&self.writers, is_cut_off(&error)) {
                    forget_idle(pool);
                }
                return Err(error);
            }
            Ok(done) => done,
        };
        match done.rows.into_iter().next() {
            Some(row) if row.try_get("", "is_alone")? => {
                lease.finish();
                Ok(row)
            }
            _ => Err(DbErr::Custom("a transaction was open on a connection of the pool".into())),
        }
    }

    /// Names a record that is there by now, and on which stands what somebody will be told: one in sixteen is looked for again.
    pub fn vouch(&self, record: impl FnOnce() -> Acknowledged) {
        if self.self_check.picks_alone() {
            self.self_check.take(Some(record()), &[]);
        }
    }
}
