//! Writes a bundle line by line, whatever the length of the log.

use std::collections::VecDeque;

use data_encoding::HEXLOWER;
use kernel::{Error, Instant, Result, Vault};

use super::{
    FORMAT, Outcome,
    line::{self, Bad, HeadLine, Header},
};
use crate::engine::Lot;

/// What the first line is made of.
pub struct Opening {
    /// The session.
    pub session_id: String,
    /// Its listing.
    pub listing_id: String,
    /// The rulebook that was in force.
    pub rules_version: String,
    /// The terms as they are kept.
    pub terms: Vec<u8>,
    /// The number of events.
    pub events: i64,
    /// The heads, in order; the last one is over all events.
    pub heads: Vec<Head>,
}

/// A signed head.
#[derive(Clone)]
pub struct Head {
    /// Over so many events.
    pub size: i64,
    /// The root of their tree.
    pub root: Vec<u8>,
    /// When it was signed.
    pub at: Instant,
    /// The signature.
    pub signature: Vec<u8>,
}

/// Writes one bundle. It judges nothing: what was changed behind our back is published as it stands, and found.
pub struct Scribe {
    heads: VecDeque<Head>,
    end: Option<Instant>,
}

impl Scribe {
    /// Writes the first line, and signs it.
    pub fn open(opening: Opening, vault: &Vault, out: &mut Vec<u8>) -> Result<Scribe> {
        let mut header = Header {
            format: FORMAT.to_owned(),
            session_id: opening.session_id,
            listing_id: opening.listing_id,
            rules_version: opening.rules_version,
            events: opening.events,
            heads: opening.heads.iter().map(|head| head.size).collect(),
            terms: line::encode(&opening.terms),
            verifying_key: line::encode(vault.verifying_key().as_bytes()),
            signature: String::new(),
        };
        let statement = header.statement().map_err(fault)?;
        header.signature = line::encode(&vault.sign(statement.as_bytes()));
        header.write(out).map_err(fault)?;
        Ok(Scribe { heads: opening.heads.into(), end: None })
    }

    /// Writes the next record under its number, and the head that stands after it.
    pub fn record(&mut self, seq: i64, record: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let event = line::write_entry(seq, record, out).map_err(fault)?;
        self.end = Outcome::end(self.end, &event);
        while let Some(head) = self.heads.pop_front_if(|head| head.size <= seq) {
            let head = HeadLine {
                head: head.size,
                root: HEXLOWER.encode(&head.root),
                at: head.at.to_string(),
                signature: line::encode(&head.signature),
            };
            line::write(&head, out).map_err(fault)?;
        }
        Ok(())
    }

    /// Writes the last line.
    pub fn close(self, lot: &Lot, out: &mut Vec<u8>) -> Result<()> {
        line::write_outcome(&Outcome::of(lot, self.end), out).map_err(fault)
    }
}

fn fault(bad: Bad) -> Error {
    Error::Internal(format!("a bundle cannot be written: {bad}"))
}
