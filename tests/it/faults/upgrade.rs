//! The program of the version before and this one, side by side on one database, under people at work: the schema is brought
//! up to date by the newer one while the older one serves, then the older one goes. `TEST_OLDER_JISHI` names its binary, built
//! from the last tag or landing that binds its rows; without it there is nothing to be upgraded from.

use std::time::{Duration, Instant as Moment};

use exchange_tests::{Exchange, Lane, PROGRAM};

use super::{
    line::Line,
    told::Done,
    works::{BIDDERS, Works},
};

/// No bid is refused for longer.
const GAP: Duration = Duration::from_secs(5);

/// People who bid, pay in and sign up, and how long a bid was not taken at most.
struct Work {
    works: Works,
    taken: Moment,
    gap: Duration,
}

impl Work {
    async fn turns(&mut self, turns: usize) {
        for turn in 0..turns {
            let bids = self.bids();
            let buyer = turn % BIDDERS;
            let asked = [
                self.works.bid(buyer).await,
                self.works.receipt(&self.works.market.buyers[buyer]).await,
                Some(self.works.sign_up()),
            ];
            for asked in asked.iter().flatten() {
                self.works.say(asked).await;
            }
            if self.bids() > bids {
                self.gap = self.gap.max(self.taken.elapsed());
                self.taken = Moment::now();
            }
        }
    }

    fn bids(&self) -> usize {
        self.works.told().iter().filter(|done| matches!(done, Done::Bid(..))).count()
    }
}

async fn upgrade(lane: Lane) {
    let Ok(older) = std::env::var("TEST_OLDER_JISHI") else {
        eprintln!("skipped: TEST_OLDER_JISHI does not name the program of the version before");
        return;
    };
    let Some(mut exchange) = Exchange::start_with(lane, &[(PROGRAM, &older)]).await else { return };
    let works = Works::open(&exchange, 0).await;
    let mut work = Work { works, taken: Moment::now(), gap: Duration::ZERO };
    work.turns(20).await;
    // Whoever only looks brings nothing up to date.
    for verb in [&["verify"][..], &["heads"], &["adopt"], &["adopt", "--yes"], &["backup", "too-early"]] {
        let output = exchange.run(verb);
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!output.status.success() && told.contains("the schema is an older program's"), "{verb:?}: {told}");
    }
    let newer = if lane == Lane::Sqlite {
        // One file has one process: the older one stops, and the newer one starts.
        assert_eq!(exchange.process("gateway").stop(), Some(0));
        tokio::task::block_in_place(|| exchange.replica())
    } else {
        let (newer, ()) = tokio::join!(async { tokio::task::block_in_place(|| exchange.replica()) }, work.turns(1),);
        // Both serve, and both may write the lot.
        work.turns(20).await;
        work.works.door = Line::new(newer.http(), String::new());
        work.turns(20).await;
        assert_eq!(exchange.process("gateway").stop(), Some(0));
        newer
    };
    work.works.door = Line::new(newer.http(), String::new());
    work.turns(20).await;
    work.works.settle(Duration::from_secs(10)).await;
    eprintln!("{} bids; none was taken for {:?} at most", work.bids(), work.gap);
    work.works.judge(&exchange.database_url, "after the upgrade").await;
    drop(newer);
    let told = |arguments: &[&str]| {
        let output = exchange.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        eprintln!("{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    };
    told(&["verify"]);
    assert!(work.bids() >= 40 && work.gap < GAP, "{} bids; none was taken for {:?}", work.bids(), work.gap);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_serving_on_postgres() {
    upgrade(Lane::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_a_restart_on_sqlite() {
    upgrade(Lane::Sqlite).await;
}
