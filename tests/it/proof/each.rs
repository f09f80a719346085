//! Each change to a bound table by itself. Several forgers work at once, since each change is followed by a whole verification.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use exchange_tests::{Exchange, Lane};
use futures::future::join_all;
use kernel::{Vault, audit_log::rows::verify_rows_in};
use sea_orm::{DatabaseConnection, DbBackend, TransactionTrait};

use super::tables::{Registry, Table, forger, run};

/// So many forge at once.
const AT_ONCE: usize = 2;

/// What is done to one table, each way by itself.
pub struct Changes {
    table: String,
    pub ways: Vec<Vec<String>>,
}

impl Changes {
    /// Each value that is bound, a row deleted, a row added, and two rows that change places.
    pub fn of(table: &Table, registry: &Registry, backend: DbBackend) -> Changes {
        let (name, row) = (&table.name, table.one_row(backend));
        let columns = table.columns.iter().filter(|(column, _)| registry.of(name, column) == "bound");
        let mut ways: Vec<Vec<String>> = columns
            .map(|(column, _)| {
                vec![format!("UPDATE \"{name}\" SET {column} = {} WHERE {row}", table.other(column, backend))]
            })
            .collect();
        if backend == DbBackend::Sqlite {
            ways.extend(
                stored_otherwise(table, registry).map(|set| vec![format!("UPDATE \"{name}\" SET {set} WHERE {row}")]),
            );
        }
        ways.push(vec![format!("DELETE FROM \"{name}\" WHERE {row}")]);
        ways.push(vec![table.twin(backend)]);
        let is_alone = table.key.len() == 1
            && table
                .columns
                .iter()
                .any(|(column, kind)| *column == table.key[0] && matches!(kind.as_str(), "uuid" | "blob"));
        // Where a row holds little beside its key, two of them may be alike.
        if table.rows > 1 && is_alone && table.columns.len() > 2 {
            ways.push(swapped(table, backend));
        }
        Changes { table: name.clone(), ways }
    }
}

/// The same values as SQLite lets anybody store them: to the driver they are what they were, and no query finds them.
fn stored_otherwise<'a>(table: &'a Table, registry: &'a Registry) -> impl Iterator<Item = String> + 'a {
    let bound = table.columns.iter().filter(|(column, _)| {
        registry.of(&table.name, column) == "bound" && !table.key.iter().any(|key| key == column)
    });
    bound.filter_map(|(column, kind)| match kind.as_str() {
        "blob" => Some(format!("{column} = coalesce(CAST({column} AS TEXT), 'x')")),
        "boolean" => Some(format!("{column} = 2")),
        _ => None,
    })
}

/// Two rows change places.
fn swapped(table: &Table, backend: DbBackend) -> Vec<String> {
    let (name, key) = (&table.name, &table.key[0]);
    let (nobody, marks) = match backend {
        DbBackend::Sqlite => ("zeroblob(16)", "CREATE TEMPORARY TABLE two AS"),
        _ => ("'00000000-0000-0000-0000-000000000000'::uuid", "CREATE TEMPORARY TABLE two ON COMMIT DROP AS"),
    };
    let [least, most] =
        ["ASC", "DESC"].map(|order| format!("(SELECT {key} FROM \"{name}\" ORDER BY {key} {order} LIMIT 1)"));
    vec![
        format!("{marks} SELECT {least} AS a, {most} AS b"),
        format!("UPDATE \"{name}\" SET {key} = {nobody} WHERE {key} = (SELECT a FROM two)"),
        format!("UPDATE \"{name}\" SET {key} = (SELECT a FROM two) WHERE {key} = (SELECT b FROM two)"),
        format!("UPDATE \"{name}\" SET {key} = (SELECT b FROM two) WHERE {key} = {nobody}"),
    ]
}

/// Who changes what is there, and verifies.
#[derive(Clone)]
pub struct Forger {
    pub db: DatabaseConnection,
    pub vault: Arc<Vault>,
}

impl Forger {
    /// Which row is named first after these changes, which are then undone.
    pub async fn found(&self, changes: &[String]) -> Option<String> {
        let tx = self.db.begin().await.unwrap();
        for change in changes {
            run(&tx, change).await;
        }
        let rows = verify_rows_in(&tx, &self.vault).await;
        tx.rollback().await.unwrap();
        rows.unwrap().flaw.map(|flaw| format!("{} {}", flaw.row, flaw.what))
    }
}

/// Those who forge at once.
pub struct Forgers {
    all: Vec<Forger>,
    _copies: tempfile::TempDir,
}

impl Forgers {
    /// At an exchange that has stopped. Where a database takes one writer only, each has a copy of it.
    pub async fn gather(exchange: &Exchange, vault: &Arc<Vault>) -> Forgers {
        let (copies, mut all) = (tempfile::tempdir().unwrap(), Vec::new());
        for n in 0..AT_ONCE {
            let copy = copies.path().join(format!("{n}.db"));
            let url = match exchange.lane {
                Lane::Sqlite => {
                    fs::copy(exchange.database_url.trim_start_matches("sqlite://"), &copy).unwrap();
                    format!("sqlite://{}", copy.display())
                }
                _ => exchange.database_url.clone(),
            };
            all.push(Forger { db: forger(&url).await, vault: vault.clone() });
        }
        Forgers { all, _copies: copies }
    }

    /// The changes after which no row of their table is named first. A table is one forger's at a time: two would wait for each
    /// other's rows.
    pub async fn unnamed(&self, changes: Vec<Changes>) -> Vec<String> {
        let waiting = Arc::new(Mutex::new(changes.into_iter()));
        let forge = |forger: &Forger| {
            let (forger, waiting) = (forger.clone(), waiting.clone());
            tokio::spawn(async move {
                let (mut silent, next) = (Vec::new(), || waiting.lock().unwrap().next());
                while let Some(Changes { table, ways }) = next() {
                    for way in ways {
                        let found = forger.found(&way).await;
                        if !found.as_ref().is_some_and(|found| found.starts_with(&format!("{table} "))) {
                            silent.push(format!("{way:?}: {found:?}"));
                        }
                    }
                }
                silent
            })
        };
        join_all(self.all.iter().map(forge)).await.into_iter().flat_map(Result::unwrap).collect()
    }
}
