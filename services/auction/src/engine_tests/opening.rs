//! Sealed offers: what their opening decides.

use super::*;
use crate::engine::Offer;
use wire::v1::{BiddingMode, Criterion, CriterionKind, OfferValue, SealedKey, TieRule, Trustee};

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
fn so_many_of_the_named_trustees_open_with_the_shares_they_were_given() {
    let trustee = |name: &str| Trustee { name: name.into(), digest: format!("of {name}"), ..Trustee::default() };
    let trustees = ["甲", "乙", "丙"].map(trustee).to_vec();
    let mut drive = Drive::new(sealed(BiddingMode::SealedSingle));
    drive.lot.terms.sealed_keys = vec![SealedKey { threshold: 2, trustees, ..SealedKey::default() }];
    drive.pass(70_000);
    let mut give = |name: &str, digest: &str| {
        let share = Command::GiveShare { trustee: name.into(), commitment: digest.into() };
        let given = drive.go(share, 70_000);
        (given, drive.lot.may_open())
    };
    assert_eq!(give("甲", "of 乙"), (Err(ErrorCode::FalseShare), false));
    assert_eq!(give("丁", "of 丁"), (Err(ErrorCode::NoTrustee), false));
    assert_eq!(give("甲", "of 甲"), (Ok(()), false));
    assert_eq!(give("甲", "of 甲"), (Err(ErrorCode::AlreadyAnswered), false), "one share does not count twice");
    assert_eq!(give("乙", "of 乙"), (Ok(()), true));
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
    let mut decided = Drive::new(extra.clone());
    decided.open(&equal[1..], 70_000);
    assert_eq!((decided.status(), decided.lead()), (Status::Sold, ("B01", 15_000)));
    let mut drive = Drive::new(extra);
    drive.open(&equal, 70_000);
    assert_eq!((drive.status(), drive.lot.state.round), (Status::Free, 2));
    drive.open(&[("B03", priced(90_000)), ("B01", priced(16_000)), ("B02", priced(15_500))], 140_000);
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B01", 16_000)), "only the equals offer again");
    assert!(drive.reasons().contains(&"NOT_IN_THIS_ROUND"));
}

#[test]
fn in_an_extra_round_nobody_offers_less_and_without_offers_the_equals_stand() {
    let extra = BiddingTerms { tie_rule: TieRule::ExtraRound.into(), ..sealed(BiddingMode::SealedSingle) };
    let equal = [("B02", priced(15_000)), ("B01", priced(15_000)), ("B03", priced(11_000))];
    let mut drive = Drive::new(extra.clone());
    drive.open(&equal, 70_000);
    let going_on = &drive.log.last().unwrap().going_on;
    assert_eq!(going_on, &["B01", "B02"]);
    drive.open(&[("B01", priced(15_000)), ("B02", priced(14_999)), ("B03", Offer::None)], 140_000);
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B01", 15_000)));
    assert_eq!(drive.reasons(), ["BELOW_OWN_OFFER"]);
    let mut silent = Drive::new(extra);
    silent.open(&equal, 70_000);
    let nothing = [("B01", Offer::Invalid("DOES_NOT_OPEN".into())), ("B02", priced(1)), ("B03", priced(99_000))];
    silent.open(&nothing, 140_000);
    assert_eq!((silent.status(), silent.lead(), silent.lot.state.round), (Status::Sold, ("B02", 15_000), 2));
}

/// Where each part counts as much as announced and no more, the first offer wins; were the second part twice as much
/// worth, the second would.
#[test]
fn each_part_counts_as_much_as_announced() {
    let criterion = |name: &str, kind: CriterionKind, lower_is_better| Criterion {
        name: name.into(),
        kind: kind.into(),
        weight_bp: 5_000,
        lower_is_better,
    };
    let price = criterion("价格", CriterionKind::Price, false);
    let criteria = vec![price.clone(), criterion("月数", CriterionKind::Number, true)];
    let mut drive = Drive::new(BiddingTerms { criteria, ..sealed(BiddingMode::Weighted) });
    let offer = |fen, months: i64| Offer::Some { amount: Money(fen), values: vec![value("月数", months * 10_000)] };
    // 50 + 50 × 5/10 = 75 against 50 × 0.4 + 50 = 70.
    drive.open(&[("B01", offer(50_000, 10)), ("B02", offer(20_000, 5))], 70_000);
    assert_eq!(drive.lead(), ("B01", 50_000));
    let criteria = vec![price, criterion("团队", CriterionKind::Panel, false)];
    let mut drive = Drive::new(BiddingTerms { criteria, ..sealed(BiddingMode::Evaluation) });
    drive.open(&[("B01", priced(50_000)), ("B02", priced(30_000))], 70_000);
    for (member, last) in [("P01", false), ("P02", true)] {
        for (code, points, last) in [("B01", 50, false), ("B02", 80, last)] {
            let points = vec![value("团队", points * 10_000)];
            drive.go(Command::Score { member: member.into(), code: code.into(), points, last }, 71_000).unwrap();
        }
    }
    // 50 + 50 × 0.5 = 75 against 50 × 0.6 + 50 × 0.8 = 70.
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B01", 50_000)));
}

#[test]
fn there_is_one_extra_round_and_not_a_second() {
    let rule = TieRule::ExtraRound.into();
    let mut drive = Drive::new(BiddingTerms { tie_rule: rule, ..sealed(BiddingMode::SealedSingle) });
    drive.open(&[("B02", priced(15_000)), ("B01", priced(15_000))], 70_000);
    drive.open(&[("B01", priced(16_000)), ("B02", priced(16_000))], 140_000);
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B01", 16_000)), "the earlier of that round");
    let rounds = BiddingTerms { tie_rule: rule, rounds: 2, ..sealed(BiddingMode::MultiRoundSealed) };
    let mut silent = Drive::new(rounds);
    silent.open(&[("B02", priced(15_000)), ("B01", priced(15_000))], 70_000);
    silent.open(&[("B02", Offer::None), ("B01", Offer::None)], 140_000);
    assert_eq!((silent.status(), silent.lead()), (Status::Sold, ("B02", 15_000)), "they had their round");
}

#[test]
fn equals_by_the_composite_go_on_whatever_their_prices() {
    let criterion = |name: &str, kind: CriterionKind| Criterion {
        name: name.into(),
        kind: kind.into(),
        weight_bp: 5_000,
        lower_is_better: false,
    };
    let criteria = vec![criterion("价格", CriterionKind::Price), criterion("规模", CriterionKind::Number)];
    let terms = BiddingTerms { tie_rule: TieRule::ExtraRound.into(), criteria, ..sealed(BiddingMode::Weighted) };
    let offer = |fen, size: i64| Offer::Some { amount: Money(fen), values: vec![value("规模", size)] };
    let mut drive = Drive::new(terms);
    // Twice 50 + 25; the third has the first one's price and half of both others.
    drive.open(&[("B01", offer(20_000, 50)), ("B02", offer(10_000, 100)), ("B03", offer(20_000, 40))], 70_000);
    assert_eq!(drive.log.last().unwrap().going_on, ["B01", "B02"]);
    drive.open(&[("B01", offer(21_000, 49)), ("B02", offer(10_000, 101)), ("B03", offer(90_000, 900))], 140_000);
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B02", 10_000)));
    assert_eq!(drive.reasons(), ["BELOW_OWN_OFFER", "NOT_IN_THIS_ROUND"]);
}

#[test]
fn whoever_makes_no_offer_in_a_round_is_out_of_the_next() {
    let rounds = BiddingTerms { rounds: 3, ..sealed(BiddingMode::MultiRoundSealed) };
    let mut drive = Drive::new(rounds.clone());
    drive.open(&[("B01", priced(30_000)), ("B02", priced(20_000)), ("B03", Offer::None)], 70_000);
    assert_eq!(drive.log.last().unwrap().going_on, ["B01", "B02"]);
    drive.open(&[("B01", priced(15_000)), ("B02", priced(16_000)), ("B03", priced(99_000))], 140_000);
    assert_eq!((drive.reasons(), drive.lot.state.round), (vec!["NOT_IN_THIS_ROUND"], 3));
    drive.open(&[("B01", priced(12_000)), ("B02", Offer::None), ("B03", Offer::None)], 210_000);
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B01", 12_000)), "the last round, at its own price");
    let mut alone = Drive::new(rounds.clone());
    alone.open(&[("B01", priced(30_000)), ("B02", Offer::None)], 70_000);
    assert_eq!((alone.status(), alone.lead()), (Status::Sold, ("B01", 30_000)), "nobody is left to compete with");
    let mut silent = Drive::new(rounds);
    silent.open(&[("B01", priced(30_000)), ("B02", priced(20_000))], 70_000);
    silent.open(&[("B01", Offer::None), ("B02", priced(9_999))], 140_000);
    assert_eq!((silent.status(), silent.lead()), (Status::Sold, ("B01", 30_000)), "what was offered before stands");
    assert_eq!(silent.lot.state.round, 2, "and no further round follows");
}

#[test]
fn a_holder_is_offered_the_best_sealed_offer() {
    let rule = wire::v1::PreemptionRule::AfterSession.into();
    let mut drive =
        Drive::new(BiddingTerms { preemption: rule, preemption_seconds: 30, ..sealed(BiddingMode::SealedSingle) });
    drive.pass(70_000);
    drive.go(Command::Admit { code: "B03".into(), rank: Some(1) }, 70_000).unwrap();
    drive.open(&[("B01", priced(12_000)), ("B02", priced(15_000)), ("B03", priced(11_000))], 70_000);
    assert_eq!((drive.status(), drive.lot.state.closes_at), (Status::Preemption, Some(Instant(100_000))));
    let taken = Command::AnswerPreemption { code: "B03".into(), exercise: true };
    drive.go(taken, 80_000).unwrap();
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B03", 15_000)));
}

#[test]
fn without_points_to_give_there_is_nothing_to_wait_for() {
    let criteria = vec![Criterion {
        name: "价格".into(),
        kind: CriterionKind::Price.into(),
        weight_bp: 10_000,
        lower_is_better: false,
    }];
    let mut drive = Drive::new(BiddingTerms { criteria, ..sealed(BiddingMode::Evaluation) });
    drive.open(&[("B01", priced(20_000)), ("B02", priced(10_000))], 70_000);
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B01", 20_000)));
}

#[test]
fn whoever_does_not_score_leaves_the_panel_with_its_scores() {
    let criteria = vec![Criterion {
        name: "团队".into(),
        kind: CriterionKind::Panel.into(),
        weight_bp: 10_000,
        lower_is_better: false,
    }];
    let mut drive = Drive::new(BiddingTerms { criteria, ..sealed(BiddingMode::Evaluation) });
    let dismiss = |member: &str, last| Command::Dismiss { member: member.into(), reason: "逾期".into(), last };
    assert_eq!(drive.go(dismiss("P01", false), 2_000), Err(ErrorCode::IllegalTransition));
    drive.open(&[("B01", priced(20_000)), ("B02", priced(10_000))], 70_000);
    let score = |member: &str, code: &str, points: i64| Command::Score {
        member: member.into(),
        code: code.into(),
        points: vec![value("团队", points * 10_000)],
        last: false,
    };
    for (member, code, points) in [("P01", "B01", 60), ("P01", "B02", 50), ("P02", "B02", 100)] {
        drive.go(score(member, code, points), 71_000).unwrap();
    }
    drive.go(dismiss("P03", false), 72_000).unwrap();
    assert_eq!(drive.go(dismiss("P03", false), 72_000), Err(ErrorCode::AlreadyAnswered));
    assert_eq!(drive.go(score("P03", "B01", 100), 72_000), Err(ErrorCode::NotEligible));
    assert_eq!(drive.status(), Status::Scoring);
    drive.go(dismiss("P02", true), 73_000).unwrap();
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B01", 20_000)), "what P02 gave counts no more");
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
    let other = vec![value("价格", 0)];
    let other = Command::Score { member: "P01".into(), code: "B01".into(), points: other, last: false };
    assert_eq!(drive.go(other, 71_000), Err(ErrorCode::InvalidInput), "the panel gives no points for the price");
    drive.go(score("P01", "B01", 60, false), 71_000).unwrap();
    assert_eq!(drive.go(score("P01", "B01", 61, false), 71_000), Err(ErrorCode::AlreadyAnswered));
    drive.go(score("P01", "B02", 90, false), 71_000).unwrap();
    drive.go(score("P02", "B01", 50, false), 71_000).unwrap();
    // B01: 30 + 70 × 0.55 = 68.5; B02: 15 + 70 × 0.85 = 74.5.
    drive.go(score("P02", "B02", 80, true), 71_000).unwrap();
    assert_eq!((drive.status(), drive.lead()), (Status::Sold, ("B02", 10_000)));
}
