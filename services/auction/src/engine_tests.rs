use kernel::{ErrorCode, Instant, Money};
use proptest::prelude::*;
use wire::v1::{AuctionEvent, AuctionEventKind as Kind, BiddingStatus as Status};

use crate::engine::{Lot, Terms, next, replay};

fn terms() -> Terms {
    Terms {
        starting_price: Money(10_000),
        increment: Money(500),
        starts_at: Instant(1_000),
        free_ends_at: Instant(61_000),
        timed_seconds: 60,
    }
}

/// Drives a lot as the sequencer does: what is due first, then the bid.
struct Drive {
    lot: Lot,
    log: Vec<AuctionEvent>,
}

impl Drive {
    fn new() -> Self {
        let lot = Lot::scheduled(terms(), Instant(0));
        let mut drive = Self { log: Vec::new(), lot };
        let first = drive.lot.event(Kind::Scheduled, Instant(0), None);
        drive.take(first);
        drive
    }

    fn take(&mut self, event: AuctionEvent) {
        self.lot.apply(&event);
        self.log.push(event);
    }

    fn pass(&mut self, now: Instant) {
        while let Some(event) = self.lot.due(now) {
            self.take(event);
        }
    }

    fn bid(&mut self, code: &str, fen: i64, now: i64) -> Result<(), ErrorCode> {
        self.pass(Instant(now));
        let event = self.lot.bid(code, Money(fen), Instant(now)).map_err(|refusal| refusal.error_code())?;
        self.take(event);
        Ok(())
    }
}

#[test]
fn each_refusal_has_its_code() {
    let mut drive = Drive::new();
    assert_eq!(drive.bid("B01", 10_000, 999), Err(ErrorCode::SessionNotOpen));
    assert_eq!(drive.bid("B01", 9_999, 1_000), Err(ErrorCode::BelowStart));
    assert_eq!(drive.bid("B01", -1, 1_000), Err(ErrorCode::AmountOutOfRange));
    assert_eq!(drive.bid("B01", i64::MAX, 1_000), Err(ErrorCode::AmountOutOfRange));
    assert_eq!(drive.bid("B01", 10_001, 1_000), Err(ErrorCode::NotStepMultiple));
    assert_eq!(drive.bid("B01", 10_000, 1_000), Ok(()), "the first bid may equal the starting price");
    assert_eq!(drive.bid("B01", 10_500, 1_001), Err(ErrorCode::AlreadyLeading));
    assert_eq!(drive.bid("B02", 10_000, 1_001), Err(ErrorCode::BelowMinIncrement), "only the first bid may equal it");
    assert_eq!(drive.bid("B02", 10_700, 1_001), Err(ErrorCode::NotStepMultiple));
    assert_eq!(drive.bid("B02", 11_500, 1_001), Ok(()));
    assert_eq!(drive.bid("B01", 12_000, 121_000), Err(ErrorCode::SessionClosed), "one silent cycle ended it");
    assert_eq!(drive.lot.status, Status::Sold);
}

#[test]
fn free_bids_do_not_extend_and_timed_bids_restart_the_cycle() {
    let mut drive = Drive::new();
    drive.bid("B01", 10_000, 60_999).unwrap();
    assert_eq!(drive.lot.closes_at, Some(Instant(61_000)));
    drive.bid("B02", 10_500, 120_999).unwrap();
    assert_eq!(drive.lot.closes_at, Some(Instant(180_999)));
    drive.pass(Instant(180_998));
    assert_eq!(drive.lot.status, Status::Timed);
    drive.pass(Instant(180_999));
    assert_eq!(drive.lot.status, Status::Sold);
    let sale = drive.log.last().unwrap();
    assert_eq!((sale.bidder_code(), sale.amount, sale.at), ("B02", Some(Money(10_500)), Some(Instant(180_999))));
}

#[test]
fn without_a_bid_there_is_no_sale() {
    let mut drive = Drive::new();
    drive.pass(Instant(i64::MAX));
    assert_eq!(drive.lot.status, Status::Unsold);
    assert_eq!(
        drive.log.iter().map(AuctionEvent::kind).collect::<Vec<_>>(),
        [Kind::Scheduled, Kind::Opened, Kind::Timed, Kind::Unsold]
    );
}

#[test]
fn statuses_only_move_along_the_table() {
    let all = [Status::Scheduled, Status::Free, Status::Timed, Status::Sold, Status::Unsold];
    let allowed: Vec<_> = all.iter().flat_map(|from| next(*from).iter().map(move |to| (*from, *to))).collect();
    for from in all {
        for to in all {
            let legal = matches!(
                (from, to),
                (Status::Scheduled, Status::Free)
                    | (Status::Free, Status::Timed)
                    | (Status::Timed, Status::Sold | Status::Unsold)
            );
            assert_eq!(allowed.contains(&(from, to)), legal, "{from:?} → {to:?}");
        }
    }
}

#[test]
fn replay_names_the_first_bad_event() {
    let mut drive = Drive::new();
    drive.bid("B01", 10_000, 2_000).unwrap();
    drive.bid("B02", 10_500, 3_000).unwrap();
    drive.pass(Instant(1_000_000));
    let log = drive.log;
    assert_eq!(replay(terms(), &log).unwrap(), drive.lot);
    let bad = |change: &dyn Fn(&mut Vec<AuctionEvent>)| {
        let mut log = log.clone();
        change(&mut log);
        replay(terms(), &log)
    };
    assert_eq!(bad(&|log| log[2].amount = Some(Money(9_000))), Err(3));
    assert_eq!(bad(&|log| log[3].bidder_code = Some("B01".into())), Err(4));
    assert_eq!(bad(&|log| drop(log.remove(3))), Err(4));
    assert_eq!(bad(&|log| log.swap(2, 3)), Err(3));
    assert_eq!(bad(&|log| log.last_mut().unwrap().amount = Some(Money(1))), Err(6));
    assert_eq!(bad(&|log| log[4].at = Some(Instant(62_000))), Err(5));
}

proptest! {
    /// Any interleaving of bids and waiting: a strictly rising price, one winner with the highest accepted
    /// amount, an end that never moves back, numbers without holes, and a log that replays to the same state.
    #[test]
    fn any_history_is_sound(steps in prop::collection::vec((0_u8..5, 0_i64..60, 0_i64..40_000), 1..200)) {
        let mut drive = Drive::new();
        let mut now = 0;
        let mut accepted: Vec<(String, i64)> = Vec::new();
        let mut end = Instant(0);
        for (bidder, raise, wait) in steps {
            now += wait;
            let code = format!("B{bidder:02}");
            let amount = 9_500 + raise * 250;
            if drive.bid(&code, amount, now).is_ok() {
                prop_assert!(accepted.last().is_none_or(|(last, top)| *last != code && amount >= top + 500));
                accepted.push((code, amount));
            }
            if let Some(closes_at) = drive.lot.closes_at {
                prop_assert!(closes_at >= end);
                end = closes_at;
            }
        }
        drive.pass(Instant(i64::MAX));
        prop_assert!(drive.log.iter().zip(1..).all(|(event, seq)| event.seq == seq));
        prop_assert_eq!(drive.lot.lead.as_ref().map(|lead| (lead.code.clone(), lead.amount.0)), accepted.last().cloned());
        prop_assert_eq!(accepted.iter().map(|(_, amount)| *amount).max(), accepted.last().map(|(_, amount)| *amount));
        prop_assert_eq!(drive.lot.status, if accepted.is_empty() { Status::Unsold } else { Status::Sold });
        prop_assert_eq!(replay(terms(), &drive.log), Ok(drive.lot));
    }
}
