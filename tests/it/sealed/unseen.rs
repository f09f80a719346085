//! Whoever polls every counter, reads every line of the log and watches every key of the rates, before and after each call,
//! does not learn whether a call handed in a sealed bid (promise P-3): it looks like a query of the same person.
//!
//! A hidden coin decides what each call is. The observations of both kinds must be the same, not only alike.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use exchange_tests::{Exchange, LOGS, Lane};
use jishi::demo::person::{Person, fresh_key};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::{
    super::{
        market::Market,
        refusal::{tried, with},
    },
    lot::SealedLot,
};

const CALLS: usize = 16;
const OFFERS: [&str; 3] = ["510000.01", "520000.02", "530000.03"];

/// What changed from one moment to the next: counters, lines of the log without their time, and what Redis was asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    counters: BTreeMap<String, i64>,
    lines: Vec<String>,
    rates: Vec<String>,
}

/// Whoever watches from inside: the operator's metrics, log and Redis.
struct Observer<'a> {
    metrics: &'a str,
    logs: &'a Path,
    redis: Option<Monitor>,
    counters: BTreeMap<String, i64>,
    lines: usize,
}

/// A connection to Redis that is told every command of everybody, as `redis-cli monitor` is.
struct Monitor {
    heard: Lines<BufReader<OwnedReadHalf>>,
    asks: TcpStream,
    marks: usize,
    /// With what the keys begin.
    rates: String,
    _held: OwnedWriteHalf,
}

impl Monitor {
    /// Of what an exchange asks; the server may have others.
    async fn of(url: &str, exchange: &Exchange) -> Monitor {
        let address = url.trim_start_matches("redis://").trim_end_matches('/');
        let (read, mut held) = TcpStream::connect(address).await.unwrap().into_split();
        held.write_all(b"MONITOR\r\n").await.unwrap();
        let mut heard = BufReader::new(read).lines();
        assert_eq!(heard.next_line().await.unwrap().unwrap(), "+OK");
        Monitor {
            heard,
            asks: TcpStream::connect(address).await.unwrap(),
            marks: 0,
            rates: format!("\"{}:rate:", exchange.redis_stream()),
            _held: held,
        }
    }

    /// What was asked about rates since the last time, with the points taken. A mark of ours says when all of it is heard.
    async fn rates(&mut self) -> Vec<String> {
        self.marks += 1;
        let mark = format!("seen-{}-{}", std::process::id(), self.marks);
        self.asks.write_all(format!("ECHO {mark}\r\n").as_bytes()).await.unwrap();
        let mut rates = Vec::new();
        loop {
            let line = self.heard.next_line().await.unwrap().unwrap();
            if line.contains(&mark) {
                return rates;
            }
            let asked = line.split_once("] ").map_or(line.as_str(), |(_, asked)| asked);
            if asked.contains(&self.rates) && asked.to_ascii_uppercase().starts_with("\"EVAL") {
                rates.push(asked.to_owned());
            }
        }
    }
}

impl Observer<'_> {
    /// How things stand: every counter of every series, but how long things took.
    async fn poll(&self) -> BTreeMap<String, i64> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let told = client.get(format!("{}/metrics", self.metrics)).send().await.unwrap().text().await.unwrap();
        let series = told.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        let counts = |name: &str| {
            let name = name.split('{').next().unwrap_or_default();
            name.ends_with("_count") || name.ends_with("_total")
        };
        let series = series.filter(|(name, _)| counts(name));
        series.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
    }

    fn read(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.logs.join("all")).unwrap();
        text.lines().filter(|line| line.starts_with('{')).map(timeless).collect()
    }

    /// What is new since the last look.
    async fn look(&mut self) -> Seen {
        let (counters, lines) = (self.poll().await, self.read());
        let before = |name: &String| self.counters.get(name).copied().unwrap_or_default();
        let grown = counters.iter().map(|(name, now)| (name.clone(), now - before(name)));
        let grown = grown.filter(|(_, more)| *more != 0).collect();
        let new = lines[self.lines..].to_vec();
        (self.counters, self.lines) = (counters, lines.len());
        let rates = match &mut self.redis {
            Some(redis) => redis.rates().await,
            None => Vec::new(),
        };
        Seen { counters: grown, lines: new, rates }
    }
}

/// A line without what differs from any call to the next: its time, its trace, and how long it took.
fn timeless(line: &str) -> String {
    let mut line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let fields = line.as_object_mut().unwrap();
    fields.remove("timestamp");
    fields.remove("millis");
    for span in fields.get_mut("spans").and_then(Value::as_array_mut).into_iter().flatten() {
        span.as_object_mut().unwrap().remove("trace");
    }
    line.to_string()
}

/// One of the things that a bidder does about a sealed bid.
async fn bids(lot: &SealedLot<'_>, turn: usize) {
    let bidder = &lot.buyer(0).person;
    let sealed = lot.sealed(0, &["--amount", OFFERS[turn % OFFERS.len()]]);
    match turn % 4 {
        0 | 1 => drop(lot.hand_in(0, &sealed, &fresh_key()).await),
        2 => drop(lot.receipt(bidder, 0).await),
        _ => {
            let wrong = with(&lot.input(0, &sealed["envelope"]), "round", 2);
            let told = tried(bidder, "submitSealedBid", wrong).await.to_string();
            assert!(told.contains("WRONG_ROUND"), "{told}");
        }
    }
}

async fn asks(bidder: &Person) {
    bidder.glance("{ serverTime }", json!({})).await.unwrap();
}

async fn a_coin_stays_hidden(lane: Lane) {
    let logs = tempfile::tempdir().unwrap();
    let environment = [
        ("JISHI_LOG", "info"),
        ("JISHI_LOG_FORMAT", "json"),
        ("JISHI_RATE_PERSON", "3000000"),
        ("JISHI_RATE_ORGANIZATION", "3000000"),
        ("JISHI_RATE_ADDRESS", "3000000"),
        (LOGS, logs.path().to_str().unwrap()),
    ];
    let Some(exchange) = Exchange::start_with(lane, &environment).await else { return };
    let market = Market::open(&exchange, 2).await;
    let lot = SealedLot::scheduled((&exchange, &market), 2, json!({ "mode": "SEALED_SINGLE" })).await;
    lot.begins().await;
    let bidder = &lot.buyer(0).person;
    bidder.refresh_login().await.unwrap();
    let through = || async { Ok(super::super::search::texts(&exchange, WAITING).await.is_empty().then_some(())) };
    market.stage.until("all that happened to be through", through).await.unwrap();

    let redis = match (lane, std::env::var("TEST_REDIS_URL")) {
        (Lane::Redis, Ok(url)) => Some(Monitor::of(&url, &exchange).await),
        _ => None,
    };
    let (counters, lines) = (BTreeMap::new(), 0);
    let mut observer = Observer { metrics: &exchange.metrics, logs: logs.path(), redis, counters, lines };
    observer.look().await;
    let mut seen = [BTreeSet::new(), BTreeSet::new()];
    for turn in 0..CALLS {
        // Both sides come up: the first calls are one of each.
        let coin = if turn < 8 { turn % 2 == 0 } else { rand::random() };
        if coin {
            bids(&lot, turn / 2).await
        } else {
            asks(bidder).await
        }
        seen[usize::from(coin)].insert(observer.look().await);
    }
    let [asked, bid] = &seen;
    assert_eq!(asked, bid, "what is seen of a query and of a sealed bid");
    let seen = asked.first().unwrap();
    assert_eq!((asked.len(), seen.lines.len()), (1, 1), "{asked:?}");
    assert_eq!(seen.counters.len(), 2, "requests and operations are counted, both or none: {seen:?}");
    assert_eq!(seen.rates.len(), if lane == Lane::Redis { 2 } else { 0 }, "{seen:?}");
    for name in [&lot.buyer(0).id, "organization", "person", "submitSealedBid", "sealedReceipt"] {
        assert!(!format!("{seen:?}").contains(name), "{name} in {seen:?}");
    }
}

const WAITING: &str = "SELECT kind AS text FROM event WHERE NOT sealed OR (announce AND published_mark IS NULL)";

/// A bid waits for its beat, up to two seconds. What is told of it is told before: when it is answered, and how long it took,
/// is nobody's to see. Its lot's process stands still meanwhile, so that there is no answer yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_bid_is_told_before_it_is_answered() {
    let logs = tempfile::tempdir().unwrap();
    let environment = [("JISHI_LOG", "info"), ("JISHI_LOG_FORMAT", "json"), (LOGS, logs.path().to_str().unwrap())];
    let Some(mut exchange) = Exchange::start_with(Lane::Networked, &environment).await else { return };
    let (session, body, token) = {
        let market = Market::open(&exchange, 2).await;
        let lot = SealedLot::scheduled((&exchange, &market), 2, json!({ "mode": "SEALED_SINGLE" })).await;
        lot.begins().await;
        let bidder = &lot.buyer(0).person;
        bidder.refresh_login().await.unwrap();
        let sealed = lot.sealed(0, &["--amount", OFFERS[0]]);
        let query = "mutation S($input: SubmitSealedBidInput!) { submitSealedBid(input: $input) { sealedReceipt { place } userErrors { code } } }";
        let body = json!({ "query": query, "variables": { "input": lot.input(0, &sealed["envelope"]) } });
        (lot.session.clone(), body, bidder.token().await.unwrap())
    };
    let told = || {
        let text = std::fs::read_to_string(logs.path().join("gateway")).unwrap();
        text.lines().filter(|line| line.contains("\"message\":\"request\"")).map(timeless).collect::<Vec<_>>()
    };
    let before = told().len();
    exchange.process("auction").freeze();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("{}/graphql", exchange.http)).bearer_auth(&token).json(&body);
    let answer = tokio::spawn(async move { request.send().await.unwrap().json::<Value>().await.unwrap() });
    for _ in 0..1_000 {
        if told().len() > before {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let (lines, is_answered) = (told(), answer.is_finished());
    exchange.process("auction").thaw();
    assert!(lines.len() == before + 1 && !is_answered, "{:?}", &lines[before..]);
    let answer = answer.await.unwrap();
    assert_eq!(answer.pointer("/data/submitSealedBid/userErrors"), Some(&json!([])), "{answer} {session}");
    assert_eq!(told(), lines, "its answer is told by nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coin_stays_hidden_on_sqlite() {
    a_coin_stays_hidden(Lane::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coin_stays_hidden_in_redis() {
    a_coin_stays_hidden(Lane::Redis).await;
}
