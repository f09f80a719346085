//! Each guard of docs/design/connections.md by itself: what it is for is done to a connection behind its back.

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::{Acknowledged, Db};

struct Ground {
    db: Db,
    _folder: tempfile::TempDir,
}

impl Ground {
    async fn at(url: &str, folder: tempfile::TempDir) -> Ground {
        let db = Db::connect(url).await.unwrap();
        db.run("CREATE TABLE written (number bigint PRIMARY KEY)").await.unwrap();
        db.run("CREATE TABLE heartbeat (id integer PRIMARY KEY, beats bigint NOT NULL)").await.unwrap();
        db.run("INSERT INTO heartbeat VALUES (1, 0)").await.unwrap();
        Ground { db, _folder: folder }
    }

    /// One of each kind that is here.
    async fn all() -> Vec<Ground> {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = format!("sqlite://{}", folder.path().join("written.db").display());
        let mut grounds = vec![Ground::at(&sqlite, folder).await];
        match std::env::var("TEST_POSTGRES_URL") {
            Ok(server) => {
                let schema = format!("written_{}", crate::fresh_uuid().simple());
                let db = Db::connect(&server).await.unwrap();
                db.run(&format!("CREATE SCHEMA {schema}")).await.unwrap();
                db.close().await.unwrap();
                let url = format!("{server}?options[search_path]={schema}");
                grounds.push(Ground::at(&url, tempfile::tempdir().unwrap()).await);
            }
            Err(_) => assert!(std::env::var("TEST_LANES").is_err(), "PostgreSQL must be there"),
        }
        grounds
    }

    /// The sum of all numbers that another connection sees.
    async fn sum(&self) -> i64 {
        let sum = "SELECT CAST(coalesce(sum(number), 0) AS bigint) AS it FROM written";
        let row = self.db.read().query_one_raw(Statement::from_string(self.db.backend(), sum)).await.unwrap();
        row.unwrap().try_get("", "it").unwrap()
    }

    async fn write(&self, number: i64) {
        self.db.run(&format!("INSERT INTO written VALUES ({number})")).await.unwrap();
    }
}

#[tokio::test]
async fn readers_refuse_to_write() {
    for ground in Ground::all().await {
        ground.db.read().execute_unprepared("INSERT INTO written VALUES (1)").await.unwrap_err();
        assert_eq!(ground.sum().await, 0);
    }
}

#[tokio::test]
async fn no_transaction_begins_within_another() {
    for ground in Ground::all().await {
        let mut connection = ground.db.writer().await.unwrap();
        connection.run("BEGIN").await.unwrap();
        let found = connection.begin().await;
        assert!(found.is_err(), "{:?}: {found:?}", ground.db.backend());
        connection.destroy();
    }
}

#[tokio::test]
async fn a_pool_with_an_open_transaction_loses_nothing() {
    for ground in Ground::all().await {
        // Given back as it must never be.
        let mut connection = ground.db.writer().await.unwrap();
        connection.run("BEGIN").await.unwrap();
        drop(connection);
        for number in [1, 2, 4] {
            ground.write(number).await;
        }
        assert_eq!(ground.sum().await, 7);
    }
}

#[tokio::test]
async fn what_ended_by_itself_is_not_committed() {
    for behind in ["ROLLBACK", "COMMIT", "ROLLBACK; BEGIN"] {
        for ground in Ground::all().await {
            let transaction = ground.db.begin().await.unwrap();
            transaction.execute_unprepared(behind).await.unwrap();
            if ground.db.backend() == DbBackend::Sqlite && behind.ends_with("BEGIN") {
                // One transaction of SQLite cannot be told from another; it never begins one by itself.
                continue;
            }
            let ended = transaction.commit().await;
            assert!(ended.is_err(), "{:?} after {behind}", ground.db.backend());
            ground.write(1).await;
            assert_eq!(ground.sum().await, 1);
        }
    }
}

#[tokio::test]
async fn what_a_constraint_refused_is_not_committed() {
    for ground in Ground::all().await {
        ground.write(1).await;
        let transaction = ground.db.begin().await.unwrap();
        transaction.execute_unprepared("INSERT INTO written VALUES (2)").await.unwrap();
        transaction.execute_unprepared("INSERT INTO written VALUES (1)").await.unwrap_err();
        transaction.execute_unprepared("INSERT INTO written VALUES (4)").await.unwrap_err();
        transaction.commit().await.unwrap_err();
        let transaction = ground.db.begin().await.unwrap();
        transaction.execute_unprepared("INSERT INTO written VALUES (8)").await.unwrap();
        transaction.rollback().await.unwrap();
        assert_eq!(ground.sum().await, 1);
    }
}

/// Writes a number alone, and `also` other rows.
async fn write_alone(db: &Db, number: i64, also: &str) -> Result<sea_orm::QueryResult, sea_orm::DbErr> {
    let sql = format!(
        "WITH it AS (INSERT INTO written VALUES ({number}){also} RETURNING number) SELECT number, {} FROM it",
        crate::is_alone!()
    );
    db.write_alone(Statement::from_string(DbBackend::Postgres, sql)).await
}

#[tokio::test]
async fn a_statement_alone_is_committed_when_it_is_answered() {
    for ground in Ground::all().await.into_iter().filter(|ground| ground.db.backend() == DbBackend::Postgres) {
        for number in [1, 2, 4] {
            assert_eq!(
                write_alone(&ground.db, number, "").await.unwrap().try_get::<i64>("", "number").unwrap(),
                number
            );
        }
        assert_eq!(ground.sum().await, 7, "it was answered");
        // What a constraint refuses, at once or at the commit, leaves nothing behind.
        write_alone(&ground.db, 8, ", (4)").await.unwrap_err();
        ground.db.run("CREATE TABLE other (number bigint PRIMARY KEY)").await.unwrap();
        let later =
            "ALTER TABLE written ADD FOREIGN KEY (number) REFERENCES other DEFERRABLE INITIALLY DEFERRED NOT VALID";
        ground.db.run(later).await.unwrap();
        write_alone(&ground.db, 16, "").await.unwrap_err();
        assert_eq!(ground.sum().await, 7);
        ground.db.run("INSERT INTO other VALUES (32)").await.unwrap();
        write_alone(&ground.db, 32, "").await.unwrap();
        assert_eq!(ground.sum().await, 39);
        // Only a transaction binds rows to the log.
        let bound = Statement::from_string(DbBackend::Postgres, "INSERT INTO \"deal\" (\"id\") VALUES ('1')");
        let refused = ground.db.write_alone(bound).await.unwrap_err().to_string();
        assert!(refused.contains("deal are bound by a transaction"), "{refused}");
    }
}

#[tokio::test]
async fn a_statement_in_another_transaction_is_not_alone() {
    for ground in Ground::all().await.into_iter().filter(|ground| ground.db.backend() == DbBackend::Postgres) {
        // Given back as it must never be, and found by whoever writes alone.
        let mut connection = ground.db.writer().await.unwrap();
        connection.begin().await.unwrap();
        drop(connection);
        let mut refused = 0;
        for number in 1..=9 {
            match write_alone(&ground.db, number, "").await {
                Ok(_) => assert!(ground.sum().await >= number, "acknowledged, and not there"),
                Err(error) => {
                    assert!(error.to_string().contains("a transaction was open"), "{error}");
                    refused += 1;
                }
            }
        }
        assert_eq!(refused, 1, "the connection is gone");
    }
}

/// What a connection is told by from others.
const MARK: &str = "CREATE TEMPORARY TABLE marked (it integer)";

#[tokio::test]
async fn a_connection_of_unknown_state_is_not_given_back() {
    for ground in Ground::all().await {
        for fails in [false, true] {
            let transaction = ground.db.begin().await.unwrap();
            transaction.execute_unprepared(MARK).await.unwrap();
            transaction.commit().await.unwrap();
            // One that ended well is used again, so that what follows says something.
            let transaction = ground.marked().await;
            if fails {
                transaction.execute_unprepared("no SQL").await.unwrap_err();
                transaction.rollback().await.unwrap();
            } else {
                drop(transaction);
            }
            ground.none_is_marked().await;
        }
    }
}

impl Ground {
    const IS_MARKED: &str = "SELECT CAST(count(*) AS bigint) AS it FROM ";

    async fn is_marked(&self, transaction: &super::Transaction) -> bool {
        let tables = match self.db.backend() {
            DbBackend::Postgres => "pg_class WHERE relname = 'marked' AND relnamespace = pg_my_temp_schema()",
            _ => "sqlite_temp_master WHERE name = 'marked'",
        };
        let query = Statement::from_string(self.db.backend(), format!("{}{tables}", Self::IS_MARKED));
        let row = transaction.query_one_raw(query).await.unwrap();
        row.unwrap().try_get::<i64>("", "it").unwrap() > 0
    }

    /// A transaction on the marked connection; the pool may open others meanwhile.
    async fn marked(&self) -> super::Transaction {
        let mut others = Vec::new();
        for _ in 0..10 {
            let transaction = self.db.begin().await.unwrap();
            if self.is_marked(&transaction).await {
                return transaction;
            }
            others.push(transaction);
        }
        panic!("no connection of the pool is marked");
    }

    async fn none_is_marked(&self) {
        let most = if self.db.backend() == DbBackend::Sqlite { 1 } else { 5 };
        let mut all = Vec::new();
        for _ in 0..most {
            let transaction = self.db.begin().await.unwrap();
            assert!(!self.is_marked(&transaction).await, "{:?}", self.db.backend());
            all.push(transaction);
        }
        for transaction in all {
            transaction.rollback().await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_gone_stops_everything() {
    for ground in Ground::all().await {
        let query = |number: i64| {
            Statement::from_string(ground.db.backend(), format!("SELECT 1 FROM written WHERE number = {number}"))
        };
        // The sample takes one in sixteen.
        for number in 1..=32 {
            let transaction = ground.db.begin().await.unwrap();
            transaction.vouch(|| Acknowledged { what: format!("number {number}"), query: query(number) });
            transaction.execute_unprepared(&format!("INSERT INTO written VALUES ({number})")).await.unwrap();
            transaction.commit().await.unwrap();
        }
        ground.db.check_sample().await.unwrap();
        ground.db.prove().await.unwrap();
        for number in 33..=64 {
            let transaction = ground.db.begin().await.unwrap();
            transaction.vouch(|| Acknowledged { what: format!("number {number}"), query: query(number) });
            transaction.commit().await.unwrap();
        }
        ground.db.begin().await.unwrap().rollback().await.unwrap();
        ground.db.check_sample().await.unwrap();
        assert!(ground.db.begin().await.is_err(), "acknowledged and lost, and yet it goes on");
        assert!(ground.db.prove().await.is_err());
    }
}

#[tokio::test]
async fn a_full_disk_is_told_although_the_heart_beats() {
    for ground in Ground::all().await {
        ground.db.prove().await.unwrap();
        let transaction = ground.db.begin().await.unwrap();
        let fills = match ground.db.backend() {
            DbBackend::Postgres => "DO $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$",
            _ => {
                "PRAGMA max_page_count = 20; WITH RECURSIVE number (it) AS (SELECT 1 UNION ALL SELECT it + 1 FROM number)
                INSERT INTO written SELECT it FROM number"
            }
        };
        transaction.execute_unprepared(fills).await.unwrap_err();
        drop(transaction);
        let told = ground.db.prove().await.unwrap_err().to_string();
        assert!(told.contains("the disk was full 0 seconds ago"), "{told}");
        ground.write(1).await;
        assert!(ground.db.prove().await.is_err());
        tokio::time::sleep(std::time::Duration::from_secs(10)).await;
        ground.db.prove().await.unwrap();
    }
}
