//! What is read outside of a transaction: each bound row that is read in full is held against the index, so that nobody is
//! shown, let in by, or served on a row that somebody changed behind the exchange's back (promise P-5).

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use moka::sync::Cache;
use sea_orm::{ConnectionTrait, DbErr, QueryResult};

use super::{
    row,
    seen::{Checked, RowKey, Seen},
    statement::Read,
    written::Binding,
};
use crate::{Result, Vault, error::within_query};

/// For so long what a row was proved to hold is not asked for again: whoever puts it back to what it held a moment ago gains no
/// more time than that.
const STANDS: Duration = Duration::from_secs(2);
/// Most rows that are remembered.
const MOST: u64 = 20_000;

/// Proves what readers read, in an exchange that has its key.
#[derive(Clone)]
pub(super) struct Proved {
    binding: Arc<OnceLock<Binding>>,
    /// Rows that were proved lately, each with its mark.
    lately: Cache<RowKey, Vec<u8>>,
}

impl Proved {
    pub fn by(binding: Arc<OnceLock<Binding>>) -> Proved {
        Proved { binding, lately: Cache::builder().max_capacity(MOST).time_to_live(STANDS).build() }
    }

    /// Whether rows are as the exchange left them, or whether there is none with the key that was asked for. If not, they may
    /// have been written between the two looks.
    pub async fn are_proved(
        &self,
        db: &impl ConnectionTrait,
        asked: (Read, Option<&[u8]>),
        rows: &[QueryResult],
    ) -> Result<bool, DbErr> {
        let Some(binding) = self.binding.get() else { return Ok(true) };
        let checked = self.check(db, &binding.vault, asked, rows).await.map_err(within_query)?;
        Ok(!checked.is_doubtful())
    }

    /// Requires it of rows and index as of one instant.
    pub async fn require(
        &self,
        view: &impl ConnectionTrait,
        asked: (Read, Option<&[u8]>),
        rows: &[QueryResult],
    ) -> Result<(), DbErr> {
        let Some(binding) = self.binding.get() else { return Ok(()) };
        let checked = self.check(view, &binding.vault, asked, rows).await.map_err(within_query)?;
        checked.require_undoubted(view, &binding.vault, "").await.map_err(within_query)
    }

    async fn check(
        &self,
        db: &impl ConnectionTrait,
        vault: &Vault,
        (read, key): (Read, Option<&[u8]>),
        rows: &[QueryResult],
    ) -> Result<Checked> {
        let mut seen = Seen::default();
        for found in rows {
            seen.take(vault, Read { holds: false, ..read }, row::key(read.table, found)?, found);
        }
        if let Some(key) = key.filter(|_| rows.is_empty()) {
            seen.note_missing(read, key.to_vec());
        }
        let seen = seen.without(|row, mark| self.lately.get(row).is_some_and(|proved| proved == mark));
        let marks: Vec<_> = seen.marks().collect();
        let checked = seen.check(db, vault).await?;
        if !checked.is_doubtful() {
            marks.into_iter().for_each(|(row, mark)| self.lately.insert(row, mark));
        }
        Ok(checked)
    }
}
