//! Regions and industries: what a code must look like, whether or not the operator has loaded the whole list.

use kernel::{ErrorCode, Refusal, Result};

/// A public code list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeList {
    /// Administrative divisions, GB/T 2260.
    Regions,
    /// Industries, GB/T 4754-2017.
    Industries,
}

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeEntry {
    /// The code.
    pub code: String,
    /// What it stands for.
    pub name: String,
    /// How deep it lies, in the list's own words.
    pub level: String,
}

/// The first two digits of the 34 provinces, autonomous regions, municipalities and special administrative regions.
const PROVINCES: [&str; 34] = [
    "11", "12", "13", "14", "15", "21", "22", "23", "31", "32", "33", "34", "35", "36", "37", "41", "42", "43", "44",
    "45", "46", "50", "51", "52", "53", "54", "61", "62", "63", "64", "65", "71", "81", "82",
];

/// The sections, each with its first and last division.
const SECTIONS: [(char, u8, u8); 20] = [
    ('A', 1, 5),
    ('B', 6, 12),
    ('C', 13, 43),
    ('D', 44, 46),
    ('E', 47, 50),
    ('F', 51, 52),
    ('G', 53, 60),
    ('H', 61, 62),
    ('I', 63, 65),
    ('J', 66, 69),
    ('K', 70, 70),
    ('L', 71, 72),
    ('M', 73, 75),
    ('N', 76, 79),
    ('O', 80, 82),
    ('P', 83, 83),
    ('Q', 84, 85),
    ('R', 86, 90),
    ('S', 91, 96),
    ('T', 97, 97),
];

impl CodeList {
    /// The standard's name, under which the list is stored.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            CodeList::Regions => "gbt2260",
            CodeList::Industries => "gbt4754",
        }
    }

    /// The code as written, if it has the form of the list's codes.
    pub fn form(self, typed: &str) -> Result<String> {
        let code = typed.trim().to_ascii_uppercase();
        let fits = match self {
            CodeList::Regions => is_region(&code),
            CodeList::Industries => is_industry(&code),
        };
        if fits { Ok(code) } else { Err(self.refusal().into()) }
    }

    /// Whether the list's own codes look like this: industries stand there without their section.
    #[must_use]
    pub fn holds(self, code: &str) -> bool {
        match self {
            CodeList::Regions => is_region(code),
            CodeList::Industries if is_digits(code) => SECTIONS.iter().any(|(section, ..)| {
                let full = format!("{section}{code}");
                code.len() >= 2 && is_industry(&full)
            }),
            CodeList::Industries => code.len() == 1 && is_industry(code),
        }
    }

    /// Why a code is not accepted.
    pub fn refusal(self) -> Refusal {
        match self {
            CodeList::Regions => {
                Refusal::new(ErrorCode::InvalidRegion).at_field("region").by_rule("GB/T 2260").accepting("510100")
            }
            CodeList::Industries => Refusal::new(ErrorCode::InvalidIndustry)
                .at_field("industry")
                .by_rule("GB/T 4754-2017")
                .accepting("C3976"),
        }
    }

    /// As the list itself writes the code: it puts no section before the digits of an industry.
    pub fn listed(self, code: &str) -> &str {
        match self {
            CodeList::Industries if code.len() > 1 => code.trim_start_matches(|c: char| c.is_ascii_uppercase()),
            _ => code,
        }
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

fn is_region(code: &str) -> bool {
    code.len() == 6 && is_digits(code) && PROVINCES.iter().any(|province| code.starts_with(province))
}

/// A section, and below it a division (2 digits), a group (3) or a class (4).
fn is_industry(code: &str) -> bool {
    let mut characters = code.chars();
    let section = characters.next();
    let digits = characters.as_str();
    let Some((_, first, last)) = SECTIONS.iter().find(|(letter, ..)| Some(*letter) == section) else { return false };
    let division = digits.get(..2).and_then(|division| division.parse::<u8>().ok());
    match division {
        None => digits.is_empty(),
        Some(division) => digits.len() <= 4 && is_digits(digits) && (*first..=*last).contains(&division),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn forms_are_checked_without_a_list() {
        for (list, good, bad) in [
            (
                CodeList::Regions,
                &["510100", " 110000", "820000", "650100"][..],
                &["51", "5101000", "５１０１００", "990100", "160000", "", "51010a", "五一〇一〇〇"][..],
            ),
            (
                CodeList::Industries,
                &["C3976", "m73", "A", "A01", "T97", "C13", "K7010", "M753"][..],
                &["", "U", "C1", "C44", "M72", "39", "C39767", "C+1", "C39a", "Ｃ39", "中", "C中"][..],
            ),
        ] {
            for code in good {
                assert_eq!(list.form(code).unwrap(), code.trim().to_ascii_uppercase());
            }
            for code in bad {
                assert_eq!(list.form(code).unwrap_err().code(), list.refusal().error_code(), "{code:?}");
            }
        }
        assert_eq!(CodeList::Industries.listed("C3976"), "3976");
        assert_eq!(CodeList::Industries.listed("C"), "C");
        assert_eq!(CodeList::Regions.listed("510100"), "510100");
    }

    /// Every code of the real lists has the form, where the shared data is at hand.
    #[test]
    fn the_real_lists_have_the_form() {
        let Some(folder) = crate::organization::usci::tests::data() else { return };
        for (list, file) in [
            (CodeList::Regions, "gbt2260_divisions.csv"),
            (CodeList::Regions, "gbt2260_sichuan.csv"),
            (CodeList::Industries, "gbt4754_2017.csv"),
        ] {
            let mut rows = csv::Reader::from_path(Path::new(&folder).join("codes").join(file)).unwrap();
            for row in rows.records() {
                let row = row.unwrap();
                let section = if list == CodeList::Industries && row[0].len() > 1 { &row[4] } else { "" };
                let code = format!("{section}{}", &row[0]);
                assert!(list.form(&code).is_ok(), "{file}: {row:?}");
                assert_eq!(list.listed(&code), &row[0]);
                assert!(list.holds(&row[0]));
            }
        }
    }
}
