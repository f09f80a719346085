//! Working days of mainland China, in which most periods of an exchange run (domain.md, trap 3 and SM-3).
//!
//! A day is decided by its row in the table if it has one, else Monday to Friday are worked. The law (全国年节及纪念日放假办法,
//! 2024) fixes the holidays; which weekends are worked to make up for them is known only from the State Council's
//! yearly notice. All is pure: no clock, no database. Dates are of China Standard Time (UTC+8, no daylight saving).
//!
//! **What is not yet known is marked, not guessed.** For years whose notice is not out the table holds the holidays
//! fixed by law alone. Such answers carry [`Reckoned::provisional`]; when the notice is loaded, whoever stored one
//! reckons again and may lengthen an announced period, never shorten it (G6). Beyond it: [`OutsideCalendar`].
//!
//! The published years come from the crate `chinese_holiday` (Apache-2.0, zier-one), which cites each notice; they were
//! compared day by day with PyPI chinesecalendar 1.11.0 (MIT), and the lunar dates below with tyme4rs 1.5.0 (MIT).

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use chinese_holiday::{DayKind as Published, Ymd, chinese_holiday};
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, Weekday};

use crate::instant::Instant;

/// China Standard Time is ahead of UTC by this many milliseconds.
const CST_AHEAD_MS: i64 = 8 * 3_600_000;

/// The days that `chinese_holiday` is asked for; outside its own range (2004-01-01 to 2026-12-25) it panics.
const FIRST_PUBLISHED: NaiveDate = ymd(2018, 1, 1);
const LAST_PUBLISHED: NaiveDate = ymd(2026, 12, 25);

/// A year lists at least the days that the law gives (11 until 2024, 13 since); fewer rows mean a half-loaded year.
const FEWEST_HOLIDAYS: u32 = 11;

/// The notices that fixed each published year, with the amendments of 2019 (Labour Day) and 2020 (Spring Festival).
const NOTICES: [(i32, &str); 9] = [
    (2018, "国办发明电〔2017〕12号"),
    (2019, "国办发明电〔2018〕15号、国办发明电〔2019〕3号"),
    (2020, "国办发明电〔2019〕16号、国办发明电〔2020〕1号"),
    (2021, "国办发明电〔2020〕27号"),
    (2022, "国办发明电〔2021〕11号"),
    (2023, "国办发明电〔2022〕16号"),
    (2024, "国办发明电〔2023〕7号"),
    (2025, "国办发明电〔2024〕12号"),
    (2026, "国办发明电〔2025〕7号"),
];

/// What fixes the holidays of a year without a notice (mark S).
const STATUTE: &str = "全国年节及纪念日放假办法（2024年修订）第二条";

/// Lunar New Year's Eve, Qingming, Dragon Boat and Mid-Autumn of the years without a notice, by the lunar calendar.
const UNANNOUNCED: [[NaiveDate; 4]; 4] = [
    [ymd(2027, 2, 5), ymd(2027, 4, 5), ymd(2027, 6, 9), ymd(2027, 9, 15)],
    [ymd(2028, 1, 25), ymd(2028, 4, 4), ymd(2028, 5, 28), ymd(2028, 10, 3)],
    [ymd(2029, 2, 12), ymd(2029, 4, 4), ymd(2029, 6, 16), ymd(2029, 9, 22)],
    [ymd(2030, 2, 2), ymd(2030, 4, 5), ymd(2030, 6, 5), ymd(2030, 9, 12)],
];

/// Why a day is in the table. As text: `holiday`, `makeup_workday`, `statutory_holiday`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum DayKind {
    /// A day off by the year's notice, festival or moved rest day.
    Holiday,
    /// A Saturday or Sunday that is worked by the year's notice (调休).
    MakeupWorkday,
    /// A day off by law alone, in a year whose notice is not loaded: provisional.
    StatutoryHoliday,
}

/// One row of the table `calendar_day`: a day that does not follow its weekday, or is a named day off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarDay {
    /// The day, in China Standard Time; the key of the table.
    pub date: NaiveDate,
    /// Whether it is worked, and by what authority.
    pub kind: DayKind,
    /// The festival in Chinese, such as `春节`.
    pub name: String,
    /// The notice or law that says so, such as `国办发明电〔2025〕7号`.
    pub source: String,
}

/// An answer of the calendar, and whether a notice still to be published may change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reckoned<T> {
    /// The answer by the table as loaded.
    pub value: T,
    /// True if a day it rests on lies in a year whose notice is not loaded. Reckon again once it is.
    pub provisional: bool,
}

/// Refused: the question reaches a day for which neither a notice nor the law's holidays are loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{date} is outside the loaded calendar, {} to {}", loaded.start(), loaded.end())]
pub struct OutsideCalendar {
    /// The first day asked for that is not loaded.
    pub date: NaiveDate,
    /// The days that are.
    pub loaded: RangeInclusive<NaiveDate>,
}

/// Why rows do not make a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// There are no rows.
    #[error("the calendar has no days")]
    Empty,
    /// Two rows claim one day.
    #[error("{0} is in the calendar twice")]
    Duplicate(NaiveDate),
    /// A make-up workday is a Saturday or Sunday; anything else is a slip of the pen.
    #[error("{0} is a weekday and cannot be a make-up workday")]
    WeekdayMakeup(NaiveDate),
    /// A year inside the range is missing or has fewer holidays than the law gives.
    #[error("the calendar year {0} is missing or incomplete")]
    Incomplete(i32),
}

/// The loaded table of exceptional days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    days: BTreeMap<NaiveDate, CalendarDay>,
    loaded: RangeInclusive<NaiveDate>,
    settled: NaiveDate,
}

impl Calendar {
    /// The calendar this release ships: notices for 2018–2026, holidays fixed by law for 2027–2030.
    ///
    /// # Errors
    /// Only if the shipped tables are faulty, which a test rules out.
    pub fn builtin() -> Result<Self, CalendarError> {
        let published = FIRST_PUBLISHED.iter_days().take_while(|date| *date <= LAST_PUBLISHED);
        let by_law = UNANNOUNCED.into_iter().flat_map(statutory_days);
        Self::from_days(published.filter_map(published_day).chain(by_law))
    }

    /// A calendar of these rows, in any order. Once a year has rows of its notice, its [`DayKind::StatutoryHoliday`]
    /// rows are superseded and dropped, so a notice can simply be loaded beside them.
    ///
    /// # Errors
    /// [`CalendarError`] if a day is there twice, a make-up workday is a weekday, or a year is missing or half loaded.
    pub fn from_days(rows: impl IntoIterator<Item = CalendarDay>) -> Result<Self, CalendarError> {
        let rows: Vec<CalendarDay> = rows.into_iter().collect();
        // For each year, and whether by notice or by law alone, its holidays.
        let mut counts: BTreeMap<(i32, bool), u32> = BTreeMap::new();
        for row in &rows {
            let by_notice = row.kind != DayKind::StatutoryHoliday;
            let count = counts.entry((notice_year(row.date), by_notice)).or_default();
            *count += u32::from(row.kind != DayKind::MakeupWorkday);
        }
        let announced = |year| counts.contains_key(&(year, true));
        let years = counts.first_key_value().zip(counts.last_key_value());
        let ((&(first, _), _), (&(last, _), _)) = years.ok_or(CalendarError::Empty)?;
        let few = |year: &i32| counts.get(&(*year, announced(*year))) < Some(&FEWEST_HOLIDAYS);
        if let Some(year) = (first..=last).find(few) {
            return Err(CalendarError::Incomplete(year));
        }
        let mut days = BTreeMap::new();
        for row in rows {
            if row.kind == DayKind::StatutoryHoliday && announced(notice_year(row.date)) {
                continue;
            }
            if row.kind == DayKind::MakeupWorkday && !is_weekend(row.date) {
                return Err(CalendarError::WeekdayMakeup(row.date));
            }
            if let Some(twice) = days.insert(row.date, row) {
                return Err(CalendarError::Duplicate(twice.date));
            }
        }
        // A gap ends what is settled, whatever is known after it.
        let settled = (first..=last).take_while(|year| announced(*year)).last();
        let day_of = |y, m, d| NaiveDate::from_ymd_opt(y, m, d).ok_or(CalendarError::Incomplete(y));
        Ok(Self {
            days,
            loaded: day_of(first, 1, 1)?..=day_of(last, 12, 31)?,
            settled: day_of(settled.unwrap_or(first - 1), 12, 28)?,
        })
    }

    /// The rows in order of date, to be stored as `calendar_day(date, kind, name, source)`.
    pub fn days(&self) -> impl Iterator<Item = &CalendarDay> {
        self.days.values()
    }

    /// The first and the last day that the calendar answers for.
    #[must_use]
    pub fn loaded(&self) -> &RangeInclusive<NaiveDate> {
        &self.loaded
    }

    /// The last day fixed by a loaded notice; later answers are provisional.
    ///
    /// This is 28 December, not New Year's Eve: the next year's notice may still move rest days around New Year into
    /// December, as those of 2019 and 2023 did, though none since 2018 reached back before the 29th.
    #[must_use]
    pub fn settled_until(&self) -> NaiveDate {
        self.settled
    }

    /// Whether this day is worked.
    ///
    /// # Errors
    /// [`OutsideCalendar`] if the day is not loaded.
    pub fn is_working_day(&self, date: NaiveDate) -> Result<Reckoned<bool>, OutsideCalendar> {
        self.check(date)?;
        Ok(self.reckoned(date, self.works(date)))
    }

    /// The `n`-th working day after `start`, its own day not counted (民法典 201, unconfirmed); `start` if `n` is 0.
    ///
    /// # Errors
    /// [`OutsideCalendar`] if the count starts or runs outside the loaded days.
    pub fn add_working_days(&self, start: NaiveDate, n: u32) -> Result<Reckoned<NaiveDate>, OutsideCalendar> {
        self.check(start)?;
        let mut date = start;
        let mut left = n;
        while left > 0 {
            date = self.next(date)?;
            left -= u32::from(self.works(date));
        }
        Ok(self.reckoned(date, date))
    }

    /// How many working days lie after `from` up to and including `to`; none if `to` is not later than `from`. Undoes
    /// [`add_working_days`](Self::add_working_days), so what remains of a suspended period (G9) is counted alike.
    ///
    /// # Errors
    /// [`OutsideCalendar`] if either day is not loaded.
    pub fn working_days_between(&self, from: NaiveDate, to: NaiveDate) -> Result<Reckoned<u32>, OutsideCalendar> {
        self.check(from)?;
        self.check(to)?;
        let counted = from.iter_days().skip(1).take_while(|date| *date <= to);
        let worked = counted.map(|date| u32::from(self.works(date))).sum();
        Ok(self.reckoned(to, worked))
    }

    /// When a period of `n` working days ends that starts at `start`: `cutoff` (China Standard Time, such as 17:00) on
    /// the `n`-th working day after the day of `start`, however late on that day it starts (SM-3, G2, G3).
    ///
    /// # Errors
    /// [`OutsideCalendar`] if the count starts or runs outside the loaded days.
    pub fn deadline_working_days(
        &self,
        start: Instant,
        n: u32,
        cutoff: NaiveTime,
    ) -> Result<Reckoned<Instant>, OutsideCalendar> {
        let end = self.add_working_days(cst_date(start), n)?;
        Ok(self.reckoned(end.value, cst_instant(end.value, cutoff)))
    }

    /// When a period of `n` calendar days ends that starts at `start`: `cutoff` (China Standard Time) on the `n`-th day
    /// after the day of `start`, or on the next working day if that day is not one (民法典 203, unconfirmed; P3, T8).
    /// A period that no rest day may lengthen is [`calendar_days_after`].
    ///
    /// # Errors
    /// [`OutsideCalendar`] if the last day is not loaded.
    pub fn deadline_calendar_days(
        &self,
        start: Instant,
        n: u32,
        cutoff: NaiveTime,
    ) -> Result<Reckoned<Instant>, OutsideCalendar> {
        let mut date = cst_date(calendar_days_after(start, n, cutoff));
        self.check(date)?;
        while !self.works(date) {
            date = self.next(date)?;
        }
        Ok(self.reckoned(date, cst_instant(date, cutoff)))
    }

    fn works(&self, date: NaiveDate) -> bool {
        self.days.get(&date).map_or(!is_weekend(date), |day| day.kind == DayKind::MakeupWorkday)
    }

    fn check(&self, date: NaiveDate) -> Result<(), OutsideCalendar> {
        if self.loaded.contains(&date) {
            return Ok(());
        }
        let loaded = self.loaded.clone();
        Err(OutsideCalendar { date, loaded })
    }

    fn next(&self, date: NaiveDate) -> Result<NaiveDate, OutsideCalendar> {
        let next = date.succ_opt().unwrap_or(NaiveDate::MAX);
        self.check(next).map(|()| next)
    }

    /// Every answer rests on days up to `last`, and what is settled is so from the start: one comparison decides.
    fn reckoned<T>(&self, last: NaiveDate, value: T) -> Reckoned<T> {
        let provisional = last > self.settled;
        Reckoned { value, provisional }
    }
}

/// The day in China Standard Time of an instant; an instant beyond chrono's years becomes its first or last day.
#[must_use]
pub fn cst_date(instant: Instant) -> NaiveDate {
    let clamped = if instant.0 < 0 { NaiveDate::MIN } else { NaiveDate::MAX };
    DateTime::from_timestamp_millis(instant.0.saturating_add(CST_AHEAD_MS)).map_or(clamped, |at| at.date_naive())
}

/// The instant of a date and a time of day in China Standard Time.
#[must_use]
pub fn cst_instant(date: NaiveDate, time: NaiveTime) -> Instant {
    let as_if_utc = date.and_time(time).and_utc().timestamp_millis();
    Instant(as_if_utc.saturating_sub(CST_AHEAD_MS))
}

/// `cutoff` (China Standard Time) on the `n`-th calendar day after the day of `start`, worked or not: for long periods,
/// such as retention (E4), that no rest day may lengthen. It needs no table and saturates at chrono's last day.
#[must_use]
pub fn calendar_days_after(start: Instant, n: u32, cutoff: NaiveTime) -> Instant {
    let date = cst_date(start).checked_add_days(Days::new(n.into()));
    cst_instant(date.unwrap_or(NaiveDate::MAX), cutoff)
}

fn published_day(date: NaiveDate) -> Option<CalendarDay> {
    let year = u16::try_from(date.year()).ok()?;
    let (month, day) = (u8::try_from(date.month()).ok()?, u8::try_from(date.day()).ok()?);
    let published = chinese_holiday(Ymd::new(year, month, day));
    let name = match published {
        Published::NormalWorkday | Published::NormalHoliday => return None,
        Published::NewYearsDayHoliday | Published::NewYearsDayWorkday => "元旦",
        Published::SpringFestivalHoliday | Published::SpringFestivalWorkday => "春节",
        Published::ChingMingFestivalHoliday | Published::ChingMingFestivalWorkday => "清明节",
        Published::InternationalWorkersDayHoliday | Published::InternationalWorkersDayWorkday => "劳动节",
        Published::DragonBoatFestivalHoliday | Published::DragonBoatFestivalWorkday => "端午节",
        Published::MidAutumnFestivalHoliday | Published::MidAutumnFestivalWorkday => "中秋节",
        Published::NationalDayHoliday | Published::NationalDayWorkday => "国庆节",
        Published::OtherHoliday | Published::OtherWorkday => "其他",
    };
    let kind = if published.is_workday() { DayKind::MakeupWorkday } else { DayKind::Holiday };
    let (_, notice) = NOTICES.into_iter().find(|(year, _)| *year == notice_year(date))?;
    let (name, source) = (name.to_owned(), notice.to_owned());
    Some(CalendarDay { date, kind, name, source })
}

/// The days off that 放假办法 art. 2 gives: New Year 1, Spring Festival 4 (with the Eve), Qingming 1, Labour 2, Dragon Boat
/// 1, Mid-Autumn 1, National 3. Days in lieu of those on a weekend are due by law too, but only a notice says when.
fn statutory_days([eve, qingming, dragon_boat, mid_autumn]: [NaiveDate; 4]) -> impl Iterator<Item = CalendarDay> {
    let fixed = |month, day| NaiveDate::from_ymd_opt(eve.year(), month, day);
    let festivals = [
        ("元旦", fixed(1, 1), 1),
        ("春节", Some(eve), 4),
        ("清明节", Some(qingming), 1),
        ("劳动节", fixed(5, 1), 2),
        ("端午节", Some(dragon_boat), 1),
        ("中秋节", Some(mid_autumn), 1),
        ("国庆节", fixed(10, 1), 3),
    ];
    // A map, because Mid-Autumn may fall on National Day.
    let mut days = BTreeMap::new();
    for (name, first, length) in festivals {
        for date in first.iter().flat_map(|day| day.iter_days().take(length)) {
            days.entry(date).or_insert(name);
        }
    }
    days.into_iter().map(|(date, name)| {
        let (kind, name, source) = (DayKind::StatutoryHoliday, name.to_owned(), STATUTE.to_owned());
        CalendarDay { date, kind, name, source }
    })
}

/// The year whose notice decides a day: New Year's days off reach back to 29 December at most.
fn notice_year(date: NaiveDate) -> i32 {
    date.year() + i32::from(date.month() == 12 && date.day() >= 29)
}

fn is_weekend(date: NaiveDate) -> bool {
    matches!(date.weekday(), Weekday::Sat | Weekday::Sun)
}

/// A date known when compiling; an impossible one does not compile.
const fn ymd(year: i32, month: u32, day: u32) -> NaiveDate {
    match NaiveDate::from_ymd_opt(year, month, day) {
        Some(date) => date,
        None => panic!("no such date"),
    }
}

#[cfg(test)]
#[path = "calendar_tests.rs"]
mod tests;
