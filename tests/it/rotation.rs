//! `jishi rotate-master-key` while people are at work: nothing that was sealed, marked or signed is lost, the new key opens
//! everything, and the former one nothing.

use std::{
    process::{Command, Output, Stdio},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use exchange_tests::{Exchange, Lane, binary};
use jishi::demo::{Fields, person::fresh_key};
use serde_json::{Value, json};

use super::market::{FLOOR, INCREMENT, Market};

const OLD: [u8; 32] = [31; 32];
const NEW: [u8; 32] = [32; 32];

fn text(key: [u8; 32]) -> String {
    BASE64_STANDARD.encode(key)
}

/// Runs a verb on the exchange's databases under a key.
fn verb(exchange: &Exchange, key: [u8; 32], arguments: &[&str], more: &[(&str, String)]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).env("JISHI_DATABASE_URL", &exchange.database_url).env("JISHI_MASTER_KEY", text(key));
    command.env("JISHI_HTTP_LISTEN", "127.0.0.1:0").env("JISHI_LOG", "error");
    command.envs(more.iter().map(|(key, value)| (*key, value.as_str())));
    command
}

fn rotate(exchange: &Exchange, from: [u8; 32], to: [u8; 32]) -> Command {
    verb(exchange, from, &["rotate-master-key"], &[("JISHI_NEW_MASTER_KEY", text(to))])
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A mutation under a key, and its answer as it comes.
async fn keyed(http: &str, token: &str, (key, body): (&str, &Value)) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("{http}/graphql")).header("Idempotency-Key", key).bearer_auth(token).json(body);
    request.send().await.unwrap().text().await.unwrap()
}

async fn jwks(http: &str) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.get(format!("{http}/.well-known/jishi-keys.json")).send().await.unwrap().text().await.unwrap()
}

async fn everything_stays_open(lane: Lane) {
    let Some(mut exchange) = Exchange::start_with(lane, &[("JISHI_MASTER_KEY", &text(OLD))]).await else { return };
    let market = Market::open(&exchange, 2).await;
    let draft = market.terms(json!({ "mode": "ASCENDING", "proxyAllowed": true }));
    let listing = market.disclosed(draft).await;
    for buyer in &market.buyers {
        market.eligible(buyer, &listing).await;
    }
    let session = market.bidding(&listing).await;
    let [first, second] = [&market.buyers[0], &market.buyers[1]];
    // One of each kind of what lies under the root.
    let told = json!({ "legalName": "钟守密", "phone": "13900007391" });
    first.person.act("updatePersonalData", "personalData { personId }", told).await.unwrap();
    let expires_at = market.stage.client.now().plus_seconds(86_400).to_string();
    let wanted =
        json!({ "name": "报价工具", "organizationId": second.id, "roles": ["BIDDER"], "expiresAt": expires_at });
    let api_key = second.person.act("createApiKey", "newApiKey { secret }", wanted).await.unwrap();
    let api_key = api_key.text_at("/secret").unwrap().to_owned();
    let maximum = (FLOOR.0 + 20 * INCREMENT.0, FLOOR.0 + INCREMENT.0);
    let input =
        json!({ "sessionId": session, "organizationId": first.id, "maximum": kernel::Money(maximum.0).to_string() });
    first.person.act("setProxyBid", "proxyBid { commitment }", input).await.unwrap();
    let bid = |amount: i64| {
        let input =
            json!({ "sessionId": session, "organizationId": second.id, "amount": kernel::Money(amount).to_string() });
        let query = "mutation B($input: PlaceBidInput!) { placeBid(input: $input) { bid { seq amount at } userErrors { code } } }";
        json!({ "query": query, "variables": { "input": input } })
    };
    let (key, early) = (fresh_key(), bid(maximum.1));
    let answer = keyed(&exchange.http, &api_key, (&key, &early)).await;
    assert!(answer.contains("\"seq\":"), "{answer}");
    let token = first.person.token().await.unwrap();
    let keys = jwks(&exchange.http).await;

    let wrong = rotate(&exchange, NEW, OLD).output().unwrap();
    assert!(!wrong.status.success() && said(&wrong).contains("not the one under which"), "{}", said(&wrong));
    let none = verb(&exchange, OLD, &["rotate-master-key"], &[]).output().unwrap();
    assert!(!none.status.success() && said(&none).contains("JISHI_NEW_MASTER_KEY"), "{}", said(&none));
    for told in ["opens under the new master key", "opened under the new master key already"] {
        let output = rotate(&exchange, OLD, NEW).output().unwrap();
        assert!(output.status.success() && said(&output).contains(told), "{}", said(&output));
    }
    // The process at work goes on.
    let between = bid(maximum.1 + 3 * INCREMENT.0);
    let answered = keyed(&exchange.http, &api_key, (&fresh_key(), &between)).await;
    assert!(answered.contains("\"seq\":"), "{answered}");

    let process = exchange.process("gateway");
    process.kill();
    let refused = verb(&exchange, OLD, &["serve"], &[]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("before the last rotation"), "{}", said(&refused));
    let process = exchange.process("gateway");
    process.set("JISHI_MASTER_KEY", &text(NEW));
    process.restart();

    assert_eq!(keyed(&exchange.http, &api_key, (&key, &early)).await, answer, "a kept answer");
    assert_eq!(jwks(&exchange.http).await, keys, "the exchange signs as before");
    let viewer = json!({ "query": "{ viewer { id personal { legalName phoneMasked } } }" });
    let seen = keyed(&exchange.http, &token, (&fresh_key(), &viewer)).await;
    assert!(seen.contains("钟守密"), "a token of before is believed, and a sealed name is read: {seen}");
    market.staff.reviewer.sign_in().await.unwrap();
    // The hidden maximum answers a bid below it.
    let below = bid(maximum.0 - 2 * INCREMENT.0);
    let answered = keyed(&exchange.http, &api_key, (&fresh_key(), &below)).await;
    assert!(answered.contains("\"seq\":"), "{answered}");
    let query = "query S($id: ID!) { biddingSession(id: $id) { currentPrice } }";
    let read = market.staff.reviewer.glance(query, json!({ "id": session })).await.unwrap();
    assert!(read.money_at("/biddingSession/currentPrice").unwrap().0 > maximum.0 - 2 * INCREMENT.0, "{read}");

    assert_eq!(exchange.process("gateway").stop(), Some(0));
    let verified = verb(&exchange, NEW, &["verify"], &[]).output().unwrap();
    assert!(verified.status.success() && said(&verified).contains("records verify"), "{}", said(&verified));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_stays_open_on_sqlite() {
    everything_stays_open(Lane::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_stays_open_on_postgres() {
    everything_stays_open(Lane::Postgres).await;
}

/// Killed at any moment, a rotation leaves the key of before or the new one; run again, it ends.
async fn a_crash_leaves_one_of_both(lane: Lane) {
    let Some(mut exchange) = Exchange::start_with(lane, &[("JISHI_MASTER_KEY", &text(OLD))]).await else { return };
    assert!(exchange.stop().iter().all(|code| *code == Some(0)));
    let opens = |key| verb(&exchange, key, &["migrate"], &[]).output().unwrap().status.success();
    let (mut present, mut next) = (OLD, NEW);
    for _ in 0..6 {
        let mut rotation =
            rotate(&exchange, present, next).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_micros(rand::random_range(0..150_000))).await;
        rotation.kill().unwrap();
        rotation.wait().unwrap();
        let (former, newer) = (opens(present), opens(next));
        assert!(former != newer, "former key: {former}, new key: {newer}");
        if newer {
            std::mem::swap(&mut present, &mut next);
        }
    }
    assert!(rotate(&exchange, present, next).output().unwrap().status.success());
    assert!(opens(next) && !opens(present));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_leaves_one_of_both_on_sqlite() {
    a_crash_leaves_one_of_both(Lane::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_leaves_one_of_both_on_postgres() {
    a_crash_leaves_one_of_both(Lane::Postgres).await;
}
