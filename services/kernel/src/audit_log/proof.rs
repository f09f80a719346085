//! The index of bound rows: how often each was written, what it then held, and which event tells of it.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, Order, QueryFilter, QueryOrder, QueryResult,
    QuerySelect, Statement, Value, sea_query::OnConflict,
};
use uuid::Uuid;

use crate::{
    Result, Transaction, Vault,
    db::{
        row,
        tables::{BOUND, Table},
    },
    event::{WrittenRow, row as event},
};

/// Most keys in one query.
const MOST: usize = 500;

mod entity {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "row_proof")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub tbl: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub key: Vec<u8>,
        pub version: i64,
        pub mark: Option<Vec<u8>>,
        pub event_id: Uuid,
    }
    impl ActiveModelBehavior for ActiveModel {}
}
pub use entity::{Column, Entity, Model};

/// What the index says of these keys of a table.
pub async fn of(db: &impl ConnectionTrait, table: &str, keys: impl IntoIterator<Item = Vec<u8>>) -> Result<Vec<Model>> {
    named(db, keys.into_iter().map(|key| (table.to_owned(), key)).collect()).await
}

/// The marks by which it knows rows of a table; none for those that are gone.
pub async fn known(
    db: &impl ConnectionTrait,
    table: &Table,
    rows: &[(Vec<u8>, Vec<u8>)],
) -> Result<HashMap<Vec<u8>, Option<Vec<u8>>>> {
    let known = of(db, table.name, rows.iter().map(|(key, _)| key.clone())).await?;
    Ok(known.into_iter().map(|proof| (proof.key, proof.mark)).collect())
}

/// The next entries of a table of which the rows are not there, by their keys. `after` goes along, and is none at the end.
pub async fn missing(
    db: &impl ConnectionTrait,
    vault: &Vault,
    table: &Table,
    (after, most): (&mut Option<Vec<u8>>, usize),
) -> Result<Vec<Vec<u8>>> {
    let entries = page(db, table, after.take().unwrap_or_default(), most).await?;
    let Some(end) = entries.last() else { return Ok(Vec::new()) };
    *after = Some(end.key.clone());
    let there = marks(db, vault, table, entries.iter().map(|entry| &entry.key), "").await?;
    let missing = entries.into_iter().filter(|entry| entry.mark.is_some() && !there.contains_key(&entry.key));
    Ok(missing.map(|entry| entry.key).collect())
}

/// What it says of the rows that events tell of, by table and key.
pub async fn of_written(
    db: &impl ConnectionTrait,
    rows: impl IntoIterator<Item = &WrittenRow>,
) -> Result<HashMap<(String, Vec<u8>), Model>> {
    let rows = rows.into_iter().map(|row| (row.table.clone(), row.key.clone())).collect();
    of_rows(db, rows).await
}

/// What it says of these rows, by table and key.
pub async fn of_rows(
    db: &impl ConnectionTrait,
    rows: BTreeSet<(String, Vec<u8>)>,
) -> Result<HashMap<(String, Vec<u8>), Model>> {
    let mut index = HashMap::new();
    for rows in rows.into_iter().collect::<Vec<_>>().chunks(MOST) {
        let found = named(db, rows.to_vec()).await?;
        index.extend(found.into_iter().map(|proof| ((proof.tbl.clone(), proof.key.clone()), proof)));
    }
    Ok(index)
}

/// What their events tell of these entries' rows, by table and key; nothing where an event does not tell of its entry in just
/// these words: whoever can write to the database has all earlier marks before them.
pub async fn told<'a>(
    db: &impl ConnectionTrait,
    vault: &Vault,
    entries: impl IntoIterator<Item = &'a Model>,
) -> Result<HashMap<(String, Vec<u8>), WrittenRow>> {
    let entries: HashMap<_, _> = entries.into_iter().map(|entry| ((&*entry.tbl, &*entry.key), entry)).collect();
    let ids: BTreeSet<Uuid> = entries.values().map(|entry| entry.event_id).collect();
    let mut told = HashMap::new();
    for ids in ids.into_iter().collect::<Vec<_>>().chunks(MOST) {
        let events = event::Entity::find().filter(event::Column::Id.is_in(ids.to_vec())).all(db).await?;
        for event in events.into_iter().filter(|event| event.is_ours(vault)) {
            let is_told = |row: &WrittenRow| {
                entries.get(&(&*row.table, &*row.key)).is_some_and(|entry| {
                    (entry.event_id, entry.version, &entry.mark) == (event.id, row.version, &row.mark)
                })
            };
            let rows = event.written_rows()?.into_iter().filter(is_told);
            told.extend(rows.map(|row| ((row.table.clone(), row.key.clone()), row)));
        }
    }
    Ok(told)
}

/// Those of these entries of which their events do not tell.
pub async fn untold<'a>(
    db: &impl ConnectionTrait,
    vault: &Vault,
    entries: impl IntoIterator<Item = &'a Model> + Clone,
) -> Result<Vec<&'a Model>> {
    let told = told(db, vault, entries.clone()).await?;
    let is_told = |entry: &&Model| told.contains_key(&(entry.tbl.clone(), entry.key.clone()));
    Ok(entries.into_iter().filter(|entry| !is_told(entry)).collect())
}

/// Those of the next entries of a table. `after` goes along, and is none at the end.
pub async fn next_untold(
    db: &impl ConnectionTrait,
    vault: &Vault,
    table: &Table,
    (after, most): (&mut Option<Vec<u8>>, usize),
) -> Result<Vec<Model>> {
    let entries = page(db, table, after.take().unwrap_or_default(), most).await?;
    *after = entries.last().map(|end| end.key.clone());
    Ok(untold(db, vault, &entries).await?.into_iter().cloned().collect())
}

/// Has it count a row as written so often; what else it says of it is nothing yet.
pub async fn set_version(tx: &Transaction, (table, key): &(String, Vec<u8>), version: i64) -> Result<()> {
    let entry = Model { tbl: table.clone(), key: key.clone(), version, mark: None, event_id: Uuid::nil() };
    let over = OnConflict::columns([Column::Tbl, Column::Key]).update_column(Column::Version).to_owned();
    Entity::insert(entry.into_active_model()).on_conflict(over).exec_without_returning(tx).await?;
    Ok(())
}

/// Forgets an entry.
pub async fn delete(tx: &Transaction, (table, key): &(String, Vec<u8>)) -> Result<()> {
    Entity::delete_by_id((table.clone(), key.clone())).exec(tx).await?;
    Ok(())
}

/// Its entries of what is no row: of tables that are not bound, and without a key.
pub async fn strange(db: &impl ConnectionTrait) -> Result<Vec<Model>> {
    Ok(Entity::find().filter(is_strange()).all(db).await?)
}

/// Deletes those: how many.
pub async fn delete_strange(tx: &Transaction) -> Result<u64> {
    Ok(Entity::delete_many().filter(is_strange()).exec(tx).await?.rows_affected)
}

fn is_strange() -> Condition {
    let bound = BOUND.iter().map(|table| table.name);
    Condition::any().add(Column::Tbl.is_not_in(bound)).add(Column::Key.eq(Vec::<u8>::new()))
}

/// PostgreSQL joins with a list of rows by the primary key, whatever it knows of the table; over a list of keys it may go
/// through all of them.
async fn named(db: &impl ConnectionTrait, rows: Vec<(String, Vec<u8>)>) -> Result<Vec<Model>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let places = (0..rows.len()).map(|row| format!("(${}, ${})", 2 * row + 1, 2 * row + 2)).collect::<Vec<_>>();
    let values = rows.into_iter().flat_map(|(table, key)| [Value::from(table), Value::from(key)]);
    let sql = format!("SELECT * FROM row_proof WHERE (tbl, key) IN (VALUES {})", places.join(", "));
    let query = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    Ok(Entity::find().from_raw_sql(query).all(db).await?)
}

/// What it says of the next rows of a table, in the order of their keys.
pub async fn page(db: &impl ConnectionTrait, table: &Table, after: Vec<u8>, most: usize) -> Result<Vec<Model>> {
    let next = Entity::find().filter(Column::Tbl.eq(table.name)).filter(Column::Key.gt(after));
    Ok(next.order_by(Column::Key, Order::Asc).limit(most as u64).all(db).await?)
}

/// The next rows of a table in the order of their keys, each as its key and its mark. `after` goes along; behind a row whose
/// key cannot be read there is nothing more.
pub async fn rows(
    db: &impl ConnectionTrait,
    vault: &Vault,
    table: &Table,
    (after, most): (&mut Vec<Value>, usize),
    locked: &str,
) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let (name, key) = (table.name, key_list(table));
    let places = (1..=after.len()).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ");
    let beyond = if after.is_empty() { String::new() } else { format!("WHERE ({key}) > ({places})") };
    let sql = format!("SELECT * FROM \"{name}\" {beyond} ORDER BY {key} LIMIT {most}{locked}");
    let query = Statement::from_sql_and_values(db.get_database_backend(), sql, std::mem::take(after));
    let rows = db.query_all_raw(query).await?;
    let rows: Vec<_> = rows.iter().map(|found| shown(vault, table, found)).collect();
    *after = rows.last().and_then(|(key, _)| row::values(table, key)).unwrap_or_default();
    Ok(rows)
}

/// The marks of the rows with these keys, as far as they are there.
pub async fn marks(
    db: &impl ConnectionTrait,
    vault: &Vault,
    table: &Table,
    keys: impl IntoIterator<Item = &Vec<u8>>,
    locked: &str,
) -> Result<HashMap<Vec<u8>, Vec<u8>>> {
    let (mut values, mut places): (Vec<Value>, Vec<String>) = Default::default();
    for key in keys {
        let Some(key) = row::values(table, key) else { continue };
        let place = (1..=key.len()).map(|place| format!("${}", values.len() + place)).collect::<Vec<_>>();
        places.push(format!("({})", place.join(", ")));
        values.extend(key);
    }
    if places.is_empty() {
        return Ok(HashMap::new());
    }
    let (name, key, places) = (table.name, key_list(table), places.join(", "));
    let sql = format!("SELECT * FROM \"{name}\" WHERE ({key}) IN (VALUES {places}){locked}");
    let query = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    Ok(db.query_all_raw(query).await?.iter().map(|found| shown(vault, table, found)).collect())
}

/// What cannot be read as the schema has it has no mark, or not even a key.
fn shown(vault: &Vault, table: &Table, found: &QueryResult) -> (Vec<u8>, Vec<u8>) {
    let key = row::key(table, found).unwrap_or_default();
    (key, row::mark(vault, table, found).map_or(Vec::new(), |mark| mark.to_vec()))
}

/// The columns of a table's key, as SQL lists them.
fn key_list(table: &Table) -> String {
    table.key.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", ")
}
