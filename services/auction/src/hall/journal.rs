//! A terminal's journal (docs/hall.md): the text of a line, and the chain of signatures that holds the lines together.
//!
//! Pure. A line that is changed, moved or missing breaks the chain at a place that can be named; only the end of a
//! journal can be missing unseen, and the next upload must go on there.

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signature, VerifyingKey};
use kernel::{ErrorCode, Instant, Money};
use wire::v1::BidOrigin;

/// What a terminal enters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// From 1, without holes.
    pub number: i64,
    /// Never applied twice.
    pub operation_id: String,
    /// The lot's session.
    pub session_id: String,
    /// Who bids.
    pub paddle: i32,
    /// How much.
    pub amount: Money,
    /// From where.
    pub origin: BidOrigin,
}

/// A line of the journal as it was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The line.
    pub line: Line,
    /// By the terminal's clock.
    pub noted_at: Instant,
    /// Ed25519 over `text`.
    pub signature: Vec<u8>,
}

/// The first bad line of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Its place among the uploaded lines, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub code: ErrorCode,
    /// The number that belongs there.
    pub expected: i64,
}

impl Line {
    /// What makes it the same operation, whatever way it comes.
    #[must_use]
    pub fn content(&self, device_id: &str) -> String {
        let Line { number, operation_id, session_id, paddle, amount, origin } = self;
        let (fen, origin) = (amount.0, origin.stored());
        format!("{device_id}\n{number}\n{operation_id}\n{session_id}\n{paddle}\n{fen}\n{origin}")
    }

    /// What a terminal signs. `before` is the signature of the line before; empty for the first.
    #[must_use]
    pub fn text(&self, device_id: &str, noted_at: Instant, before: &[u8]) -> String {
        let (content, before) = (self.content(device_id), BASE64URL_NOPAD.encode(before));
        format!("jishi hall journal v1\n{content}\n{}\n{before}", noted_at.0)
    }
}

/// Checks a piece of a terminal's journal. It may begin anywhere up to `next`, the first number of which the exchange has
/// no signature; `before` is the signature of the line before the piece.
pub fn check(device_id: &str, key: &VerifyingKey, (next, before): (i64, &[u8]), lines: &[Signed]) -> Result<(), Flaw> {
    let mut expected = lines.first().map_or(1, |first| first.line.number).clamp(1, next.max(1));
    let mut before = before;
    for (index, signed) in lines.iter().enumerate() {
        let flaw = |code| Flaw { index, code, expected };
        if signed.line.number != expected {
            return Err(flaw(ErrorCode::OutOfSequence));
        }
        let text = signed.line.text(device_id, signed.noted_at, before);
        let signature = Signature::from_slice(&signed.signature).map_err(|_| flaw(ErrorCode::BadSignature))?;
        key.verify_strict(text.as_bytes(), &signature).map_err(|_| flaw(ErrorCode::BadSignature))?;
        before = &signed.signature;
        expected = expected.saturating_add(1);
    }
    Ok(())
}
