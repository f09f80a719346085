//! Sign-in by a provider's word, against a small provider of our own: the happy way, and everything that must not work.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use exchange_tests::{Exchange, Lane};
use jishi::demo::person::fresh_key;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

use super::{
    market::door,
    sign_in::{Speaker, code, say},
};

const START: &str = "mutation S($input: StartFederatedSignInInput!) { startFederatedSignIn(input: $input) { \
                     federatedSignIn { authorizationUrl state } userErrors { code } } }";
const FINISH: &str = "mutation F($input: FinishFederatedSignInInput!) { finishFederatedSignIn(input: $input) { \
                      session { accessToken personId secondFactor } userErrors { code } } }";
const SOMEBODY: Speaker<'_> = Speaker::Stranger("192.0.2.1");

type Fields = HashMap<String, String>;

/// The provider: what it granted under which code.
pub struct Campus {
    issuer: String,
    key: SigningKey,
    granted: Mutex<HashMap<String, Fields>>,
}

impl Campus {
    pub async fn open() -> Arc<Campus> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let campus = Arc::new(Campus { issuer, key: SigningKey::from_bytes(&[5; 32]), granted: Mutex::default() });
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(describe))
            .route("/jwks", get(keys))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .with_state(campus.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        campus
    }

    /// As an exchange is told of it.
    pub fn provider(&self) -> Value {
        provider("campus", &self.issuer)
    }
}

fn provider(name: &str, issuer: &str) -> Value {
    json!({
        "name": name, "issuer": issuer, "client_id": "jishi", "client_secret": "secret",
        "redirect_url": "https://jishi.example/signed-in",
    })
}

async fn describe(State(campus): State<Arc<Campus>>) -> Json<Value> {
    let at = |path: &str| format!("{}/{path}", campus.issuer);
    Json(json!({
        "issuer": campus.issuer, "authorization_endpoint": at("authorize"), "token_endpoint": at("token"),
        "jwks_uri": at("jwks"), "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA", "HS256", "none"],
    }))
}

async fn keys(State(campus): State<Arc<Campus>>) -> Json<Value> {
    let x = BASE64_URL_SAFE_NO_PAD.encode(campus.key.verifying_key().as_bytes());
    Json(json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "campus", "x": x }] }))
}

/// Whoever asks is the person that the test appended to the URL.
async fn authorize(State(campus): State<Arc<Campus>>, Query(asked): Query<Fields>) -> Redirect {
    assert_eq!((asked["response_type"].as_str(), asked["code_challenge_method"].as_str()), ("code", "S256"));
    assert!(asked["scope"].split(' ').any(|scope| scope == "openid"));
    let code = fresh_key();
    let back = format!("{}?code={code}&state={}", asked["redirect_uri"], asked["state"]);
    campus.granted.lock().unwrap().insert(code, asked);
    Redirect::to(&back)
}

async fn token(State(campus): State<Arc<Campus>>, Form(asked): Form<Fields>) -> Response {
    let granted = campus.granted.lock().unwrap().remove(&asked["code"]);
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&asked["code_verifier"]));
    let Some(granted) = granted.filter(|granted| {
        // Some providers do not check PKCE.
        granted["code_challenge"] == challenge || granted.contains_key("careless")
    }) else {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response();
    };
    let said = |name: &str, otherwise: &str| granted.get(name).cloned().unwrap_or_else(|| otherwise.to_owned());
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let late: i64 = said("late", "0").parse().unwrap();
    let mut claims = json!({
        "iss": said("iss", &campus.issuer), "aud": said("aud", "jishi"), "sub": granted["who"], "name": "李同学",
        "nonce": said("other_nonce", &granted["nonce"]), "iat": now - late, "exp": now + 300 - late,
    });
    if let Some(method) = granted.get("amr") {
        claims["amr"] = json!(["pwd", method]);
    }
    let header = json!({ "alg": said("alg", "EdDSA"), "kid": "campus" });
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&header), part(&claims));
    let signature = match granted.get("alg") {
        Some(_) => String::new(),
        None if granted.contains_key("forged") => BASE64_URL_SAFE_NO_PAD.encode([1; 64]),
        None => BASE64_URL_SAFE_NO_PAD.encode(campus.key.sign(message.as_bytes()).to_bytes()),
    };
    let id_token = format!("{message}.{signature}");
    Json(json!({ "access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": id_token }))
        .into_response()
}

async fn start(exchange: &Exchange, provider: &str) -> Value {
    say(exchange, SOMEBODY, START, json!({ "provider": provider })).await
}

/// Goes to the provider with `more` in the URL, as a browser that is somebody; the state and code of the way back.
async fn browse(started: &Value, more: &str) -> (String, String) {
    let attempt = &started["data"]["startFederatedSignIn"]["federatedSignIn"];
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let url = format!("{}&{more}", attempt["authorizationUrl"].as_str().unwrap());
    let response = client.get(url).send().await.unwrap();
    let back = response.headers()["location"].to_str().unwrap().to_owned();
    assert!(back.starts_with("https://jishi.example/signed-in?"), "{back}");
    let value = |name: &str| {
        let (_, rest) = back.split_once(&format!("{name}=")).unwrap();
        rest.split('&').next().unwrap().to_owned()
    };
    assert_eq!(value("state"), attempt["state"].as_str().unwrap());
    (value("state"), value("code"))
}

async fn finish(exchange: &Exchange, (state, code): (String, String)) -> Value {
    say(exchange, SOMEBODY, FINISH, json!({ "state": state, "code": code })).await
}

/// Enters by the campus's word; the session.
pub async fn enter(exchange: &Exchange, more: &str) -> Value {
    let started = start(exchange, "campus").await;
    let finished = finish(exchange, browse(&started, more).await).await;
    assert_eq!(code(&finished), "", "{finished}");
    finished["data"]["finishFederatedSignIn"]["session"].clone()
}

async fn exchange(campus: &Campus, silent: &TcpListener) -> Exchange {
    let silent = format!("http://{}", silent.local_addr().unwrap());
    let providers = json!([campus.provider(), provider("away", "http://127.0.0.1:1"), provider("silent", &silent)]);
    let more = [("JISHI_OIDC_PROVIDERS", providers.to_string()), ("NO_PROXY", "127.0.0.1".into())];
    let more = [(more[0].0, more[0].1.as_str()), (more[1].0, more[1].1.as_str()), ("JISHI_GUESSES_PER_ADDRESS", "100")];
    Exchange::start_with(Lane::Sqlite, &more).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campus_account_signs_in() {
    let (campus, silent) = (Campus::open().await, TcpListener::bind("127.0.0.1:0").await.unwrap());
    let exchange = exchange(&campus, &silent).await;
    let listed = say(&exchange, SOMEBODY, "{ signInProviders { name issuer } }", json!({})).await;
    assert_eq!(listed["data"]["signInProviders"][0], json!({ "name": "campus", "issuer": campus.issuer }));
    assert_eq!(code(&start(&exchange, "unknown").await), "NOT_FOUND");

    let first = enter(&exchange, "who=li").await;
    let token = first["accessToken"].as_str().unwrap();
    let viewer = say(&exchange, Speaker::Bearer(token), "{ viewer { id name login } }", json!({})).await;
    let viewer = &viewer["data"]["viewer"];
    assert_eq!((&viewer["id"], viewer["name"].as_str()), (&first["personId"], Some("李同学")));
    let login = viewer["login"].as_str().unwrap();
    assert!(login.starts_with("campus-") && !login.contains("li-"), "the login tells nothing: {login}");
    let again = enter(&exchange, "who=li&amr=mfa").await;
    assert_eq!(again["personId"], first["personId"]);
    assert_eq!((&first["secondFactor"], &again["secondFactor"]), (&json!(false), &json!(true)));
    assert_eq!(enter(&exchange, "who=li&amr=sms").await["secondFactor"], false);
    assert_ne!(enter(&exchange, "who=wang").await["personId"], first["personId"]);

    // Such a person has no password, so none is right.
    let sign_in =
        "mutation S($input: SignInInput!) { signIn(input: $input) { session { personId } userErrors { code } } }";
    for password in ["", "correct horse battery"] {
        let guess = say(&exchange, SOMEBODY, sign_in, json!({ "login": login, "password": password })).await;
        assert_eq!(code(&guess), "BAD_CREDENTIALS");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_did_not_say_is_not_believed() {
    let (campus, silent) = (Campus::open().await, TcpListener::bind("127.0.0.1:0").await.unwrap());
    let exchange = exchange(&campus, &silent).await;
    for twist in [
        "other_nonce=x",
        "aud=somebody-else",
        "iss=http%3A%2F%2Fevil.example",
        "late=3600",
        "forged=1",
        "alg=none",
        "alg=HS256",
    ] {
        let started = start(&exchange, "campus").await;
        let finished = finish(&exchange, browse(&started, &format!("who=li&{twist}")).await).await;
        assert_eq!(code(&finished), "BAD_CREDENTIALS", "{twist}: {finished}");
    }

    let started = start(&exchange, "campus").await;
    let (state, brought) = browse(&started, "who=li").await;
    assert_eq!(code(&finish(&exchange, (state.clone(), brought.clone())).await), "");
    let (_, fresh) = browse(&started, "who=li").await;
    assert_eq!(code(&finish(&exchange, (state, fresh)).await), "BAD_CREDENTIALS", "a state works once");
    assert_eq!(code(&finish(&exchange, ("made-up".into(), brought)).await), "BAD_CREDENTIALS");
    // A code of another attempt: PKCE stops it at the provider, the nonce stops it here.
    for more in ["who=li", "who=li&careless=1"] {
        let (one, other) = (start(&exchange, "campus").await, start(&exchange, "campus").await);
        let ((state, _), (_, foreign)) = (browse(&one, more).await, browse(&other, more).await);
        assert_eq!(code(&finish(&exchange, (state, foreign)).await), "BAD_CREDENTIALS", "{more}");
    }
    let started = start(&exchange, "campus").await;
    let brought = browse(&started, "who=li").await;
    let stage = jishi::demo::stage::Stage::new(door(&exchange), &jishi::demo::timeline::Silent).await.unwrap();
    stage.client.move_clock(stage.client.now().plus_seconds(601)).await.unwrap();
    assert_eq!(code(&finish(&exchange, brought).await), "BAD_CREDENTIALS", "after ten minutes");

    for away in ["away", "silent"] {
        let began = Instant::now();
        assert_eq!(code(&start(&exchange, away).await), "UNAVAILABLE", "{away}");
        assert!(began.elapsed() < Duration::from_secs(10), "{away}: {:?}", began.elapsed());
    }
}
