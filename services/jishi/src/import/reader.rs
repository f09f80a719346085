//! Reads rows one by one, however large the file: a file is never held in memory.

use std::io::{BufRead, BufReader, Read};

use serde_json::{Map, Value};

use super::{
    mapping::{Format, Mapping},
    table::{Record, Table},
};

/// What is longer is not a record.
pub const LONGEST: u64 = 1024 * 1024;

/// One row and where it begins, as an editor counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The line, from 1.
    pub line: u64,
    /// How many bytes it is long, about.
    pub size: usize,
    /// What it says, or why it is no row.
    pub value: Result<Value, String>,
}

/// The rows of one file. An error of the reader itself ends them.
pub type Rows<'a> = Box<dyn Iterator<Item = std::io::Result<Row>> + 'a>;

/// Opens a file of the mapping's format; the error is for the operator.
pub fn rows<'a>(mapping: &Mapping, file: impl Read + 'a) -> Result<Rows<'a>, String> {
    match mapping.format {
        Format::Csv => csv_rows(mapping, file),
        Format::Jsonl => Ok(Box::new(Lines { file: BufReader::new(file), line: 0 })),
    }
}

fn csv_rows<'a>(mapping: &Mapping, file: impl Read + 'a) -> Result<Rows<'a>, String> {
    let mut table = Table::new(file);
    let read = table.read().map_err(|error| error.to_string())?;
    let header = read.map_or(Ok(Vec::new()), |record| record.cells);
    let header = header.map_err(|why| format!("the header cannot be read (is the file UTF-8?): {why}"))?;
    let header: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
    if let Some(absent) = mapping.columns().find(|name| !header.iter().any(|column| column == name)) {
        return Err(format!("there is no column {absent:?}; there are: {}", header.join(", ")));
    }
    let twice = header.iter().enumerate().find(|(at, name)| header.iter().take(*at).any(|earlier| earlier == *name));
    if let Some((_, name)) = twice {
        return Err(format!("there are two columns {name:?}"));
    }
    Ok(Box::new(std::iter::from_fn(move || match table.read() {
        Ok(record) => record.map(|record| Ok(row(&header, record))),
        Err(error) => Some(Err(error)),
    })))
}

fn row(header: &[String], Record { line, size, cells }: Record) -> Row {
    let value = cells.and_then(|cells| match cells.len() == header.len() {
        true => {
            Ok(Value::Object(header.iter().cloned().zip(cells.into_iter().map(Value::from)).collect::<Map<_, _>>()))
        }
        false => Err(format!("the record has {} columns, the header {}", cells.len(), header.len())),
    });
    Row { line, size, value }
}

struct Lines<R> {
    file: BufReader<R>,
    line: u64,
}

impl<R: Read> Lines<R> {
    /// The next line, or what is wrong with it; nothing at the end.
    fn read(&mut self) -> std::io::Result<Option<(usize, Result<Value, String>)>> {
        let mut bytes = Vec::new();
        if self.file.by_ref().take(LONGEST).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        self.line += 1;
        if bytes.last() != Some(&b'\n') && bytes.len() as u64 == LONGEST {
            self.file.skip_until(b'\n')?;
            return Ok(Some((0, Err(format!("a line has at most {LONGEST} bytes")))));
        }
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes).trim_ascii();
        let value = match serde_json::from_slice(bytes) {
            _ if bytes.is_empty() => Ok(Value::Null),
            Ok(value @ Value::Object(_)) => Ok(value),
            Ok(_) => Err("the line is no JSON object".into()),
            Err(error) => Err(format!("the line is no JSON: {error}")),
        };
        Ok(Some((bytes.len(), value)))
    }
}

impl<R: Read> Iterator for Lines<R> {
    type Item = std::io::Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.read() {
                Err(error) => return Some(Err(error)),
                Ok(None) => return None,
                // A blank line is no row.
                Ok(Some((_, Ok(Value::Null)))) => {}
                Ok(Some((size, value))) => return Some(Ok(Row { line: self.line, size, value })),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    type Found = (u64, Result<Value, String>);

    fn read(format: &str, text: &[u8]) -> Result<Vec<Found>, String> {
        let mapping = format!(
            "format = \"{format}\"\ntarget = \"achievement\"\nsource = \"t\"\n[fields]\nsourceId = {{ from = \"id\" }}\ntitle = {{ from = \"t\" }}"
        );
        let mapping = Mapping::read(&mapping).unwrap();
        Ok(rows(&mapping, text)?.map(|row| row.map(|row| (row.line, row.value)).unwrap()).collect())
    }

    #[test]
    fn a_bad_line_of_json_does_not_hide_the_next() {
        let found = read("jsonl", "\u{feff}{\"id\":1}\r\n\n[2]\n{\"id\":\n\u{a0}\n{\"id\":3}".as_bytes()).unwrap();
        let lines: Vec<(u64, bool)> = found.iter().map(|(line, value)| (*line, value.is_ok())).collect();
        assert_eq!(lines, [(1, true), (3, false), (4, false), (5, false), (6, true)]);
        assert_eq!(found[4].1, Ok(json!({ "id": 3 })));
    }

    #[test]
    fn a_line_without_end_is_skipped_not_kept() {
        let mut text = vec![b'x'; 3 * 1024 * 1024];
        text.extend(b"\n{\"id\":2}\n");
        let found = read("jsonl", &text).unwrap();
        assert!(found[0].1.is_err());
        assert_eq!(found[1], (2, Ok(json!({ "id": 2 }))));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn csv_rows_keep_their_lines_and_bad_ones_do_not_hide_the_next() {
        let found = read("csv", "\u{feff}id,t\n1,\"a,\nb\"\n2\n3,\u{4e2d}\n".as_bytes()).unwrap();
        assert_eq!(found[0], (2, Ok(json!({ "id": "1", "t": "a,\nb" }))));
        assert_eq!((found[1].0, found[1].1.is_err()), (4, true));
        assert_eq!(found[2], (5, Ok(json!({ "id": "3", "t": "中" }))));
        let bytes = read("csv", b"id,t\n1,\xd6\xd0\n2,b\n").unwrap();
        assert_eq!((bytes[0].1.is_err(), bytes[1].1.is_ok()), (true, true));
    }

    #[test]
    fn a_header_without_a_mapped_column_stops_the_import() {
        assert!(read("csv", b"id,title\n1,a\n").unwrap_err().contains("\"t\""));
        assert!(read("csv", b"id,t,t\n1,a,b\n").unwrap_err().contains("two columns"));
    }
}
