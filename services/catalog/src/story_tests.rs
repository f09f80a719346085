//! The catalog alone, on a database file of its own: what only the database can prove.

use std::sync::Arc;

use kernel::{ActingFor, Actor, Clock, Consumer, Context, Db, ErrorCode, Event, Id, Money, Peer, Role, Vault, local};
use tonic::{Request, service::Routes};
use wire::{
    id::OrganizationId,
    v1::{self, ImportRecord, ListingStatus, ReviewDecision, TransferApplicationStatus, catalog_client::CatalogClient},
};

use crate::stub::Registry;

const DAY: i64 = 86_400_000;

/// 2026-03-02, a Monday morning in China: the stories must not run out of the loaded calendar one day.
const START: i64 = 1_772_413_200_000;

pub struct Town {
    pub cx: Context,
    pub catalog: CatalogClient<Peer>,
    feed: Arc<dyn Consumer>,
    pub registry: Registry,
    pub university: OrganizationId,
    pub broker: Actor,
    pub reviewer: Actor,
    pub qualifier: Actor,
    pub dir: tempfile::TempDir,
}

pub fn person(name: &str, organization: OrganizationId, roles: &[Role], centre: bool) -> Actor {
    let membership = ActingFor {
        organization_id: organization.text(),
        roles: roles.iter().map(|role| *role as i32).collect(),
        centre,
        hub: centre,
        verified: true,
        ..ActingFor::default()
    };
    let person_id = format!("person_{name}");
    Actor { person_id, memberships: vec![membership], second_factor: true, ..Actor::default() }
}

pub async fn town() -> Town {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::connect(&format!("sqlite://{}/catalog.db", dir.path().display())).await.unwrap();
    migrations::migrate(&db).await.unwrap();
    let cx = Context::open("test", db, Clock::system(), Vault::development()).await.unwrap();
    cx.clock.set_offset(START - cx.clock.now().0);
    let (university, centre) = (OrganizationId::fresh(), OrganizationId::fresh());
    let registry = Registry::of(centre);
    let catalog = CatalogClient::new(local(Routes::new(crate::serve(cx.clone(), registry.clients()))));
    Town {
        feed: crate::consumer(cx.clone()),
        broker: person("broker", university, &[Role::Broker], false),
        reviewer: person("reviewer", centre, &[Role::Reviewer], true),
        qualifier: person("qualifier", centre, &[Role::Qualifier], true),
        cx,
        catalog,
        registry,
        university,
        dir,
    }
}

pub fn by<T>(actor: &Actor, message: T) -> Request<T> {
    let mut request = Request::new(message);
    actor.write(None, request.metadata_mut());
    request
}

/// The object of a payload, or the code of its refusal.
macro_rules! ask {
    ($town:expr, $rpc:ident, $actor:expr, $object:ident, $input:expr) => {{
        let reply = $town.catalog.clone().$rpc(by($actor, $input)).await.unwrap().into_inner();
        match reply.user_errors.first() {
            Some(refusal) => Err(refusal.error_code()),
            None => Ok(reply.$object.unwrap()),
        }
    }};
}

pub(crate) use ask;

impl Town {
    pub fn pass_days(&self, days: i64) {
        self.cx.clock.set_offset(self.cx.clock.offset() + days * DAY);
    }

    pub fn terms(&self) -> v1::CreateListingInput {
        v1::CreateListingInput {
            organization_id: self.university.text(),
            title: "固态电池 100%_新".into(),
            summary: "Solid-state Battery".into(),
            floor_price: Some(Money(50_000_000)),
            deposit: Some(Money(10_000_000)),
            increment: Some(Money(100_000)),
            disclosure_days: 5,
            free_seconds: 3_600,
            timed_seconds: 300,
            ..v1::CreateListingInput::default()
        }
    }

    pub async fn review(
        &self,
        actor: &Actor,
        listing_id: &str,
        decision: ReviewDecision,
    ) -> Result<v1::Listing, ErrorCode> {
        let input = v1::ReviewListingInput { listing_id: listing_id.into(), decision: decision.into(), note: None };
        ask!(self, review_listing, actor, listing, input)
    }

    pub async fn disclosed(&self) -> v1::Listing {
        self.disclosed_as(self.terms()).await
    }

    pub async fn disclosed_as(&self, input: v1::CreateListingInput) -> v1::Listing {
        let draft = ask!(self, create_listing, &self.broker, listing, input).unwrap();
        let input = v1::SubmitListingInput { listing_id: draft.id.clone() };
        ask!(self, submit_listing, &self.broker, listing, input).unwrap();
        self.review(&self.reviewer, &draft.id, ReviewDecision::Approve).await.unwrap()
    }

    pub async fn apply(&self, bidder: &Actor, listing_id: &str) -> Result<v1::TransferApplication, ErrorCode> {
        let organization_id = bidder.memberships[0].organization_id.clone();
        let input = v1::ApplyForTransferInput {
            listing_id: listing_id.into(),
            organization_id,
            ..v1::ApplyForTransferInput::default()
        };
        ask!(self, apply_for_transfer, bidder, transfer_application, input)
    }

    pub async fn qualify(&self, id: &str) -> Result<v1::TransferApplication, ErrorCode> {
        self.ranked(id, None).await
    }

    pub async fn ranked(&self, id: &str, rank: Option<i32>) -> Result<v1::TransferApplication, ErrorCode> {
        let input = v1::ReviewTransferApplicationInput {
            transfer_application_id: id.into(),
            approve: true,
            note: None,
            preemption_rank: rank,
        };
        ask!(self, review_transfer_application, &self.qualifier, transfer_application, input)
    }

    pub async fn eligible(&self, name: &str, listing_id: &str) -> (Actor, String) {
        let bidder = person(name, OrganizationId::fresh(), &[Role::Bidder], false);
        let application = self.apply(&bidder, listing_id).await.unwrap();
        self.qualify(&application.id).await.unwrap();
        let held = v1::DepositHeld { transfer_application_id: application.id.clone(), listing_id: listing_id.into() };
        self.deliver(&held).await.unwrap();
        (bidder, application.id)
    }

    pub async fn deliver<A: kernel::Announcement>(&self, announcement: &A) -> kernel::Result<()> {
        let event = Event {
            id: kernel::fresh_uuid(),
            service: "elsewhere".into(),
            kind: A::KIND.into(),
            subject: String::new(),
            actor: "exchange".into(),
            at: self.cx.clock.now(),
            facts: serde_json::to_string(announcement).unwrap(),
        };
        self.feed.receive(&event).await?;
        // The same event again changes nothing.
        self.feed.receive(&event).await
    }

    pub async fn listings(&self, actor: &Actor, wanted: v1::ListListingsRequest) -> Vec<v1::Listing> {
        self.catalog.clone().list_listings(by(actor, wanted)).await.unwrap().into_inner().items
    }

    pub async fn application(&self, actor: &Actor, id: &str) -> Option<v1::TransferApplication> {
        let wanted = v1::Ids { ids: vec![id.into()] };
        self.catalog.clone().get_transfer_applications(by(actor, wanted)).await.unwrap().into_inner().items.pop()
    }

    pub async fn status(&self, id: &str) -> ListingStatus {
        let wanted = v1::Ids { ids: vec![id.into()] };
        let found = self.catalog.clone().get_listings(by(&Actor::exchange(), wanted)).await.unwrap().into_inner();
        found.items[0].status()
    }
}

#[tokio::test]
async fn a_listing_goes_from_draft_to_settlement() {
    let town = town().await;
    let listing = town.disclosed().await;
    assert_eq!((listing.status(), listing.region.as_str()), (ListingStatus::Disclosed, "510100"));
    // Five working days after a Monday, at 17:00 in China.
    assert_eq!(listing.disclosure_ends_at.unwrap().to_string(), "2026-03-09T09:00:00.000Z");
    let [(first, a), (second, b)] = [town.eligible("a", &listing.id).await, town.eligible("b", &listing.id).await];
    assert_eq!(town.application(&first, &a).await.unwrap().bidder_code.as_deref(), Some("B01"));
    assert_eq!(town.application(&second, &b).await.unwrap().bidder_code.as_deref(), Some("B02"));
    for stranger in [&second, &town.broker, &Actor::default()] {
        assert_eq!(town.application(stranger, &a).await, None, "{stranger:?}");
    }

    let award =
        v1::AwardConfirmed { listing_id: listing.id.clone(), transfer_application_id: b.clone(), ..Default::default() };
    assert!(town.deliver(&award).await.is_err(), "early while the listing is disclosed");
    town.pass_days(30);
    let late = person("late", OrganizationId::fresh(), &[Role::Bidder], false);
    assert_eq!(town.apply(&late, &listing.id).await, Err(ErrorCode::ListingNotDisclosed));
    town.deliver(&award).await.unwrap();
    let scheduled = v1::BiddingScheduled { listing_id: listing.id.clone(), session_id: String::new() };
    town.deliver(&scheduled).await.unwrap();
    assert_eq!(town.status(&listing.id).await, ListingStatus::TransfereeFixed, "a late schedule changes nothing");
    let settled = v1::DealSettled { listing_id: listing.id.clone(), ..Default::default() };
    assert!(town.deliver(&settled).await.is_err(), "early before the contract");
    town.deliver(&v1::ContractSigned { listing_id: listing.id.clone(), ..Default::default() }).await.unwrap();
    town.deliver(&settled).await.unwrap();
    assert_eq!(town.status(&listing.id).await, ListingStatus::Settled);
    let status = async |actor: &Actor, id: &str| town.application(actor, id).await.unwrap().status();
    assert_eq!(status(&first, &a).await, TransferApplicationStatus::Refunded);
    assert_eq!(status(&second, &b).await, TransferApplicationStatus::Won);
}

#[tokio::test]
async fn an_unsold_listing_frees_its_bidders() {
    let town = town().await;
    let listing = town.disclosed().await;
    let (bidder, id) = town.eligible("a", &listing.id).await;
    town.pass_days(30);
    town.deliver(&v1::BiddingScheduled { listing_id: listing.id.clone(), ..Default::default() }).await.unwrap();
    assert_eq!(town.status(&listing.id).await, ListingStatus::Bidding);
    town.deliver(&v1::BiddingUnsold { listing_id: listing.id.clone(), ..Default::default() }).await.unwrap();
    assert_eq!(town.status(&listing.id).await, ListingStatus::Unsold);
    assert_eq!(town.application(&bidder, &id).await.unwrap().status(), TransferApplicationStatus::Lost);
}

#[tokio::test]
async fn the_wrong_people_are_refused() {
    use ErrorCode::*;
    let town = town().await;
    let draft = ask!(town, create_listing, &town.broker, listing, town.terms()).unwrap();
    let secret = v1::CreateListingInput { secret: true, ..town.terms() };
    assert_eq!(ask!(town, create_listing, &town.broker, listing, secret), Err(SecretNotAllowed));
    assert_eq!(ask!(town, create_listing, &town.reviewer, listing, town.terms()), Err(NotFound));
    let bidder = person("b", OrganizationId::fresh(), &[Role::Bidder, Role::Broker], false);
    let submit = v1::SubmitListingInput { listing_id: draft.id.clone() };
    assert_eq!(ask!(town, submit_listing, &bidder, listing, submit.clone()), Err(NotFound));
    assert_eq!(town.review(&bidder, &draft.id, ReviewDecision::Approve).await, Err(NotFound));
    assert_eq!(town.review(&town.broker, &draft.id, ReviewDecision::Approve).await, Err(Forbidden));
    assert_eq!(town.review(&town.reviewer, &draft.id, ReviewDecision::Approve).await, Err(IllegalTransition));
    assert_eq!(town.apply(&bidder, &draft.id).await, Err(NotFound));

    ask!(town, submit_listing, &town.broker, listing, submit).unwrap();
    let mut insider = town.reviewer.clone();
    insider.memberships.extend(town.broker.memberships.clone());
    assert_eq!(town.review(&insider, &draft.id, ReviewDecision::Approve).await, Err(SamePerson));
    let author = Actor { person_id: town.broker.person_id.clone(), ..town.reviewer.clone() };
    assert_eq!(town.review(&author, &draft.id, ReviewDecision::Approve).await, Err(SamePerson));
    assert_eq!(town.review(&town.reviewer, &draft.id, ReviewDecision::Return).await, Err(Required));
    town.review(&town.reviewer, &draft.id, ReviewDecision::Approve).await.unwrap();

    let own = person("own", town.university, &[Role::Bidder], false);
    assert_eq!(town.apply(&own, &draft.id).await, Err(OwnListing));
    let mut through = bidder.clone();
    through.memberships.extend(own.memberships.clone());
    assert_eq!(town.apply(&through, &draft.id).await, Err(OwnListing));
    let application = town.apply(&bidder, &draft.id).await.unwrap();
    assert_eq!(town.apply(&bidder, &draft.id).await, Err(AlreadyApplied));
    town.pass_days(30);
    town.qualify(&application.id).await.expect("also shortly after the period");
    assert_eq!(town.qualify(&application.id).await, Err(IllegalTransition));
}

#[tokio::test]
async fn lists_follow_the_clock_and_the_caller() {
    let town = town().await;
    let [open, draft] =
        [town.disclosed().await, ask!(town, create_listing, &town.broker, listing, town.terms()).unwrap()];
    let everyone = Actor::default();
    let ids = |found: Vec<v1::Listing>| found.into_iter().map(|listing| listing.id).collect::<Vec<_>>();
    let at = |status: ListingStatus| v1::ListListingsRequest { status: Some(status.into()), ..Default::default() };
    let saying = |words: &str| v1::ListListingsRequest { search: Some(words.into()), ..Default::default() };
    assert_eq!(ids(town.listings(&everyone, Default::default()).await), std::slice::from_ref(&open.id));
    assert_eq!(ids(town.listings(&town.broker, Default::default()).await), [draft.id.clone(), open.id.clone()]);
    assert!(town.listings(&everyone, at(ListingStatus::Draft)).await.is_empty());
    for (words, found) in [("电池", 1), ("BATTERY", 1), ("100%_新", 1), ("1%新", 0), ("_态", 0), (" ", 1), ("\\", 0)]
    {
        assert_eq!(town.listings(&everyone, saying(words)).await.len(), found, "{words}");
    }
    for (days, status, other) in [
        (0, ListingStatus::Disclosed, ListingStatus::PeriodEnded),
        (30, ListingStatus::PeriodEnded, ListingStatus::Disclosed),
    ] {
        town.pass_days(days);
        let found = town.listings(&everyone, at(status)).await;
        assert_eq!(found.iter().map(|listing| listing.status()).collect::<Vec<_>>(), [status]);
        assert!(town.listings(&everyone, at(other)).await.is_empty());
    }
}

#[tokio::test]
async fn an_import_may_be_sent_again_and_one_bad_record_spoils_no_other() {
    let town = town().await;
    let record = |id: &str, terms| ImportRecord {
        source: "patents".into(),
        source_id: id.into(),
        title: format!("成果 {id}"),
        summary: "摘要".into(),
        keywords: vec!["电池".into()],
        field: Some(v1::TechnologyField::NewEnergy.into()),
        terms,
        ..ImportRecord::default()
    };
    let terms = v1::ImportTerms {
        floor_price: Some(Money(10_000_000)),
        deposit: Some(Money(1_000_000)),
        increment: Some(Money(10_000)),
        disclosure_days: 0,
    };
    let bad = ImportRecord { title: String::new(), ..record("2", None) };
    let records = vec![record("1", Some(terms)), bad, record("3", None), record("1", Some(terms))];
    let request = v1::ImportRequest { organization_id: town.university.text(), records };
    let send = async |actor: &Actor| {
        town.catalog.clone().import(by(actor, request.clone())).await.map(|reply| reply.into_inner().outcomes)
    };
    assert!(send(&town.reviewer).await.is_err());
    let first = send(&town.broker).await.unwrap();
    assert_eq!(first.iter().map(|o| o.created).collect::<Vec<_>>(), [true, false, true, false]);
    assert_eq!(first[1].refusal.as_ref().unwrap().error_code(), ErrorCode::Required);
    assert!(first[0].listing_id.is_some() && first[2].listing_id.is_none());
    assert_eq!((&first[3].achievement_id, &first[3].listing_id), (&first[0].achievement_id, &first[0].listing_id));
    let again = send(&Actor::exchange()).await.unwrap();
    assert!(again.iter().all(|outcome| !outcome.created));
    assert_eq!((&again[0].achievement_id, &again[0].listing_id), (&first[0].achievement_id, &first[0].listing_id));
    assert_eq!(town.listings(&town.broker, Default::default()).await.len(), 1);
    let submit = v1::SubmitListingInput { listing_id: first[0].listing_id.clone().unwrap() };
    ask!(town, submit_listing, &town.broker, listing, submit).unwrap();
}
