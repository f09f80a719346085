//! R5: the wall clock of the exchange's host jumps by up to an hour, back and forth, while bids pour in around a close.
//! No late bid is accepted, none in time is refused, and the award is neither early nor late: the exchange runs on the
//! machine's monotonic clock between anchors, and on PostgreSQL its anchor is the database's clock. There a host whose
//! monotonic clock stood still as well, as that of a suspended machine does, is corrected before it decides anything.

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::atomic::Ordering::Relaxed,
    time::Duration,
};

use auction::engine;
use exchange_tests::{Exchange, Lane};
use jishi::demo::{Fields, person::fresh_key};
use kernel::Money;
use serde_json::{Value, json};
use wire::v1::{AuctionEventKind as Kind, BidOrigin};

use super::{
    Dice,
    histories::{Floor, Lot},
    line::{BID, Line, bid, mutation},
    linear::{Call, Did, History, Told, check},
    preloaded,
    torn::insist,
};
use crate::market::{FLOOR, Market};

/// The steps are a thousand times as large.
const SLACK_MILLIS: i64 = 2_000;
const HOUR: i64 = 3_600;

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite() {
    close_under_steps(Lane::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    close_under_steps(Lane::Postgres).await;
}

/// An exchange whose host's clock can be stepped.
async fn stepped(lane: Lane, folder: &Path) -> Option<(Step, Exchange)> {
    let Some(library) = preloaded(folder, "clock_step", include_str!("clock_step.c")) else {
        eprintln!("skipped: no C compiler here");
        return None;
    };
    let step = Step::at(folder.join("step"));
    let environment = [("LD_PRELOAD", library.to_str().unwrap()), ("TEST_CLOCK_STEP", step.0.to_str().unwrap())];
    let exchange = Exchange::start_with(lane, &environment).await?;
    Some((step, exchange))
}

async fn close_under_steps(lane: Lane) {
    let folder = tempfile::tempdir().unwrap();
    let Some((step, exchange)) = stepped(lane, folder.path()).await else { return };
    let market = Market::open(&exchange, 4).await;
    let doors = [exchange.http.clone()];
    let mut dice = Dice::of(&format!("R5 on {lane:?}"));
    let lot = Lot::open(&market, &doors, 1).await;
    let before = soon_over(&lot, &exchange.http).await;

    let floor = Floor::new(usize::MAX);
    let offset = offset(&lot, &floor).await;
    let mut jumps = Dice::seeded(dice.below(u64::MAX));
    let stepping = async {
        while lot.read().await["status"] != "SOLD" {
            step.to(jumps.amount(2 * HOUR) - HOUR);
            tokio::time::sleep(Duration::from_millis(jumps.below(40))).await;
        }
        // Some more calls, which come too late.
        tokio::time::sleep(Duration::from_millis(100)).await;
        floor.limit.store(0, Relaxed);
    };
    let mut history = lot.record(&mut dice, &floor, stepping).await;
    in_its_time(&history, offset);
    history.calls.push(before);
    assert_eq!(check(&history), Ok(()));
    let end = history.log.iter().rev().find(|event| event.kind() == Kind::Bid).unwrap().closes_at;
    let sold = history.log.last().unwrap();
    assert_eq!((sold.kind(), sold.at), (Kind::Sold, end));
    let query = "query W($id: ID!) { award(listingId: $id) { decidedAt } }";
    let award = market.staff.reviewer.glance(query, json!({ "id": lot.listing.id })).await.unwrap();
    assert_eq!(award.instant_at("/award/decidedAt").ok(), end);
}

/// The host loses half a minute before the end, and believes that the lot is open when it is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_suspended_takes_no_late_bid() {
    let folder = tempfile::tempdir().unwrap();
    let Some((step, exchange)) = stepped(Lane::Postgres, folder.path()).await else { return };
    let market = Market::open(&exchange, 4).await;
    let doors = [exchange.http.clone()];
    let lot = Lot::open(&market, &doors, 1).await;
    soon_over(&lot, &exchange.http).await;
    let end = lot.read().await.instant_at("/closesAt").unwrap();
    let line = Line::new(&exchange.http, market.buyers[2].person.token().await.unwrap());
    step.suspend(30);
    let left = u64::try_from(end.0 - market.stage.client.now().0 + 100).unwrap_or_default();
    tokio::time::sleep(Duration::from_millis(left)).await;
    let body = mutation("placeBid", BID, &bid(&lot.session, &market.buyers[2].id, Money(FLOOR.0 * 2)));
    // A line that was open may have been closed over it.
    let (text, _) = insist(&line, &fresh_key(), &body).await;
    let told: Value = serde_json::from_str(&text).unwrap();
    let refusal = &told["data"]["placeBid"]["userErrors"][0];
    assert_eq!(refusal["code"], "SESSION_CLOSED", "{told}");
    assert!(refusal.instant_at("/serverTime").unwrap() >= end, "{told}");
    let sold = lot.log().await.pop().unwrap();
    assert_eq!((sold.kind(), sold.at), (Kind::Sold, Some(end)));
}

/// Goes to the timed period, uses up its one extension with a bid, and stops shortly before its end.
async fn soon_over(lot: &Lot<'_>, http: &str) -> Call {
    lot.pass(lot.read().await.instant_at("/closesAt").unwrap()).await;
    lot.market.until_session(&lot.session, "TIMED").await;
    let buyer = &lot.market.buyers[1];
    let line = Line::new(http, buyer.person.token().await.unwrap());
    let answer = line.ask(None, &mutation("placeBid", BID, &bid(&lot.session, &buyer.id, FLOOR))).await;
    let end = answer.instant_at("/data/placeBid/bid/closesAt").unwrap();
    lot.pass(end.plus_millis(-2_500)).await;
    let (code, seq) = (lot.codes[1].clone(), answer.number_at("/data/placeBid/bid/seq").unwrap());
    let command = engine::Command::Bid { code, amount: FLOOR, origin: BidOrigin::Online, paddle: None };
    Call { made: i64::MIN, answered: i64::MIN + 1, did: Did::Sent(command, Told::Accepted(seq)) }
}

/// The exchange's time when the recording began, in milliseconds.
async fn offset(lot: &Lot<'_>, floor: &Floor) -> i64 {
    let read = lot.market.staff.qualifier.glance("{ serverTime }", json!({})).await.unwrap();
    read.instant_at("/serverTime").unwrap().0 - i64::try_from(floor.began.elapsed().as_millis()).unwrap()
}

/// What was decided was decided, by the exchange's time, while its caller waited.
fn in_its_time(history: &History, offset: i64) {
    let mut late = 0;
    for call in &history.calls {
        let at = match &call.did {
            Did::Sent(_, Told::Accepted(seq)) => history.log[usize::try_from(*seq).unwrap() - 1].at.unwrap(),
            Did::Sent(_, Told::Refused { at, code, .. }) => {
                late += usize::from(code == "SESSION_CLOSED");
                *at
            }
            Did::Read(_) => continue,
        };
        let (made, answered) = (offset + call.made / 1_000, offset + call.answered / 1_000);
        assert!(at.0 >= made - SLACK_MILLIS && at.0 <= answered + SLACK_MILLIS, "{call:?} in {made}..{answered}");
    }
    assert!(late > 0, "nobody was late");
    eprintln!("{} calls, {late} of them late", history.calls.len());
}

/// The seconds by which the wall clock is off, and those by which the monotonic one is, in a file that the process looks at.
struct Step(PathBuf);

impl Step {
    fn at(path: PathBuf) -> Step {
        fs::write(&path, [0; 16]).unwrap();
        Step(path)
    }

    fn to(&self, seconds: i64) {
        self.put(0, seconds);
    }

    /// Both clocks stand still for so long.
    fn suspend(&self, seconds: i64) {
        self.put(0, -seconds);
        self.put(8, -seconds);
    }

    fn put(&self, place: u64, seconds: i64) {
        // In place: the process has this very file in its memory.
        let file = fs::File::options().write(true).open(&self.0).unwrap();
        file.write_all_at(&seconds.to_ne_bytes(), place).unwrap();
    }
}
