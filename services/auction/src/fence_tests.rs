//! Several replicas on one lot: whatever they do to each other, nothing acknowledged is lost, doubled or
//! out of order (P-1, P-7, R2, R4, R5).

use std::collections::HashMap;

use kernel::{Clock, Context, Db, Idempotency, Money, Vault};
use prost::Message;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::Expr};
use tokio::sync::oneshot;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wire::{
    id::{BiddingSessionId, OrganizationId},
    v1::{BidOrigin, PlaceBidPayload},
};

use crate::{
    engine::{self, Command, Terms},
    lot::{
        command::{BidderCommand, LotCommand, LotRequest},
        registry::LotRegistry,
    },
    store::{
        self,
        flush::{BatchCommit, SideEffects},
        log, session,
    },
};

const BIDDERS: usize = 8;

pub struct Ground {
    _folder: tempfile::TempDir,
    pub url: String,
    pub id: BiddingSessionId,
    terms: Terms,
    pub bidders: Vec<OrganizationId>,
}

pub async fn context(url: &str) -> Context {
    let db = Db::connect(url).await.unwrap();
    let clock = Clock::system();
    clock.anchor(&db).await.unwrap();
    Context::open("auction", db, clock, Vault::development()).await.unwrap()
}

pub fn postgres() -> Option<String> {
    let url = std::env::var("TEST_POSTGRES_URL").ok();
    if url.is_none() {
        eprintln!("skipped: TEST_POSTGRES_URL is not set; run ./test");
    }
    url
}

/// One database with one lot that opened a minute ago.
pub async fn ground(url: Option<String>) -> Ground {
    let folder = tempfile::tempdir().unwrap();
    let url = match url {
        None => format!("sqlite://{}", folder.path().join("t.db").display()),
        Some(server) => {
            let schema = format!("fence_{}", kernel::fresh_uuid().simple());
            let db = Db::connect(&server).await.unwrap();
            db.run(&format!("CREATE SCHEMA {schema}")).await.unwrap();
            format!("{server}?options[search_path]={schema}")
        }
    };
    let db = Db::connect(&url).await.unwrap();
    migrations::migrate(&db).await.unwrap();
    let cx = context(&url).await;
    let (id, bidders) = crate::open_lot(&cx, BIDDERS).await.unwrap();
    let terms = store::found(db.read(), id).await.unwrap().unwrap().terms().unwrap();
    Ground { _folder: folder, url, id, terms, bidders }
}

pub async fn send(
    lots: &LotRegistry,
    id: BiddingSessionId,
    organization_id: OrganizationId,
    amount: i64,
    key: &str,
) -> kernel::Result<PlaceBidPayload> {
    let keyed = Some(Idempotency::new(
        &kernel::Vault::development(),
        ["tester", "PlaceBid", key],
        format!("{organization_id}{amount}").as_bytes(),
    ));
    let (answer, answered) = oneshot::channel();
    let command = LotCommand {
        request: LotRequest::Bidder { organization_id, act: BidderCommand::Bid(Money(amount)) },
        keyed,
        answer,
    };
    lots.handle(id)
        .await?
        .unwrap()
        .queue
        .send(command)
        .await
        .map_err(|_| kernel::Error::Unavailable("queue".into()))?;
    let answer = answered.await.map_err(|_| kernel::Error::Unavailable("answer".into()))??;
    Ok(PlaceBidPayload::decode(answer.reply.as_slice()).unwrap())
}

/// Three replicas, eight bidders each sending to all of them and repeating every call.
async fn replicas_fight(url: Option<String>) {
    let ground = ground(url).await;
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(LotRegistry::new(context(&ground.url).await, tasks.clone(), stop.clone()));
    }
    let calls = ground.bidders.iter().enumerate().map(|(n, bidder)| {
        let (replicas, bidder, id) = (replicas.clone(), *bidder, ground.id);
        async move {
            let mut acknowledged: Vec<(i64, i64)> = Vec::new();
            for step in 0..40_i64 {
                let amount = 100 + step * 8 + i64::try_from(n).unwrap();
                let key = format!("{n}-{step}");
                // The same call at two replicas at once: one effect, equal answers.
                let (one, two) = tokio::join!(
                    send(&replicas[(n + usize::try_from(step).unwrap()) % 3], id, bidder, amount, &key),
                    send(&replicas[n % 3], id, bidder, amount, &key),
                );
                // However they contend, everybody is told.
                let [one, two] = [one, two].map(|told| told.unwrap_or_else(|fault| panic!("{key}: {fault}")));
                assert_eq!(one.encode_to_vec(), two.encode_to_vec());
                for bid in [one, two].into_iter().filter_map(|payload| payload.bid) {
                    if !acknowledged.contains(&(bid.seq, amount)) {
                        acknowledged.push((bid.seq, amount));
                    }
                }
            }
            acknowledged
        }
    });
    let acknowledged: Vec<(i64, i64)> = futures::future::join_all(calls).await.into_iter().flatten().collect();
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    let db = Db::connect(&ground.url).await.unwrap();
    let log = log::events(db.read(), ground.id, 0, 100_000).await.unwrap();
    let lot = engine::replay(ground.terms, &log).unwrap_or_else(|flaw| panic!("{flaw:?} breaks the rules"));
    assert_eq!(i64::try_from(log.len()).unwrap(), lot.state.seq, "numbers without holes");
    let logged: HashMap<i64, i64> = log.iter().filter_map(|e| Some((e.seq, e.amount?.0))).collect();
    assert!(acknowledged.len() > 20, "only {} bids were accepted", acknowledged.len());
    for (seq, amount) in &acknowledged {
        assert_eq!(logged.get(seq), Some(amount), "an acknowledged bid is not in the log");
    }
    let row = store::found(db.read(), ground.id).await.unwrap().unwrap();
    assert_eq!(row.lot().unwrap(), lot, "the row is what the log says");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_on_sqlite() {
    replicas_fight(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_on_postgres() {
    let Some(url) = postgres() else { return };
    replicas_fight(Some(url)).await;
}

/// One more round, decided now, and written in a transaction that was begun in time or in one of its own; `late` comes to
/// its write when that is long ago; its last decisions are `ahead` of the time by so many seconds.
async fn is_written(
    cx: &Context,
    id: BiddingSessionId,
    command: Option<Command>,
    (late, held, ahead): (bool, bool, i64),
) -> bool {
    let (before, bidders) = store::load(cx.db.read(), &cx.vault, id).await.unwrap().unwrap();
    let now = cx.clock.now();
    let mut lot = before.lot().unwrap();
    let mut events = lot.pass(now);
    events.extend(command.into_iter().flat_map(|command| lot.take(&command, now).events));
    assert!(!events.is_empty());
    let tree = log::grow(&before.peaks, before.seq, &events).unwrap();
    let mut after = session::Model { version: before.version + 1, peaks: tree.peaks(), ..before.clone() };
    after.put(&lot);
    let (replies, beside) = (Vec::new(), SideEffects::default());
    let (before, events, since) = (&before, &events, now);
    let now = now.plus_seconds(ahead);
    let round = BatchCommit { before, after: &after, lot: &lot, tree: &tree, events, replies, beside, since, now };
    let tx = cx.db.begin().await.unwrap();
    if late {
        sea_orm::ConnectionTrait::execute_unprepared(&tx, "SELECT pg_sleep(1.2)").await.unwrap();
    }
    if held {
        return round.commit(cx, &bidders, Some(tx)).await.unwrap();
    }
    tx.rollback().await.unwrap();
    round.commit(cx, &bidders, None).await.unwrap()
}

/// R5: what counts is the database's clock when the lot is written, not when the transaction began (trust.md, trap 7).
#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_grew_old_in_its_transaction_is_fenced() {
    let Some(url) = postgres() else { return };
    let ground = ground(Some(url)).await;
    let cx = context(&ground.url).await;
    let bid = |code: &str, amount| {
        let (code, amount) = (code.into(), Money(amount));
        Command::Bid { code, amount, origin: BidOrigin::Online, paddle: None }
    };
    // The first round opens the lot; the others are written step by step, and as one statement.
    for (command, held) in [(None, false), (Some(bid("B000", 100)), true), (Some(bid("B001", 200)), false)] {
        assert!(!is_written(&cx, ground.id, command.clone(), (true, held, 0)).await, "{command:?}");
        assert!(!is_written(&cx, ground.id, command.clone(), (false, held, 2)).await, "{command:?}");
        assert!(is_written(&cx, ground.id, command, (false, held, 0)).await);
    }
}

/// Moves the lot by a round in which nothing happens, whoever else wants to.
async fn move_on(cx: &Context, id: BiddingSessionId) {
    let tx = cx.db.begin().await.unwrap();
    let held = session::Entity::find_by_id(id).lock_exclusive().one(&tx).await.unwrap().unwrap();
    let after = session::Model { version: held.version + 1, ..held };
    let moved = session::Entity::update_many()
        .col_expr(session::Column::Version, Expr::value(after.version))
        .col_expr(session::Column::Mark, Expr::value(after.made_mark(&cx.vault).to_vec()));
    moved.filter(session::Column::Id.eq(id)).exec(&tx).await.unwrap();
    tx.commit().await.unwrap();
}

/// Others move the lot and hold it meanwhile, faster than anybody can read and decide: who bids is answered all the same.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_fenced_again_and_again_holds_the_lot() {
    let Some(url) = postgres() else { return };
    let ground = ground(Some(url)).await;
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let lots = LotRegistry::new(context(&ground.url).await, tasks.clone(), stop.clone());
    let others = context(&ground.url).await;
    for _ in 0..4 {
        let (others, stop, id) = (others.clone(), stop.clone(), ground.id);
        tasks.spawn(async move {
            while !stop.is_cancelled() {
                move_on(&others, id).await;
            }
        });
    }
    for n in 0..10 {
        let bidder = ground.bidders[usize::from(n % 2 == 1)];
        let told = send(&lots, ground.id, bidder, 100 + n, &n.to_string()).await.unwrap();
        assert!(told.bid.is_some(), "{told:?}");
    }
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}
