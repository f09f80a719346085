//! A second factor, a changed password, keys for tools, keys that sign.

use super::*;

#[tokio::test]
async fn a_second_factor_is_asked_once_it_was_shown_and_each_code_works_once() {
    let x = exchange().await;
    x.sign_up("zhang").await;
    let actor = x.person("zhang").await;
    assert!(!actor.second_factor);
    assert_eq!(x.confirm(&actor, "123456".into()).await.unwrap_err(), ErrorCode::IllegalTransition);
    assert_eq!(x.enrol(&actor, WRONG).await.unwrap_err(), ErrorCode::BadCredentials);
    let replaced = x.enrol(&actor, PASSWORD).await.unwrap();
    let own = x.enrol(&actor, PASSWORD).await.unwrap();
    assert!(x.sign_in("zhang", PASSWORD).await.is_ok(), "not confirmed yet");
    assert_eq!(x.confirm(&actor, replaced.code(x.now())).await.unwrap_err(), ErrorCode::BadCredentials);
    let codes = x.confirm(&actor, own.code(x.now())).await.unwrap();
    assert!(codes.len() == 10 && codes.iter().all(|code| code.len() == 11));
    let session = x.bearer(&x.sign_in_with(&own, "zhang", 1).await.unwrap().access_token).await.unwrap();
    assert!(session.second_factor);
    assert_eq!(x.enrol(&session, PASSWORD).await.unwrap_err(), ErrorCode::IllegalTransition);

    // To the beginning of a step of 30 seconds, so that none passes while codes are tried.
    x.pass(150 - x.now().0 / 1_000 % 30);
    assert_eq!(x.sign_in("zhang", PASSWORD).await.unwrap_err(), ErrorCode::CodeRequired);
    assert_eq!(x.sign_in("zhang", WRONG).await.unwrap_err(), ErrorCode::BadCredentials);
    assert!(x.sign_in_with(&own, "zhang", 0).await.is_ok());
    for late in [0, -1, 2, -2] {
        assert_eq!(x.sign_in_with(&own, "zhang", late).await.unwrap_err(), ErrorCode::BadCredentials, "{late}");
    }
    assert!(x.sign_in_with(&own, "zhang", 1).await.is_ok());

    let spell = |code: &String| code.to_lowercase().replace('-', " ");
    assert!(x.sign_in_from("", ["zhang", PASSWORD], Some(spell(&codes[0]))).await.is_ok());
    let again = x.sign_in_from("", ["zhang", PASSWORD], Some(codes[0].clone())).await;
    assert_eq!(again.unwrap_err(), ErrorCode::BadCredentials);
    let raced = join_all((0..3).map(|_| x.sign_in_from("", ["zhang", PASSWORD], Some(codes[1].clone())))).await;
    assert_eq!(raced.iter().filter(|outcome| outcome.is_ok()).count(), 1);

    assert_eq!(x.remove(&session, WRONG, codes[2].clone()).await.unwrap_err(), ErrorCode::BadCredentials);
    assert_eq!(x.remove(&session, PASSWORD, codes[2].clone()).await, Ok(true));
    assert!(!x.bearer(&x.sign_in("zhang", PASSWORD).await.unwrap().access_token).await.unwrap().second_factor);
}

impl Exchange {
    async fn sign_in_with(&self, own: &Authenticator, login: &str, late: i64) -> Result<v1::Session, ErrorCode> {
        let code = own.code(self.now().plus_millis(late * STEP_MILLIS));
        self.sign_in_from("", [login, PASSWORD], Some(code)).await
    }
}

#[tokio::test]
async fn guesses_at_codes_count_with_those_at_passwords() {
    let x = exchange().await;
    x.sign_up("zhang").await;
    let actor = x.person("zhang").await;
    let own = x.enrol(&actor, PASSWORD).await.unwrap();
    x.confirm(&actor, own.code(x.now())).await.unwrap();
    x.pass(60);
    let wrong = |n: usize| Some(format!("{n:06}"));
    // Enrolling again shows the password only: it must not make room for guesses at the code.
    for n in 0..3 {
        let guess = x.sign_in_from("", ["zhang", PASSWORD], wrong(n)).await;
        assert_eq!(guess.unwrap_err(), ErrorCode::BadCredentials);
        assert_eq!(x.enrol(&actor, PASSWORD).await.unwrap_err(), ErrorCode::IllegalTransition);
    }
    assert_eq!(x.sign_in("zhang", PASSWORD).await.unwrap_err(), ErrorCode::CodeRequired);
    assert_eq!(x.remove(&actor, PASSWORD, "000007".into()).await.unwrap_err(), ErrorCode::BadCredentials);
    assert_eq!(x.sign_in_with(&own, "zhang", 0).await.unwrap_err(), ErrorCode::TooManyAttempts);
    assert_eq!(x.remove(&actor, PASSWORD, own.code(x.now())).await.unwrap_err(), ErrorCode::TooManyAttempts);
    assert_eq!(x.enrol(&actor, PASSWORD).await.unwrap_err(), ErrorCode::TooManyAttempts);
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions() {
    let x = exchange().await;
    x.sign_up("zhang").await;
    let (thief, own) = (x.sign_in("zhang", PASSWORD).await.unwrap(), x.sign_in("zhang", PASSWORD).await.unwrap());
    let actor = x.actor(&own).await.unwrap();
    let change = async |password: &str, new_password: &str| {
        let input = v1::ChangePasswordInput { password: password.into(), new_password: new_password.into() };
        let reply = x.identity.change_password(acting(&actor, input)).await.unwrap().into_inner();
        reply.done.ok_or_else(|| code(&reply.user_errors))
    };
    assert_eq!(change(WRONG, "another password").await.unwrap_err(), ErrorCode::BadCredentials);
    assert_eq!(change(PASSWORD, "short").await.unwrap_err(), ErrorCode::WeakPassword);
    assert_eq!(change(PASSWORD, "another password").await, Ok(true));
    assert!(x.actor(&thief).await.is_none() && x.actor(&own).await.is_some());
    assert_eq!(x.sign_in("zhang", PASSWORD).await.unwrap_err(), ErrorCode::BadCredentials);
    assert!(x.sign_in("zhang", "another password").await.is_ok());
}

#[tokio::test]
async fn a_key_for_tools_acts_in_its_roles_until_it_ends() {
    let x = peopled().await;
    let broker = x.person("broker").await;
    let organization = broker.memberships[0].organization_id.clone();
    assert_eq!(x.create_key(&broker, &[Role::Signatory], 30).await.unwrap_err(), ErrorCode::Forbidden);
    assert_eq!(x.create_key(&broker, &[Role::Administrator], 30).await.unwrap_err(), ErrorCode::Forbidden);
    assert_eq!(x.create_key(&broker, &[Role::Investor], 30).await.unwrap_err(), ErrorCode::Forbidden, "not held");
    assert_eq!(x.create_key(&broker, &[Role::Bidder], 367).await.unwrap_err(), ErrorCode::PeriodOutOfRange);
    let made = x.create_key(&broker, &[Role::Bidder], 30).await.unwrap();
    assert!(made.secret.starts_with("jishi_") && made.secret.len() == 49);
    let key = made.api_key.unwrap();
    assert!(made.secret.starts_with(&key.prefix) && key.prefix.len() == 12);

    let tool = x.bearer(&made.secret).await.unwrap();
    assert_eq!(tool.person_id, broker.person_id);
    assert!(tool.require_role(&organization, &[Role::Bidder], "organizationId").is_ok() && !tool.second_factor);
    assert!(tool.require_role(&organization, &[Role::Broker, Role::Signatory], "organizationId").is_err());
    for forged in ["jishi_", &made.secret[..48], &format!("{}A", made.secret), "jishi_\0"] {
        assert!(x.bearer(forged).await.is_none(), "{forged:?}");
    }
    let refused = x.identity.sign_out(acting(&tool, v1::SignOutInput { everywhere: true })).await.unwrap().into_inner();
    assert_eq!(code(&refused.user_errors), ErrorCode::Forbidden);
    assert_eq!(x.enrol(&tool, PASSWORD).await.unwrap_err(), ErrorCode::Forbidden);
    assert_eq!(x.create_key(&tool, &[Role::Bidder], 1).await.unwrap_err(), ErrorCode::Forbidden);
    assert!(x.identity.list_sessions(acting(&tool, v1::Nothing {})).await.is_err());

    let list = async || x.identity.list_api_keys(acting(&broker, v1::Nothing {})).await.unwrap().into_inner().items;
    let used_at = list().await[0].used_at.unwrap();
    x.pass(30);
    x.bearer(&made.secret).await.unwrap();
    assert_eq!(list().await[0].used_at, Some(used_at), "noted once a minute");
    x.pass(31);
    x.bearer(&made.secret).await.unwrap();
    assert!(list().await[0].used_at > Some(used_at));
    let later = x.create_key(&broker, &[Role::Broker, Role::Bidder], 1).await.unwrap();
    x.pass(86_401);
    assert!(x.bearer(&later.secret).await.is_none(), "expired");
    x.sign_up("wang").await;
    let revoke = v1::RevokeApiKeyInput { api_key_id: key.id };
    let foreign =
        x.identity.revoke_api_key(acting(&x.person("wang").await, revoke.clone())).await.unwrap().into_inner();
    assert_eq!(code(&foreign.user_errors), ErrorCode::NotFound);
    x.identity.revoke_api_key(acting(&broker, revoke)).await.unwrap();
    assert!(x.bearer(&made.secret).await.is_none(), "revoked");
}

#[tokio::test]
async fn a_new_key_signs_and_the_former_verifies_until_its_last_token_ends() {
    let x = peopled().await;
    let own = Authenticator::development("chief");
    let before = x.sign_in_with(&own, "chief", 0).await.unwrap();
    let chief = x.actor(&before).await.unwrap();
    let rotate = async |actor: &Actor| {
        let input = v1::RotateSigningKeyInput { reason: "演练".into() };
        let reply = x.identity.rotate_signing_key(acting(actor, input)).await.unwrap().into_inner();
        reply.signing_key.ok_or_else(|| code(&reply.user_errors))
    };
    let keys = async || x.identity.list_signing_keys(Request::new(v1::Nothing {})).await.unwrap().into_inner().items;
    let first = keys().await;
    assert!(first.len() == 1 && first[0].retires_at.is_none());
    let weak = Actor { second_factor: false, ..chief.clone() };
    assert_eq!(rotate(&weak).await.unwrap_err(), ErrorCode::SecondFactorRequired);
    assert_eq!(rotate(&x.person("broker").await).await.unwrap_err(), ErrorCode::Forbidden);
    // Another process, which has read the table and does not know of what follows.
    let elsewhere = Identities::new(x.identity.cx.clone(), crate::nobody(), Entrance::default());
    elsewhere.keys.jwks().await.unwrap();
    let second = rotate(&chief).await.unwrap();
    assert!(second.kid != first[0].kid && second.retires_at.is_none());
    let after = x.sign_in_with(&own, "chief", 1).await.unwrap();
    for session in [&before, &after] {
        assert!(x.actor(session).await.is_some());
        let asked = v1::AuthenticateRequest { access_token: session.access_token.clone() };
        assert!(elsewhere.authenticate(Request::new(asked)).await.is_ok(), "an unknown key is looked up");
    }
    let listed = keys().await;
    assert_eq!(listed.iter().map(|key| key.kid.as_str()).collect::<Vec<_>>(), [&second.kid, &first[0].kid]);
    let retires_at = listed[1].retires_at.unwrap();
    assert!(retires_at >= before.access_expires_at.unwrap().plus_seconds(5));
    let jwks: serde_json::Value = serde_json::from_str(&x.identity.keys.jwks().await.unwrap()).unwrap();
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 2);
    assert_eq!(jwks["keys"][0]["kid"], second.kid.as_str());
    x.pass(616);
    assert_eq!(keys().await.len(), 1);
    assert!(x.actor(&before).await.is_none());
    x.pass(31 * 86_400);
    x.sign_in("broker", PASSWORD).await.unwrap();
    let aged = keys().await;
    assert!(aged.len() == 2 && aged[1].kid == second.kid, "replaced by age");
}

#[tokio::test]
async fn many_unknown_keys_read_the_table_at_a_bounded_rate() {
    let x = exchange().await;
    x.sign_up("zhang").await;
    let session = x.sign_in("zhang", PASSWORD).await.unwrap();
    let [_, claims, signature] = session.access_token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let forged = |n: usize| {
        use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
        let header = format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"unknown-{n}"}}"#);
        format!("{}.{claims}.{signature}", BASE64_URL_SAFE_NO_PAD.encode(header))
    };
    let began = std::time::Instant::now();
    for answers in [0, 1].map(|round| (0..100).map(move |n| round * 100 + n)) {
        let tokens: Vec<String> = answers.map(forged).collect();
        let asked = join_all(tokens.iter().map(|token| x.bearer(token))).await;
        assert!(asked.iter().all(Option::is_none));
    }
    assert!(began.elapsed().as_secs() < 10, "they wait for one reading together");
    assert!(x.actor(&session).await.is_some());
}
