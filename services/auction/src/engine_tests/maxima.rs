//! Hidden maxima.

use proptest::prelude::*;

use super::*;

fn open() -> Drive {
    Drive::new(BiddingTerms { proxy_allowed: true, ..terms() })
}

#[test]
fn the_engine_bids_no_more_than_it_must() {
    let mut drive = open();
    drive.leave("B01", 20_000, 1_000).unwrap();
    assert_eq!(drive.lead(), ("B01", 10_000), "alone it takes the starting price");
    drive.bid("B02", 11_000, 2_000).unwrap();
    assert_eq!(drive.lead(), ("B01", 11_500));
    drive.leave("B03", 15_200, 3_000).unwrap();
    assert_eq!(drive.lead(), ("B01", 15_500), "B03's maximum lies between two steps");
    drive.leave("B04", 30_000, 4_000).unwrap();
    assert_eq!(drive.lead(), ("B04", 20_500));
    let told = drive.told();
    assert_eq!(
        told[2..],
        [
            "PROXY_SET",
            "BID B01 10000",
            "BID B02 11000",
            "BID B01 11500",
            "PROXY_SET",
            "BID B03 15000",
            "BID B01 15500",
            "PROXY_SET",
            "BID B04 20500",
        ]
    );
}

#[test]
fn of_equal_maxima_the_earlier_one_wins() {
    let mut drive = open();
    drive.leave("B01", 15_000, 1_000).unwrap();
    drive.leave("B02", 15_000, 2_000).unwrap();
    assert_eq!(drive.lead(), ("B01", 15_000));
    let mut drive = open();
    drive.leave("B01", 15_000, 1_000).unwrap();
    assert_eq!(drive.bid("B02", 15_000, 2_000), Err(ErrorCode::BelowMinIncrement), "a bid that only meets it");
    assert_eq!(drive.lead(), ("B01", 15_000));
    drive.bid("B02", 15_500, 3_000).unwrap();
    assert_eq!(drive.lead(), ("B02", 15_500));
}

#[test]
fn a_maximum_is_hidden_and_may_be_moved() {
    let mut drive = open();
    drive.leave("B01", 20_000, 1_000).unwrap();
    let shown = format!("{:?} {:?}", drive.lot, drive.log);
    assert!(!shown.contains("20000"), "only its commitment is told");
    drive.leave("B01", 12_000, 2_000).unwrap();
    drive.bid("B02", 12_500, 3_000).unwrap();
    assert_eq!(drive.lead(), ("B02", 12_500));
    assert_eq!(drive.leave("B01", 12_999, 3_000), Err(ErrorCode::BelowMinIncrement));
    assert_eq!(drive.leave("B02", 12_499, 3_000), Err(ErrorCode::BelowMinIncrement), "it leads with more");
    assert_eq!(drive.leave("B09", 13_000, 3_000), Err(ErrorCode::NotEligible));
    let mut closed = Drive::new(terms());
    assert_eq!(closed.leave("B01", 20_000, 1_000), Err(ErrorCode::ProxyNotAllowed));
}

#[test]
fn a_withdrawal_takes_the_maximum_with_it() {
    let mut drive = Drive::new(BiddingTerms { proxy_allowed: true, withdrawal_allowed: true, ..terms() });
    drive.bid("B02", 10_000, 1_000).unwrap();
    drive.leave("B01", 20_000, 1_000).unwrap();
    drive.go(Command::Withdraw { code: "B01".into(), reason: "笔误".into() }, 2_000).unwrap();
    assert_eq!(drive.lead(), ("B02", 10_000));
}

proptest! {
    /// Whatever bids and maxima come: nobody pays more than it was ready to, the price only rises, a duel takes a few
    /// bids at most, and nobody is left behind whose maximum could still beat the lead.
    #[test]
    fn maxima_decide_like_people_who_bid_step_by_step(
        acts in prop::collection::vec((0_usize..4, 20_i64..80, any::<bool>()), 1..24)
    ) {
        let mut drive = open();
        let mut ready = [0; 4];
        for (who, steps, hidden) in acts {
            let (code, fen) = (format!("B0{}", who + 1), steps * 500);
            let before = drive.log.len();
            let done = if hidden { drive.leave(&code, fen, 2_000) } else { drive.bid(&code, fen, 2_000) };
            prop_assert!(drive.log.len() - before <= 6, "{:?}", drive.told());
            if done.is_ok() {
                ready[who] = ready[who].max(fen);
            }
        }
        let bids = drive.log.iter().filter(|event| event.kind() == Kind::Bid);
        let prices: Vec<i64> = bids.clone().filter_map(|event| Some(event.amount?.0)).collect();
        prop_assert!(prices.windows(2).all(|pair| pair[0] < pair[1]), "{prices:?}");
        for bid in bids {
            let who: usize = bid.bidder_code()[2..].parse().unwrap();
            prop_assert!(bid.amount.unwrap().0 <= ready[who - 1], "{:?}", drive.told());
        }
        let minimum = drive.lot.minimum().unwrap();
        let (leader, _) = drive.lead();
        let left = drive.lot.secrets.proxies.iter().any(|(code, proxy)| code != leader && proxy.maximum >= minimum);
        prop_assert!(!left);
    }
}
