//! Reads a day in one of the spellings that a mapping lists, or not at all: a wrong expiry date is worse than none.

use chrono::{
    Datelike, NaiveDate,
    format::{Item, Numeric, StrftimeItems},
};

/// Why a text is no day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDay {
    /// No listed spelling fits.
    Unreadable,
    /// Two listed spellings fit and mean different days, such as 03/04/2020.
    Ambiguous,
}

/// The one day that the text means under `formats`.
///
/// A year has four digits: `%Y` alone would take "06/16/24" for the year 24.
pub fn read_day(text: &str, formats: &[String]) -> Result<NaiveDate, NoDay> {
    let text = text.trim();
    let mut found: Option<NaiveDate> = None;
    for format in formats {
        let Ok(day) = NaiveDate::parse_from_str(text, format) else { continue };
        if !(1900..=2200).contains(&day.year()) {
            continue;
        }
        if found.is_some_and(|earlier| earlier != day) {
            return Err(NoDay::Ambiguous);
        }
        found = Some(day);
    }
    found.ok_or(NoDay::Unreadable)
}

/// What is wrong with a spelling, if anything: it must be one of chrono's and hold a year of four digits.
pub fn fault_of(format: &str) -> Option<&'static str> {
    let items: Vec<Item<'_>> = StrftimeItems::new(format).collect();
    let has = |wanted: Numeric| items.iter().any(|item| matches!(item, Item::Numeric(found, _) if *found == wanted));
    if items.contains(&Item::Error) {
        return Some("chrono does not know it");
    }
    if has(Numeric::YearMod100) {
        return Some("a year of two digits says no century: %y is not taken, use %Y");
    }
    (!has(Numeric::Year)).then_some("it has no %Y")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, formats: &[&str]) -> Result<String, NoDay> {
        let formats: Vec<String> = formats.iter().map(|format| (*format).to_owned()).collect();
        read_day(text, &formats).map(|day| day.to_string())
    }

    #[test]
    fn each_listed_spelling_is_read() {
        let formats = ["%d %B %Y", "%m/%d/%Y", "%Y年%m月%d日", "%Y-%m-%d"];
        for (text, day) in [
            ("10 March 2015", "2015-03-10"),
            ("02 April 2017", "2017-04-02"),
            (" 06/16/2024 ", "2024-06-16"),
            ("2044年2月29日", "2044-02-29"),
            ("2044-02-29", "2044-02-29"),
        ] {
            assert_eq!(read(text, &formats).as_deref(), Ok(day), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let formats = ["%d %B %Y", "%m/%d/%Y"];
        for text in
            ["", "n/a", "06/16/24", "16/06/2024", "31 April 2015", "29 February 2023", "March 2015", "10 March 20155"]
        {
            assert_eq!(read(text, &formats), Err(NoDay::Unreadable), "{text}");
        }
    }

    #[test]
    fn two_meanings_are_no_meaning() {
        let both = ["%m/%d/%Y", "%d/%m/%Y"];
        assert_eq!(read("03/04/2020", &both), Err(NoDay::Ambiguous));
        assert_eq!(read("04/04/2020", &both).as_deref(), Ok("2020-04-04"));
        assert_eq!(read("03/14/2020", &both).as_deref(), Ok("2020-03-14"));
    }

    #[test]
    fn a_bad_spelling_is_found_before_any_row_is_read() {
        assert_eq!(fault_of("%d %B %Y"), None);
        assert_eq!(fault_of("%F"), None);
        assert!(fault_of("%m/%d/%y").is_some());
        assert!(fault_of("%d %B").is_some());
        assert!(fault_of("%Q %Y").is_some());
    }
}
