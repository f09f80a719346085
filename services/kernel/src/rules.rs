//! The rulebook: limits, periods, floors and fees as dated parameters (domain.md, trap 10).
//!
//! No figure of the rules is written into code. Each is asked for by key, place and day, so a record decided under an
//! old figure can be explained later, and keeps the [`Rulebook::version`] it was decided under. Values are whole
//! numbers in a named unit. Everything here is pure; the shipped rules are `data/rules.toml`, and rows of
//! `rule_parameter` do as well.

use std::collections::BTreeMap;
use std::iter;

use chrono::{NaiveDate, NaiveTime};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// The rules this release ships.
const BUILTIN: &str = include_str!("../data/rules.toml");

/// The jurisdiction of national rules, to which every other falls back.
pub const NATION: &str = "CN";

/// No period, share or count of the rules comes near this; a larger value is a slip of the pen.
const LARGEST_COUNT: i64 = 1_000_000;

const SECONDS_OF_DAY: i64 = 86_400;

/// What a value counts. As text, in TOML and in the database: `working_days`, `bp` and so on.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Deserialize,
    serde::Serialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Unit {
    /// Days worked by the official calendar.
    WorkingDays,
    /// Days of the calendar.
    CalendarDays,
    /// Calendar months.
    Months,
    /// Calendar years.
    Years,
    /// Basis points: ten-thousandths of a base that the key names.
    Bp,
    /// Hundredths of a yuan.
    Fen,
    /// Seconds.
    Seconds,
    /// A time of day: seconds after midnight, China Standard Time.
    SecondOfDay,
    /// A plain number.
    Count,
}

/// How sure a figure is. As text: the letter.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Deserialize,
    serde::Serialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
)]
pub enum Mark {
    /// A statute or judicial interpretation, read in full.
    S,
    /// An excerpt of an official or secondary page.
    O,
    /// Seen in a real exchange notice or public code.
    C,
    /// A recollection, unconfirmed.
    M,
    /// Our own choice, or a made-up figure where the source says so.
    D,
}

/// One rule figure in one place for one span of days; a row of `rule_parameter`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct RuleParameter {
    /// The rule it serves, by its id in domain.md, such as `G3` or `SM-5`. Refusals name it.
    pub id: String,
    /// What is asked for, such as `deposit.max_bp_of_floor`; lower case, in dotted parts.
    pub key: String,
    /// Where it holds: `CN`, or a part such as `CN-SC`.
    #[serde(default = "nation")]
    pub jurisdiction: String,
    /// The figure, never negative.
    pub value: i64,
    /// What the figure counts.
    pub unit: Unit,
    /// The first day it holds, China Standard Time.
    pub effective_from: NaiveDate,
    /// The last day it holds; none while no end is known.
    #[serde(default)]
    pub effective_to: Option<NaiveDate>,
    /// Where the figure comes from, in Chinese.
    pub source: String,
    /// How sure it is.
    pub mark: Mark,
    /// Whether users may be shown it as law in force; only a statute ([`Mark::S`]) can be.
    #[serde(default)]
    pub confirmed: bool,
}

impl RuleParameter {
    /// How a user is told of the rule: `P5（促进科技成果转化法第45条…）` if it is confirmed law, else the id alone. Unconfirmed
    /// figures are never printed as law.
    #[must_use]
    pub fn citation(&self) -> String {
        if self.confirmed { format!("{}（{}）", self.id, self.source) } else { self.id.clone() }
    }

    /// The value as the count that periods take. Loading bounds every unit but fen to fit; an amount too large
    /// saturates, so use [`value`](Self::value) for money.
    #[must_use]
    pub fn as_u32(&self) -> u32 {
        u32::try_from(self.value).unwrap_or(u32::MAX)
    }

    /// The time of day in China Standard Time, if that is the unit: the cut-off of a deadline (SM-3).
    #[must_use]
    pub fn time_of_day(&self) -> Option<NaiveTime> {
        (self.unit == Unit::SecondOfDay)
            .then(|| NaiveTime::from_num_seconds_from_midnight_opt(self.as_u32(), 0))
            .flatten()
    }

    /// Whether it holds on this day (China Standard Time).
    #[must_use]
    pub fn in_force(&self, date: NaiveDate) -> bool {
        self.effective_from <= date && self.effective_to.is_none_or(|last| date <= last)
    }

    fn overlaps(&self, later: &Self) -> bool {
        self.jurisdiction == later.jurisdiction && self.in_force(later.effective_from)
    }

    /// What is wrong with it, if anything.
    fn fault(&self) -> Option<&'static str> {
        let largest = match self.unit {
            Unit::Fen => i64::MAX,
            Unit::SecondOfDay => SECONDS_OF_DAY - 1,
            _ => LARGEST_COUNT,
        };
        let checks = [
            (self.id.trim().is_empty(), "it has no rule id"),
            (self.source.trim().is_empty(), "it has no source"),
            (!is_key(&self.key), "the key is not dotted lower case"),
            (!is_jurisdiction(&self.jurisdiction), "the jurisdiction is not CN or a part of it"),
            (!(0..=largest).contains(&self.value), "the value is out of range for its unit"),
            (self.effective_to.is_some_and(|last| last < self.effective_from), "it ends before it begins"),
            (self.confirmed && self.mark != Mark::S, "only a statute can be confirmed"),
        ];
        checks.into_iter().find_map(|(wrong, why)| wrong.then_some(why))
    }

    /// All of it as text for the fingerprint; each field is preceded by its length, so no two contents read alike.
    fn canonical(&self) -> String {
        let last = self.effective_to.map_or_else(String::new, |last| last.to_string());
        [
            self.key.as_str(),
            &self.jurisdiction,
            &self.id,
            &self.value.to_string(),
            self.unit.into(),
            &self.effective_from.to_string(),
            &last,
            &self.source,
            self.mark.into(),
            &self.confirmed.to_string(),
        ]
        .map(|field| format!("{}:{field}", field.len()))
        .concat()
    }
}

/// Refused: no figure of this key holds there on that day. Callers must not fall back to one of their own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no rule {key} is in force in {jurisdiction} on {date}")]
pub struct RuleMissing {
    /// The key asked for.
    pub key: String,
    /// The place asked for.
    pub jurisdiction: String,
    /// The day asked for.
    pub date: NaiveDate,
}

/// Why parameters do not make a rulebook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulebookError {
    /// The text is not TOML of the expected shape; unknown fields are refused.
    #[error("the rules cannot be read: {0}")]
    Unreadable(String),
    /// A parameter breaks a rule of its own.
    #[error("rule {key} of {jurisdiction}: {fault}")]
    Faulty {
        /// Its key.
        key: String,
        /// Its place.
        jurisdiction: String,
        /// What is wrong.
        fault: &'static str,
    },
    /// Two figures of one key hold in one place on one day.
    #[error("rule {key} of {jurisdiction} has two values on {date}")]
    Overlap {
        /// The key of both.
        key: String,
        /// The place of both.
        jurisdiction: String,
        /// The first such day.
        date: NaiveDate,
    },
    /// Figures of one key are in different units.
    #[error("rule {0} is given in two units")]
    MixedUnits(String),
}

/// All parameters, by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rulebook {
    /// For each key, in order of place and first day.
    rules: BTreeMap<String, Vec<RuleParameter>>,
    version: String,
}

impl Rulebook {
    /// The rules this release ships.
    ///
    /// # Errors
    /// Only if the shipped file is faulty, which a test rules out.
    pub fn builtin() -> Result<Self, RulebookError> {
        Self::parse(BUILTIN)
    }

    /// Rules from TOML: `rules = [{ id = …, key = …, … }, …]` with the fields of [`RuleParameter`].
    ///
    /// # Errors
    /// [`RulebookError`] if the text is malformed or a parameter faulty, or two of them contradict each other.
    pub fn parse(text: &str) -> Result<Self, RulebookError> {
        let file: File = toml::from_str(text).map_err(|error| RulebookError::Unreadable(error.to_string()))?;
        Self::from_parameters(file.rules)
    }

    /// Rules from rows, in any order.
    ///
    /// # Errors
    /// [`RulebookError`] if a parameter is faulty, or two of them contradict each other.
    pub fn from_parameters(parameters: impl IntoIterator<Item = RuleParameter>) -> Result<Self, RulebookError> {
        let mut rules: BTreeMap<String, Vec<RuleParameter>> = BTreeMap::new();
        for rule in parameters {
            if let Some(fault) = rule.fault() {
                return Err(RulebookError::Faulty { key: rule.key, jurisdiction: rule.jurisdiction, fault });
            }
            rules.entry(rule.key.clone()).or_default().push(rule);
        }
        let mut hash = Sha256::new();
        for (key, figures) in &mut rules {
            figures.sort_by(|a, b| (&a.jurisdiction, a.effective_from).cmp(&(&b.jurisdiction, b.effective_from)));
            for (earlier, later) in figures.iter().zip(figures.iter().skip(1)) {
                if earlier.unit != later.unit {
                    return Err(RulebookError::MixedUnits(key.clone()));
                }
                if earlier.overlaps(later) {
                    let (key, jurisdiction) = (key.clone(), later.jurisdiction.clone());
                    return Err(RulebookError::Overlap { key, jurisdiction, date: later.effective_from });
                }
            }
            figures.iter().for_each(|figure| hash.update(figure.canonical()));
        }
        let version = format!("{:x}", hash.finalize()).chars().take(12).collect();
        Ok(Self { rules, version })
    }

    /// The figure of `key` that holds in `jurisdiction` on `date` (China Standard Time). A place without its own figure
    /// on that day takes that of the place around it: `CN-SC-5101` asks `CN-SC`, then `CN`.
    ///
    /// # Errors
    /// [`RuleMissing`] if none holds: the key is unknown, or the figure has not begun, has ended or is not known.
    pub fn at(&self, key: &str, jurisdiction: &str, date: NaiveDate) -> Result<&RuleParameter, RuleMissing> {
        let figures = self.rules.get(key).map(Vec::as_slice).unwrap_or_default();
        iter::successors(Some(jurisdiction), |place| place.rsplit_once('-').map(|(around, _)| around))
            .find_map(|place| figures.iter().find(|rule| rule.jurisdiction == place && rule.in_force(date)))
            .ok_or_else(|| RuleMissing { key: key.to_owned(), jurisdiction: jurisdiction.to_owned(), date })
    }

    /// The fingerprint of the whole content, 12 hexadecimal digits, recorded on each record decided under it. It
    /// changes when any figure, date, source or mark does, and not with order, comments or layout.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// All parameters in order of key, place and first day, to be stored as rows of `rule_parameter` or shown.
    pub fn parameters(&self) -> impl Iterator<Item = &RuleParameter> {
        self.rules.values().flatten()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rules: Vec<RuleParameter>,
}

fn nation() -> String {
    NATION.to_owned()
}

fn is_key(key: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    key.split('.').all(|part| !part.is_empty() && part.chars().all(plain))
}

fn is_jurisdiction(place: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    let mut parts = place.split('-');
    parts.next() == Some(NATION) && parts.all(plain)
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
