//! Kept answers, and events that say nothing but which rows were written, go after the days that the operator sets, and not
//! before.

use exchange_tests::{Exchange, Lane};
use jishi::demo::{
    cast::fresh_login,
    client::Client,
    person::{Person, fresh_key},
    timeline::SPECTATOR,
};
use kernel::{Db, Instant};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use super::market::door;

const DAYS: i64 = 3;

async fn old_answers_are_forgotten(lane: Lane) {
    let days = DAYS.to_string();
    let Some(exchange) = Exchange::start_with(lane, &[("JISHI_IDEMPOTENCY_DAYS", &days)]).await else { return };
    let client = Client::new(door(&exchange), None).await.unwrap();
    let began = client.now();
    let (old, young) = (Call::new(), Call::new());
    let first = old.said(&exchange).await;
    assert!(first.contains("person_"), "{first}");
    client.move_clock(began.plus_seconds(DAYS * 86_400 - 3_600)).await.unwrap();
    let second = young.said(&exchange).await;
    assert!(second.contains("person_"), "{second}");
    assert_eq!(old.said(&exchange).await, first, "forgotten before its time");
    client.move_clock(began.plus_seconds((DAYS + 1) * 86_400 + 3_600)).await.unwrap();
    // The call is then a new one: its login is taken.
    for tries in 0.. {
        let told = old.said(&exchange).await;
        if told != first {
            assert!(told.contains("TAKEN"), "{told}");
            break;
        }
        assert!(tries < 500, "an old answer is kept");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(young.said(&exchange).await, second, "a young answer is forgotten");
}

/// A sign-up under its key.
struct Call {
    key: String,
    body: Value,
}

impl Call {
    fn new() -> Call {
        let input = json!({ "login": fresh_key(), "password": fresh_key(), "name": "过客" });
        let query = "mutation U($input: SignUpInput!) { signUp(input: $input) { person { id } userErrors { code } } }";
        Call { key: fresh_key(), body: json!({ "query": query, "variables": { "input": input } }) }
    }

    async fn said(&self, exchange: &Exchange) -> String {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.post(format!("{}/graphql", exchange.http)).header("Idempotency-Key", &self.key);
        let answer: Value = request.json(&self.body).send().await.unwrap().json().await.unwrap();
        answer["data"].to_string()
    }
}

/// A session that is refreshed is written anew, and nothing else is told of it.
async fn outdated_row_events_are_deleted(lane: Lane) {
    let days = DAYS.to_string();
    let Some(mut exchange) = Exchange::start_with(lane, &[("JISHI_ROW_EVENT_DAYS", &days)]).await else { return };
    let client = Client::new(door(&exchange), None).await.unwrap();
    let began = client.now();
    let person = Person::new(&client, SPECTATOR, fresh_login(), fresh_key());
    person.sign_up("过客").await.unwrap();
    person.sign_in().await.unwrap();
    for _ in 0..3 {
        person.refresh_login().await.unwrap();
    }
    let until = client.now().plus_seconds(60);
    let first = row_events(&exchange, until, "").await;
    assert!(first >= 3, "{first}");
    // What is not in the log yet is looked at a day later.
    while row_events(&exchange, until, "AND NOT sealed").await > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    client.move_clock(began.plus_seconds((DAYS + 1) * 86_400 + 3_600)).await.unwrap();
    for tries in 0.. {
        // The last of the three stays.
        if row_events(&exchange, until, "").await <= first - 2 {
            break;
        }
        assert!(tries < 500, "outdated events are kept");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(exchange.stop().iter().all(|code| *code == Some(0)));
    let verified = exchange.run(&["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

async fn row_events(exchange: &Exchange, until: Instant, which: &str) -> i64 {
    let db = Db::connect(&exchange.database_url).await.unwrap();
    let sql = format!("SELECT count(*) AS it FROM event WHERE kind = 'RowsWritten' AND at <= {} {which}", until.0);
    let found = db.read().query_one_raw(Statement::from_string(db.backend(), sql)).await.unwrap();
    db.close().await.unwrap();
    found.unwrap().try_get("", "it").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn outdated_row_events_are_deleted_on_sqlite() {
    outdated_row_events_are_deleted(Lane::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outdated_row_events_are_deleted_on_postgres() {
    outdated_row_events_are_deleted(Lane::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_answers_are_forgotten_on_sqlite() {
    old_answers_are_forgotten(Lane::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_answers_are_forgotten_on_postgres() {
    old_answers_are_forgotten(Lane::Postgres).await;
}
