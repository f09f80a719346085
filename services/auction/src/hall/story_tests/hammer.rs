//! A lot that the auctioneer's hammer ends, with bids from the hall and from outside.

use kernel::{ErrorCode::*, Money, Role};
use wire::v1::{self, AuctionEventKind as Kind, BidOrigin::Floor, BiddingStatus, CloseRule};

use super::court::{Court, ask};

#[tokio::test]
async fn the_auctioneer_leads_a_lot_that_takes_bids_from_everywhere() {
    let court = Court::with(2, CloseRule::Hammer).await;
    let (lot, auctioneer) = (court.lot.clone(), court.auctioneer());
    let price = |amount| v1::AskPriceInput { session_id: lot.clone(), amount: Some(Money(amount)) };
    let warn = || v1::GiveFairWarningInput { session_id: lot.clone() };
    let hammer = || v1::DropHammerInput { session_id: lot.clone() };
    let reopen = || v1::ReopenLotInput { session_id: lot.clone(), reason: "漏看一牌".into() };

    // Without a hall, and without the licences that come with it, there is no hammer.
    assert_eq!(ask!(court.hall, ask_price, auctioneer, bidding_session, price(150)), Err(IllegalTransition));
    assert_eq!(ask!(court.hall, open_hall_session, auctioneer, hall_session, court.opening(None)), Err(Required));
    let by_clerk = court.opening(Some("拍卖企业01"));
    assert_eq!(ask!(court.hall, open_hall_session, court.clerk(), hall_session, by_clerk.clone()), Err(Forbidden));
    let hall = court.open().await;
    assert_eq!(ask!(court.hall, open_hall_session, auctioneer, hall_session, by_clerk), Err(AlreadyExists));
    court.check_in(&hall, 0, 1).await.unwrap();
    let mut terminal = court.terminal(&hall, 5).await;

    // The floor price is what was bid, the asking price what the auctioneer calls for.
    let bid = terminal.bid(&court, (1, 100), Floor);
    court.enter(&bid).await.bid.unwrap();
    let session = ask!(court.hall, ask_price, auctioneer, bidding_session, price(150)).unwrap();
    assert_eq!((session.current_price, session.asking_price), (Some(Money(100)), Some(Money(150))));
    assert_eq!(ask!(court.hall, ask_price, auctioneer, bidding_session, price(100)), Err(BelowMinIncrement));
    assert_eq!(ask!(court.hall, ask_price, court.clerk(), bidding_session, price(160)), Err(Forbidden));
    court.online(1, 150).await.unwrap();
    assert_eq!(ask!(court.hall, drop_hammer, auctioneer, bidding_session, hammer()), Err(WarningDue));
    ask!(court.hall, give_fair_warning, auctioneer, bidding_session, warn()).unwrap();
    let session = ask!(court.hall, drop_hammer, auctioneer, bidding_session, hammer()).unwrap();
    assert_eq!(session.status(), BiddingStatus::Hammered);

    // The hall cannot leave its lot.
    let close = v1::CloseHallSessionInput { hall_session_id: hall.clone() };
    assert_eq!(ask!(court.hall, close_hall_session, auctioneer, hall_session, close.clone()), Err(IllegalTransition));
    let session = ask!(court.hall, reopen_lot, auctioneer, bidding_session, reopen()).unwrap();
    assert_eq!((session.status(), session.warnings), (BiddingStatus::Free, 0));
    assert_eq!(ask!(court.hall, reopen_lot, auctioneer, bidding_session, reopen()), Err(IllegalTransition));
    let bid = terminal.bid(&court, (1, 151), Floor);
    court.enter(&bid).await.bid.unwrap();
    ask!(court.hall, give_fair_warning, auctioneer, bidding_session, warn()).unwrap();
    ask!(court.hall, drop_hammer, auctioneer, bidding_session, hammer()).unwrap();
    court.pass(20);
    let beat = v1::SendHallHeartbeatInput { device_id: terminal.id.clone() };
    ask!(court.hall, send_hall_heartbeat, court.clerk(), hall_device, beat.clone()).unwrap();
    court.pass(29);
    ask!(court.hall, send_hall_heartbeat, court.clerk(), hall_device, beat).unwrap();
    court.pass(12);
    let mut tries = 0;
    while court.session().await.status() != BiddingStatus::Sold {
        tries += 1;
        assert!(tries < 100, "the lot does not close: {:?}", court.session().await);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let log = court.log().await;
    let sold = log.last().unwrap();
    assert_eq!((sold.kind(), sold.bidder_code(), sold.amount), (Kind::Sold, "B00", Some(Money(151))));
    let late = terminal.bid(&court, (1, 200), Floor);
    assert_eq!(court.enter(&late).await.user_errors[0].error_code(), SessionClosed);

    ask!(court.hall, close_hall_session, auctioneer, hall_session, close.clone()).unwrap();
    assert_eq!(ask!(court.hall, close_hall_session, auctioneer, hall_session, close), Err(IllegalTransition));
    assert_eq!(court.check_in(&hall, 1, 2).await, Err(IllegalTransition));
    let after = terminal.bid(&court, (1, 201), Floor);
    assert_eq!(court.enter(&after).await.user_errors[0].error_code(), IllegalTransition);
    // What was entered before keeps its answer.
    assert!(court.enter(&bid).await.bid.is_some());
}

#[tokio::test]
async fn a_lot_with_an_end_of_its_own_takes_no_hammer() {
    let court = Court::with(2, CloseRule::TwoStage).await;
    ask!(court.hall, open_hall_session, court.auctioneer(), hall_session, court.opening(None)).unwrap();
    let warn = v1::GiveFairWarningInput { session_id: court.lot.clone() };
    assert_eq!(ask!(court.hall, give_fair_warning, court.auctioneer(), bidding_session, warn), Err(ModeMismatch));
    let price = v1::AskPriceInput { session_id: court.lot.clone(), amount: Some(Money(150)) };
    let elsewhere = court.staff("qualifier", Role::Qualifier);
    assert_eq!(ask!(court.hall, ask_price, elsewhere, bidding_session, price), Err(Forbidden));
}

#[tokio::test]
async fn whoever_is_eligible_late_gets_a_paddle_where_the_lot_takes_it() {
    for (close_rule, taken) in [(CloseRule::Hammer, true), (CloseRule::TwoStage, false)] {
        let court = Court::before(None, (2, 1), close_rule).await;
        let hall = court.open().await;
        let checked_in = court.check_in(&hall, 2, 7).await.map(|paddle| paddle.number);
        assert_eq!(checked_in, if taken { Ok(7) } else { Err(NotEligible) });
        let admitted = court.log().await.iter().filter(|event| event.kind() == Kind::Admitted).count();
        assert_eq!(admitted, if taken { 3 } else { 2 });
        let mut terminal = court.terminal(&hall, 10).await;
        let bid = terminal.bid(&court, (7, 100), Floor);
        assert_eq!(court.enter(&bid).await.bid.is_some(), taken);
        // By its first bid online, in the same way.
        let other = Court::before(None, (2, 1), close_rule).await;
        assert_eq!(other.online(2, 100).await.is_ok(), taken);
    }
}
