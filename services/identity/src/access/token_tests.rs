//! Hostile tokens (check S4).

use ed25519_dalek::{SigningKey, pkcs8::EncodePrivateKey};
use serde_json::{Value, json};

use super::*;

const NOW: Instant = Instant(1_790_000_000_500);

fn keys() -> (SigningKey, Signer, DecodingKey) {
    let private = SigningKey::from_bytes(&random().unwrap());
    let key = EncodingKey::from_ed_der(private.to_pkcs8_der().unwrap().as_bytes());
    let public = DecodingKey::from_ed_der(private.verifying_key().as_bytes());
    (private, Signer::new("kid-1", key), public)
}

fn header() -> Value {
    json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "kid-1" })
}

fn claims() -> Value {
    let (person, session) = (PersonId::fresh().text(), SessionId::fresh().text());
    let now = NOW.0 / 1_000;
    json!({ "iss": "jishi", "aud": "jishi", "sub": person, "sid": session, "iat": now, "nbf": now, "exp": now + 600 })
}

fn sign(private: &SigningKey, header: &Value, claims: &Value) -> String {
    use ed25519_dalek::Signer as _;
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = private.sign(message.as_bytes()).to_bytes();
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn accepts(token: &str, public: &DecodingKey, now: Instant) -> bool {
    named_key(token).is_some_and(|kid| kid == "kid-1") && read(token, public, now).is_some()
}

#[test]
fn a_token_names_its_bearer_for_ten_minutes() {
    let (_, signer, public) = keys();
    let (person, session) = (PersonId::fresh(), SessionId::fresh());
    let (token, expires_at) = signer.issue(person, session, NOW).unwrap();
    assert_eq!(expires_at, Instant(1_790_000_600_000));
    assert_eq!(named_key(&token).unwrap(), "kid-1");
    assert_eq!(read(&token, &public, NOW), Some(Bearer { person, session, expires_at }));
    assert!(accepts(&token, &public, expires_at.plus_seconds(5)));
    assert!(!accepts(&token, &public, expires_at.plus_millis(5_001)));
    assert!(accepts(&token, &public, Instant(1_789_999_995_000)));
    assert!(!accepts(&token, &public, Instant(1_789_999_994_999)), "not yet");
}

#[test]
fn forged_headers_are_refused() {
    let (private, _, public) = keys();
    assert!(accepts(&sign(&private, &header(), &claims()), &public, NOW));
    for (name, value) in [
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("ES256")),
        ("alg", Value::Null),
        ("typ", json!("JWT")),
        ("typ", Value::Null),
        ("kid", json!("kid-2")),
        ("kid", json!("../../dev/null")),
        ("kid", json!("kid-1\0")),
        ("kid", Value::Null),
        ("crit", json!(["b64"])),
    ] {
        let mut forged = header();
        forged[name] = value.clone();
        assert!(!accepts(&sign(&private, &forged, &claims()), &public, NOW), "{name}: {value}");
    }
}

#[test]
fn forged_claims_are_refused() {
    let (private, _, public) = keys();
    let now = NOW.0 / 1_000;
    for (name, value) in [
        ("iss", json!("other")),
        ("iss", json!(["jishi", "other"])),
        ("aud", json!("other")),
        ("aud", json!(["other", "jishi"])),
        ("sub", json!(SessionId::fresh().text())),
        ("sub", json!("exchange")),
        ("sid", json!(PersonId::fresh().text())),
        ("exp", json!((now + 600).to_string())),
        ("exp", json!(now - 6)),
        ("exp", json!(-1)),
        ("nbf", json!(now + 6)),
        ("nbf", json!(i64::MAX)),
    ] {
        let mut forged = claims();
        forged[name] = value.clone();
        assert!(!accepts(&sign(&private, &header(), &forged), &public, NOW), "{name}: {value}");
    }
    for name in ["iss", "aud", "sub", "sid", "nbf", "exp"] {
        let mut forged = claims();
        forged.as_object_mut().unwrap().remove(name);
        assert!(!accepts(&sign(&private, &header(), &forged), &public, NOW), "without {name}");
    }
}

#[test]
fn forged_signatures_are_refused() {
    let (private, _, public) = keys();
    let (other, ..) = keys();
    let good = sign(&private, &header(), &claims());
    assert!(!accepts(&sign(&other, &header(), &claims()), &public, NOW), "another key under our kid");
    let hmac = EncodingKey::from_secret(private.verifying_key().as_bytes());
    let mut hs = Header::new(Algorithm::HS256);
    (hs.typ, hs.kid) = (Some(TYPE.into()), Some("kid-1".into()));
    assert!(!accepts(&jsonwebtoken::encode(&hs, &claims(), &hmac).unwrap(), &public, NOW), "HS256 with the public key");
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (head, _) = message.split_once('.').unwrap();
    let swapped = BASE64_URL_SAFE_NO_PAD.encode(claims().to_string());
    for bad in [
        format!("{message}."),
        message.into(),
        format!("{head}.{swapped}.{signature}"),
        format!("{good}.x"),
        "..".into(),
    ] {
        assert!(!accepts(&bad, &public, NOW), "{bad}");
    }
    let none = BASE64_URL_SAFE_NO_PAD.encode(json!({ "alg": "none", "typ": "at+jwt", "kid": "kid-1" }).to_string());
    let bare = message.split_once('.').unwrap().1;
    assert!(!accepts(&format!("{none}.{bare}."), &public, NOW));
    assert!(!accepts(&"x".repeat(1_000_000), &public, NOW));
}
