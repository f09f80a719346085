//! What clippy cannot check. Each rule reads the whole work tree and names every file and line that breaks it.

use std::fs;
use std::path::Path;

/// Longer files hold more than one thought.
const MAX_LINES: usize = 400;

/// Folders that hold nothing we wrote.
const SKIPPED_FOLDERS: &[&str] = &[".git", "target", "node_modules", "web/dist", "data"];

/// Names that say nothing about the exchange: the first list ends a type's name, the second is a file or a folder.
const BANNED_TYPE_ENDINGS: &[&str] = &["Service", "Manager", "Handler", "Repository", "Dto"];
const BANNED_FILE_NAMES: &[&str] =
    &["utils", "util", "helpers", "helper", "common", "service", "manager", "handler", "repository", "dto"];

/// Marks of a table's columns or of SQL.
const SQL_MARKS: &[&str] = &[
    "Entity::find",
    "Entity::insert",
    "Entity::update",
    "Entity::delete",
    "DeriveEntityModel",
    "FromQueryResult",
    "ActiveModel",
    "Column::",
    "ColumnTrait",
    "execute_unprepared",
    "Statement::from",
    "SELECT ",
    "INSERT INTO ",
    "UPDATE ",
    "DELETE FROM ",
];

/// Here a service is a noun: protobuf's, of which the generator reads the definitions.
const GENERATOR: &str = "services/wire/build/";

/// Crates below which SQL may stand in any file: the shared tables, their history, and what inspects the databases.
const SQL_HOMES: &[&str] = &["services/kernel/", "migrations/", "tests/", "benches/"];

/// Taken apart so that this file does not break its own rules.
const LEFT_BEHIND: &[&str] = &[concat!("dbg", "!("), concat!("todo", "!(")];
const DEVELOPERS_FOLDERS: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")];

/// A text file of the work tree; its path starts at the workspace and uses `/`.
struct Source {
    path: String,
    text: String,
}

/// One place that breaks a rule.
type Offence = String;

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn is_proto(&self) -> bool {
        self.path.ends_with(".proto")
    }

    /// Lines with their numbers, as an editor shows them.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    /// Lines without their comments. A `//` inside a string is taken for a comment unless it belongs to an address.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().map(|(number, line)| (number, before_comment(line)))
    }

    fn offence(&self, line: usize, rule: impl std::fmt::Display) -> Offence {
        format!("{}:{line}: {rule}", self.path)
    }
}

fn before_comment(line: &str) -> &str {
    line.match_indices("//")
        .find(|(at, _)| !line.get(..*at).unwrap_or_default().ends_with(':'))
        .and_then(|(at, _)| line.get(..at))
        .unwrap_or(line)
}

/// Words of letters, digits and underscores.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Whether `mark` stands in `line` and is not the tail of a longer word.
fn has_mark(line: &str, mark: &str) -> bool {
    line.match_indices(mark).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-')
    })
}

// Reading the work tree.

fn workspace() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = Vec::new();
    read_folder(&root, "", &mut sources);
    assert!(sources.iter().any(|source| source.path == "Cargo.toml"), "{} is not the workspace", root.display());
    sources
}

fn read_folder(folder: &Path, path: &str, sources: &mut Vec<Source>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let entry = entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        if SKIPPED_FOLDERS.contains(&path.as_str()) || SKIPPED_FOLDERS.contains(&name.as_str()) {
            continue;
        }
        // Links are not followed, and files that are not text are not ours to judge.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => read_folder(&entry.path(), &path, sources),
            Ok(kind) if kind.is_file() => {
                sources.extend(fs::read_to_string(entry.path()).ok().map(|text| Source { path, text }));
            }
            _ => {}
        }
    }
}

// The rules.

fn long_files(source: &Source) -> Vec<Offence> {
    let count = source.text.lines().count();
    if !source.is_rust() || count <= MAX_LINES {
        return Vec::new();
    }
    vec![source.offence(MAX_LINES + 1, format_args!("a file has at most {MAX_LINES} lines, this one has {count}"))]
}

fn banned_file_names(source: &Source) -> Vec<Offence> {
    if source.path.ends_with("/common.proto") {
        return Vec::new();
    }
    let stems = source.path.split('/').map(|part| part.split_once('.').map_or(part, |(stem, _)| stem));
    stems
        .filter(|stem| BANNED_FILE_NAMES.iter().any(|name| stem == name || stem.ends_with(&format!("_{name}"))))
        .map(|stem| {
            source.offence(1, format_args!("`{stem}` says nothing: name the noun or the use case of the domain"))
        })
        .collect()
}

fn banned_type_names(source: &Source) -> Vec<Offence> {
    if source.path.starts_with(GENERATOR) || !(source.is_rust() || source.is_proto()) {
        return Vec::new();
    }
    let offend = |(number, line)| {
        let name = declared_type(line, source.is_proto())?;
        let ending = BANNED_TYPE_ENDINGS.iter().find(|ending| name.ends_with(*ending))?;
        Some(source.offence(number, format_args!("`{name}`: no type is named …{ending}; say what it is in the domain")))
    };
    source.code().filter_map(offend).collect()
}

/// The name of the type that a line declares. An indented `type` is an associated type, which a foreign trait names.
fn declared_type(line: &str, proto: bool) -> Option<&str> {
    let line = if line.starts_with(' ') && has_mark(line, "type ") { "" } else { line };
    let keywords: &[&str] =
        if proto { &["message", "enum", "service"] } else { &["struct", "enum", "union", "trait", "type"] };
    let mut words = words(line).skip_while(|word| matches!(*word, "pub" | "crate" | "super" | "unsafe"));
    words.next().filter(|word| keywords.contains(word))?;
    words.next()
}

fn sql_outside_the_store(source: &Source) -> Vec<Offence> {
    let in_store =
        source.path.ends_with("/store.rs") || source.path.contains("/src/store/") || source.path.contains("_tests");
    if !source.is_rust() || in_store || SQL_HOMES.iter().any(|home| source.path.starts_with(home)) {
        return Vec::new();
    }
    let offend = |(number, line)| {
        let mark = SQL_MARKS.iter().find(|mark| has_mark(line, mark))?;
        Some(source.offence(number, format_args!("`{mark}`: only store.rs knows tables, columns and SQL")))
    };
    source.code().filter_map(offend).collect()
}

fn forbidden_dependencies(manifest: &Source, crates: &[&str]) -> Vec<Offence> {
    let Some(name) = crate_name(manifest) else { return Vec::new() };
    let forbidden = |word: &&str| *word != name && crates.contains(word) && !may_use(name, word);
    let (mut among_dependencies, mut for_tests) = (false, false);
    let mut offences = Vec::new();
    for (number, line) in manifest.lines() {
        let line = line.split('#').next().unwrap_or_default();
        if line.starts_with('[') {
            among_dependencies = line.contains("dependencies");
            for_tests = line.contains("dev-dependencies");
        }
        // Every word counts, so that a `path` or a `package` under another name is seen too.
        // The tests of a crate may bring up its tables.
        let allowed = |word: &&str| for_tests && *word == "migrations";
        for word in words(line).filter(|_| among_dependencies).filter(forbidden).filter(|word| !allowed(word)) {
            let rule =
                format_args!("`{name}` must not depend on `{word}`: services meet as clients over Peer, or by events");
            offences.push(manifest.offence(number, rule));
        }
    }
    offences
}

/// A crate below `services/` is called like its folder.
fn crate_name(manifest: &Source) -> Option<&str> {
    manifest.path.strip_prefix("services/")?.strip_suffix("/Cargo.toml").filter(|name| !name.contains('/'))
}

/// The depth is four: kernel, wire, the services and the gateway, and the one program that knows them all.
fn may_use(name: &str, dependency: &str) -> bool {
    match name {
        "jishi" => true,
        "kernel" => false,
        "wire" => dependency == "kernel",
        _ => matches!(dependency, "kernel" | "wire"),
    }
}

fn left_behind(source: &Source) -> Vec<Offence> {
    let marks = LEFT_BEHIND.iter().filter(|_| source.is_rust());
    let offend = |mark: &'static str| {
        let hits = source.code().filter(move |(_, line)| has_mark(line, mark));
        hits.map(move |(number, _)| source.offence(number, format_args!("`{mark}…)` is left behind")))
    };
    marks.flat_map(|mark| offend(mark)).collect()
}

fn developers_folders(source: &Source) -> Vec<Offence> {
    let offend = |(number, line)| {
        let folder = DEVELOPERS_FOLDERS.iter().find(|folder| has_mark(line, folder))?;
        Some(source.offence(number, format_args!("`{folder}` is a folder of one machine")))
    };
    source.lines().filter_map(offend).collect()
}

fn assert_clean(rule: impl Fn(&Source) -> Vec<Offence>) {
    let offences: Vec<Offence> = workspace().iter().flat_map(rule).collect();
    assert!(offences.is_empty(), "{} offence(s):\n{}", offences.len(), offences.join("\n"));
}

#[test]
fn rust_files_are_short() {
    assert_clean(long_files);
}

#[test]
fn names_come_from_the_domain() {
    assert_clean(banned_file_names);
    assert_clean(banned_type_names);
}

#[test]
fn only_stores_know_sql() {
    assert_clean(sql_outside_the_store);
}

#[test]
fn services_do_not_depend_on_each_other() {
    let sources = workspace();
    let mut crates: Vec<&str> = sources.iter().filter_map(crate_name).collect();
    assert!(crates.len() > 2, "no services found");
    crates.push("migrations");
    assert_clean(|source| forbidden_dependencies(source, &crates));
}

#[test]
fn nothing_is_left_behind() {
    assert_clean(left_behind);
}

#[test]
fn no_file_names_a_developers_folder() {
    assert_clean(developers_folders);
}

// A rule that never speaks proves nothing, so each is shown an offence and something close to it that is allowed.

/// Asserts which lines of a text, written to the given path, break the rule.
fn assert_lines(rule: impl Fn(&Source) -> Vec<Offence>, path: &str, text: &str, expected: &[usize]) {
    let offences = rule(&Source::new(path, text));
    let starts: Vec<String> = expected.iter().map(|line| format!("{path}:{line}: ")).collect();
    let fits = offences.len() == starts.len()
        && offences.iter().zip(&starts).all(|(offence, start)| offence.starts_with(start));
    assert!(fits, "expected lines {expected:?} of {path}, found {offences:#?}");
}

#[test]
fn planted_long_files_and_names_are_found() {
    assert_lines(long_files, "services/a/src/lot.rs", &"\n".repeat(400), &[]);
    assert_lines(long_files, "services/a/src/lot.rs", &"\n".repeat(401), &[401]);
    assert_lines(banned_file_names, "services/a/src/utils.rs", "", &[1]);
    assert_lines(banned_file_names, "services/a/src/lot_service.rs", "", &[1]);
    assert_lines(banned_file_names, "proto/jishi/v1/common.proto", "", &[]);
    assert_lines(banned_file_names, "services/a/src/common/lot.rs", "", &[1]);
    let rust = "use tower::Service;\npub struct LotService<T> {\n    type Service = T;\npub(crate) enum LotDto {}\nstruct Lot;";
    assert_lines(banned_type_names, "services/a/src/lot.rs", rust, &[2, 4]);
    assert_lines(banned_type_names, "proto/jishi/v1/lot.proto", "message Lot {\nservice LotService {", &[2]);
}

#[test]
fn planted_sql_is_found() {
    let rust = "Entity::find()\n// Column::Id\nlot::Column::Id\nMyColumn::Id\n\"SELECT 1\"\n\"select from\"";
    assert_lines(sql_outside_the_store, "services/a/src/bid.rs", rust, &[1, 3, 5]);
    assert_lines(sql_outside_the_store, "services/a/src/store.rs", rust, &[]);
    assert_lines(sql_outside_the_store, "services/kernel/src/outbox.rs", rust, &[]);
}

#[test]
fn planted_dependencies_are_found() {
    let rule = |source: &Source| forbidden_dependencies(source, &["auction", "ledger", "kernel", "wire", "jishi"]);
    let manifest = "[package]\nname = \"auction\"\n[dependencies]\nkernel.workspace = true\nledger.workspace = true # why\n\
                    [dev-dependencies]\nbooks = { path = \"../ledger\" }\n[features]\nledger = []";
    assert_lines(rule, "services/auction/Cargo.toml", manifest, &[5, 7]);
    assert_lines(rule, "services/auction/Cargo.toml", "[dependencies.ledger]\nworkspace = true", &[1]);
    assert_lines(rule, "services/jishi/Cargo.toml", manifest, &[]);
    assert_lines(rule, "services/kernel/Cargo.toml", "[dependencies]\nwire.workspace = true", &[2]);
}

#[test]
fn planted_leftovers_are_found() {
    let [debug, unfinished] = LEFT_BEHIND else { panic!("two macros are banned") };
    let rust = format!("let x = {debug}1);\n// {debug}1)\n{unfinished})\nmy_{unfinished})");
    assert_lines(left_behind, "services/a/src/lot.rs", &rust, &[1, 3]);
    let [folder, ..] = DEVELOPERS_FOLDERS else { panic!("no folders are banned") };
    let text = format!("see {folder}x\nhttps://example.org{folder}x\n\"{folder}x\"");
    assert_lines(developers_folders, "README.md", &text, &[1, 3]);
}
