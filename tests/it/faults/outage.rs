//! A database that cannot be written for a while, whatever the reason, under people at work: nothing that was told is lost,
//! the exchange says that it is not ready, and it recovers by itself.

use std::time::{Duration, Instant as Moment};

use futures::future::join_all;

use super::{
    torn::End,
    works::{Asked, BIDDERS, Works},
};

/// How soon after healing everything is served again.
const RECOVERY: Duration = Duration::from_secs(10);
/// How soon it is told: for ten seconds after a disk was full the exchange says that it is not ready.
const TOLD: Duration = Duration::from_secs(15);
/// How long an outage is waited for: a disk that is full is felt only when the log of changes has to grow.
const FELT: Duration = Duration::from_secs(30);

/// What came of one outage. Nothing of it is believed before `judge`.
#[derive(Debug)]
pub struct Outage {
    /// Calls that ended as unknown while it lasted.
    pub failed: usize,
    /// Whether the exchange said that it was not ready.
    pub told_unready: bool,
    /// After how long everything was served again, if it was.
    pub recovered: Option<Duration>,
    /// What nobody could say in the end.
    pub open: usize,
}

/// Breaks the database, has people at work until at least two of their calls have failed, heals it, and has them at work
/// again.
pub async fn outage(works: &Works, breaks: impl AsyncFnOnce(), heals: impl AsyncFnOnce()) -> Outage {
    rush(works, 2, true).await;
    breaks().await;
    let began = Moment::now();
    let mut failed = rush(works, 1, true).await;
    while failed < 2 && began.elapsed() < FELT {
        failed += rush(works, 1, false).await;
    }
    let told_unready = answers(works, 503).await;
    heals().await;
    let healed = Moment::now();
    let mut recovered = None;
    while recovered.is_none() && healed.elapsed() < RECOVERY {
        if rush(works, 1, false).await == 0 {
            recovered = answers(works, 200).await.then(|| healed.elapsed());
        }
    }
    let (_, open) = works.settle(FELT).await;
    rush(works, 3, true).await;
    let outage = Outage { failed, told_unready, recovered, open };
    eprintln!("{outage:?}; faults: {:?}", works.faults());
    outage
}

/// Whether the exchange comes to say of itself that it is ready, or is not.
async fn answers(works: &Works, status: u16) -> bool {
    let began = Moment::now();
    while began.elapsed() < TOLD {
        if works.door.status("/readyz").await == Some(status) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

impl Outage {
    /// Whether it went as it must.
    pub fn is_clean(&self) -> bool {
        self.failed >= 2 && self.told_unready && self.recovered.is_some() && self.open == 0
    }
}

/// So many that each outage has signatures to make, which are three; a contract has two.
pub fn contracts(outages: usize) -> usize {
    outages * 3 / 2 + 1
}

/// Somebody bids, the cashier records a receipt and somebody new signs up, at once, so often; the first time a contract is
/// signed as well. How many do not know what came of it.
pub async fn rush(works: &Works, turns: usize, signs: bool) -> usize {
    let mut unknown = 0;
    for turn in 0..turns {
        let buyer = turn % BIDDERS;
        let signature = if signs && turn == 0 { works.signature().await } else { None };
        let others = [works.bid(buyer).await, works.receipt(&works.market.buyers[buyer]).await, Some(works.sign_up())];
        let asked: Vec<Asked> = others.into_iter().chain([signature]).flatten().collect();
        let said = join_all(asked.iter().map(|asked| works.say(asked))).await;
        unknown += said.iter().filter(|end| **end == End::Unknown).count();
    }
    unknown
}

/// What was lost was told of before; this is how it went.
pub fn all_clean(works: &Works, outages: &[Outage]) {
    let dirty: Vec<&Outage> = outages.iter().filter(|outage| !outage.is_clean()).collect();
    assert!(dirty.is_empty(), "{} of {} did not go as they must: {dirty:?}", dirty.len(), outages.len());
    let faults = works.faults();
    assert!(faults.is_empty(), "{} faults, such as {}", faults.len(), faults[0]);
}
