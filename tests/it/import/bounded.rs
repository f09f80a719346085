//! What a file may cost: a process reads from a pipe, and its memory is looked at while the pipe is still open.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    process::{Child, Command, Stdio},
};

use exchange_tests::{Exchange, Lane, binary};
use serde_json::Value;

use super::MAPPING;
use crate::market::Market;

/// How much the process may take beyond what it had before the first byte: one record, its cells, and room for the rest.
const MOST_KIB: u64 = 48 * 1024;
const CHUNK: usize = 1 << 20;

/// The most memory that was ever resident, in KiB.
fn peak(process: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Feeds one file to a dry run; the rows that it refused, and how much more memory it took.
async fn fed(format: &str, feed: impl FnOnce(&mut dyn Write)) -> (Vec<Value>, u64) {
    let exchange = Exchange::start(Lane::Sqlite).await.unwrap();
    let market = Market::open(&exchange, 0).await;
    let folder = tempfile::tempdir().unwrap();
    let [mapping, pipe, report] = ["map.toml", "pipe", "report.jsonl"].map(|name| folder.path().join(name));
    fs::write(&mapping, MAPPING.replace("\"csv\"", &format!("{format:?}"))).unwrap();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut command = Command::new(binary());
    command.args(["import", "--dry-run", "--organization", &market.university.id, "--mapping"]).arg(&mapping);
    command.arg("--report").arg(&report).arg(&pipe).stdout(Stdio::null());
    command.env("JISHI_DATABASE_URL", &exchange.database_url).env("JISHI_LOG", "error");
    let mut process = command.spawn().unwrap();
    let took = tokio::task::block_in_place(|| {
        // Opening waits for the reader.
        let mut pipe = OpenOptions::new().write(true).open(&pipe).unwrap();
        let before = peak(&process);
        feed(&mut pipe);
        peak(&process) - before
    });
    assert!(process.wait().unwrap().success());
    let text = fs::read_to_string(&report).unwrap();
    (text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), took)
}

fn told(rows: &[Value]) -> Vec<(u64, String)> {
    rows.iter().map(|row| (row["line"].as_u64().unwrap(), row["value"].as_str().unwrap().to_owned())).collect()
}

fn header() -> String {
    super::rows().lines().next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_two_hundred_megabytes_is_one_refused_row() {
    let (rows, took) = fed("csv", |pipe| {
        pipe.write_all(format!("{}\n", header()).as_bytes()).unwrap();
        for _ in 0..200 {
            pipe.write_all(&[b','; CHUNK]).unwrap();
        }
        pipe.write_all("\nSC-010,缺列的行\n".as_bytes()).unwrap();
    })
    .await;
    let told = told(&rows);
    assert_eq!((told.len(), told[0].0, told[1].0), (2, 2, 3), "{rows:?}");
    assert!(told[0].1.contains("at most"), "{rows:?}");
    eprintln!("200 MiB of commas took {took} KiB");
    assert!(took < MOST_KIB, "{took} KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_that_never_closes_is_refused_by_its_line() {
    let (rows, took) = fed("csv", |pipe| {
        pipe.write_all(format!("{}\nSC-010,缺列的行\nSC-011,\"名称\n", header()).as_bytes()).unwrap();
        for _ in 0..100 {
            pipe.write_all(&b"x\n".repeat(CHUNK / 2)).unwrap();
        }
    })
    .await;
    let told = told(&rows);
    assert_eq!((told.len(), told[0].0, told[1].0), (2, 2, 3), "{rows:?}");
    assert!(told[1].1.contains("never closed"), "{rows:?}");
    assert!(took < MOST_KIB, "{took} KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_json_has_an_end_as_well() {
    let (rows, took) = fed("jsonl", |pipe| {
        pipe.write_all(b"{\"a\":[").unwrap();
        for _ in 0..200 {
            pipe.write_all(&b"0,".repeat(CHUNK / 2)).unwrap();
        }
        pipe.write_all(b"0]}\n{\"a\":\n").unwrap();
    })
    .await;
    let told = told(&rows);
    assert_eq!((told.len(), told[0].0, told[1].0), (2, 1, 2), "{rows:?}");
    assert!(told[0].1.contains("at most") && took < MOST_KIB, "{took} KiB: {rows:?}");
}
