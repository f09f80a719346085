//! Mandates and conflicts on a temporary SQLite file: what the other services' events and the exchange's own question
//! do, which no client can ask.

use std::sync::Arc;

use kernel::{
    Actor, Announcement, Call, Clock, Consumer, Context, Db, ErrorCode, Event, Id, Instant, Money, Role, Vault, local,
};
use tonic::service::Routes;
use wire::{
    id::ListingId,
    v1::{self, CredentialStatus, MandateStatus, OrganizationKind, brokerage_client::BrokerageClient},
};

use super::acting;
use crate::{Entrance, SeedOrganization, SeedPerson, organization::seed::seed, store};

const DAY: i64 = 86_400;

struct Town {
    cx: Context,
    brokerage: BrokerageClient<kernel::Peer>,
    sales: Arc<dyn Consumer>,
    _folder: tempfile::TempDir,
}

/// A centre, a university, an agency and a company, each person with the login that its roles suggest.
async fn town() -> Town {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::connect(&format!("sqlite://{}/identity.db", folder.path().display())).await.unwrap();
    migrations::migrate(&db).await.unwrap();
    let cx = Context::open("identity", db, Clock::system(), Vault::development()).await.unwrap();
    use OrganizationKind::{Enterprise, ExchangeCentre, TransferAgency, University};
    let houses = [
        house(
            ExchangeCentre,
            "121200004013590816",
            &[("reviewer", &[Role::Reviewer]), ("other", &[Role::Reviewer]), ("third", &[Role::Reviewer])],
        ),
        house(University, "12100000400000624D", &[("dean", &[Role::Administrator])]),
        house(TransferAgency, "91510100MADEM0001U", &[("boss", &[Role::Administrator]), ("broker", &[Role::Broker])]),
        house(Enterprise, "91510100MADEM00032", &[("buyer", &[Role::Administrator, Role::Bidder])]),
    ];
    seed(&cx, &houses).await.unwrap();
    let brokerage =
        BrokerageClient::new(local(crate::serve(cx.clone(), crate::nobody(), Entrance::default(), Routes::default())));
    Town { brokerage, sales: crate::consumer(cx.clone()), cx, _folder: folder }
}

fn house(kind: OrganizationKind, usci: &str, people: &[(&str, &[Role])]) -> SeedOrganization {
    let person = |(login, roles): &(&str, &[Role])| SeedPerson {
        login: (*login).into(),
        password: "correct horse battery".into(),
        name: "张三".into(),
        roles: roles.to_vec(),
        second_factor: None,
    };
    SeedOrganization {
        name: format!("示例机构{usci}"),
        kind,
        usci: usci.into(),
        region: "510100".into(),
        legal_representative: "李四".into(),
        industry: "M73".into(),
        tier: None,
        centre: None,
        members: people.iter().map(person).collect(),
    }
}

/// The object of a payload, or the code of its refusal.
macro_rules! ask {
    ($town:expr, $rpc:ident, $actor:expr, $object:ident, $input:expr) => {{
        let reply = $town.brokerage.clone().$rpc($actor.asks($input)).await.unwrap().into_inner();
        match reply.user_errors.first() {
            Some(refusal) => Err(refusal.error_code()),
            None => Ok(reply.$object.unwrap()),
        }
    }};
}

impl Town {
    /// Who is behind a login, with all places, as `authenticate` says it.
    async fn actor(&self, login: &str) -> Actor {
        let db = self.cx.db.read();
        let person = store::person_by_login(db, &self.cx.vault, login).await.unwrap().unwrap().id;
        let mut memberships = store::places(db, person).await.unwrap();
        memberships.extend(acting::places(db, person, self.cx.clock.now(), &memberships).await.unwrap());
        Actor { person_id: person.text(), memberships, second_factor: true, ..Actor::default() }
    }

    /// The organization of a person who has one.
    async fn home(&self, login: &str) -> String {
        self.actor(login).await.memberships[0].organization_id.clone()
    }

    async fn certified(&self, days: i64) -> Result<v1::BrokerCredential, ErrorCode> {
        let now = self.cx.clock.now();
        let input = v1::RegisterBrokerCredentialInput {
            level: v1::BrokerLevel::Senior.into(),
            number: format!("TB-{}", kernel::fresh_uuid()),
            issuer: "省技术市场协会".into(),
            issued_at: Some(now.plus_seconds(-DAY)),
            expires_at: Some(now.plus_seconds(days * DAY)),
            organization_id: self.home("broker").await,
        };
        let credential = ask!(self, register_broker_credential, self.actor("broker").await, broker_credential, input)?;
        self.review("reviewer", &credential.id, CredentialStatus::Certified).await
    }

    async fn review(&self, login: &str, id: &str, status: CredentialStatus) -> Result<v1::BrokerCredential, ErrorCode> {
        let input = v1::ReviewBrokerCredentialInput {
            broker_credential_id: id.into(),
            status: status.into(),
            evidence: "证书已核".into(),
        };
        ask!(self, review_broker_credential, self.actor(login).await, broker_credential, input)
    }

    async fn active(&self) -> v1::Mandate {
        let broker = self.actor("broker").await;
        let input = v1::OfferMandateInput {
            principal_id: self.home("dean").await,
            agency_id: self.home("broker").await,
            broker_id: broker.person_id.clone(),
            commission_basis_points: 333,
            expenses: String::new(),
            valid_until: Some(self.cx.clock.now().plus_seconds(100 * DAY)),
        };
        let mandate = ask!(self, offer_mandate, self.actor("dean").await, mandate, input).unwrap();
        let input = v1::AnswerMandateInput { mandate_id: mandate.id, accept: true };
        ask!(self, answer_mandate, broker, mandate, input).unwrap()
    }

    async fn end(&self, mandate: &v1::Mandate) -> Result<v1::Mandate, ErrorCode> {
        let input = v1::EndMandateInput { mandate_id: mandate.id.clone(), reason: "另寻买家".into() };
        ask!(self, end_mandate, self.actor("dean").await, mandate, input)
    }

    async fn mandate(&self, id: &str) -> v1::Mandate {
        let ids = v1::Ids { ids: vec![id.into()] };
        let found = self.brokerage.clone().get_mandates(Actor::exchange().asks(ids)).await.unwrap().into_inner();
        found.items[0].clone()
    }

    /// Delivers an event twice, and what it tells once more as another event.
    async fn told<A: Announcement>(&self, told: &A) {
        let event = |id| Event {
            id,
            service: "catalog".into(),
            kind: A::KIND.into(),
            subject: String::new(),
            actor: "exchange".into(),
            at: self.cx.clock.now(),
            facts: serde_json::to_string(told).unwrap(),
        };
        let first = kernel::fresh_uuid();
        for id in [first, first, kernel::fresh_uuid()] {
            self.sales.receive(&event(id)).await.unwrap();
        }
    }

    async fn mandated(&self, mandate: &v1::Mandate, listing: &str) {
        let told = v1::ListingMandated { mandate_id: mandate.id.clone(), listing_id: listing.into() };
        self.told(&told).await;
    }

    async fn awarded(&self, listing: &str, price: i64) {
        let (listing_id, price) = (listing.into(), Some(Money(price)));
        self.told(&v1::AwardConfirmed { listing_id, price, ..Default::default() }).await;
    }

    async fn settled(&self, listing: &str) {
        self.told(&v1::DealSettled { listing_id: listing.into(), ..Default::default() }).await;
    }

    /// Whether somebody stands on both sides if the applicant acquires from the transferor.
    async fn conflict(&self, applicant: &str, transferor: &str) -> bool {
        let request = v1::FindConflictsRequest {
            applicant_id: applicant.into(),
            transferor_id: transferor.into(),
            centre_id: self.home("reviewer").await,
            in_force_at: None,
        };
        let asked = Actor::exchange().asks(request);
        self.brokerage.clone().find_conflicts(asked).await.unwrap().into_inner().conflict
    }

    async fn join(&self, login: &str, house: &str, role: Role) {
        let call = Call::begin(&self.cx, Actor::exchange()).await.unwrap();
        let person = store::person_by_login(&call.tx, &self.cx.vault, login).await.unwrap().unwrap().id;
        let house = kernel::Id::parse(house, "").unwrap();
        store::member::put_member(&call.tx, person, house, &[role], store::member::Earlier::Replaced).await.unwrap();
        call.commit().await.unwrap();
    }
}

fn fresh_listing() -> String {
    ListingId::fresh().text()
}

#[tokio::test]
async fn brokerage_follows_the_sale_in_whatever_order_it_is_told() {
    let town = town().await;
    town.certified(1_000).await.unwrap();
    for order in 0..6 {
        let (mandate, listing) = (town.active().await, fresh_listing());
        let steps: [[u8; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        for step in steps[order] {
            match step {
                0 => town.mandated(&mandate, &listing).await,
                1 => town.awarded(&listing, 50_000_001).await,
                _ => town.settled(&listing).await,
            }
        }
        let read = town.mandate(&mandate.id).await;
        assert_eq!(read.status(), MandateStatus::CommissionDue, "{:?}", steps[order]);
        assert_eq!((read.listing_id, read.commission), (Some(listing), Some(Money(1_665_000))), "rounded down");
    }
    // Other people's listings are sold without a mandate.
    let listing = fresh_listing();
    town.awarded(&listing, 1).await;
    town.settled(&listing).await;
}

#[tokio::test]
async fn brokerage_owes_nothing_without_a_deal() {
    let town = town().await;
    town.certified(1_000).await.unwrap();
    let (mandate, listing) = (town.active().await, fresh_listing());
    town.mandated(&mandate, &listing).await;
    town.mandated(&mandate, &fresh_listing()).await;
    assert_eq!(town.mandate(&mandate.id).await.listing_id, Some(listing.clone()), "one mandate, one listing");
    let ended = town.end(&mandate).await.unwrap();
    assert_eq!((ended.status(), ended.commission), (MandateStatus::Ended, None));
    town.awarded(&listing, 50_000_000).await;
    town.settled(&listing).await;
    assert_eq!(town.mandate(&mandate.id).await, ended);

    let (mandate, listing) = (town.active().await, fresh_listing());
    town.mandated(&mandate, &listing).await;
    town.awarded(&listing, 50_000_000).await;
    assert_eq!(town.end(&mandate).await.unwrap_err(), ErrorCode::IllegalTransition, "it is owed");
    let unknown = v1::ListingMandated { mandate_id: wire::id::MandateId::fresh().text(), listing_id: listing };
    let facts = serde_json::to_string(&unknown).unwrap();
    let (id, kind) = (kernel::fresh_uuid(), v1::ListingMandated::KIND.into());
    let (service, subject, actor, at) = ("catalog".into(), String::new(), String::new(), Instant(0));
    let event = Event { id, service, kind, subject, actor, at, facts };
    assert_eq!(town.sales.receive(&event).await.unwrap_err().code(), ErrorCode::Unavailable, "comes again");
}

#[tokio::test]
async fn brokerage_lets_a_broker_act_while_mandate_and_credential_are_in_date() {
    let town = town().await;
    let credential = town.certified(50).await.unwrap();
    let university = town.home("dean").await;
    let acts = async || town.actor("broker").await.acts_for(&university);
    assert!(!acts().await);
    let mandate = town.active().await;
    let broker = town.actor("broker").await;
    assert!(broker.acts_for(&university) && !broker.is_member(&university));
    let place = &broker.memberships[1];
    assert_eq!((place.mandate_id.as_str(), place.verified, &place.roles), (mandate.id.as_str(), true, &vec![1]));
    // Acting for the principal opens nothing that does not ask for the mandate.
    assert!(broker.require_role(&university, &[Role::Broker], "organizationId").is_err());
    assert!(!town.actor("boss").await.acts_for(&university), "the broker, not the agency");
    for (login, sees) in [("dean", 1), ("boss", 1), ("broker", 1), ("reviewer", 1), ("buyer", 0)] {
        let ids = town.actor(login).await.asks(v1::Ids { ids: vec![mandate.id.clone()] });
        let found = town.brokerage.clone().get_mandates(ids).await.unwrap().into_inner().items;
        assert_eq!(found.len(), sees, "{login}");
    }

    for (status, expected) in [(CredentialStatus::Suspended, false), (CredentialStatus::Certified, true)] {
        town.review("reviewer", &credential.id, status).await.unwrap();
        assert_eq!(acts().await, expected, "{status:?}");
    }
    let agency = town.home("boss").await;
    for (role, expected) in [(Role::Bidder, false), (Role::Broker, true)] {
        town.join("broker", &agency, role).await;
        assert_eq!(acts().await, expected, "{role:?} of the agency");
    }
    town.cx.clock.set_offset(51 * DAY * 1_000);
    assert!(!acts().await, "the credential has expired");
    town.certified(1_000).await.unwrap();
    assert!(acts().await);
    town.cx.clock.set_offset(101 * DAY * 1_000);
    assert!(!acts().await, "the mandate has expired");
    town.cx.clock.set_offset(0);
    town.end(&mandate).await.unwrap();
    assert!(!acts().await);
}

#[tokio::test]
async fn brokerage_credentials_are_judged_by_others() {
    let town = town().await;
    let credential = town.certified(50).await.unwrap();
    assert_eq!(town.review("buyer", &credential.id, CredentialStatus::Revoked).await, Err(ErrorCode::NotFound));
    assert_eq!(town.review("broker", &credential.id, CredentialStatus::Revoked).await, Err(ErrorCode::Forbidden));
    let (agency, centre) = (town.home("boss").await, town.home("reviewer").await);
    town.join("other", &agency, Role::Bidder).await;
    assert_eq!(town.review("other", &credential.id, CredentialStatus::Revoked).await, Err(ErrorCode::SamePerson));
    town.join("broker", &centre, Role::Reviewer).await;
    assert_eq!(town.review("broker", &credential.id, CredentialStatus::Suspended).await, Err(ErrorCode::SamePerson));
    assert!(town.review("reviewer", &credential.id, CredentialStatus::Revoked).await.is_ok());
}

#[tokio::test]
async fn brokerage_finds_who_stands_on_both_sides() {
    let town = town().await;
    let (university, company, agency) = (town.home("dean").await, town.home("buyer").await, town.home("boss").await);
    let centre = town.home("reviewer").await;
    assert!(!town.conflict(&company, &university).await);

    for (one, other) in [(&university, &company), (&company, &university)] {
        let input = v1::DeclareConflictInput {
            organization_id: one.clone(),
            other_organization_id: other.clone(),
            nature: "控股子公司".into(),
        };
        let declared =
            ask!(town, declare_conflict, town.actor("reviewer").await, conflict_of_interest, input.clone()).unwrap();
        let again = ask!(town, declare_conflict, town.actor("buyer").await, conflict_of_interest, input);
        assert_eq!(again.unwrap_err(), ErrorCode::AlreadyExists);
        // What the staff only says bars nobody; a second person's look at the evidence bars both.
        assert!(!town.conflict(&company, &university).await && !town.conflict(&university, &company).await);
        let confirm =
            v1::ConfirmConflictInput { conflict_of_interest_id: declared.id.clone(), evidence: "工商档案".into() };
        let own = ask!(town, confirm_conflict, town.actor("reviewer").await, conflict_of_interest, confirm.clone());
        assert_eq!(own.unwrap_err(), ErrorCode::SamePerson);
        let confirmed = ask!(town, confirm_conflict, town.actor("other").await, conflict_of_interest, confirm.clone());
        assert_eq!(confirmed.unwrap().status(), v1::ConflictStatus::Confirmed);
        let again = ask!(town, confirm_conflict, town.actor("third").await, conflict_of_interest, confirm);
        assert_eq!(again.unwrap_err(), ErrorCode::IllegalTransition);
        assert!(town.conflict(&company, &university).await && town.conflict(&university, &company).await);
        assert!(!town.conflict(&company, &agency).await);
        let lift = v1::LiftConflictInput { conflict_of_interest_id: declared.id, reason: "股权已转让".into() };
        for involved in ["reviewer", "other"] {
            let own = ask!(town, lift_conflict, town.actor(involved).await, conflict_of_interest, lift.clone());
            assert_eq!(own.unwrap_err(), ErrorCode::SamePerson, "{involved}");
        }
        assert!(ask!(town, lift_conflict, town.actor("third").await, conflict_of_interest, lift).is_ok());
        assert!(!town.conflict(&company, &university).await);
    }

    // A party binds itself, and nobody else.
    let own = v1::DeclareConflictInput {
        organization_id: company.clone(),
        other_organization_id: university.clone(),
        nature: "控股子公司".into(),
    };
    let own = ask!(town, declare_conflict, town.actor("buyer").await, conflict_of_interest, own).unwrap();
    assert_eq!(own.declarer_id.as_ref(), Some(&company));
    assert!(town.conflict(&company, &university).await && !town.conflict(&university, &company).await);
    let lift = v1::LiftConflictInput { conflict_of_interest_id: own.id, reason: "股权已转让".into() };
    assert!(ask!(town, lift_conflict, town.actor("third").await, conflict_of_interest, lift).is_ok());

    // A person on both sides, whatever the role on the selling one.
    town.join("buyer", &university, Role::Investor).await;
    assert!(town.conflict(&company, &university).await);
    assert!(!town.conflict(&agency, &university).await);
    // The centre's staff.
    assert!(!town.conflict(&agency, &company).await);
    town.join("boss", &centre, Role::Cashier).await;
    assert!(town.conflict(&agency, &company).await);
    town.join("boss", &centre, Role::Broker).await;
    assert!(!town.conflict(&agency, &company).await);
    // The transferor's broker, and the broker's agency.
    town.certified(50).await.unwrap();
    let mandate = town.active().await;
    assert!(town.conflict(&agency, &university).await);
    assert!(!town.conflict(&agency, &company).await);
    town.end(&mandate).await.unwrap();
    assert!(!town.conflict(&agency, &university).await);
    let asked = v1::FindConflictsRequest {
        applicant_id: agency,
        transferor_id: university,
        centre_id: centre,
        in_force_at: None,
    };
    let stranger = town.actor("buyer").await.asks(asked.clone());
    assert!(town.brokerage.clone().find_conflicts(stranger).await.is_err());
    let staff = town.actor("reviewer").await.asks(asked);
    assert!(town.brokerage.clone().find_conflicts(staff).await.is_ok());
}
