//! How sessions end: close rules, extensions, reserves, pauses, cancellations, defaults.

use super::*;
use wire::v1::{BiddingMode, CloseRule, ExtensionTrigger};

#[test]
fn free_bids_do_not_extend_and_timed_bids_restart_the_cycle() {
    let mut drive = Drive::new(terms());
    drive.bid("B01", 10_000, 60_999).unwrap();
    assert_eq!(drive.lot.state.closes_at, Some(Instant(61_000)));
    drive.bid("B02", 10_500, 120_999).unwrap();
    assert_eq!(drive.lot.state.closes_at, Some(Instant(180_999)));
    drive.pass(180_998);
    assert_eq!(drive.status(), Status::Timed);
    drive.pass(180_999);
    assert_eq!(drive.status(), Status::Sold);
    let sale = drive.log.last().unwrap();
    assert_eq!((sale.bidder_code(), sale.amount, sale.at), ("B02", Some(Money(10_500)), Some(Instant(180_999))));
}

#[test]
fn a_soft_close_moves_by_late_bids_as_far_as_announced() {
    let soft = BiddingTerms {
        close_rule: CloseRule::SoftClose.into(),
        extension_window_seconds: 30,
        timed_seconds: 30,
        max_extensions: 2,
        ..terms()
    };
    let mut drive = Drive::new(soft.clone());
    drive.bid("B01", 10_000, 30_000).unwrap();
    assert_eq!(drive.lot.state.closes_at, Some(Instant(61_000)), "too early to move it");
    drive.bid("B02", 10_500, 60_000).unwrap();
    assert_eq!(drive.lot.state.closes_at, Some(Instant(90_000)));
    drive.bid("B01", 11_000, 89_000).unwrap();
    drive.bid("B02", 11_500, 118_000).unwrap();
    assert_eq!(drive.lot.state.closes_at, Some(Instant(119_000)), "two extensions were announced");
    drive.pass(119_000);
    assert_eq!(drive.status(), Status::Sold);
    let mut early = Drive::new(BiddingTerms { extension_window_seconds: 10, timed_seconds: 60, ..soft.clone() });
    early.bid("B01", 10_000, 50_999).unwrap();
    assert_eq!(early.lot.state.closes_at, Some(Instant(61_000)), "before the window");
    early.bid("B02", 10_500, 51_000).unwrap();
    assert_eq!(early.lot.state.closes_at, Some(Instant(111_000)));
    let mut drive = Drive::new(BiddingTerms { max_extensions: 0, max_extension_seconds: 40, ..soft });
    for (n, now) in (0..4).zip([60_000, 89_000, 100_000, 100_500]) {
        drive.bid(["B01", "B02"][n % 2], 10_000 + 500 * i64::try_from(n).unwrap(), now).unwrap();
    }
    assert_eq!(drive.lot.state.closes_at, Some(Instant(101_000)), "forty seconds in all");
}

#[test]
fn a_short_extension_does_not_move_the_end_back() {
    let soft = BiddingTerms {
        close_rule: CloseRule::SoftClose.into(),
        extension_window_seconds: 50,
        timed_seconds: 20,
        ..terms()
    };
    let mut drive = Drive::new(soft);
    drive.bid("B01", 10_000, 20_000).unwrap();
    assert_eq!((drive.lot.state.closes_at, drive.lot.state.extensions), (Some(Instant(61_000)), 0));
    drive.bid("B02", 10_500, 51_000).unwrap();
    assert_eq!((drive.lot.state.closes_at, drive.lot.state.extensions), (Some(Instant(71_000)), 1));
}

#[test]
fn a_pause_uses_up_no_extension() {
    let timed = BiddingTerms { max_extension_seconds: 40, ..terms() };
    let mut drive = Drive::new(timed);
    drive.bid("B01", 10_000, 100_000).unwrap();
    assert_eq!(drive.lot.state.closes_at, Some(Instant(160_000)), "forty seconds at most after 121,000");
    drive.go(Command::Pause { reason: "停电".into() }, 150_000).unwrap();
    drive.go(Command::Resume, 1_150_000).unwrap();
    assert_eq!(drive.lot.state.closes_at, Some(Instant(1_160_000)));
    drive.bid("B02", 10_500, 1_159_000).unwrap();
    assert_eq!(drive.lot.state.closes_at, Some(Instant(1_161_000)), "what was left of the limit is left");
    drive.bid("B01", 11_000, 1_160_000).unwrap();
    assert_eq!(drive.lot.state.closes_at, Some(Instant(1_161_000)));
}

#[test]
fn only_a_change_of_lead_may_extend() {
    let mut drive = Drive::new(BiddingTerms {
        extension_trigger: ExtensionTrigger::LeadChange.into(),
        withdrawal_allowed: true,
        ..terms()
    });
    drive.bid("B01", 10_000, 1_000).unwrap();
    drive.bid("B02", 10_500, 70_000).unwrap();
    assert_eq!(drive.lot.state.closes_at, Some(Instant(130_000)));
    let lead_change = ExtensionTrigger::LeadChange.into();
    let mut held = Drive::new(BiddingTerms { extension_trigger: lead_change, proxy_allowed: true, ..terms() });
    held.leave("B01", 12_000, 1_000).unwrap();
    assert_eq!(held.bid("B02", 12_000, 70_000), Err(ErrorCode::BelowMinIncrement), "the maximum came first");
    assert_eq!((held.lead(), held.lot.state.closes_at), (("B01", 12_000), Some(Instant(121_000))), "nobody else leads");
}

#[test]
fn after_the_inquiry_only_those_bid_who_go_on() {
    let inquiry = CloseRule::InquiryThenTimed.into();
    let asked = BiddingTerms { close_rule: inquiry, inquiry_seconds: 10, proxy_allowed: true, ..terms() };
    let mut drive = Drive::new(asked.clone());
    let on = |code: &str| Command::Continue { code: code.into() };
    assert_eq!(drive.go(on("B01"), 2_000), Err(ErrorCode::NotInInquiry));
    drive.bid("B01", 10_000, 2_000).unwrap();
    drive.bid("B02", 10_500, 2_000).unwrap();
    assert_eq!(drive.bid("B01", 11_000, 61_000), Err(ErrorCode::SessionNotOpen));
    assert_eq!(drive.go(on("B03"), 61_000), Err(ErrorCode::NoValidBid));
    drive.go(on("B01"), 61_000).unwrap();
    assert_eq!(drive.go(on("B01"), 61_000), Err(ErrorCode::AlreadyAnswered));
    assert_eq!(drive.bid("B03", 11_000, 71_000), Err(ErrorCode::NotContinuing));
    assert_eq!(drive.leave("B02", 20_000, 71_000), Err(ErrorCode::NotContinuing));
    drive.bid("B01", 11_000, 72_000).unwrap();
    assert_eq!(drive.bid("B02", 11_500, 73_000), Err(ErrorCode::NotContinuing));
    drive.pass(132_000);
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B01", 11_000)));
    let mut drive = Drive::new(asked);
    drive.bid("B03", 10_000, 2_000).unwrap();
    drive.bid("B02", 10_500, 2_000).unwrap();
    drive.leave("B01", 30_000, 2_000).unwrap();
    drive.go(on("B02"), 61_000).unwrap();
    drive.go(on("B03"), 61_000).unwrap();
    drive.bid("B02", 11_500, 71_000).unwrap();
    drive.leave("B03", 20_000, 71_000).unwrap();
    assert_eq!(drive.lead(), ("B03", 12_000), "the higher maximum of who does not go on keeps nobody back");
    let mut silent = Drive::new(BiddingTerms { close_rule: inquiry, inquiry_seconds: 10, ..terms() });
    silent.pass(61_000);
    assert_eq!(silent.status(), Status::Unsold, "nobody to ask");
}

#[test]
fn below_the_reserve_it_stays_unsold_and_the_reserve_is_told() {
    let mut drive = Drive::with_reserve(terms(), 12_000);
    drive.bid("B01", 11_500, 1_000).unwrap();
    let silent = format!("{:?}", drive.lot);
    assert!(!silent.contains("12000") && !silent.contains("salt"), "{silent}");
    drive.pass(500_000);
    let told = drive.told();
    assert_eq!(told[told.len() - 2..], ["RESERVE_REVEALED 12000".to_owned(), "UNSOLD".to_owned()]);
    let mut met = Drive::with_reserve(terms(), 12_000);
    met.bid("B01", 12_000, 1_000).unwrap();
    met.pass(500_000);
    assert_eq!(met.status(), Status::Sold);
    let mut bent = met.log.clone();
    let place = bent.iter().position(|event| event.kind() == Kind::ReserveRevealed).unwrap();
    bent[place].amount = Some(Money(11_000));
    assert_eq!(replay(met.lot.terms.clone(), &bent).unwrap_err().seq, bent[place].seq, "not the announced one");
    bent.remove(place);
    assert!(replay(met.lot.terms.clone(), &bent).is_err(), "nor none");
}

#[test]
fn nobody_comes_late_where_the_notice_does_not_say_so_and_nobody_twice() {
    let admit = |code: &str| Command::Admit { code: code.into(), rank: None };
    let mut drive = Drive::new(terms());
    assert_eq!(drive.go(admit("B01"), 500), Err(ErrorCode::AlreadyExists));
    assert_eq!(drive.go(admit("B05"), 1_000), Err(ErrorCode::IllegalTransition));
    let mode = wire::v1::BiddingMode::DynamicListing.into();
    let mut dynamic = Drive::new(BiddingTerms { mode, ..terms() });
    dynamic.go(admit("B05"), 1_000).unwrap();
    assert_eq!(dynamic.go(admit("B05"), 1_000), Err(ErrorCode::AlreadyExists));
    dynamic.bid("B05", 10_000, 1_000).unwrap();
    assert_eq!(dynamic.go(admit("B06"), 61_000), Err(ErrorCode::IllegalTransition), "not in the timed period");
}

#[test]
fn a_pause_keeps_what_remained() {
    let pause = || Command::Pause { reason: "停电".into() };
    let mut drive = Drive::new(terms());
    assert_eq!(drive.go(pause(), 500), Err(ErrorCode::SessionNotOpen));
    drive.bid("B01", 10_000, 41_000).unwrap();
    drive.go(pause(), 41_000).unwrap();
    assert_eq!(drive.bid("B02", 10_500, 50_000), Err(ErrorCode::SessionPaused));
    assert_eq!(drive.go(pause(), 50_000), Err(ErrorCode::SessionPaused));
    drive.pass(9_000_000);
    assert_eq!(drive.status(), Status::Paused);
    drive.go(Command::Resume, 9_000_000).unwrap();
    assert_eq!((drive.status(), drive.lot.state.closes_at), (Status::Free, Some(Instant(9_020_000))));
    assert_eq!(drive.go(Command::Resume, 9_000_000), Err(ErrorCode::IllegalTransition));
    drive.go(Command::Cancel { reason: "权属异议".into() }, 9_000_001).unwrap();
    assert_eq!(drive.bid("B02", 10_500, 9_000_002), Err(ErrorCode::SessionClosed));
    assert_eq!(drive.go(Command::Cancel { reason: "again".into() }, 9_000_003), Err(ErrorCode::SessionClosed));
}

#[test]
fn a_defaulters_lot_passes_on_until_nobody_is_left() {
    let pass_on = |code: &str| Command::PassOn { code: code.into() };
    let mut drive = Drive::with_reserve(terms(), 10_500);
    drive.bid("B01", 10_000, 1_000).unwrap();
    drive.bid("B02", 10_500, 1_000).unwrap();
    drive.bid("B03", 11_500, 1_000).unwrap();
    assert_eq!(drive.go(pass_on("B03"), 1_000), Err(ErrorCode::IllegalTransition));
    drive.pass(500_000);
    assert_eq!(drive.go(pass_on("B02"), 500_000), Err(ErrorCode::IllegalTransition), "it has not won");
    drive.go(pass_on("B03"), 500_001).unwrap();
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B02", 10_500)));
    assert_eq!(drive.go(pass_on("B03"), 500_002), Err(ErrorCode::IllegalTransition), "once is enough");
    drive.go(pass_on("B02"), 500_003).unwrap();
    assert_eq!(drive.status(), Status::Unsold, "the next is below the reserve");
}

#[test]
fn free_quoting_inside_the_disclosure_period_ends_with_it() {
    let mut drive = Drive::new(BiddingTerms { mode: BiddingMode::DynamicListing.into(), ..terms() });
    drive.lot.terms.free_ends_at = Some(Instant(500_000));
    drive.bid("B01", 10_000, 100_000).unwrap();
    assert_eq!((drive.status(), drive.lot.state.closes_at), (Status::Free, Some(Instant(500_000))));
    drive.pass(500_000);
    assert_eq!((drive.status(), drive.lot.state.closes_at), (Status::Timed, Some(Instant(560_000))));
}
