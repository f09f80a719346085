//! Whatever an operator sets `log` to, nothing secret is written: everything is logged, people come and bid, and what they
//! kept to themselves is searched for in all output.

use std::fs;

use exchange_tests::{Exchange, LOGS, Lane};
use futures::{SinkExt, StreamExt};
use jishi::demo::person::fresh_key;
use serde_json::{Value, json};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

use super::market::{FLOOR, INCREMENT, Market, door};

/// What must stand in no log, each with what it is.
#[derive(Default)]
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn keep(&mut self, what: &'static str, secret: impl Into<String>) -> String {
        let secret = secret.into();
        self.0.push((what, secret.clone()));
        secret
    }
}

async fn nothing_secret_is_logged(lane: Lane) {
    let logs = tempfile::tempdir().unwrap();
    let mut secrets = Secrets::default();
    let peers = secrets.keep("the peers' secret", fresh_key());
    let environment = [
        ("JISHI_LOG", "trace"),
        ("JISHI_PEER_SECRET", peers.as_str()),
        ("RUST_BACKTRACE", "full"),
        (LOGS, logs.path().to_str().unwrap()),
    ];
    let Some(mut exchange) = Exchange::start_with(lane, &environment).await else { return };
    comes_and_goes(&exchange, &mut secrets).await;
    errs(&exchange, &mut secrets).await;
    let market = Market::open(&exchange, 2).await;
    entrusts(&exchange, &market, &mut secrets).await;
    bids(&market, &mut secrets).await;
    assert!(exchange.stop().iter().all(|code| *code == Some(0)));

    let files: Vec<_> = fs::read_dir(logs.path()).unwrap().map(|file| file.unwrap().path()).collect();
    for file in files {
        let told = fs::read_to_string(&file).unwrap();
        assert!(told.contains("stopped") && told.contains("DEBUG"), "{} holds no log", file.display());
        for (what, secret) in &secrets.0 {
            let line = told.lines().find(|line| line.contains(secret.as_str()));
            assert_eq!(line, None, "{what} stands in the log of {}", file.display());
        }
    }
}

/// Signs up, signs in with the wrong and the right password, carries the session on, listens.
async fn comes_and_goes(exchange: &Exchange, secrets: &mut Secrets) {
    let (login, name) = (format!("quiet-{}", fresh_key()), "守口如瓶");
    let password = secrets.keep("a password", fresh_key());
    let wrong = secrets.keep("a wrong password", fresh_key());
    let input = json!({ "login": login, "password": password, "name": name });
    mutate(exchange, "", "signUp", "person { id }", input).await;
    mutate(exchange, "", "signIn", "session { personId }", json!({ "login": login, "password": wrong })).await;
    let tokens = "session { accessToken refreshToken }";
    let session = mutate(exchange, "", "signIn", tokens, json!({ "login": login, "password": password })).await;
    secrets.keep("an access token", text(&session, "accessToken"));
    let refresh = secrets.keep("a refresh token", text(&session, "refreshToken"));
    let session = mutate(exchange, "", "refreshSession", tokens, json!({ "refreshToken": refresh })).await;
    let access = secrets.keep("a later access token", text(&session, "accessToken"));
    secrets.keep("a later refresh token", text(&session, "refreshToken"));
    let input = json!({ "password": password });
    let enrolment = mutate(exchange, &access, "enrolSecondFactor", "enrolment { secret }", input).await;
    secrets.keep("a second factor's secret", text(&enrolment, "secret"));
    // Six digits could be those of a time.
    let code = secrets.keep("a code", fresh_key());
    mutate(exchange, &access, "confirmSecondFactor", "secondFactor { recoveryCodes }", json!({ "code": code })).await;
    let input = json!({ "login": login, "password": password, "code": code });
    mutate(exchange, "", "signIn", "session { personId }", input).await;
    // Used twice, it ends the session.
    mutate(exchange, "", "refreshSession", tokens, json!({ "refreshToken": refresh })).await;
    ask(exchange, &access, json!({ "query": "{ viewer { id } }" })).await;
    let forged = secrets.keep("a forged token", format!("{access}{}", fresh_key()));
    ask(exchange, &forged, json!({ "query": "{ viewer { id } }" })).await;
    listens(exchange, &forged).await;
    listens(exchange, &access).await;
}

/// Says requests that are refused before they are understood, or because of what they say.
async fn errs(exchange: &Exchange, secrets: &mut Secrets) {
    let secret = secrets.keep("what was said wrongly", fresh_key());
    let sign_in = "mutation S($input: SignInInput!) { signIn(input: $input) { userErrors { code } } }";
    for input in [
        json!({ "login": "nobody", "password": [&secret] }),
        json!({ "login": "nobody", "passwort": &secret }),
        json!({ "login": { "password": &secret } }),
        json!(&secret),
    ] {
        ask(exchange, "", json!({ "query": sign_in, "variables": { "input": input } })).await;
    }
    for query in [
        format!("mutation {{ signIn(input: {{ login: \"nobody\", password: \"{secret}\" }}) {{ nothing }} }}"),
        format!("mutation {{ signIn(input: {{ login: \"nobody\", password: \"{secret} }}) {{"),
        format!("{{ {secret} }}"),
    ] {
        ask(exchange, "", json!({ "query": query })).await;
    }
    ask(exchange, "", json!({ "password": &secret })).await;
    ask(exchange, "", json!([&secret])).await;
}

/// Tells who one is, and takes a key for tools.
async fn entrusts(exchange: &Exchange, market: &Market, secrets: &mut Secrets) {
    let house = &market.buyers[1];
    for (what, field, told) in [
        ("a name", "legalName", "钟守密"),
        ("a phone number", "phone", "13900007391"),
        ("an ID number", "idNumber", "11010519491231002X"),
        ("a mail address", "email", "geheim@example.com"),
    ] {
        let input = json!({ field: secrets.keep(what, told) });
        house.person.act("updatePersonalData", "personalData { personId }", input).await.unwrap();
    }
    let expires_at = market.stage.client.now().plus_seconds(86_400).to_string();
    let input = json!({ "name": "报价工具", "organizationId": house.id, "roles": ["BIDDER"], "expiresAt": expires_at });
    let key = house.person.act("createApiKey", "newApiKey { secret }", input).await.unwrap();
    let key = secrets.keep("an API key", text(&key, "secret"));
    ask(exchange, &key, json!({ "query": "{ viewer { id } }" })).await;
}

/// Bids in a session, once well and once too little.
async fn bids(market: &Market, secrets: &mut Secrets) {
    let listing = market.disclosed(market.draft()).await;
    for buyer in &market.buyers {
        market.eligible(buyer, &listing).await;
        secrets.keep("a buyer's token", buyer.person.token().await.unwrap());
    }
    let session = market.bidding(&listing).await;
    // Amounts that no clock, count or id is likely to hold.
    for raise in [73_917 * INCREMENT.0, -1_377_739] {
        let cents = FLOOR.0 + raise;
        let amount = kernel::Money(cents).to_string();
        secrets.keep("a price", amount.clone());
        secrets.keep("a price in cents", cents.to_string());
        let input = json!({ "sessionId": session, "organizationId": market.buyers[0].id, "amount": amount });
        let bid = market.buyers[0].person.act("placeBid", "bid { seq }", input).await;
        assert_eq!(bid.is_ok(), raise > 0, "{bid:?}");
    }
}

/// One mutation; its object.
async fn mutate(exchange: &Exchange, token: &str, verb: &str, selection: &str, input: Value) -> Value {
    let kind = format!("{}{}Input", verb[..1].to_uppercase(), &verb[1..]);
    let query =
        format!("mutation M($input: {kind}!) {{ {verb}(input: $input) {{ {selection} userErrors {{ code }} }} }}");
    let answer = ask(exchange, token, json!({ "query": query, "variables": { "input": input } })).await;
    let object = selection.split(' ').next().unwrap();
    answer["data"][verb][object].clone()
}

async fn ask(exchange: &Exchange, token: &str, body: Value) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.post(format!("{}/graphql", exchange.http)).json(&body);
    if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    request.send().await.unwrap().json().await.unwrap()
}

/// Opens a socket with a token, and waits for what comes of it.
async fn listens(exchange: &Exchange, token: &str) {
    let mut request = door(exchange).ws.into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("graphql-transport-ws"));
    let (mut socket, _) = connect_async(request).await.unwrap();
    let init = json!({ "type": "connection_init", "payload": { "Authorization": format!("Bearer {token}") } });
    socket.send(Message::text(init.to_string())).await.unwrap();
    drop(socket.next().await);
}

fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_else(|| panic!("{field} in {object}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_logged_by_one_process() {
    nothing_secret_is_logged(Lane::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_logged_between_processes() {
    nothing_secret_is_logged(Lane::Networked).await;
}
