//! Open bids: the checks of SM-5 and the ladder.

use super::*;
use ErrorCode::{
    AlreadyLeading, AmountOutOfRange, BelowMinIncrement, BelowStart, NotEligible, NotStepMultiple, OverMaxMultiple,
    SessionClosed, SessionNotOpen, StartPriceTaken,
};

#[test]
fn each_refusal_has_its_code() {
    let mut drive = Drive::new(terms());
    for (code, fen, now, expected) in [
        ("B01", 10_000, 999, Err(SessionNotOpen)),
        ("B09", 10_000, 1_000, Err(NotEligible)),
        ("B01", 9_999, 1_000, Err(BelowStart)),
        ("B01", -1, 1_000, Err(AmountOutOfRange)),
        ("B01", i64::MAX, 1_000, Err(AmountOutOfRange)),
        ("B01", 10_001, 1_000, Err(NotStepMultiple)),
        ("B01", 10_000, 1_000, Ok(())),
        ("B01", 10_500, 1_001, Err(AlreadyLeading)),
        ("B02", 10_000, 1_001, Err(StartPriceTaken)),
        ("B02", 10_499, 1_001, Err(BelowMinIncrement)),
        ("B02", 10_700, 1_001, Err(NotStepMultiple)),
        ("B02", 11_500, 1_001, Ok(())),
        ("B01", 10_000, 1_001, Err(StartPriceTaken)),
        ("B01", 11_500, 1_001, Err(BelowMinIncrement)),
        ("B01", 12_000, 121_000, Err(SessionClosed)),
    ] {
        assert_eq!(drive.bid(code, fen, now), expected, "{code} {fen} at {now}");
    }
    assert_eq!(drive.status(), Status::Sold);
}

#[test]
fn the_ladder_rises_and_a_raise_is_capped() {
    let step = |from, increment| IncrementStep { from: Some(Money(from)), increment: Some(Money(increment)) };
    let increments = vec![step(0, 500), step(12_000, 2_000)];
    let mut drive = Drive::new(BiddingTerms { increments, max_multiple: 3, ..terms() });
    assert_eq!(drive.bid("B01", 12_000, 1_000), Err(OverMaxMultiple));
    drive.bid("B01", 11_500, 1_000).unwrap();
    drive.bid("B02", 12_000, 1_000).unwrap();
    assert_eq!(drive.bid("B01", 12_500, 1_000), Err(BelowMinIncrement));
    assert_eq!(drive.bid("B01", 15_000, 1_000), Err(NotStepMultiple));
    assert_eq!(drive.bid("B01", 20_000, 1_000), Err(OverMaxMultiple));
    drive.bid("B01", 18_000, 1_000).unwrap();
}

#[test]
fn a_refusal_tells_where_the_lot_stands() {
    let mut drive = Drive::new(terms());
    drive.bid("B01", 10_000, 1_000).unwrap();
    let refusal = drive.lot.decide(&bid("B02", 10_100), Instant(1_000)).unwrap_err();
    assert_eq!(refusal.current_price, Some(Money(10_000)));
    assert_eq!(refusal.minimum_amount, Some(Money(10_500)));
    assert_eq!(refusal.server_time, Some(Instant(1_000)));
    assert_eq!(refusal.closes_at, Some(Instant(61_000)));
    assert_eq!(refusal.deposit_held, Some(true));
    assert_eq!(refusal.accepted.as_deref(), Some("105.00 + k × 5.00"));
    drive.pass(500_000);
    let mut unsold = Drive::new(terms());
    unsold.pass(500_000);
    let late = unsold.lot.decide(&bid("B02", 10_500), Instant(500_000)).unwrap_err();
    assert_eq!((late.error_code(), late.deposit_held), (SessionClosed, Some(false)));
}

#[test]
fn a_leading_bid_may_be_withdrawn_only_where_and_when_announced() {
    let take_back = |code: &str| Command::Withdraw { code: code.into(), reason: "笔误".into() };
    let mut drive = Drive::new(terms());
    drive.bid("B01", 10_000, 1_000).unwrap();
    assert_eq!(drive.go(take_back("B01"), 1_001), Err(ErrorCode::WithdrawalNotAllowed));
    let mut drive = Drive::new(BiddingTerms { withdrawal_allowed: true, ..terms() });
    drive.bid("B01", 10_000, 1_000).unwrap();
    drive.bid("B02", 11_000, 2_000).unwrap();
    assert_eq!(drive.go(take_back("B01"), 3_000), Err(ErrorCode::NotLeading));
    let end = drive.lot.state.closes_at;
    drive.go(take_back("B02"), 3_000).unwrap();
    assert_eq!((drive.lead(), drive.lot.state.closes_at), (("B01", 10_000), end), "an event, and the end stays");
    drive.go(take_back("B01"), 3_000).unwrap();
    assert_eq!(drive.lead(), ("", 0));
    drive.bid("B02", 10_000, 4_000).unwrap();
    drive.pass(61_000);
    assert_eq!(drive.go(take_back("B02"), 61_001), Err(ErrorCode::WithdrawalNotAllowed));
}
