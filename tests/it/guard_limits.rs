//! What the front door lets one caller ask for: told, bounded, and nobody else's loss.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use exchange_tests::{Exchange, Lane, binary};
use futures::{SinkExt, StreamExt, future::join_all};
use jishi::demo::{
    person::{Person, fresh_key},
    stage::Stage,
    timeline::{SPECTATOR, Silent},
};
use reqwest::{StatusCode, header::RETRY_AFTER};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{interval, timeout},
};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

use super::{
    edge::{SOON, exchange, sign_up},
    market::door,
    refusal::tells_nothing_internal,
};

/// What the harness asks until the exchange is there.
const HARNESS: &str = "{ financingProjects(first: 1) { edges { node { id } } } }";

/// Who asks: with which token, and from where as a proxy tells it.
#[derive(Clone, Copy, Default)]
struct Asker<'a> {
    token: Option<&'a str>,
    forwarded: Option<&'a str>,
}

fn from(address: &str) -> Asker<'_> {
    Asker { forwarded: Some(address), ..Asker::default() }
}

struct Answer {
    status: StatusCode,
    retry_after: Option<u64>,
    body: Value,
}

impl Answer {
    fn code(&self) -> &str {
        self.body.pointer("/errors/0/extensions/code").and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it was answered; else it was refused as it should be.
    fn served(&self) -> bool {
        let refused = self.status == StatusCode::TOO_MANY_REQUESTS;
        assert_eq!((refused, refused), (self.code() == "RATE_LIMITED", self.body["data"].is_null()), "{}", self.body);
        let told = self.body.pointer("/errors/0/extensions/retryAfterSeconds").and_then(Value::as_u64);
        assert_eq!((self.retry_after, refused), (told, told.is_some_and(|seconds| seconds > 0)), "{}", self.body);
        !refused
    }
}

async fn ask(exchange: &Exchange, asker: Asker<'_>, body: &Value) -> Answer {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let mut request = client.post(format!("{}/graphql", exchange.http)).json(body);
    if let Some(token) = asker.token {
        request = request.bearer_auth(token);
    }
    if let Some(forwarded) = asker.forwarded {
        request = request.header("X-Forwarded-For", forwarded);
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let retry_after = headers.get(RETRY_AFTER).map(|seconds| seconds.to_str().unwrap().parse().unwrap());
    let body = response.json().await.unwrap();
    tells_nothing_internal(&body);
    Answer { status, retry_after, body }
}

/// A page of listings that costs 3 points an item, and one.
fn page(first: i32) -> Value {
    json!({ "query": format!("{{ listings(first: {first}) {{ edges {{ node {{ id }} }} }} }}") })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_tells_its_cost() {
    let exchange = exchange().await;
    let cost = async |body: Value| {
        let answer = ask(&exchange, Asker::default(), &body).await;
        assert_eq!(answer.body["extensions"]["cost"]["limit"], 2_000, "{}", answer.body);
        (answer.code().to_owned(), answer.body["extensions"]["cost"]["requested"].as_u64().unwrap())
    };
    let told = |requested| (String::new(), requested);
    assert_eq!(cost(json!({ "query": "{ serverTime }" })).await, told(1));
    assert_eq!(cost(page(5)).await, told(16));
    let by_variable = "query P($n: Int) { listings(first: $n) { edges { node { id } } } }";
    assert_eq!(cost(json!({ "query": by_variable, "variables": { "n": 100 } })).await, told(301));
    let (code, mutation) = cost(sign_up(&format!("cost-{}", fresh_key()))).await;
    assert!(code.is_empty() && mutation > 1);
    assert_eq!(cost(page(1_000)).await, ("QUERY_TOO_COMPLEX".into(), 3_001));
    let (code, _) = cost(json!({ "query": "{ node(id: \"x\") { id } }" })).await;
    assert_eq!(code, "INVALID_ID", "a failed one tells it as well");
}

#[tokio::test(flavor = "multi_thread")]
async fn known_operations_go_by_hash_and_others_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (time, feed) = ("{ serverTime }\n", "subscription { auctionEvents(sessionId: \"x\") { event { seq } } }");
    for (name, text) in [("harness", HARNESS), ("time", time), ("feed", feed)] {
        std::fs::write(folder.path().join(format!("{name}.graphql")), text).unwrap();
    }
    let output = Command::new(binary()).arg("operations").arg(folder.path()).output().unwrap();
    let manifest: Value = serde_json::from_slice(&output.stdout).unwrap();
    let hash = |text: &str| {
        let known = manifest.as_object().unwrap().iter().find(|(_, document)| *document == text);
        known.unwrap().0.clone()
    };
    let file = folder.path().join("manifest.json");
    std::fs::write(&file, &output.stdout).unwrap();
    let file = file.to_str().unwrap();
    let only = [("JISHI_OPERATIONS_FILE", file), ("JISHI_OPERATIONS_ONLY", "true")];
    let exchange = Exchange::start_with(Lane::Sqlite, &only).await.unwrap();

    let named = |hash: &str| json!({ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": hash } } });
    for known in [named(&hash(time)), json!({ "query": time })] {
        let answer = ask(&exchange, Asker::default(), &known).await;
        assert!(answer.body["data"]["serverTime"].is_string(), "{}", answer.body);
    }
    let login = format!("known-{}", fresh_key());
    let refused = [
        (named(&"0".repeat(64)), "PERSISTED_QUERY_NOT_FOUND"),
        (json!({ "query": "{ serverTime }" }), "OPERATION_NOT_ALLOWED"),
        (sign_up(&login), "OPERATION_NOT_ALLOWED"),
        (json!({ "query": "{ viewer { id } }", "extensions": named(&hash(time))["extensions"] }), "INVALID_INPUT"),
    ];
    for (body, code) in &refused {
        let answer = ask(&exchange, Asker::default(), body).await;
        assert_eq!((answer.code(), &answer.body["data"]), (*code, &Value::Null), "{body}");
    }
    let viewers = json!({ "query": "subscription { auctionEvents(sessionId: \"y\") { event { seq } } }" });
    let mut socket = Socket::open(&exchange, Asker::default()).await.unwrap();
    assert_eq!(socket.subscribe(viewers).await, "OPERATION_NOT_ALLOWED");
    assert_eq!(socket.subscribe(named(&hash(feed))).await, "INVALID_ID", "let through, and then judged");

    std::fs::write(file, json!({ hash(time): "{ viewer { id } }" }).to_string()).unwrap();
    for forged in [&only[..], &only[1..]] {
        let mut command = tokio::process::Command::new(binary());
        command.kill_on_drop(true).arg("serve").envs(forged.iter().copied()).env("JISHI_HTTP_LISTEN", "127.0.0.1:0");
        command.env("JISHI_DATA_DIR", folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let ended = timeout(Duration::from_secs(20), command.status()).await.expect("it does not start").unwrap();
        assert_eq!(ended.code(), Some(1), "a manifest that is not what it says, or none: {forged:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_refused_and_hurts_nobody_else_on_sqlite() {
    a_flood_is_refused_and_hurts_nobody_else(Lane::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_refused_and_hurts_nobody_else_on_postgres_with_redis() {
    a_flood_is_refused_and_hurts_nobody_else(Lane::Redis).await;
}

async fn a_flood_is_refused_and_hurts_nobody_else(lane: Lane) {
    let rates = [
        ("JISHI_RATE_PERSON", "60"),
        ("JISHI_RATE_ADDRESS", "400"),
        ("JISHI_TRUSTED_PROXIES", "127.0.0.0/8, 10.0.0.1"),
    ];
    let Some(exchange) = Exchange::start_with(lane, &rates).await else { return };
    let stage = Stage::new(door(&exchange), &Silent).await.unwrap();
    let person = async |name: &str| {
        let person = Person::new(&stage.client, SPECTATOR, format!("{name}-{}", fresh_key()), "correct horse battery");
        person.sign_up(name).await.unwrap();
        person.token().await.unwrap()
    };
    let (eager, calm) = (person("eager").await, person("calm").await);
    let here = |token| Asker { token: Some(token), forwarded: Some("198.51.100.1") };

    // A person's budget is a page of 20; a small question has to wait as well, some seconds.
    assert!(ask(&exchange, here(&eager), &page(20)).await.served());
    assert!(!ask(&exchange, here(&eager), &page(20)).await.served());
    assert!(!ask(&exchange, here(&eager), &page(1)).await.served());
    let mut socket = Socket::open(&exchange, here(&eager)).await.unwrap();
    let feed = "subscription { auctionEvents(sessionId: \"x\") { event { seq at kind amount bidderCode } } }";
    assert_eq!(socket.subscribe(json!({ "query": feed })).await, "RATE_LIMITED");
    assert!(ask(&exchange, here(&calm), &page(20)).await.served(), "another person at the same place");
    let reader = from("198.51.100.1");
    assert!(ask(&exchange, reader, &page(100)).await.served(), "and whoever only reads there");

    // An address has 400 points, whatever stands before it in the header.
    assert!(!ask(&exchange, reader, &page(100)).await.served());
    for same in ["6.6.6.6, 198.51.100.1", "198.51.100.1, 10.0.0.1"] {
        assert!(!ask(&exchange, from(same), &page(100)).await.served(), "{same}");
    }
    assert!(ask(&exchange, from("198.51.100.2"), &page(100)).await.served());
    assert!(ask(&exchange, from("2001:db8::1"), &page(100)).await.served());
    assert!(!ask(&exchange, from("2001:db8::ffff:2"), &page(100)).await.served(), "one caller has a whole /64");
    assert!(ask(&exchange, from("2001:db8:0:1::1"), &page(100)).await.served());

    // Refused tokens and bad documents cost as well.
    let forged = Asker { token: Some("a.b.c"), forwarded: Some("198.51.100.3") };
    let mut answers = 0;
    while ask(&exchange, forged, &page(1)).await.code() == "UNAUTHENTICATED" {
        answers += 1;
        assert!(answers < 5_000, "tokens may be guessed for ever");
    }
    assert!(answers >= 400, "{answers}");
    let padded = json!({ "query": format!("{{ nothing }} # {}", "x".repeat(200 * 1024)) });
    for expected in ["INVALID_INPUT", "INVALID_INPUT", "RATE_LIMITED"] {
        assert_eq!(ask(&exchange, from("198.51.100.4"), &padded).await.code(), expected, "200 points each");
    }

    // Who waits is served again.
    let again = async { while !ask(&exchange, reader, &page(40)).await.served() {} };
    timeout(Duration::from_secs(10), again).await.expect("the budget fills up");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_proxy_is_not_believed() {
    let exchange = Exchange::start_with(Lane::Sqlite, &[("JISHI_RATE_ADDRESS", "600")]).await.unwrap();
    assert!(ask(&exchange, from("198.51.100.1"), &page(100)).await.served());
    assert!(!ask(&exchange, from("198.51.100.2"), &page(150)).await.served());
    assert!(!ask(&exchange, Asker::default(), &page(150)).await.served());
}

/// Sends a request's head and then its body a byte at a time, until it is answered: the answer and how long it took.
async fn drip(line: &mut TcpStream) -> (String, Duration) {
    let began = Instant::now();
    let head = "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";
    line.write_all(head.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = line.split();
    let mut ticks = interval(Duration::from_millis(300));
    let (mut answer, mut buffer) = (String::new(), [0; 4096]);
    loop {
        tokio::select! {
            _ = ticks.tick() => drop(writing.write_all(b" ").await),
            read = reading.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return (answer, began.elapsed()),
                Ok(count) => answer.push_str(&String::from_utf8_lossy(&buffer[..count])),
            },
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_body_is_cut_also_on_a_line_that_was_good_before() {
    let exchange = exchange().await;
    let address = exchange.http.trim_start_matches("http://");
    let mut fresh = TcpStream::connect(address).await.unwrap();
    let mut kept = TcpStream::connect(address).await.unwrap();
    let body = json!({ "query": "{ serverTime }" }).to_string();
    let good = format!(
        "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    kept.write_all(good.as_bytes()).await.unwrap();
    let mut answer = String::new();
    while !answer.contains("serverTime") {
        let mut buffer = [0; 4096];
        let count = timeout(SOON, kept.read(&mut buffer)).await.unwrap().unwrap();
        answer.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    let others = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..100 {
            let began = Instant::now();
            assert!(ask(&exchange, Asker::default(), &page(1)).await.served());
            slowest = slowest.max(began.elapsed());
        }
        slowest
    };
    let (fresh, kept, slowest) = tokio::join!(drip(&mut fresh), drip(&mut kept), others);
    for (answer, took) in [fresh, kept] {
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("INVALID_INPUT"), "{answer:?}");
        assert!(took < Duration::from_secs(15), "{took:?}");
    }
    assert!(slowest < SOON, "others do not wait: {slowest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_so_many_connections() {
    /// How many of 30 connections that say nothing are still open.
    async fn open(exchange: &Exchange) -> usize {
        let address = exchange.http.trim_start_matches("http://");
        let mut lines = Vec::new();
        for _ in 0..30 {
            lines.push(TcpStream::connect(address).await.unwrap());
        }
        let left = lines.iter_mut().map(|line| timeout(Duration::from_secs(2), line.read_u8()));
        join_all(left).await.iter().filter(|read| read.is_err()).count()
    }
    let most = ("JISHI_CONNECTIONS_PER_ADDRESS", "20");
    let exchange = Exchange::start_with(Lane::Sqlite, &[most]).await.unwrap();
    let left = open(&exchange).await;
    assert!((10..=20).contains(&left), "{left}");
    let again = async { while reqwest::get(format!("{}/healthz", exchange.http)).await.is_err() {} };
    timeout(SOON, again).await.expect("who leaves makes room");

    let behind = Exchange::start_with(Lane::Sqlite, &[most, ("JISHI_TRUSTED_PROXIES", "127.0.0.1")]).await.unwrap();
    assert_eq!(open(&behind).await, 30, "a proxy brings many");
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(Socket::open(&behind, from("198.51.100.1")).await.unwrap());
    }
    assert_eq!(Socket::open(&behind, from("198.51.100.1")).await.err(), Some(429));
    assert!(Socket::open(&behind, from("198.51.100.2")).await.is_ok());
}

/// A WebSocket that has introduced itself.
struct Socket(tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Opens one, or says with which status it was refused.
    async fn open(exchange: &Exchange, asker: Asker<'_>) -> Result<Socket, u16> {
        let mut request = door(exchange).ws.into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("Sec-WebSocket-Protocol", "graphql-transport-ws".parse().unwrap());
        if let Some(forwarded) = asker.forwarded {
            headers.insert("X-Forwarded-For", forwarded.parse().unwrap());
        }
        let mut socket = match connect_async(request).await {
            Ok((socket, _)) => Socket(socket),
            Err(Error::Http(response)) => return Err(response.status().as_u16()),
            Err(other) => panic!("{other}"),
        };
        let bearer = asker.token.map(|token| format!("Bearer {token}"));
        socket.say(json!({ "type": "connection_init", "payload": { "Authorization": bearer } })).await;
        assert_eq!(socket.hear().await["type"], "connection_ack");
        Ok(socket)
    }

    async fn say(&mut self, said: Value) {
        self.0.send(Message::text(said.to_string())).await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        loop {
            if let Message::Text(text) = timeout(SOON, self.0.next()).await.expect("in time").unwrap().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// The code of the error that a subscription gets at once.
    async fn subscribe(&mut self, payload: Value) -> String {
        let id = fresh_key();
        self.say(json!({ "type": "subscribe", "id": id, "payload": payload })).await;
        loop {
            let told = self.hear().await;
            tells_nothing_internal(&told);
            let errors = ["/payload/errors/0/extensions/code", "/payload/0/extensions/code"];
            if let Some(code) = errors.iter().find_map(|path| told.pointer(path)) {
                return code.as_str().unwrap().to_owned();
            }
        }
    }
}
