use std::sync::LazyLock;

use kernel::{
    Instant,
    calendar::cst_date,
    rules::{NATION, Rulebook},
};
use proptest::prelude::*;

use super::*;

const GOOD: Terms = Terms {
    floor_price: Money(50_000_000),
    deposit: Money(15_000_000),
    increment: Money(100_000),
    disclosure_days: 5,
    free_seconds: 3_600,
    timed_seconds: 300,
};

fn with_limits<T>(act: impl FnOnce(&Limits<'_>) -> T) -> T {
    static BOOK: LazyLock<Rulebook> = LazyLock::new(|| Rulebook::builtin().unwrap());
    let day = cst_date(Instant(1_790_000_000_000));
    act(&Limits::read(|key| Ok(BOOK.at(key, NATION, day).unwrap())).unwrap())
}

fn refused(terms: Terms) -> Option<Refusal> {
    match with_limits(|limits| terms.check(limits)) {
        Err(Error::Refused(refusal)) => Some(*refusal),
        Ok(()) => None,
        Err(fault) => panic!("{fault}"),
    }
}

#[test]
fn the_shipped_rules_hold_every_figure() {
    assert_eq!(refused(GOOD), None);
    assert_eq!(with_limits(|limits| limits.usual_seconds()), (3_600, 300));
}

#[test]
fn each_bound_is_where_the_rule_puts_it() {
    use ErrorCode::*;
    let million = Money(100_000_000);
    let cases = [
        (Terms { floor_price: Money(0), ..GOOD }, Some((FloorNotPositive, "floorPrice", "SM-3"))),
        (Terms { floor_price: Money(LARGEST.0 + 1), ..GOOD }, Some((AmountOutOfRange, "floorPrice", "SM-3"))),
        (Terms { deposit: Money(0), ..GOOD }, Some((AmountOutOfRange, "deposit", "G10"))),
        (Terms { deposit: Money(15_000_001), ..GOOD }, Some((DepositAboveCap, "deposit", "G10"))),
        (Terms { increment: Money(0), ..GOOD }, Some((IncrementNotPositive, "increment", "SM-5"))),
        (Terms { disclosure_days: 4, ..GOOD }, Some((PeriodTooShort, "disclosureDays", "G3"))),
        (Terms { disclosure_days: 120, ..GOOD }, None),
        (Terms { disclosure_days: 121, ..GOOD }, Some((PeriodOutOfRange, "disclosureDays", "G3"))),
        (Terms { floor_price: million, ..GOOD }, None),
        (Terms { floor_price: Money(million.0 + 1), ..GOOD }, Some((PeriodTooShort, "disclosureDays", "G3"))),
        (Terms { floor_price: Money(million.0 * 10), disclosure_days: 10, ..GOOD }, None),
        (
            Terms { floor_price: Money(million.0 * 10 + 1), disclosure_days: 19, ..GOOD },
            Some((PeriodTooShort, "disclosureDays", "G3")),
        ),
        (Terms { free_seconds: 599, ..GOOD }, Some((PeriodOutOfRange, "freeSeconds", "SM-5"))),
        (Terms { free_seconds: 604_801, ..GOOD }, Some((PeriodOutOfRange, "freeSeconds", "SM-5"))),
        (Terms { timed_seconds: 59, ..GOOD }, Some((PeriodOutOfRange, "timedSeconds", "SM-5"))),
        (Terms { timed_seconds: 601, ..GOOD }, Some((PeriodOutOfRange, "timedSeconds", "SM-5"))),
    ];
    for (terms, expected) in cases {
        let found = refused(terms).map(|r| (r.error_code(), r.field.last().cloned(), r.rule));
        let expected = expected.map(|(code, field, rule)| (code, Some(field.to_owned()), Some(rule.to_owned())));
        assert_eq!(found, expected, "{terms:?}");
    }
}

#[test]
fn the_refusal_tells_what_would_do() {
    let accepted = |terms| refused(terms).unwrap().accepted.unwrap();
    assert_eq!(accepted(Terms { deposit: GOOD.floor_price, ..GOOD }), "≤ 150000.00");
    assert_eq!(accepted(Terms { disclosure_days: 1, ..GOOD }), "≥ 5");
    assert_eq!(accepted(Terms { timed_seconds: 1, ..GOOD }), "60–600");
}

prop_compose! {
    fn any_terms()(
        floor in prop_oneof![any::<i64>(), 1..=LARGEST.0, 1..=1_000i64],
        deposit in prop_oneof![any::<i64>(), 0..=LARGEST.0, 0..=1_000i64],
        increment in any::<i64>(),
        periods in (any::<i32>(), any::<i32>(), any::<i32>()),
        sane in any::<bool>(),
    ) -> Terms {
        let (disclosure_days, free_seconds, timed_seconds) = if sane { (20, 3_600, 300) } else { periods };
        let increment = if sane { 1 } else { increment };
        let (floor_price, deposit, increment) = (Money(floor), Money(deposit), Money(increment));
        Terms { floor_price, deposit, increment, disclosure_days, free_seconds, timed_seconds }
    }
}

proptest! {
    /// No terms stall or overflow the check, and what passes keeps every promise of the rules.
    #[test]
    fn what_passes_is_within_every_rule(terms in any_terms()) {
        if refused(terms).is_none() {
            prop_assert!((1..=LARGEST.0).contains(&terms.floor_price.0));
            prop_assert!((1..=LARGEST.0).contains(&terms.increment.0));
            prop_assert!(terms.deposit.0 >= 1);
            prop_assert!(i128::from(terms.deposit.0) * 10 <= i128::from(terms.floor_price.0) * 3);
            let least = match terms.floor_price.0 { 1..=100_000_000 => 5, 100_000_001..=1_000_000_000 => 10, _ => 20 };
            prop_assert!((least..=120).contains(&terms.disclosure_days));
            prop_assert!((600..=604_800).contains(&terms.free_seconds));
            prop_assert!((60..=600).contains(&terms.timed_seconds));
        }
    }

    /// The cap that a refusal names is itself accepted, and one fen more is not.
    #[test]
    fn the_named_cap_is_the_largest_deposit(floor in 4..=LARGEST.0) {
        let terms = Terms { floor_price: Money(floor), deposit: Money(LARGEST.0), disclosure_days: 20, ..GOOD };
        let refusal = refused(terms).unwrap();
        let cap = Money::parse_yuan(refusal.accepted.unwrap().trim_start_matches("≤ ")).unwrap();
        prop_assert_eq!(refused(Terms { deposit: cap, ..terms }), None);
        let above = refused(Terms { deposit: Money(cap.0 + 1), ..terms }).unwrap();
        prop_assert_eq!(above.error_code(), ErrorCode::DepositAboveCap);
    }
}
