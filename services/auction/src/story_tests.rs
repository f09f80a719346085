//! Who may schedule, bid, quote and confirm, on a database of their own.

use kernel::{ActingFor, Actor, Db, ErrorCode, Id, Money, Peer, Role, audit_page};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;
use wire::{
    id::OrganizationId,
    v1::{self, AwardStatus, auction_client::AuctionClient},
};

use crate::{fence_tests::context, stub::World};

struct Room {
    db: Db,
    clock: kernel::Clock,
    auction: AuctionClient<Peer>,
    world: World,
    centre: OrganizationId,
    bidders: Vec<OrganizationId>,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn room(bidders: usize) -> Room {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("t.db").display());
    migrations::migrate(&Db::connect(&url).await.unwrap()).await.unwrap();
    let cx = context(&url).await;
    let [transferor, centre] = [OrganizationId::fresh(), OrganizationId::fresh()];
    let bidders: Vec<_> = (0..bidders).map(|_| OrganizationId::fresh()).collect();
    let world = World::of(transferor, centre, &bidders);
    let (db, clock, stop) = (cx.db.clone(), cx.clock.clone(), CancellationToken::new());
    let routes = crate::serve(cx, world.clients(), (TaskTracker::new(), stop.clone()), Routes::default());
    let auction = AuctionClient::new(kernel::local(routes));
    Room { db, clock, auction, world, centre, bidders, stop, _folder: folder }
}

fn person(name: &str, organization: &str, role: Role) -> Actor {
    let membership = ActingFor {
        organization_id: organization.to_owned(),
        roles: vec![role.into()],
        verified: true,
        ..ActingFor::default()
    };
    let person_id = format!("person_{name}");
    Actor { person_id, memberships: vec![membership], second_factor: true, ..Actor::default() }
}

fn staff(name: &str, role: Role, reaches: OrganizationId) -> Actor {
    let mut actor = person(name, &OrganizationId::fresh().text(), role);
    for place in &mut actor.memberships {
        (place.centre, place.centres) = (true, vec![reaches.text()]);
    }
    actor
}

fn both(one: &Actor, other: &Actor) -> Actor {
    Actor { memberships: [one, other].iter().flat_map(|actor| actor.memberships.clone()).collect(), ..one.clone() }
}

/// The object of a payload, or the code of its refusal.
macro_rules! ask {
    ($room:expr, $rpc:ident, $actor:expr, $object:ident, $input:expr) => {{
        let reply = $room.auction.clone().$rpc($actor.asks($input)).await.unwrap().into_inner();
        match reply.user_errors.first() {
            Some(refusal) => Err(refusal.error_code()),
            None => Ok(reply.$object.unwrap()),
        }
    }};
}

impl Room {
    fn bidder(&self, n: usize) -> Actor {
        person(&format!("bidder{n}"), &self.bidders[n].text(), Role::Bidder)
    }

    fn insider(&self) -> Actor {
        person("insider", &self.world.listing.organization_id, Role::Signatory)
    }

    async fn schedule(&self, actor: &Actor) -> Result<v1::BiddingSession, ErrorCode> {
        let starts_at = Some(self.clock.now().plus_seconds(60));
        let input = v1::ScheduleBiddingInput {
            listing_id: self.world.listing.id.clone(),
            starts_at,
            sealed_keys: Vec::new(),
            ..Default::default()
        };
        ask!(self, schedule_bidding, actor, bidding_session, input)
    }

    async fn bid(&self, actor: &Actor, session: &v1::BiddingSession, bidder: usize) -> Result<v1::Bid, ErrorCode> {
        let amount = Some(Money(100 + i64::try_from(bidder).unwrap()));
        let organization_id = self.bidders[bidder].text();
        let input = v1::PlaceBidInput { session_id: session.id.clone(), organization_id, amount };
        ask!(self, place_bid, actor, bid, input)
    }

    async fn quote(&self, actor: &Actor, bidder: usize) -> Result<v1::Award, ErrorCode> {
        let (listing_id, organization_id) = (self.world.listing.id.clone(), self.bidders[bidder].text());
        let input = v1::QuoteAsSoleBidderInput { listing_id, organization_id, price: Some(Money(100)) };
        ask!(self, quote_as_sole_bidder, actor, award, input)
    }

    async fn confirm(&self, actor: &Actor, award: &v1::Award) -> Result<v1::Award, ErrorCode> {
        ask!(self, confirm_award, actor, award, v1::ConfirmAwardInput { award_id: award.id.clone() })
    }

    async fn sees_award(&self, actor: &Actor) -> bool {
        let wanted = v1::GetAwardsRequest { ids: Vec::new(), listing_ids: vec![self.world.listing.id.clone()] };
        !self.auction.clone().get_awards(actor.asks(wanted)).await.unwrap().into_inner().items.is_empty()
    }

    fn shut_out(&self, bidder: usize) {
        self.world.conflicts.lock().unwrap().push(self.bidders[bidder].text());
    }
}

#[tokio::test]
async fn whoever_stands_on_both_sides_is_shut_out_of_the_session_and_of_bidding() {
    use ErrorCode::{ConflictOfInterest, Forbidden, NotFound, OwnListing};
    let room = room(3).await;
    let qualifier = staff("qualifier", Role::Qualifier, room.centre);
    room.shut_out(2);
    assert_eq!(room.schedule(&staff("far", Role::Qualifier, OrganizationId::fresh())).await, Err(NotFound));
    assert_eq!(room.schedule(&staff("clerk", Role::HallClerk, room.centre)).await, Err(Forbidden));
    let session = room.schedule(&qualifier).await.unwrap();
    assert_eq!((session.bidder_count, &session.centre_id), (Some(2), &room.centre.text()));
    let application = &room.world.applications[2].id;
    let trail = audit_page(&room.db, "auction", Some(application), Some(10), None).await.unwrap();
    assert_eq!(trail.items.iter().map(|record| record.kind.as_str()).collect::<Vec<_>>(), ["BidderShutOut"]);

    room.clock.set_offset(room.clock.offset() + 61_000);
    assert_eq!(room.bid(&room.bidder(2), &session, 2).await, Err(ConflictOfInterest));
    let clerk = staff("clerk", Role::HallClerk, room.centre);
    let rests = Actor { second_factor: false, ..both(&room.bidder(0), &clerk) };
    let mut broker = room.insider();
    broker.memberships[0].mandate_id = "mandate_1".into();
    for (other, code) in [(&clerk, ConflictOfInterest), (&broker, ConflictOfInterest), (&room.insider(), OwnListing)] {
        assert_eq!(room.bid(&both(&room.bidder(0), other), &session, 0).await, Err(code), "{other:?}");
    }
    assert_eq!(room.bid(&rests, &session, 0).await, Err(ConflictOfInterest));
    room.bid(&both(&room.bidder(0), &staff("far", Role::HallClerk, OrganizationId::fresh())), &session, 0)
        .await
        .unwrap();
    room.bid(&room.bidder(1), &session, 1).await.unwrap();
}

#[tokio::test]
async fn an_award_is_for_its_parties_and_its_centre() {
    use ErrorCode::{ConflictOfInterest, Forbidden, NotFound, NotSoleBidder, OwnListing, SamePerson};
    let room = room(2).await;
    let buyer = room.bidder(0);
    assert_eq!(room.quote(&buyer, 0).await, Err(NotSoleBidder));
    room.shut_out(1);
    assert_eq!(room.quote(&room.bidder(1), 1).await, Err(ConflictOfInterest));
    let [near, second] = [Role::Reviewer, Role::Qualifier].map(|role| staff(&format!("{role:?}"), role, room.centre));
    let far = staff("far", Role::Reviewer, OrganizationId::fresh());
    assert_eq!(room.quote(&both(&buyer, &near), 0).await, Err(ConflictOfInterest));
    assert_eq!(room.quote(&both(&buyer, &room.insider()), 0).await, Err(OwnListing));
    let award = room.quote(&buyer, 0).await.unwrap();
    assert_eq!(award.centre_id, room.centre.text());

    let mut broker = room.insider();
    broker.memberships[0].mandate_id = "mandate_1".into();
    let half = Actor { second_factor: false, ..near.clone() };
    for (actor, sees) in [
        (&buyer, true),
        (&room.insider(), true),
        (&near, true),
        (&Actor::exchange(), true),
        (&far, false),
        (&half, false),
        (&broker, false),
        (&room.bidder(1), false),
        (&Actor::default(), false),
    ] {
        assert_eq!(room.sees_award(actor).await, sees, "{actor:?}");
    }
    assert_eq!(room.confirm(&far, &award).await, Err(NotFound));
    assert_eq!(room.confirm(&half, &award).await, Err(NotFound));
    assert_eq!(room.confirm(&buyer, &award).await, Err(Forbidden));
    assert_eq!(room.confirm(&both(&near, &broker), &award).await, Err(SamePerson));
    assert_eq!(room.confirm(&near, &award).await.unwrap().status(), AwardStatus::HalfConfirmed);
    assert_eq!(room.confirm(&near, &award).await, Err(SamePerson));
    assert_eq!(room.confirm(&second, &award).await.unwrap().status(), AwardStatus::Confirmed);
}
