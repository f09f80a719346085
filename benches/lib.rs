//! What the benchmarks share: a lot that is open, load, medians, a light client, other people's servers.

pub mod caller;
pub mod node;
pub mod ours;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use kernel::{ActingFor, Actor, Clock, Context, Db, Id, Money, Peer, Result, Role, Vault, local};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;
use wire::{
    Clients,
    id::{BiddingSessionId, OrganizationId},
    v1::{self, auction_client::AuctionClient},
};

/// The ground of a service on a database of its own.
pub async fn context(db: Db) -> Result<Context> {
    let clock = Clock::system();
    clock.anchor(&db).await?;
    Context::open("auction", db, clock, Vault::development()).await
}

/// The URL of a fresh schema on the PostgreSQL server.
pub async fn schema(server: &str) -> Result<String> {
    let schema = format!("bench_{}", kernel::fresh_uuid().simple());
    let db = Db::connect(server).await?;
    db.run(&format!("CREATE SCHEMA {schema}")).await?;
    Ok(format!("{server}?options[search_path]={schema}"))
}

/// A bidder of the organization, as the gateway would name it.
#[must_use]
pub fn bidder(organization_id: &str) -> Actor {
    let organization_id = organization_id.to_owned();
    let roles = vec![Role::Bidder as i32];
    let acting = ActingFor { organization_id, roles, verified: true, ..ActingFor::default() };
    Actor { person_id: "bench".into(), memberships: vec![acting], ..Actor::default() }
}

/// A fresh, migrated database.
pub async fn database(url: &str) -> Result<Db> {
    let url = if url.starts_with("postgres") { schema(url).await? } else { url.to_owned() };
    let db = Db::connect(&url).await?;
    migrations::migrate(&db).await?;
    Ok(db)
}

/// The auction in this process, asked through its gRPC door.
#[derive(Clone)]
pub struct Sequencer {
    client: AuctionClient<Peer>,
    stop: CancellationToken,
}

impl Sequencer {
    /// Starts it. The auction reads other services only for callers who are no bidders: nobody here.
    #[must_use]
    pub fn start(cx: &Context) -> Sequencer {
        let nobody: Peer = local(Routes::default());
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let clients = Clients::new(|_| nobody.clone());
        let routes = auction::serve(cx.clone(), clients, (tasks, stop.clone()), Routes::default());
        Sequencer { client: AuctionClient::new(local(routes)), stop }
    }

    /// Whether this bid of the lot's so-manieth bidder was acknowledged.
    pub async fn bid(&self, lot: &OpenLot, bidder: usize, amount: i64) -> bool {
        let Some(organization_id) = lot.bidders.get(bidder).map(|id| id.text()) else { return false };
        let actor = self::bidder(&organization_id);
        let input = v1::PlaceBidInput { session_id: lot.id.text(), organization_id, amount: Some(Money(amount)) };
        let mut request = tonic::Request::new(input);
        actor.write(None, request.metadata_mut());
        self.client.clone().place_bid(request).await.is_ok_and(|reply| reply.get_ref().bid.is_some())
    }

    /// Ends its writers.
    pub fn stop(self) {
        self.stop.cancel();
    }
}

/// An open lot with its bidders: starting price 1 yuan, steps of one fen, open for hours.
#[derive(Clone)]
pub struct OpenLot {
    /// The session.
    pub id: BiddingSessionId,
    /// The eligible organizations.
    pub bidders: Vec<OrganizationId>,
}

/// Schedules and opens a lot as the auction does, and a table beside it for what one would write first.
pub async fn open_lot(cx: &Context, bidders: usize) -> Result<OpenLot> {
    let lot = auction::open_lot(cx, bidders).await?;
    let (id, bidders) = (lot.0, lot.1);
    cx.db.run(&naive_tables(cx, id)).await?;
    Ok(OpenLot { id, bidders })
}

/// One row a lot and one row a bid, with the same keys.
fn naive_tables(cx: &Context, id: BiddingSessionId) -> String {
    let (kind, id) = match cx.db.backend() {
        sea_orm::DbBackend::Postgres => ("uuid", format!("'{}'", id.uuid())),
        _ => ("blob", format!("x'{}'", id.uuid().simple())),
    };
    format!(
        "CREATE TABLE IF NOT EXISTS naive_lot (id {kind} PRIMARY KEY, seq bigint NOT NULL, bid_count bigint NOT NULL,
             current_price bigint, leading_code text);
         CREATE TABLE IF NOT EXISTS naive_bid (lot_id {kind} NOT NULL, seq bigint NOT NULL, bidder_code text NOT NULL,
             amount bigint NOT NULL, PRIMARY KEY (lot_id, seq));
         INSERT INTO naive_lot VALUES ({id}, 0, 0, NULL, NULL)"
    )
}

/// Re-exported so that benchmarks name the type that ids hold.
pub mod uuid_text {
    pub use sea_orm::prelude::Uuid;
}

/// One measured run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Accepted, durable bids per second.
    pub per_second: u64,
    /// Accepted in all.
    pub accepted: u64,
    /// Asked in all; amounts go up to a hundred more than this.
    pub offered: u64,
    /// Answers per second, refusals included: callers overtake each other, and an overtaken bid is refused.
    pub answered: u64,
    /// Median latency in microseconds, refusals included.
    pub p50: u64,
    /// 99th percentile in microseconds.
    pub p99: u64,
    /// The same of the accepted bids alone.
    pub accepted_p99: u64,
}

/// The first step of a run; each is one more than the one before.
pub const FIRST_STEP: i64 = 100;

/// Runs `callers` concurrent callers for `span`; each takes the next higher amount and calls `bid`, which
/// tells whether the bid was accepted.
pub async fn drive<F, Fut>(callers: usize, span: Duration, bid: F) -> Run
where
    F: Fn(usize, i64) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = bool> + Send,
{
    let next = Arc::new(AtomicI64::new(FIRST_STEP));
    let began = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let (next, bid) = (next.clone(), bid.clone());
            tokio::spawn(async move {
                let mut waits = Vec::new();
                while began.elapsed() < span {
                    let step = next.fetch_add(1, Ordering::Relaxed);
                    let asked = Instant::now();
                    let accepted = bid(caller, step).await;
                    waits.push((u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX), accepted));
                }
                waits
            })
        })
        .collect();
    let mut waits: Vec<(u64, bool)> = Vec::new();
    for task in tasks {
        waits.extend(task.await.unwrap_or_default());
    }
    Run::of(waits, began.elapsed())
}

impl Run {
    /// Of all answers: how long each took, and whether it accepted.
    fn of(mut waits: Vec<(u64, bool)>, span: Duration) -> Run {
        let millis = u64::try_from(span.as_millis()).unwrap_or(1).max(1);
        waits.sort_unstable();
        let all: Vec<u64> = waits.iter().map(|(wait, _)| *wait).collect();
        let fine: Vec<u64> = waits.iter().filter(|(_, accepted)| *accepted).map(|(wait, _)| *wait).collect();
        let at = |waits: &[u64], percent: usize| {
            waits.get(waits.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
        };
        let count = |waits: &[u64]| u64::try_from(waits.len()).unwrap_or(u64::MAX);
        let (accepted, offered) = (count(&fine), count(&all));
        let per_second = |count: u64| count.saturating_mul(1_000) / millis;
        Run {
            per_second: per_second(accepted),
            accepted,
            offered,
            answered: per_second(offered),
            p50: at(&all, 50),
            p99: at(&all, 99),
            accepted_p99: at(&fine, 99),
        }
    }
}

/// The run with the median rate.
#[must_use]
pub fn median(mut runs: Vec<Run>) -> Run {
    runs.sort_by_key(|run| run.per_second);
    let middle = runs.len() / 2;
    runs.swap_remove(middle)
}

/// `a / b` with one decimal, without floats.
#[must_use]
pub fn ratio(a: u64, b: u64) -> String {
    let tenths = a.saturating_mul(10) / b.max(1);
    format!("{}.{}×", tenths / 10, tenths % 10)
}

/// `a` in hundredths of `b`, such as `0.83`.
#[must_use]
pub fn percent(a: u64, b: u64) -> String {
    let hundredths = a.saturating_mul(100) / b.max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// The machine's load averages.
#[must_use]
pub fn load() -> String {
    std::fs::read_to_string("/proc/loadavg")
        .map_or_else(|_| "unknown".into(), |text| text.split(' ').take(3).collect::<Vec<_>>().join(" "))
}
