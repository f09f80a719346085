//! What a statement does with bound rows, read from its text as the query builder writes it.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use sea_orm::{DbBackend, DbErr, Statement, Value, sea_query::Values};

use super::{row, tables::Table};

/// A statement that writes bound rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Write {
    pub table: &'static Table,
    pub kind: Kind,
}

/// How a statement writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Rows that were not there, or nothing.
    Insert,
    /// Rows that were not there; over those that were.
    Upsert,
    Update,
    Delete,
}

/// A statement that reads bound rows in full.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub table: &'static Table,
    /// Nobody else writes the rows until the transaction ends.
    pub holds: bool,
}

/// What is asked before a statement writes.
#[derive(Debug)]
pub(super) struct Before {
    /// Lets upserts of the same rows take turns on PostgreSQL: else one could meet, unread, what another one had just made.
    pub turn: Option<Statement>,
    pub read: Read,
    /// The query for the rows, which holds them.
    pub rows: Statement,
}

impl Write {
    /// None if it leaves all bound rows as they are.
    pub fn of(sql: &str) -> Option<Write> {
        let (verb, rest) = sql.split_once('"')?;
        let (name, rest) = rest.split_once('"')?;
        let kind = match verb {
            "INSERT INTO " if rest.contains(" DO UPDATE SET ") => Kind::Upsert,
            "INSERT INTO " => Kind::Insert,
            "DELETE FROM " => Kind::Delete,
            "UPDATE " => Kind::Update,
            _ => return None,
        };
        let table = Table::named(name)?;
        if kind == Kind::Update {
            let set = rest.strip_prefix(" SET ")?;
            let set = set.rsplit_once(" WHERE ").map_or(set, |(set, _)| set);
            let columns = set.split("\" = ").filter_map(|part| part.rsplit_once('"')).map(|(_, name)| name);
            if !columns.filter_map(|name| table.column(name)).any(|column| column.is_bound) {
                return None;
            }
        }
        Some(Write { table, kind })
    }

    /// What is asked before it about the rows that it is about to write over; nothing if there can be none.
    pub fn before(&self, statement: &Statement) -> Result<Option<Before>, DbErr> {
        let sql = told_before(&statement.sql);
        let values = statement.values.as_ref().map_or(&[][..], |values| values.0.as_slice());
        let conflict = if self.kind == Kind::Upsert { Conflict::of(sql, values) } else { None };
        let condition = match (self.kind, outside(sql, " WHERE ")) {
            (Kind::Insert, _) => return Ok(None),
            (Kind::Upsert, _) => conflict.as_ref().map(Conflict::condition),
            (_, Some(at)) => {
                renumbered(&sql[..at], values, 0).and_then(|(_, passed)| renumbered(&sql[at..], values, passed.len()))
            }
            (_, None) => Some((String::new(), Vec::new())),
        };
        let Some((condition, values)) = condition else {
            return Err(DbErr::Custom(format!("which rows does it write over? {sql}")));
        };
        let holds = match (statement.db_backend, self.kind) {
            (DbBackend::Postgres, Kind::Delete) => " FOR UPDATE",
            (DbBackend::Postgres, _) => " FOR NO KEY UPDATE",
            _ => "",
        };
        let sql = format!("SELECT * FROM \"{}\"{condition}{holds}", self.table.name);
        let rows = Statement { sql, values: Some(Values(values)), db_backend: statement.db_backend };
        let conflict = conflict.filter(|_| statement.db_backend == DbBackend::Postgres);
        let turn = conflict.map(|conflict| conflict.turn(self.table.name));
        Ok(Some(Before { turn, read: Read { table: self.table, holds: true }, rows }))
    }
}

impl Read {
    /// None if it reads no bound rows, or only parts of them.
    pub fn of(sql: &str) -> Option<Read> {
        let (columns, rest) = sql.strip_prefix("SELECT \"")?.split_once(" FROM \"")?;
        let (name, rest) = rest.split_once('"')?;
        let table = Table::named(name)?;
        let is_plain = !columns.contains('(')
            && (rest.is_empty()
                || [" WHERE ", " ORDER BY ", " LIMIT ", " FOR "].iter().any(|next| rest.starts_with(next)));
        let is_read = |column: &str| columns.contains(&format!("{name}\".\"{column}\""));
        let bound = table.columns.iter().filter(|column| column.is_bound).map(|column| column.name);
        if !is_plain || !bound.chain(table.key.iter().copied()).all(is_read) {
            return None;
        }
        Some(Read { table, holds: rest.contains(" FOR UPDATE") })
    }

    /// The key that it asks for, if it names a whole one and nothing else: if no row has it, the index must say so too.
    pub fn key(&self, statement: &Statement) -> Option<Vec<u8>> {
        let condition = &statement.sql[outside(&statement.sql, " WHERE ")? + " WHERE ".len()..];
        let end = [" LIMIT ", " FOR "].iter().filter_map(|next| outside(condition, next)).min();
        let values = statement.values.as_ref()?.0.iter();
        let columns = condition[..end.unwrap_or(condition.len())].split(" AND ").map(|part| {
            let (name, place) = part.split_once("\" = ")?;
            let is_place = place == "?" || place.strip_prefix('$').is_some_and(|number| number.parse::<u16>().is_ok());
            let name = name.strip_prefix(&format!("\"{}\".\"", self.table.name))?;
            is_place.then_some(name)
        });
        let columns = columns.collect::<Option<Vec<_>>>()?;
        let wanted: Vec<_> = columns.into_iter().zip(values).collect();
        if wanted.len() == self.table.key.len() { row::key_of(self.table, &wanted) } else { None }
    }
}

/// Whether an upsert inserted a row or met one: PostgreSQL locks the one that it meets.
pub(super) const IS_INSERTED: &str = "is_inserted";

/// The same statement, telling all of each row that it wrote.
pub(super) fn telling_rows(statement: &Statement, kind: Kind) -> String {
    let sql = told_before(&statement.sql);
    if kind == Kind::Upsert && statement.db_backend == DbBackend::Postgres {
        return format!("{sql} RETURNING *, xmax = 0 AS {IS_INSERTED}");
    }
    format!("{sql} RETURNING *")
}

fn told_before(sql: &str) -> &str {
    sql.rfind(" RETURNING ").map_or(sql, |at| &sql[..at])
}

/// Where these words stand outside of quotes and brackets for the first time.
fn outside(sql: &str, words: &str) -> Option<usize> {
    let (mut quote, mut depth) = (None, 0);
    for (at, byte) in sql.bytes().enumerate() {
        match (quote, byte) {
            (Some(open), _) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'(') => depth += 1,
            (None, b')') => depth -= 1,
            (None, b' ') if depth == 0 && sql[at..].starts_with(words) => return Some(at),
            (None, _) => {}
        }
    }
    None
}

/// A part of a statement as one of its own, with its values; `passed` values stand before it where they bear no numbers.
fn renumbered(part: &str, values: &[Value], passed: usize) -> Option<(String, Vec<Value>)> {
    let (mut text, mut taken, mut quote) = (String::with_capacity(part.len()), Vec::new(), None);
    let mut rest = part;
    while let Some(next) = rest.chars().next() {
        rest = &rest[next.len_utf8()..];
        text.push(next);
        match (quote, next) {
            (Some(open), _) if open == next => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(next),
            (None, '?') => taken.push(values.get(passed + taken.len())?.clone()),
            (None, '$') => {
                let end = rest.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(rest.len());
                let number: usize = rest[..end].parse().ok()?;
                taken.push(values.get(number.checked_sub(1)?)?.clone());
                text.push_str(&taken.len().to_string());
                rest = &rest[end..];
            }
            (None, _) => {}
        }
    }
    Some((text, taken))
}

/// The rows that an upsert meets: those with its values in the columns of the conflict.
struct Conflict {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Conflict {
    fn of(sql: &str, values: &[Value]) -> Option<Conflict> {
        let names = |list: &str| list.split(", ").map(|name| name.trim_matches('"').to_owned()).collect::<Vec<_>>();
        let (all, rest) = sql.split_once(" (")?.1.split_once(") VALUES ")?;
        let (rows, _) = rest.split_once(" ON CONFLICT ")?;
        let (all, (_, values)) = (names(all), renumbered(rows, values, 0)?);
        let columns = names(sql.split_once(" ON CONFLICT (")?.1.split_once(')')?.0);
        let places: Option<Vec<usize>> =
            columns.iter().map(|name| all.iter().position(|column| column == name)).collect();
        let places = places?;
        let wanted = |row: &[Value]| places.iter().map(|place| row.get(*place).cloned()).collect();
        let rows = values.chunks_exact(all.len()).map(wanted).collect::<Option<_>>()?;
        Some(Conflict { columns, rows })
    }

    fn condition(&self) -> (String, Vec<Value>) {
        let width = self.columns.len();
        let places = (0..self.rows.len()).map(|row| {
            let places = (1..=width).map(|place| format!("${}", row * width + place)).collect::<Vec<_>>();
            format!("({})", places.join(", "))
        });
        let places = places.collect::<Vec<_>>().join(", ");
        let columns = self.columns.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        (format!(" WHERE ({columns}) IN (VALUES {places})"), self.rows.concat())
    }

    fn turn(&self, table: &str) -> Statement {
        let number = |row: &Vec<Value>| {
            let mut hasher = DefaultHasher::new();
            (table, format!("{row:?}")).hash(&mut hasher);
            i64::from_ne_bytes(hasher.finish().to_ne_bytes())
        };
        // In one order for all, so that no two wait for each other.
        let numbers: BTreeSet<i64> = self.rows.iter().map(number).collect();
        let numbers: Value = numbers.into_iter().collect::<Vec<_>>().into();
        let locks = "SELECT pg_advisory_xact_lock(it) FROM unnest($1::bigint[]) AS it";
        Statement::from_sql_and_values(DbBackend::Postgres, locks, [numbers])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(sql: &str, values: Vec<i32>) -> Option<(String, Vec<Value>)> {
        let values = values.into_iter().map(Value::from);
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let rows = Write::of(sql)?.before(&statement).unwrap()?.rows;
        Some((rows.sql, rows.values?.0))
    }

    #[test]
    fn statements_are_read_as_the_builder_writes_them() {
        let write = |sql| Write::of(sql).map(|write| (write.table.name, write.kind));
        assert_eq!(write(r#"INSERT INTO "transfer" ("id") VALUES ($1)"#), Some(("transfer", Kind::Insert)));
        assert_eq!(write(r#"DELETE FROM "membership" WHERE "person_id" = $1"#), Some(("membership", Kind::Delete)));
        let held = r#"UPDATE "account" SET "held" = "held" + $1 WHERE "id" = $2"#;
        assert_eq!(write(held), Some(("account", Kind::Update)));
        assert_eq!(write(r#"UPDATE "api_key" SET "used_at" = $1 WHERE "id" = $2"#), None);
        assert_eq!(write(r#"UPDATE "api_key" SET "used_at" = $1, "name" = $2"#), Some(("api_key", Kind::Update)));
        for other in [r#"INSERT INTO "heartbeat" ("id") VALUES (1)"#, "SELECT 1", r#"SELECT "id" FROM "account""#] {
            assert_eq!(write(other), None, "{other}");
        }
    }

    #[test]
    fn rows_are_told_in_full() {
        let told = |sql: &str, kind| telling_rows(&Statement::from_string(DbBackend::Postgres, sql), kind);
        let update = told(r#"UPDATE "account" SET "held" = $1 RETURNING "id", "held""#, Kind::Update);
        assert_eq!(update, r#"UPDATE "account" SET "held" = $1 RETURNING *"#);
        assert_eq!(told("DELETE", Kind::Delete), "DELETE RETURNING *");
        assert_eq!(told("INSERT", Kind::Upsert), "INSERT RETURNING *, xmax = 0 AS is_inserted");
    }

    #[test]
    fn the_rows_before_are_those_that_the_statement_finds() {
        let update = r#"UPDATE "account" SET "held" = $1 + (SELECT 1 WHERE true) WHERE "id" = $3 AND "a ' ? $1" = '$1' RETURNING "id""#;
        let found = r#"SELECT * FROM "account" WHERE "id" = $1 AND "a ' ? $1" = '$1' FOR NO KEY UPDATE"#;
        assert_eq!(before(update, vec![1, 2, 3]), Some((found.to_owned(), vec![3.into()])));
        let delete = r#"DELETE FROM "membership" WHERE "person_id" IN ($2, $1)"#;
        let found = r#"SELECT * FROM "membership" WHERE "person_id" IN ($1, $2) FOR UPDATE"#;
        assert_eq!(before(delete, vec![1, 2]), Some((found.to_owned(), vec![2.into(), 1.into()])));
        let all = r#"SELECT * FROM "membership" FOR UPDATE"#;
        assert_eq!(before(r#"DELETE FROM "membership""#, vec![]), Some((all.to_owned(), vec![])));
        assert_eq!(before(r#"INSERT INTO "membership" ("a") VALUES ($1) ON CONFLICT DO NOTHING"#, vec![1]), None);
    }

    #[test]
    fn values_without_numbers_are_counted() {
        let sql = r#"UPDATE "account" SET "held" = ? WHERE "id" = ? AND "x" = '?'"#;
        let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, [1.into(), 2.into()]);
        let before = Write::of(sql).unwrap().before(&statement).unwrap().unwrap().rows;
        assert_eq!(before.sql, r#"SELECT * FROM "account" WHERE "id" = ? AND "x" = '?'"#);
        assert_eq!(before.values, Some(Values(vec![2.into()])));
    }

    #[test]
    fn an_upsert_meets_the_rows_with_its_values_in_the_columns_of_the_conflict() {
        let upsert = r#"INSERT INTO "membership" ("roles", "person_id", "organization_id") VALUES ($1, $2, $3), ($4, $5, $6) ON CONFLICT ("person_id", "organization_id") DO UPDATE SET "roles" = "excluded"."roles""#;
        let found = r#"SELECT * FROM "membership" WHERE ("person_id", "organization_id") IN (VALUES ($1, $2), ($3, $4)) FOR NO KEY UPDATE"#;
        let values = [2, 3, 5, 6].map(Value::from).to_vec();
        assert_eq!(before(upsert, vec![1, 2, 3, 4, 5, 6]), Some((found.to_owned(), values)));
    }

    #[test]
    fn a_key_is_one_only_as_a_whole() {
        let key = |condition: &str, values: Vec<i32>| {
            let columns = ["person_id", "organization_id", "roles"].map(|name| format!(r#""membership"."{name}""#));
            let sql = format!(r#"SELECT {} FROM "membership" WHERE {condition}"#, columns.join(", "));
            let read = Read::of(&sql).unwrap();
            read.key(&Statement::from_sql_and_values(DbBackend::Postgres, sql, values.into_iter().map(Value::from)))
        };
        let whole = r#""membership"."person_id" = $1 AND "membership"."organization_id" = $2"#;
        assert!(key(&format!("{whole} LIMIT $3 FOR UPDATE"), vec![1, 2, 1]).is_some());
        assert_ne!(key(whole, vec![1, 2]), key(whole, vec![2, 1]));
        for other in
            [r#""membership"."person_id" = $1"#, r#""membership"."person_id" = $1 AND "membership"."roles" = $2"#]
        {
            assert_eq!(key(other, vec![1, 2]), None);
        }
        assert_eq!(key(&format!(r#"{whole} AND "membership"."roles" = $3"#), vec![1, 2, 3]), None);
    }

    #[test]
    fn only_whole_rows_are_read() {
        let columns = |names: &[&str]| {
            names.iter().map(|name| format!(r#""membership"."{name}""#)).collect::<Vec<_>>().join(", ")
        };
        let whole = columns(&["person_id", "organization_id", "roles"]);
        let read = |sql: &str| Read::of(sql).map(|read| (read.table.name, read.holds));
        let from = |columns: &str, rest: &str| format!(r#"SELECT {columns} FROM "membership"{rest}"#);
        assert_eq!(read(&from(&whole, "")), Some(("membership", false)));
        assert_eq!(read(&from(&whole, r#" WHERE "a" = $1 FOR UPDATE"#)), Some(("membership", true)));
        assert_eq!(read(&from(&whole, r#" INNER JOIN "person" ON true"#)), None);
        assert_eq!(read(&from(&columns(&["person_id", "organization_id"]), "")), None);
    }
}
