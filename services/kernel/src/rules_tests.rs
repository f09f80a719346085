//! Tests of the rulebook.

use proptest::prelude::*;

use super::*;

fn book() -> Rulebook {
    Rulebook::builtin().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn rule(jurisdiction: &str, value: i64, from: &str, to: Option<&str>) -> RuleParameter {
    RuleParameter {
        id: "G10".into(),
        key: "deposit.max_bp".into(),
        jurisdiction: jurisdiction.into(),
        value,
        unit: Unit::Bp,
        effective_from: day(from),
        effective_to: to.map(day),
        source: "测试".into(),
        mark: Mark::D,
        confirmed: false,
    }
}

fn fault_of(change: impl FnOnce(&mut RuleParameter)) -> &'static str {
    let mut broken = rule("CN", 1, "2018-01-01", None);
    change(&mut broken);
    match Rulebook::from_parameters([broken]) {
        Err(RulebookError::Faulty { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_shipped_rules_load_and_hold_what_a_deal_needs() {
    let book = book();
    let today = day("2026-11-24");
    let value = |key| book.at(key, "CN-SC", today).unwrap().value;
    assert_eq!(value("deposit.max_bp_of_floor"), 3_000);
    assert_eq!(value("disclosure.equity.min_working_days"), 20);
    assert_eq!(value("disclosure.asset.min_working_days.up_to_1m"), 5);
    assert_eq!(value("disclosure.asset.min_working_days.over_1m"), 10);
    assert_eq!(value("disclosure.asset.min_working_days.over_10m"), 20);
    assert_eq!(value("disclosure.asset.tier.1m_fen"), 1_000_000 * 100);
    assert_eq!(value("disclosure.asset.tier.10m_fen"), 10_000_000 * 100);
    assert_eq!(value("pricing.agreed.publicity.min_days"), 15);
    assert_eq!(value("registration.expert_review.min_technical_fen"), 5_000_000 * 100);
    assert_eq!(value("loan.tianfu.max_fen"), 10_000_000 * 100);
    assert_eq!(value("record.retention.years"), 10);
    let cutoff = book.at("disclosure.cutoff", "CN-SC", today).unwrap();
    assert_eq!(cutoff.time_of_day(), NaiveTime::from_hms_opt(17, 0, 0));
    assert!(value("bidding.timed.cycle.min_seconds") <= value("bidding.timed.cycle.default_seconds"));
    assert!(value("bidding.timed.cycle.default_seconds") <= value("bidding.timed.cycle.max_seconds"));
    assert!(value("bidding.free.min_seconds") <= value("bidding.free.default_seconds"));
    assert!(value("fee.transferor_bp") <= value("fee.max_bp"));
}

#[test]
fn the_keys_of_a_unit_say_so() {
    for rule in book().parameters() {
        let named = |word: &str| rule.key.contains(word);
        let unit = match rule.unit {
            Unit::WorkingDays => named("working_days"),
            Unit::CalendarDays => named("days") && !named("working_days"),
            Unit::Months => named("months"),
            Unit::Years => named("years"),
            Unit::Bp => named("bp"),
            Unit::Fen => named("fen"),
            Unit::Seconds => named("seconds"),
            Unit::SecondOfDay => named("cutoff"),
            Unit::Count => true,
        };
        assert!(unit, "{} is in {}", rule.key, rule.unit);
    }
}

#[test]
fn a_place_takes_its_own_figure_or_the_nations() {
    let book = book();
    let today = day("2026-11-24");
    let floor = |place| book.at("reward.transfer.min_bp", place, today).unwrap().value;
    assert_eq!([floor("CN"), floor("CN-SC"), floor("CN-SC-5101"), floor("CN-YN")], [5_000, 7_000, 7_000, 5_000]);
    assert!(book.at("reward.transfer.min_bp", "US", today).is_err());
}

#[test]
fn a_figure_not_in_force_is_missing_not_guessed() {
    let book = book();
    assert!(book.at("tax.vat.technology_exempt", "CN", day("2025-12-31")).is_ok());
    let missing = book.at("tax.vat.technology_exempt", "CN-SC", day("2026-01-01")).unwrap_err();
    assert_eq!(missing.to_string(), "no rule tax.vat.technology_exempt is in force in CN-SC on 2026-01-01");
    assert!(book.at("loan.tianfu.max_fen", "CN-SC", day("2025-06-29")).is_err());
    assert!(book.at("loan.tianfu.max_fen", "CN", day("2026-11-24")).is_err(), "a provincial product");
    assert!(book.at("no.such_key", "CN", day("2026-11-24")).is_err());
}

#[test]
fn only_confirmed_statutes_are_cited_as_law() {
    let book = book();
    let cite = |key| book.at(key, "CN-SC", day("2026-11-24")).unwrap().citation();
    assert_eq!(cite("reward.own_use.min_bp"), "P5（促进科技成果转化法第45条：自行实施的营业利润）");
    assert_eq!(cite("reward.transfer.min_bp"), "P6", "Sichuan's floor is a recollection");
    assert_eq!(cite("deposit.max_bp_of_floor"), "G10");
    assert_eq!(cite("bidding.soft_close.window_seconds"), "SM-5", "a statute, but of judicial auctions");
    assert!(book.parameters().all(|rule| !rule.confirmed || rule.mark == Mark::S));
}

#[test]
fn the_version_follows_content_not_order() {
    let book = book();
    let mut rows: Vec<RuleParameter> = book.parameters().cloned().collect();
    rows.reverse();
    let again = Rulebook::from_parameters(rows.clone()).unwrap();
    assert_eq!(again, book);
    assert_eq!(book.version().len(), 12);
    rows[0].source.push('x');
    assert_ne!(Rulebook::from_parameters(rows).unwrap().version(), book.version());
}

/// Records keep versions for years, so how one is computed must not drift with this code or its libraries.
#[test]
fn the_version_is_computed_alike_for_ever() {
    let book = Rulebook::from_parameters([rule("CN", 3_000, "2018-01-01", None)]).unwrap();
    assert_eq!(book.version(), "5bef2765aaf9");
}

#[test]
fn faulty_parameters_are_refused() {
    assert_eq!(fault_of(|r| r.value = -1), "the value is out of range for its unit");
    assert_eq!(fault_of(|r| r.value = LARGEST_COUNT + 1), "the value is out of range for its unit");
    assert_eq!(fault_of(|r| r.confirmed = true), "only a statute can be confirmed");
    assert_eq!(fault_of(|r| r.effective_to = Some(day("2017-12-31"))), "it ends before it begins");
    assert_eq!(fault_of(|r| r.jurisdiction = "cn".into()), "the jurisdiction is not CN or a part of it");
    assert_eq!(fault_of(|r| r.jurisdiction = "CN-".into()), "the jurisdiction is not CN or a part of it");
    assert_eq!(fault_of(|r| r.key = "a..b".into()), "the key is not dotted lower case");
    assert_eq!(fault_of(|r| r.source = " ".into()), "it has no source");
    assert_eq!(fault_of(|r| r.id.clear()), "it has no rule id");
    let fault = fault_of(|r| (r.unit, r.value) = (Unit::SecondOfDay, 86_400));
    assert_eq!(fault, "the value is out of range for its unit");
}

#[test]
fn contradicting_parameters_are_refused() {
    let old = rule("CN", 2_000, "2018-01-01", Some("2020-06-30"));
    let overlap = rule("CN", 3_000, "2020-06-30", None);
    let next = rule("CN", 3_000, "2020-07-01", None);
    let place = rule("CN-SC", 3_000, "2019-01-01", None);
    let refused = Rulebook::from_parameters([overlap, old.clone()]).unwrap_err();
    assert_eq!(refused.to_string(), "rule deposit.max_bp of CN has two values on 2020-06-30");
    let book = Rulebook::from_parameters([next.clone(), place, old.clone()]).unwrap();
    assert_eq!(book.at("deposit.max_bp", "CN", day("2020-06-30")).unwrap().value, 2_000);
    assert_eq!(book.at("deposit.max_bp", "CN", day("2020-07-01")).unwrap().value, 3_000);
    let other_unit = RuleParameter { unit: Unit::Fen, ..next };
    let refused = Rulebook::from_parameters([old, other_unit]).unwrap_err();
    assert_eq!(refused, RulebookError::MixedUnits("deposit.max_bp".into()));
}

#[test]
fn unknown_and_missing_fields_are_refused() {
    let entry = r#"id = "G1", key = "a.b", value = 1, unit = "count", effective_from = "2018-01-01", source = "x""#;
    assert!(Rulebook::parse(&format!("rules = [{{ {entry}, mark = \"D\" }}]")).is_ok());
    for bad in [
        format!("rules = [{{ {entry} }}]"),
        format!("rules = [{{ {entry}, mark = \"X\" }}]"),
        format!("rules = [{{ {entry}, mark = \"D\", law = true }}]"),
        format!("rules = [{{ {entry}, mark = \"D\", jurisdiction = 1 }}]"),
        format!("rules = [{{ {}, mark = \"D\" }}]", entry.replace("value = 1,", "value = 1.5,")),
        "more = 1\nrules = []".to_owned(),
        String::new(),
    ] {
        assert!(matches!(Rulebook::parse(&bad), Err(RulebookError::Unreadable(_))), "{bad}");
    }
}

prop_compose! {
    /// Spans of one key in two places, over 60 days.
    fn span()(
        place in 0..2,
        from in 0_u64..60,
        length in prop::option::of(0_u64..30),
        value in 0_i64..9,
    ) -> RuleParameter {
        let first = day("2026-01-01") + chrono::Days::new(from);
        RuleParameter {
            effective_from: first,
            effective_to: length.map(|days| first + chrono::Days::new(days)),
            ..rule(if place == 0 { "CN" } else { "CN-SC" }, value, "2026-01-01", None)
        }
    }
}

proptest! {
    /// A book loads if and only if no day has two figures in one place, and then answers as a plain search does.
    #[test]
    fn books_answer_as_a_plain_search_does(spans in prop::collection::vec(span(), 1..5)) {
        let holding = |place: &str, date| -> Vec<i64> {
            spans.iter().filter(|r| r.jurisdiction == place && r.in_force(date)).map(|r| r.value).collect()
        };
        let days: Vec<NaiveDate> = day("2026-01-01").iter_days().take(120).collect();
        let clash = days.iter().any(|date| ["CN", "CN-SC"].iter().any(|place| holding(place, *date).len() > 1));
        match Rulebook::from_parameters(spans.clone()) {
            Err(error) => {
                let overlap = matches!(error, RulebookError::Overlap { .. });
                prop_assert!(clash && overlap, "{}", error);
            }
            Ok(book) => {
                prop_assert!(!clash);
                for date in days {
                    let own = holding("CN-SC", date);
                    let expected = own.first().or(holding("CN", date).first()).copied();
                    prop_assert_eq!(book.at("deposit.max_bp", "CN-SC", date).ok().map(|rule| rule.value), expected);
                }
            }
        }
    }
}
