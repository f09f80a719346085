//! A transaction of a story's own that holds what the exchange is about to need: so the exchange is caught at a chosen
//! point of a transaction, not at a random one.

use std::time::Duration;

use kernel::{Db, Transaction, WriteLimits};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

/// Those who wait for this transaction, or for one of those, in a statement that begins like this.
const WAITING: &str = "
WITH RECURSIVE waiting AS (
    SELECT pid, query FROM pg_stat_activity WHERE $2 = ANY(pg_blocking_pids(pid))
    UNION SELECT a.pid, a.query FROM pg_stat_activity a JOIN waiting w ON w.pid = ANY(pg_blocking_pids(a.pid))
)
SELECT count(*) AS waiting FROM waiting WHERE query LIKE $1";

pub struct Hold {
    db: Db,
    tx: Transaction,
    backend: i32,
}

impl Hold {
    /// Takes what the statement takes.
    pub async fn on(database_url: &str, statement: &str) -> Hold {
        let for_ever = WriteLimits { idle: Duration::ZERO, lock: Duration::ZERO, answer: Duration::ZERO };
        let db = Db::connect_within(database_url, for_ever).await.unwrap();
        let tx = db.begin().await.unwrap();
        tx.execute_unprepared(statement).await.unwrap();
        let asked = Statement::from_string(DbBackend::Postgres, "SELECT pg_backend_pid() AS backend");
        let backend = tx.query_one_raw(asked).await.unwrap().unwrap().try_get("", "backend").unwrap();
        Hold { db, tx, backend }
    }

    /// Waits until so many wait for it in a statement like this.
    pub async fn until_waited_for(&self, count: i64, statement: &str) {
        for _ in 0..2_000 {
            let values = [statement.into(), self.backend.into()];
            let asked = Statement::from_sql_and_values(DbBackend::Postgres, WAITING, values);
            // Not within the transaction, which would be told the same again and again.
            let row = self.db.read().query_one_raw(asked).await.unwrap().unwrap();
            if row.try_get::<i64>("", "waiting").unwrap() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("nobody came to wait in {statement}");
    }

    pub async fn release(self) {
        self.tx.rollback().await.unwrap();
        self.db.close().await.unwrap();
    }
}
