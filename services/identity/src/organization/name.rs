//! Names of organizations, and when one could be taken for another: for its looks (UTS 39), or because it differs in
//! a character or two.

use std::collections::BTreeSet;

use kernel::{Result, text};
use unicode_normalization::UnicodeNormalization;
use unicode_security::skeleton;
use wire::v1::NameWarningKind;

/// Legal forms, the longest first: they tell no organization from another.
const FORMS: [&str; 6] = ["集团股份有限公司", "股份有限公司", "有限责任公司", "集团有限公司", "有限公司", "公司"];

/// The name as stored: composed (NFC), 2–100 characters, nothing hidden.
pub fn name(typed: &str) -> Result<String> {
    text(&typed.nfc().collect::<String>(), "name", 2, 100)
}

/// What a name looks like. Names that look the same have one skeleton: letters of other scripts, full-width forms and
/// hidden characters make no difference to it.
pub fn looks(name: &str) -> String {
    let plain: String = name.nfkc().collect();
    skeleton(&plain).filter(|c| !c.is_whitespace()).collect()
}

/// What tells a name from others: its looks without punctuation, case and legal form.
pub fn core(name: &str) -> Vec<char> {
    let plain = |text: &str| -> Vec<char> {
        looks(text).chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let all = plain(name);
    if all.is_empty() {
        return looks(name).chars().collect();
    }
    let without = FORMS.iter().find_map(|form| all.strip_suffix(plain(form).as_slice()));
    without.filter(|rest| rest.len() >= 2).map_or(all.clone(), <[char]>::to_vec)
}

/// How many characters may differ before two cores are two names: fewer in a short one.
fn slack(length: usize) -> usize {
    match length {
        0..=1 => 0,
        2..=6 => 1,
        _ => 2,
    }
}

/// The even parts, one more than characters may differ, into which a core of the length falls: where they begin and
/// how long they are. Whatever differs, one part stays whole, and moves no further than characters were added or lost.
fn places(length: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = slack(length) + 1;
    let begins = move |at: usize| at * length / count;
    (0..count).map(move |at| (begins(at), begins(at + 1) - begins(at)))
}

fn part(length: usize, begins: usize, characters: &[char]) -> String {
    format!("{length}.{begins}.{}", characters.iter().collect::<String>())
}

/// The parts under which a name is kept.
pub fn parts(core: &[char]) -> Vec<String> {
    let length = core.len();
    let cut = |(begins, size): (usize, usize)| Some(part(length, begins, core.get(begins..begins + size)?));
    places(length).filter_map(cut).collect()
}

/// The parts of which every name that is nearly the same is kept under one.
pub fn sought(core: &[char]) -> BTreeSet<String> {
    let most = slack(usize::MAX);
    let lengths = core.len().saturating_sub(most)..=core.len() + most;
    lengths
        .flat_map(|length| places(length).map(move |(begins, size)| (length, begins, size)))
        .flat_map(|(length, begins, size)| {
            let near = begins.saturating_sub(most)..=begins + most;
            near.filter_map(move |at| Some(part(length, begins, core.get(at..at + size)?)))
        })
        .collect()
}

/// Whether and why one name could be taken for the other.
pub fn warning(name: &str, other: &str) -> Option<NameWarningKind> {
    if looks(name) == looks(other) {
        return Some(NameWarningKind::Homoglyph);
    }
    let (name, other) = (core(name), core(other));
    let slack = slack(name.len().min(other.len()));
    let (name, other): (String, String) = (name.iter().collect(), other.iter().collect());
    (strsim::levenshtein(&name, &other) <= slack).then_some(NameWarningKind::NearlySame)
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::LazyLock};

    use kernel::ErrorCode;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_composed_and_hide_nothing() {
        assert_eq!(name(" Cafe\u{301} 咖啡研究所 ").unwrap(), "Café 咖啡研究所");
        assert_eq!(name("·").unwrap_err().code(), ErrorCode::Required);
        assert_eq!(name("川\u{200b}大").unwrap_err().code(), ErrorCode::TextUnsafe);
    }

    #[test]
    fn look_alikes_and_near_names_are_told_apart_from_others() {
        use NameWarningKind::{Homoglyph, NearlySame};
        for (one, other, expected) in [
            ("四川大学", "四川大学", Some(Homoglyph)),
            ("四川大学", "四川大学\u{fe0f}", Some(Homoglyph)),
            ("ABB（中国）有限公司", "АВВ(中国)有限公司", Some(Homoglyph)),
            ("华为技术有限公司", "华为技术有 限公司", Some(Homoglyph)),
            ("成都口岸集团", "成都ロ岸集团", Some(Homoglyph)),
            ("深圳市腾讯计算机系统有限公司", "深圳市腾迅计算机系统有限公司", Some(NearlySame)),
            ("深圳市腾讯计算机系统有限公司", "深圳腾迅计算机系统有限公司", Some(NearlySame)),
            ("成都·竹业研究院", "成都竹业研究院（）", Some(NearlySame)),
            ("四川竹业有限公司", "四川竹业股份有限公司", Some(NearlySame)),
            ("Tencent Lab", "tencent-lab", Some(NearlySame)),
            ("四川大学", "四川农业大学", None),
            ("深圳市腾讯计算机系统有限公司", "深圳市华星光电半导体有限公司", None),
            ("甲有限公司", "乙有限公司", Some(NearlySame)),
            ("！！", "？？", None),
        ] {
            assert_eq!(warning(one, other), expected, "{one} / {other}");
            assert_eq!(warning(other, one), expected, "{other} / {one}");
        }
    }

    /// What letters, digits and Han characters have look-alikes, and which.
    static LIKENESSES: LazyLock<HashMap<char, Vec<char>>> = LazyLock::new(|| {
        let pool =
            ('a'..='z').chain('A'..='Z').chain('0'..='9').chain("一二八工口力卜土夕川大学成都研究院技术".chars());
        let mut by_looks: HashMap<String, Vec<char>> = HashMap::new();
        for c in ('\u{21}'..'\u{3_0000}').filter(|c| !c.is_whitespace()) {
            by_looks.entry(looks(&c.to_string())).or_default().push(c);
        }
        pool.map(|c| (c, by_looks[&looks(&c.to_string())].iter().copied().filter(|other| *other != c).collect()))
            .collect()
    });

    /// A name, and another that differs in one character by a look-alike.
    fn disguised() -> impl Strategy<Value = (String, String)> {
        let mut pool: Vec<char> = LIKENESSES.keys().copied().collect();
        pool.sort_unstable();
        let name = prop::collection::vec(prop::sample::select(pool), 2..40);
        (name, any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_filter_map(
            "a look-alike",
            |(name, place, which)| {
                let swappable: Vec<usize> = (0..name.len()).filter(|at| !LIKENESSES[&name[*at]].is_empty()).collect();
                let at = (!swappable.is_empty()).then(|| swappable[place.index(swappable.len())])?;
                let likenesses = &LIKENESSES[&name[at]];
                let mut other = name.clone();
                other[at] = likenesses[which.index(likenesses.len())];
                Some((name.into_iter().collect(), other.into_iter().collect()))
            },
        )
    }

    #[test]
    fn there_are_look_alikes_enough() {
        assert!(LIKENESSES.values().filter(|likenesses| !likenesses.is_empty()).count() > 60);
    }

    proptest! {
        #[test]
        fn a_name_with_one_character_disguised_looks_the_same((name, other) in disguised()) {
            prop_assert_eq!(warning(&name, &other), Some(NameWarningKind::Homoglyph));
            prop_assert_eq!(looks(&name), looks(&other), "found by its skeleton");
        }

        /// The parts miss no pair: whoever is nearly the same is found without looking at all names.
        #[test]
        fn names_nearly_the_same_share_a_part(
            name in "[甲乙丙a-c]{1,24}",
            edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, "[甲乙丙a-c]"), 0..3),
        ) {
            let mut other: Vec<char> = name.chars().collect();
            for (place, how, new) in edits {
                let (at, new) = (place.index(other.len() + 1), new.chars().next().unwrap());
                match how {
                    0 => other.insert(at, new),
                    1 if at < other.len() && other.len() > 1 => drop(other.remove(at)),
                    _ if at < other.len() => other[at] = new,
                    _ => {}
                }
            }
            let other: String = other.into_iter().collect();
            if warning(&name, &other).is_some() {
                let sought = sought(&core(&name));
                prop_assert!(parts(&core(&other)).iter().any(|part| sought.contains(part)), "{name} / {other}");
            }
        }
    }
}
