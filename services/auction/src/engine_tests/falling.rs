//! Prices that fall: DUTCH, REVERSE; and the open licence, where nobody competes.

use super::*;
use wire::v1::BiddingMode;

#[test]
fn a_dutch_price_falls_until_somebody_accepts() {
    let dutch = BiddingTerms {
        mode: BiddingMode::Dutch.into(),
        drop: Some(Money(1_000)),
        drop_seconds: 10,
        lowest_price: Some(Money(7_000)),
        ..terms()
    };
    let mut drive = Drive::new(dutch.clone());
    drive.pass(12_000);
    assert_eq!(drive.lot.price(), Some(Money(9_000)));
    assert_eq!(drive.bid("B01", 10_000, 12_000), Err(ErrorCode::OutOfOrder), "it has fallen since");
    assert_eq!(drive.bid("B01", 8_000, 12_000), Err(ErrorCode::OutOfOrder), "it has not fallen so far");
    drive.bid("B02", 8_000, 25_000).unwrap();
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B02", 8_000)));
    assert_eq!(drive.bid("B01", 8_000, 25_000), Err(ErrorCode::SessionClosed), "the first acceptance ends it");
    let mut uneven = Drive::new(BiddingTerms { lowest_price: Some(Money(7_500)), ..dutch.clone() });
    uneven.pass(31_000);
    assert_eq!(uneven.lot.price(), Some(Money(7_500)), "not below the lowest");
    let mut silent = Drive::new(dutch);
    silent.pass(40_999);
    assert_eq!((silent.status(), silent.lot.price()), (Status::Free, Some(Money(7_000))));
    silent.pass(41_000);
    assert_eq!(silent.status(), Status::Unsold);
}

#[test]
fn in_a_reverse_session_the_lowest_wins() {
    let mut drive = Drive::new(BiddingTerms { mode: BiddingMode::Reverse.into(), proxy_allowed: true, ..terms() });
    assert_eq!(drive.bid("B01", 10_500, 1_000), Err(ErrorCode::BelowStart));
    drive.bid("B01", 10_000, 1_000).unwrap();
    assert_eq!(drive.bid("B02", 10_500, 1_000), Err(ErrorCode::BelowMinIncrement));
    drive.leave("B02", 7_200, 1_000).unwrap();
    assert_eq!(drive.lead(), ("B02", 9_500));
    drive.bid("B03", 8_000, 1_000).unwrap();
    assert_eq!(drive.lead(), ("B02", 7_500));
    drive.pass(500_000);
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B02", 7_500)));
}

#[test]
fn an_open_licence_takes_every_acceptor_once() {
    let accept = |code: &str| Command::Accept { code: code.into() };
    let licence = BiddingTerms { mode: BiddingMode::OpenLicence.into(), ..terms() };
    let mut drive = Drive::new(licence.clone());
    drive.go(accept("B01"), 1_000).unwrap();
    drive.go(accept("B02"), 2_000).unwrap();
    assert_eq!(drive.go(accept("B01"), 3_000), Err(ErrorCode::AlreadyExists));
    assert_eq!(drive.bid("B03", 10_000, 3_000), Err(ErrorCode::ModeMismatch));
    drive.pass(61_000);
    assert_eq!((drive.status(), drive.lot.state.bid_count), (Status::Sold, 2));
    let mut silent = Drive::new(licence);
    silent.pass(61_000);
    assert_eq!(silent.status(), Status::Unsold);
    let mut open = Drive::new(terms());
    assert_eq!(open.go(accept("B01"), 1_000), Err(ErrorCode::ModeMismatch));
}

#[test]
fn in_a_reverse_session_the_next_lowest_follows_a_defaulter() {
    let mut drive = Drive::new(BiddingTerms { mode: BiddingMode::Reverse.into(), ..terms() });
    for (code, fen) in [("B01", 10_000), ("B02", 9_500), ("B03", 9_000)] {
        drive.bid(code, fen, 1_000).unwrap();
    }
    drive.pass(500_000);
    drive.go(Command::PassOn { code: "B03".into() }, 500_000).unwrap();
    assert_eq!(drive.lead(), ("B02", 9_500));
}
