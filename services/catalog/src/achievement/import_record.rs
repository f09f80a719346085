//! Whether a record to import is fit: each is judged on its own. No I/O, no clock.

use chrono::NaiveDate;
use kernel::{Error, ErrorCode, Refusal, Result, text};
use wire::v1::{self, ImportRecord, IpKind, Stage, TechnologyField};

use crate::listing::terms::{Limits, Terms, given};

/// Where an achievement was imported from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The source.
    pub source: String,
    /// Its id there.
    pub source_id: String,
}

/// A record that was found fit, trimmed and typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Where it comes from.
    pub origin: Origin,
    /// The title, 2–300 characters; at most 200 if a listing is wanted too.
    pub title: String,
    /// The summary, at most 20000 characters.
    pub summary: String,
    /// At most twenty keywords.
    pub keywords: Vec<String>,
    /// The field of technology, where known.
    pub field: Option<TechnologyField>,
    /// How mature it is, where known.
    pub stage: Option<Stage>,
    /// What kind of right it is.
    pub ip_kind: IpKind,
    /// Patent or case number, where there is one.
    pub ip_number: Option<String>,
    /// The day the right ends, where known.
    pub ip_expires_on: Option<String>,
    /// Who owns it, as the source says.
    pub owner: String,
    /// What a draft listing needs besides, if one is wanted.
    pub offer: Option<Offer>,
}

/// What makes a record a draft listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// A listing always names its field of technology: the exchange does not guess it.
    pub field: TechnologyField,
    /// The record's stage; without one the lowest, which claims least.
    pub stage: Stage,
    /// The terms, within the rules.
    pub terms: Terms,
}

/// Judges one record. Field names in a refusal are those of the record.
pub fn judge(record: ImportRecord, limits: &Limits<'_>) -> Result<Fit> {
    let field = record.field.map(|field| known(field, "field")).transpose()?;
    let stage = record.stage.map(|stage| known(stage, "stage")).transpose()?;
    let wants_listing = record.terms.is_some();
    Ok(Fit {
        origin: Origin {
            source: text(&record.source, "source", 1, 200)?,
            source_id: text(&record.source_id, "sourceId", 1, 200)?,
        },
        title: text(&record.title, "title", 2, if wants_listing { 200 } else { 300 })?,
        summary: text(&record.summary, "summary", usize::from(wants_listing), 20_000)?,
        keywords: keywords(&record.keywords)?,
        field,
        stage,
        ip_kind: known(record.ip_kind, "ipKind")?,
        ip_number: record
            .ip_number
            .filter(|number| !number.is_empty())
            .map(|number| text(&number, "ipNumber", 1, 200))
            .transpose()?,
        ip_expires_on: record.ip_expires_on.filter(|day| !day.is_empty()).map(calendar_day).transpose()?,
        owner: text(&record.owner, "owner", 0, 500)?,
        offer: record.terms.map(|terms| offer(terms, field, stage, limits)).transpose()?,
    })
}

fn offer(
    terms: v1::ImportTerms,
    field: Option<TechnologyField>,
    stage: Option<Stage>,
    limits: &Limits<'_>,
) -> Result<Offer> {
    let field = field.ok_or_else(|| Refusal::new(ErrorCode::Required).at_field("field"))?;
    let floor_price = given(terms.floor_price, "terms.floorPrice")?;
    let usual_days = i32::try_from(limits.disclosure(floor_price).value).unwrap_or(i32::MAX);
    let (free_seconds, timed_seconds) = limits.usual_seconds();
    let terms = Terms {
        floor_price,
        deposit: given(terms.deposit, "terms.deposit")?,
        increment: given(terms.increment, "terms.increment")?,
        disclosure_days: if terms.disclosure_days == 0 { usual_days } else { terms.disclosure_days },
        free_seconds,
        timed_seconds,
    };
    terms.check(limits).map_err(within_terms)?;
    Ok(Offer { field, stage: stage.unwrap_or(Stage::Early), terms })
}

/// A record has its terms one level down.
fn within_terms(error: Error) -> Error {
    match error {
        Error::Refused(mut refusal) if !refusal.field.is_empty() => {
            refusal.field.insert(1, "terms".into());
            Error::Refused(refusal)
        }
        other => other,
    }
}

fn keywords(words: &[String]) -> Result<Vec<String>> {
    if words.len() > 20 {
        return Err(Refusal::new(ErrorCode::InvalidInput).at_field("keywords").accepting("≤ 20").into());
    }
    words.iter().map(|word| text(word, "keywords", 1, 100)).collect()
}

/// A day as YYYY-MM-DD and in no other spelling.
fn calendar_day(day: String) -> Result<String> {
    match day.parse::<NaiveDate>() {
        Ok(date) if date.to_string() == day => Ok(day),
        _ => Err(Refusal::new(ErrorCode::InvalidInput).at_field("ipExpiresOn").accepting("YYYY-MM-DD").into()),
    }
}

/// A value of an enum as the wire carries it: a number that a newer peer may know and we do not.
pub fn known<E: TryFrom<i32>>(number: i32, field: &str) -> Result<E> {
    E::try_from(number).map_err(|_| Refusal::new(ErrorCode::InvalidInput).at_field(field).into())
}

#[cfg(test)]
mod tests {
    use kernel::{
        Instant, Money,
        calendar::cst_date,
        rules::{NATION, Rulebook},
    };

    use super::*;

    fn record() -> ImportRecord {
        ImportRecord {
            source: "patents".into(),
            source_id: "CN1".into(),
            title: " 一种电池 ".into(),
            summary: "高能量密度".into(),
            field: Some(TechnologyField::NewEnergy as i32),
            terms: Some(v1::ImportTerms {
                floor_price: Some(Money(10_000_000)),
                deposit: Some(Money(1_000_000)),
                increment: Some(Money(10_000)),
                disclosure_days: 0,
            }),
            ..ImportRecord::default()
        }
    }

    fn judged(record: ImportRecord) -> Result<Fit> {
        let book = Rulebook::builtin().unwrap();
        let day = cst_date(Instant(1_790_000_000_000));
        judge(record, &Limits::read(|key| Ok(book.at(key, NATION, day).unwrap())).unwrap())
    }

    fn why(record: ImportRecord) -> (ErrorCode, String) {
        match judged(record) {
            Err(Error::Refused(refusal)) => (refusal.error_code(), refusal.field.join(".")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn unset_terms_take_the_usual_figures() {
        let fit = judged(record()).unwrap();
        assert_eq!(fit.title, "一种电池");
        let offer = fit.offer.unwrap();
        assert_eq!((offer.terms.disclosure_days, offer.terms.free_seconds, offer.terms.timed_seconds), (5, 3_600, 300));
        assert_eq!((offer.field, offer.stage), (TechnologyField::NewEnergy, Stage::Early));
    }

    #[test]
    fn what_is_missing_or_malformed_is_named() {
        use ErrorCode::*;
        type Spoil = fn(&mut ImportRecord);
        let cases: [(Spoil, ErrorCode, &str); 10] = [
            (|r| r.title = "一".into(), Required, "input.title"),
            (|r| r.summary = "长".repeat(20_001), TextTooLong, "input.summary"),
            (|r| r.summary.clear(), Required, "input.summary"),
            (|r| r.source_id.clear(), Required, "input.sourceId"),
            (|r| r.keywords = vec!["词".into(); 21], InvalidInput, "input.keywords"),
            (|r| r.field = None, Required, "input.field"),
            (|r| r.field = Some(99), InvalidInput, "input.field"),
            (|r| r.terms.as_mut().unwrap().deposit = None, Required, "input.terms.deposit"),
            (|r| r.terms.as_mut().unwrap().floor_price = Some(Money(0)), FloorNotPositive, "input.terms.floorPrice"),
            (|r| r.owner = "\0".into(), TextUnsafe, "input.owner"),
        ];
        for (spoil, code, field) in cases {
            let mut spoiled = record();
            spoil(&mut spoiled);
            assert_eq!(why(spoiled), (code, field.to_owned()));
        }
    }

    #[test]
    fn a_day_has_one_spelling() {
        let with = |day: &str| judged(ImportRecord { ip_expires_on: Some(day.into()), ..record() });
        assert!(with("2044-02-29").is_ok());
        for day in ["2043-02-29", "2044-2-29", "2044/02/29", "20440229", "2044-02-29 ", "+2044-02-29"] {
            assert!(with(day).is_err(), "{day}");
        }
    }

    #[test]
    fn without_terms_little_is_asked() {
        let bare = ImportRecord { terms: None, summary: String::new(), field: None, ..record() };
        assert_eq!(judged(bare).unwrap().offer, None);
    }
}
