//! The tables whose rows are bound to the audit log, as `migrations/tables.toml` lists them.

/// A table of which each row is bound.
#[derive(Debug)]
pub(crate) struct Table {
    pub name: &'static str,
    /// The columns of its primary key, in order.
    pub key: &'static [&'static str],
    /// All columns, by name.
    pub columns: &'static [Column],
}

/// A column of such a table.
#[derive(Debug)]
pub(crate) struct Column {
    pub name: &'static str,
    pub kind: Kind,
    /// Whether the row's mark covers it.
    pub is_bound: bool,
    /// What rows got that were there before the column. The mark covers such a value as if there were no column: a
    /// program that does not know the column made it.
    pub later: Option<&'static str>,
}

/// What a column holds; the words of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Uuid,
    Bytes,
    Text,
    Big,
    Small,
    Bool,
}

include!(concat!(env!("OUT_DIR"), "/tables.rs"));

impl Table {
    pub fn named(name: &str) -> Option<&'static Table> {
        BOUND.get(BOUND.binary_search_by_key(&name, |table| table.name).ok()?)
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    pub fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().filter_map(|name| self.column(name))
    }
}
