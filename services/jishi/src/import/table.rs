//! Comma-separated values, record by record, in a memory that does not grow with what stands in the file.

use std::io::{BufRead, BufReader, Read};

use csv_core::{ReadRecordResult as Step, Reader};

use super::reader::LONGEST;

/// More columns are no record of ours.
const MOST_COLUMNS: usize = 4_096;

/// The records of one file, its header among them.
pub struct Table<R> {
    file: BufReader<R>,
    parser: Reader,
    /// The record's bytes without quotes and commas, and where its cells end in them.
    text: Vec<u8>,
    ends: Vec<usize>,
    is_over: bool,
}

/// One record, and the line where it begins.
pub struct Record {
    /// From 1, as an editor counts.
    pub line: u64,
    /// How many bytes its cells have together.
    pub size: usize,
    /// Its cells, or why they cannot be read.
    pub cells: Result<Vec<String>, String>,
}

/// How far a record fills the places for it.
#[derive(Default)]
struct Filled {
    text: usize,
    ends: usize,
    /// What there is no place for, once something is cut.
    fault: Option<String>,
}

impl<R: Read> Table<R> {
    /// The records of a file.
    pub fn new(file: R) -> Table<R> {
        let text = vec![0; usize::try_from(LONGEST).unwrap_or(usize::MAX)];
        Table { file: BufReader::new(file), parser: Reader::new(), text, ends: vec![0; MOST_COLUMNS], is_over: false }
    }

    /// The next record; nothing at the end.
    pub fn read(&mut self) -> std::io::Result<Option<Record>> {
        if self.is_over || !self.skip_blank()? {
            return Ok(None);
        }
        let line = self.parser.line();
        let mut filled = Filled::default();
        loop {
            let bytes = self.file.fill_buf()?;
            // At the end a line feed closes any record but one in quotes, which it joins.
            let is_end = bytes.is_empty();
            let bytes = if is_end { b"\n" } else { bytes };
            let text = self.text.get_mut(filled.text..).unwrap_or_default();
            let ends = self.ends.get_mut(filled.ends..).unwrap_or_default();
            let (step, read, texts, cells) = self.parser.read_record(bytes, text, ends);
            if !is_end {
                self.file.consume(read);
            }
            filled.text += texts;
            filled.ends += cells;
            match step {
                Step::InputEmpty if is_end => {
                    self.is_over = true;
                    let why = format!(
                        "a quote in the record that begins here is never closed; it takes all lines up to {}",
                        self.parser.line()
                    );
                    return Ok(Some(Record { line, size: 0, cells: Err(why) }));
                }
                Step::InputEmpty => {}
                // What is too long is read on, and thrown away, up to its end.
                Step::OutputFull => filled.cut(format!("a record has at most {LONGEST} bytes")),
                Step::OutputEndsFull => filled.cut(format!("a record has at most {MOST_COLUMNS} columns")),
                Step::Record => return Ok(Some(self.record(line, filled))),
                Step::End => return Ok(None),
            }
        }
    }

    fn record(&self, line: u64, filled: Filled) -> Record {
        let Filled { text: size, ends, fault } = filled;
        let text = self.text.get(..size).unwrap_or_default();
        let mut from = 0;
        let cut = |end: &usize| {
            let cell = text.get(from..*end).unwrap_or_default();
            from = *end;
            String::from_utf8(cell.to_vec()).map_err(|_| "the record is not in UTF-8".to_owned())
        };
        let cells = match fault {
            Some(fault) => Err(fault),
            None => self.ends.get(..ends).unwrap_or_default().iter().map(cut).collect(),
        };
        Record { line, size, cells }
    }

    /// Passes over empty lines, so that a record begins where its text does; false at the end of the file.
    fn skip_blank(&mut self) -> std::io::Result<bool> {
        while let Some(next @ (b'\r' | b'\n')) = self.file.fill_buf()?.first().copied() {
            self.parser.read_record(&[next], &mut self.text, &mut self.ends);
            self.file.consume(1);
        }
        Ok(!self.file.fill_buf()?.is_empty())
    }
}

impl Filled {
    fn cut(&mut self, fault: String) {
        *self = Filled { fault: self.fault.take().or(Some(fault)), ..Filled::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: impl Read) -> Vec<(u64, Result<Vec<String>, String>)> {
        let mut table = Table::new(text);
        std::iter::from_fn(|| table.read().unwrap()).map(|record| (record.line, record.cells)).collect()
    }

    fn cells(cells: &[&str]) -> Result<Vec<String>, String> {
        Ok(cells.iter().map(|cell| (*cell).to_owned()).collect())
    }

    #[test]
    fn records_keep_their_lines() {
        let found = read("\u{feff}a,b\r\n\r\n\n1,\"x\n\"\"y\"\"\"\n\n2,\n3".as_bytes());
        let expected =
            [(1, cells(&["a", "b"])), (4, cells(&["1", "x\n\"y\""])), (7, cells(&["2", ""])), (8, cells(&["3"]))];
        assert_eq!(found, expected);
        assert!(read(&b""[..]).is_empty() && read(&b"\n\r\n"[..]).is_empty());
    }

    #[test]
    fn a_quote_that_never_closes_is_named_by_its_line() {
        let found = read("a,b\n1,2\n3,\"4\n5,6\n".as_bytes());
        assert_eq!(found.len(), 3);
        assert_eq!(found[1], (2, cells(&["1", "2"])));
        let why = found[2].1.clone().unwrap_err();
        assert!(found[2].0 == 3 && why.contains("never closed"), "{found:?}");
        // One that closes at the very end is whole.
        assert_eq!(read(&b"\"1\""[..]), [(1, cells(&["1"]))]);
        // A long one is not kept while its end is sought.
        let long = b"a\n\"".chain(std::io::repeat(b'x').take(8 * LONGEST));
        assert!(read(long)[1].1.clone().unwrap_err().contains("never closed"));
    }

    #[test]
    fn what_is_too_long_does_not_hide_the_next() {
        let commas = std::io::repeat(b',').take(8 * LONGEST);
        let found = read(b"a\n".chain(commas).chain(&b"\n2\n"[..]));
        assert_eq!((found[1].0, found[1].1.is_err()), (2, true));
        assert_eq!(found[2], (3, cells(&["2"])));
        let text = std::io::repeat(b'x').take(LONGEST + 1);
        let found = read(b"a\n\"".chain(text).chain(&b"\n\"\n2\n"[..]));
        assert_eq!((found[1].0, found[1].1.is_err()), (2, true));
        assert_eq!(found[2], (4, cells(&["2"])));
        let bytes = read(&b"a\n\xd6\xd0\n2"[..]);
        assert_eq!((bytes[1].1.is_err(), bytes[2].1.is_ok()), (true, true));
    }
}
