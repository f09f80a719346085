//! A lot's evidence: one file from which anybody decides the lot again, without us and without a database (P-2, P-5).
//!
//! The file is text, one JSON object per line, and nothing in it is free: every line is written from what was signed, or
//! decided again from it, and must be the very bytes that this module would write (docs/evidence.md).

mod line;
mod outcome;
pub(crate) mod publish;
mod verify;
mod write;

pub use line::{FORMAT, statement};
pub use outcome::{Licensee, Outcome};
pub use verify::{Flaw, Verdict, verify};
pub use write::{Head, Opening, Scribe};
