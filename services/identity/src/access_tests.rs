//! Stories of getting in, on a temporary SQLite file, through the wire's trait.

use std::sync::Arc;

use futures::future::join_all;
use kernel::{Actor, Clock, Context, Db, ErrorCode, Instant, Refusal, Role, calendar::Calendar, rules::Rulebook};
use prost::Message;
use tonic::Request;
use wire::v1::{self, OrganizationKind, access_server::Access, identity_server::Identity};

use crate::{Authenticator, Entrance, Identities, STEP_MILLIS, SeedOrganization, SeedPerson, seed};

const PASSWORD: &str = "correct horse battery";
const WRONG: &str = "wrong horse battery";

struct Exchange {
    identity: Identities,
    _folder: tempfile::TempDir,
}

async fn exchange() -> Exchange {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::connect(&format!("sqlite://{}/identity.db", folder.path().display())).await.unwrap();
    migrations::migrate(&db).await.unwrap();
    let cx = Context {
        service: "identity",
        db,
        clock: Clock::system(),
        calendar: Arc::new(Calendar::builtin().unwrap()),
        rules: Arc::new(Rulebook::builtin().unwrap()),
        vault: Arc::new(kernel::Vault::development()),
        committed: Arc::default(),
    };
    Exchange { identity: Identities::new(cx, Entrance::default()), _folder: folder }
}

fn code(errors: &[Refusal]) -> ErrorCode {
    errors[0].error_code()
}

fn acting<T>(actor: &Actor, message: T) -> Request<T> {
    let mut request = Request::new(message);
    actor.write(None, request.metadata_mut());
    request
}

/// Somebody unknown who comes from an address.
fn from(address: &str) -> Actor {
    Actor { address: address.into(), ..Actor::default() }
}

impl Exchange {
    async fn sign_up(&self, login: &str) -> v1::SignUpPayload {
        let input = v1::SignUpInput { login: login.into(), password: PASSWORD.into(), name: "张三".into() };
        self.identity.sign_up(Request::new(input)).await.unwrap().into_inner()
    }

    async fn sign_in(&self, login: &str, password: &str) -> Result<v1::Session, ErrorCode> {
        self.sign_in_from("", [login, password], None).await
    }

    async fn sign_in_from(
        &self,
        address: &str,
        [login, password]: [&str; 2],
        code: Option<String>,
    ) -> Result<v1::Session, ErrorCode> {
        let input = v1::SignInInput { login: login.into(), password: password.into(), code };
        let reply = self.identity.sign_in(acting(&from(address), input)).await.unwrap().into_inner();
        reply.session.ok_or_else(|| self::code(&reply.user_errors))
    }

    async fn refresh(&self, token: &str) -> Result<v1::Session, ErrorCode> {
        let input = v1::RefreshSessionInput { refresh_token: token.into() };
        let reply = self.identity.refresh_session(Request::new(input)).await.unwrap().into_inner();
        reply.session.ok_or_else(|| code(&reply.user_errors))
    }

    async fn bearer(&self, token: &str) -> Option<Actor> {
        let request = v1::AuthenticateRequest { access_token: token.into() };
        let reply = self.identity.authenticate(Request::new(request)).await.ok()?.into_inner();
        Some(Actor::decode(reply.actor.as_slice()).unwrap())
    }

    async fn actor(&self, session: &v1::Session) -> Option<Actor> {
        self.bearer(&session.access_token).await
    }

    /// Somebody who just signed in.
    async fn person(&self, login: &str) -> Actor {
        self.actor(&self.sign_in(login, PASSWORD).await.unwrap()).await.unwrap()
    }

    async fn enrol(&self, actor: &Actor, password: &str) -> Result<Authenticator, ErrorCode> {
        let input = v1::EnrolSecondFactorInput { password: password.into() };
        let reply = self.identity.enrol_second_factor(acting(actor, input)).await.unwrap().into_inner();
        let enrolment = reply.enrolment.ok_or_else(|| code(&reply.user_errors))?;
        assert!(enrolment.uri.ends_with(&format!("?secret={}&issuer=Jishi", enrolment.secret)));
        Ok(Authenticator::parse(&enrolment.secret).unwrap())
    }

    async fn confirm(&self, actor: &Actor, code: String) -> Result<Vec<String>, ErrorCode> {
        let input = v1::ConfirmSecondFactorInput { code };
        let reply = self.identity.confirm_second_factor(acting(actor, input)).await.unwrap().into_inner();
        reply.second_factor.map(|made| made.recovery_codes).ok_or_else(|| self::code(&reply.user_errors))
    }

    async fn remove(&self, actor: &Actor, password: &str, code: String) -> Result<bool, ErrorCode> {
        let input = v1::RemoveSecondFactorInput { password: password.into(), code };
        let reply = self.identity.remove_second_factor(acting(actor, input)).await.unwrap().into_inner();
        reply.done.ok_or_else(|| self::code(&reply.user_errors))
    }

    async fn create_key(&self, actor: &Actor, roles: &[Role], days: i64) -> Result<v1::NewApiKey, ErrorCode> {
        let input = v1::CreateApiKeyInput {
            name: "报价工具".into(),
            organization_id: actor.memberships[0].organization_id.clone(),
            roles: roles.iter().map(|role| *role as i32).collect(),
            expires_at: Some(self.now().plus_seconds(days * 86_400)),
        };
        let reply = self.identity.create_api_key(acting(actor, input)).await.unwrap().into_inner();
        reply.new_api_key.ok_or_else(|| code(&reply.user_errors))
    }

    fn now(&self) -> Instant {
        self.identity.cx.clock.now()
    }

    fn pass(&self, seconds: i64) {
        let clock = &self.identity.cx.clock;
        clock.set_offset(clock.offset() + seconds * 1_000);
    }
}

fn house(kind: OrganizationKind, usci: &str, login: &str, roles: Vec<Role>) -> SeedOrganization {
    let second_factor = Some(Authenticator::development(login)).filter(|_| kind == OrganizationKind::ExchangeCentre);
    SeedOrganization {
        name: format!("锦城{login}"),
        kind,
        usci: usci.into(),
        region: "510100".into(),
        legal_representative: "王明".into(),
        industry: "M73".into(),
        tier: None,
        centre: None,
        members: vec![SeedPerson {
            login: login.into(),
            password: PASSWORD.into(),
            name: "李审".into(),
            roles,
            second_factor,
        }],
    }
}

/// A centre with its chief, and an enterprise with its broker.
async fn peopled() -> Exchange {
    let x = exchange().await;
    let centre = house(OrganizationKind::ExchangeCentre, "121200004013590816", "chief", vec![Role::Administrator]);
    let roles = vec![Role::Administrator, Role::Broker, Role::Bidder, Role::Signatory];
    let enterprise = house(OrganizationKind::Enterprise, "91110000600037341L", "broker", roles);
    let made = seed(&x.identity.cx, &[centre, enterprise]).await.unwrap();
    assert_eq!(made.len(), 2);
    x
}

#[tokio::test]
async fn a_session_from_sign_up_to_sign_out() {
    let x = exchange().await;
    let person = x.sign_up(" Zhang.San ").await.person.unwrap();
    assert_eq!(person.login, "zhang.san");
    assert_eq!(code(&x.sign_up("zhang.SAN").await.user_errors), ErrorCode::LoginTaken);
    let session = x.sign_in("ZHANG.san", PASSWORD).await.unwrap();
    let actor = x.actor(&session).await.unwrap();
    assert_eq!((actor.person_id.as_str(), session.person_id.as_str()), (person.id.as_str(), person.id.as_str()));
    let viewer = x.identity.get_viewer(acting(&actor, v1::Nothing {})).await.unwrap().into_inner();
    assert_eq!(viewer.person.unwrap(), person);
    let nobody = x.identity.get_viewer(Request::new(v1::Nothing {})).await.unwrap().into_inner();
    assert_eq!(nobody.person, None);

    let second = x.sign_in("zhang.san", PASSWORD).await.unwrap();
    let third = x.sign_in("zhang.san", PASSWORD).await.unwrap();
    let listed = x.identity.list_sessions(acting(&actor, v1::Nothing {})).await.unwrap().into_inner().items;
    assert_eq!(listed.iter().map(|session| session.current).collect::<Vec<_>>(), [false, false, true]);
    let end = |id: &str| acting(&actor, v1::EndSessionInput { session_id: id.into() });
    assert_eq!(x.identity.end_session(end(&listed[0].id)).await.unwrap().into_inner().done, Some(true));
    assert!(x.actor(&third).await.is_none() && x.actor(&second).await.is_some());
    x.sign_up("wang").await;
    let foreign = x.person("wang").await.session_id;
    let refused = x.identity.end_session(end(&foreign)).await.unwrap().into_inner();
    assert_eq!(code(&refused.user_errors), ErrorCode::NotFound);

    let third = x.sign_in("zhang.san", PASSWORD).await.unwrap();
    let out = v1::SignOutInput { everywhere: false };
    x.identity.sign_out(acting(&actor, out)).await.unwrap();
    assert!(x.actor(&session).await.is_none(), "signed out");
    assert_eq!(x.refresh(&session.refresh_token).await.unwrap_err(), ErrorCode::SessionEnded);
    let actor = x.actor(&second).await.unwrap();
    x.identity.sign_out(acting(&actor, v1::SignOutInput { everywhere: true })).await.unwrap();
    assert!(x.actor(&third).await.is_none(), "signed out everywhere");
    assert!(x.identity.sign_out(Request::new(out)).await.is_err(), "nobody cannot sign out");
}

#[tokio::test]
async fn a_refresh_token_used_twice_ends_the_session() {
    let x = exchange().await;
    x.sign_up("zhang").await;
    let first = x.sign_in("zhang", PASSWORD).await.unwrap();
    let second = x.refresh(&first.refresh_token).await.unwrap();
    let third = x.refresh(&second.refresh_token).await.unwrap();
    assert!(x.actor(&third).await.is_some());
    assert_eq!(x.refresh(&first.refresh_token).await.unwrap_err(), ErrorCode::SessionEnded);
    assert!(x.actor(&third).await.is_none(), "the ending is committed");
    assert_eq!(x.refresh(&third.refresh_token).await.unwrap_err(), ErrorCode::SessionEnded);
    assert_eq!(x.refresh("made up").await.unwrap_err(), ErrorCode::SessionEnded);
    assert_eq!(x.refresh("\0").await.unwrap_err(), ErrorCode::SessionEnded);

    let raced = x.sign_in("zhang", PASSWORD).await.unwrap();
    let outcomes = join_all((0..8).map(|_| x.refresh(&raced.refresh_token))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let winner = outcomes.into_iter().find_map(Result::ok).unwrap();
    assert!(x.actor(&winner).await.is_none());
}

#[tokio::test]
async fn time_ends_tokens_by_the_exchanges_clock() {
    let x = exchange().await;
    x.sign_up("zhang").await;
    let session = x.sign_in("zhang", PASSWORD).await.unwrap();
    x.pass(606);
    assert!(x.actor(&session).await.is_none(), "after ten minutes");
    let session = x.refresh(&session.refresh_token).await.unwrap();
    assert!(x.actor(&session).await.is_some());
    x.pass(30 * 86_400 + 1);
    assert_eq!(x.refresh(&session.refresh_token).await.unwrap_err(), ErrorCode::SessionEnded);
    x.identity.cx.clock.set_offset(0);
    assert!(x.actor(&session).await.is_none(), "issued in what is the future again");
}

#[tokio::test]
async fn guesses_run_out_for_known_and_unknown_logins_alike() {
    let x = exchange().await;
    x.sign_up("zhang").await;
    for login in ["zhang", "nobody", "no\0body"] {
        let outcomes = join_all((0..12).map(|_| x.sign_in(login, WRONG))).await;
        let evaluated = outcomes.iter().filter(|outcome| **outcome == Err(ErrorCode::BadCredentials)).count();
        let refused = outcomes.iter().filter(|outcome| **outcome == Err(ErrorCode::TooManyAttempts)).count();
        assert_eq!((evaluated, refused), (5, 7), "{login}");
    }
    assert_eq!(x.sign_in("Zhang", PASSWORD).await.unwrap_err(), ErrorCode::TooManyAttempts);
    x.pass(15 * 60 - 5);
    assert_eq!(x.sign_in("zhang", PASSWORD).await.unwrap_err(), ErrorCode::TooManyAttempts);
    x.pass(10);
    for _ in 0..4 {
        assert_eq!(x.sign_in("zhang", WRONG).await.unwrap_err(), ErrorCode::BadCredentials);
    }
    assert!(x.sign_in("zhang", PASSWORD).await.is_ok());
    for _ in 0..5 {
        assert_eq!(x.sign_in("zhang", WRONG).await.unwrap_err(), ErrorCode::BadCredentials);
    }
}

#[tokio::test]
async fn an_address_may_be_wrong_twenty_times_and_right_for_ever() {
    let x = exchange().await;
    x.sign_up("zhang").await;
    for _ in 0..25 {
        assert!(x.sign_in_from("192.0.2.1", ["zhang", PASSWORD], None).await.is_ok());
    }
    let guess = async |n: usize| x.sign_in_from("192.0.2.1", [&format!("nobody{n}"), WRONG], None).await;
    let outcomes = join_all((0..30).map(guess)).await;
    let evaluated = outcomes.iter().filter(|outcome| **outcome == Err(ErrorCode::BadCredentials)).count();
    let refused = outcomes.iter().filter(|outcome| **outcome == Err(ErrorCode::TooManyAttempts)).count();
    assert_eq!((evaluated, refused), (20, 10));
    let right = ["zhang", PASSWORD];
    assert_eq!(x.sign_in_from("192.0.2.1", right, None).await.unwrap_err(), ErrorCode::TooManyAttempts);
    assert!(x.sign_in_from("192.0.2.2", right, None).await.is_ok(), "another address");
    x.pass(46);
    assert!(x.sign_in_from("192.0.2.1", right, None).await.is_ok(), "one guess is forgotten");
    x.pass(15 * 60);
    for n in 0..20 {
        assert_eq!(guess(n).await.unwrap_err(), ErrorCode::BadCredentials, "{n}");
    }
    assert_eq!(guess(20).await.unwrap_err(), ErrorCode::TooManyAttempts);
}

#[tokio::test]
async fn nobody_guesses_while_redis_is_away() {
    let mut x = exchange().await;
    x.sign_up("zhang").await;
    let limiter = kernel::Limiter::shared("redis://127.0.0.1:1", "test").unwrap();
    x.identity = Identities::new(x.identity.cx.clone(), Entrance { limiter, ..Entrance::default() });
    let input = || v1::SignInInput { login: "zhang".into(), password: PASSWORD.into(), code: None };
    let refused = x.identity.sign_in(acting(&from("192.0.2.1"), input())).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    let finish = v1::FinishFederatedSignInInput { state: "s".into(), code: "c".into() };
    let refused = x.identity.finish_federated_sign_in(acting(&from("192.0.2.1"), finish)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert!(x.sign_in("zhang", PASSWORD).await.is_ok(), "inside the exchange there is nobody to brake");
}

#[tokio::test]
async fn a_replayed_sign_up_answers_alike_and_another_password_conflicts() {
    let x = exchange().await;
    let keyed = |password: &str| {
        let input = v1::SignUpInput { login: "zhang".into(), password: password.into(), name: "张三".into() };
        let mut request = Request::new(input);
        Actor::default().write(Some("key-1"), request.metadata_mut());
        request
    };
    let first = x.identity.sign_up(keyed(PASSWORD)).await.unwrap().into_inner();
    assert!(first.person.is_some());
    assert_eq!(x.identity.sign_up(keyed(PASSWORD)).await.unwrap().into_inner(), first);
    let other = x.identity.sign_up(keyed("another password")).await.unwrap().into_inner();
    assert_eq!(code(&other.user_errors), ErrorCode::IdempotencyConflict);
    assert!(x.sign_in("zhang", PASSWORD).await.is_ok());
}

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

    x.pass(120);
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
    let elsewhere = Identities::new(x.identity.cx.clone(), Entrance::default());
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
