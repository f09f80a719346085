//! While a round is being committed the next one is decided: nobody is told of either before it is there, and what was
//! decided on a round that failed never was. On PostgreSQL, whose commits can be held up from outside, and on SQLite by its one
//! writer.

use std::time::Duration;

use kernel::{Db, Money};
use prost::Message;
use tokio::sync::oneshot;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wire::{
    id::OrganizationId,
    v1::{AuctionEvent, PlaceBidPayload},
};

use crate::{
    engine,
    fence_tests::{Ground, context, ground, postgres},
    lot::{
        command::{BidderCommand, LotCommand, LotRequest},
        registry::{LotHandle, LotRegistry},
    },
    store::{self, log},
};

/// Bids without a key: whether it is taken.
pub async fn bid(handle: &LotHandle, organization_id: OrganizationId, amount: i64) -> kernel::Result<bool> {
    let (answer, answered) = oneshot::channel();
    let request = LotRequest::Bidder { organization_id, act: BidderCommand::Bid(Money(amount)) };
    handle.queue.send(LotCommand { request, keyed: None, answer }).await.unwrap();
    let answer = answered.await.unwrap()?;
    Ok(PlaceBidPayload::decode(answer.reply.as_slice()).unwrap().bid.is_some())
}

/// The next round takes a while to be written, and a while to be committed, both together less than what was decided meanwhile
/// may be old; then its commit does what this says.
async fn hold_up(db: &Db, then: &str) {
    let sql = format!(
        "CREATE SEQUENCE statements; CREATE SEQUENCE commits;
         CREATE FUNCTION held_up() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF TG_LEVEL = 'STATEMENT' AND nextval('statements') = 1 THEN PERFORM pg_sleep(0.2); END IF;
             IF TG_LEVEL = 'ROW' AND nextval('commits') = 1 THEN PERFORM pg_sleep(0.2); {then} END IF;
             RETURN NULL;
         END $$;
         CREATE TRIGGER written AFTER INSERT ON auction_event FOR EACH STATEMENT EXECUTE FUNCTION held_up();
         CREATE CONSTRAINT TRIGGER committed AFTER INSERT ON auction_event DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION held_up()"
    );
    db.run(&sql).await.unwrap();
}

async fn bids(db: &Db, ground: &Ground) -> Vec<i64> {
    let amount = |event: AuctionEvent| event.bidder_code.and(event.amount).map(|amount| amount.0);
    log::events(db.read(), ground.id, 0, 1_000).await.unwrap().into_iter().filter_map(amount).collect()
}

/// A bid of 500 that is held up, and four of 300 that come meanwhile. What each was told, with the bids that were
/// in the log by then; and the bids in the end.
async fn while_it_is_committed(then: &str) -> Option<(Told, Vec<Told>, Vec<i64>)> {
    let ground = ground(Some(postgres()?)).await;
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let cx = context(&ground.url).await;
    let handle = LotRegistry::new(cx.clone(), tasks.clone(), stop.clone()).handle(ground.id).await.unwrap().unwrap();
    assert!(bid(&handle, ground.bidders[0], 100).await.unwrap());
    let mut feed = handle.feed.subscribe();
    hold_up(&cx.db, then).await;
    let told = |bidder: usize, amount: i64| {
        let (handle, ground, db) = (&handle, &ground, &cx.db);
        async move {
            let told = bid(handle, ground.bidders[bidder], amount).await;
            (told, bids(db, ground).await)
        }
    };
    let later = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        futures::future::join_all((2..6).map(|bidder| told(bidder, 300))).await
    };
    let watcher = async {
        let event = tokio::time::timeout(Duration::from_secs(20), feed.recv()).await.expect("a bid is taken").unwrap();
        assert!(bids(&cx.db, &ground).await.contains(&event.amount.unwrap().0), "watched before it was there");
    };
    let (first, later, ()) = tokio::join!(told(1, 500), later, watcher);
    let in_the_end = bids(&cx.db, &ground).await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    let events = log::events(cx.db.read(), ground.id, 0, 1_000).await.unwrap();
    let (row, _) = store::load(cx.db.read(), &cx.vault, ground.id).await.unwrap().unwrap();
    let lot = engine::replay(row.terms().unwrap(), &events).unwrap_or_else(|flaw| panic!("{flaw:?} breaks the rules"));
    assert_eq!(row.lot().unwrap(), lot, "the row is what the log says");
    cx.db.begin().await.unwrap().rollback().await.unwrap();
    Some((first, later, in_the_end))
}

type Told = (kernel::Result<bool>, Vec<i64>);

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_before_the_commit() {
    let Some((first, later, in_the_end)) = while_it_is_committed("").await else { return };
    assert_eq!(in_the_end, [100, 500]);
    for (told, seen) in std::iter::once(&first).chain(&later) {
        assert_eq!(seen, &[100, 500], "{told:?} was told too early");
    }
    assert!(first.0.unwrap());
    assert!(later.iter().all(|(told, _)| matches!(told, Ok(false))), "{later:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_on_a_round_that_failed_never_was() {
    let then = "RAISE EXCEPTION 'the commit fails';";
    let Some((first, later, in_the_end)) = while_it_is_committed(then).await else { return };
    assert_eq!(in_the_end, [100, 300]);
    assert!(first.0.is_err(), "{first:?}");
    let taken = later.iter().filter(|(told, _)| matches!(told, Ok(true))).count();
    assert!(taken == 1 && later.iter().all(|(told, seen)| told.is_ok() && *seen == [100, 300]), "{later:?}");
}

/// Whoever comes after the end must not be taken for in time because a round was being written before it.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_a_round_is_written_is_decided_at_its_time() {
    let Some(url) = postgres() else { return };
    let ground = ground(Some(url)).await;
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let cx = context(&ground.url).await;
    let handle = LotRegistry::new(cx.clone(), tasks.clone(), stop.clone()).handle(ground.id).await.unwrap().unwrap();
    assert!(bid(&handle, ground.bidders[0], 100).await.unwrap());
    hold_up(&cx.db, "").await;
    let later = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        (cx.clock.now(), bid(&handle, ground.bidders[2], 300).await)
    };
    let (first, (sent, later)) = tokio::join!(bid(&handle, ground.bidders[1], 200), later);
    assert!(first.unwrap() && later.unwrap());
    let events = log::events(cx.db.read(), ground.id, 0, 1_000).await.unwrap();
    let last = events.iter().rfind(|event| event.bidder_code.is_some()).unwrap();
    assert_eq!(last.amount.unwrap().0, 300);
    assert!(last.at.unwrap() >= sent, "{last:?} came at {sent:?}");
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}

/// What was decided by a clock that was ahead for a moment never was.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_ahead_by_a_wrong_clock_is_decided_again() {
    let ground = ground(None).await;
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let cx = context(&ground.url).await;
    let handle = LotRegistry::new(cx.clone(), tasks.clone(), stop.clone()).handle(ground.id).await.unwrap().unwrap();
    assert!(bid(&handle, ground.bidders[0], 100).await.unwrap());
    // The one writer is taken: the next round waits for it.
    let held = cx.db.begin().await.unwrap();
    let clock = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let offset = cx.clock.offset();
        cx.clock.set_offset(offset + 3_000);
        let later = bid(&handle, ground.bidders[2], 300);
        let right_again = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            cx.clock.set_offset(offset);
            held.rollback().await.unwrap();
        };
        tokio::join!(later, right_again).0
    };
    let (first, later) = tokio::join!(bid(&handle, ground.bidders[1], 200), clock);
    assert!(first.unwrap() && later.unwrap());
    let events = log::events(cx.db.read(), ground.id, 0, 1_000).await.unwrap();
    let last = events.iter().rfind(|event| event.bidder_code.is_some()).unwrap();
    assert_eq!(last.amount.unwrap().0, 300);
    assert!(last.at.unwrap() <= cx.clock.now(), "{last:?} lies in the future");
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}
