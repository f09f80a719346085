//! The lines of a bundle: how each is written, and how it is read. Whoever reads a line writes it again and compares.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use prost::Message;
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};
use wire::v1::AuctionEvent;

use super::Outcome;
use crate::{engine::Terms, store::log};

/// What the first line begins with.
pub const FORMAT: &str = "jishi lot bundle v1";

/// Why a line is not what it should be.
pub type Bad = &'static str;

/// The first line: what was fixed before the first bid, and what the file must hold.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    pub format: String,
    pub session_id: String,
    pub listing_id: String,
    pub rules_version: String,
    /// The number of events.
    pub events: i64,
    /// After which of them a signed head stands.
    pub heads: Vec<i64>,
    /// The exact bytes, base64url.
    pub terms: String,
    pub verifying_key: String,
    pub signature: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HeaderLine<'a> {
    format: &'a str,
    session_id: &'a str,
    listing_id: &'a str,
    rules_version: &'a str,
    events: i64,
    heads: &'a [i64],
    terms: &'a str,
    readable: &'a Terms,
    verifying_key: &'a str,
    signature: &'a str,
}

impl Header {
    /// The line, and the terms that it states.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<Terms, Bad> {
        let bytes = decode(&self.terms)?;
        let terms = Terms::decode(bytes.as_slice()).map_err(|_| "the terms cannot be read")?;
        if terms.encode_to_vec() != bytes {
            return Err("the terms hold what this version does not know");
        }
        let line = HeaderLine {
            format: &self.format,
            session_id: &self.session_id,
            listing_id: &self.listing_id,
            rules_version: &self.rules_version,
            events: self.events,
            heads: &self.heads,
            terms: &self.terms,
            readable: &terms,
            verifying_key: &self.verifying_key,
            signature: &self.signature,
        };
        write(&line, out)?;
        Ok(terms)
    }

    /// What its signature stands for.
    pub fn statement(&self) -> Result<String, Bad> {
        Ok(statement(
            (&self.session_id, &self.listing_id, &self.rules_version),
            (self.events, &self.heads),
            &decode(&self.terms)?,
        ))
    }
}

/// What the signature of the first line stands for.
#[must_use]
pub fn statement(
    (session_id, listing_id, rules_version): (&str, &str, &str),
    (events, heads): (i64, &[i64]),
    terms: &[u8],
) -> String {
    let heads: Vec<String> = heads.iter().map(i64::to_string).collect();
    let (heads, terms) = (heads.join(","), HEXLOWER.encode(&Sha256::digest(terms)));
    format!("{FORMAT}\n{session_id}\n{listing_id}\n{rules_version}\n{events}\n{heads}\n{terms}")
}

/// One event: the exact bytes, and what they say.
#[derive(Deserialize)]
pub struct Entry<'a> {
    pub seq: i64,
    #[serde(borrow)]
    pub record: std::borrow::Cow<'a, str>,
}

#[derive(Serialize)]
struct EntryLine<'a> {
    seq: i64,
    record: Record<'a>,
    event: &'a AuctionEvent,
}

struct Record<'a>(&'a [u8]);

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&BASE64URL_NOPAD.encode_display(self.0))
    }
}

/// Writes one event's line; yields the event.
pub fn write_entry(seq: i64, record: &[u8], out: &mut Vec<u8>) -> Result<AuctionEvent, Bad> {
    let event = AuctionEvent::decode(record).map_err(|_| "the record cannot be read")?;
    write(&EntryLine { seq, record: Record(record), event: &event }, out)?;
    Ok(event)
}

/// Whether the record is exactly what the event encodes to.
pub fn is_whole(event: &AuctionEvent, record: &[u8]) -> bool {
    log::record(event) == record
}

/// One signed head of the log.
#[derive(Deserialize, Serialize)]
pub struct HeadLine {
    /// The number of events that it covers.
    pub head: i64,
    /// Hexadecimal.
    pub root: String,
    /// RFC 3339.
    pub at: String,
    /// Base64url.
    pub signature: String,
}

/// Writes any line.
pub fn write(line: &impl Serialize, out: &mut Vec<u8>) -> Result<(), Bad> {
    serde_json::to_writer(&mut *out, line).map_err(|_| "it cannot be written")?;
    out.push(b'\n');
    Ok(())
}

/// Writes the last line.
pub fn write_outcome(outcome: &Outcome, out: &mut Vec<u8>) -> Result<(), Bad> {
    write(outcome, out)
}

/// Base64url without padding.
pub fn encode(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

/// The bytes of a base64url text.
pub fn decode(text: &str) -> Result<Vec<u8>, Bad> {
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| "it is no base64url")
}

/// A line's JSON.
pub fn read<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, Bad> {
    serde_json::from_slice(line).map_err(|_| "it is not the JSON of its kind of line")
}
