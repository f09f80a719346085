//! A database at one instant, for a backup: the copy, and what it holds, are of the same view.

use std::{path::Path, time::Duration};

use data_encoding::HEXLOWER;
use sea_orm::{
    AccessMode, ColumnTrait, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction,
    EntityTrait, IsolationLevel, PaginatorTrait, QueryFilter, QueryOrder, Statement, TransactionTrait, sea_query::Expr,
};

use crate::{
    Db, Error, Instant, Result,
    audit_log::{last_head, unsealed},
    delivered,
    event::row as event,
    master_key,
    merkle::Tree,
};

/// What is delivered again after a restore: everything that left the outbox in the last day of the copy.
const AGAIN: Duration = Duration::from_secs(24 * 60 * 60);

/// What a copy holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The newest change of the schema.
    pub schema: String,
    /// Of the master key; nothing if no exchange was ever started there.
    pub fingerprint: Vec<u8>,
    /// How far each service's audit log goes.
    pub log: Vec<Position>,
}

/// How far one service's audit log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The service.
    pub service: String,
    /// The number of records under the newest signed head.
    pub size: u64,
    /// Their root, in hexadecimal.
    pub root: String,
    /// When that head was signed; nothing if there is none yet.
    pub at: Option<Instant>,
    /// Records that are there as well, and stand under no head yet.
    pub waiting: u64,
}

/// Copies an embedded database to a new file, while others write.
pub async fn copy_sqlite(url: &str, to: &Path) -> Result<()> {
    let mut options = ConnectOptions::new(url);
    // A connection of its own: those of a server refuse whatever writes, and the copy is written by this one.
    options.sqlx_logging(false).max_connections(1).map_sqlx_sqlite_opts(|sqlite| sqlite.create_if_missing(false));
    let db = Database::connect(options).await?;
    let to = to.to_str().ok_or_else(|| Error::Internal(format!("{}: the name is not UTF-8", to.display())))?;
    let copy = Statement::from_sql_and_values(db.get_database_backend(), "VACUUM INTO ?", [to.into()]);
    let copied = db.execute_raw(copy).await;
    db.close().await?;
    copied?;
    Ok(())
}

/// What the copy of an embedded database holds; nothing is written beside it.
pub async fn read_sqlite(copy: &Path, services: &[&str]) -> Result<Holding> {
    let mut options = ConnectOptions::new(format!("sqlite://{}", copy.display()));
    options.sqlx_logging(false).max_connections(1);
    options.map_sqlx_sqlite_opts(|sqlite| sqlite.create_if_missing(false).read_only(true).immutable(true));
    let db = Database::connect(options).await?;
    let holding = holding(&db, services).await;
    db.close().await?;
    holding
}

/// A PostgreSQL database as it is at one instant, for as long as this is kept: by its `id` another program can read the
/// same view.
pub struct PostgresView {
    db: DatabaseConnection,
    tx: DatabaseTransaction,
    /// What `pg_dump --snapshot` takes.
    pub id: String,
    /// The schema in which the exchange's tables lie.
    pub namespace: String,
    /// The server's major version.
    pub server: u32,
}

impl PostgresView {
    /// The view of now.
    pub async fn open(url: &str) -> Result<PostgresView> {
        let db = one_connection(url).await?;
        let tx = db.begin_with_config(Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly)).await?;
        // The copy may take hours, in which this transaction says nothing.
        tx.execute_unprepared("SET LOCAL idle_in_transaction_session_timeout = 0").await?;
        let id = text(&tx, "SELECT pg_export_snapshot() AS it").await?;
        let namespace = text(&tx, "SELECT current_schema() AS it").await?;
        let server = text(&tx, "SELECT current_setting('server_version_num') AS it").await?;
        let server = server.parse::<u32>().unwrap_or_default() / 10_000;
        Ok(PostgresView { db, tx, id, namespace, server })
    }

    /// What the view holds.
    pub async fn holding(&self, services: &[&str]) -> Result<Holding> {
        holding(&self.tx, services).await
    }

    /// Lets go of it.
    pub async fn close(self) -> Result<()> {
        self.tx.rollback().await?;
        Ok(self.db.close().await?)
    }
}

/// The schema of a PostgreSQL database into which a backup may go, and how many tables are there already.
pub async fn place_in_postgres(url: &str) -> Result<(String, i64)> {
    let db = one_connection(url).await?;
    let namespace = text(&db, "SELECT current_schema() AS it").await?;
    let count = "SELECT count(*)::text AS it FROM information_schema.tables WHERE table_schema = current_schema()";
    let count = text(&db, count).await?.parse().unwrap_or(i64::MAX);
    db.close().await?;
    Ok((namespace, count))
}

/// Lets the events of the last day be delivered once more. What is in a copy as delivered may have been on its way, in a
/// database that was copied a little earlier or in Redis; a consumer who had it knows it again.
pub async fn deliver_again(db: &Db) -> Result<u64> {
    let marked = event::Entity::find().filter(event::Column::PublishedMark.is_not_null());
    let newest = marked.order_by_desc(event::Column::PublishedMark).one(db.read()).await?;
    let newest = newest.and_then(|event| delivered::told_at(event.published_mark.as_deref()?));
    let Some(newest) = newest else { return Ok(0) };
    let since = newest.saturating_sub(i64::try_from(AGAIN.as_millis()).unwrap_or(i64::MAX));
    let tx = db.begin().await?;
    let again = event::Entity::update_many()
        .col_expr(event::Column::PublishedAt, Expr::value(Option::<i64>::None))
        .col_expr(event::Column::PublishedMark, Expr::value(Option::<Vec<u8>>::None))
        .col_expr(event::Column::ClaimedUntil, Expr::value(0_i64))
        .filter(event::Column::PublishedMark.gte(since.to_be_bytes().to_vec()))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(again.rows_affected)
}

async fn one_connection(url: &str) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url);
    options.sqlx_logging(false).max_connections(1).acquire_timeout(Duration::from_secs(10));
    Ok(Database::connect(options).await?)
}

async fn holding(db: &impl ConnectionTrait, services: &[&str]) -> Result<Holding> {
    let schema = text(db, "SELECT max(version) AS it FROM seaql_migrations").await?;
    let fingerprint = master_key::fingerprint(db).await?.unwrap_or_default();
    let mut log = Vec::with_capacity(services.len());
    for service in services {
        let head = last_head(db, service).await?;
        let root = head.as_ref().map_or_else(|| Tree::default().root().to_vec(), |head| head.root.clone());
        log.push(Position {
            service: (*service).to_owned(),
            size: head.as_ref().and_then(|head| u64::try_from(head.size).ok()).unwrap_or_default(),
            root: HEXLOWER.encode(&root),
            at: head.map(|head| head.at),
            waiting: unsealed(service).count(db).await?,
        });
    }
    Ok(Holding { schema, fingerprint, log })
}

/// The one text of a query that calls it `it`; empty if there is none.
async fn text(db: &impl ConnectionTrait, query: &str) -> Result<String> {
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), query)).await?;
    let found: Option<String> = row.map(|row| row.try_get("", "it")).transpose()?.flatten();
    Ok(found.unwrap_or_default())
}
