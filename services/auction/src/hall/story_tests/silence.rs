//! A hall of which nothing is heard.

use std::time::Duration;

use kernel::{ErrorCode::*, Role, audit_page};
use wire::v1::{self, AuctionEventKind as Kind, BidOrigin::Floor, BiddingStatus, CloseRule, JournalOutcome};

use super::court::{Court, Terminal, ask, outcomes};

async fn beat(court: &Court, terminal: &Terminal) {
    let input = v1::SendHallHeartbeatInput { device_id: terminal.id.clone() };
    ask!(court.hall, send_hall_heartbeat, court.clerk(), hall_device, input).unwrap();
}

async fn becomes(court: &Court, status: BiddingStatus) -> bool {
    for _ in 0..30 {
        if court.session().await.status() == status {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

#[tokio::test]
async fn the_lots_of_a_silent_hall_wait_until_somebody_lets_them_go_on() {
    let court = Court::with(2, CloseRule::Hammer).await;
    let hall = court.open().await;
    court.check_in(&hall, 0, 1).await.unwrap();
    court.check_in(&hall, 1, 2).await.unwrap();
    let (mut one, two) = (court.terminal(&hall, 6).await, court.terminal(&hall, 7).await);
    let bid = one.bid(&court, (1, 100), Floor);
    court.enter(&bid).await.bid.unwrap();

    // One terminal that is heard is enough.
    for _ in 0..3 {
        court.pass(200);
        beat(&court, &two).await;
    }
    assert!(!becomes(&court, BiddingStatus::Paused).await, "a hall that is heard was paused");
    court.pass(200);
    assert!(!becomes(&court, BiddingStatus::Paused).await, "a hall was paused too early");
    court.pass(101);
    assert!(becomes(&court, BiddingStatus::Paused).await, "a silent hall goes on");
    let log = court.log().await;
    let paused = log.last().unwrap();
    assert_eq!((paused.kind(), paused.reason()), (Kind::Paused, "hall heartbeat lost"));
    let trail = audit_page(&court.db, "auction", Some(&court.lot), Some(50), None).await.unwrap();
    let record = trail.items.iter().find(|record| record.kind == "BiddingPaused").unwrap();
    assert!(record.actor == "exchange" && record.facts.contains(&hall), "{record:?}");
    assert_eq!(court.online(1, 101).await, Err(SessionPaused));

    // A journal is taken during the pause as well: what was bid before it is known, what it brings is for the auctioneer.
    one.bid(&court, (2, 101), Floor);
    let already = (JournalOutcome::AlreadyApplied, None);
    let during = [already, (JournalOutcome::Conflict, Some("SESSION_PAUSED"))];
    assert_eq!(outcomes(&court.upload(&one).await), during);
    one.bid(&court, (2, 101), Floor);
    let resume = v1::ResumeBiddingInput { session_id: court.lot.clone() };
    let clerk = court.clerk();
    assert_eq!(ask!(court.auction, resume_bidding, clerk, bidding_session, resume.clone()), Err(Forbidden));
    beat(&court, &one).await;
    ask!(court.auction, resume_bidding, court.auctioneer(), bidding_session, resume).unwrap();
    assert!(!becomes(&court, BiddingStatus::Paused).await, "a hall that is heard again was paused");
    let uploaded = court.upload(&one).await;
    assert_eq!(outcomes(&uploaded), [during[0], during[1], (JournalOutcome::Applied, None)]);
    assert_eq!(court.bids().await, [(100, Some(1)), (101, Some(2))]);
}

#[tokio::test]
async fn a_lot_with_an_end_of_its_own_does_not_wait_for_the_hall() {
    let court = Court::with(2, CloseRule::TwoStage).await;
    let hall = court.open().await;
    court.terminal(&hall, 8).await;
    court.pass(301);
    assert!(!becomes(&court, BiddingStatus::Paused).await);
    court.online(0, 100).await.unwrap();
    let qualifier = court.staff("qualifier", Role::Qualifier);
    let resume = v1::ResumeBiddingInput { session_id: court.lot.clone() };
    assert_eq!(ask!(court.auction, resume_bidding, qualifier, bidding_session, resume), Err(IllegalTransition));
}
