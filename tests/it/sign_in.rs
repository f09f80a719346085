//! Getting in: guesses run out whatever way they come (check S3), a second factor, sessions, keys for tools.

use exchange_tests::{Exchange, Lane};
use futures::future::join_all;
use jishi::demo::{
    Fields,
    person::{Person, fresh_key},
    stage::Stage,
    timeline::{SPECTATOR, Silent, Who},
};
use serde_json::{Value, json};

use super::{
    market::{Market, door},
    sockets::{hear, introduced, say as send},
};

const RIGHT: &str = "correct horse battery";
const SIGN_IN: &str = "mutation S($input: SignInInput!) { signIn(input: $input) { session { accessToken } \
                       userErrors { code messageZh messageEn field rule accepted } } }";

lanes! { a_second_factor_sessions_and_keys }

/// One operation of somebody: a bearer's, or a stranger's from an address.
#[derive(Clone, Copy)]
pub enum Speaker<'a> {
    Bearer(&'a str),
    Stranger(&'a str),
}

pub async fn say(exchange: &Exchange, speaker: Speaker<'_>, query: &str, input: Value) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = json!({ "query": query, "variables": { "input": input } });
    let request = client.post(format!("{}/graphql", exchange.http)).json(&body);
    let request = match speaker {
        Speaker::Bearer(token) => request.bearer_auth(token),
        Speaker::Stranger(address) => request.header("X-Forwarded-For", address),
    };
    request.send().await.unwrap().json().await.unwrap()
}

/// The first refusal's code, a top-level error's, or nothing.
pub fn code(answer: &Value) -> &str {
    let refusal = answer.get("data").and_then(Value::as_object).and_then(|data| data.values().next());
    let refused = refusal.and_then(|payload| payload.pointer("/userErrors/0/code"));
    refused.or_else(|| answer.pointer("/errors/0/extensions/code")).and_then(Value::as_str).unwrap_or_default()
}

async fn guess(exchange: &Exchange, address: &str, login: &str, password: &str) -> Value {
    say(exchange, Speaker::Stranger(address), SIGN_IN, json!({ "login": login, "password": password })).await
}

fn count(answers: &[Value], wanted: &str) -> usize {
    answers.iter().filter(|answer| code(answer) == wanted).count()
}

/// How many sign-ins by password the exchange says that it evaluated and found wrong.
async fn evaluated(exchange: &Exchange) -> u64 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let text = client.get(format!("{}/metrics", exchange.metrics)).send().await.unwrap().text().await.unwrap();
    let wrong = |line: &&str| line.starts_with("sign_ins_total") && line.contains("BAD_CREDENTIALS");
    text.lines().filter(wrong).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_guesses_are_five() {
    let exchange = Exchange::start_with(Lane::Sqlite, &[("JISHI_TRUSTED_PROXIES", "127.0.0.1")]).await.unwrap();
    let stage = Stage::new(door(&exchange), &Silent).await.unwrap();
    let login = format!("victim-{}", fresh_key());
    let victim = Person::new(&stage.client, SPECTATOR, &login, RIGHT);
    victim.sign_up("受害人").await.unwrap();

    // 200 by aliases, 200 in batches, 100 over a socket: none is evaluated.
    let field = |n: usize| {
        format!(
            "g{n}: signIn(input: {{ login: \"{login}\", password: \"wrong guess {n}\" }}) {{ userErrors {{ code }} }}"
        )
    };
    for _ in 0..4 {
        let fields: Vec<String> = (0..50).map(field).collect();
        let aliased = format!("mutation {{ {} }}", fields.join(" "));
        let answer = say(&exchange, Speaker::Stranger("192.0.2.1"), &aliased, json!({})).await;
        assert_eq!((code(&answer), &answer["data"]), ("QUERY_TOO_COMPLEX", &Value::Null));
        let operation = |n| json!({ "query": format!("mutation {{ {} }}", field(n)) });
        let batch: Vec<Value> = (0..50).map(operation).collect();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let sent = client.post(format!("{}/graphql", exchange.http)).json(&batch).send().await.unwrap();
        assert_eq!(code(&sent.json().await.unwrap()), "INVALID_INPUT");
    }
    let mut socket = introduced(&exchange, json!({})).await;
    for n in 0..100 {
        let payload = json!({ "query": format!("mutation {{ {} }}", field(n)) });
        send(&mut socket, json!({ "type": "subscribe", "id": n.to_string(), "payload": payload })).await;
        loop {
            let told = hear(&mut socket).await;
            assert!(!told.to_string().contains("BAD_CREDENTIALS"), "{told}");
            if ["complete", "error"].contains(&told["type"].as_str().unwrap()) {
                break;
            }
        }
    }
    assert_eq!(evaluated(&exchange).await, 0);

    // 300 at one account in parallel, each from an address of its own.
    let addresses: Vec<String> = (0..300).map(|n| format!("198.51.{}.{}", 100 + n / 250, n % 250)).collect();
    let answers = join_all(addresses.iter().map(|address| guess(&exchange, address, &login, "wrong guess"))).await;
    assert_eq!((count(&answers, "BAD_CREDENTIALS"), count(&answers, "TOO_MANY_ATTEMPTS")), (5, 295));
    assert_eq!(evaluated(&exchange).await, 5);
    let right = guess(&exchange, "203.0.113.1", &login, RIGHT).await;
    assert_eq!(code(&right), "TOO_MANY_ATTEMPTS", "the right password as the next guess");

    // 200 from one address at 40 accounts that come round and round.
    let logins: Vec<String> = (0..200).map(|n| format!("somebody-{}", n % 40)).collect();
    let answers = join_all(logins.iter().map(|login| guess(&exchange, "203.0.113.2", login, "wrong guess"))).await;
    assert_eq!((count(&answers, "BAD_CREDENTIALS"), count(&answers, "TOO_MANY_ATTEMPTS")), (20, 180));
    assert_eq!(evaluated(&exchange).await, 25);

    stage.client.move_clock(stage.client.now().plus_seconds(15 * 60 + 1)).await.unwrap();
    assert_eq!(code(&guess(&exchange, "203.0.113.2", &login, RIGHT).await), "", "a quarter of an hour later");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_which_logins_there_are() {
    let exchange = Exchange::start_with(Lane::Sqlite, &[("JISHI_TRUSTED_PROXIES", "127.0.0.1")]).await.unwrap();
    let text = async |login: &str, guesses: usize| {
        let mut answers = Vec::new();
        for _ in 0..guesses {
            answers.push(guess(&exchange, "192.0.2.9", login, "wrong guess").await["data"].clone());
        }
        answers
    };
    // One has a second factor, one has none, one is unknown, one cannot be.
    let known = text("reviewer", 6).await;
    assert_eq!(known[0]["signIn"]["userErrors"][0]["code"], "BAD_CREDENTIALS");
    assert_eq!(known[5]["signIn"]["userErrors"][0]["code"], "TOO_MANY_ATTEMPTS");
    for login in ["broker", "nobody-at-all"] {
        assert_eq!(text(login, 6).await, known, "{login}");
    }
    assert_eq!(text("不可能", 3).await, known[..3]);
    // Only who has the password is asked for the code.
    let asked = guess(&exchange, "192.0.2.10", "cashier", "jishi-demo-2026").await;
    assert_eq!(code(&asked), "CODE_REQUIRED");
}

async fn a_second_factor_sessions_and_keys(exchange: Exchange) {
    let market = Market::open(&exchange, 1).await;
    let [buyer] = &market.buyers[..] else { panic!() };
    a_second_factor(&exchange, &market).await;
    sessions(&exchange, &market).await;
    keys(&exchange, &buyer.person, &buyer.id).await;
}

async fn a_second_factor(exchange: &Exchange, market: &Market) {
    let client = &market.stage.client;
    let who = Who { zh: "新人", en: "newcomer" };
    let newcomer = Person::new(client, who, format!("new-{}", fresh_key()), RIGHT);
    newcomer.sign_up("新人").await.unwrap();
    newcomer.refused("confirmSecondFactor", json!({ "code": "123456" }), "ILLEGAL_TRANSITION").await.unwrap();
    let plain = Person::new(client, who, newcomer.login.clone(), RIGHT);
    plain.sign_in().await.unwrap();
    newcomer.take_up(&["SIGNATORY"]).await.unwrap();
    let shown = async |person: &Person| {
        let read = person.glance("{ viewer { secondFactor } sessions { secondFactor current } }", json!({})).await;
        let read = read.unwrap();
        assert_eq!(read["viewer"]["secondFactor"], true);
        let sessions = read["sessions"].as_array().unwrap();
        sessions.iter().find(|session| session["current"] == true).unwrap()["secondFactor"].clone()
    };
    assert_eq!((shown(&newcomer).await, shown(&plain).await), (json!(true), json!(false)));
    let input = json!({ "login": newcomer.login, "password": RIGHT });
    plain.refused("signIn", input.clone(), "CODE_REQUIRED").await.unwrap();
    let wrong = json!({ "login": newcomer.login, "password": RIGHT, "code": "AAAAA-AAAAA" });
    plain.refused("signIn", wrong, "BAD_CREDENTIALS").await.unwrap();
    newcomer.sign_in().await.unwrap();
    assert_eq!(shown(&newcomer).await, true);
    // Without the second factor the reviewer is nobody special, and is told why.
    let token = market.staff.reviewer.token().await.unwrap();
    let read = say(exchange, Speaker::Bearer(&token), "{ sessions { secondFactor current } }", json!({})).await;
    assert!(read["data"]["sessions"].as_array().unwrap().iter().all(|session| session["secondFactor"] == true));
}

async fn sessions(exchange: &Exchange, market: &Market) {
    let client = &market.stage.client;
    let login = format!("new-{}", fresh_key());
    let [here, there] = [0, 1].map(|_| Person::new(client, SPECTATOR, login.clone(), RIGHT));
    here.sign_up("同一人").await.unwrap();
    here.sign_in().await.unwrap();
    there.sign_in().await.unwrap();
    let read = here.glance("{ sessions { id current } }", json!({})).await.unwrap();
    let other = read["sessions"].as_array().unwrap().iter().find(|session| session["current"] == false).unwrap();
    market.broker.refused("endSession", json!({ "sessionId": other["id"] }), "NOT_FOUND").await.unwrap();
    here.act("endSession", "done", json!({ "sessionId": other["id"] })).await.unwrap();
    assert!(!there.is_believed().await.unwrap() && here.is_believed().await.unwrap());

    there.sign_in().await.unwrap();
    let change = json!({ "password": RIGHT, "newPassword": "another horse battery" });
    here.refused(
        "changePassword",
        json!({ "password": "wrong", "newPassword": "another horse battery" }),
        "BAD_CREDENTIALS",
    )
    .await
    .unwrap();
    here.act("changePassword", "done", change).await.unwrap();
    assert!(!there.is_believed().await.unwrap() && here.is_believed().await.unwrap());
    assert_eq!(code(&guess(exchange, "", &login, RIGHT).await), "BAD_CREDENTIALS");
    assert_eq!(code(&guess(exchange, "", &login, "another horse battery").await), "");
}

async fn keys(exchange: &Exchange, buyer: &Person, organization: &str) {
    let expires_at = {
        let read = buyer.glance("{ serverTime }", json!({})).await.unwrap();
        read.instant_at("/serverTime").unwrap().plus_seconds(86_400).to_string()
    };
    let input = |roles: &[&str]| json!({ "name": "报价工具", "organizationId": organization, "roles": roles, "expiresAt": expires_at });
    buyer.refused("createApiKey", input(&["SIGNATORY"]), "FORBIDDEN").await.unwrap();
    buyer.refused("createApiKey", input(&["BROKER"]), "FORBIDDEN").await.unwrap();
    let made =
        buyer.act("createApiKey", "newApiKey { secret apiKey { id prefix } }", input(&["BIDDER"])).await.unwrap();
    let secret = made.text_at("/secret").unwrap();
    assert!(secret.starts_with(made.text_at("/apiKey/prefix").unwrap()));
    let viewer =
        async || say(exchange, Speaker::Bearer(secret), "{ viewer { id memberships { roles } } }", json!({})).await;
    assert_eq!(viewer().await["data"]["viewer"]["memberships"], json!([{ "roles": ["BIDDER"] }]));
    let out = "mutation S($input: SignOutInput!) { signOut(input: $input) { done userErrors { code } } }";
    let refused = say(exchange, Speaker::Bearer(secret), out, json!({ "everywhere": true })).await;
    assert_eq!(code(&refused), "FORBIDDEN");
    let read = buyer.glance("{ apiKeys { id prefix usedAt revokedAt } }", json!({})).await.unwrap();
    assert!(read["apiKeys"][0]["usedAt"].is_string() && !read.to_string().contains(secret));
    buyer.act("revokeApiKey", "apiKey { revokedAt }", json!({ "apiKeyId": made["apiKey"]["id"] })).await.unwrap();
    assert_eq!(code(&viewer().await), "UNAUTHENTICATED", "at once");
}
