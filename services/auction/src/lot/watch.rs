//! The live feed of one session: a snapshot, then every event with consecutive numbers.

use std::{pin::Pin, sync::Arc};

use futures::{Stream, StreamExt, stream};
use kernel::{Context, Error, Id, Result};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use wire::{
    id::BiddingSessionId,
    v1::{AuctionEvent, AuctionFrame, Lagged, WatchRequest},
};

use crate::{
    auctions::Auctions,
    store::{self, log},
};

/// What a watcher gets.
pub type Frames = Pin<Box<dyn Stream<Item = Result<AuctionFrame, Status>> + Send>>;

/// A watcher further behind than this is told so and begins again from a snapshot.
const CATCH_UP: u64 = 1_000;

struct Watcher {
    cx: Context,
    id: BiddingSessionId,
    feed: Receiver<Arc<AuctionEvent>>,
    last: i64,
    ready: std::collections::VecDeque<AuctionFrame>,
}

/// Opens the feed. The subscription comes first and the reads after, so that nothing falls between.
pub async fn watch(auctions: &Auctions, wanted: WatchRequest, stop: CancellationToken) -> Result<Frames> {
    let id = BiddingSessionId::parse(&wanted.session_id, "sessionId")?;
    let Some(handle) = auctions.lots.handle(id).await? else { return Err(Error::not_found("sessionId")) };
    let feed = handle.feed.subscribe();
    let mut watcher = Watcher { cx: auctions.cx.clone(), id, feed, last: 0, ready: std::collections::VecDeque::new() };
    match wanted.after_seq {
        Some(seq) => {
            watcher.last = seq;
            watcher.catch_up().await?;
        }
        None => watcher.snapshot().await?,
    }
    let frames = stream::unfold(watcher, |mut watcher| async move {
        let frame = watcher.next().await?;
        Some((frame.map_err(Status::from), watcher))
    });
    let ended = stream::once(async { Err(Status::unavailable("shutting down")) });
    Ok(Box::pin(frames.take_until(stop.clone().cancelled_owned()).chain(ended.filter(move |_| {
        let stopping = stop.is_cancelled();
        async move { stopping }
    }))))
}

impl Watcher {
    async fn next(&mut self) -> Option<Result<AuctionFrame>> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(Ok(frame));
            }
            let caught_up = match self.feed.recv().await {
                Ok(event) if event.seq <= self.last => continue,
                Ok(event) if event.seq == self.last + 1 => {
                    self.push((*event).clone());
                    continue;
                }
                Ok(_) | Err(RecvError::Lagged(_)) => self.catch_up().await,
                // The lot is closed and its writer has left: what is in the log is all there will be.
                Err(RecvError::Closed) => {
                    if let Err(error) = self.catch_up().await {
                        return Some(Err(error));
                    }
                    return self.ready.pop_front().map(Ok);
                }
            };
            if let Err(error) = caught_up {
                return Some(Err(error));
            }
        }
    }

    fn push(&mut self, event: AuctionEvent) {
        self.last = event.seq;
        self.ready.push_back(AuctionFrame { event: Some(event), ..AuctionFrame::default() });
    }

    /// Reads what the feed did not give; too much of it becomes `Lagged` and a fresh snapshot.
    async fn catch_up(&mut self) -> Result<()> {
        let missed = log::events(self.cx.db.read(), self.id, self.last, CATCH_UP + 1).await?;
        if missed.len() as u64 > CATCH_UP {
            let lagged = Lagged { from_seq: self.last };
            self.ready.push_back(AuctionFrame { lagged: Some(lagged), ..AuctionFrame::default() });
            return self.snapshot().await;
        }
        for event in missed {
            self.push(event);
        }
        Ok(())
    }

    async fn snapshot(&mut self) -> Result<()> {
        let row = store::session(self.cx.db.read(), &self.cx.vault, self.id).await?;
        let row = row.ok_or_else(|| Error::Internal(format!("{} is gone", self.id.text())))?;
        self.last = row.seq;
        let snapshot = row.shown(self.cx.clock.now())?;
        self.ready.push_back(AuctionFrame { snapshot: Some(snapshot), ..AuctionFrame::default() });
        Ok(())
    }
}
