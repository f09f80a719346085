//! Amounts in Chinese capital numerals (大写), as contracts and bank papers write them: a figure that nobody can alter
//! with one stroke.

use kernel::Money;

const DIGITS: [&str; 10] = ["零", "壹", "贰", "叁", "肆", "伍", "陆", "柒", "捌", "玖"];

/// Largest first: 亿 and 万 take a whole number before them, so that 万亿 and 拾万 come by themselves.
const UNITS: [(u64, &str); 5] = [(100_000_000, "亿"), (10_000, "万"), (1_000, "仟"), (100, "佰"), (10, "拾")];

/// The amount in capital numerals, such as 壹佰贰拾叁元肆角伍分; an amount without fen ends with 整.
#[must_use]
pub fn capitals(amount: Money) -> String {
    let mut text = String::new();
    if amount < Money::ZERO {
        text.push('负');
    }
    let total = amount.0.unsigned_abs();
    let (yuan, jiao, fen) = (total / 100, total / 10 % 10, total % 10);
    if yuan > 0 || total == 0 {
        write_number(yuan, &mut text);
        text.push('元');
    }
    if jiao > 0 {
        write_number(jiao, &mut text);
        text.push('角');
    } else if yuan > 0 && fen > 0 {
        text.push('零');
    }
    if fen > 0 {
        write_number(fen, &mut text);
        text.push('分');
    } else {
        text.push('整');
    }
    text
}

/// One 零 stands for any number of empty places between two filled ones.
fn write_number(number: u64, text: &mut String) {
    let Some((unit, name)) = UNITS.iter().find(|(unit, _)| number >= *unit) else {
        let digit = usize::try_from(number).ok().and_then(|number| DIGITS.get(number));
        return text.push_str(digit.copied().unwrap_or_default());
    };
    write_number(number / unit, text);
    text.push_str(name);
    let rest = number % unit;
    if rest == 0 {
        return;
    }
    if rest < unit / 10 {
        text.push('零');
    }
    write_number(rest, text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writes_what_the_banks_write() {
        for (yuan, expected) in [
            ("0", "零元整"),
            ("0.05", "伍分"),
            ("0.50", "伍角整"),
            ("1", "壹元整"),
            ("10", "壹拾元整"),
            ("325.04", "叁佰贰拾伍元零肆分"),
            ("1409.50", "壹仟肆佰零玖元伍角整"),
            ("6007.14", "陆仟零柒元壹角肆分"),
            ("1680.32", "壹仟陆佰捌拾元叁角贰分"),
            ("16409.02", "壹万陆仟肆佰零玖元零贰分"),
            ("107000.53", "壹拾万柒仟元伍角叁分"),
            ("100700", "壹拾万零柒佰元整"),
            ("3500000", "叁佰伍拾万元整"),
            ("100005000", "壹亿零伍仟元整"),
            ("1000000000000", "壹万亿元整"),
            ("999999999999999.99", "玖佰玖拾玖万玖仟玖佰玖拾玖亿玖仟玖佰玖拾玖万玖仟玖佰玖拾玖元玖角玖分"),
        ] {
            assert_eq!(capitals(Money::parse_yuan(yuan).unwrap()), expected, "{yuan}");
        }
        assert_eq!(capitals(Money(-105)), "负壹元零伍分");
        assert!(capitals(Money(i64::MAX)).ends_with("伍拾捌元零柒分"));
    }

    /// Reads capital numerals, written apart from the writer: a stack of sections.
    fn read(text: &str) -> u64 {
        let (mut total, mut section, mut digit) = (0_u64, 0_u64, 0_u64);
        for word in text.chars() {
            let word = word.to_string();
            if let Some(value) = DIGITS.iter().position(|name| *name == word) {
                digit = value as u64;
                continue;
            }
            match word.as_str() {
                "亿" => (total, section) = ((total + section + digit) * 100_000_000, 0),
                "万" => section = (section + digit) * 10_000,
                "仟" => section += digit * 1_000,
                "佰" => section += digit * 100,
                "拾" => section += digit * 10,
                "元" => (total, section) = ((total + section + digit) * 100, 0),
                "角" => total += digit * 10,
                "分" => total += digit,
                _ => {}
            }
            digit = 0;
        }
        total
    }

    proptest! {
        #[test]
        fn reads_back_as_the_same_amount(fen in prop_oneof![0..10_000_i64, 0..100_000_000_000_i64, 0..99_999_999_999_999_999_i64]) {
            let text = capitals(Money(fen));
            prop_assert_eq!(read(&text), fen.unsigned_abs(), "{}", text);
            prop_assert!(!text.contains("零零"));
            prop_assert_eq!(text.ends_with('整'), fen % 10 == 0);
        }
    }
}
