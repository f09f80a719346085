//! How the columns of a foreign data set become our fields. A mapping is a TOML file; this is its meaning. No I/O.

use std::collections::BTreeMap;

use kernel::{ErrorCode, Money, Refusal};
use serde::Deserialize;
use serde_json::Value;
use wire::v1::{ImportRecord, ImportTerms, IpKind, Stage, TechnologyField};

use super::{
    dates::{self, NoDay},
    value::Source,
};

/// One mapping file, found sound.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// How the data is written.
    pub format: Format,
    /// What the records become.
    pub target: Target,
    /// The name of the data set; (source, source id) is unique on the exchange.
    pub source: String,
    /// The spellings of days, in chrono's notation. A text that fits two of them with two meanings is refused.
    #[serde(default)]
    date_formats: Vec<String>,
    /// Where each of our fields comes from.
    fields: BTreeMap<OurField, Source>,
    /// Foreign value → our value, per field. The empty text means: as if the data said nothing.
    #[serde(default)]
    maps: BTreeMap<OurField, BTreeMap<String, String>>,
    /// What a field is where the data says nothing.
    #[serde(default)]
    defaults: BTreeMap<OurField, String>,
}

/// How the data is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Comma-separated values with a header, UTF-8.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

/// What the records become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Achievements.
    Achievement,
    /// Achievements, and a draft listing of each.
    Listing,
}

macro_rules! fields {
    ($($name:ident $text:literal)*) => {
        /// Our fields, spelled as in GraphQL.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub enum OurField { $($name,)* }

        impl OurField {
            /// The spelling.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(OurField::$name => $text,)* }
            }
        }
    };
}

fields! {
    SourceId "sourceId" Title "title" Summary "summary" Keywords "keywords" Field "field" Stage "stage" IpKind "ipKind"
    IpNumber "ipNumber" IpExpiresOn "ipExpiresOn" Owner "owner"
    FloorPrice "floorPrice" Deposit "deposit" Increment "increment" DisclosureDays "disclosureDays"
}

const TERMS: [OurField; 4] = [OurField::FloorPrice, OurField::Deposit, OurField::Increment, OurField::DisclosureDays];

/// A row that does not become a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// Why.
    pub refusal: Box<Refusal>,
    /// What stood there.
    pub value: String,
}

impl Mapping {
    /// Reads and checks a mapping file; the error is for its author.
    pub fn read(text: &str) -> Result<Mapping, String> {
        let mapping: Mapping = toml::from_str(text).map_err(|error| error.to_string())?;
        let wanted: &[OurField] = match mapping.target {
            Target::Achievement => &[OurField::SourceId, OurField::Title],
            Target::Listing => &[
                OurField::SourceId,
                OurField::Title,
                OurField::Summary,
                OurField::Field,
                OurField::FloorPrice,
                OurField::Deposit,
                OurField::Increment,
            ],
        };
        if let Some(missing) = wanted.iter().find(|field| !mapping.knows(**field)) {
            return Err(format!("fields.{} is required", missing.name()));
        }
        if let Some((field, _)) = mapping.fields.iter().find(|(_, source)| !source.is_sound()) {
            return Err(format!("fields.{}: a brace has no partner", field.name()));
        }
        if let Some(stray) = TERMS.iter().find(|field| mapping.target == Target::Achievement && mapping.knows(**field))
        {
            return Err(format!("{} belongs to target = \"listing\"", stray.name()));
        }
        if mapping.knows(OurField::IpExpiresOn) && mapping.date_formats.is_empty() {
            return Err("ipExpiresOn takes date_formats".into());
        }
        for format in &mapping.date_formats {
            if let Some(fault) = dates::fault_of(format) {
                return Err(format!("date_formats: {format:?}: {fault}"));
            }
        }
        if mapping.maps.contains_key(&OurField::Keywords) || mapping.defaults.contains_key(&OurField::Keywords) {
            return Err("keywords take no map and no default".into());
        }
        let given = mapping.maps.iter().flat_map(|(field, map)| map.values().map(move |value| (field, value)));
        for (field, value) in given.chain(&mapping.defaults).filter(|(_, value)| !value.is_empty()) {
            if !is_named(*field, value) {
                return Err(format!("{value:?} is no {}", field.name()));
            }
        }
        Ok(mapping)
    }

    fn knows(&self, field: OurField) -> bool {
        self.fields.contains_key(&field) || self.defaults.contains_key(&field)
    }

    /// The columns that the mapping reads, so that a header can be held against it.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.fields.values().flat_map(Source::names)
    }

    /// One row as a record to import.
    pub fn apply(&self, row: &Value) -> Result<ImportRecord, Unfit> {
        let required = |field| self.text(row, field)?.ok_or_else(|| unfit(ErrorCode::Required, field, ""));
        Ok(ImportRecord {
            source: self.source.clone(),
            source_id: required(OurField::SourceId)?,
            title: required(OurField::Title)?,
            summary: self.text(row, OurField::Summary)?.unwrap_or_default(),
            keywords: self.keywords(row)?,
            field: self.named(row, OurField::Field, TechnologyField::from_str_name, TECHNOLOGY)?.map(i32::from),
            stage: self.named(row, OurField::Stage, Stage::from_str_name, STAGE)?.map(i32::from),
            ip_kind: self.named(row, OurField::IpKind, IpKind::from_str_name, IP)?.unwrap_or(IpKind::None).into(),
            ip_number: self.text(row, OurField::IpNumber)?,
            ip_expires_on: self.day(row, OurField::IpExpiresOn)?,
            owner: self.text(row, OurField::Owner)?.unwrap_or_default(),
            terms: match self.target {
                Target::Achievement => None,
                Target::Listing => Some(ImportTerms {
                    floor_price: self.money(row, OurField::FloorPrice)?,
                    deposit: self.money(row, OurField::Deposit)?,
                    increment: self.money(row, OurField::Increment)?,
                    disclosure_days: self.days(row)?,
                }),
            },
        })
    }

    /// The field's text: trimmed, mapped, or the default; nothing where the data says nothing.
    fn text(&self, row: &Value, field: OurField) -> Result<Option<String>, Unfit> {
        let found = match self.fields.get(&field) {
            None => None,
            Some(source) => source.text(row).map_err(|value| several(field, &value))?,
        };
        let mapped = match (found, self.maps.get(&field)) {
            (Some(found), Some(map)) => match map.get(&found) {
                None => return Err(unmapped(field, &found)),
                Some(ours) => Some(ours.clone()).filter(|ours| !ours.is_empty()),
            },
            (found, _) => found,
        };
        Ok(mapped.or_else(|| self.defaults.get(&field).cloned()))
    }

    fn keywords(&self, row: &Value) -> Result<Vec<String>, Unfit> {
        let Some(source) = self.fields.get(&OurField::Keywords) else { return Ok(Vec::new()) };
        source.list(row).map_err(|value| several(OurField::Keywords, &value))
    }

    fn named<E>(
        &self,
        row: &Value,
        field: OurField,
        read: impl Fn(&str) -> Option<E>,
        prefix: &str,
    ) -> Result<Option<E>, Unfit> {
        let Some(name) = self.text(row, field)? else { return Ok(None) };
        read(&format!("{prefix}{name}")).map(Some).ok_or_else(|| unmapped(field, &name))
    }

    fn day(&self, row: &Value, field: OurField) -> Result<Option<String>, Unfit> {
        let Some(text) = self.text(row, field)? else { return Ok(None) };
        match dates::read_day(&text, &self.date_formats) {
            Ok(day) => Ok(Some(day.to_string())),
            Err(why) => Err(self.no_day(field, &text, why)),
        }
    }

    fn no_day(&self, field: OurField, text: &str, why: NoDay) -> Unfit {
        let (zh, en) = match why {
            NoDay::Unreadable => ("日期无法识别。", "The date cannot be read."),
            NoDay::Ambiguous => ("日期有歧义。", "The date can be read in two ways."),
        };
        let mut unfit = said(field, text, zh, en);
        unfit.refusal.accepted = Some(self.date_formats.join(" | "));
        unfit
    }

    fn money(&self, row: &Value, field: OurField) -> Result<Option<Money>, Unfit> {
        let Some(text) = self.text(row, field)? else { return Ok(None) };
        let read = Money::parse_yuan(&text).map(Some);
        read.ok_or_else(|| {
            said(field, &text, "金额须以元为单位，最多两位小数。", "The amount must be yuan with at most two decimals.")
        })
    }

    /// Zero leaves the period to the rulebook.
    fn days(&self, row: &Value) -> Result<i32, Unfit> {
        let Some(text) = self.text(row, OurField::DisclosureDays)? else { return Ok(0) };
        let read = text.parse().ok().filter(|days| *days > 0);
        read.ok_or_else(|| {
            said(OurField::DisclosureDays, &text, "须为大于零的整数。", "It must be a whole number above zero.")
        })
    }
}

const TECHNOLOGY: &str = "TECHNOLOGY_FIELD_";
const STAGE: &str = "STAGE_";
const IP: &str = "IP_KIND_";

/// Whether the value is one of the field's names; fields of free text have none.
fn is_named(field: OurField, value: &str) -> bool {
    match field {
        OurField::Field => TechnologyField::from_str_name(&format!("{TECHNOLOGY}{value}")).is_some(),
        OurField::Stage => Stage::from_str_name(&format!("{STAGE}{value}")).is_some(),
        OurField::IpKind => IpKind::from_str_name(&format!("{IP}{value}")).is_some(),
        _ => true,
    }
}

/// The value of a record's field, to be shown beside a refusal that names it.
#[must_use]
pub fn shown(record: &ImportRecord, field: &str) -> String {
    let money =
        |read: fn(&ImportTerms) -> Option<Money>| record.terms.as_ref().and_then(read).map(|money| money.to_string());
    let found = match field.rsplit('.').next().unwrap_or_default() {
        "sourceId" => Some(record.source_id.clone()),
        "title" => Some(record.title.clone()),
        "summary" => Some(record.summary.clone()),
        "keywords" => Some(record.keywords.join("; ")),
        "owner" => Some(record.owner.clone()),
        "ipNumber" => record.ip_number.clone(),
        "ipExpiresOn" => record.ip_expires_on.clone(),
        "floorPrice" => money(|terms| terms.floor_price),
        "deposit" => money(|terms| terms.deposit),
        "increment" => money(|terms| terms.increment),
        "disclosureDays" => record.terms.as_ref().map(|terms| terms.disclosure_days.to_string()),
        _ => None,
    };
    found.unwrap_or_default()
}

fn unfit(code: ErrorCode, field: OurField, value: &str) -> Unfit {
    Unfit { refusal: Box::new(Refusal::new(code).at_field(field.name())), value: value.to_owned() }
}

fn said(field: OurField, value: &str, zh: &str, en: &str) -> Unfit {
    let mut unfit = unfit(ErrorCode::InvalidInput, field, value);
    unfit.refusal.message_zh = zh.to_owned();
    unfit.refusal.message_en = en.to_owned();
    unfit
}

fn several(field: OurField, value: &str) -> Unfit {
    said(field, value, "此处应为单个值。", "A single value is expected here.")
}

fn unmapped(field: OurField, value: &str) -> Unfit {
    said(field, value, "映射文件没有列出此值。", "The mapping file does not list this value.")
}

#[cfg(test)]
#[path = "mapping_tests.rs"]
mod tests;
