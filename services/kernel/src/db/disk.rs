//! Whether the disk was full lately. A row that fits where others do not, such as the heartbeat's, tells nothing of it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use sea_orm::{DbErr, RuntimeErr, sqlx};

use crate::{Error, Result};

/// So long after a write for which there was no room the database is not relied on.
const LATELY: Duration = Duration::from_secs(10);

/// As one database's answers tell it; shared by all clones of its `Db`.
#[derive(Default)]
pub(super) struct Disk(Mutex<Option<Instant>>);

impl Disk {
    /// Takes notice of what went wrong, and passes it on.
    pub fn failed(&self, error: sqlx::Error) -> DbErr {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        if code.is_some_and(|code| is_full(&code)) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        DbErr::Exec(RuntimeErr::SqlxError(error.into()))
    }

    /// Requires that no write has lacked room lately.
    pub fn require_room(&self) -> Result<()> {
        let full = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match full.map(|at| at.elapsed()).filter(|ago| *ago < LATELY) {
            None => Ok(()),
            Some(ago) => Err(Error::Unavailable(format!("the disk was full {} seconds ago", ago.as_secs()))),
        }
    }
}

/// PostgreSQL's code, or SQLite's, of which the lowest byte is the kind.
fn is_full(code: &str) -> bool {
    code == "53100" || code.len() < 5 && code.parse::<u32>().is_ok_and(|code| code & 0xff == 13)
}

#[cfg(test)]
mod tests {
    use super::is_full;

    #[test]
    fn a_full_disk_is_told_from_others() {
        for code in ["53100", "13"] {
            assert!(is_full(code), "{code}");
        }
        for code in ["53200", "53300", "10", "778", "00013", "23505", "2067"] {
            assert!(!is_full(code), "{code}");
        }
    }
}
