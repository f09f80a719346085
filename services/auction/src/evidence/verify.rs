//! Reads a bundle and decides the lot again, in the memory of one line and one lot, whatever the length of the log.

use std::io::{BufRead, Read};

use data_encoding::HEXLOWER;
use kernel::{Instant, merkle, signed_by};

use super::{
    FORMAT, Outcome,
    line::{self, Bad, Entry, HeadLine, Header},
};
use crate::{engine::Replay, store::log};

/// No line is longer, in bytes.
const LONGEST: u64 = 1 << 20;

/// What a bundle proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The session.
    pub session_id: String,
    /// Its listing.
    pub listing_id: String,
    /// The rulebook that was in force.
    pub rules_version: String,
    /// Who has the lot, for how much, and when bidding ended.
    pub outcome: Outcome,
    /// The number of events.
    pub size: i64,
    /// The root of their Merkle tree, hexadecimal.
    pub root: String,
    /// Who signed it, base64url. Unless it was pinned, compare it with the exchange's.
    pub verifying_key: String,
}

/// The first place where a bundle is not what the exchange published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The line, from 1 on.
    pub line: u64,
    /// The record, if the line is or should be one's.
    pub seq: Option<i64>,
    /// What is wrong.
    pub what: String,
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}", self.line)?;
        self.seq.map_or(Ok(()), |seq| write!(f, ", record {seq}"))?;
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for Flaw {}

/// Decides a lot again from its bundle. With a pinned key, only that exchange's bundles verify.
pub fn verify(bundle: impl BufRead, pinned: Option<&[u8; 32]>) -> Result<Verdict, Flaw> {
    let mut lines = Lines { bundle, number: 0, line: Vec::new() };
    let mut written = Vec::new();
    let first = lines.next().and_then(|line| open(line, pinned, &mut written));
    let (header, key, mut replay) = first.map_err(|what| lines.flaw(None, what))?;
    let mut check = Check { session_id: &header.session_id, key, tree: merkle::Tree::default(), signed: 0 };
    let mut heads = header.heads.iter().copied().peekable();
    let mut end: Option<Instant> = None;
    for seq in 1..=header.events {
        let entry = lines.next().and_then(|line| check.entry(line, seq, &mut written));
        let event = entry.map_err(|what| lines.flaw(Some(seq), what))?;
        // The rules see the event as the log has it; the line was checked to say nothing else.
        replay.take(&event).map_err(|_| lines.flaw(Some(seq), "it is not what the rules decide"))?;
        end = Outcome::end(end, &event);
        if heads.next_if_eq(&seq).is_some() {
            let head = lines.next().map_err(|what| (None, what));
            let head = head.and_then(|line| check.head(line, seq, &mut written));
            head.map_err(|(unsigned, what)| lines.flaw(unsigned, what))?;
        }
    }
    if !replay.state().is_closed() {
        return Err(lines.flaw(Some(header.events), "the log ends before the lot does"));
    }
    let outcome = Outcome::of(replay.state(), end);
    let last = lines.next().and_then(|line| {
        line::write_outcome(&outcome, fresh(&mut written))?;
        same(line, &written, "the result is not the one that the log decides")
    });
    last.map_err(|what| lines.flaw(None, what))?;
    lines.end().map_err(|what| lines.flaw(None, what))?;
    let (size, root) = (header.events, HEXLOWER.encode(&check.tree.root()));
    let Header { session_id, listing_id, rules_version, verifying_key, .. } = header;
    Ok(Verdict { session_id, listing_id, rules_version, outcome, size, root, verifying_key })
}

/// Checks the first line: the key, the signature, the terms.
fn open(line: &[u8], pinned: Option<&[u8; 32]>, written: &mut Vec<u8>) -> Result<(Header, [u8; 32], Replay), Bad> {
    let header: Header = line::read(line)?;
    if header.format != FORMAT {
        return Err("it is no jishi lot bundle v1");
    }
    let terms = header.write(fresh(written))?;
    same(line, written, "it is not what its terms say")?;
    let key: [u8; 32] = line::decode(&header.verifying_key)?.try_into().map_err(|_| "a key has 32 bytes")?;
    if pinned.is_some_and(|pinned| *pinned != key) {
        return Err("it is signed with another key than the given one");
    }
    if !signed_by(&key, header.statement()?.as_bytes(), &line::decode(&header.signature)?) {
        return Err("the exchange did not sign it");
    }
    if header.listing_id != terms.listing_id {
        return Err("its terms are another listing's");
    }
    let rising = header.heads.iter().zip(header.heads.iter().skip(1)).all(|(one, next)| one < next);
    if !rising || header.heads.first().is_none_or(|first| *first < 1) || header.heads.last() != Some(&header.events) {
        return Err("its heads do not cover all events");
    }
    Ok((header, key, Replay::of(terms)))
}

struct Check<'a> {
    session_id: &'a str,
    key: [u8; 32],
    tree: merkle::Tree,
    /// The size of the last head met.
    signed: i64,
}

impl Check<'_> {
    fn entry(&mut self, line: &[u8], seq: i64, written: &mut Vec<u8>) -> Result<wire::v1::AuctionEvent, Bad> {
        let entry: Entry<'_> = line::read(line)?;
        if entry.seq != seq {
            return Err("another record stands in its place");
        }
        let record = line::decode(&entry.record)?;
        let event = line::write_entry(seq, &record, fresh(written))?;
        same(line, written, "it does not say what its record says")?;
        if !line::is_whole(&event, &record) {
            return Err("the record holds what this version does not know");
        }
        self.tree.push(merkle::leaf(&record));
        Ok(event)
    }

    /// Checks a head, and with it the records since the one before.
    fn head(&mut self, line: &[u8], size: i64, written: &mut Vec<u8>) -> Result<(), (Option<i64>, Bad)> {
        let here = |what| (None, what);
        let head: HeadLine = line::read(line).map_err(here)?;
        line::write(&head, fresh(written)).map_err(here)?;
        same(line, written, "it is not written as a head is").map_err(here)?;
        let (Ok(root), Ok(signature)) = (HEXLOWER.decode(head.root.as_bytes()), line::decode(&head.signature)) else {
            return Err(here("its root or signature cannot be read"));
        };
        let statement = log::statement(self.session_id, head.head, &root, &head.at);
        if head.head != size || !signed_by(&self.key, statement.as_bytes(), &signature) {
            return Err(here("the exchange did not sign this head"));
        }
        if root != self.tree.root() {
            return Err((
                Some(self.signed + 1),
                "from this record on to the head, the log is not the one that was signed",
            ));
        }
        self.signed = size;
        Ok(())
    }
}

fn same(line: &[u8], written: &[u8], otherwise: Bad) -> Result<(), Bad> {
    if line == written { Ok(()) } else { Err(otherwise) }
}

fn fresh(buffer: &mut Vec<u8>) -> &mut Vec<u8> {
    buffer.clear();
    buffer
}

struct Lines<R> {
    bundle: R,
    number: u64,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// The next line, its line feed included.
    fn next(&mut self) -> Result<&[u8], Bad> {
        self.number += 1;
        self.line.clear();
        let read = self.bundle.by_ref().take(LONGEST).read_until(b'\n', &mut self.line);
        match read.map_err(|_| "the file cannot be read")? {
            0 => Err("the file ends before it"),
            _ if self.line.ends_with(b"\n") => Ok(&self.line),
            _ => Err("it does not end with a line feed, or is too long"),
        }
    }

    /// Requires that nothing follows.
    fn end(&mut self) -> Result<(), Bad> {
        let more = self.next().is_ok();
        if more || !self.line.is_empty() { Err("nothing may follow the result") } else { Ok(()) }
    }

    fn flaw(&self, seq: Option<i64>, what: impl Into<String>) -> Flaw {
        Flaw { line: self.number, seq, what: what.into() }
    }
}
