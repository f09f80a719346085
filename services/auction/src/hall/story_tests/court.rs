//! The hall in which the stories happen.

use ed25519_dalek::{Signer, SigningKey};
use futures::future::join_all;
use kernel::{ActingFor, Actor, Clock, Db, ErrorCode, Id, Instant, Money, Peer, Role};
use prost::Message;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;
use wire::{
    id::OrganizationId,
    v1::{self, BidOrigin, CloseRule, auction_client::AuctionClient, hall_client::HallClient},
};

use crate::{
    fence_tests::context,
    hall::{entry, journal::Line},
    stub::World,
};

/// The object of a payload, or the code of its refusal.
macro_rules! ask {
    ($client:expr, $rpc:ident, $actor:expr, $object:ident, $input:expr) => {{
        let reply = $client.clone().$rpc($actor.asks($input)).await.unwrap().into_inner();
        match reply.user_errors.first() {
            Some(refusal) => Err(refusal.error_code()),
            None => Ok(reply.$object.unwrap()),
        }
    }};
}
pub(super) use ask;

pub struct Court {
    pub db: Db,
    pub clock: Clock,
    pub auction: AuctionClient<Peer>,
    pub hall: HallClient<Peer>,
    pub centre: OrganizationId,
    pub bidders: Vec<OrganizationId>,
    /// The lot.
    pub lot: String,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Drop for Court {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A terminal with its own journal.
pub struct Terminal {
    pub id: String,
    key: SigningKey,
    pub lines: Vec<v1::JournalLineInput>,
}

fn person(name: &str, organization: OrganizationId, role: Role) -> Actor {
    let place = ActingFor {
        organization_id: organization.text(),
        roles: vec![role.into()],
        verified: true,
        ..ActingFor::default()
    };
    Actor { person_id: format!("person_{name}"), memberships: vec![place], second_factor: true, ..Actor::default() }
}

impl Court {
    /// A lot that is open for bids, with this many bidders.
    pub async fn with(bidders: usize, close_rule: CloseRule) -> Court {
        Self::on(None, bidders, close_rule).await
    }

    /// The same on a PostgreSQL server, in a schema of its own.
    pub async fn on(server: Option<String>, bidders: usize, close_rule: CloseRule) -> Court {
        Self::before(server, (bidders, 0), close_rule).await
    }

    /// The same with so many more that become eligible when the lot is scheduled already.
    pub async fn before(server: Option<String>, (bidders, late): (usize, usize), close_rule: CloseRule) -> Court {
        let folder = tempfile::tempdir().unwrap();
        let mut url = format!("sqlite://{}", folder.path().join("t.db").display());
        if let Some(server) = server {
            let schema = format!("hall_{}", kernel::fresh_uuid().simple());
            let db = Db::connect(&server).await.unwrap();
            db.run(&format!("CREATE SCHEMA {schema}")).await.unwrap();
            url = format!("{server}?options[search_path]={schema}");
        }
        migrations::migrate(&Db::connect(&url).await.unwrap()).await.unwrap();
        let cx = context(&url).await;
        let [transferor, centre] = [OrganizationId::fresh(), OrganizationId::fresh()];
        let bidders: Vec<_> = (0..bidders + late).map(|_| OrganizationId::fresh()).collect();
        let mut world = World::of(transferor, centre, &bidders);
        if let Some(terms) = &mut world.listing.bidding {
            terms.close_rule = close_rule.into();
        }
        *world.conflicts.lock().unwrap() = bidders[bidders.len() - late..].iter().map(|id| id.text()).collect();
        let (db, clock, stop) = (cx.db.clone(), cx.clock.clone(), CancellationToken::new());
        let routes = crate::serve(cx, world.clients(), (TaskTracker::new(), stop.clone()), Routes::default());
        let peer = kernel::local(routes);
        let (auction, hall) = (AuctionClient::new(peer.clone()), HallClient::new(peer));
        let lot = String::new();
        let mut court = Court { db, clock, auction, hall, centre, bidders, lot, stop, _folder: folder };
        let starts_at = Some(court.clock.now().plus_seconds(60));
        let input = v1::ScheduleBiddingInput {
            listing_id: world.listing.id.clone(),
            starts_at,
            sealed_keys: Vec::new(),
            ..Default::default()
        };
        let qualifier = court.staff("qualifier", Role::Qualifier);
        court.lot = ask!(court.auction, schedule_bidding, qualifier, bidding_session, input).unwrap().id;
        world.conflicts.lock().unwrap().clear();
        court.pass(61);
        court
    }

    pub fn pass(&self, seconds: i64) {
        self.clock.set_offset(self.clock.offset() + seconds * 1_000);
    }

    pub fn staff(&self, name: &str, role: Role) -> Actor {
        let mut actor = person(name, OrganizationId::fresh(), role);
        for place in &mut actor.memberships {
            (place.centre, place.centres) = (true, vec![self.centre.text()]);
        }
        actor
    }

    pub fn clerk(&self) -> Actor {
        self.staff("clerk", Role::HallClerk)
    }

    pub fn auctioneer(&self) -> Actor {
        self.staff("auctioneer", Role::Auctioneer)
    }

    pub fn bidder(&self, n: usize) -> Actor {
        person(&format!("bidder{n}"), self.bidders[n], Role::Bidder)
    }

    pub fn opening(&self, house: Option<&str>) -> v1::OpenHallSessionInput {
        v1::OpenHallSessionInput {
            centre_id: self.centre.text(),
            session_ids: vec![self.lot.clone()],
            auctioneer_licence: "拍卖师0001".into(),
            house_licence: house.map(str::to_owned),
            // The clock runs on while a story looks, on a busy machine for long.
            heartbeat_seconds: 300,
        }
    }

    pub async fn open(&self) -> String {
        let input = self.opening(Some("拍卖企业01"));
        ask!(self.hall, open_hall_session, self.auctioneer(), hall_session, input).unwrap().id
    }

    pub async fn check_in(&self, hall: &str, bidder: usize, number: i32) -> Result<v1::Paddle, ErrorCode> {
        let (hall_session_id, organization_id) = (hall.to_owned(), self.bidders[bidder].text());
        let input = v1::CheckInInput { hall_session_id, organization_id, number };
        ask!(self.hall, check_in, self.clerk(), paddle, input)
    }

    pub async fn terminal(&self, hall: &str, seed: u8) -> Terminal {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let public_key = data_encoding::BASE64URL_NOPAD.encode(key.verifying_key().as_bytes());
        let input = v1::RegisterHallDeviceInput { hall_session_id: hall.into(), name: "前排".into(), public_key };
        let device = ask!(self.hall, register_hall_device, self.clerk(), hall_device, input).unwrap();
        Terminal { id: device.id, key, lines: Vec::new() }
    }

    pub async fn online(&self, bidder: usize, amount: i64) -> Result<v1::Bid, ErrorCode> {
        let (session_id, organization_id) = (self.lot.clone(), self.bidders[bidder].text());
        let input = v1::PlaceBidInput { session_id, organization_id, amount: Some(Money(amount)) };
        ask!(self.auction, place_bid, self.bidder(bidder), bid, input)
    }

    pub async fn enter(&self, input: &v1::EnterHallBidInput) -> v1::EnterHallBidPayload {
        self.hall.clone().enter_hall_bid(self.clerk().asks(input.clone())).await.unwrap().into_inner()
    }

    /// The same call many times at once: the bytes of its one answer.
    pub async fn enter_often(&self, input: &v1::EnterHallBidInput, times: usize) -> Vec<u8> {
        let answers = join_all((0..times).map(|_| async { self.enter(input).await.encode_to_vec() })).await;
        assert!(answers.iter().all(|answer| answer == &answers[0]), "one operation, several answers");
        answers[0].clone()
    }

    pub async fn upload(&self, terminal: &Terminal) -> v1::UploadHallJournalPayload {
        let input = v1::UploadHallJournalInput { device_id: terminal.id.clone(), lines: terminal.lines.clone() };
        self.hall.clone().upload_hall_journal(self.clerk().asks(input)).await.unwrap().into_inner()
    }

    pub async fn session(&self) -> v1::BiddingSession {
        let wanted = v1::GetBiddingSessionsRequest { ids: vec![self.lot.clone()], listing_ids: Vec::new() };
        let found = self.auction.clone().get_bidding_sessions(Actor::default().asks(wanted)).await.unwrap();
        found.into_inner().items.remove(0)
    }

    /// The public log, as anyone reads it.
    pub async fn log(&self) -> Vec<v1::AuctionEvent> {
        let wanted = v1::ListAuctionEventsRequest { session_id: self.lot.clone(), after_seq: 0, first: Some(1_000) };
        let log = self.auction.clone().list_auction_events(Actor::default().asks(wanted)).await.unwrap();
        let events = log.into_inner().items;
        assert!((1..).zip(&events).all(|(seq, event)| event.seq == seq), "numbers without holes");
        events
    }

    /// The amounts and paddles of the bids, in their order.
    pub async fn bids(&self) -> Vec<(i64, Option<i32>)> {
        let log = self.log().await;
        let bids = log.iter().filter(|event| event.kind() == v1::AuctionEventKind::Bid);
        bids.map(|event| (event.amount.unwrap().0, event.paddle)).collect()
    }

    pub async fn journal(&self, hall: &str, conflicts: bool) -> Vec<v1::JournalEntry> {
        let wanted = v1::ListJournalRequest { hall_session_id: hall.into(), conflicts, after: None, first: None };
        let found = self.hall.clone().list_journal(self.auctioneer().asks(wanted)).await.unwrap();
        found.into_inner().items
    }
}

impl Terminal {
    /// A bid as it is entered live, noted in the journal as well.
    pub fn bid(&mut self, court: &Court, bid: (i32, i64), origin: BidOrigin) -> v1::EnterHallBidInput {
        let number = self.lines.len() + 1;
        self.bid_as(court, &format!("operation-{number}"), bid, origin)
    }

    /// The same under another name.
    pub fn bid_as(
        &mut self,
        court: &Court,
        operation_id: &str,
        (paddle, amount): (i32, i64),
        origin: BidOrigin,
    ) -> v1::EnterHallBidInput {
        let number = i64::try_from(self.lines.len()).unwrap() + 1;
        let input = v1::EnterHallBidInput {
            session_id: court.lot.clone(),
            device_id: self.id.clone(),
            number,
            operation_id: operation_id.to_owned(),
            paddle,
            amount: Some(Money(amount)),
            origin: origin.into(),
        };
        self.note(&input, court.clock.now());
        input
    }

    /// The same terminal with a journal that it begins anew.
    pub fn forked(&self) -> Terminal {
        Terminal { id: self.id.clone(), key: self.key.clone(), lines: Vec::new() }
    }

    fn note(&mut self, input: &v1::EnterHallBidInput, noted_at: Instant) {
        let named = (input.number, input.operation_id.as_str());
        let bid = (input.paddle, input.amount, input.origin);
        let line: Line = entry::line(named, &input.session_id, bid, "").unwrap();
        let before = self.lines.last().map(|last| last.signature.clone()).unwrap_or_default();
        let before = data_encoding::BASE64URL_NOPAD.decode(before.as_bytes()).unwrap();
        let signature = self.key.sign(line.text(&self.id, noted_at, &before).as_bytes());
        self.lines.push(v1::JournalLineInput {
            number: input.number,
            operation_id: input.operation_id.clone(),
            session_id: input.session_id.clone(),
            paddle: input.paddle,
            amount: input.amount,
            origin: input.origin,
            noted_at: Some(noted_at),
            signature: data_encoding::BASE64URL_NOPAD.encode(&signature.to_bytes()),
        });
    }
}

/// What became of each line, and the code of its conflict.
pub fn outcomes(payload: &v1::UploadHallJournalPayload) -> Vec<(v1::JournalOutcome, Option<&str>)> {
    let upload = payload.journal_upload.as_ref().unwrap_or_else(|| panic!("{:?}", payload.user_errors));
    upload.entries.iter().map(|entry| (entry.outcome(), entry.conflict.as_deref())).collect()
}
