//! Bidders who rest, come back or are excluded.

use super::*;

fn rest(code: &str) -> Command {
    Command::Rest { code: code.into(), reason: "SUSPENDED".into() }
}

fn back(code: &str) -> Command {
    Command::Return { code: code.into() }
}

fn exclude(code: &str) -> Command {
    Command::Exclude { code: code.into(), reason: "控股子公司".into() }
}

fn pause() -> Command {
    Command::Pause { reason: "核查".into() }
}

#[test]
fn what_rests_leads_and_wins_nothing_and_counts_again_when_it_is_back() {
    let mut drive = Drive::new(BiddingTerms { proxy_allowed: true, ..terms() });
    drive.leave("B01", 30_000, 1_000).unwrap();
    drive.bid("B02", 10_500, 2_000).unwrap();
    drive.bid("B03", 11_500, 3_000).unwrap();
    assert_eq!(drive.lead(), ("B01", 12_000));
    drive.go(rest("B01"), 4_000).unwrap();
    assert_eq!(drive.lead(), ("B03", 11_500));
    assert_eq!(drive.go(rest("B01"), 4_000), Err(ErrorCode::AlreadyExists));
    assert_eq!(drive.bid("B01", 20_000, 4_500), Err(ErrorCode::OrganizationNotVerified));
    drive.bid("B02", 13_000, 5_000).unwrap();
    assert_eq!(drive.lead(), ("B02", 13_000), "no bid is made for a maximum that rests");
    let mut sold = drive.clone();
    sold.pass(121_000);
    assert_eq!((sold.status(), sold.lead()), (Status::Sold, ("B02", 13_000)));
    drive.go(back("B01"), 6_000).unwrap();
    assert_eq!(drive.lead(), ("B01", 13_500), "its maximum raises anew");
    assert_eq!(drive.go(back("B01"), 6_000), Err(ErrorCode::AlreadyExists));
    drive.pass(121_000);
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B01", 13_500)));
}

#[test]
fn whose_only_bid_rests_leaves_the_lot_as_nobody_had_bid() {
    let mut drive = Drive::new(terms());
    drive.bid("B01", 10_000, 1_000).unwrap();
    drive.go(rest("B01"), 2_000).unwrap();
    assert_eq!((drive.lead(), drive.lot.minimum()), (("", 0), Some(Money(10_000))));
    let mut bid_again = drive.clone();
    bid_again.bid("B02", 10_000, 3_000).unwrap();
    bid_again.go(back("B01"), 4_000).unwrap();
    assert_eq!(bid_again.lead(), ("B01", 10_000), "of equals the earlier one");
    drive.pass(121_000);
    assert_eq!(drive.status(), Status::Unsold);
    assert_eq!(drive.go(rest("B02"), 122_000), Err(ErrorCode::SessionClosed));
}

#[test]
fn a_lot_passes_over_who_rests() {
    let mut drive = Drive::new(terms());
    for (n, code) in (1_i64..).zip(["B01", "B02", "B03"]) {
        drive.bid(code, 10_000 + 500 * (n - 1), 1_000 * n).unwrap();
    }
    drive.pass(121_000);
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B03", 11_000)));
    drive.go(rest("B02"), 122_000).unwrap();
    drive.go(rest("B03"), 122_000).unwrap();
    assert_eq!(drive.lead(), ("B03", 11_000), "what is sold stays sold until its award ends");
    drive.go(Command::PassOn { code: "B03".into() }, 123_000).unwrap();
    assert_eq!(drive.lead(), ("B01", 10_000));
}

#[test]
fn nobody_is_excluded_from_a_race_that_runs() {
    let mut drive = Drive::new(terms());
    drive.bid("B01", 10_000, 1_000).unwrap();
    drive.bid("B02", 10_500, 2_000).unwrap();
    assert_eq!(drive.go(exclude("B02"), 3_000), Err(ErrorCode::IllegalTransition));
    drive.go(pause(), 4_000).unwrap();
    assert_eq!(drive.go(exclude("B09"), 4_000), Err(ErrorCode::NotEligible));
    drive.go(exclude("B02"), 5_000).unwrap();
    assert_eq!(drive.go(exclude("B02"), 5_000), Err(ErrorCode::AlreadyExists));
    drive.go(rest("B02"), 5_500).unwrap();
    drive.go(back("B02"), 5_600).unwrap();
    assert_eq!(drive.lead(), ("B01", 10_000), "reinstated, it stays excluded");
    drive.go(Command::Resume, 6_000).unwrap();
    assert_eq!(drive.bid("B02", 20_000, 7_000), Err(ErrorCode::ConflictOfInterest));
    drive.pass(200_000);
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B01", 10_000)));
}

#[test]
fn an_open_licence_is_not_given_to_who_rests() {
    let mut drive = Drive::new(BiddingTerms { mode: wire::v1::BiddingMode::OpenLicence.into(), ..terms() });
    drive.go(Command::Accept { code: "B01".into() }, 2_000).unwrap();
    drive.go(rest("B01"), 3_000).unwrap();
    drive.pass(200_000);
    assert_eq!(drive.status(), Status::Unsold);
}
