//! Sealed offers: what their opening decides.

use super::*;
use crate::engine::Offer;
use wire::v1::{BiddingMode, Criterion, CriterionKind, OfferValue, TieRule};

fn sealed(mode: BiddingMode) -> BiddingTerms {
    BiddingTerms { mode: mode.into(), ..terms() }
}

fn priced(fen: i64) -> Offer {
    Offer::Some { amount: Money(fen), values: Vec::new() }
}

fn value(name: &str, value: i64) -> OfferValue {
    OfferValue { name: name.into(), value }
}

impl Drive {
    /// Opens these envelopes after the close of the round under way.
    fn open(&mut self, offers: &[(&str, Offer)], now: i64) {
        self.pass(now);
        assert_eq!(self.status(), Status::Opening);
        for (n, (code, offer)) in offers.iter().enumerate() {
            let code = (*code).to_owned();
            if !self.lot.state.bidders.contains_key(&code) {
                self.go(Command::Admit { code: code.clone(), rank: None }, now).unwrap();
            }
            let (commitment, last) = (format!("{code} {now}"), n + 1 == offers.len());
            self.go(Command::Open { code, commitment, offer: offer.clone(), last }, now).unwrap();
        }
    }

    fn reasons(&self) -> Vec<&str> {
        self.log.iter().filter_map(|event| event.reason.as_deref()).collect()
    }
}

#[test]
fn nothing_is_said_before_the_opening_and_the_best_offer_wins() {
    let mut drive = Drive::new(sealed(BiddingMode::SealedSingle));
    drive.pass(30_000);
    assert_eq!(drive.told(), ["SCHEDULED", "OPENED"]);
    assert_eq!(drive.bid("B01", 10_000, 30_000), Err(ErrorCode::ModeMismatch));
    let early = Command::GiveShare { trustee: "甲".into(), commitment: "x".into() };
    assert_eq!(drive.go(early, 30_000), Err(ErrorCode::IllegalTransition));
    let offers = [
        ("B01", priced(12_000)),
        ("B02", priced(15_000)),
        ("B03", priced(9_999)),
        ("B04", Offer::None),
        ("B05", Offer::Invalid("DOES_NOT_OPEN".into())),
    ];
    drive.open(&offers, 70_000);
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B02", 15_000)));
    assert_eq!(drive.reasons(), ["BELOW_START", "DOES_NOT_OPEN"]);
    assert_eq!(drive.lot.state.bid_count, 2);
}

#[test]
fn without_an_offer_it_stays_unsold() {
    let mut drive = Drive::new(sealed(BiddingMode::SealedSingle));
    drive.open(&[("B01", Offer::None), ("B02", Offer::Invalid("NOT_JSON".into()))], 70_000);
    assert_eq!(drive.status(), Status::Unsold);
}

#[test]
fn equal_offers_go_by_the_announced_rule() {
    let mut earlier = Drive::new(sealed(BiddingMode::SealedSingle));
    let equal = [("B02", priced(15_000)), ("B01", priced(15_000)), ("B03", priced(11_000))];
    earlier.open(&equal, 70_000);
    assert_eq!(earlier.lead(), ("B02", 15_000));
    let extra = BiddingTerms { tie_rule: TieRule::ExtraRound.into(), ..sealed(BiddingMode::SealedSingle) };
    let mut drive = Drive::new(extra);
    drive.open(&equal, 70_000);
    assert_eq!((drive.status(), drive.lot.state.round), (Status::Free, 2));
    drive.open(&[("B03", priced(90_000)), ("B01", priced(16_000)), ("B02", priced(15_500))], 140_000);
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B01", 16_000)), "only the equals offer again");
    assert!(drive.reasons().contains(&"NOT_IN_THIS_ROUND"));
}

#[test]
fn the_last_of_several_rounds_decides() {
    let rounds = BiddingTerms { rounds: 2, ..sealed(BiddingMode::MultiRoundSealed) };
    let mut drive = Drive::new(rounds);
    drive.open(&[("B01", priced(30_000)), ("B02", priced(20_000))], 70_000);
    assert_eq!((drive.status(), drive.lot.state.round), (Status::Free, 2));
    drive.open(&[("B01", priced(21_000)), ("B02", priced(22_000))], 140_000);
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B02", 22_000)));
}

#[test]
fn published_weights_make_one_number() {
    let criterion = |name: &str, kind: CriterionKind, weight_bp, lower_is_better| Criterion {
        name: name.into(),
        kind: kind.into(),
        weight_bp,
        lower_is_better,
    };
    let criteria = vec![
        criterion("价格", CriterionKind::Price, 6_000, false),
        criterion("年限", CriterionKind::Number, 4_000, true),
    ];
    let mut drive = Drive::new(BiddingTerms { criteria: criteria.clone(), ..sealed(BiddingMode::Weighted) });
    let offer = |fen, years: i64| Offer::Some { amount: Money(fen), values: vec![value("年限", years * 10_000)] };
    // B01: 60 + 40 × 3/6 = 80; B02: 60 × 16/20 + 40 = 88.
    drive.open(&[("B01", offer(20_000, 6)), ("B02", offer(16_000, 3)), ("B03", priced(90_000))], 70_000);
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B02", 16_000)));
    assert_eq!(drive.reasons(), ["VALUES_DIFFER"]);

    let criteria = vec![
        criterion("价格", CriterionKind::Price, 3_000, false),
        criterion("团队", CriterionKind::Panel, 7_000, false),
    ];
    let mut drive = Drive::new(BiddingTerms { criteria, ..sealed(BiddingMode::Evaluation) });
    drive.open(&[("B01", priced(20_000)), ("B02", priced(10_000))], 70_000);
    assert_eq!(drive.status(), Status::Scoring);
    let score = |member: &str, code: &str, points: i64, last| Command::Score {
        member: member.into(),
        code: code.into(),
        points: vec![value("团队", points * 10_000)],
        last,
    };
    assert_eq!(drive.go(score("P01", "B01", 101, false), 71_000), Err(ErrorCode::InvalidInput));
    drive.go(score("P01", "B01", 60, false), 71_000).unwrap();
    assert_eq!(drive.go(score("P01", "B01", 61, false), 71_000), Err(ErrorCode::AlreadyAnswered));
    drive.go(score("P01", "B02", 90, false), 71_000).unwrap();
    drive.go(score("P02", "B01", 50, false), 71_000).unwrap();
    // B01: 30 + 70 × 0.55 = 68.5; B02: 15 + 70 × 0.85 = 74.5.
    drive.go(score("P02", "B02", 80, true), 71_000).unwrap();
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B02", 10_000)));
}
