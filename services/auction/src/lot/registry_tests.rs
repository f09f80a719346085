//! Many at one lot at once: one of them reads it, and a round of refusals keeps nothing open.

use std::time::Duration;

use kernel::{Clock, Context, Db, Vault, WriteLimits};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    ahead_tests::bid,
    fence_tests::{context, ground, postgres},
    lot::registry::{LotHandle, LotRegistry},
};

/// Some hang up while the lot is read: the others are let in all the same, all to one writer.
async fn many_come(url: Option<String>) {
    let ground = ground(url).await;
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    for _ in 0..10 {
        let lots = LotRegistry::new(context(&ground.url).await, tasks.clone(), stop.clone());
        let come = |n: u64| {
            let lots = lots.clone();
            tokio::spawn(async move {
                let handle = lots.handle(ground.id);
                match n % 2 {
                    0 => handle.await.unwrap(),
                    _ => tokio::time::timeout(Duration::from_micros(n * 20), handle)
                        .await
                        .map_or(None, |handle| handle.unwrap()),
                }
            })
        };
        let came = futures::future::join_all((0..64).map(come)).await;
        let came: Vec<Option<LotHandle>> = came.into_iter().map(|handle| handle.unwrap()).collect();
        let first = came[0].as_ref().unwrap();
        for (n, handle) in came.iter().enumerate() {
            assert!(handle.is_some() || n % 2 == 1, "{n} was not let in");
            assert!(
                handle.as_ref().is_none_or(|handle| handle.queue.same_channel(&first.queue)),
                "{n} found another writer"
            );
        }
    }
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_come_at_once_find_one_writer_on_sqlite() {
    many_come(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_come_at_once_find_one_writer_on_postgres() {
    let Some(url) = postgres() else { return };
    many_come(Some(url)).await;
}

/// PostgreSQL ends a transaction in which nothing happens. However long nothing but refusals is told, with more always
/// waiting, the next bid that is good is taken.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_without_end_leave_no_transaction_behind() {
    let Some(url) = postgres() else { return };
    let ground = ground(Some(url)).await;
    let limits = WriteLimits { idle: Duration::from_secs(1), ..WriteLimits::default() };
    let db = Db::connect_within(&ground.url, limits).await.unwrap();
    let cx = Context::open("auction", db, Clock::system(), Vault::development()).await.unwrap();
    cx.clock.anchor(&cx.db).await.unwrap();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let handle = LotRegistry::new(cx, tasks.clone(), stop.clone()).handle(ground.id).await.unwrap().unwrap();
    for round in 1..=3 {
        let amount = round * 1_000;
        let until = Instant::now() + Duration::from_millis(1_500);
        let callers = (0..32).map(|n| {
            let (handle, bidder) = (handle.clone(), ground.bidders[n % ground.bidders.len()]);
            tokio::spawn(async move {
                let mut taken = 0;
                while Instant::now() < until {
                    taken += u32::from(bid(&handle, bidder, amount).await.unwrap());
                }
                taken
            })
        });
        let taken = futures::future::join_all(callers).await.into_iter().map(|taken| taken.unwrap());
        assert_eq!(taken.sum::<u32>(), 1, "one of all who bid as much");
    }
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}
