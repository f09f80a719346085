//! How rows are written once.

use kernel::{Error, Result};
use sea_orm::sea_query::OnConflict;

/// No target: with one, PostgreSQL may still raise a race on another unique column.
pub fn any_conflict() -> OnConflict {
    OnConflict::new().do_nothing().to_owned()
}

/// Requires that the one row that was decided on was still there.
pub fn once(rows: u64, id: impl std::fmt::Display) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(Error::Unavailable(format!("{id} changed while it was decided on"))) }
}
