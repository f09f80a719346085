//! The schema of every service, for SQLite and PostgreSQL. Expand and contract: a change only adds, and a
//! later one removes what no released version reads any more.
//!
//! Plain SQL, one file per change. `{uuid}` and `{bytes}` are the only words that differ between the two.
//! Money is BIGINT fen and time BIGINT milliseconds: SQLite keeps decimals as floats and orders
//! timestamps as text.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::ConnectionTrait;

macro_rules! changes {
    ($($name:ident)*) => {
        $(
            struct $name;

            impl MigrationName for $name {
                fn name(&self) -> &str {
                    stringify!($name)
                }
            }

            #[async_trait::async_trait]
            impl MigrationTrait for $name {
                async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
                    run(manager, include_str!(concat!("sql/", stringify!($name), ".sql"))).await
                }
            }
        )*

        #[async_trait::async_trait]
        impl MigratorTrait for Migrator {
            fn migrations() -> Vec<Box<dyn MigrationTrait>> {
                vec![$(Box::new($name)),*]
            }
        }
    };
}

/// Applies all changes in order.
struct Migrator;

#[expect(non_camel_case_types, reason = "a change is named like its file")]
mod change {
    use super::{DbErr, MigrationName, MigrationTrait, Migrator, MigratorTrait, SchemaManager, run};

    changes! {
        m0001_kernel
        m0002_identity
        m0003_catalog
        m0004_auction
        m0005_ledger
        m0006_contract
        m0007_financing
        m0008_access
        m0009_organizations
        m0010_brokerage
        m0011_privacy
        m0012_audit_log
        m0013_sealed
        m0014_hall
        m0015_confirmation
        m0016_deal_end
        m0017_default_step
        m0018_named_member
        m0019_licence_and_late_deposits
        m0020_forfeit_debt
        m0021_reverse
        m0042_conflict_evidence
        m0043_failing_sides
    }
}

/// Brings the database of a service to the newest schema. Processes that start together take turns: on
/// PostgreSQL by an advisory lock that ends with the transaction, on SQLite by its one writer.
pub async fn migrate(db: &kernel::Db) -> kernel::Result<()> {
    let tx = db.begin().await?;
    if db.backend() == sea_orm::DbBackend::Postgres {
        // A change may take long, and so may the turn of the one before: the limits of writers are not for these.
        let unlimited = "SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
        tx.execute_unprepared(unlimited).await?;
        tx.execute_unprepared("SELECT pg_advisory_xact_lock(7425419)").await?;
    }
    Migrator::up(&tx, None).await?;
    tx.commit().await?;
    Ok(())
}

async fn run(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    let (uuid, bytes) = match manager.get_database_backend() {
        sea_orm::DbBackend::Postgres => ("uuid", "bytea"),
        _ => ("blob", "blob"),
    };
    let sql = sql.replace("{uuid}", uuid).replace("{bytes}", bytes);
    manager.get_connection().execute_unprepared(&sql).await?;
    Ok(())
}
