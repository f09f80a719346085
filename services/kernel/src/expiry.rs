//! Kept answers do not stay for ever: a client that asks again does so within days.

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

impl Context {
    /// Deletes the answers of this database that are older than `days`, once a day by the exchange's clock, until stopped.
    pub async fn forget_answers(self, days: u32, stop: CancellationToken) {
        let kept = i64::from(days).saturating_mul(PERIOD);
        loop {
            let now = self.clock.now();
            match self.forget_before(now.plus_millis(kept.saturating_neg()), &stop).await {
                Ok(0) => {}
                Ok(answers) => tracing::info!(answers, days, "old answers are forgotten"),
                Err(error) => tracing::warn!(%error, "old answers could not be forgotten"),
            }
            tokio::select! {
                () = self.clock.sleep_until(now.plus_millis(PERIOD)) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn forget_before(&self, limit: Instant, stop: &CancellationToken) -> Result<u64> {
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
