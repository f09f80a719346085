//! What attacks cost everybody else (checks S1 and S8): the p99 of ordinary questions in quiet, beside 500 slow clients,
//! and while the hostile corpus is sent again and again.
//!
//! `cargo build --release --workspace && cargo run --release -p exchange-benches -- hostile`

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use exchange_benches::{load, ratio};
use exchange_tests::{
    Exchange, Lane,
    attacks::{Flood, ask, attacks, crowd, strike},
};
use jishi::Result;
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

const ROUNDS: usize = 5;
const SPAN: Duration = Duration::from_secs(6);
/// Callers, each of whom asks this often: together well below what the exchange can do, as on an ordinary day.
const CALLERS: usize = 8;
const EVERY: Duration = Duration::from_millis(40);
const CROWD: usize = 500;
/// No slow client lives longer.
const LIFE: Duration = Duration::from_secs(20);

const QUESTION: &str =
    r#"{"query":"{ listings(first: 5) { edges { node { id title floorPrice organization { name } } } } }"}"#;

/// Measures and prints.
pub async fn run() -> Result<()> {
    let unlimited = ["JISHI_RATE_ADDRESS", "JISHI_RATE_PERSON", "JISHI_RATE_ORGANIZATION"].map(|key| (key, "0"));
    let exchange = Exchange::start_with(Lane::Sqlite, &unlimited).await.ok_or("no exchange")?;
    let http = exchange.http.clone();
    traffic(&http).await;
    let slowest = Slowest::default();
    let (mut quiet, mut beside_slow, mut under_attack) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        quiet.push(traffic(&http).await);
        let slow = crowd(&http, CROWD, LIFE);
        beside_slow.push(traffic(&http).await);
        drop(slow);
        let attack = attack(http.clone(), slowest.clone());
        under_attack.push(traffic(&http).await);
        attack.abort();
        drop(attack.await);
    }
    let mut out = std::io::stdout();
    let middle = |runs: &mut Vec<Run>| {
        runs.sort_by_key(|run| run.p99);
        runs.get(ROUNDS / 2).copied().unwrap_or_default()
    };
    let quiet = middle(&mut quiet);
    writeln!(out, "{CALLERS} callers every {EVERY:?}, median of {ROUNDS} rounds of {SPAN:?}, SQLite, load {}", load())?;
    for (what, runs) in [("500 slow clients", &mut beside_slow), ("the hostile corpus", &mut under_attack)] {
        let run = middle(runs);
        let Run { p50, p99, wrong, .. } = run;
        writeln!(
            out,
            "beside {what}: p50 {p50} µs, p99 {p99} µs, {wrong} wrong answers; in quiet: p50 {} µs, p99 {} µs; \
             p99 {} of quiet (goal ≤ 2×)",
            quiet.p50,
            quiet.p99,
            ratio(p99, quiet.p99)
        )?;
    }
    let slowest = slowest.lock().map_or_else(|_| Default::default(), |slowest| *slowest);
    writeln!(out, "the slowest attack: {} ({} µs)", slowest.1, slowest.0)?;
    Ok(())
}

/// The attack that was answered last, and after how many microseconds.
type Slowest = Arc<Mutex<(u128, &'static str)>>;

/// One span of ordinary traffic.
#[derive(Clone, Copy, Default)]
struct Run {
    p50: u64,
    p99: u64,
    wrong: usize,
}

async fn traffic(http: &str) -> Run {
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(CALLERS).build().unwrap_or_default();
    let began = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (client, http) = (client.clone(), http.to_owned());
            tokio::spawn(async move {
                let (mut waits, mut wrong) = (Vec::new(), 0);
                let mut ticks = interval(EVERY);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                while began.elapsed() < SPAN {
                    ticks.tick().await;
                    let asked = Instant::now();
                    let answer = ask(&client, &http, QUESTION.into()).await;
                    waits.push(u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX));
                    let right = answer.is_ok_and(|(_, answer)| answer.pointer("/data/listings/edges/0").is_some());
                    wrong += usize::from(!right);
                }
                (waits, wrong)
            })
        })
        .collect();
    let (mut waits, mut wrong) = (Vec::new(), 0);
    for caller in callers {
        let (each, missed) = caller.await.unwrap_or_default();
        waits.extend(each);
        wrong += missed;
    }
    waits.sort_unstable();
    let at = |percent: usize| waits.get(waits.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default();
    Run { p50: at(50), p99: at(99), wrong }
}

/// Sends the whole corpus, one attack after another, for as long as it is let.
fn attack(http: String, slowest: Slowest) -> JoinHandle<()> {
    tokio::spawn(async move {
        let attacks = attacks();
        loop {
            for attack in &attacks {
                let began = Instant::now();
                drop(strike(&http, &attack.body).await);
                if let Ok(mut slowest) = slowest.lock() {
                    *slowest = (*slowest).max((began.elapsed().as_micros(), attack.what));
                }
            }
            for flood in Flood::ALL {
                drop(flood.pour(&http).await);
            }
        }
    })
}
