//! S1: whatever a request asks, it is answered within two seconds, and costs next to no memory.

use std::{process::Command, time::Instant};

use exchange_tests::{
    Exchange, Lane,
    attacks::{Answer, Attack, Flood, attacks, strike},
};
use futures::{StreamExt, stream};
use serde_json::json;
use tokio::time::timeout;

use super::{Memory, ORDINARY, Regular, ask, client, production, seconds};
use crate::refusal::tells_nothing_internal;

/// How much the process may grow, in MiB.
const GROWTH: u64 = 64;

/// At a time, when the attacks come at once.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn no_document_stalls_swells_or_ends_the_exchange() {
    let mut exchange = production(Lane::Sqlite).await.unwrap();
    warm(&exchange).await;
    let memory = Memory::of(&mut exchange);
    memory.reset_peak();
    let before = memory.resident();
    let regular = Regular::comes_to(&exchange).await;

    let mut took = Vec::new();
    for attack in attacks() {
        let (what, began) = (attack.what, Instant::now());
        withstood(&exchange, attack).await;
        assert!(exchange.process("gateway").is_running(), "{what} ended the exchange");
        took.push((began.elapsed(), what));
    }
    let (one_by_one, attacks) = (memory.peak(), attacks());
    let each = stream::iter(&attacks).map(|attack| strike(&exchange.http, &attack.body));
    let answers: Vec<_> = each.buffer_unordered(AT_ONCE).collect().await;
    let (answers_given, longest) = regular.leaves().await;

    took.sort();
    let slowest = &took[took.len() - 5..];
    let (resident, peak) = (memory.resident(), memory.peak());
    println!(
        "S1: {} attacks, slowest {slowest:?}; resident {before} MiB before, {resident} after, {one_by_one} at most one by one, \
         {peak} at most {AT_ONCE} at once; meanwhile {answers_given} ordinary answers, the slowest in {longest:?}",
        answers.len(),
    );
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(peak.saturating_sub(before) <= GROWTH, "{before} MiB grew to {peak}");
    assert!(exchange.process("gateway").is_running());
}

/// The attack is met as it must be, in time, and nothing internal is told.
async fn withstood(exchange: &Exchange, attack: Attack) {
    let Attack { what, body, answer: expected } = attack;
    let query_of_introspection = String::from_utf8_lossy(&body).contains("__");
    let (status, answer) = timeout(seconds(2), strike(&exchange.http, &body))
        .await
        .unwrap_or_else(|_| panic!("{what} was not answered in time"))
        .unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let shown: String = answer.to_string().chars().take(500).collect();
    assert!(expected.is(status, &answer), "{what}: {expected:?} was due, but: {status} {shown}");
    if expected != Answer::Clean {
        assert!(
            answer["errors"]
                .as_array()
                .is_some_and(|errors| errors.iter().all(|error| error["extensions"]["traceId"].is_string())),
            "{what}: {shown}"
        );
    }
    tells_nothing_internal(&json!(shown));
    assert!(!query_of_introspection || !answer.to_string().contains("RegisterOrganizationInput"), "{what}: {shown}");
}

/// What the process does once, such as opening its connections, is no growth.
async fn warm(exchange: &Exchange) {
    let client = client();
    let each = stream::iter(0..400).map(|_| ask(&client, &exchange.http, ORDINARY));
    drop(each.buffer_unordered(AT_ONCE * 2).collect::<Vec<_>>().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_flood_is_taken_in() {
    let mut exchange = production(Lane::Sqlite).await.unwrap();
    warm(&exchange).await;
    let memory = Memory::of(&mut exchange);
    memory.reset_peak();
    let before = memory.resident();
    let regular = Regular::comes_to(&exchange).await;
    for flood in Flood::ALL {
        let began = Instant::now();
        let poured = timeout(seconds(2), flood.pour(&exchange.http)).await;
        let (line, taken) = poured.unwrap_or_else(|_| panic!("{flood:?} was not answered in time")).unwrap();
        println!("S1: {flood:?}: {line:?} after {:?}, {taken} bytes taken", began.elapsed());
        let expected: &[&str] = match flood {
            Flood::Understated => &["HTTP/1.1 200 OK"],
            Flood::Extended => &["HTTP/1.1 413 Payload Too Large", "HTTP/1.1 400 Bad Request"],
            Flood::Announced | Flood::Chunked => &["HTTP/1.1 413 Payload Too Large"],
        };
        assert!(expected.contains(&line.as_str()), "{flood:?}: {line:?}");
        assert!(taken < 16 * 1024 * 1024, "{flood:?}: {taken} bytes were taken");
    }
    let (answers, longest) = regular.leaves().await;
    let peak = memory.peak();
    println!("S1: floods: {before} MiB before, {peak} at most; {answers} ordinary answers, the slowest in {longest:?}");
    assert!(peak.saturating_sub(before) <= GROWTH, "{before} MiB grew to {peak}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_and_long_heads_stay_outside() {
    let mut exchange = production(Lane::Sqlite).await.unwrap();
    let memory = Memory::of(&mut exchange);
    memory.reset_peak();
    let before = memory.resident();
    let zipped = Command::new("sh").args(["-c", "head -c 104857600 /dev/zero | gzip"]).output().unwrap().stdout;
    assert!((50_000..256 * 1024).contains(&zipped.len()), "a bomb that is let through as a body");
    let url = format!("{}/graphql", exchange.http);
    let body = json!({ "query": "{ serverTime }" });
    let ask = |client: reqwest::Client| client.post(&url).json(&body);
    let many = (0..2_000).fold(ask(client()), |request, n| request.header(format!("x-{n}"), "x"));
    let hostile = [
        ("a bomb", 400, ask(client()).header("Content-Encoding", "gzip").body(zipped)),
        ("a long header", 431, ask(client()).header("X-Long", "x".repeat(1_000_000))),
        ("a long token", 200, ask(client()).bearer_auth("x".repeat(50_000))),
        ("many headers", 431, many),
        ("a long address", 200, client().post(format!("{url}?{}", "x".repeat(30_000))).json(&body)),
        ("a long key", 200, ask(client()).header("Idempotency-Key", "k".repeat(50_000))),
        ("a long language", 200, ask(client()).header("Accept-Language", "en;q=0.1,".repeat(5_000))),
        ("a long chain of proxies", 200, ask(client()).header("X-Forwarded-For", "10.0.0.1,".repeat(5_000))),
    ];
    for (what, expected, request) in hostile {
        match request.send().await {
            Ok(response) => assert_eq!(response.status().as_u16(), expected, "{what}"),
            // Who is cut off while it writes may see a reset; that is an answer, unless it came too late.
            Err(error) => assert!(!error.is_timeout() && expected == 431, "{what}: {error:?}"),
        }
        assert!(exchange.process("gateway").is_running(), "{what} ended the exchange");
    }
    assert!(memory.peak().saturating_sub(before) <= GROWTH);
}
