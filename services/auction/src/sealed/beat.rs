//! The beat at which the boxes of sealed envelopes are written anew (promise P-3).

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use kernel::Result;
use tokio::time::MissedTickBehavior;
use wire::{id::BiddingSessionId, v1::BiddingStatus};

use crate::{
    auctions::Auctions,
    sealed::{
        boxes::{BEAT, Waiting, rewrite},
        ceremony,
    },
    store::sealed,
};

/// How many boxes are written at once.
const AT_ONCE: usize = 8;

/// Beats until stopped.
pub async fn watch_over(auctions: Auctions) {
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = auctions.stop.cancelled() => return,
            _ = beat.tick() => {}
        }
        let mut waiting = auctions.boxes.drain();
        let mut ids: BTreeSet<_> = waiting.keys().copied().collect();
        match sealed::boxes(auctions.cx.db.read()).await {
            Ok(live) => ids.extend(live),
            Err(error) => tracing::warn!(%error, "boxes could not be listed"),
        }
        let work: Vec<_> = ids.into_iter().map(|id| (id, waiting.remove(&id).unwrap_or_default())).collect();
        stream::iter(work)
            .for_each_concurrent(AT_ONCE, |(id, waiting)| {
                let tended = tend(&auctions, id, waiting);
                async move {
                    // Whoever waits asks again.
                    if let Err(error) = tended.await {
                        tracing::warn!(%id, %error, "a box could not be tended");
                    }
                }
            })
            .await;
    }
}

/// What one beat does for one lot.
async fn tend(auctions: &Auctions, id: BiddingSessionId, waiting: Vec<Waiting>) -> Result<()> {
    if rewrite(&auctions.cx, id, waiting).await? == Some(BiddingStatus::Opening) {
        // A process that died while it opened the envelopes left the rest to us.
        ceremony::open(auctions, id).await?;
    }
    Ok(())
}
