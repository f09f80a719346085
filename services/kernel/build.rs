//! Turns `migrations/tables.toml` and the schema beside it into `tables.rs`: what each table holds, and what proves it.
//! A table without an entry, an entry without a table, and a column that nobody knows end the build.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a build script refuses its input")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use toml::{Table as Toml, Value};

/// A table as the schema makes it.
#[derive(Default)]
struct Made {
    columns: Vec<Column>,
    key: Vec<String>,
}

struct Column {
    name: String,
    kind: &'static str,
    /// Given to rows that were there before the column; nothing for a column of the first hour.
    later: Option<String>,
}

fn main() {
    let migrations = Path::new("../../migrations");
    let (registry, sql) = (migrations.join("tables.toml"), migrations.join("src/sql"));
    for watched in [&registry, &sql] {
        println!("cargo:rerun-if-changed={}", watched.display());
    }
    let schema = schema(&sql);
    let entries = entries(&fs::read_to_string(&registry).unwrap().parse().unwrap());
    let known: BTreeSet<&str> = entries.keys().map(|name| name.split('.').next().unwrap()).collect();
    let tables: BTreeSet<&str> = schema.keys().map(String::as_str).collect();
    let lacking: Vec<_> = tables.difference(&known).collect();
    assert!(lacking.is_empty(), "migrations/tables.toml says nothing of {lacking:?}: what proves their rows?");
    let strange: Vec<_> = known.difference(&tables).collect();
    assert!(strange.is_empty(), "migrations/tables.toml names {strange:?}, which no change of the schema makes");
    let bound: String =
        schema.iter().filter(|(name, _)| entries[*name] == "bound").fold(String::new(), |mut all, table| {
            write!(all, "{}", written(table, &entries)).unwrap();
            all
        });
    let out = PathBuf::from(env::var("OUT_DIR").unwrap()).join("tables.rs");
    fs::write(out, format!("pub static BOUND: &[Table] = &[{bound}];")).unwrap();
}

/// What each table, or column, is said to be.
fn entries(registry: &Toml) -> BTreeMap<String, &'static str> {
    let mut entries = BTreeMap::new();
    let mut enter = |name: &str, what| {
        assert!(entries.insert(name.to_owned(), what).is_none(), "migrations/tables.toml names {name} twice");
    };
    for (service, entry) in registry {
        for name in entry.get("bound").and_then(Value::as_array).into_iter().flatten() {
            enter(name.as_str().unwrap(), "bound");
        }
        for what in ["derived", "free"] {
            for (name, why) in entry.get(what).and_then(Value::as_table).into_iter().flatten() {
                assert!(!why.as_str().unwrap().is_empty(), "{service}: {name} is {what} without a reason");
                enter(name, what);
            }
        }
    }
    entries
}

fn schema(folder: &Path) -> BTreeMap<String, Made> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut schema = BTreeMap::<String, Made>::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        let lines: Vec<&str> = text.lines().map(|line| line.split("--").next().unwrap()).collect();
        for statement in lines.join("\n").split(';') {
            take(&mut schema, statement.trim());
        }
    }
    schema
}

fn take(schema: &mut BTreeMap<String, Made>, statement: &str) {
    if let Some(rest) = statement.strip_prefix("CREATE TABLE ") {
        let (name, body) = rest.split_once('(').unwrap();
        let made = schema.entry(name.trim().to_owned()).or_default();
        for line in body.lines().map(str::trim) {
            if let Some(key) = line.strip_prefix("PRIMARY KEY (") {
                made.key = key.split(')').next().unwrap().split(',').map(|name| name.trim().to_owned()).collect();
            } else if let Some(column) = column(line, false) {
                if line.contains(" PRIMARY KEY") {
                    made.key = vec![column.name.clone()];
                }
                made.columns.push(column);
            }
        }
        assert!(!made.key.is_empty(), "{name} has no primary key");
    } else if let Some(rest) = statement.strip_prefix("ALTER TABLE ") {
        let (name, rest) = rest.split_once(' ').unwrap();
        if let Some(line) = rest.trim().strip_prefix("ADD COLUMN ") {
            schema.get_mut(name).unwrap().columns.push(column(line, true).unwrap());
        }
    }
}

/// A column's definition; none if the line is something else.
fn column(line: &str, later: bool) -> Option<Column> {
    let mut words = line.trim_end_matches(',').split_whitespace();
    let (name, kind) = (words.next()?, words.next()?);
    let kind = match kind {
        "{uuid}" => "Uuid",
        "{bytes}" => "Bytes",
        "text" => "Text",
        "bigint" => "Big",
        "integer" => "Small",
        "boolean" => "Bool",
        _ => return None,
    };
    let default = line.split_once(" DEFAULT ").map(|(_, rest)| rest.split([' ', ',']).next().unwrap());
    let later = later.then(|| default.unwrap_or("NULL").to_lowercase());
    Some(Column { name: name.to_owned(), kind, later })
}

fn written((name, made): (&String, &Made), entries: &BTreeMap<String, &'static str>) -> String {
    for column in entries.keys().filter_map(|entry| entry.strip_prefix(&format!("{name}."))) {
        assert!(made.columns.iter().any(|made| made.name == column), "{name} has no column {column}");
    }
    let mut columns: Vec<&Column> = made.columns.iter().collect();
    columns.sort_by_key(|column| &column.name);
    let is_bound = |column: &Column| !entries.contains_key(&format!("{name}.{}", column.name));
    let columns = columns.iter().map(|column| {
        let Column { name, kind, later } = column;
        format!("Column {{ name: {name:?}, kind: Kind::{kind}, is_bound: {}, later: {later:?} }},", is_bound(column))
    });
    let key: Vec<&String> = made.key.iter().collect();
    format!("Table {{ name: {name:?}, key: &{key:?}, columns: &[{}] }},", columns.collect::<String>())
}
