//! Tests of the working calendar.

use std::str::FromStr;

use proptest::prelude::*;

use super::*;

fn calendar() -> Calendar {
    Calendar::builtin().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn five_pm() -> NaiveTime {
    NaiveTime::from_hms_opt(17, 0, 0).unwrap()
}

/// An instant given in China Standard Time.
fn at(text: &str) -> Instant {
    Instant(DateTime::parse_from_rfc3339(&format!("{text}+08:00")).unwrap().timestamp_millis())
}

fn row(date: &str, kind: DayKind) -> CalendarDay {
    CalendarDay { date: day(date), kind, name: "测试".into(), source: "测试".into() }
}

fn rows() -> Vec<CalendarDay> {
    calendar().days().cloned().collect()
}

#[test]
fn make_up_days_are_worked_and_holidays_are_not() {
    let calendar = calendar();
    let works = |text| calendar.is_working_day(day(text)).unwrap();
    assert_eq!(works("2026-09-20"), Reckoned { value: true, provisional: false }, "Sunday, made up");
    assert_eq!(works("2026-10-07"), Reckoned { value: false, provisional: false }, "Wednesday, off");
    assert!(!works("2020-02-01").value, "the Spring Festival of 2020 was lengthened");
    assert!(works("2019-05-05").value, "Labour Day of 2019 was amended");
    assert!(works("2018-12-29").value, "made up for New Year 2019");
    assert!(!works("2022-12-31").value);
}

#[test]
fn a_disclosure_started_now_ends_this_year_and_is_settled() {
    let end = calendar().deadline_working_days(at("2026-11-24T10:00:00"), 20, five_pm()).unwrap();
    assert_eq!(end, Reckoned { value: at("2026-12-22T17:00:00"), provisional: false });
}

#[test]
fn a_disclosure_reaching_a_year_without_notice_works_and_says_so() {
    let end = calendar().deadline_working_days(at("2026-12-10T10:00:00"), 20, five_pm()).unwrap();
    assert_eq!(end, Reckoned { value: at("2027-01-08T17:00:00"), provisional: true });
}

#[test]
fn the_last_days_of_december_wait_for_the_next_notice() {
    let calendar = calendar();
    assert_eq!(calendar.settled_until(), day("2026-12-28"));
    assert!(!calendar.is_working_day(day("2026-12-28")).unwrap().provisional);
    assert!(calendar.is_working_day(day("2026-12-29")).unwrap().provisional);
    let mut december = calendar.days().filter(|d| d.date.month() == 12);
    assert!(december.all(|d| d.date.day() >= 29), "the bound that settled_until rests on");
}

#[test]
fn a_start_late_at_night_counts_by_the_day_in_china() {
    let calendar = calendar();
    // 16:30 UTC on Monday is Tuesday in China, so the first working day after it is Wednesday.
    let start = Instant(DateTime::parse_from_rfc3339("2026-11-23T16:30:00Z").unwrap().timestamp_millis());
    let end = calendar.deadline_working_days(start, 1, five_pm()).unwrap();
    assert_eq!(end.value, at("2026-11-25T17:00:00"));
}

#[test]
fn calendar_days_end_on_a_working_day_unless_asked_not_to() {
    let calendar = calendar();
    let start = at("2026-09-16T09:00:00"); // 15 days later is 1 October; work resumes on the 8th.
    let end = calendar.deadline_calendar_days(start, 15, five_pm()).unwrap();
    assert_eq!(end, Reckoned { value: at("2026-10-08T17:00:00"), provisional: false });
    assert_eq!(calendar_days_after(start, 15, five_pm()), at("2026-10-01T17:00:00"));
}

#[test]
fn beyond_the_table_it_refuses() {
    let calendar = calendar();
    assert_eq!(*calendar.loaded(), day("2018-01-01")..=day("2030-12-31"));
    let refused = calendar.deadline_working_days(at("2030-12-20T10:00:00"), 20, five_pm()).unwrap_err();
    assert_eq!(refused, OutsideCalendar { date: day("2031-01-01"), loaded: day("2018-01-01")..=day("2030-12-31") });
    assert_eq!(refused.to_string(), "2031-01-01 is outside the loaded calendar, 2018-01-01 to 2030-12-31");
    assert!(calendar.is_working_day(day("2017-12-31")).is_err());
    for extreme in [i64::MIN, i64::MAX] {
        assert!(calendar.deadline_working_days(Instant(extreme), 1, five_pm()).is_err());
        assert!(calendar.deadline_calendar_days(Instant(extreme), u32::MAX, five_pm()).is_err());
    }
    assert!(calendar.deadline_working_days(at("2026-11-24T10:00:00"), u32::MAX, five_pm()).is_err());
}

#[test]
fn the_law_gives_thirteen_days_and_fewer_when_two_meet() {
    let count = |year| {
        let calendar = calendar();
        calendar.days().filter(|d| d.kind == DayKind::StatutoryHoliday && d.date.year() == year).count()
    };
    assert_eq!([2026, 2027, 2028, 2029, 2030].map(count), [0, 13, 12, 13, 13]);
    assert!(!calendar().is_working_day(day("2027-02-08")).unwrap().value, "third day of the Spring Festival");
}

#[test]
fn rows_make_the_same_calendar_again() {
    let mut shuffled = rows();
    shuffled.reverse();
    assert_eq!(Calendar::from_days(shuffled).unwrap(), calendar());
}

#[test]
fn a_notice_loaded_beside_the_statutory_rows_replaces_them() {
    let mut with_notice = rows();
    let notice = "2027-01-01".parse::<NaiveDate>().unwrap().iter_days().take(12);
    with_notice.extend(notice.map(|date| row(&date.to_string(), DayKind::Holiday)));
    with_notice.push(row("2027-01-16", DayKind::MakeupWorkday));
    let calendar = Calendar::from_days(with_notice).unwrap();
    assert_eq!(calendar.settled_until(), day("2027-12-28"));
    assert_eq!(calendar.is_working_day(day("2027-01-16")).unwrap(), Reckoned { value: true, provisional: false });
    assert!(calendar.is_working_day(day("2027-04-05")).unwrap().value, "this made-up notice omits Qingming");
    assert!(calendar.is_working_day(day("2028-01-03")).unwrap().provisional);
}

#[test]
fn faulty_rows_are_refused() {
    assert_eq!(Calendar::from_days([]), Err(CalendarError::Empty));
    let plus = |extra| Calendar::from_days(rows().into_iter().chain([extra]));
    let again = row("2026-10-01", DayKind::Holiday);
    assert_eq!(plus(again), Err(CalendarError::Duplicate(day("2026-10-01"))));
    let monday = row("2026-11-23", DayKind::MakeupWorkday);
    assert_eq!(plus(monday), Err(CalendarError::WeekdayMakeup(day("2026-11-23"))));
    let half = row("2027-01-02", DayKind::Holiday);
    assert_eq!(plus(half), Err(CalendarError::Incomplete(2027)));
    let gap = rows().into_iter().filter(|d| notice_year(d.date) != 2021);
    assert_eq!(Calendar::from_days(gap), Err(CalendarError::Incomplete(2021)));
}

#[test]
fn a_year_known_only_by_law_ends_what_is_settled() {
    let by_law = rows().into_iter().filter(|d| d.date.year() >= 2027);
    let calendar = Calendar::from_days(by_law).unwrap();
    assert!(calendar.is_working_day(day("2027-01-04")).unwrap().provisional);

    let in_2025 = |row: &CalendarDay| notice_year(row.date) == 2025;
    let with_gap = rows().into_iter().filter(|row| !in_2025(row) || row.kind == DayKind::Holiday).map(|mut row| {
        row.kind = if in_2025(&row) { DayKind::StatutoryHoliday } else { row.kind };
        row
    });
    let calendar = Calendar::from_days(with_gap).unwrap();
    assert_eq!(calendar.settled_until(), day("2024-12-28"), "the notice of 2026 settles nothing across 2025");
}

#[test]
fn kinds_survive_the_database() {
    for kind in [DayKind::Holiday, DayKind::MakeupWorkday, DayKind::StatutoryHoliday] {
        assert_eq!(DayKind::from_str(&kind.to_string()).unwrap(), kind);
    }
    assert_eq!(DayKind::MakeupWorkday.to_string(), "makeup_workday");
}

#[test]
fn each_row_names_its_notice() {
    let source = |text: &str| calendar().days().find(|d| d.date == day(text)).unwrap().source.clone();
    assert_eq!(source("2026-02-14"), "国办发明电〔2025〕7号");
    assert!(source("2018-12-29").starts_with("国办发明电〔2018〕15号"));
    assert_eq!(source("2027-02-05"), STATUTE);
}

/// Compares all 3,287 days of 2018–2026 with another package's table. `TEST_DATA` is the shared data folder.
#[test]
fn agrees_with_the_shared_table_on_every_day() {
    let Ok(folder) = std::env::var("TEST_DATA") else {
        eprintln!("skipped: set TEST_DATA to the folder of shared data to compare the calendar with it");
        return;
    };
    let path = std::path::Path::new(&folder).join("codes/cn_holidays_2018_2026_pypi.csv");
    let table: BTreeMap<NaiveDate, bool> = std::fs::read_to_string(path)
        .unwrap()
        .lines()
        .skip(1)
        .map(|line| {
            let (date, rest) = line.split_once(',').unwrap();
            (day(date), rest.ends_with("makeup_workday"))
        })
        .collect();
    let calendar = calendar();
    let days = day("2018-01-01").iter_days().take_while(|date| *date <= day("2026-12-31"));
    let mut compared = 0;
    for date in days {
        let expected = table.get(&date).copied().unwrap_or(!is_weekend(date));
        assert_eq!(calendar.is_working_day(date).unwrap().value, expected, "{date}");
        compared += 1;
    }
    assert_eq!(compared, 3287);
}

prop_compose! {
    fn any_start()(offset in 0_u64..4000) -> NaiveDate {
        day("2018-01-01").checked_add_days(Days::new(offset)).unwrap()
    }
}

proptest! {
    #[test]
    fn between_undoes_add(start in any_start(), n in 0_u32..300) {
        let calendar = calendar();
        let end = calendar.add_working_days(start, n).unwrap();
        let counted = calendar.working_days_between(start, end.value).unwrap();
        prop_assert_eq!((counted.value, counted.provisional), (n, end.provisional));
        prop_assert!(n == 0 || calendar.is_working_day(end.value).unwrap().value);
    }

    #[test]
    fn more_days_and_later_starts_never_end_sooner(start in any_start(), later in 0_u64..30, n in 0_u32..200) {
        let calendar = calendar();
        let end = |date, n| calendar.add_working_days(date, n).unwrap().value;
        prop_assert!(end(start, n) < end(start, n + 1));
        let moved = start.checked_add_days(Days::new(later)).unwrap();
        prop_assert!(end(start, n) <= end(moved, n));
    }

    #[test]
    fn counts_add_up(a in any_start(), b in any_start(), c in any_start()) {
        let calendar = calendar();
        let mut order = [a, b, c];
        order.sort();
        let [a, b, c] = order;
        let between = |from, to| calendar.working_days_between(from, to).unwrap().value;
        prop_assert_eq!(between(a, b) + between(b, c), between(a, c));
        prop_assert_eq!(between(c, a), if a == c { between(a, c) } else { 0 });
    }

    #[test]
    fn deadlines_fall_at_the_cutoff_after_the_start(start in any_start(), second in 0_i64..86_400, n in 1_u32..60) {
        let calendar = calendar();
        let start = cst_instant(start, NaiveTime::MIN).0 + second * 1000;
        let by_working = calendar.deadline_working_days(Instant(start), n, five_pm()).unwrap().value;
        let by_calendar = calendar.deadline_calendar_days(Instant(start), n, five_pm()).unwrap().value;
        prop_assert!(by_working.0 > start && by_calendar.0 > start);
        prop_assert!(by_calendar >= calendar_days_after(Instant(start), n, five_pm()));
        for end in [by_working, by_calendar] {
            prop_assert_eq!(cst_instant(cst_date(end), five_pm()), end);
            prop_assert!(calendar.is_working_day(cst_date(end)).unwrap().value);
        }
    }
}
