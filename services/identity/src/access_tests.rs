//! Stories of getting in, on a temporary SQLite file, through the wire's trait.

mod factors;

use futures::future::join_all;
use kernel::{Actor, Clock, Context, Db, ErrorCode, Instant, Refusal, Role, Vault};
use prost::Message;
use tonic::Request;
use wire::v1::{self, OrganizationKind, access_server::Access, identity_server::Identity};

use crate::{
    Authenticator, Entrance, STEP_MILLIS, SeedOrganization, SeedPerson, identities::Identities,
    organization::seed::seed,
};

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
    let cx = Context::open("identity", db, Clock::system(), Vault::development()).await.unwrap();
    Exchange { identity: Identities::new(cx, crate::nobody(), Entrance::default()), _folder: folder }
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
    let pseudonyms = kernel::MasterKey::development().pseudonyms();
    let limiter = kernel::Limiter::shared("redis://127.0.0.1:1", "test", pseudonyms).unwrap();
    x.identity = Identities::new(x.identity.cx.clone(), crate::nobody(), Entrance { limiter, ..Entrance::default() });
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
