//! Who brokers for whom, and who stands too near (SM-11). A broker shows a credential, which the centre checks; an
//! organization gives a broker of an agency a mandate for one listing. From the broker's word on, as long as mandate
//! and credential are in date, the broker acts for the principal without belonging to it. The commission follows the
//! price of the deal; without a deal there is none.

pub mod acting;
pub mod conflict;
pub mod conflict_status;
pub mod credential;
pub mod feed;
pub mod mandate;
pub mod mandating;

#[cfg(test)]
mod story_tests;

use kernel::{ErrorCode, Id, Refusal, Result};

/// Ids that one look-up may name.
const MOST_IDS: usize = 200;

fn parse_ids<I: Id>(ids: &[String]) -> Result<Vec<I>> {
    if ids.len() > MOST_IDS {
        return Err(Refusal::new(ErrorCode::InvalidInput).at_field("ids").accepting("≤ 200").into());
    }
    ids.iter().map(|id| I::parse(id, "ids")).collect()
}

/// Requires that `wanted` is among the statuses that may follow.
fn require_among<S: Copy + PartialEq>(
    allowed: &[S],
    wanted: S,
    stored: fn(S) -> &'static str,
    field: &str,
) -> Result<()> {
    if allowed.contains(&wanted) {
        return Ok(());
    }
    let names: Vec<&str> = allowed.iter().map(|status| stored(*status)).collect();
    let refusal = Refusal::new(ErrorCode::IllegalTransition).at_field(field).by_rule("SM-11");
    Err(refusal.accepting(names.join(" | ")).into())
}

/// An enum of the input; a number that stands for nothing is refused.
fn known<E: TryFrom<i32>>(number: i32, field: &str) -> Result<E> {
    E::try_from(number).map_err(|_| Refusal::new(ErrorCode::InvalidInput).at_field(field).into())
}
