//! What is of no use any more does not stay for ever: a client that asks again for an answer does so within days, and an
//! event that tells of rows is outdated once a later one tells of them.

use std::time::Duration;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use tokio_util::sync::CancellationToken;

use crate::{Context, Instant, Result, idempotency::row};

/// Most answers deleted in one transaction, so that no bid waits for them.
const BATCH: u64 = 500;
/// Between two batches the one writer of SQLite is everybody else's.
const PAUSE: Duration = Duration::from_millis(100);
/// How often old answers are looked for, in milliseconds. Each look reads the table through: an index would cost every
/// bid more than this costs a day.
const PERIOD: i64 = 24 * 60 * 60 * 1_000;

/// How long what is of no use any more is kept, in days; 0: for ever.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Answers under their keys.
    pub answers: u32,
    /// Events that tell of nothing but rows of which later events tell.
    pub row_events: u32,
}

impl Context {
    /// Deletes what is older than that from this database, once a day by the exchange's clock, until stopped.
    pub async fn forget(self, keep: Keep, stop: CancellationToken) {
        loop {
            let now = self.clock.now();
            let limit = |days: u32| now.plus_millis(i64::from(days).saturating_mul(PERIOD).saturating_neg());
            if keep.answers > 0 {
                told("answers", keep.answers, self.forget_answers(limit(keep.answers), &stop).await);
            }
            if keep.row_events > 0 {
                told("row events", keep.row_events, self.delete_outdated(limit(keep.row_events), &stop).await);
            }
            tokio::select! {
                () = self.clock.sleep_until(now.plus_millis(PERIOD)) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn forget_answers(&self, limit: Instant, stop: &CancellationToken) -> Result<u64> {
        let mut forgotten = 0;
        while !stop.is_cancelled() {
            let old = row::Entity::find().select_only().column(row::Column::Id);
            let old = old.filter(row::Column::At.lt(limit.0)).limit(BATCH);
            let old: Vec<String> = old.into_tuple().all(self.db.read()).await?;
            if old.is_empty() {
                break;
            }
            let tx = self.db.begin().await?;
            let deleted = row::Entity::delete_many().filter(row::Column::Id.is_in(old)).exec(&tx).await?;
            tx.commit().await?;
            forgotten += deleted.rows_affected;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(forgotten)
    }
}

fn told(what: &str, days: u32, forgotten: Result<u64>) {
    match forgotten {
        Ok(0) => {}
        Ok(count) => tracing::info!(what, count, days, "old ones are forgotten"),
        Err(error) => tracing::warn!(what, %error, "old ones could not be forgotten"),
    }
}
