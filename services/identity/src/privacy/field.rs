//! What a person may tell: its form, and how it is masked.

use chrono::NaiveDate;
use email_address::EmailAddress;
use kernel::{ErrorCode, Instant, Refusal, Result, calendar::cst_date, text};
use wire::v1::PersonalField::{self, Email, IdNumber, LegalName, Phone};

/// All of them.
pub const ALL: [PersonalField; 4] = [LegalName, Phone, IdNumber, Email];

/// The input field.
pub fn name(field: PersonalField) -> &'static str {
    match field {
        LegalName => "legalName",
        Phone => "phone",
        IdNumber => "idNumber",
        Email => "email",
    }
}

/// The value as it is kept; `at` is the input field to blame.
pub fn normalized(field: PersonalField, value: &str, at: &str, now: Instant) -> Result<String> {
    let refused = |accepted: &str| Refusal::new(ErrorCode::InvalidInput).at_field(at).accepting(accepted);
    match field {
        LegalName => text(value, at, 1, 100),
        Phone => phone(value).ok_or_else(|| refused("1[3-9] + 9 位数字 / digits").into()),
        IdNumber => {
            id_number(value, cst_date(now)).ok_or_else(|| refused("18 位 / characters").by_rule("GB 11643").into())
        }
        Email => email(value).ok_or_else(|| refused("name@example.com, ≤ 254").into()),
    }
}

/// Full-width characters as typed by Chinese input methods, without the separators that people put in.
fn compact(value: &str) -> String {
    let narrow = |c: char| match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        c => c,
    };
    value.chars().map(narrow).filter(|c| !c.is_whitespace() && *c != '-').collect()
}

fn phone(value: &str) -> Option<String> {
    let compact = compact(value);
    let number = compact.strip_prefix("+86").unwrap_or(&compact);
    let mobile = number.starts_with('1') && number.chars().nth(1).is_some_and(|c| ('3'..='9').contains(&c));
    (mobile && number.len() == 11 && number.bytes().all(|b| b.is_ascii_digit())).then(|| number.to_owned())
}

/// GB 11643-1999: region, date of birth, sequence, check character (ISO 7064 MOD 11-2).
fn id_number(value: &str, today: NaiveDate) -> Option<String> {
    let number = compact(value).to_ascii_uppercase();
    let (body, check) = number.split_at_checked(17)?;
    if !body.bytes().all(|b| b.is_ascii_digit()) || body.starts_with('0') {
        return None;
    }
    let born = NaiveDate::parse_from_str(body.get(6..14)?, "%Y%m%d").ok()?;
    let rest = body.bytes().fold(0, |rest, digit| (rest + u32::from(digit - b'0')) * 2 % 11);
    let expected = match (12 - rest) % 11 {
        10 => "X".to_owned(),
        digit => digit.to_string(),
    };
    let oldest = NaiveDate::from_ymd_opt(1900, 1, 1)?;
    (check == expected && (oldest..=today).contains(&born)).then_some(number)
}

fn email(value: &str) -> Option<String> {
    let address = value.trim();
    let parsed: EmailAddress = address.parse().ok()?;
    let plain = address.len() <= 254 && parsed.domain().contains('.') && parsed.display_part().is_empty();
    plain.then(|| format!("{}@{}", parsed.local_part(), parsed.domain().to_lowercase()))
}

/// Enough to recognise it by, too little to use it.
pub fn masked(field: PersonalField, value: &str) -> String {
    match field {
        LegalName => shown(value, 1, 0),
        Phone => shown(value, 3, 4),
        IdNumber => shown(value, 3, 2),
        Email => match value.split_once('@') {
            Some((local, domain)) => format!("{}@{domain}", shown(local, 1, 0)),
            None => shown(value, 0, 0),
        },
    }
}

/// The first and last characters; the number of those between is no secret for a phone, and hidden for the rest.
fn shown(value: &str, first: usize, last: usize) -> String {
    let count = value.chars().count();
    let hidden = count.saturating_sub(first + last).max(1);
    let hidden = if last == 0 { 3 } else { hidden };
    let end: String = value.chars().skip(count.saturating_sub(last).max(first)).collect();
    value.chars().take(first).collect::<String>() + &"*".repeat(hidden) + if last == 0 { "" } else { &end }
}

/// By what it is found.
pub fn lookup(vault: &kernel::Vault, field: PersonalField, value: &str) -> Vec<u8> {
    vault.index(field.stored(), &value.to_lowercase()).to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 24).unwrap()
    }

    #[test]
    fn forms_are_checked() {
        for (typed, kept) in [
            ("138 0013-8000", "13800138000"),
            ("+86 19912345678", "19912345678"),
            ("１３８００１３８０００", "13800138000"),
        ] {
            assert_eq!(phone(typed).as_deref(), Some(kept));
        }
        for bad in ["12800138000", "1380013800", "138001380000", "02885225522", "1380013800x", "", "+1 2025550123"] {
            assert_eq!(phone(bad), None, "{bad}");
        }
        // The standard's own examples.
        for good in ["11010519491231002X", "11010519491231002x", "440524188001010014"] {
            assert_eq!(id_number(good, today()).is_some(), !good.contains("1880"), "{good}");
        }
        for bad in [
            "110105194912310021",
            "11010519491331002X",
            "11010520991231002X",
            "1101051949123100",
            "",
            "张0105194912310020",
        ] {
            assert_eq!(id_number(bad, today()), None, "{bad}");
        }
        assert_eq!(email(" Zhang.San@Example.COM ").as_deref(), Some("Zhang.San@example.com"));
        for bad in ["zhang", "zhang@", "@example.com", "zhang@localhost", "张三 <zhang@example.com>", "a@b@c.cn"] {
            assert_eq!(email(bad), None, "{bad}");
        }
    }

    #[test]
    fn masks_hide_the_middle() {
        assert_eq!(masked(LegalName, "张三丰"), "张***");
        assert_eq!(masked(Phone, "13800138000"), "138****8000");
        assert_eq!(masked(IdNumber, "11010519491231002X"), "110*************2X");
        assert_eq!(masked(Email, "zhang.san@example.com"), "z***@example.com");
    }

    proptest! {
        /// The check character finds every single wrong digit and every swap of two neighbours.
        #[test]
        fn one_slip_in_an_id_number_is_found(place in 0_usize..17, digit in 0_u8..10) {
            let good = "11010519491231002X";
            let mut slip = good.to_owned().into_bytes();
            slip[place] = b'0' + digit;
            let slip = String::from_utf8(slip).unwrap();
            prop_assert_eq!(id_number(&slip, today()).is_some(), slip == good);
            if place < 16 {
                let mut swap = good.to_owned().into_bytes();
                swap.swap(place, place + 1);
                let swap = String::from_utf8(swap).unwrap();
                prop_assert_eq!(id_number(&swap, today()).is_some(), swap == good);
            }
        }

        /// A mask never shows the whole value, whatever it is.
        #[test]
        fn a_mask_is_never_the_value(value in "[^*]{1,40}") {
            for field in ALL {
                prop_assert_ne!(masked(field, &value), value.clone());
            }
        }
    }
}
