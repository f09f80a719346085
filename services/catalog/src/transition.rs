//! What every state machine of this service has in common: one table `next`, asked in three ways.

use kernel::{Error, ErrorCode, Refusal, Result};

/// How an event finds an object: events may come late, twice, or before what they build upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The step is due.
    Due,
    /// The object is there already, or beyond.
    Done,
    /// Something that must come first has not.
    Early,
}

/// Requires that the table lets `from` become `to`; the refusal tells what it lets.
pub fn require<S: Copy + PartialEq>(
    next: fn(S) -> &'static [S],
    from: S,
    to: S,
    name: fn(S) -> &'static str,
) -> Result<()> {
    if next(from).contains(&to) {
        return Ok(());
    }
    let allowed: Vec<&str> = next(from).iter().map(|status| name(*status)).collect();
    Err(Refusal::new(ErrorCode::IllegalTransition).accepting(allowed.join(" | ")).into())
}

/// How a step to `to` finds an object that is at `from`.
pub fn arrival<S: Copy + PartialEq>(next: fn(S) -> &'static [S], from: S, to: S) -> Arrival {
    if from == to || leads(next, to, from) {
        Arrival::Done
    } else if next(from).contains(&to) {
        Arrival::Due
    } else {
        Arrival::Early
    }
}

/// Whether `to` can be reached from `from` in one or more steps.
fn leads<S: Copy + PartialEq>(next: fn(S) -> &'static [S], from: S, to: S) -> bool {
    let mut reached: Vec<S> = Vec::new();
    let mut open: Vec<S> = next(from).to_vec();
    while let Some(status) = open.pop() {
        if !reached.contains(&status) {
            reached.push(status);
            open.extend_from_slice(next(status));
        }
    }
    reached.contains(&to)
}

/// An event that found an object where something that must come first has not: it is delivered again.
pub fn early(id: &str, status: &str) -> Error {
    Error::Unavailable(format!("{id} is {status}: the event is early"))
}
