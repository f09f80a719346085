//! Running lots are anchored in the audit log (promise P-5). Between two changes of phase nothing else would tell that a
//! lot was put back, log, row and mark together, to before somebody's bid.

use std::time::Duration;

use kernel::{Context, Result};
use tokio_util::sync::CancellationToken;

use crate::store::anchor;

/// How often: so long a bid is held by its receipt alone.
const PERIOD: Duration = Duration::from_secs(1);
/// Most lots anchored in one transaction.
const BATCH: u64 = 500;

/// Anchors what has grown, until stopped; then what is left.
pub async fn watch_over(cx: Context, stop: CancellationToken) {
    loop {
        let stopping = stop.is_cancelled();
        if let Err(error) = anchor_grown(&cx).await {
            tracing::warn!(%error, "lots could not be anchored");
        }
        if stopping {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Anchors what has grown since the last time.
pub async fn anchor_grown(cx: &Context) -> Result<()> {
    loop {
        let grown = anchor::grown(cx.db.read(), &cx.vault, BATCH).await?;
        let count = grown.len();
        if count > 0 {
            let tx = cx.db.begin().await?;
            anchor::put(&tx, grown).await?;
            tx.commit().await?;
        }
        if u64::try_from(count).is_ok_and(|count| count < BATCH) {
            return Ok(());
        }
    }
}
