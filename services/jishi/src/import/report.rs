//! What became of the rows: counted for all, written down one by one for those that were not taken.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use kernel::Refusal;
use serde::Serialize;

/// How many rows came to which end. `read` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rows that were read.
    pub read: u64,
    /// Records that are new on the exchange.
    pub created: u64,
    /// Records that were there already.
    pub unchanged: u64,
    /// Rows whose source id an earlier row of the same run has.
    pub duplicates: u64,
    /// Rows that were not taken.
    pub refused: u64,
}

/// One row that was not taken.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry<'a> {
    file: &'a str,
    line: u64,
    /// REFUSED or DUPLICATE.
    outcome: &'static str,
    source_id: &'a str,
    field: String,
    code: &'a str,
    reason_zh: &'a str,
    reason_en: &'a str,
    accepted: &'a str,
    value: String,
}

/// Values in a report are for finding the row again, not for reading it there.
const LONGEST_VALUE: usize = 200;

impl<'a> Entry<'a> {
    /// A row that was refused.
    pub fn refused(place: (&'a str, u64), source_id: &'a str, refusal: &'a Refusal, value: &str) -> Self {
        let mut value: String = value.to_owned();
        if let Some((cut, _)) = value.char_indices().nth(LONGEST_VALUE) {
            value.truncate(cut);
            value.push('…');
        }
        let field = refusal.field.iter().skip_while(|part| *part == "input").cloned().collect::<Vec<_>>().join(".");
        Entry {
            file: place.0,
            line: place.1,
            outcome: "REFUSED",
            source_id,
            field,
            code: &refusal.code,
            reason_zh: &refusal.message_zh,
            reason_en: &refusal.message_en,
            accepted: refusal.accepted.as_deref().unwrap_or_default(),
            value,
        }
    }

    /// A row whose source id came before: the earlier row counts.
    pub fn duplicate(place: (&'a str, u64), source_id: &'a str) -> Self {
        Entry {
            file: place.0,
            line: place.1,
            outcome: "DUPLICATE",
            source_id,
            field: "sourceId".into(),
            code: "ALREADY_EXISTS",
            reason_zh: "本次导入中已有同一来源编号的记录。",
            reason_en: "An earlier row of this run has the same source id.",
            accepted: "",
            value: source_id.to_owned(),
        }
    }
}

/// Where the entries go: CSV if the name ends so, otherwise JSONL; or nowhere.
pub enum Report {
    /// Not wanted.
    Nowhere,
    /// Comma-separated values.
    Csv(Box<csv::Writer<File>>),
    /// One JSON object a line.
    Jsonl(BufWriter<File>),
}

impl Report {
    /// Makes the file, replacing an earlier one.
    pub fn create(path: Option<&Path>) -> std::io::Result<Report> {
        let Some(path) = path else { return Ok(Report::Nowhere) };
        let file = File::create(path)?;
        let is_csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        Ok(if is_csv {
            Report::Csv(Box::new(csv::Writer::from_writer(file)))
        } else {
            Report::Jsonl(BufWriter::new(file))
        })
    }

    /// Writes one entry.
    pub fn write(&mut self, entry: &Entry<'_>) -> std::io::Result<()> {
        match self {
            Report::Nowhere => Ok(()),
            Report::Csv(writer) => {
                let cell = Entry { source_id: &inert(entry.source_id), value: inert(&entry.value), ..entry.clone() };
                Ok(writer.serialize(cell)?)
            }
            Report::Jsonl(file) => {
                serde_json::to_writer(&mut *file, entry)?;
                file.write_all(b"\n")
            }
        }
    }

    /// Brings everything to the file.
    pub fn finish(self) -> std::io::Result<()> {
        match self {
            Report::Nowhere => Ok(()),
            Report::Csv(mut writer) => writer.flush(),
            Report::Jsonl(mut file) => file.flush(),
        }
    }
}

/// Foreign text that a spreadsheet would run as a formula is shown as text.
fn inert(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use kernel::ErrorCode;

    use super::*;

    #[test]
    fn entries_are_written_in_both_forms() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = Refusal::new(ErrorCode::TextTooLong).at_field("terms.floorPrice").accepting("2–200");
        for (name, expected) in [
            (
                "r.csv",
                "file,line,outcome,sourceId,field,code,reasonZh,reasonEn,accepted,value\n\
                 a.csv,7,REFUSED,X-1,terms.floorPrice,TEXT_TOO_LONG,文字过长。,The text is too long.,2–200,'=1+1\n",
            ),
            (
                "r.jsonl",
                "{\"file\":\"a.csv\",\"line\":7,\"outcome\":\"REFUSED\",\"sourceId\":\"X-1\",\"field\":\"terms.floorPrice\",\
                 \"code\":\"TEXT_TOO_LONG\",\"reasonZh\":\"文字过长。\",\"reasonEn\":\"The text is too long.\",\
                 \"accepted\":\"2–200\",\"value\":\"=1+1\"}\n",
            ),
        ] {
            let path = folder.path().join(name);
            let mut report = Report::create(Some(&path)).unwrap();
            report.write(&Entry::refused(("a.csv", 7), "X-1", &refusal, "=1+1")).unwrap();
            report.finish().unwrap();
            assert_eq!(std::fs::read_to_string(path).unwrap(), expected);
        }
    }

    #[test]
    fn a_long_value_is_cut_in_the_report_only() {
        let refusal = Refusal::new(ErrorCode::TextTooLong).at_field("title");
        let entry = Entry::refused(("a", 1), "x", &refusal, &"长".repeat(300));
        assert_eq!(entry.value.chars().count(), 201);
    }
}
