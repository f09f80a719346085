//! A retry is harmless (promise P-7): the same key gives the same answer, byte for byte, also after the process was
//! killed; the same key with another body is refused.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use exchange_tests::Exchange;
use futures::future::join_all;
use jishi::demo::{
    cast::House,
    person::{Person, fresh_key},
};
use kernel::Money;
use serde_json::{Value, json};

use super::{
    market::{DEPOSIT, FLOOR, INCREMENT, Listed, Market, made},
    refusal::{tells_nothing_internal, unknown},
};

lanes! { answers_are_kept copies_at_once refusals_are_kept }

const COPIES: usize = 20;
/// How long a process that was killed may be away.
const AWAY: Duration = Duration::from_secs(20);

/// One mutation that can be sent again and again.
struct Call<'a> {
    person: &'a Person,
    verb: &'static str,
    selection: &'static str,
    input: Value,
    key: String,
}

const LISTING: &str = "listing { id title status floorPrice deposit createdAt availableTransitions }";
const RECEIPT: &str = "bankReceipt { id amount bankReference receivedAt recordedAt }";
const HELD: &str = "deposit { id amount status heldAt }";
const BID: &str = "bid { sessionId seq bidderCode amount at closesAt }";

impl<'a> Call<'a> {
    fn new(person: &'a Person, verb: &'static str, selection: &'static str, input: Value) -> Call<'a> {
        Call { person, verb, selection, input, key: fresh_key() }
    }

    /// The same key, another body.
    fn but(&self, field: &str, value: impl Into<Value>) -> Call<'a> {
        let mut input = self.input.clone();
        input[field] = value.into();
        Call { input, key: self.key.clone(), ..*self }
    }

    /// The answer as it comes over the line.
    async fn bytes(&self, http: &str) -> String {
        let (first, rest) = self.verb.split_at(1);
        let query = format!(
            "mutation($input: {}{rest}Input!) {{ {}(input: $input) {{ {} userErrors {{ code messageZh messageEn field rule accepted \
             currentPrice minimumAmount serverTime }} }} }}",
            first.to_uppercase(),
            self.verb,
            self.selection
        );
        let body = json!({ "query": query, "variables": { "input": self.input } });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let began = Instant::now();
        loop {
            let request = client.post(format!("{http}/graphql")).header("Idempotency-Key", &self.key).json(&body);
            let sent = request.bearer_auth(self.person.token().await.unwrap()).send().await;
            let text = match sent {
                Ok(response) => response.text().await.unwrap_or_default(),
                Err(_) => String::new(),
            };
            let answer: Value = serde_json::from_str(&text).unwrap_or_default();
            tells_nothing_internal(&answer);
            let away = answer.is_null() || answer.pointer("/errors/0/extensions/code") == Some(&json!("UNAVAILABLE"));
            if !away {
                return text;
            }
            assert!(began.elapsed() < AWAY, "{}: {text}", self.verb);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The answer, which must be a refusal under this code.
    async fn refusal(&self, http: &str, code: &str) -> String {
        let text = self.bytes(http).await;
        assert_eq!(told(&text)["data"][self.verb]["userErrors"][0]["code"], code, "{text}");
        text
    }

    /// The answer, which must be no refusal.
    async fn done(&self, http: &str) -> String {
        let text = self.bytes(http).await;
        assert_eq!(told(&text)["data"][self.verb]["userErrors"], json!([]), "{text}");
        text
    }
}

fn told(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn bid(session: &str, house: &House, amount: Money) -> Value {
    json!({ "sessionId": session, "organizationId": house.id, "amount": amount.to_string() })
}

fn receipt(market: &Market, house: &House) -> Value {
    let received_at = market.stage.client.now().plus_seconds(-60).to_string();
    json!({ "organizationId": house.id, "amount": DEPOSIT.to_string(), "bankReference": fresh_key(), "receivedAt": received_at })
}

fn step(steps: i64) -> Money {
    Money(FLOOR.0 + INCREMENT.0 * steps)
}

async fn log_length(market: &Market, session: &str) -> Value {
    let query = "query S($id: ID!) { biddingSession(id: $id) { seq bidCount } }";
    market.broker.glance(query, json!({ "id": session })).await.unwrap()["biddingSession"].clone()
}

async fn listings(market: &Market) -> Value {
    let query = "query C($id: ID!) { listings(organizationId: $id) { totalCount } }";
    market.broker.glance(query, json!({ "id": market.university.id })).await.unwrap()["listings"]["totalCount"].clone()
}

/// Two bidders of whom the first still has its deposit to pay.
async fn nearly_two(market: &Market) -> (Listed, String) {
    let listing = market.disclosed(market.draft()).await;
    market.eligible(&market.buyers[1], &listing).await;
    let application = market.qualified(&market.buyers[0], &listing).await;
    (listing, application)
}

async fn answers_are_kept(mut exchange: Exchange) {
    let market = Market::open(&exchange, 2).await;
    let http = exchange.http.clone();
    let [buyer, rival] = &market.buyers[..] else { panic!() };
    let (listing, application) = nearly_two(&market).await;
    let create = Call::new(&market.broker, "createListing", LISTING, market.draft());
    let record = Call::new(&market.staff.cashier, "recordBankReceipt", RECEIPT, receipt(&market, buyer));
    let pay = Call::new(&buyer.person, "payDeposit", HELD, json!({ "transferApplicationId": application }));
    let mut kept = Vec::new();
    for call in [&create, &record, &pay] {
        kept.push(call.done(&http).await);
    }
    market.until_application(&application, "ELIGIBLE").await;
    let session = market.bidding(&listing).await;
    let place = Call::new(&buyer.person, "placeBid", BID, bid(&session, buyer, FLOOR));
    kept.push(place.done(&http).await);
    let calls = [&create, &record, &pay, &place];
    for (call, first) in calls.iter().zip(&kept) {
        assert_eq!(call.bytes(&http).await, *first, "{}", call.verb);
    }
    for (call, field, value) in [
        (&create, "title", json!("另一个项目")),
        (&record, "amount", json!("1.00")),
        (&pay, "transferApplicationId", json!(unknown("application"))),
        (&place, "amount", json!(step(1).to_string())),
    ] {
        call.but(field, value).refusal(&http, "IDEMPOTENCY_CONFLICT").await;
    }
    // Another person's key of the same name is another key.
    let other = Call {
        person: &rival.person,
        input: bid(&session, rival, step(1)),
        ..place.but("amount", step(1).to_string())
    };
    other.done(&http).await;

    for role in ["catalog", "ledger", "auction"] {
        tokio::task::block_in_place(|| exchange.kill_and_restart(role));
    }
    for (call, first) in calls.iter().zip(&kept) {
        assert_eq!(call.bytes(&http).await, *first, "{} after the restart", call.verb);
    }
    assert_eq!(market.account(buyer).await, (DEPOSIT, DEPOSIT));
    assert_eq!(listings(&market).await, 2, "the one of the bidding and the one of the retries");
    assert_eq!(log_length(&market, &session).await["bidCount"], 2);
    market.ledger_is_sound().await;
}

async fn copies_at_once(exchange: Exchange) {
    let market = Market::open(&exchange, 2).await;
    let [buyer, _] = &market.buyers[..] else { panic!() };
    let (listing, application) = nearly_two(&market).await;
    let record = Call::new(&market.staff.cashier, "recordBankReceipt", RECEIPT, receipt(&market, buyer));
    one_effect(&exchange, &record).await;
    assert_eq!(market.account(buyer).await, (DEPOSIT, Money::ZERO));
    let pay = Call::new(&buyer.person, "payDeposit", HELD, json!({ "transferApplicationId": application }));
    one_effect(&exchange, &pay).await;
    assert_eq!(market.account(buyer).await, (DEPOSIT, DEPOSIT));
    market.until_application(&application, "ELIGIBLE").await;
    let session = market.bidding(&listing).await;
    let before = log_length(&market, &session).await;
    let place = Call::new(&buyer.person, "placeBid", BID, bid(&session, buyer, FLOOR));
    one_effect(&exchange, &place).await;
    let after = log_length(&market, &session).await;
    assert_eq!((&after["bidCount"], after["seq"].as_i64()), (&json!(1), before["seq"].as_i64().map(|seq| seq + 1)));
    // Copies of a bid that is refused are refused alike, and leave the log alone.
    let again = Call::new(&buyer.person, "placeBid", BID, bid(&session, buyer, step(1)));
    let answers: BTreeSet<String> =
        join_all((0..COPIES).map(|_| again.refusal(&exchange.http, "ALREADY_LEADING"))).await.into_iter().collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(log_length(&market, &session).await, after);
    market.ledger_is_sound().await;
}

async fn one_effect(exchange: &Exchange, call: &Call<'_>) {
    // One token for all: refreshing it twice at once would end the session.
    call.person.token().await.unwrap();
    let answers: BTreeSet<String> =
        join_all((0..COPIES).map(|_| call.done(&exchange.http))).await.into_iter().collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

async fn refusals_are_kept(mut exchange: Exchange) {
    let market = Market::open(&exchange, 3).await;
    let http = exchange.http.clone();
    let [buyer, rival, unpaid] = &market.buyers[..] else { panic!() };
    let (listing, application) = nearly_two(&market).await;
    market.qualified(unpaid, &listing).await;
    let desk = buyer.hire(&market.stage, jishi::demo::timeline::SPECTATOR, &["SIGNATORY"]).await.unwrap();
    let mut kept: Vec<(Call<'_>, String)> = Vec::new();

    let pay = Call::new(&buyer.person, "payDeposit", HELD, json!({ "transferApplicationId": application }));
    let refusal = pay.refusal(&http, "INSUFFICIENT_FUNDS").await;
    market.staff.receive(&market.stage, buyer, DEPOSIT).await.unwrap();
    assert_eq!(pay.bytes(&http).await, refusal, "the money has come since");
    made(&buyer.person, "payDeposit", "deposit", json!({ "transferApplicationId": application })).await;
    kept.push((pay, refusal));
    market.until_application(&application, "ELIGIBLE").await;

    let session = market.bidding(&listing).await;
    let place = Call::new(&buyer.person, "placeBid", BID, bid(&session, buyer, FLOOR));
    kept.push((place.but("amount", FLOOR.to_string()), place.done(&http).await));
    let leading = Call::new(&buyer.person, "placeBid", BID, bid(&session, buyer, step(5)));
    let refusal = leading.refusal(&http, "ALREADY_LEADING").await;
    made(&rival.person, "placeBid", "bid", bid(&session, rival, step(1))).await;
    // The same amount would be accepted now, and under another key it is.
    assert_eq!(leading.bytes(&http).await, refusal);
    assert_eq!(log_length(&market, &session).await["bidCount"], 2);
    made(&buyer.person, "placeBid", "bid", bid(&session, buyer, step(5))).await;
    kept.push((leading, refusal));

    // Refusals that need no look at the lot are kept as well.
    let desk_bids = Call::new(&desk, "placeBid", BID, bid(&session, buyer, step(9)));
    let refusal = desk_bids.refusal(&http, "FORBIDDEN").await;
    kept.push((desk_bids, refusal));
    let unheld = Call::new(&unpaid.person, "placeBid", BID, bid(&session, unpaid, step(9)));
    let refusal = unheld.refusal(&http, "DEPOSIT_INSUFFICIENT").await;
    kept.push((unheld, refusal));

    // Roles change, the process is killed: what was answered stays answered.
    buyer.give(&desk, &["BIDDER"]).await.unwrap();
    let invited = market.university.invite(&unpaid.person.login, &["BROKER"]).await.unwrap();
    unpaid.person.accept(&invited).await.unwrap();
    buyer.give(&buyer.person, &["ADMINISTRATOR"]).await.unwrap();
    for (call, first) in &kept {
        assert_eq!(call.bytes(&http).await, *first, "{}({})", call.verb, call.input);
    }
    tokio::task::block_in_place(|| exchange.kill_and_restart("auction"));
    for (call, first) in &kept {
        assert_eq!(call.bytes(&http).await, *first, "{}({}) after the restart", call.verb, call.input);
    }
    assert_eq!(log_length(&market, &session).await["bidCount"], 3);
}
