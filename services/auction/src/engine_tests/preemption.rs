//! Preemption rights: B04 holds the better rank, B03 the next one.

use super::*;
use ErrorCode::{AlreadyAnswered, BelowMinIncrement, NoOffer, NoPreemption, PreemptionQuota, SessionClosed};
use wire::v1::PreemptionRule;

fn in_session(quota: i32) -> Drive {
    Drive::with_holders(BiddingTerms {
        preemption: PreemptionRule::InSession.into(),
        preemption_quota: quota,
        proxy_allowed: true,
        ..terms()
    })
}

fn after_session() -> Drive {
    let rule = PreemptionRule::AfterSession.into();
    Drive::with_holders(BiddingTerms { preemption: rule, preemption_seconds: 30, ..terms() })
}

fn answer(code: &str, exercise: bool) -> Command {
    Command::AnswerPreemption { code: code.into(), exercise }
}

#[test]
fn a_holder_leads_with_a_bid_equal_to_the_top() {
    let mut drive = in_session(0);
    drive.bid("B01", 12_000, 1_000).unwrap();
    assert_eq!(drive.bid("B02", 12_000, 1_000), Err(NoPreemption), "no holder");
    drive.bid("B03", 12_000, 1_000).unwrap();
    assert_eq!(drive.lead(), ("B03", 12_000));
    drive.bid("B04", 12_000, 1_000).unwrap();
    assert_eq!(drive.lead(), ("B04", 12_000), "the better rank");
    assert_eq!(drive.bid("B03", 12_000, 1_000), Err(NoPreemption), "a worse one does not come back");
    drive.bid("B01", 12_500, 70_000).unwrap();
    assert_eq!(drive.lead(), ("B01", 12_500), "a higher bid wins over any rank");
    drive.bid("B04", 12_500, 71_000).unwrap();
    assert_eq!(drive.lot.state.closes_at, Some(Instant(131_000)), "matching is a valid bid and restarts the cycle");
    drive.pass(131_000);
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B04", 12_500)));
}

#[test]
fn the_right_is_used_as_often_as_announced() {
    let mut drive = in_session(1);
    drive.bid("B01", 10_000, 1_000).unwrap();
    drive.bid("B04", 10_000, 1_000).unwrap();
    drive.bid("B01", 10_500, 1_000).unwrap();
    assert_eq!(drive.bid("B04", 10_500, 1_000), Err(PreemptionQuota));
    drive.bid("B04", 11_000, 1_000).unwrap();
    let mut none = Drive::with_holders(terms());
    none.bid("B01", 10_500, 1_000).unwrap();
    assert_eq!(none.bid("B04", 10_500, 1_000), Err(BelowMinIncrement), "the notice gives no such right");
}

#[test]
fn a_hidden_maximum_answers_a_holder() {
    let mut drive = in_session(0);
    drive.leave("B01", 12_000, 1_000).unwrap();
    drive.bid("B04", 10_000, 1_000).unwrap();
    assert_eq!(drive.lead(), ("B01", 10_500));
    drive.bid("B02", 11_500, 1_000).unwrap();
    assert_eq!(drive.lead(), ("B01", 12_000));
    drive.bid("B04", 12_000, 1_000).unwrap();
    assert_eq!(drive.lead(), ("B04", 12_000), "at the end of the maximum the right decides");
    let mut short = in_session(0);
    short.leave("B01", 10_499, 1_000).unwrap();
    short.bid("B04", 10_000, 1_000).unwrap();
    assert_eq!(short.lead(), ("B04", 10_000), "a fen short of the next step");
}

#[test]
fn after_the_session_the_last_quote_is_offered_by_rank() {
    let mut drive = after_session();
    assert_eq!(drive.go(answer("B04", true), 1_000), Err(NoOffer));
    drive.bid("B01", 12_000, 1_000).unwrap();
    drive.pass(121_000);
    assert_eq!((drive.status(), drive.lot.state.closes_at), (Status::Preemption, Some(Instant(151_000))));
    assert_eq!(drive.bid("B02", 12_500, 121_000), Err(SessionClosed));
    assert_eq!(drive.go(answer("B02", true), 121_000), Err(NoPreemption));
    drive.go(answer("B03", true), 121_001).unwrap();
    assert_eq!(drive.go(answer("B03", false), 121_002), Err(AlreadyAnswered));
    assert_eq!(drive.status(), Status::Preemption, "B04 may still take it");
    drive.go(answer("B04", true), 122_000).unwrap();
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B04", 12_000)), "nobody is left to wait for");
    assert_eq!(drive.log.last().unwrap().at, Some(Instant(122_000)));
}

#[test]
fn who_does_not_answer_lets_it_go() {
    let mut drive = after_session();
    drive.bid("B01", 12_000, 1_000).unwrap();
    drive.go(answer("B04", false), 121_000).unwrap();
    drive.pass(151_000);
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B01", 12_000)));
    let mut taken = after_session();
    taken.bid("B01", 12_000, 1_000).unwrap();
    taken.go(answer("B03", true), 121_000).unwrap();
    taken.pass(151_000);
    assert_eq!(taken.lead(), ("B03", 12_000));
    let mut waived = after_session();
    waived.bid("B01", 12_000, 1_000).unwrap();
    waived.go(answer("B03", false), 121_000).unwrap();
    waived.go(answer("B04", false), 121_000).unwrap();
    assert_eq!(waived.status(), Status::Sold);
    let mut leads = after_session();
    leads.bid("B03", 12_000, 1_000).unwrap();
    leads.pass(121_000);
    assert_eq!(leads.status(), Status::Sold, "a holder that leads is asked nothing");
}

#[test]
fn at_one_price_the_better_rank_is_next_and_then_the_earlier_bid() {
    let mut drive = in_session(0);
    for code in ["B01", "B03", "B04"] {
        drive.bid(code, 12_000, 1_000).unwrap();
    }
    drive.pass(500_000);
    for (defaulter, next) in [("B04", "B03"), ("B03", "B01")] {
        drive.go(Command::PassOn { code: defaulter.into() }, 500_000).unwrap();
        assert_eq!(drive.lead(), (next, 12_000));
    }
    let rule = PreemptionRule::InSession.into();
    let mut drive = Drive::with_holders(BiddingTerms { preemption: rule, withdrawal_allowed: true, ..terms() });
    for (code, fen) in [("B01", 12_000), ("B03", 12_000), ("B02", 12_500)] {
        drive.bid(code, fen, 1_000).unwrap();
    }
    drive.go(Command::Withdraw { code: "B02".into(), reason: "笔误".into() }, 2_000).unwrap();
    assert_eq!(drive.lead(), ("B03", 12_000));
}
