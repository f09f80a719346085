//! Hostile tokens (check S4), made with the exchange's own signing key where that makes them worse; a key that is
//! replaced while people work; a refresh token used twice.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer, SigningKey, pkcs8::DecodePrivateKey};
use exchange_tests::{Exchange, Lane};
use futures::future::join_all;
use jishi::demo::{
    Fields,
    person::{Person, fresh_key},
    stage::Stage,
    timeline::{SPECTATOR, Silent, Who},
};
use kernel::{Db, MasterKey};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use super::{
    market::door,
    sign_in::{Speaker, code, say},
};

const MASTER: [u8; 32] = [7; 32];

lanes! { a_key_is_replaced_while_people_work a_stolen_refresh_token_ends_the_session }

fn part(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

fn signed(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let signature = key.sign(message.as_bytes()).to_bytes();
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn read(token: &str) -> (Value, Value) {
    let part = |n: usize| {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(n).unwrap()).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    (part(0), part(1))
}

/// The private half of a key: what an insider with the database and the master key has.
async fn stolen(exchange: &Exchange, kid: &str) -> SigningKey {
    let db = Db::connect(&exchange.database_url).await.unwrap();
    let sql = Statement::from_string(db.backend(), format!("SELECT pkcs8 FROM signing_key WHERE kid = '{kid}'"));
    let wrapped: Vec<u8> = db.read().query_one_raw(sql).await.unwrap().unwrap().try_get("", "pkcs8").unwrap();
    let vault = MasterKey::new(&MASTER).open(&db).await.unwrap();
    db.close().await.unwrap();
    SigningKey::from_pkcs8_der(&vault.unwrap(kid, &wrapped).unwrap()).unwrap()
}

async fn believed(exchange: &Exchange, token: &str) -> bool {
    let answer = say(exchange, Speaker::Bearer(token), "{ viewer { id } }", json!({})).await;
    assert!(["", "UNAUTHENTICATED"].contains(&code(&answer)), "{answer}");
    answer["data"]["viewer"]["id"].is_string()
}

async fn jwks(exchange: &Exchange) -> Vec<Value> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client.get(format!("{}/.well-known/jwks.json", exchange.http)).send().await.unwrap();
    response.json::<Value>().await.unwrap()["keys"].as_array().unwrap().clone()
}

async fn somebody(stage: &Stage<'_>) -> Person {
    let person = Person::new(&stage.client, SPECTATOR, format!("somebody-{}", fresh_key()), "correct horse battery");
    person.sign_up("某人").await.unwrap();
    person.sign_in().await.unwrap();
    person
}

fn changed(value: &Value, name: &str, to: Value) -> Value {
    let mut changed = value.clone();
    changed[name] = to;
    changed
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one table of tokens, each with what is wrong with it")]
async fn hostile_tokens_are_refused() {
    let master = BASE64_STANDARD.encode(MASTER);
    let exchange = Exchange::start_with(Lane::Sqlite, &[("JISHI_MASTER_KEY", &master)]).await.unwrap();
    let stage = Stage::new(door(&exchange), &Silent).await.unwrap();
    let person = somebody(&stage).await;
    let token = person.token().await.unwrap();
    let (header, claims) = read(&token);
    let kid = header["kid"].as_str().unwrap();
    let key = stolen(&exchange, kid).await;
    let forge = |header: &Value, claims: &Value| signed(&key, header, claims);
    assert!(believed(&exchange, &forge(&header, &claims)).await, "only what follows makes them bad");

    let seconds = claims["nbf"].as_i64().unwrap();
    let public = jwks(&exchange).await[0].clone();
    assert_eq!((public["kid"].as_str(), public["x"].as_str().unwrap().len()), (Some(kid), 43));
    let mut hostile = Vec::new();
    for (name, to) in [
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("RS256")),
        ("typ", json!("JWT")),
        ("typ", Value::Null),
        ("kid", json!("another")),
        ("kid", json!("' OR '1'='1")),
        ("kid", Value::Null),
        ("crit", json!(["exp"])),
    ] {
        hostile.push((format!("{name} {to}"), forge(&changed(&header, name, to), &claims)));
    }
    for (name, to) in [
        ("iss", json!("elsewhere")),
        ("aud", json!("elsewhere")),
        ("aud", Value::Null),
        ("sub", json!("exchange")),
        ("sid", json!("session_00000000000000000000000000")),
        ("exp", json!((seconds + 600).to_string())),
        ("exp", json!(seconds - 6)),
        ("exp", Value::Null),
        ("nbf", json!(seconds + 60)),
        ("nbf", Value::Null),
    ] {
        hostile.push((format!("{name} {to}"), forge(&header, &changed(&claims, name, to))));
    }
    let unsigned = format!("{}.{}.", part(&changed(&header, "alg", json!("none"))), part(&claims));
    hostile.push(("none, unsigned".into(), unsigned));
    let mut hs = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    (hs.typ, hs.kid) = (Some("at+jwt".into()), Some(kid.into()));
    for secret in [key.verifying_key().as_bytes().to_vec(), public["x"].as_str().unwrap().as_bytes().to_vec()] {
        let secret = jsonwebtoken::EncodingKey::from_secret(&secret);
        hostile.push(("HS256 with the public key".into(), jsonwebtoken::encode(&hs, &claims, &secret).unwrap()));
    }
    // A key of the attacker's, which the token brings along or points to.
    let own = SigningKey::from_bytes(&[9; 32]);
    let x = BASE64_URL_SAFE_NO_PAD.encode(own.verifying_key().as_bytes());
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
    for (name, to) in
        [("jku", json!("http://127.0.0.1:1/jwks.json")), ("jwk", jwk), ("x5u", json!("http://127.0.0.1:1/"))]
    {
        hostile.push((name.into(), signed(&own, &changed(&header, name, to), &claims)));
    }
    for (what, token) in &hostile {
        assert!(!believed(&exchange, token).await, "{what}");
    }

    // Five seconds after its end at the latest it is over: not a minute, not an hour.
    let end = claims["exp"].as_i64().unwrap();
    stage.client.move_clock(kernel::Instant((end + 6) * 1_000)).await.unwrap();
    assert!(!believed(&exchange, &token).await);

    // A key that was replaced and whose last token has ended signs nothing any more.
    let centre = Person::seeded(&stage.client, Who { zh: "管理员", en: "administrator" }, "centre");
    centre.act("rotateSigningKey", "signingKey { kid }", json!({ "reason": "演练 drill" })).await.unwrap();
    person.refresh_login().await.unwrap();
    let (new_header, new_claims) = read(&person.token().await.unwrap());
    assert_ne!(new_header["kid"], header["kid"]);
    assert!(believed(&exchange, &forge(&header, &new_claims)).await, "until then it verifies");
    stage.client.move_clock(stage.client.now().plus_seconds(620)).await.unwrap();
    person.refresh_login().await.unwrap();
    let (_, new_claims) = read(&person.token().await.unwrap());
    assert!(!believed(&exchange, &forge(&header, &new_claims)).await, "rotated out");
    assert_eq!(jwks(&exchange).await.len(), 1);
}

async fn a_key_is_replaced_while_people_work(exchange: Exchange) {
    let stage = Stage::new(door(&exchange), &Silent).await.unwrap();
    let centre = Person::seeded(&stage.client, Who { zh: "管理员", en: "administrator" }, "centre");
    centre.sign_in().await.unwrap();
    let people = join_all((0..4).map(|_| somebody(&stage))).await;
    let (done, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    let work = people.iter().map(async |person| {
        while !done.load(Relaxed) {
            person.glance("{ viewer { id } }", json!({})).await.expect("a valid call does not fail");
            person.refresh_login().await.expect("nor does a refresh");
            calls.fetch_add(1, Relaxed);
        }
    });
    let rotate = async {
        let mut kids = Vec::new();
        for _ in 0..3 {
            let before = calls.load(Relaxed);
            let made = centre.act("rotateSigningKey", "signingKey { kid }", json!({ "reason": "演练" })).await.unwrap();
            kids.push(made.text_at("/kid").unwrap().to_owned());
            while calls.load(Relaxed) < before + 20 {
                tokio::task::yield_now().await;
            }
        }
        done.store(true, Relaxed);
        kids
    };
    let (kids, _) = tokio::join!(rotate, join_all(work));
    let (header, _) = read(&people[0].token().await.unwrap());
    assert_eq!(header["kid"], kids[2].as_str(), "the newest signs");
    let read = people[0].glance("{ signingKeys { kid retiresAt } }", json!({})).await.unwrap();
    let listed = read["signingKeys"].as_array().unwrap();
    assert_eq!(listed[0]["kid"], kids[2].as_str());
    assert!(listed[0]["retiresAt"].is_null() && listed[1..].iter().all(|key| key["retiresAt"].is_string()));
    let published = jwks(&exchange).await;
    assert_eq!(published.len(), listed.len());
    let refused = people[0].refused("rotateSigningKey", json!({ "reason": "演练" }), "FORBIDDEN").await;
    refused.unwrap();
}

async fn a_stolen_refresh_token_ends_the_session(exchange: Exchange) {
    let stage = Stage::new(door(&exchange), &Silent).await.unwrap();
    let login = format!("victim-{}", fresh_key());
    let victim = Person::new(&stage.client, SPECTATOR, &login, "correct horse battery");
    victim.sign_up("受害人").await.unwrap();
    let sign_in = "mutation S($input: SignInInput!) { signIn(input: $input) { session { accessToken refreshToken } userErrors { code } } }";
    let refresh = "mutation R($input: RefreshSessionInput!) { refreshSession(input: $input) { session { accessToken refreshToken } userErrors { code } } }";
    let input = json!({ "login": login, "password": "correct horse battery" });
    let first = say(&exchange, Speaker::Stranger("192.0.2.1"), sign_in, input).await;
    let renew = async |answer: &Value, verb: &str| {
        let token = answer["data"][verb]["session"]["refreshToken"].clone();
        say(&exchange, Speaker::Stranger("192.0.2.1"), refresh, json!({ "refreshToken": token })).await
    };
    let second = renew(&first, "signIn").await;
    assert_eq!(code(&second), "");
    assert_eq!(code(&renew(&first, "signIn").await), "SESSION_ENDED", "used twice");
    assert_eq!(code(&renew(&second, "refreshSession").await), "SESSION_ENDED", "the whole family");
    let access = [&first["data"]["signIn"], &second["data"]["refreshSession"]]
        .map(|payload| payload["session"]["accessToken"].as_str().unwrap().to_owned());
    // A gateway may remember for two seconds whom it saw.
    let dead =
        async || Ok((!believed(&exchange, &access[0]).await && !believed(&exchange, &access[1]).await).then_some(()));
    let began = std::time::Instant::now();
    stage.until("the end of the session", dead).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
}
