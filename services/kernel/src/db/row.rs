//! A row in bytes: its key, by which it is found again, and its mark, which nobody makes without the exchange's key.

use data_encoding::HEXLOWER;
use sea_orm::{
    DbErr, QueryResult, Value,
    sqlx::{Row, TypeInfo, ValueRef},
};
use uuid::Uuid;

use super::tables::{Column, Kind, Table};
use crate::{Vault, merkle::Hash};

/// One value of a row; the same on both databases.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Cell {
    Null,
    Uuid(Uuid),
    Bytes(Vec<u8>),
    Text(String),
    Number(i64),
    Bool(bool),
}

/// What a row is found by: its primary key.
pub(crate) fn key(table: &Table, row: &QueryResult) -> Result<Vec<u8>, DbErr> {
    let mut key = Vec::new();
    for column in table.key_columns() {
        Cell::read(column, row)?.put(&mut key);
    }
    Ok(key)
}

/// The exchange's mark of all that binds: the table, the key, and each bound column with its name.
pub(crate) fn mark(vault: &Vault, table: &Table, row: &QueryResult) -> Result<Hash, DbErr> {
    let mut parts = Vec::new();
    for column in table.columns.iter().filter(|column| column.is_bound) {
        let cell = Cell::read(column, row)?;
        if column.later.is_none_or(|value| !cell.is(value)) {
            parts.extend_from_slice(column.name.as_bytes());
            parts.push(0);
            cell.put(&mut parts);
        }
    }
    Ok(vault.mark(&[b"row", table.name.as_bytes(), &parts]))
}

/// The key of which a query names these values, by their columns.
pub(crate) fn key_of(table: &Table, wanted: &[(&str, &Value)]) -> Option<Vec<u8>> {
    let mut key = Vec::new();
    for column in table.key_columns() {
        let (_, value) = wanted.iter().find(|(name, _)| *name == column.name)?;
        Cell::of(value)?.put(&mut key);
    }
    Some(key)
}

/// The values of a key, for a query.
pub(crate) fn values(table: &Table, key: &[u8]) -> Option<Vec<Value>> {
    let mut rest = key;
    let values = table.key_columns().map(|column| Cell::take(&mut rest).map(|cell| cell.value(column.kind))).collect();
    if rest.is_empty() { values } else { None }
}

/// A key as an operator would look for it: `id=0197…`.
pub(crate) fn words(table: &Table, key: &[u8]) -> String {
    let mut rest = key;
    let words = table.key_columns().map(|column| {
        let cell = Cell::take(&mut rest).map_or_else(|| "?".to_owned(), |cell| cell.words());
        format!("{}={cell}", column.name)
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The same with the name of the table, such as `transfer id=0198…`.
pub(crate) fn named(table: &str, key: &[u8]) -> String {
    Table::named(table).map_or_else(|| table.to_owned(), |bound| format!("{table} {}", words(bound, key)))
}

/// SQLite stores a value of any type in any column, and the driver reads some as if they were of the column's. To a query they
/// are others: a row of which the key to another is text in place of bytes is found by nobody.
fn is_stored_as(column: &Column, row: &QueryResult) -> bool {
    let Some(row) = row.try_as_sqlite_row() else { return true };
    let Ok(value) = row.try_get_raw(column.name) else { return false };
    let is_truth = || row.try_get::<i64, _>(column.name).is_ok_and(|number| matches!(number, 0 | 1));
    let stored = match column.kind {
        Kind::Uuid | Kind::Bytes => "BLOB",
        Kind::Text => "TEXT",
        Kind::Big | Kind::Small | Kind::Bool => "INTEGER",
    };
    value.is_null() || value.type_info().name() == stored && (column.kind != Kind::Bool || is_truth())
}

impl Cell {
    fn read(column: &Column, row: &QueryResult) -> Result<Cell, DbErr> {
        let name = column.name;
        if !is_stored_as(column, row) {
            return Err(DbErr::Type(format!("{name}: stored as another type than the schema's")));
        }
        let cell = match column.kind {
            Kind::Uuid => row.try_get::<Option<Uuid>>("", name)?.map(Cell::Uuid),
            Kind::Bytes => row.try_get::<Option<Vec<u8>>>("", name)?.map(Cell::Bytes),
            Kind::Text => row.try_get::<Option<String>>("", name)?.map(Cell::Text),
            Kind::Big => row.try_get::<Option<i64>>("", name)?.map(Cell::Number),
            Kind::Small => row.try_get::<Option<i32>>("", name)?.map(|number| Cell::Number(number.into())),
            Kind::Bool => row.try_get::<Option<bool>>("", name)?.map(Cell::Bool),
        };
        Ok(cell.unwrap_or(Cell::Null))
    }

    /// What a query compares with.
    fn of(value: &Value) -> Option<Cell> {
        Some(match value {
            Value::Uuid(Some(value)) => Cell::Uuid(*value),
            Value::Bytes(Some(value)) => Cell::Bytes(value.clone()),
            Value::String(Some(value)) => Cell::Text(value.clone()),
            Value::BigInt(Some(value)) => Cell::Number(*value),
            Value::Int(Some(value)) => Cell::Number((*value).into()),
            Value::Bool(Some(value)) => Cell::Bool(*value),
            _ => return None,
        })
    }

    /// Whether it is the value that the schema writes like this.
    fn is(&self, written: &str) -> bool {
        match self {
            Cell::Null => written == "null",
            Cell::Bool(value) => written == value.to_string(),
            Cell::Number(value) => written == value.to_string(),
            Cell::Text(value) => written == format!("'{value}'"),
            Cell::Uuid(_) | Cell::Bytes(_) => false,
        }
    }

    /// A letter for its kind, and its bytes; where their number varies, that stands before them.
    fn put(&self, bytes: &mut Vec<u8>) {
        let (kind, content): (u8, &[u8]) = match self {
            Cell::Null => (b'-', &[]),
            Cell::Uuid(value) => (b'u', value.as_bytes()),
            Cell::Bytes(value) => (b'b', value),
            Cell::Text(value) => (b't', value.as_bytes()),
            Cell::Number(value) => (b'n', &value.to_be_bytes()),
            Cell::Bool(value) => (b'l', &[u8::from(*value)]),
        };
        bytes.push(kind);
        if matches!(self, Cell::Bytes(_) | Cell::Text(_)) {
            bytes.extend_from_slice(&(content.len() as u64).to_be_bytes());
        }
        bytes.extend_from_slice(content);
    }

    /// Reads what `put` wrote.
    fn take(bytes: &mut &[u8]) -> Option<Cell> {
        let kind = bytes.split_off_first()?;
        let length = match kind {
            b'-' => 0,
            b'u' => 16,
            b'n' => 8,
            b'l' => 1,
            _ => usize::try_from(u64::from_be_bytes(bytes.split_off(..8)?.try_into().ok()?)).ok()?,
        };
        let content = bytes.split_off(..length)?;
        Some(match kind {
            b'-' => Cell::Null,
            b'u' => Cell::Uuid(Uuid::from_slice(content).ok()?),
            b'n' => Cell::Number(i64::from_be_bytes(content.try_into().ok()?)),
            b'l' => Cell::Bool(content == [1]),
            b't' => Cell::Text(String::from_utf8(content.to_vec()).ok()?),
            b'b' => Cell::Bytes(content.to_vec()),
            _ => return None,
        })
    }

    fn value(self, kind: Kind) -> Value {
        match self {
            Cell::Null => Value::String(None),
            Cell::Uuid(value) => value.into(),
            Cell::Bytes(value) => value.into(),
            Cell::Text(value) => value.into(),
            Cell::Number(value) if kind == Kind::Small => i32::try_from(value).unwrap_or_default().into(),
            Cell::Number(value) => value.into(),
            Cell::Bool(value) => value.into(),
        }
    }

    fn words(self) -> String {
        match self {
            Cell::Null => "null".to_owned(),
            Cell::Uuid(value) => value.to_string(),
            Cell::Bytes(value) => HEXLOWER.encode(&value),
            Cell::Text(value) => value,
            Cell::Number(value) => value.to_string(),
            Cell::Bool(value) => value.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cell() -> impl Strategy<Value = Cell> {
        prop_oneof![
            Just(Cell::Null),
            any::<[u8; 16]>().prop_map(|bytes| Cell::Uuid(Uuid::from_bytes(bytes))),
            any::<Vec<u8>>().prop_map(Cell::Bytes),
            ".{0,20}".prop_map(Cell::Text),
            any::<i64>().prop_map(Cell::Number),
            any::<bool>().prop_map(Cell::Bool),
        ]
    }

    proptest! {
        /// Cells come back as they were written, so that no two rows have the same bytes.
        #[test]
        fn cells_come_back(cells in prop::collection::vec(cell(), 0..6)) {
            let mut bytes = Vec::new();
            cells.iter().for_each(|cell| cell.put(&mut bytes));
            let mut rest = bytes.as_slice();
            let back: Vec<Cell> = std::iter::from_fn(|| Cell::take(&mut rest)).collect();
            prop_assert_eq!(back, cells);
        }
    }
}
