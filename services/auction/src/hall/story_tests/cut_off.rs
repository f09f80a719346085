//! Hall, online and offline-journal bids of one lot, with all that may happen on the way.

use kernel::{Id, Money, audit_page};
use prost::Message;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ConnectionTrait, EntityTrait, IntoActiveModel, Statement};
use wire::{
    id::HallDeviceId,
    v1::{
        self,
        BidOrigin::{Absentee, Floor, Phone},
        CloseRule, JournalOutcome,
    },
};

use super::court::{Court, ask, outcomes};
use crate::store::{hall::hall_device, hall_line};
use kernel::ErrorCode::{self, *};

fn refused(payload: &v1::EnterHallBidPayload) -> ErrorCode {
    payload.user_errors.first().unwrap().error_code()
}

async fn hall_online_and_journal_bids_stand_in_one_order(server: Option<String>) {
    let court = Court::on(server, 3, CloseRule::TwoStage).await;
    let hall = court.open().await;
    court.check_in(&hall, 1, 7).await.unwrap();
    court.check_in(&hall, 2, 9).await.unwrap();
    let mut terminal = court.terminal(&hall, 1).await;

    // Live: whoever bids online and in the hall is one bidder.
    court.online(0, 100).await.unwrap();
    let first = terminal.bid(&court, (7, 101), Floor);
    let bid = court.enter(&first).await.bid.unwrap();
    assert_eq!((bid.amount, bid.bidder_code.as_str()), (Some(Money(101)), "B01"));
    court.online(2, 102).await.unwrap();
    let second = terminal.bid(&court, (9, 103), Phone);
    let answer = court.enter(&second).await;
    assert_eq!(refused(&answer), AlreadyLeading);

    // Cut off: noted, while the lot goes on online. The last line was entered with a paddle that nobody has.
    let acknowledged = court.online(0, 104).await.unwrap();
    terminal.bid(&court, (7, 104), Floor);
    terminal.bid(&court, (9, 110), Absentee);
    terminal.bid(&court, (33, 120), Floor);
    let uploaded = court.upload(&terminal).await;
    assert_eq!(
        outcomes(&uploaded),
        [
            (JournalOutcome::AlreadyApplied, None),
            (JournalOutcome::Conflict, Some("ALREADY_LEADING")),
            (JournalOutcome::Conflict, Some("BELOW_MIN_INCREMENT")),
            (JournalOutcome::Applied, None),
            (JournalOutcome::Conflict, Some("NO_PADDLE")),
        ]
    );
    let online = [(100, None), (102, None), (104, None)];
    let bids = court.bids().await;
    assert_eq!(bids, [online[0], (101, Some(7)), online[1], online[2], (110, Some(9))]);
    let log = court.log().await;
    let kept = log.iter().find(|event| event.seq == acknowledged.seq).unwrap();
    assert_eq!((kept.amount, kept.bidder_code()), (Some(Money(104)), "B00"), "an acknowledged bid is overridden");
    let origins: Vec<_> = log.iter().filter(|event| event.paddle.is_some()).map(v1::AuctionEvent::origin).collect();
    assert_eq!(origins, [Floor, Absentee]);

    // The same journal again: the same outcomes, and nothing bid twice.
    assert_eq!(court.upload(&terminal).await.encode_to_vec(), uploaded.encode_to_vec());
    assert_eq!(court.enter(&first).await.bid, Some(bid));
    assert_eq!(court.bids().await, bids);

    // What conflicts waits for the auctioneer.
    let numbers = |entries: &[v1::JournalEntry]| entries.iter().map(|entry| entry.number).collect::<Vec<_>>();
    assert_eq!(numbers(&court.journal(&hall, false).await), [1, 2, 3, 4, 5]);
    assert_eq!(numbers(&court.journal(&hall, true).await), [2, 3, 5]);
    let settle = |number| v1::SettleJournalConflictInput {
        device_id: terminal.id.clone(),
        number,
        settlement: "当场宣布无效".into(),
    };
    let entry = ask!(court.hall, settle_journal_conflict, court.auctioneer(), journal_entry, settle(3)).unwrap();
    assert_eq!((entry.outcome(), entry.settlement()), (JournalOutcome::Settled, "当场宣布无效"));
    for (actor, number, code) in [
        (court.auctioneer(), 3, IllegalTransition),
        (court.auctioneer(), 4, IllegalTransition),
        (court.auctioneer(), 6, NotFound),
        (court.clerk(), 2, Forbidden),
    ] {
        assert_eq!(ask!(court.hall, settle_journal_conflict, actor, journal_entry, settle(number)), Err(code));
    }
    assert_eq!(numbers(&court.journal(&hall, true).await), [2, 5]);

    // Who entered what, on which terminal, is for the audit trail and not for the public.
    let trail = audit_page(&court.db, "auction", Some(&court.lot), Some(50), None).await.unwrap();
    let entered: Vec<_> = trail.items.iter().filter(|record| record.kind == "HallBidEntered").collect();
    assert_eq!(entered.len(), 2);
    for record in entered {
        assert_eq!(record.actor, "person_clerk");
        for fact in [terminal.id.as_str(), "\"number\":", "\"operationId\":\"operation-", "\"paddle\":"] {
            assert!(record.facts.contains(fact), "{} lacks {fact}", record.facts);
        }
    }
}

async fn whatever_is_sent_again_or_in_another_order_is_bid_once(server: Option<String>) {
    let court = Court::on(server, 2, CloseRule::TwoStage).await;
    let hall = court.open().await;
    court.check_in(&hall, 0, 1).await.unwrap();
    court.check_in(&hall, 1, 2).await.unwrap();
    let mut terminal = court.terminal(&hall, 2).await;
    let bids: Vec<_> = [(1, 100), (2, 101), (1, 102), (2, 103)].map(|bid| terminal.bid(&court, bid, Floor)).into();

    // Numbers come one after another.
    let early = court.enter(&bids[1]).await;
    assert_eq!(early.user_errors[0].error_code(), OutOfSequence);
    assert_eq!(early.user_errors[0].accepted.as_deref(), Some("1"));
    let first = court.enter_often(&bids[0], 8).await;
    assert_eq!(court.bids().await, [(100, Some(1))]);
    let second = court.enter_often(&bids[1], 4).await;
    assert_eq!(court.enter(&bids[0]).await.encode_to_vec(), first);

    // An operation is one thing only.
    let other = v1::EnterHallBidInput { amount: Some(Money(900)), ..bids[1].clone() };
    assert_eq!(refused(&court.enter(&other).await), IdempotencyConflict);
    let other = v1::EnterHallBidInput { number: 3, ..bids[1].clone() };
    assert_eq!(refused(&court.enter(&other).await), IdempotencyConflict);
    let other = v1::EnterHallBidInput { number: 2, operation_id: "operation-x".into(), ..bids[1].clone() };
    assert_eq!(refused(&court.enter(&other).await), OutOfSequence);

    // Lines that are changed, moved or missing keep the whole journal out.
    let whole = terminal.lines.clone();
    let mut changed = whole.clone();
    changed[3].amount = Some(Money(104));
    let mut moved = whole.clone();
    moved.swap(2, 3);
    let missing = [&whole[..1], &whole[2..]].concat();
    for (lines, code, field) in [
        (changed, BadSignature, "3/signature"),
        (moved, OutOfSequence, "2/number"),
        (missing, OutOfSequence, "1/number"),
        (whole[1..].to_vec(), OutOfSequence, "0/number"),
    ] {
        terminal.lines = lines;
        let refusal = court.upload(&terminal).await.user_errors.remove(0);
        assert_eq!((refusal.error_code(), refusal.field[2..].join("/")), (code, field.to_owned()));
    }
    // Well signed, but the exchange has another line 2.
    let mut forked = terminal.forked();
    forked.bid(&court, (1, 100), Floor);
    forked.bid_as(&court, "operation-x", (2, 105), Floor);
    let refusal = court.upload(&forked).await.user_errors.remove(0);
    assert_eq!((refusal.error_code(), refusal.field[2..].join("/")), (OutOfSequence, "1/number".into()));
    assert_eq!(court.bids().await.len(), 2, "a bad journal was applied");
    assert!(court.journal(&hall, false).await.is_empty());

    // Live and by journal at once, several times each: once each.
    terminal.lines = whole;
    let (live, one, two) =
        tokio::join!(court.enter_often(&bids[2], 3), court.upload(&terminal), court.upload(&terminal));
    assert_eq!(one.encode_to_vec(), two.encode_to_vec());
    assert!(one.user_errors.is_empty(), "{:?}", one.user_errors);
    assert_eq!(court.enter(&bids[2]).await.encode_to_vec(), live);
    assert_eq!(court.enter(&bids[1]).await.encode_to_vec(), second);
    assert_eq!(court.bids().await, [(100, Some(1)), (101, Some(2)), (102, Some(1)), (103, Some(2))]);
}

/// What the exchange itself wrote, had it been cut off there.
async fn rewrite(court: &Court, sql: &str) {
    let tx = court.db.begin().await.unwrap();
    tx.execute_raw(Statement::from_string(court.db.backend(), sql)).await.unwrap();
    tx.commit().await.unwrap();
}

async fn a_crash_between_any_two_steps_loses_and_doubles_nothing(server: Option<String>) {
    let court = Court::on(server, 2, CloseRule::TwoStage).await;
    let hall = court.open().await;
    court.check_in(&hall, 0, 1).await.unwrap();
    court.check_in(&hall, 1, 2).await.unwrap();
    let mut terminal = court.terminal(&hall, 3).await;
    let bids: Vec<_> = [(1, 100), (2, 101), (1, 102)].map(|bid| terminal.bid(&court, bid, Floor)).into();
    let id = HallDeviceId::parse(&terminal.id, "id").unwrap();

    // The bid was committed, the answer never written beside its line.
    let first = court.enter(&bids[0]).await.encode_to_vec();
    rewrite(&court, r#"UPDATE "hall_line" SET "reply" = NULL"#).await;
    assert_eq!(court.enter(&bids[0]).await.encode_to_vec(), first);
    assert_eq!(court.bids().await, [(100, Some(1))]);

    // The line was written down and never sent: it comes before whatever is entered next.
    let row = hall_line::of_operation(court.db.read(), id, "operation-1").await.unwrap().unwrap();
    let lost = hall_line::Model {
        number: 2,
        operation_id: "operation-2".into(),
        paddle: 2,
        amount: Money(101),
        bidder_code: Some("B01".into()),
        reply: None,
        ..row
    };
    let tx = court.db.begin().await.unwrap();
    hall_line::insert(&tx, vec![lost]).await.unwrap();
    let device = hall_device::Entity::find_by_id(id).one(&tx).await.unwrap().unwrap();
    let mut device = device.into_active_model();
    device.last_number = Set(2);
    device.update(&tx).await.unwrap();
    tx.commit().await.unwrap();
    assert!(court.enter(&bids[2]).await.bid.is_some());
    assert_eq!(court.bids().await, [(100, Some(1)), (101, Some(2)), (102, Some(1))]);
    assert!(court.enter(&bids[1]).await.bid.is_some());

    // An upload of which nothing but its lines was written: the watch over all halls brings it to its end.
    terminal.bid(&court, (2, 103), Phone);
    let uploaded = court.upload(&terminal).await;
    rewrite(&court, r#"UPDATE "hall_line" SET "reply" = NULL, "outcome" = NULL WHERE number = 4"#).await;
    let mut tries = 0;
    while court.journal(&hall, false).await.len() < 4 {
        tries += 1;
        assert!(tries < 200, "a line stays under way");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(court.upload(&terminal).await.encode_to_vec(), uploaded.encode_to_vec());
    assert_eq!(court.bids().await.len(), 4);
}

#[tokio::test]
async fn one_order_on_sqlite() {
    hall_online_and_journal_bids_stand_in_one_order(None).await;
}

#[tokio::test]
async fn sent_again_on_sqlite() {
    whatever_is_sent_again_or_in_another_order_is_bid_once(None).await;
}

#[tokio::test]
async fn crashes_on_sqlite() {
    a_crash_between_any_two_steps_loses_and_doubles_nothing(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_on_postgres() {
    let Ok(server) = std::env::var("TEST_POSTGRES_URL") else {
        eprintln!("skipped: TEST_POSTGRES_URL is not set; run ./test");
        return;
    };
    hall_online_and_journal_bids_stand_in_one_order(Some(server.clone())).await;
    whatever_is_sent_again_or_in_another_order_is_bid_once(Some(server.clone())).await;
    a_crash_between_any_two_steps_loses_and_doubles_nothing(Some(server)).await;
}

#[tokio::test]
async fn paddles_go_to_bidders_one_each_and_are_seen_by_few() {
    let court = Court::with(2, CloseRule::TwoStage).await;
    let hall = court.open().await;
    assert_eq!(court.check_in(&hall, 0, 10_000).await, Err(InvalidInput));
    let paddle = court.check_in(&hall, 0, 5).await.unwrap();
    assert_eq!(court.check_in(&hall, 0, 5).await, Ok(paddle));
    assert_eq!(court.check_in(&hall, 0, 6).await, Err(AlreadyExists));
    assert_eq!(court.check_in(&hall, 1, 5).await, Err(PaddleTaken));
    let stranger = v1::CheckInInput {
        hall_session_id: hall.clone(),
        organization_id: wire::id::OrganizationId::fresh().text(),
        number: 8,
    };
    assert_eq!(ask!(court.hall, check_in, court.clerk(), paddle, stranger), Err(NotEligible));
    court.check_in(&hall, 1, 6).await.unwrap();
    for (actor, seen) in [(court.clerk(), vec![5, 6]), (court.bidder(1), vec![6]), (court.bidder(0), vec![5])] {
        let wanted = v1::ListPaddlesRequest { hall_session_id: hall.clone() };
        let found = court.hall.clone().list_paddles(actor.asks(wanted)).await.unwrap().into_inner().items;
        assert_eq!(found.iter().map(|paddle| paddle.number).collect::<Vec<_>>(), seen);
    }
    let wanted = v1::ListJournalRequest { hall_session_id: hall.clone(), ..v1::ListJournalRequest::default() };
    assert!(court.hall.clone().list_journal(court.bidder(0).asks(wanted)).await.is_err());

    // Nobody enters bids for an organization of its own, and bidders enter none at all.
    let mut terminal = court.terminal(&hall, 4).await;
    let bid = terminal.bid(&court, (5, 100), Floor);
    let mut both = court.clerk();
    both.memberships.extend(court.bidder(0).memberships);
    let asked = court.hall.clone().enter_hall_bid(court.bidder(0).asks(bid.clone())).await.unwrap().into_inner();
    assert_eq!(refused(&asked), Forbidden);
    let asked = court.hall.clone().enter_hall_bid(both.asks(bid.clone())).await.unwrap().into_inner();
    assert_eq!(refused(&asked), ConflictOfInterest);
    let online = v1::EnterHallBidInput { origin: v1::BidOrigin::Online.into(), ..bid };
    assert_eq!(refused(&court.enter(&online).await), InvalidInput);
    assert!(court.bids().await.is_empty());
}
