//! Investors, projects and interests on a temporary database.

use kernel::{ActingFor, Actor, Clock, Context, Db, ErrorCode, Id, Money, Role, Vault};
use tonic::Request;
use wire::{
    id::OrganizationId,
    v1::{
        self, DeclineReason, FinancingProjectStatus, InterestStatus, InvestorStatus, MatchReason, Stage,
        TechnologyField, financing_server::Financing,
    },
};

use crate::{Finance, SERVICE};

type Outcome<T> = Result<T, ErrorCode>;

struct Fair {
    finance: Finance,
    cx: Context,
    _folder: tempfile::TempDir,
}

async fn fair() -> Fair {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::connect(&format!("sqlite://{}", folder.path().join("jishi.db").display())).await.unwrap();
    migrations::migrate(&db).await.unwrap();
    let cx = Context::open(SERVICE, db, Clock::system(), Vault::development()).await.unwrap();
    Fair { finance: Finance::new(cx.clone()), cx, _folder: folder }
}

fn person(organization: OrganizationId, role: Role, centre: bool) -> Actor {
    let roles = vec![role as i32];
    let (organization_id, centre_id) = (organization.text(), organization.text());
    let membership =
        ActingFor { organization_id, roles, centre, hub: centre, verified: true, centre_id, ..ActingFor::default() };
    let person_id = format!("person_{}_{}", role as i32, organization.text());
    Actor { person_id, memberships: vec![membership], second_factor: true, ..Actor::default() }
}

fn staff(role: Role) -> Actor {
    person(OrganizationId::fresh(), role, true)
}

fn request<T>(actor: &Actor, message: T) -> Request<T> {
    let mut request = Request::new(message);
    actor.write(None, request.metadata_mut());
    request
}

macro_rules! outcome {
    ($payload:expr, $object:ident) => {{
        let payload = $payload.await.unwrap().into_inner();
        payload.$object.ok_or_else(|| payload.user_errors[0].error_code())
    }};
}

impl Fair {
    async fn apply(
        &self,
        actor: &Actor,
        organization: OrganizationId,
        field: TechnologyField,
    ) -> Outcome<v1::Investor> {
        let input = v1::RegisterInvestorInput {
            organization_id: organization.text(),
            fields: vec![field.into()],
            stages: vec![Stage::Pilot.into()],
            least_amount: Some(Money(100)),
            most_amount: Some(Money(1_000)),
            regions: vec!["51".into()],
        };
        outcome!(self.finance.register_investor(request(actor, input)), investor)
    }

    async fn verify(&self, actor: &Actor, investor_id: &str, approve: bool) -> Outcome<v1::Investor> {
        let input =
            v1::VerifyInvestorInput { investor_id: investor_id.into(), approve, evidence: "备案证明".into() };
        outcome!(self.finance.verify_investor(request(actor, input)), investor)
    }

    async fn verified(&self, field: TechnologyField) -> (Actor, v1::Investor) {
        let organization = OrganizationId::fresh();
        let actor = person(organization, Role::Investor, false);
        let applied = self.apply(&actor, organization, field).await.unwrap();
        (actor, self.verify(&staff(Role::Reviewer), &applied.id, true).await.unwrap())
    }

    async fn create(&self, actor: &Actor, organization: OrganizationId) -> Outcome<v1::FinancingProject> {
        let input = v1::CreateFinancingProjectInput {
            organization_id: organization.text(),
            title: "钠电池中试线".into(),
            teaser: "年产百兆瓦时".into(),
            details: "商业计划书".into(),
            kind: v1::FinancingKind::Equity.into(),
            amount: Some(Money(500)),
            field: TechnologyField::NewEnergy.into(),
            stage: Stage::Pilot.into(),
            region: "510100".into(),
        };
        outcome!(self.finance.create_financing_project(request(actor, input)), financing_project)
    }

    async fn publish(&self, actor: &Actor, id: &str) -> Outcome<v1::FinancingProject> {
        let input = v1::PublishFinancingProjectInput { financing_project_id: id.into() };
        outcome!(self.finance.publish_financing_project(request(actor, input)), financing_project)
    }

    async fn express(&self, actor: &Actor, project: &str, investor: &str, nda: bool) -> Outcome<v1::Interest> {
        let (financing_project_id, investor_id) = (project.into(), investor.into());
        let input = v1::ExpressInterestInput { financing_project_id, investor_id, accept_nda: nda };
        outcome!(self.finance.express_interest(request(actor, input)), interest)
    }

    async fn answer(&self, actor: &Actor, id: &str, reasons: Option<&[DeclineReason]>) -> Outcome<v1::Interest> {
        let input = v1::AnswerInterestInput {
            interest_id: id.into(),
            accept: reasons.is_none(),
            decline_reasons: reasons.unwrap_or_default().iter().map(|reason| (*reason).into()).collect(),
            note: Some("谢谢".into()),
        };
        outcome!(self.finance.answer_interest(request(actor, input)), interest)
    }

    async fn project(&self, actor: &Actor, id: &str) -> Option<v1::FinancingProject> {
        let wanted = v1::Ids { ids: vec![id.into()] };
        self.finance.get_financing_projects(request(actor, wanted)).await.unwrap().into_inner().items.pop()
    }

    async fn sees_investor(&self, actor: &Actor, id: &str) -> bool {
        let wanted = v1::Ids { ids: vec![id.into()] };
        !self.finance.get_investors(request(actor, wanted)).await.unwrap().into_inner().items.is_empty()
    }

    async fn interests(&self, actor: &Actor) -> v1::InterestPage {
        let page = Some(v1::Page { count: true, ..v1::Page::default() });
        let wanted = v1::ListInterestsRequest { page, ..Default::default() };
        self.finance.list_interests(request(actor, wanted)).await.unwrap().into_inner()
    }

    async fn readings(&self) -> usize {
        let audit = kernel::audit_page(&self.cx.db, SERVICE, None, Some(100), None).await.unwrap();
        audit.items.iter().filter(|event| event.kind == "FinancingDetailsRead").count()
    }
}

#[tokio::test]
async fn details_open_only_to_the_accepted_investor_and_each_reading_is_recorded() {
    let fair = fair().await;
    let owner_organization = OrganizationId::fresh();
    let owner = person(owner_organization, Role::Broker, false);
    let reviewer = staff(Role::Reviewer);
    let (investor, profile) = fair.verified(TechnologyField::NewEnergy).await;
    let (rival, rival_profile) = fair.verified(TechnologyField::NewEnergy).await;

    assert_eq!(fair.create(&rival, owner_organization).await, Err(ErrorCode::NotFound));
    let draft = fair.create(&owner, owner_organization).await.unwrap();
    assert_eq!(draft.details.as_deref(), Some("商业计划书"));
    let id = draft.id.as_str();
    assert!(fair.project(&investor, id).await.is_none() && fair.project(&Actor::default(), id).await.is_none());
    assert_eq!(fair.express(&investor, id, &profile.id, true).await, Err(ErrorCode::NotFound));
    assert_eq!(fair.publish(&investor, id).await, Err(ErrorCode::NotFound));
    assert_eq!(fair.publish(&owner, id).await, Err(ErrorCode::Forbidden));
    assert_eq!(fair.publish(&staff(Role::Cashier), id).await, Err(ErrorCode::Forbidden));
    let mut partial = reviewer.clone();
    partial.memberships.extend(owner.memberships.clone());
    assert_eq!(fair.publish(&partial, id).await, Err(ErrorCode::SamePerson));
    let open = fair.publish(&reviewer, id).await.unwrap();
    assert_eq!(open.status(), FinancingProjectStatus::Open);
    assert_eq!(fair.publish(&reviewer, id).await, Err(ErrorCode::IllegalTransition));
    for closed in [&Actor::default(), &investor, &staff(Role::Cashier)] {
        assert_eq!(fair.project(closed, id).await.unwrap().details, None);
    }
    for allowed in [&owner, &reviewer, &staff(Role::Auditor), &Actor::exchange()] {
        assert!(fair.project(allowed, id).await.unwrap().details.is_some());
    }

    assert!(!fair.sees_investor(&owner, &profile.id).await);
    let interest = fair.express(&investor, id, &profile.id, false).await.unwrap();
    assert!(fair.sees_investor(&owner, &profile.id).await && !fair.sees_investor(&rival, &profile.id).await);
    assert_eq!(fair.answer(&owner, &interest.id, None).await, Err(ErrorCode::NdaRequired));
    assert_eq!(fair.express(&rival, id, &profile.id, true).await, Err(ErrorCode::NotFound));
    let agreed = fair.express(&investor, id, &profile.id, true).await.unwrap();
    assert_eq!((agreed.id.as_str(), agreed.status()), (interest.id.as_str(), InterestStatus::NdaAccepted));
    assert_eq!(fair.answer(&investor, &interest.id, None).await, Err(ErrorCode::Forbidden));
    assert_eq!(fair.answer(&rival, &interest.id, None).await, Err(ErrorCode::NotFound));
    assert_eq!(fair.project(&investor, id).await.unwrap().details, None);
    assert_eq!(fair.answer(&owner, &interest.id, None).await.unwrap().status(), InterestStatus::Accepted);
    assert_eq!(fair.express(&investor, id, &profile.id, true).await, Err(ErrorCode::IllegalTransition));

    let rivals = fair.express(&rival, id, &rival_profile.id, true).await.unwrap();
    assert_eq!(fair.answer(&owner, &rivals.id, Some(&[])).await, Err(ErrorCode::DeclineReasonRequired));
    let declined = fair.answer(&owner, &rivals.id, Some(&[DeclineReason::Terms])).await.unwrap();
    assert_eq!(declined.decline_reasons, [i32::from(DeclineReason::Terms)]);
    assert_eq!(fair.project(&rival, id).await.unwrap().details, None);

    for (actor, count) in [(&owner, 2), (&investor, 1), (&rival, 1), (&reviewer, 2)] {
        let page = fair.interests(actor).await;
        assert_eq!((page.items.len(), page.end.unwrap().total), (count, Some(count as i64)));
    }

    assert_eq!(fair.readings().await, 0);
    assert!(fair.project(&investor, id).await.unwrap().details.is_some());
    assert_eq!(fair.readings().await, 1);
    let mut colleague = investor.clone();
    colleague.memberships[0].roles = vec![Role::Broker as i32];
    assert_eq!(fair.project(&colleague, id).await.unwrap().details, None);
    let listed = fair.finance.list_financing_projects(request(&investor, v1::ListFinancingProjectsRequest::default()));
    assert!(listed.await.unwrap().into_inner().items[0].details.is_some());
    assert_eq!(fair.readings().await, 2);
}

#[tokio::test]
async fn only_verified_investors_take_part_and_never_in_their_own_project() {
    let fair = fair().await;
    let organization = OrganizationId::fresh();
    let administrator = person(organization, Role::Administrator, false);
    let reviewer = staff(Role::Reviewer);
    assert_eq!(
        fair.apply(&staff(Role::Reviewer), organization, TechnologyField::Nuclear).await,
        Err(ErrorCode::NotFound)
    );
    let applied = fair.apply(&administrator, organization, TechnologyField::Nuclear).await.unwrap();
    let again = fair.apply(&administrator, organization, TechnologyField::Nuclear).await;
    assert_eq!(again, Err(ErrorCode::AlreadyExists));

    let project = fair.create(&administrator, organization).await.unwrap();
    fair.publish(&reviewer, &project.id).await.unwrap();
    let unverified = fair.express(&administrator, &project.id, &applied.id, true).await;
    assert_eq!(unverified, Err(ErrorCode::InvestorNotVerified));
    assert_eq!(fair.verify(&administrator, &applied.id, true).await, Err(ErrorCode::Forbidden));
    let mut partial = reviewer.clone();
    partial.memberships.extend(administrator.memberships.clone());
    assert_eq!(fair.verify(&partial, &applied.id, true).await, Err(ErrorCode::SamePerson));
    assert_eq!(fair.verify(&reviewer, &applied.id, true).await.unwrap().status(), InvestorStatus::Verified);
    assert_eq!(fair.verify(&reviewer, &applied.id, false).await, Err(ErrorCode::IllegalTransition));
    let own = fair.express(&administrator, &project.id, &applied.id, true).await;
    assert_eq!(own, Err(ErrorCode::OwnProject));
}

#[tokio::test]
async fn matches_are_found_from_both_sides() {
    let fair = fair().await;
    let organization = OrganizationId::fresh();
    let owner = person(organization, Role::Broker, false);
    let project = fair.create(&owner, organization).await.unwrap();
    let (energetic, in_field) = fair.verified(TechnologyField::NewEnergy).await;
    let (_, other_field) = fair.verified(TechnologyField::Nuclear).await;

    let find = |actor: Actor, investor: Option<&str>, project: Option<&str>, first: Option<i32>| {
        let (investor_id, financing_project_id) = (investor.map(str::to_owned), project.map(str::to_owned));
        let wanted = v1::FinancingMatchesRequest { investor_id, financing_project_id, first };
        let finance = &fair.finance;
        async move {
            let reply = finance.list_matches(request(&actor, wanted)).await;
            reply.map(|reply| reply.into_inner().items).map_err(|status| kernel::Error::from(status).code())
        }
    };
    let by_project = Some(project.id.as_str());
    let by_investor = Some(in_field.id.as_str());
    assert_eq!(find(owner.clone(), None, by_project, None).await, Err(ErrorCode::IllegalTransition));
    assert_eq!(find(energetic.clone(), by_investor, None, None).await, Ok(Vec::new()));
    fair.publish(&staff(Role::Reviewer), &project.id).await.unwrap();

    let matches = find(owner.clone(), None, by_project, None).await.unwrap();
    let scores: Vec<_> = matches.iter().map(|found| (found.investor_id.clone(), found.score)).collect();
    assert_eq!(scores, [(in_field.id.clone(), 100), (other_field.id.clone(), 60)]);
    assert!(!matches[1].reasons.contains(&MatchReason::Field.into()));
    assert_eq!(find(owner.clone(), None, by_project, Some(1)).await.unwrap().len(), 1);
    assert_eq!(find(energetic.clone(), by_investor, None, None).await.unwrap()[0].financing_project_id, project.id);
    assert_eq!(find(staff(Role::Cashier), by_investor, None, None).await.unwrap().len(), 1);

    assert_eq!(find(owner.clone(), by_investor, None, None).await, Err(ErrorCode::NotFound));
    assert_eq!(find(energetic.clone(), None, by_project, None).await, Err(ErrorCode::NotFound));
    assert_eq!(find(owner.clone(), by_investor, by_project, None).await, Err(ErrorCode::InvalidInput));
    assert_eq!(find(owner, None, by_project, Some(101)).await, Err(ErrorCode::InvalidInput));
}
