//! Stories on a temporary SQLite file, through the wire's trait.

use kernel::{Actor, Clock, Context, Db, ErrorCode, Refusal, Role, Vault};
use prost::Message;
use tonic::Request;
use wire::v1::{
    self, CentreTier, OrganizationKind, OrganizationStatus, access_server::Access, identity_server::Identity,
};

use crate::{Authenticator, Entrance, SeedOrganization, SeedPerson, identities::Identities, organization::seed::seed};

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
    let cx = Context::open("identity", db, Clock::system(), Vault::development()).await.unwrap();
    Exchange { identity: Identities::new(cx, crate::nobody(), Entrance::default()), _folder: folder }
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
        // The centre's people are seeded with a second factor, of which each sign-in uses up a step.
        self.identity.cx.clock.set_offset(self.identity.cx.clock.offset() + 30_000);
        let shown = Some(Authenticator::development(login).code(self.identity.cx.clock.now()));
        let input = v1::SignInInput { login: login.into(), password: password.into(), code: shown };
        let reply = self.identity.sign_in(Request::new(input)).await.unwrap().into_inner();
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
        self.register_at(actor, usci, "四川大学", None).await
    }

    async fn register_at(
        &self,
        actor: &Actor,
        usci: &str,
        name: &str,
        centre_id: Option<String>,
    ) -> v1::RegisterOrganizationPayload {
        let input = v1::RegisterOrganizationInput {
            name: name.into(),
            kind: OrganizationKind::University.into(),
            usci: usci.into(),
            region: "510100".into(),
            legal_representative: "汪劲".into(),
            industry: "P83".into(),
            centre_id,
        };
        self.identity.register_organization(Self::acting(actor, input)).await.unwrap().into_inner()
    }

    async fn verify(&self, actor: &Actor, id: &str, approve: bool) -> v1::VerifyOrganizationPayload {
        let input =
            v1::VerifyOrganizationInput { organization_id: id.into(), approve, evidence: "执照已核".into() };
        self.identity.verify_organization(Self::acting(actor, input)).await.unwrap().into_inner()
    }

    /// Invites, and accepts as whoever has the login.
    async fn add_member(&self, actor: &Actor, id: &str, login: &str, roles: &[Role]) -> Result<(), ErrorCode> {
        let roles = roles.iter().map(|role| *role as i32).collect();
        let input = v1::InviteMemberInput { organization_id: id.into(), login: login.into(), roles };
        let reply = self.identity.invite_member(Self::acting(actor, input)).await.unwrap().into_inner();
        let invitation = reply.invitation.ok_or_else(|| code(&reply.user_errors))?;
        let input = v1::AnswerInvitationInput { invitation_id: invitation.id, accept: true };
        let invited = self.person(&login.to_lowercase()).await;
        let reply = self.identity.answer_invitation(Self::acting(&invited, input)).await.unwrap().into_inner();
        reply.invitation.map(|_| ()).ok_or_else(|| code(&reply.user_errors))
    }

    async fn change_roles(
        &self,
        actor: &Actor,
        id: &str,
        person: &Actor,
        roles: &[Role],
    ) -> Result<v1::Member, ErrorCode> {
        let (organization_id, person_id) = (id.to_owned(), person.person_id.clone());
        let roles = roles.iter().map(|role| *role as i32).collect();
        let input = v1::ChangeMemberRolesInput { organization_id, person_id, roles };
        let reply = self.identity.change_member_roles(Self::acting(actor, input)).await.unwrap().into_inner();
        reply.member.ok_or_else(|| code(&reply.user_errors))
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
        second_factor: Some(Authenticator::development(login)),
    };
    vec![SeedOrganization {
        name: "四川技术交易中心".into(),
        kind: OrganizationKind::ExchangeCentre,
        usci: "121200004013590816".into(),
        region: "510000".into(),
        legal_representative: "李审".into(),
        industry: crate::CENTRE_INDUSTRY.into(),
        tier: None,
        centre: None,
        members: vec![
            person("reviewer", vec![Role::Reviewer]),
            person("chief", vec![Role::Administrator, Role::Auditor]),
        ],
    }]
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
    assert_eq!(squatted.available_transitions.len(), 3);
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
    assert_eq!(x.add_member(&zhang, &id, "no", &brokers).await.unwrap_err(), ErrorCode::InvalidInput);
    assert_eq!(x.add_member(&zhang, &id, "wang", &[]).await.unwrap_err(), ErrorCode::Required);
    assert_eq!(x.add_member(&zhang, &id, "wang", &[Role::Reviewer]).await.unwrap_err(), ErrorCode::InvalidInput);
    assert_eq!(x.change_roles(&zhang, &id, &zhang, &brokers).await.unwrap_err(), ErrorCode::LastAdministrator);
    x.add_member(&zhang, &id, "WANG", &[Role::Broker, Role::Broker]).await.unwrap();
    let wang = x.person("wang").await;
    assert_eq!(wang.memberships[0].roles, [Role::Broker as i32]);
    assert_eq!(x.change_roles(&wang, &id, &wang, &[Role::Administrator]).await.unwrap_err(), ErrorCode::Forbidden);
    assert!(wang.require_role(&id, &brokers, "organizationId").is_err(), "not verified");
    assert_eq!(x.verify(&reviewer, &id, true).await.organization.unwrap().status(), OrganizationStatus::Verified);
    assert!(x.person("wang").await.require_role(&id, &brokers, "organizationId").is_ok());
    assert_eq!(x.list(&nobody, None).await.len(), 2);

    let centre_id = &chief.memberships[0].organization_id;
    assert!(x.add_member(&chief, centre_id, "wang", &[Role::Cashier]).await.is_ok());
    let cashier = x.person("wang").await;
    assert!(!cashier.is_staff(Role::Cashier), "not without a second factor");
    assert!(Actor { second_factor: true, ..cashier }.is_staff(Role::Cashier));
    let wanted = v1::ListAuditRequest { subject: Some(centre_id.clone()), ..Default::default() };
    let audit = x.identity.list_audit(Exchange::acting(&chief, wanted)).await.unwrap().into_inner();
    assert_eq!(audit.items.len(), 5, "the centre, two of its staff once, a cashier invited and come");
    let wanted = v1::ListAuditRequest { subject: Some(id), ..Default::default() };
    let audit = x.identity.list_audit(Exchange::acting(&chief, wanted)).await.unwrap().into_inner();
    let kinds: Vec<&str> = audit.items.iter().map(|record| record.kind.as_str()).collect();
    assert_eq!(kinds, ["OrganizationRegistered", "MemberInvited", "MemberAdded", "OrganizationVerified"]);
}

#[tokio::test]
async fn seeding_keeps_what_was_changed_and_hands_nothing_to_an_applicant() {
    let x = exchange().await;
    seed(&x.identity.cx, &centre()).await.unwrap();
    let chief = x.person("chief").await;
    let id = chief.memberships[0].organization_id.clone();
    x.change_roles(&chief, &id, &x.person("reviewer").await, &[Role::Cashier]).await.unwrap();
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

#[tokio::test]
async fn a_branch_reaches_its_own_and_only_reviewers_are_warned() {
    let x = exchange().await;
    let [hub] = &centre()[..] else { panic!() };
    let mut branch = SeedOrganization { tier: Some(CentreTier::Branch), ..hub.clone() };
    branch.name = "重庆分中心".into();
    branch.usci = "911522010783762860".into();
    branch.members = vec![SeedPerson {
        login: "judge".into(),
        second_factor: Some(Authenticator::development("judge")),
        ..hub.members[0].clone()
    }];
    seed(&x.identity.cx, &[hub.clone(), branch]).await.unwrap();
    for login in ["zhang", "wang"] {
        x.sign_up(login).await.person.unwrap();
    }
    let (reviewer, judge) = (x.person("reviewer").await, x.person("judge").await);
    let here = Some(judge.memberships[0].organization_id.clone());
    assert_eq!(judge.memberships[0].centres.len(), 1);
    assert_eq!((reviewer.memberships[0].hub, reviewer.memberships[0].centres.len()), (true, 2));
    let own = x.register_at(&x.person("zhang").await, USCI, "川江航运科技（中国）", here).await.organization.unwrap();
    let (usci, name) = ("91340600MA2PBM9HXD", "川江航运科技(中国)");
    let foreign = x.register_at(&x.person("wang").await, usci, name, None).await.organization.unwrap();
    let (zhang, wang) = (x.person("zhang").await, x.person("wang").await);

    let warned = async |actor: &Actor, of: &v1::Organization| {
        let ids = v1::Ids { ids: vec![of.id.clone()] };
        let found = x.identity.get_organizations(Exchange::acting(actor, ids)).await.unwrap().into_inner().items;
        found.into_iter().map(|found| found.name_warnings.len()).next()
    };
    assert_eq!((warned(&reviewer, &own).await, warned(&reviewer, &foreign).await), (Some(1), Some(1)));
    assert_eq!((warned(&zhang, &own).await, warned(&wang, &foreign).await), (Some(0), Some(0)));
    assert_eq!(
        (warned(&judge, &own).await, warned(&judge, &foreign).await),
        (Some(0), None),
        "of nothing it cannot see"
    );
    assert_eq!(code(&x.verify(&judge, &foreign.id, true).await.user_errors), ErrorCode::NotFound);
    assert_eq!(x.verify(&judge, &own.id, true).await.organization.unwrap().evidence, "执照已核");
    assert_eq!(warned(&wang, &own).await, Some(0), "public, and still no warning");
    x.verify(&reviewer, &foreign.id, true).await.organization.unwrap();
    assert_eq!(warned(&judge, &own).await, Some(1));

    let suspend = |id: &str| v1::SuspendOrganizationInput { organization_id: id.into(), reason: "未年报".into() };
    let refused = x.identity.suspend_organization(Exchange::acting(&judge, suspend(&foreign.id))).await.unwrap();
    assert_eq!(code(&refused.into_inner().user_errors), ErrorCode::NotFound);
    let suspended = x.identity.suspend_organization(Exchange::acting(&judge, suspend(&own.id))).await.unwrap();
    assert!(suspended.into_inner().organization.is_some());
    let administers = |actor: &Actor| actor.require_role(&own.id, &[Role::Administrator], "organizationId");
    assert_eq!(administers(&x.person("zhang").await).unwrap_err().code(), ErrorCode::OrganizationNotVerified);
    let reinstate = v1::ReinstateOrganizationInput { organization_id: own.id.clone(), reason: "已年报".into() };
    x.identity.reinstate_organization(Exchange::acting(&judge, reinstate)).await.unwrap();
    assert!(administers(&x.person("zhang").await).is_ok());
}
