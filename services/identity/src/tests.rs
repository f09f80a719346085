//! Stories on a temporary SQLite file, through the wire's trait.

use std::sync::Arc;

use futures::future::join_all;
use kernel::{Actor, Clock, Context, Db, ErrorCode, Refusal, Role, calendar::Calendar, rules::Rulebook};
use prost::Message;
use tonic::Request;
use wire::v1::{self, OrganizationKind, OrganizationStatus, identity_server::Identity};

use crate::{Identities, SeedOrganization, SeedPerson, seed, token::Keys};

const PASSWORD: &str = "correct horse battery";
const USCI: &str = "91110000600037341L";

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
        committed: Arc::default(),
    };
    Exchange { identity: Identities { keys: Arc::new(Keys::new(cx.clone())), cx }, _folder: folder }
}

fn code(errors: &[Refusal]) -> ErrorCode {
    errors[0].error_code()
}

impl Exchange {
    fn acting<T>(actor: &Actor, message: T) -> Request<T> {
        let mut request = Request::new(message);
        actor.write(None, request.metadata_mut());
        request
    }

    async fn sign_up(&self, login: &str) -> v1::SignUpPayload {
        let input = v1::SignUpInput { login: login.into(), password: PASSWORD.into(), name: "张三".into() };
        self.identity.sign_up(Request::new(input)).await.unwrap().into_inner()
    }

    async fn sign_in(&self, login: &str, password: &str) -> Result<v1::Session, ErrorCode> {
        let input = v1::SignInInput { login: login.into(), password: password.into() };
        let reply = self.identity.sign_in(Request::new(input)).await.unwrap().into_inner();
        reply.session.ok_or_else(|| code(&reply.user_errors))
    }

    async fn refresh(&self, token: &str) -> Result<v1::Session, ErrorCode> {
        let input = v1::RefreshSessionInput { refresh_token: token.into() };
        let reply = self.identity.refresh_session(Request::new(input)).await.unwrap().into_inner();
        reply.session.ok_or_else(|| code(&reply.user_errors))
    }

    async fn actor(&self, session: &v1::Session) -> Option<Actor> {
        let request = v1::AuthenticateRequest { access_token: session.access_token.clone() };
        let reply = self.identity.authenticate(Request::new(request)).await.ok()?.into_inner();
        Some(Actor::decode(reply.actor.as_slice()).unwrap())
    }

    /// Signs in a person who exists.
    async fn person(&self, login: &str) -> Actor {
        self.actor(&self.sign_in(login, PASSWORD).await.unwrap()).await.unwrap()
    }

    async fn register(&self, actor: &Actor, usci: &str) -> v1::RegisterOrganizationPayload {
        let input = v1::RegisterOrganizationInput {
            name: "四川大学".into(),
            kind: OrganizationKind::University.into(),
            usci: usci.into(),
            region: "510100".into(),
        };
        self.identity.register_organization(Self::acting(actor, input)).await.unwrap().into_inner()
    }

    async fn verify(&self, actor: &Actor, id: &str, approve: bool) -> v1::VerifyOrganizationPayload {
        let input =
            v1::VerifyOrganizationInput { organization_id: id.into(), approve, evidence: "执照已核".into() };
        self.identity.verify_organization(Self::acting(actor, input)).await.unwrap().into_inner()
    }

    async fn add_member(&self, actor: &Actor, id: &str, login: &str, roles: &[Role]) -> Result<v1::Person, ErrorCode> {
        let roles = roles.iter().map(|role| *role as i32).collect();
        let input = v1::AddMemberInput { organization_id: id.into(), login: login.into(), roles };
        let reply = self.identity.add_member(Self::acting(actor, input)).await.unwrap().into_inner();
        reply.person.ok_or_else(|| code(&reply.user_errors))
    }

    async fn list(&self, actor: &Actor, search: Option<&str>) -> Vec<v1::Organization> {
        let wanted = v1::ListOrganizationsRequest { search: search.map(Into::into), ..Default::default() };
        self.identity.list_organizations(Self::acting(actor, wanted)).await.unwrap().into_inner().items
    }
}

fn centre() -> Vec<SeedOrganization> {
    let person = |login: &str, roles: Vec<Role>| SeedPerson {
        login: login.into(),
        password: PASSWORD.into(),
        name: "李审".into(),
        roles,
    };
    vec![SeedOrganization {
        name: "四川技术交易中心".into(),
        kind: OrganizationKind::ExchangeCentre,
        usci: "121200004013590816".into(),
        region: "510000".into(),
        members: vec![
            person("reviewer", vec![Role::Reviewer]),
            person("chief", vec![Role::Administrator, Role::Auditor]),
        ],
    }]
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
    let viewer = x.identity.get_viewer(Exchange::acting(&actor, v1::Nothing {})).await.unwrap().into_inner();
    assert_eq!(viewer.person.unwrap(), person);
    let nobody = x.identity.get_viewer(Request::new(v1::Nothing {})).await.unwrap().into_inner();
    assert_eq!(nobody.person, None);

    let second = x.sign_in("zhang.san", PASSWORD).await.unwrap();
    let third = x.sign_in("zhang.san", PASSWORD).await.unwrap();
    let out = v1::SignOutInput { everywhere: false };
    x.identity.sign_out(Exchange::acting(&actor, out)).await.unwrap();
    assert!(x.actor(&session).await.is_none(), "signed out");
    assert_eq!(x.refresh(&session.refresh_token).await.unwrap_err(), ErrorCode::SessionEnded);
    let actor = x.actor(&second).await.unwrap();
    x.identity.sign_out(Exchange::acting(&actor, v1::SignOutInput { everywhere: true })).await.unwrap();
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
    x.identity.cx.clock.set_offset(606_000);
    assert!(x.actor(&session).await.is_none(), "after ten minutes");
    let session = x.refresh(&session.refresh_token).await.unwrap();
    assert!(x.actor(&session).await.is_some());
    x.identity.cx.clock.set_offset(606_000 + 30 * 86_400_000 + 1_000);
    assert_eq!(x.refresh(&session.refresh_token).await.unwrap_err(), ErrorCode::SessionEnded);
    x.identity.cx.clock.set_offset(0);
    assert!(x.actor(&session).await.is_none(), "issued in what is the future again");
}

#[tokio::test]
async fn guesses_run_out_for_known_and_unknown_logins_alike() {
    let x = exchange().await;
    x.sign_up("zhang").await;
    for login in ["zhang", "nobody", "no\0body"] {
        let outcomes = join_all((0..12).map(|_| x.sign_in(login, "wrong password"))).await;
        let evaluated = outcomes.iter().filter(|outcome| **outcome == Err(ErrorCode::BadCredentials)).count();
        let refused = outcomes.iter().filter(|outcome| **outcome == Err(ErrorCode::TooManyAttempts)).count();
        assert_eq!((evaluated, refused), (5, 7), "{login}");
    }
    assert_eq!(x.sign_in("Zhang", PASSWORD).await.unwrap_err(), ErrorCode::TooManyAttempts);
    x.identity.cx.clock.set_offset(15 * 60_000 - 5_000);
    assert_eq!(x.sign_in("zhang", PASSWORD).await.unwrap_err(), ErrorCode::TooManyAttempts);
    x.identity.cx.clock.set_offset(15 * 60_000 + 5_000);
    for _ in 0..4 {
        assert_eq!(x.sign_in("zhang", "wrong password").await.unwrap_err(), ErrorCode::BadCredentials);
    }
    assert!(x.sign_in("zhang", PASSWORD).await.is_ok());
    for _ in 0..5 {
        assert_eq!(x.sign_in("zhang", "wrong password").await.unwrap_err(), ErrorCode::BadCredentials);
    }
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
async fn an_organization_from_application_to_members() {
    let x = exchange().await;
    seed(&x.identity.cx, &centre()).await.unwrap();
    seed(&x.identity.cx, &centre()).await.unwrap();
    for login in ["zhang", "wang", "squatter"] {
        x.sign_up(login).await.person.unwrap();
    }
    let (reviewer, chief, nobody) = (x.person("reviewer").await, x.person("chief").await, Actor::default());
    assert!(reviewer.is_staff(Role::Reviewer) && !reviewer.is_staff(Role::Auditor));

    let squatter = x.person("squatter").await;
    let squatted = x.register(&squatter, USCI).await.organization.unwrap();
    assert_eq!(squatted.available_transitions.len(), 2);
    let squatter = x.person("squatter").await;
    assert_eq!(code(&x.register(&squatter, USCI).await.user_errors), ErrorCode::AlreadyExists);
    assert_eq!(code(&x.verify(&squatter, &squatted.id, true).await.user_errors), ErrorCode::Forbidden);
    assert_eq!(code(&x.verify(&chief, &squatted.id, true).await.user_errors), ErrorCode::Forbidden);
    let rejected = x.verify(&reviewer, &squatted.id, false).await.organization.unwrap();
    assert_eq!((rejected.status(), rejected.available_transitions.len()), (OrganizationStatus::Rejected, 0));
    assert_eq!(code(&x.verify(&reviewer, &squatted.id, true).await.user_errors), ErrorCode::IllegalTransition);

    let zhang = x.person("zhang").await;
    let id = x.register(&zhang, USCI).await.organization.unwrap().id;
    let zhang = x.person("zhang").await;
    assert_eq!(code(&x.verify(&squatter, &id, true).await.user_errors), ErrorCode::NotFound, "not visible to others");
    assert_eq!(x.list(&nobody, None).await.len(), 1, "the centre only");
    assert_eq!(x.list(&zhang, None).await.len(), 2);
    assert_eq!(x.list(&reviewer, None).await.len(), 3);
    assert_eq!(x.list(&Actor::exchange(), Some("川大学")).await.len(), 2);
    assert_eq!(x.list(&reviewer, Some(USCI)).await.len(), 2);
    assert!(x.list(&reviewer, Some("%")).await.is_empty(), "a wildcard is text");
    let ids = v1::Ids { ids: vec![id.clone(), squatted.id] };
    let seen = x.identity.get_organizations(Exchange::acting(&zhang, ids)).await.unwrap().into_inner().items;
    assert_eq!(seen.len(), 1);

    let brokers = [Role::Broker];
    assert_eq!(x.add_member(&squatter, &id, "wang", &brokers).await.unwrap_err(), ErrorCode::NotFound);
    assert_eq!(x.add_member(&zhang, &id, "unknown", &brokers).await.unwrap_err(), ErrorCode::NotFound);
    assert_eq!(x.add_member(&zhang, &id, "wang", &[]).await.unwrap_err(), ErrorCode::Required);
    assert_eq!(x.add_member(&zhang, &id, "wang", &[Role::Reviewer]).await.unwrap_err(), ErrorCode::InvalidInput);
    assert_eq!(
        x.add_member(&zhang, &id, "zhang", &brokers).await.unwrap_err(),
        ErrorCode::InvalidInput,
        "the last one"
    );
    let wang = x.add_member(&zhang, &id, "WANG", &[Role::Broker, Role::Broker]).await.unwrap();
    assert_eq!(wang.memberships, [v1::Membership { organization_id: id.clone(), roles: vec![Role::Broker as i32] }]);
    let wang = x.person("wang").await;
    assert_eq!(x.add_member(&wang, &id, "wang", &[Role::Administrator]).await.unwrap_err(), ErrorCode::Forbidden);
    assert!(wang.require_role(&id, &brokers, "organizationId").is_err(), "not verified");
    assert_eq!(x.verify(&reviewer, &id, true).await.organization.unwrap().status(), OrganizationStatus::Verified);
    assert!(x.person("wang").await.require_role(&id, &brokers, "organizationId").is_ok());
    assert_eq!(x.list(&nobody, None).await.len(), 2);

    let centre_id = &chief.memberships[0].organization_id;
    assert!(x.add_member(&chief, centre_id, "wang", &[Role::Cashier]).await.is_ok());
    assert!(x.person("wang").await.is_staff(Role::Cashier));
    let wanted = v1::ListAuditRequest { subject: Some(centre_id.clone()), ..Default::default() };
    let audit = x.identity.list_audit(Exchange::acting(&chief, wanted)).await.unwrap().into_inner();
    assert_eq!(audit.items.len(), 4, "the centre, two of its staff once, and a cashier");
    let wanted = v1::ListAuditRequest { subject: Some(id), ..Default::default() };
    let audit = x.identity.list_audit(Exchange::acting(&chief, wanted)).await.unwrap().into_inner();
    let kinds: Vec<&str> = audit.items.iter().map(|record| record.kind.as_str()).collect();
    assert_eq!(kinds, ["OrganizationRegistered", "MemberAdded", "OrganizationVerified"]);
}

#[tokio::test]
async fn seeding_keeps_what_was_changed_and_hands_nothing_to_an_applicant() {
    let x = exchange().await;
    seed(&x.identity.cx, &centre()).await.unwrap();
    let chief = x.person("chief").await;
    let id = chief.memberships[0].organization_id.clone();
    x.add_member(&chief, &id, "reviewer", &[Role::Cashier]).await.unwrap();
    seed(&x.identity.cx, &centre()).await.unwrap();
    assert!(!x.person("reviewer").await.is_staff(Role::Reviewer));

    x.sign_up("squatter").await;
    x.register(&x.person("squatter").await, USCI).await.organization.unwrap();
    let mut other = centre();
    other[0].usci = USCI.into();
    assert_eq!(seed(&x.identity.cx, &other).await.unwrap_err().code(), ErrorCode::AlreadyExists);
    let mut taken = centre();
    taken[0].members[1].login = "squatter".into();
    assert!(seed(&x.identity.cx, &taken).await.is_ok(), "has the password: the same person");
    taken[0].members[1].login = "stranger".into();
    x.sign_up("stranger").await;
    taken[0].members[1].password = "another password".into();
    assert_eq!(seed(&x.identity.cx, &taken).await.unwrap_err().code(), ErrorCode::LoginTaken);
    assert!(x.person("stranger").await.memberships.is_empty());
}
