//! From the start of the process to the first correct answer, on a seeded SQLite file, and the memory of
//! the idle process.
//!
//! `cargo build --release --workspace && cargo run --release -p exchange-benches -- start`

use std::{
    io::Write,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use exchange_benches::load;
use jishi::Result;

const ROUNDS: usize = 7;
const HTTP: &str = "127.0.0.1:18473";
const METRICS: &str = "127.0.0.1:18474";

/// Measures and prints.
pub async fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().display().to_string();
    // The first start migrates and plants the demo data.
    let (mut first, planted) = start(&path).await?;
    end(&mut first)?;
    let mut waits = Vec::new();
    let (mut memory, mut own) = (0, 0);
    for _ in 0..ROUNDS {
        let (mut child, waited) = start(&path).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        (memory, own) = (kib(child.id(), "VmRSS:"), kib(child.id(), "RssAnon:"));
        end(&mut child)?;
        waits.push(waited);
    }
    waits.sort_unstable();
    let median = waits.get(ROUNDS / 2).copied().unwrap_or_default();
    let mut out = std::io::stdout();
    writeln!(out, "first start with migrations and demo data: {} ms", planted.as_millis())?;
    writeln!(
        out,
        "start to first correct answer: median {} ms of {ROUNDS} (wanted ≤ 150), load {}",
        median.as_millis(),
        load()
    )?;
    // The rest are pages of the program's file, which the system gives away when it needs them.
    writeln!(out, "idle memory: {} MiB resident (wanted ≤ 64), {} MiB of them its own", memory / 1024, own / 1024)?;
    Ok(())
}

async fn start(folder: &str) -> Result<(Child, Duration)> {
    let binary = std::env::current_exe()?.with_file_name("jishi");
    let began = Instant::now();
    let child = Command::new(binary)
        .arg("serve")
        .env("JISHI_DATA_DIR", folder)
        .env("JISHI_HTTP_LISTEN", HTTP)
        .env("JISHI_METRICS_LISTEN", METRICS)
        .env("JISHI_LOG", "error")
        .stdout(Stdio::null())
        .spawn()?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let query =
        serde_json::json!({ "query": "{ listings(first: 5, status: DISCLOSED) { edges { node { title } } } }" });
    while began.elapsed() < Duration::from_secs(60) {
        if let Ok(reply) = client.post(format!("http://{HTTP}/graphql")).json(&query).send().await {
            let answer: serde_json::Value = reply.json().await?;
            if answer.pointer("/data/listings/edges/0/node/title").is_some() {
                return Ok((child, began.elapsed()));
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Err("no answer within a minute".into())
}

fn end(child: &mut Child) -> Result<()> {
    Command::new("kill").arg(child.id().to_string()).status()?;
    child.wait()?;
    Ok(())
}

/// What the system says of a process's memory.
fn kib(pid: u32, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
