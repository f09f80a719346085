//! Hostile tests (promise P-8): what must not stall, swell or end a process, tell what is inside, or change what was
//! said. Each runs against a real process whose memory is limited, and whose rates are not: they would hide the rest.

mod documents;
mod doors;
mod inputs;
mod naughty;
pub mod schema;
mod slow;
mod unread;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use exchange_tests::{Exchange, Lane, MEMORY, attacks};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// What each process may map: a tenth of it is resident.
const LIMIT_KIB: &str = "4194304";

/// What everybody may ask, and is answered while attacks go on.
const ORDINARY: &str = "{ listings(first: 5) { edges { node { id title floorPrice organization { name } } } } }";

/// So many seconds; more where TEST_SLOW says how many times slower a machine is.
fn seconds(count: u32) -> Duration {
    let slow = std::env::var("TEST_SLOW").ok().and_then(|slow| slow.parse().ok()).unwrap_or(1);
    Duration::from_secs(1) * count * slow
}

/// A client that waits no longer than anybody may be kept waiting, and keeps a connection for each of its callers.
fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(seconds(2)).build().unwrap()
}

/// An exchange under the memory limit.
async fn limited(lane: Lane) -> Option<Exchange> {
    let unlimited = ["JISHI_RATE_ADDRESS", "JISHI_RATE_PERSON", "JISHI_RATE_ORGANIZATION"].map(|key| (key, "0"));
    let key = ("JISHI_MASTER_KEY", "aG9zdGlsZSB0ZXN0cyBrZWVwIHRoZWlyIG93biBrZXk=");
    let mut settings = vec![(MEMORY, LIMIT_KIB), key];
    settings.extend(unlimited);
    Exchange::start_with(lane, &settings).await
}

/// The same with the demo's content, but run as in production.
async fn production(lane: Lane) -> Option<Exchange> {
    let mut exchange = limited(lane).await?;
    let process = exchange.process("gateway");
    process.set("JISHI_MODE", "production");
    process.set("JISHI_DEMO_DATA", "false");
    process.set("JISHI_PEER_SECRET", "only the hostile tests know this");
    process.stop();
    process.restart();
    Some(exchange)
}

/// Somebody who asks something ordinary all the time, and counts on the same answer each time.
struct Regular {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<(usize, Duration)>,
}

impl Regular {
    async fn comes_to(exchange: &Exchange) -> Regular {
        let (stop, http) = (Arc::new(AtomicBool::new(false)), exchange.http.clone());
        let stopped = stop.clone();
        let expected = ask(&client(), &http, ORDINARY).await;
        assert!(expected.pointer("/data/listings/edges/0/node/title").is_some(), "{expected}");
        let asking = tokio::spawn(async move {
            let (client, mut answers, mut longest) = (client(), 0, Duration::ZERO);
            while !stopped.load(Relaxed) {
                let began = Instant::now();
                assert_eq!(ask(&client, &http, ORDINARY).await, expected, "after {answers} answers");
                longest = longest.max(began.elapsed());
                answers += 1;
            }
            (answers, longest)
        });
        Regular { stop, asking }
    }

    /// How many answers came, all of them right and in time, and how long the slowest took.
    async fn leaves(self) -> (usize, Duration) {
        self.stop.store(true, Relaxed);
        self.asking.await.expect("every answer was right and in time")
    }
}

async fn ask(client: &reqwest::Client, http: &str, query: &str) -> Value {
    let body = json!({ "query": query }).to_string().into_bytes();
    attacks::ask(client, http, body).await.unwrap_or_else(|error| panic!("{query}: {error}")).1
}

/// What of a process's memory is resident, now and at most since the mark was reset, in MiB.
struct Memory(u32);

impl Memory {
    fn of(exchange: &mut Exchange) -> Memory {
        let process = exchange.process("gateway").id();
        let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
        let limit = limits.lines().find(|line| line.starts_with("Max address space")).unwrap();
        assert!(!limit.contains("unlimited"), "{limit}");
        Memory(process)
    }

    fn reset_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.0), "5").unwrap();
    }

    fn resident(&self) -> u64 {
        self.line("VmRSS:")
    }

    fn peak(&self) -> u64 {
        self.line("VmHWM:")
    }

    fn line(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).expect("the same process runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
    }
}
