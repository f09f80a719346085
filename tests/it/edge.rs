//! The front door: one JSON operation by POST, bounded in every direction; sockets that only listen; a clean stop.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use exchange_tests::{Exchange, Lane, binary};
use jishi::demo::{
    person::{Person, fresh_key},
    stage::Stage,
    timeline::{SPECTATOR, Silent},
};
use reqwest::{Method, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{market::door, refusal::tells_nothing_internal};

/// How soon whatever must end does.
pub const SOON: Duration = Duration::from_secs(5);

pub async fn exchange() -> Exchange {
    Exchange::start(Lane::Sqlite).await.unwrap()
}

/// One request as it is, and what came back.
async fn send(
    exchange: &Exchange,
    method: Method,
    kind: Option<&str>,
    body: impl Into<reqwest::Body>,
) -> (StatusCode, Value) {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let mut request = client.request(method, format!("{}/graphql", exchange.http)).body(body);
    if let Some(kind) = kind {
        request = request.header(CONTENT_TYPE, kind);
    }
    let response = request.send().await.unwrap();
    let (status, text) = (response.status(), response.text().await.unwrap());
    let answer = serde_json::from_str(&text).unwrap_or(Value::Null);
    tells_nothing_internal(&json!(text));
    (status, answer)
}

pub async fn post(exchange: &Exchange, body: &Value) -> (StatusCode, Value) {
    send(exchange, Method::POST, Some("application/json"), body.to_string()).await
}

fn code(answer: &Value) -> &str {
    answer.pointer("/errors/0/extensions/code").and_then(Value::as_str).unwrap_or_default()
}

/// A mutation that anybody may do, and that can be done once.
pub fn sign_up(login: &str) -> Value {
    let input = json!({ "login": login, "password": "correct horse battery", "name": "访客" });
    json!({ "query": "mutation S($input: SignUpInput!) { signUp(input: $input) { person { id } userErrors { code } } }", "variables": { "input": input } })
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_json_operation_by_post_is_executed() {
    let exchange = exchange().await;
    let login = format!("edge-{}", fresh_key());
    let body = sign_up(&login);
    let text = body.to_string();
    let query = body["query"].as_str().unwrap();
    let form = format!("query={query}&variables={}", body["variables"]);
    let multipart = format!(
        "--x\r\nContent-Disposition: form-data; name=\"operations\"\r\n\r\n{text}\r\n--x\r\nContent-Disposition: form-data; name=\"map\"\r\n\r\n{{}}\r\n--x--\r\n"
    );
    for kind in [None, Some("text/plain"), Some("text/plain; application/json"), Some("application/graphql")] {
        let (status, answer) = send(&exchange, Method::POST, kind, text.clone()).await;
        assert_eq!((status, code(&answer)), (StatusCode::UNSUPPORTED_MEDIA_TYPE, "INVALID_INPUT"), "{kind:?}");
    }
    let (status, _) = send(&exchange, Method::POST, Some("application/x-www-form-urlencoded"), form).await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let (status, _) = send(&exchange, Method::POST, Some("multipart/form-data; boundary=x"), multipart).await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let (status, answer) = post(&exchange, &json!([body, body])).await;
    assert_eq!((status, code(&answer)), (StatusCode::BAD_REQUEST, "INVALID_INPUT"));
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let (status, _) = send(&exchange, method, Some("application/json"), text.clone()).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    }
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = reqwest::Url::parse_with_params(
        &format!("{}/graphql", exchange.http),
        [("query", query), ("variables", &body["variables"].to_string())],
    );
    assert_eq!(client.get(url.unwrap()).send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
    // None of these was executed: the login is free.
    let (status, answer) = post(&exchange, &body).await;
    assert_eq!((status, &answer["data"]["signUp"]["userErrors"]), (StatusCode::OK, &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_bounded_and_bad_ones_get_a_clean_answer() {
    let exchange = exchange().await;
    let padded = |size: usize| json!({ "query": "{ serverTime }", "variables": { "x": "x".repeat(size) } });
    let (status, answer) = post(&exchange, &padded(255 * 1024)).await;
    assert_eq!((status, code(&answer)), (StatusCode::OK, ""));
    let (status, answer) = post(&exchange, &padded(256 * 1024)).await;
    assert_eq!((status, code(&answer)), (StatusCode::PAYLOAD_TOO_LARGE, "INVALID_INPUT"));
    // Chunked, so that no length is announced.
    let mut line = TcpStream::connect(door(&exchange).http.trim_start_matches("http://")).await.unwrap();
    let head =
        "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    line.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    for _ in 0..65 {
        line.write_all(chunk.as_bytes()).await.unwrap();
    }
    let mut status = [0; 12];
    timeout(SOON, line.read_exact(&mut status)).await.expect("an answer before the end of the body").unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
    for bad in
        ["", "{", "null", "{\"query\": 1}", "{\"variables\": {}}", "\u{0}", "{\"query\": \"{ serverTime }\"} trailing"]
    {
        let (status, answer) = send(&exchange, Method::POST, Some("application/json"), bad).await;
        assert_eq!(code(&answer), "INVALID_INPUT", "{bad:?}: {status} {answer}");
        assert!(answer.pointer("/errors/0/extensions/traceId").is_some_and(Value::is_string), "{bad:?}: {answer}");
        assert!(!status.is_server_error(), "{bad:?}: {status}");
    }
    for bad in [
        "",
        "{",
        "{ nothing }",
        "{ serverTime { deeper } }",
        "query A { serverTime } query B { serverTime }",
        "{ viewer }",
    ] {
        let (status, answer) = post(&exchange, &json!({ "query": bad })).await;
        assert_eq!((status, code(&answer)), (StatusCode::OK, "INVALID_INPUT"), "{bad:?}: {answer}");
    }
    for (key, ok) in [("k", true), ("", false), (&*"k".repeat(201), false)] {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.post(format!("{}/graphql", exchange.http)).header("Idempotency-Key", key);
        let answer: Value =
            request.json(&json!({ "query": "{ serverTime }" })).send().await.unwrap().json().await.unwrap();
        assert_eq!(answer.get("errors").is_none(), ok, "{key:?}: {answer}");
    }
    for token in ["x", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."] {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.post(format!("{}/graphql", exchange.http)).bearer_auth(token);
        let answer: Value =
            request.json(&json!({ "query": "{ serverTime }" })).send().await.unwrap().json().await.unwrap();
        assert_eq!(code(&answer), "UNAUTHENTICATED", "{token}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_bounded() {
    let exchange = exchange().await;
    let stage = Stage::new(door(&exchange), &Silent).await.unwrap();
    let login = format!("edge-{}", fresh_key());
    let person = Person::new(&stage.client, SPECTATOR, &login, "correct horse battery");
    person.sign_up("访客").await.unwrap();
    let guess = |alias: usize| {
        format!(
            "a{alias}: signIn(input: {{ login: \"{login}\", password: \"guess {alias}\" }}) {{ session {{ accessToken }} userErrors {{ code }} }}"
        )
    };
    for count in [2, 20] {
        let guesses: Vec<String> = (0..count).map(guess).collect();
        let (_, answer) = post(&exchange, &json!({ "query": format!("mutation {{ {} }}", guesses.join(" ")) })).await;
        assert_eq!((code(&answer), &answer["data"]), ("QUERY_TOO_COMPLEX", &Value::Null));
    }
    // After five guesses that are evaluated the login would rest.
    person.sign_in().await.unwrap();

    let nested = |levels: usize| {
        format!(
            "{{ listings {{ edges {{ node {{ {}id{} }} }} }} }}",
            "award { listing { ".repeat(levels),
            " } }".repeat(levels)
        )
    };
    let fanned = "{ listings(first: 100) { edges { node { organization { name } award { listing { organization { name } award { id } } } } } } }";
    let spreads: Vec<String> =
        (0..32).map(|n| format!("fragment f{n} on Query {{ ...f{} ...f{} }}", n + 1, n + 1)).collect();
    let bomb = format!("{{ ...f0 }} {} fragment f32 on Query {{ serverTime }}", spreads.join(" "));
    let circle = "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }".to_owned();
    let aliases: Vec<String> = (0..16).map(|n| format!("a{n}: serverTime")).collect();
    let hostile = [
        ("ten levels", nested(5)),
        ("a thousand levels", nested(500)),
        ("fan-out", fanned.into()),
        ("fragments that double", bomb),
        ("fragments in a circle", circle),
        ("aliases", format!("{{ {} }}", aliases.join(" "))),
        ("the same field again", format!("{{ {} }}", "serverTime ".repeat(20_000))),
        ("root fields", format!("{{ {} }}", "serverTime viewer { id } ".repeat(6))),
        ("brackets", "{".repeat(50_000)),
        ("directives", format!("{{ serverTime {} }}", "@include(if: true) ".repeat(40))),
        ("a list of literals", format!("{{ node(id: [{}]) {{ id }} }}", "1,".repeat(100_000))),
    ];
    for (what, query) in hostile {
        let began = Instant::now();
        let (status, answer) = post(&exchange, &json!({ "query": query })).await;
        let expected = ["QUERY_TOO_COMPLEX", "INVALID_INPUT"];
        assert!(status == StatusCode::OK && expected.contains(&code(&answer)), "{what}: {status} {answer}");
        assert!(began.elapsed() < Duration::from_secs(2), "{what} took {:?}", began.elapsed());
        if ["ten levels", "fan-out", "aliases", "fragments that double"].contains(&what) {
            assert_eq!(code(&answer), "QUERY_TOO_COMPLEX", "{what}: {answer}");
        }
    }
    let (_, answer) = post(&exchange, &json!({ "query": nested(1) })).await;
    assert_eq!(code(&answer), "", "what people ask for is answered: {answer}");
}

/// What cannot be read is refused in our words, never in those of the parser, which quotes the document and its grammar.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused_in_our_words() {
    let exchange = exchange().await;
    for (query, said) in [
        ("{ listings(first: 1e400) { edges { node { id } } } }", "A number is out of range at line 1, column 19."),
        ("{ listings(first: ", "The document has a syntax error at line 1, column 19."),
        ("{ serverTime }\n}", "The document has a syntax error at line 2, column 1."),
        ("", "The document has a syntax error at line 1, column 1."),
        ("fragment F on Query { serverTime }", "The document has no operation."),
        (
            "{ serverTime } query B { serverTime }",
            "An operation without a name stands alone in its document at line 1, column 1.",
        ),
        ("query A { serverTime } query A { serverTime }", "Two operations have the same name at line 1, column 24."),
    ] {
        let (status, answer) = post(&exchange, &json!({ "query": query })).await;
        let told = answer.pointer("/errors/0/message").and_then(Value::as_str).unwrap_or_default();
        assert_eq!((status, code(&answer)), (StatusCode::OK, "INVALID_INPUT"), "{query}: {answer}");
        assert!(told.ends_with(said) && told.contains('。'), "{query}: {answer}");
    }
    let raw = r#"{"query":"query($n:Int){listings(first:$n){edges{node{id}}}}","variables":{"n":1e400}}"#;
    let (_, answer) = send(&exchange, Method::POST, Some("application/json"), raw).await;
    assert!(
        answer.pointer("/errors/0/message").and_then(Value::as_str).unwrap().ends_with("operationName."),
        "{answer}"
    );
}

/// A process that ends with the test.
struct Production(Child);

impl Drop for Production {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn production_describes_nothing_and_its_clock_stands_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let own = "b25seSBmb3IgdGhpcyB0ZXN0LCAzMiBieXRlcyBsb24=";
    let everybodys = "Zm9yIGRldmVsb3BtZW50LCBrbm93biB0byBhbnlvbmU=";
    let start = |secret: &str, master_key: &str| {
        let mut command = Command::new(binary());
        command.arg("serve").env("JISHI_MODE", "production").env("JISHI_DATA_DIR", folder.path());
        command
            .env("JISHI_PEER_SECRET", secret)
            .env("JISHI_MASTER_KEY", master_key)
            .env("JISHI_HTTP_LISTEN", "127.0.0.1:0")
            .env("JISHI_LOG", "error");
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    };
    for (secret, master_key) in [("development-only", own), (&fresh_key(), everybodys), (&fresh_key(), "")] {
        let mut weak = start(secret, master_key);
        assert_eq!(weak.wait().unwrap().code(), Some(1), "a secret that everybody knows is no secret");
    }
    let mut child = start(&fresh_key(), own);
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let http = lines
        .map_while(Result::ok)
        .find_map(|line| Some(line.strip_prefix("ready http=")?.split(' ').next()?.to_owned()));
    let _production = Production(child);
    let http = http.expect("ready");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = async |query: &str| -> Value {
        client
            .post(format!("{http}/graphql"))
            .json(&json!({ "query": query }))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    };
    let unknown = ask("{ listinges { totalCount } }").await;
    assert_eq!(code(&unknown), "INVALID_INPUT");
    assert!(!unknown.to_string().to_lowercase().contains("did you mean"), "{unknown}");
    assert!(!unknown.to_string().contains("listings"), "{unknown}");
    let schema = ask("{ __schema { types { name } } }").await;
    assert!(!schema.to_string().contains("SignUpInput"), "{schema}");
    let response =
        client.post(format!("{http}/dev/clock")).json(&json!({ "offsetMillis": 1_000 })).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let guess = ask(
        "mutation { signIn(input: { login: \"reviewer\", password: \"jishi-demo-2026\" }) { userErrors { code } } }",
    )
    .await;
    assert_eq!(guess["data"]["signIn"]["userErrors"][0]["code"], "BAD_CREDENTIALS", "no demo accounts in production");
}
