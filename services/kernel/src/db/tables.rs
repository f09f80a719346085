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

/// What a statement does to bound rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Write {
    pub table: &'static Table,
    /// The rows are gone afterwards.
    pub deletes: bool,
}

impl Write {
    /// Reads a statement as the query builder writes it; none if it leaves all bound rows as they are.
    pub fn of(sql: &str) -> Option<Write> {
        let (verb, rest) = sql.split_once('"')?;
        let (name, rest) = rest.split_once('"')?;
        let table = || Table::named(name);
        match verb {
            "INSERT INTO " => Some(Write { table: table()?, deletes: false }),
            "DELETE FROM " => Some(Write { table: table()?, deletes: true }),
            "UPDATE " => {
                let table = table()?;
                let set = rest.strip_prefix(" SET ")?;
                let set = set.rsplit_once(" WHERE ").map_or(set, |(set, _)| set);
                let columns = set.split("\" = ").filter_map(|part| part.rsplit_once('"')).map(|(_, name)| name);
                let mut columns = columns.filter_map(|name| table.column(name));
                columns.any(|column| column.is_bound).then_some(Write { table, deletes: false })
            }
            _ => None,
        }
    }
}

/// The same statement, telling all of each row that it wrote.
pub(super) fn telling_rows(sql: &str) -> String {
    let told = sql.rfind(" RETURNING ").map_or(sql, |at| &sql[..at]);
    format!("{told} RETURNING *")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_read_as_the_builder_writes_them() {
        let write = |sql| Write::of(sql).map(|write| (write.table.name, write.deletes));
        assert_eq!(write(r#"INSERT INTO "transfer" ("id") VALUES ($1)"#), Some(("transfer", false)));
        assert_eq!(write(r#"DELETE FROM "membership" WHERE "person_id" = $1"#), Some(("membership", true)));
        assert_eq!(write(r#"UPDATE "account" SET "held" = "held" + $1 WHERE "id" = $2"#), Some(("account", false)));
        assert_eq!(write(r#"UPDATE "api_key" SET "used_at" = $1 WHERE "id" = $2"#), None);
        assert_eq!(write(r#"UPDATE "api_key" SET "used_at" = $1, "name" = $2"#), Some(("api_key", false)));
        for other in [r#"INSERT INTO "heartbeat" ("id") VALUES (1)"#, "SELECT 1", r#"SELECT "id" FROM "account""#] {
            assert_eq!(write(other), None, "{other}");
        }
    }

    #[test]
    fn rows_are_told_in_full() {
        let told = telling_rows(r#"UPDATE "account" SET "held" = $1 RETURNING "id", "held""#);
        assert_eq!(told, r#"UPDATE "account" SET "held" = $1 RETURNING *"#);
        assert_eq!(telling_rows("DELETE"), "DELETE RETURNING *");
    }
}
