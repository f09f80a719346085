//! The request log: a line for every request by which an operator finds out who asked for what and what became of it, and
//! which tells nothing secret. Metrics have a listener of their own.

use std::path::Path;

use exchange_tests::{Exchange, LOGS, Lane};
use jishi::demo::{
    person::{Person, fresh_key},
    stage::Stage,
    timeline::{SPECTATOR, Silent},
};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    edge::{post, sign_up},
    market::door,
};

/// The lines of requests so far.
fn lines(logs: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(logs.join("all")).unwrap();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == "request").collect()
}

async fn logging(logs: &Path, share: &str) -> Exchange {
    let environment = [
        ("JISHI_LOG", "info"),
        ("JISHI_LOG_FORMAT", "json"),
        ("JISHI_REQUEST_LOG", share),
        (LOGS, logs.to_str().unwrap()),
    ];
    Exchange::start_with(Lane::Sqlite, &environment).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_has_a_line_that_tells_nothing_secret() {
    let logs = tempfile::tempdir().unwrap();
    let exchange = logging(logs.path(), "1").await;
    let stage = Stage::new(door(&exchange), &Silent).await.unwrap();
    let login = format!("line-{}", fresh_key());
    let person = Person::new(&stage.client, SPECTATOR, &login, "correct horse battery");
    person.sign_up("访客").await.unwrap();
    person.token().await.unwrap();
    let begun = lines(logs.path()).len();

    person.act("signOut", "done", json!({ "everywhere": false })).await.unwrap();
    let (_, refused) = post(&exchange, &sign_up(&login)).await;
    assert_eq!(refused["data"]["signUp"]["userErrors"][0]["code"], "LOGIN_TAKEN", "{refused}");
    let (_, _) = post(&exchange, &json!({ "query": "{ serverTime hunter2 }" })).await;
    let (_, _) = post(&exchange, &json!({ "query": "query hunter2 { serverTime }" })).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let page = client.get(format!("{}/evidence/hunter2", exchange.http)).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::NOT_FOUND);

    let lines = lines(logs.path()).split_off(begun);
    let told = |line: &Value| ["operation", "kind", "code"].map(|field| line[field].as_str().unwrap_or("?").to_owned());
    let expected = [
        ["signOut", "mutation", "ok"],
        ["signUp", "mutation", "LOGIN_TAKEN"],
        ["/graphql", "query", "INVALID_INPUT"],
        ["serverTime", "query", "ok"],
        ["/evidence/{session_id}", "http", "NOT_FOUND"],
    ];
    assert_eq!(lines.iter().map(told).collect::<Vec<_>>(), expected);
    for line in &lines {
        assert!(line["timestamp"].is_string() && line["spans"][0]["trace"].is_string(), "{line}");
        assert!(line["millis"].is_u64() && line["bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{line}");
    }
    let callers: Vec<&str> = lines.iter().map(|line| line["caller"].as_str().unwrap()).collect();
    assert!(callers[0].starts_with('p') && callers[1].starts_with('a'), "{callers:?}");
    assert_eq!((callers[1], callers[2]), (callers[3], callers[3]), "one address");
    let text = std::fs::read_to_string(logs.path().join("all")).unwrap();
    for secret in ["hunter2", &login, "127.0.0.1:", "correct horse", "person_"] {
        let found = text.lines().filter(|line| line.starts_with('{')).find(|line| line.contains(secret));
        assert_eq!(found, None, "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_has_a_line_whatever_the_share() {
    let logs = tempfile::tempdir().unwrap();
    let exchange = logging(logs.path(), "0").await;
    let login = format!("line-{}", fresh_key());
    let begun = lines(logs.path()).len();
    for query in ["{ serverTime }", "{ nothing }", "{ serverTime }"] {
        let (_, _) = post(&exchange, &json!({ "query": query })).await;
    }
    for _ in 0..2 {
        let (_, _) = post(&exchange, &sign_up(&login)).await;
    }
    let codes: Vec<_> = lines(logs.path()).split_off(begun).iter().map(|line| line["code"].clone()).collect();
    assert_eq!(codes, ["INVALID_INPUT", "LOGIN_TAKEN"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_told_elsewhere_than_everything_else() {
    let exchange = Exchange::start(Lane::Sqlite).await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let status = async |at: &str, path: &str| client.get(format!("{at}{path}")).send().await.unwrap().status();
    assert_eq!(status(&exchange.metrics, "/metrics").await, StatusCode::OK);
    assert_eq!(status(&exchange.http, "/metrics").await, StatusCode::NOT_FOUND);
    for path in ["/", "/healthz", "/graphql", "/graphiql"] {
        assert_eq!(status(&exchange.metrics, path).await, StatusCode::NOT_FOUND, "{path}");
    }
}
