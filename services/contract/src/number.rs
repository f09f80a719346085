//! Numbers of registered contracts (T12): 16 digits, `YYYY PPCC NN SSSSSS` for the year, the administrative division of
//! the registration point (province and city, GB/T 2260), the point, and a serial that begins anew each year. A number is
//! opaque to everybody else.

use std::fmt;

/// The exchange's own registration point: province 51, no city, point 01.
pub const POINT: &str = "510001";

/// A registration number, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationNumber {
    year: u32,
    point: String,
    serial: u32,
}

impl RegistrationNumber {
    /// A number for the `serial`-th contract of a point in a year; nothing if a part does not fit its digits.
    #[must_use]
    pub fn new(year: u32, point: &str, serial: u32) -> Option<Self> {
        let fits = (1_000..=9_999).contains(&year) && is_digits(point, 6) && (1..=999_999).contains(&serial);
        fits.then(|| Self { year, point: point.to_owned(), serial })
    }

    /// Takes a number apart; nothing for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if !is_digits(text, 16) {
            return None;
        }
        let (year, rest) = text.split_at_checked(4)?;
        let (point, serial) = rest.split_at_checked(6)?;
        Self::new(year.parse().ok()?, point, serial.parse().ok()?)
    }
}

impl fmt::Display for RegistrationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}{}{:06}", self.year, self.point, self.serial)
    }
}

fn is_digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sixteen_digits_and_nothing_else() {
        let number = RegistrationNumber::new(2026, POINT, 7).unwrap();
        assert_eq!(number.to_string(), "2026510001000007");
        for (year, point, serial) in [
            (999, POINT, 1),
            (10_000, POINT, 1),
            (2026, "51000", 1),
            (2026, "51000x", 1),
            (2026, POINT, 0),
            (2026, POINT, 1_000_000),
        ] {
            assert_eq!(RegistrationNumber::new(year, point, serial), None);
        }
        for text in
            ["", "202651000100000", "20265100010000070", "2026510001000000", "２０２６510001", "+026510001000007"]
        {
            assert_eq!(RegistrationNumber::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(year in 1_000..=9_999_u32, point in "[0-9]{6}", serial in 1..=999_999_u32) {
            let number = RegistrationNumber::new(year, &point, serial).unwrap();
            prop_assert_eq!(number.to_string().len(), 16);
            prop_assert_eq!(RegistrationNumber::parse(&number.to_string()), Some(number));
        }

        #[test]
        fn no_text_panics(text in ".{0,20}") {
            if let Some(number) = RegistrationNumber::parse(&text) {
                prop_assert_eq!(number.to_string(), text);
            }
        }
    }
}
