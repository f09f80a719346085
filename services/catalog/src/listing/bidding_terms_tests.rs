use std::sync::LazyLock;

use kernel::{
    Error, Instant,
    calendar::cst_date,
    rules::{NATION, Rulebook},
};
use wire::v1::{ConversionMode, CriterionKind, ExtensionTrigger, TieRule};

use super::*;

const NOTICE: Notice = Notice {
    terms: Terms {
        floor_price: Money(50_000_000),
        deposit: Money(10_000_000),
        increment: Money(100_000),
        disclosure_days: 5,
        free_seconds: 86_400,
        timed_seconds: 300,
    },
    sale_method: SaleMethod::OnlineBidding,
    conversion_mode: ConversionMode::Transfer,
};

const LICENCE: Notice = Notice { conversion_mode: ConversionMode::License, ..NOTICE };
const HOUSE: Notice = Notice { sale_method: SaleMethod::AuctionHouse, ..NOTICE };
const TENDER: Notice = Notice { sale_method: SaleMethod::Tender, ..NOTICE };

fn figures() -> Figures<'static> {
    static BOOK: LazyLock<Rulebook> = LazyLock::new(|| Rulebook::builtin().unwrap());
    let day = cst_date(Instant(1_790_000_000_000));
    Figures::read(|key| Ok(BOOK.at(key, NATION, day).unwrap())).unwrap()
}

fn settled(input: &BiddingTermsInput, notice: &Notice) -> Result<BiddingTermsInput, Box<Refusal>> {
    match settle(Some(input), notice, &figures()) {
        Ok(whole) => Ok(whole),
        Err(Error::Refused(refusal)) => Err(refusal),
        Err(fault) => panic!("{fault}"),
    }
}

fn of(mode: BiddingMode) -> BiddingTermsInput {
    BiddingTermsInput { mode: mode.into(), ..BiddingTermsInput::default() }
}

fn dutch() -> BiddingTermsInput {
    BiddingTermsInput {
        drop: Some(Money(1_000_000)),
        drop_seconds: Some(60),
        lowest_price: Some(Money(40_000_000)),
        ..of(BiddingMode::Dutch)
    }
}

fn criterion(name: &str, kind: CriterionKind, weight_bp: i32) -> CriterionInput {
    CriterionInput { name: name.into(), kind: kind.into(), weight_bp, lower_is_better: false }
}

fn scored(mode: BiddingMode) -> BiddingTermsInput {
    let criteria =
        vec![criterion("报价", CriterionKind::Price, 6_000), criterion("投产月数", CriterionKind::Number, 4_000)];
    BiddingTermsInput { criteria, ..of(mode) }
}

fn closing(close: CloseRule) -> BiddingTermsInput {
    BiddingTermsInput { close_rule: Some(close.into()), ..of(BiddingMode::Ascending) }
}

fn step(from: i64, increment: i64) -> IncrementStepInput {
    IncrementStepInput { from: Some(Money(from)), increment: Some(Money(increment)) }
}

#[test]
fn each_method_and_mode_has_terms_that_do() {
    use BiddingMode::*;
    let rounds = BiddingTermsInput { rounds: Some(3), ..of(MultiRoundSealed) };
    let hammer = closing(CloseRule::Hammer);
    let panel =
        BiddingTermsInput { criteria: vec![criterion("方案", CriterionKind::Panel, 10_000)], ..of(Evaluation) };
    for (input, notice) in [
        (of(Ascending), NOTICE),
        (of(DynamicListing), NOTICE),
        (of(SealedSingle), NOTICE),
        (rounds.clone(), NOTICE),
        (dutch(), NOTICE),
        (of(Reverse), NOTICE),
        (scored(Weighted), NOTICE),
        (scored(Evaluation), NOTICE),
        (panel, TENDER),
        (of(OpenLicence), LICENCE),
        (closing(CloseRule::SoftClose), NOTICE),
        (closing(CloseRule::InquiryThenTimed), NOTICE),
        (hammer, HOUSE),
        (of(Ascending), HOUSE),
        (of(SealedSingle), TENDER),
        (rounds, TENDER),
    ] {
        let whole = settled(&input, &notice).unwrap_or_else(|refusal| panic!("{input:?}: {refusal:?}"));
        let terms = announce(&whole, &notice.terms, None);
        assert_eq!(recheck(&terms, &notice, &figures()).map_err(|error| error.to_string()), Ok(()), "{terms:?}");
        let again = settled(&asked_by(&terms), &notice).unwrap();
        assert_eq!(announce(&again, &notice.terms, None), terms, "a relisting gets the same terms");
    }
}

#[test]
fn what_is_absent_takes_the_rulebooks_value() {
    let unasked = |notice: &Notice| announce(&settle(None, notice, &figures()).unwrap(), &notice.terms, None);
    let terms = unasked(&NOTICE);
    assert_eq!((terms.mode(), terms.close_rule()), (BiddingMode::Ascending, CloseRule::TwoStage));
    assert_eq!((terms.free_seconds, terms.timed_seconds, terms.inquiry_seconds), (86_400, 300, 0));
    assert_eq!(terms.increments, [IncrementStep { from: Some(Money(0)), increment: Some(Money(100_000)) }]);
    assert_eq!((unasked(&HOUSE).mode(), unasked(&HOUSE).close_rule()), (BiddingMode::Ascending, CloseRule::Hammer));
    assert_eq!(unasked(&TENDER).mode(), BiddingMode::SealedSingle);
    unasked(&Notice { sale_method: SaleMethod::Negotiated, ..NOTICE });
    assert_eq!(settled(&closing(CloseRule::InquiryThenTimed), &NOTICE).unwrap().inquiry_seconds, Some(300));
    assert_eq!(settled(&closing(CloseRule::SoftClose), &NOTICE).unwrap().extension_window_seconds, Some(300));
    let after = BiddingTermsInput { preemption: Some(PreemptionRule::AfterSession.into()), ..of(BiddingMode::Dutch) };
    let after = BiddingTermsInput { preemption: after.preemption, ..dutch() };
    assert_eq!(settled(&after, &NOTICE).unwrap().preemption_seconds, Some(300));
    let ladder = BiddingTermsInput { increments: vec![step(60_000_000, 500_000)], ..of(BiddingMode::Ascending) };
    let ladder = announce(&settled(&ladder, &NOTICE).unwrap(), &NOTICE.terms, None).increments;
    assert_eq!(ladder.iter().map(|step| step.from.unwrap().0).collect::<Vec<_>>(), [0, 60_000_000]);
}

#[track_caller]
fn refused(input: &BiddingTermsInput, notice: &Notice, code: ErrorCode, field: &str, accepted: &str) {
    let refusal = settled(input, notice).expect_err(field);
    let found = (refusal.error_code(), refusal.field.join("."), refusal.accepted.unwrap_or_default());
    assert_eq!(found, (code, format!("input.{field}"), accepted.to_owned()), "{input:?}");
    assert!(refusal.rule.is_some() || accepted.is_empty(), "{field}: no rule");
}

#[test]
fn sale_methods_stay_distinct() {
    use BiddingMode::*;
    use ErrorCode::TermsContradict;
    let negotiated = Notice { sale_method: SaleMethod::Negotiated, ..NOTICE };
    let methods = "ONLINE_BIDDING | AUCTION_HOUSE | TENDER";
    refused(&of(Ascending), &negotiated, TermsContradict, "bidding", methods);
    refused(&dutch(), &HOUSE, TermsContradict, "bidding.mode", "ASCENDING");
    refused(&closing(CloseRule::TwoStage), &HOUSE, TermsContradict, "bidding.closeRule", "HAMMER");
    let sealed = "SEALED_SINGLE | MULTI_ROUND_SEALED | WEIGHTED | EVALUATION";
    refused(&of(Ascending), &TENDER, TermsContradict, "bidding.mode", sealed);
    let online = "TWO_STAGE | SOFT_CLOSE | INQUIRY_THEN_TIMED";
    refused(&closing(CloseRule::Hammer), &NOTICE, TermsContradict, "bidding.closeRule", online);
    refused(&of(OpenLicence), &NOTICE, TermsContradict, "conversionMode", "LICENSE");
    let withdrawn = BiddingTermsInput { withdrawal_allowed: true, ..of(Ascending) };
    refused(&withdrawn, &HOUSE, TermsContradict, "bidding.withdrawalAllowed", "false");
}

#[test]
fn what_has_no_meaning_in_a_mode_is_refused() {
    use BiddingMode::*;
    use ErrorCode::TermsContradict;
    let open = "ASCENDING | DYNAMIC_LISTING | REVERSE";
    let sealed = "SEALED_SINGLE | MULTI_ROUND_SEALED | WEIGHTED | EVALUATION";
    let moves = "TWO_STAGE | SOFT_CLOSE | INQUIRY_THEN_TIMED";
    type Spoil = fn(&mut BiddingTermsInput);
    let cases: [(BiddingTermsInput, Spoil, &str, &str); 24] = [
        (of(SealedSingle), |i| i.close_rule = Some(CloseRule::SoftClose.into()), "closeRule", "TWO_STAGE"),
        (dutch(), |i| i.close_rule = Some(CloseRule::InquiryThenTimed.into()), "closeRule", "TWO_STAGE"),
        (
            of(DynamicListing),
            |i| i.close_rule = Some(CloseRule::SoftClose.into()),
            "closeRule",
            "TWO_STAGE | INQUIRY_THEN_TIMED",
        ),
        (dutch(), |i| i.increments = vec![step(60_000_000, 1)], "increments", open),
        (of(SealedSingle), |i| i.max_multiple = Some(2), "maxMultiple", open),
        (of(Ascending), |i| i.inquiry_seconds = Some(300), "inquirySeconds", "INQUIRY_THEN_TIMED"),
        (of(Ascending), |i| i.extension_window_seconds = Some(300), "extensionWindowSeconds", "SOFT_CLOSE"),
        (
            of(SealedSingle),
            |i| i.extension_trigger = Some(ExtensionTrigger::LeadChange.into()),
            "extensionTrigger",
            moves,
        ),
        (of(SealedSingle), |i| i.max_extensions = Some(1), "maxExtensions", open),
        (of(SealedSingle), |i| i.max_extension_seconds = Some(60), "maxExtensionSeconds", open),
        (of(SealedSingle), |i| i.proxy_allowed = true, "proxyAllowed", open),
        (dutch(), |i| i.withdrawal_allowed = true, "withdrawalAllowed", open),
        (of(Ascending), |i| i.drop = Some(Money(1)), "drop", "DUTCH"),
        (of(Ascending), |i| i.drop_seconds = Some(60), "dropSeconds", "DUTCH"),
        (of(Ascending), |i| i.lowest_price = Some(Money(1)), "lowestPrice", "DUTCH"),
        (of(SealedSingle), |i| i.rounds = Some(2), "rounds", "MULTI_ROUND_SEALED"),
        (of(Ascending), |i| i.tie_rule = Some(TieRule::ExtraRound.into()), "tieRule", sealed),
        (scored(Weighted), |i| i.mode = SealedSingle.into(), "criteria", "WEIGHTED | EVALUATION"),
        (of(Ascending), |i| i.preemption_seconds = Some(300), "preemptionSeconds", "AFTER_SESSION"),
        (of(Ascending), |i| i.preemption_quota = Some(1), "preemptionQuota", "IN_SESSION"),
        (
            of(SealedSingle),
            |i| i.preemption = Some(PreemptionRule::InSession.into()),
            "preemption",
            "NONE | AFTER_SESSION",
        ),
        (of(Reverse), |i| i.preemption = Some(PreemptionRule::AfterSession.into()), "preemption", "NONE"),
        (dutch(), |i| i.reserve_price = Some(Money(50_000_000)), "reservePrice", "…"),
        (of(Ascending), |i| (i.proxy_allowed, i.max_multiple) = (true, Some(5)), "proxyAllowed", "false"),
    ];
    for (mut input, spoil, field, accepted) in cases {
        spoil(&mut input);
        let accepted = if accepted == "…" { format!("{open} | {sealed}") } else { accepted.to_owned() };
        refused(&input, &NOTICE, TermsContradict, &format!("bidding.{field}"), &accepted);
    }
    for preemption in [PreemptionRule::InSession, PreemptionRule::AfterSession] {
        let input = BiddingTermsInput { preemption: Some(preemption.into()), ..of(OpenLicence) };
        refused(&input, &LICENCE, TermsContradict, "bidding.preemption", "NONE");
    }
    let reserved = BiddingTermsInput { reserve_price: Some(Money(60_000_000)), ..of(OpenLicence) };
    refused(&reserved, &LICENCE, TermsContradict, "bidding.reservePrice", &format!("{open} | {sealed}"));
}

#[test]
fn what_a_mode_needs_must_be_given_and_fit_together() {
    use BiddingMode::*;
    use ErrorCode::*;
    refused(&of(MultiRoundSealed), &NOTICE, TermsContradict, "bidding.rounds", "MULTI_ROUND_SEALED");
    refused(&of(Weighted), &NOTICE, TermsContradict, "bidding.criteria", "WEIGHTED | EVALUATION");
    for (spoiled, field) in [
        (BiddingTermsInput { drop: None, ..dutch() }, "bidding.drop"),
        (BiddingTermsInput { drop_seconds: None, ..dutch() }, "bidding.dropSeconds"),
        (BiddingTermsInput { lowest_price: None, ..dutch() }, "bidding.lowestPrice"),
    ] {
        refused(&spoiled, &NOTICE, TermsContradict, field, "DUTCH");
    }
    let lowest = |fen| BiddingTermsInput { lowest_price: Some(Money(fen)), ..dutch() };
    refused(&lowest(50_000_000), &NOTICE, TermsContradict, "bidding.lowestPrice", "< 500000.00");
    refused(&lowest(40_000_001), &NOTICE, TermsContradict, "bidding.lowestPrice", "500000.00 − n × 10000.00");
    let slow = BiddingTermsInput { drop_seconds: Some(86_400), ..dutch() };
    refused(&slow, &NOTICE, TermsContradict, "bidding.dropSeconds", "≤ 60480");
    let brief = Notice { terms: Terms { free_seconds: 86_399, ..NOTICE.terms }, ..NOTICE };
    refused(&closing(CloseRule::SoftClose), &brief, TermsContradict, "freeSeconds", "≥ 86400");
    let brief = Notice { terms: Terms { disclosure_days: 4, ..NOTICE.terms }, ..NOTICE };
    refused(&of(DynamicListing), &brief, PeriodTooShort, "disclosureDays", "≥ 5");
    let brief = Notice { terms: Terms { timed_seconds: 59, ..NOTICE.terms }, ..NOTICE };
    refused(&of(DynamicListing), &brief, PeriodOutOfRange, "timedSeconds", "≥ 60");
    let reserve = |mode, fen| BiddingTermsInput { reserve_price: Some(Money(fen)), ..of(mode) };
    refused(&reserve(Ascending, 49_999_999), &NOTICE, ReserveBelowFloor, "bidding.reservePrice", "≥ 500000.00");
    refused(&reserve(Reverse, 50_000_001), &NOTICE, TermsContradict, "bidding.reservePrice", "≤ 500000.00");
    settled(&reserve(Ascending, 50_000_000), &NOTICE).unwrap();
    settled(&reserve(Reverse, 50_000_000), &NOTICE).unwrap();
    let ladder = |steps| BiddingTermsInput { increments: steps, ..of(Ascending) };
    let field = "bidding.increments.1.from";
    refused(&ladder(vec![step(7, 1), step(7, 2)]), &NOTICE, TermsContradict, field, "> 0.07");
    let most = "0.01–10000000000000.00";
    refused(&ladder(vec![step(0, 1)]), &NOTICE, AmountOutOfRange, "bidding.increments.0.from", most);
    refused(&ladder(vec![step(1, 0)]), &NOTICE, AmountOutOfRange, "bidding.increments.0.increment", most);
    let long = ladder((1..=21).map(|from| step(from, 1)).collect());
    refused(&long, &NOTICE, InvalidInput, "bidding.increments", "0–20");
}

#[test]
fn each_range_is_where_the_rulebook_puts_it() {
    use ErrorCode::*;
    type Set = fn(&mut BiddingTermsInput, i32);
    let inquiry = closing(CloseRule::InquiryThenTimed);
    let after =
        BiddingTermsInput { preemption: Some(PreemptionRule::AfterSession.into()), ..of(BiddingMode::SealedSingle) };
    let within = BiddingTermsInput { preemption: Some(PreemptionRule::InSession.into()), ..of(BiddingMode::Ascending) };
    let (open, soft) = (of(BiddingMode::Ascending), closing(CloseRule::SoftClose));
    let cases: [(BiddingTermsInput, Set, ErrorCode, &str, i32, i32); 9] = [
        (inquiry, |i, n| i.inquiry_seconds = Some(n), PeriodOutOfRange, "inquirySeconds", 60, 600),
        (soft, |i, n| i.extension_window_seconds = Some(n), PeriodOutOfRange, "extensionWindowSeconds", 60, 3_600),
        (after, |i, n| i.preemption_seconds = Some(n), PeriodOutOfRange, "preemptionSeconds", 60, 86_400),
        (within, |i, n| i.preemption_quota = Some(n), InvalidInput, "preemptionQuota", 1, 100),
        (open.clone(), |i, n| i.max_multiple = Some(n), InvalidInput, "maxMultiple", 1, 1_000),
        (open.clone(), |i, n| i.max_extensions = Some(n), InvalidInput, "maxExtensions", 1, 1_000),
        (open, |i, n| i.max_extension_seconds = Some(n), PeriodOutOfRange, "maxExtensionSeconds", 60, 86_400),
        (of(BiddingMode::MultiRoundSealed), |i, n| i.rounds = Some(n), InvalidInput, "rounds", 2, 10),
        (
            BiddingTermsInput { lowest_price: Some(Money(49_000_000)), ..dutch() },
            |i, n| i.drop_seconds = Some(n),
            PeriodOutOfRange,
            "dropSeconds",
            10,
            86_400,
        ),
    ];
    for (input, set, code, field, least, most) in cases {
        for value in [i32::MIN, 0, least - 1, most + 1, i32::MAX] {
            let mut spoiled = input.clone();
            set(&mut spoiled, value);
            refused(&spoiled, &NOTICE, code, &format!("bidding.{field}"), &format!("{least}–{most}"));
        }
        for value in [least, most] {
            let mut good = input.clone();
            set(&mut good, value);
            settled(&good, &NOTICE).unwrap_or_else(|refusal| panic!("{field} {value}: {refusal:?}"));
        }
    }
    let unknown = BiddingTermsInput { close_rule: Some(99), ..of(BiddingMode::Ascending) };
    refused(&unknown, &NOTICE, InvalidInput, "bidding.closeRule", "");
    refused(&BiddingTermsInput { mode: 99, ..unknown }, &NOTICE, InvalidInput, "bidding.mode", "");
}

#[test]
fn published_weights_are_the_whole() {
    use BiddingMode::*;
    use CriterionKind::*;
    use ErrorCode::{AlreadyExists, InvalidInput, Required, TermsContradict};
    let with = |mode, criteria| BiddingTermsInput { criteria, ..of(mode) };
    let panel = vec![criterion("报价", Price, 5_000), criterion("方案", Panel, 5_000)];
    settled(&with(Evaluation, panel.clone()), &NOTICE).unwrap();
    let field = "bidding.criteria.1.kind";
    refused(&with(Weighted, panel.clone()), &NOTICE, TermsContradict, field, "PRICE | NUMBER");
    let quorum = |quorum: Option<i32>, criteria: &[CriterionInput]| BiddingTermsInput {
        panel_quorum: quorum,
        ..with(Evaluation, criteria.to_vec())
    };
    assert_eq!(settled(&quorum(None, &panel), &NOTICE).unwrap().panel_quorum, Some(1));
    assert_eq!(announce(&settled(&quorum(Some(3), &panel), &NOTICE).unwrap(), &NOTICE.terms, None).panel_quorum, 3);
    for count in [0, 16] {
        refused(&quorum(Some(count), &panel), &NOTICE, InvalidInput, "bidding.panelQuorum", "1–15");
    }
    let price = [criterion("报价", Price, 10_000)];
    refused(&quorum(Some(1), &price), &NOTICE, TermsContradict, "bidding.panelQuorum", "criteria: PANEL");
    let [first, second] = <[CriterionInput; 2]>::try_from(panel).unwrap();
    let low = CriterionInput { lower_is_better: true, ..second.clone() };
    let field = "bidding.criteria.1.lowerIsBetter";
    refused(&with(Evaluation, vec![first.clone(), low]), &NOTICE, TermsContradict, field, "false");
    let twice = vec![first.clone(), CriterionInput { name: "再报价".into(), ..first.clone() }];
    refused(&with(Weighted, twice), &NOTICE, TermsContradict, "bidding.criteria.1.kind", "PRICE × 1");
    let same = vec![first.clone(), CriterionInput { name: " 报价 ".into(), kind: Number.into(), ..first.clone() }];
    let refusal = settled(&with(Weighted, same), &NOTICE).unwrap_err();
    assert_eq!(
        (refusal.error_code(), refusal.field.join(".")),
        (AlreadyExists, "input.bidding.criteria.1.name".into())
    );
    let whole = "Σ weightBp = 10000";
    for weight in [4_999, 5_001] {
        let short = vec![first.clone(), criterion("月数", Number, weight)];
        refused(&with(Weighted, short), &NOTICE, TermsContradict, "bidding.criteria", whole);
    }
    for weight in [i32::MIN, 0, 10_001] {
        let field = "bidding.criteria.0.weightBp";
        refused(&with(Weighted, vec![criterion("报价", Price, weight)]), &NOTICE, InvalidInput, field, "1–10000");
    }
    let refusal = settled(&with(Weighted, vec![criterion(" ", Price, 10_000)]), &NOTICE).unwrap_err();
    assert_eq!((refusal.error_code(), refusal.field.join(".")), (Required, "input.bidding.criteria.0.name".into()));
    let many = (0..21).map(|n| criterion(&n.to_string(), Number, 1)).collect();
    refused(&with(Weighted, many), &NOTICE, InvalidInput, "bidding.criteria", "0–20");
}
