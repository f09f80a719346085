//! The auctioneer's commands, and floor bids in the same order as online bids.

use super::*;
use ErrorCode::{BelowMinIncrement, IllegalTransition, ModeMismatch, NotStepMultiple, SessionClosed, WarningDue};
use wire::v1::CloseRule;

fn floor(code: &str, fen: i64, paddle: i32) -> Command {
    Command::Bid { code: code.into(), amount: Money(fen), origin: BidOrigin::Floor, paddle: Some(paddle) }
}

fn ask(fen: i64) -> Command {
    Command::Ask { amount: Money(fen) }
}

#[test]
fn the_hammer_falls_after_fair_warning_and_may_be_lifted() {
    let hammer = BiddingTerms { close_rule: CloseRule::Hammer.into(), timed_seconds: 15, ..terms() };
    let mut drive = Drive::new(hammer);
    drive.pass(1_000);
    assert_eq!(drive.lot.wakes_at(), None, "time alone ends nothing");
    drive.go(ask(12_300), 2_000).unwrap();
    assert_eq!(drive.bid("B02", 12_300, 2_500), Err(NotStepMultiple), "asked in the hall alone");
    drive.go(floor("B01", 12_300, 7), 3_000).unwrap();
    assert_eq!(
        (drive.lead(), drive.lot.state.asking),
        (("B01", 12_300), None),
        "asking and floor price are two things"
    );
    assert_eq!(drive.go(ask(12_300), 3_000), Err(BelowMinIncrement));
    assert_eq!(drive.go(floor("B02", 12_900, 8), 3_000), Err(NotStepMultiple), "not asked for");
    drive.bid("B02", 12_800, 4_000).unwrap();
    assert_eq!(drive.go(Command::Hammer, 5_000), Err(WarningDue));
    drive.go(Command::Warn, 5_000).unwrap();
    drive.go(floor("B01", 13_300, 7), 5_500).unwrap();
    assert_eq!(drive.go(Command::Hammer, 6_000), Err(WarningDue), "a bid takes the warning back");
    drive.go(Command::Warn, 6_000).unwrap();
    drive.go(Command::Hammer, 7_000).unwrap();
    assert_eq!(drive.bid("B02", 13_800, 7_001), Err(SessionClosed));
    drive.go(Command::Reopen { reason: "同时举牌".into() }, 8_000).unwrap();
    drive.bid("B02", 13_800, 9_000).unwrap();
    drive.go(Command::Warn, 10_000).unwrap();
    drive.go(Command::Hammer, 11_000).unwrap();
    drive.pass(26_000);
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B02", 13_800)));
    assert_eq!(drive.go(Command::Reopen { reason: "zu spät".into() }, 26_001), Err(IllegalTransition));
    let paddles: Vec<i32> = drive.log.iter().filter_map(|event| event.paddle).collect();
    assert_eq!(paddles, [7, 7]);
}

#[test]
fn where_time_decides_the_auctioneer_does_not() {
    let mut drive = Drive::new(terms());
    for command in [ask(12_000), Command::Warn, Command::Hammer] {
        assert_eq!(drive.go(command, 1_000), Err(ModeMismatch));
    }
    drive.go(floor("B01", 10_000, 7), 1_000).unwrap();
    drive.bid("B02", 10_500, 1_000).unwrap();
    assert_eq!(drive.lead(), ("B02", 10_500));
}
