//! Sealed bids from the box to the award, on a database of their own.

mod altered;
mod ceremony;
mod rounds;
mod secrecy;

use std::collections::BTreeMap;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use kernel::{ActingFor, Actor, Clock, Context, Db, ErrorCode, Id, Money, Peer, Role};
use rust_decimal::Decimal;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;
use wire::{
    id::{BiddingSessionId, OrganizationId},
    v1::{
        self, AuctionEvent, AuctionEventKind as Kind, BiddingMode, BiddingStatus, BiddingTerms,
        auction_client::AuctionClient, sealed_bids_client::SealedBidsClient,
    },
};

use crate::{
    engine,
    fence_tests::context,
    sealed::{
        PrivateKey, Seed,
        boxes::BEAT,
        envelope::{Bid, seal},
        shares::{Share, deal},
    },
    store::{self, log},
    stub::World,
};

const TRUSTEES: [&str; 3] = ["甲", "乙", "丙"];

struct Ground {
    cx: Context,
    auction: AuctionClient<Peer>,
    sealed: SealedBidsClient<Peer>,
    world: World,
    bidders: Vec<OrganizationId>,
    centre: OrganizationId,
    session: v1::BiddingSession,
    /// Of each round.
    shares: Vec<Vec<Share>>,
    stop: CancellationToken,
    folder: tempfile::TempDir,
    url: String,
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// 32 bytes that the system's generator drew.
fn seed() -> Seed {
    let halves = [kernel::fresh_nonce().unwrap(), kernel::fresh_nonce().unwrap()];
    Seed::new(halves.concat().try_into().unwrap())
}

/// A key of two trustees out of three, as it is handed in, and the shares in clear.
fn dealt() -> (v1::SealedKeyInput, Vec<Share>) {
    let (public, shares) = deal(2, 3, seed()).unwrap();
    let trustee = |(name, share): (&&str, &Share)| v1::TrusteeInput {
        name: (*name).to_owned(),
        share: BASE64URL_NOPAD.encode(&share.seal(&PrivateKey::generate(seed()).public(), seed())),
        digest: HEXLOWER.encode(&share.digest()),
    };
    let trustees = TRUSTEES.iter().zip(&shares).map(trustee).collect();
    (v1::SealedKeyInput { public_key: public.to_string(), threshold: 2, trustees }, shares)
}

fn person(name: &str, organization: &str, role: Role) -> Actor {
    let membership = ActingFor {
        organization_id: organization.to_owned(),
        roles: vec![role.into()],
        verified: true,
        ..ActingFor::default()
    };
    Actor { person_id: name.to_owned(), memberships: vec![membership], second_factor: true, ..Actor::default() }
}

fn outsider(name: &str) -> Actor {
    person(name, &OrganizationId::fresh().text(), Role::Broker)
}

/// The object of a payload, or the code of its refusal.
macro_rules! told {
    ($client:expr, $rpc:ident, $request:expr, $object:ident) => {{
        let reply = $client.clone().$rpc($request).await.unwrap().into_inner();
        match reply.user_errors.first() {
            Some(refusal) => Err(refusal.error_code()),
            None => Ok(reply.$object.unwrap()),
        }
    }};
}
use told;

/// A lot that is open for sealed bids of so many bidders.
async fn ground(mode: BiddingMode, bidders: usize, change: impl FnOnce(&mut BiddingTerms, &mut World)) -> Ground {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("t.db").display());
    ground_at(&url, folder, (mode, bidders), change).await
}

/// The same in a schema of its own, if there is a PostgreSQL server.
async fn postgres_ground(
    mode: BiddingMode,
    bidders: usize,
    change: impl FnOnce(&mut BiddingTerms, &mut World),
) -> Option<Ground> {
    let Ok(server) = std::env::var("TEST_POSTGRES_URL") else {
        eprintln!("skipped: TEST_POSTGRES_URL is not set; run ./test");
        return None;
    };
    let schema = format!("sealed_{}", kernel::fresh_uuid().simple());
    let db = Db::connect(&server).await.unwrap();
    db.run(&format!("CREATE SCHEMA {schema}")).await.unwrap();
    let url = format!("{server}?options[search_path]={schema}");
    Some(ground_at(&url, tempfile::tempdir().unwrap(), (mode, bidders), change).await)
}

async fn ground_at(
    url: &str,
    folder: tempfile::TempDir,
    (mode, bidders): (BiddingMode, usize),
    change: impl FnOnce(&mut BiddingTerms, &mut World),
) -> Ground {
    migrations::migrate(&Db::connect(url).await.unwrap()).await.unwrap();
    let cx = context(url).await;
    let [transferor, centre] = [OrganizationId::fresh(), OrganizationId::fresh()];
    let bidders: Vec<_> = (0..bidders).map(|_| OrganizationId::fresh()).collect();
    let mut world = World::of(transferor, centre, &bidders);
    let mut terms = world.listing.bidding.clone().unwrap();
    terms.set_mode(mode);
    change(&mut terms, &mut world);
    let extra = i32::from(terms.tie_rule() == v1::TieRule::ExtraRound);
    let (keys, shares) = (0..terms.rounds.max(1) + extra).map(|_| dealt()).unzip();
    world.listing.bidding = Some(terms);
    let stop = CancellationToken::new();
    let routes = crate::serve(cx.clone(), world.clients(), (TaskTracker::new(), stop.clone()), Routes::default());
    let peer = kernel::local(routes);
    let (auction, sealed) = (AuctionClient::new(peer.clone()), SealedBidsClient::new(peer));
    let session = v1::BiddingSession::default();
    let mut ground =
        Ground { cx, auction, sealed, world, bidders, centre, session, shares, stop, folder, url: url.to_owned() };
    ground.session = ground.schedule(keys).await.unwrap();
    ground.wait(61).await;
    ground
}

impl Ground {
    fn qualifier(&self) -> Actor {
        let mut actor = person("qualifier", &OrganizationId::fresh().text(), Role::Qualifier);
        for place in &mut actor.memberships {
            (place.centre, place.centres) = (true, vec![self.centre.text()]);
        }
        actor
    }

    async fn schedule(&self, sealed_keys: Vec<v1::SealedKeyInput>) -> Result<v1::BiddingSession, ErrorCode> {
        let starts_at = Some(self.cx.clock.now().plus_seconds(60));
        let listing_id = self.world.listing.id.clone();
        let input = v1::ScheduleBiddingInput { listing_id, starts_at, sealed_keys, ..Default::default() };
        told!(self.auction, schedule_bidding, self.qualifier().asks(input), bidding_session)
    }

    fn clock(&self) -> &Clock {
        &self.cx.clock
    }

    /// Lets seconds of the exchange's time go by, and its tasks do what is due.
    async fn wait(&self, seconds: i64) {
        self.clock().set_offset(self.clock().offset() + seconds * 1_000);
        tokio::time::sleep(BEAT * 3).await;
    }

    fn id(&self) -> BiddingSessionId {
        BiddingSessionId::parse(&self.session.id, "id").unwrap()
    }

    fn code(n: usize) -> String {
        format!("B{n:02}")
    }

    fn envelope(&self, n: usize, round: u32, amount: Option<i64>, values: &[(&str, &str)]) -> Vec<u8> {
        let key = &self.session.sealed_keys[round as usize - 1].public_key;
        let values: BTreeMap<String, Decimal> =
            values.iter().map(|(name, value)| ((*name).to_owned(), value.parse().unwrap())).collect();
        let (session, bidder) = (self.session.id.clone(), Self::code(n));
        let (amount, nonce) = (amount.map(Money), kernel::fresh_nonce().unwrap());
        let bid = Bid { session, bidder, round, amount, values, nonce };
        seal(&crate::sealed::PublicKey::parse(key).unwrap(), &bid, seed()).unwrap()
    }

    async fn hand_in(
        &self,
        n: usize,
        (round, envelope): (i32, &[u8]),
        key: Option<&str>,
    ) -> Result<v1::SealedReceipt, ErrorCode> {
        let actor = person(&format!("bidder{n}"), &self.bidders[n].text(), Role::Bidder);
        let organization_id = self.bidders[n].text();
        let envelope = BASE64URL_NOPAD.encode(envelope);
        let input = v1::SubmitSealedBidInput { session_id: self.session.id.clone(), organization_id, round, envelope };
        let mut request = actor.asks(input);
        actor.write(key, request.metadata_mut());
        told!(self.sealed, submit_sealed_bid, request, sealed_receipt)
    }

    async fn bid(&self, n: usize, round: u32, fen: i64) -> v1::SealedReceipt {
        let envelope = self.envelope(n, round, Some(fen), &[]);
        self.hand_in(n, (round as i32, &envelope), None).await.unwrap()
    }

    async fn give(&self, trustee: usize, share: &Share) -> Result<v1::BiddingSession, ErrorCode> {
        let (session_id, trustee) = (self.session.id.clone(), TRUSTEES[trustee].to_owned());
        let input = v1::ContributeShareInput { session_id, trustee, share: share.text().to_string() };
        told!(self.sealed, contribute_share, outsider("somebody").asks(input), bidding_session)
    }

    /// Closes the round and opens it by the first two trustees.
    async fn open(&self, round: usize) {
        self.wait(3_600).await;
        for trustee in [0, 1] {
            self.give(trustee, &self.shares[round - 1][trustee]).await.unwrap();
        }
    }

    async fn now(&self) -> v1::BiddingSession {
        let wanted = v1::GetBiddingSessionsRequest { ids: vec![self.session.id.clone()], listing_ids: Vec::new() };
        let reply = self.auction.clone().get_bidding_sessions(Actor::default().asks(wanted)).await.unwrap();
        reply.into_inner().items.pop().unwrap()
    }

    async fn events(&self) -> Vec<AuctionEvent> {
        log::events(self.cx.db.read(), self.id(), 0, 1_000).await.unwrap()
    }

    async fn told(&self, kind: Kind) -> Vec<AuctionEvent> {
        self.events().await.into_iter().filter(|event| event.kind() == kind).collect()
    }

    async fn openings(&self) -> Vec<v1::SealedOpening> {
        let wanted = v1::GetSealedOpeningsRequest { session_id: self.session.id.clone() };
        self.sealed.clone().get_sealed_openings(Actor::default().asks(wanted)).await.unwrap().into_inner().items
    }

    /// Who leads, for how much; whoever holds the log comes to the same.
    async fn winner(&self) -> (BiddingStatus, Option<String>, Option<i64>) {
        let session = self.now().await;
        let row = store::session(self.cx.db.read(), &self.cx.vault, self.id()).await.unwrap().unwrap();
        let lot = engine::replay(row.terms().unwrap(), &self.events().await).unwrap();
        assert_eq!(lot.state, row.lot().unwrap().state);
        (session.status(), session.leading_code, session.current_price.map(|price| price.0))
    }
}
