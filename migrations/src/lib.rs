//! The schema of every service, for SQLite and PostgreSQL. Expand and contract: a change only adds, and a
//! later one removes what no released version reads any more.
//!
//! Plain SQL, one file per change. `{uuid}` and `{bytes}` are the only words that differ between the two.
//! Money is BIGINT fen and time BIGINT milliseconds: SQLite keeps decimals as floats and orders
//! timestamps as text.

use std::time::Duration;

use kernel::{
    Context, Db, Error, Result, Transaction,
    catalogue::{record, recorded},
};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

macro_rules! changes {
    ($($name:ident)*) => {
        /// All changes in order: the name of each, and its SQL.
        const CHANGES: &[(&str, &str)] = &[$((stringify!($name), include_str!(concat!("sql/", stringify!($name), ".sql")))),*];
    };
}

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
    m0022_heartbeat
    m0042_conflict_evidence
    m0043_failing_sides
    m0045_root_secret
    m0046_row_proof
    m0047_auction_anchor
    m0048_outdated_leaf
    m0049_published_mark
}

/// Which changes a database has had; the name of the table is the one under which the first versions kept them.
const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS seaql_migrations (version text PRIMARY KEY, applied_at bigint NOT NULL)";

/// The names of all changes, in order.
pub fn names() -> impl Iterator<Item = String> {
    CHANGES.iter().map(|(name, _)| (*name).to_owned())
}

/// Why a schema is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// Somebody is to work with it.
    Work,
    /// Somebody only looks.
    Look,
    /// It counts as it stands.
    Adopt,
}

/// Brings the database of a service to the newest schema.
pub async fn migrate(db: &Db) -> Result<()> {
    let tx = turn(db).await?;
    apply_pending(&tx, &pending(&tx).await?).await?;
    tx.commit().await
}

/// The same where the log says what the schema is, or is to say it from now on. Whatever is otherwise than the log says is
/// returned; it is brought up to date only to be adopted, so that no change covers up what somebody else did.
pub async fn keep(cx: &Context, keeping: Keeping) -> Result<Vec<String>> {
    let tx = turn(&cx.db).await?;
    let (pending, last) = (pending(&tx).await?, recorded(&tx, &cx.vault).await?);
    let adopts = keeping == Keeping::Adopt;
    let differences = match &last {
        Some(last) if adopts || !pending.is_empty() => last.differences(&tx).await?,
        _ => Vec::new(),
    };
    let is_first = last.is_none() && keeping != Keeping::Look;
    if !differences.is_empty() && !adopts || pending.is_empty() && differences.is_empty() && !is_first {
        tx.rollback().await?;
        return Ok(differences);
    }
    apply_pending(&tx, &pending).await?;
    record(cx, &tx, last).await?;
    tx.commit().await?;
    Ok(differences)
}

/// Processes that start together take turns: on PostgreSQL by an advisory lock that ends with the transaction, on SQLite by its
/// one writer.
async fn turn(db: &Db) -> Result<Transaction> {
    let tx = db.begin().await?;
    if db.backend() == DbBackend::Postgres {
        // A change may take long, and so may the turn of the one before: the limits of writers are not for these.
        let unlimited = "SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
        tx.execute_unprepared(unlimited).await?;
        tx.execute_unprepared("SELECT pg_advisory_xact_lock(7425419)").await?;
    }
    Ok(tx)
}

type Change = (&'static str, &'static str);

/// The changes that a database has not had.
async fn pending(tx: &Transaction) -> Result<Vec<Change>> {
    tx.execute_unprepared(TABLE).await?;
    let applied = applied(tx).await?;
    Ok(CHANGES.iter().filter(|(name, _)| !applied.iter().any(|applied| applied == name)).copied().collect())
}

async fn apply_pending(tx: &Transaction, pending: &[Change]) -> Result<()> {
    for (name, sql) in pending {
        apply(tx, name, sql).await.map_err(|error| Error::Internal(format!("{name}: {error}")))?;
    }
    Ok(())
}

/// The names of the changes that a database has had, or none if no exchange was begun there. Nothing is made to find out.
pub async fn had(url: &str) -> Result<Option<Vec<String>>> {
    let mut options = ConnectOptions::new(url);
    options.sqlx_logging(false).max_connections(1).acquire_timeout(Duration::from_secs(5));
    options.map_sqlx_sqlite_opts(|sqlite| sqlite.create_if_missing(false));
    let db = Database::connect(options).await?;
    if is_standby(&db).await? {
        db.close().await?;
        return Err(Error::Unavailable("it is a standby that is not promoted (pg_promote)".into()));
    }
    let query = match db.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT 1 AS it FROM information_schema.tables
            WHERE table_schema = current_schema() AND table_name = 'seaql_migrations'"
        }
        _ => "SELECT 1 AS it FROM sqlite_master WHERE type = 'table' AND name = 'seaql_migrations'",
    };
    let had = match db.query_one_raw(Statement::from_string(db.get_database_backend(), query)).await {
        Ok(Some(_)) => applied(&db).await.map(Some),
        nothing => nothing.map(|_| None).map_err(Error::from),
    };
    db.close().await?;
    had
}

async fn is_standby(db: &DatabaseConnection) -> Result<bool> {
    if db.get_database_backend() != DbBackend::Postgres {
        return Ok(false);
    }
    let asked = Statement::from_string(DbBackend::Postgres, "SELECT pg_is_in_recovery() AS it");
    Ok(db.query_one_raw(asked).await?.map_or(Ok(false), |row| row.try_get("", "it"))?)
}

/// The names of the changes that a database has had, in order.
pub async fn applied(db: &impl ConnectionTrait) -> Result<Vec<String>> {
    let query = "SELECT version FROM seaql_migrations ORDER BY version";
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), query)).await?;
    Ok(rows.iter().map(|row| row.try_get("", "version")).collect::<std::result::Result<_, _>>()?)
}

async fn apply(tx: &Transaction, name: &str, sql: &str) -> Result<()> {
    let (uuid, bytes, seconds) = match tx.get_database_backend() {
        DbBackend::Postgres => ("uuid", "bytea", "extract(epoch FROM now())::bigint"),
        _ => ("blob", "blob", "unixepoch()"),
    };
    tx.execute_unprepared(&sql.replace("{uuid}", uuid).replace("{bytes}", bytes)).await?;
    let done = format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ('{name}', {seconds})");
    tx.execute_unprepared(&done).await?;
    Ok(())
}
