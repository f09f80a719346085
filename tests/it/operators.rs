//! What an operator is told, and what nobody but the operator can open.
#![cfg(unix)]

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use exchange_tests::binary;

/// The program in a folder of its own, under the most generous umask.
fn jishi(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "umask 000; exec \"$0\" \"$@\"", binary().to_str().unwrap()]).args(arguments);
    command.current_dir(folder).env("JISHI_LOG", "error");
    command.envs(["HTTP", "GRPC", "METRICS"].map(|door| (format!("JISHI_{door}_LISTEN"), "127.0.0.1:0")));
    command
}

fn told(output: &Output) -> String {
    String::from_utf8([output.stdout.clone(), output.stderr.clone()].concat()).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn modes(folder: &Path) -> Vec<(String, u32)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), mode(&entry.path()))).collect()
}

#[test]
fn a_database_of_another_kind_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (url, found) in [("mysql://jishi:geheim@db/jishi", "mysql://"), ("geheim.db", "something else")] {
        for key in ["JISHI_DATABASE_URL", "JISHI_LEDGER_DATABASE_URL"] {
            let output = jishi(folder.path(), &["serve"]).env(key, url).output().unwrap();
            let told = told(&output);
            assert_eq!(output.status.code(), Some(1), "{told}");
            assert!(told.contains("sqlite://FILE or postgres://USER@HOST/DATABASE"), "{told}");
            assert!(told.contains(&format!("not on {found}")) && !told.contains("geheim"), "{told}");
        }
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn nobody_else_opens_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let mut serving = jishi(folder.path(), &["serve"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(serving.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.starts_with("ready http=")));
    let data = folder.path().join("data");
    let (made, found) = (mode(&data), modes(&data));
    let backup = jishi(folder.path(), &["backup", "copy"]).output().unwrap();
    serving.kill().unwrap();
    serving.wait().unwrap();
    assert!(backup.status.success(), "{}", told(&backup));
    assert_eq!(made, 0o700);
    assert!(found.iter().any(|(name, _)| name == "jishi.db-wal") && found.len() > 2, "{found:?}");
    let copy = folder.path().join("copy");
    assert_eq!(mode(&copy), 0o700);
    for (name, mode) in found.into_iter().chain(modes(&copy)) {
        assert_eq!(mode, 0o600, "{name}");
    }
}

#[test]
fn who_is_seeded_again_keeps_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let seed = |password: &str| {
        let mut command =
            jishi(folder.path(), &["seed", "--bootstrap-login", "chief", "--centre-name", "技术交易中心"]);
        command.args(["--centre-usci", "91110000600037341L", "--centre-region", "110000"]);
        command.args(["--centre-representative", "张三"]).env("JISHI_BOOTSTRAP_PASSWORD", password);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
        told(&output)
    };
    let first = seed("the first of passwords 1");
    assert!(first.contains("chief (told once): otpauth://") && !first.contains("exists"), "{first}");
    let again = seed("quite another password 2");
    assert!(again.contains("chief exists already: password and second factor stay as they are"), "{again}");
    assert!(!again.contains("otpauth"), "{again}");
}
