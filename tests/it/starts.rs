//! What cannot start says why, in words that an operator can use, and ends with an exit code other than zero.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Output},
};

use exchange_tests::{Exchange, Lane, binary, schema, server};
use kernel::snapshot::place_in_postgres;

/// Words of our libraries that tell an operator nothing.
const NOT_WORDS: [&str; 4] = ["pool timed out", "sqlx", "Sqlx", "(os error 2)"];

fn serve(folder: &Path, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary());
    command.arg("serve").env("JISHI_DATA_DIR", folder).env("JISHI_HTTP_LISTEN", "127.0.0.1:0");
    command.env("JISHI_LOG", "error").envs(environment.iter().copied());
    command
}

/// What it says, having refused to start.
fn refused(output: &Output) -> String {
    let told = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(NOT_WORDS.iter().all(|words| !told.contains(words)), "{told}");
    told
}

#[test]
fn a_taken_address_is_noticed_first() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (key, only) in [("JISHI_HTTP_LISTEN", None), ("JISHI_GRPC_LISTEN", Some("identity"))] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = serve(folder.path(), &[("JISHI_GRPC_LISTEN", "127.0.0.1:0"), (key, &address)]);
        command.args(only.map(|only| ["--only", only]).into_iter().flatten());
        for role in ["CATALOG", "AUCTION", "LEDGER", "CONTRACT", "FINANCING"] {
            command.env(format!("JISHI_{role}_PEER"), "http://127.0.0.1:1");
        }
        let told = refused(&command.output().unwrap());
        assert!(told.contains(&address) && told.contains("in use") && told.contains("_listen"), "{told}");
        let made = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(made, 0, "a database was made before the address was taken");
    }
}

#[test]
fn a_port_without_a_server_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("postgres://jishi:geheim@{free}/jishi");
    let told = refused(&serve(folder.path(), &[("JISHI_DATABASE_URL", &url)]).output().unwrap());
    assert!(told.contains(&free.to_string()) && told.contains("nothing listens"), "{told}");
    assert!(!told.contains("geheim"), "{told}");
}

/// A server that answers every login alike.
fn answering(code: &'static str, message: &'static str) -> String {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for line in server.incoming() {
            let mut line = line.unwrap();
            let mut length = [0; 4];
            while line.read_exact(&mut length).is_ok() {
                let mut rest = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap() - 4];
                line.read_exact(&mut rest).unwrap();
                // Somebody who asks for TLS first is told that there is none.
                if rest[..4] == 80_877_103_u32.to_be_bytes() {
                    line.write_all(b"N").unwrap();
                    continue;
                }
                let fields = format!("SFATAL\0VFATAL\0C{code}\0M{message}\0\0");
                let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
                drop(line.write_all(&[b"E", &length[..], fields.as_bytes()].concat()));
                break;
            }
        }
    });
    address
}

#[test]
fn a_login_that_the_server_refuses_is_told() {
    for (code, message, words) in [
        ("28P01", "password authentication failed for user \"jishi\"", "refuses the user \"jishi\" or the password"),
        ("3D000", "database \"jishi\" does not exist", "has no such database"),
    ] {
        let address = answering(code, message);
        let folder = tempfile::tempdir().unwrap();
        let url = format!("postgres://jishi:geheim@{address}/jishi");
        let told = refused(&serve(folder.path(), &[("JISHI_DATABASE_URL", &url)]).output().unwrap());
        assert!(told.contains(&address) && told.contains(words) && told.contains(message), "{told}");
        assert!(!told.contains("geheim"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_without_the_database_is_told() {
    let Some(exchange) = Exchange::start(Lane::Postgres).await else { return };
    let (server, _) = exchange.database_url.rsplit_once('/').unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{server}/nowhere_at_all");
    let told = refused(&serve(folder.path(), &[("JISHI_DATABASE_URL", &url)]).output().unwrap());
    assert!(told.contains("has no such database") && told.contains("nowhere_at_all"), "{told}");
}

#[test]
fn a_server_that_says_nothing_is_told() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("postgres://jishi@{address}/jishi");
    let told = refused(&serve(folder.path(), &[("JISHI_DATABASE_URL", &url)]).output().unwrap());
    assert!(told.contains(&address) && told.contains("does not answer"), "{told}");
}

/// What each verb says that takes an exchange to be there already.
fn looking(folder: &Path, environment: &[(&str, &str)]) -> Vec<String> {
    let verbs: [&[&str]; 7] = [
        &["verify"],
        &["heads"],
        &["code", "reviewer"],
        &["adopt"],
        &["backup", "copy"],
        &["rotate-master-key"],
        &["import", "--dry-run", "--mapping", "mapping.toml", "--organization", "91110000600037341L", "data.csv"],
    ];
    let key = "KSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSk=";
    let tell = |verb: &&[&str]| {
        let mut command = Command::new(binary());
        command.args(*verb).current_dir(folder).env("JISHI_NEW_MASTER_KEY", key).envs(environment.iter().copied());
        refused(&command.output().unwrap())
    };
    verbs.iter().map(tell).collect()
}

#[test]
fn whoever_looks_makes_no_exchange() {
    let folder = tempfile::tempdir().unwrap();
    let made = || fs::read_dir(folder.path()).unwrap().count();
    for told in looking(folder.path(), &[]) {
        let place = folder.path().canonicalize().unwrap().join("data/jishi.db");
        let named = format!("there is no exchange in {}: ", place.display());
        assert!(told.contains(&named) && told.contains("data_dir") && told.contains("jishi serve"), "{told}");
    }
    assert_eq!(made(), 0);
    // Nor is a file without tables an exchange.
    let file = folder.path().join("jishi.db");
    fs::write(&file, "").unwrap();
    for told in looking(folder.path(), &[("JISHI_DATA_DIR", folder.path().to_str().unwrap())]) {
        assert!(told.contains(&format!("there is no exchange in {}: ", file.display())), "{told}");
    }
    assert_eq!((made(), fs::metadata(&file).unwrap().len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_looks_leaves_an_empty_schema_empty() {
    let Some(server) = server("TEST_POSTGRES_URL", Lane::Postgres) else { return };
    let (url, folder) = (schema(&server).await, tempfile::tempdir().unwrap());
    let (_, name) = url.rsplit_once('=').unwrap();
    for told in looking(folder.path(), &[("JISHI_DATABASE_URL", &url)]) {
        assert!(told.contains(&format!("there is no exchange in the schema \"{name}\" of ")), "{told}");
        assert!(!told.contains('@'), "{told}");
    }
    assert_eq!(place_in_postgres(&url).await.unwrap(), (name.to_owned(), 0));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Runs with a file system of its own in a folder that nobody else sees; nothing where the machine lets nobody have one.
fn with_mount(options: &str, before: &str) -> Option<Output> {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display().to_string();
    let script = format!("mount -t tmpfs -o {options} tmpfs '{place}' || exit 77; {before}; exec \"$0\" serve");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).arg(binary());
    command.current_dir(folder.path()).env("JISHI_DATA_DIR", folder.path().join("data")).env("JISHI_LOG", "error");
    command.env("JISHI_HTTP_LISTEN", "127.0.0.1:0").env("DATA", folder.path().join("data"));
    let output = command.output().ok().filter(|output| output.status.code() == Some(1));
    if output.is_none() {
        eprintln!("skipped: this machine lets nobody mount a file system of one's own");
    }
    output
}

#[test]
fn a_full_disk_is_told() {
    // Room for the master key, and not for the tables.
    let Some(output) = with_mount("size=160k", "true") else { return };
    let told = refused(&output);
    assert!(told.contains("the disk is full") && told.contains("jishi.db"), "{told}");
    let Some(output) = with_mount("size=4k,nr_inodes=2", "true") else { return };
    assert!(refused(&output).contains("master key"), "{}", refused(&output));
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let Some(output) = with_mount("size=4m", "mkdir \"$DATA\" && mount -o remount,ro \"${DATA%/data}\"") else {
        return;
    };
    let told = refused(&output);
    assert!(told.contains("master key") || told.contains("cannot be"), "{told}");
    // The database of before on a disk that has become read-only.
    let before = "mkdir \"$DATA\" && \"$0\" migrate && mount -o remount,ro \"${DATA%/data}\"";
    let Some(output) = with_mount("size=16m", before) else { return };
    let told = refused(&output);
    assert!(told.contains("jishi.db") && told.contains("cannot be"), "{told}");
}
