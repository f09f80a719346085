//! The tables of a database as they are, and the smallest change to each of their values.

use std::collections::BTreeMap;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

/// A table, as the database tells of it.
pub struct Table {
    pub name: String,
    /// Each column with its type.
    pub columns: Vec<(String, String)>,
    /// The columns of its primary key.
    pub key: Vec<String>,
    pub rows: i64,
}

/// What `migrations/tables.toml` says of tables and columns.
pub struct Registry(BTreeMap<String, &'static str>);

impl Registry {
    pub fn read() -> Registry {
        let text = include_str!("../../../migrations/tables.toml");
        let registry: toml::Table = text.parse().unwrap();
        let mut entries = BTreeMap::new();
        for entry in registry.values() {
            let bound = entry.get("bound").and_then(toml::Value::as_array).cloned().unwrap_or_default();
            entries.extend(bound.iter().map(|name| (name.as_str().unwrap().to_owned(), "bound")));
            for what in ["derived", "free"] {
                let names = entry.get(what).and_then(toml::Value::as_table).cloned().unwrap_or_default();
                entries.extend(names.keys().map(|name| (name.clone(), what)));
            }
        }
        Registry(entries)
    }

    /// Of a column, or of its table.
    pub fn of(&self, table: &str, column: &str) -> &'static str {
        let entry = self.0.get(&format!("{table}.{column}")).or_else(|| self.0.get(table));
        entry.unwrap_or_else(|| panic!("{table} has no entry"))
    }
}

/// A connection by which anything can be changed: no constraint stands in the way.
pub async fn forger(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(|sqlite| sqlite.foreign_keys(false).pragma("ignore_check_constraints", "on"));
    let db = Database::connect(options).await.unwrap();
    let backend = db.get_database_backend();
    if backend != DbBackend::Sqlite {
        run(&db, "SET session_replication_role = replica").await;
        let checks = "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS it
            FROM pg_constraint WHERE contype IN ('c', 'f') AND connamespace = current_schema()::regnamespace";
        for drop in texts(&db, checks).await {
            run(&db, &drop).await;
        }
    }
    let unique = match backend {
        DbBackend::Sqlite => {
            "SELECT 'DROP INDEX ' || name AS it FROM sqlite_master WHERE sql LIKE 'CREATE UNIQUE INDEX%'"
        }
        _ => {
            "SELECT format('DROP INDEX %s', indexrelid::regclass) AS it FROM pg_index
            JOIN pg_class ON pg_class.oid = indexrelid AND relnamespace = current_schema()::regnamespace
            WHERE indisunique AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)"
        }
    };
    for drop in texts(&db, unique).await {
        run(&db, &drop).await;
    }
    db
}

pub async fn run(db: &impl ConnectionTrait, sql: &str) {
    db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// The column `it` of what a query finds.
pub async fn texts(db: &impl ConnectionTrait, sql: &str) -> Vec<String> {
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await;
    let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.iter().map(|row| row.try_get::<String>("", "it").unwrap()).collect()
}

async fn count(db: &impl ConnectionTrait, table: &str) -> i64 {
    let sql = format!("SELECT CAST(count(*) AS bigint) AS it FROM \"{table}\"");
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap().unwrap();
    row.try_get("", "it").unwrap()
}

/// All tables but the list of the schema's changes.
pub async fn all(db: &impl ConnectionTrait) -> Vec<Table> {
    let sqlite = db.get_database_backend() == DbBackend::Sqlite;
    let names = match sqlite {
        true => "SELECT name AS it FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
        false => {
            "SELECT table_name::text AS it FROM information_schema.tables WHERE table_schema = current_schema() ORDER BY 1"
        }
    };
    let mut tables = Vec::new();
    for name in texts(db, names).await.into_iter().filter(|name| name != "seaql_migrations") {
        let (columns, key) = match sqlite {
            true => (
                format!("SELECT name || ' ' || type AS it FROM pragma_table_info('{name}')"),
                format!("SELECT name AS it FROM pragma_table_info('{name}') WHERE pk > 0 ORDER BY pk"),
            ),
            false => (
                format!(
                    "SELECT column_name || ' ' || data_type AS it FROM information_schema.columns
                    WHERE table_schema = current_schema() AND table_name = '{name}'"
                ),
                format!(
                    "SELECT attname::text AS it FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)
                    WHERE indisprimary AND indrelid = '{name}'::regclass ORDER BY array_position(indkey::int2[], attnum)"
                ),
            ),
        };
        let columns = texts(db, &columns).await.into_iter().map(|column| {
            let (name, kind) = column.split_once(' ').unwrap();
            (name.to_owned(), kind.to_lowercase())
        });
        let columns = columns.collect();
        let (key, rows) = (texts(db, &key).await, count(db, &name).await);
        tables.push(Table { name, columns, key, rows });
    }
    tables
}

impl Table {
    /// Another value of a column.
    pub fn other(&self, column: &str, backend: DbBackend) -> String {
        let kind = &self.columns.iter().find(|(name, _)| name == column).unwrap().1;
        match (kind.as_str(), backend) {
            ("text", _) => format!("coalesce({column}, '') || 'x'"),
            ("bigint" | "integer", _) => format!("coalesce({column}, 0) + 1000"),
            ("boolean", _) => format!("NOT coalesce({column}, false)"),
            ("blob", _) => format!("randomblob(max(16, length(coalesce({column}, x''))))"),
            ("uuid", _) => "gen_random_uuid()".to_owned(),
            ("bytea", _) => format!("coalesce({column}, '') || '\\x01'"),
            other => panic!("{}.{column} is {other:?}", self.name),
        }
    }

    /// One row of it, as a condition.
    pub fn one_row(&self, backend: DbBackend) -> String {
        let place = if backend == DbBackend::Sqlite { "rowid" } else { "ctid" };
        format!("{place} = (SELECT {place} FROM \"{}\" ORDER BY {} LIMIT 1)", self.name, self.key.join(", "))
    }

    /// A row of nothing in particular.
    pub fn any_row(&self, backend: DbBackend) -> String {
        let value = |(_, kind): &(String, String)| match (kind.as_str(), backend) {
            ("text", _) => "'x'",
            ("boolean", _) => "false",
            ("blob", _) => "randomblob(16)",
            ("uuid", _) => "gen_random_uuid()",
            ("bytea", _) => "'\\x01'",
            _ => "1",
        };
        let values: Vec<&str> = self.columns.iter().map(value).collect();
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        format!("INSERT INTO \"{}\" ({}) VALUES ({})", self.name, names.join(", "), values.join(", "))
    }

    /// A row like another, so far as no key is taken twice.
    pub fn twin(&self, backend: DbBackend) -> String {
        let value = |(name, kind): &(String, String)| match kind.as_str() {
            "bigint" | "integer" if self.key.contains(name) => format!("{name} + 1000"),
            "bigint" | "integer" | "boolean" => name.clone(),
            _ => self.other(name, backend),
        };
        let values: Vec<String> = self.columns.iter().map(value).collect();
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        let (table, row) = (&self.name, self.one_row(backend));
        format!(
            "INSERT INTO \"{table}\" ({}) SELECT {} FROM \"{table}\" WHERE {row}",
            names.join(", "),
            values.join(", ")
        )
    }
}
