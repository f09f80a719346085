use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use kernel::{Context, Error, Idempotency, Result};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wire::{id::BiddingSessionId, v1::AuctionEvent};

use crate::{
    lot::{
        command::{Answer, LotCommand, LotRequest},
        writer::{Sides, Writer},
    },
    store,
};

/// Commands waiting for one lot; a full queue makes callers wait.
const QUEUE: usize = 4_096;
/// Events kept for slow watchers of one lot.
const FEED: usize = 4_096;

/// Who holds it starts a lot's writer.
type Turn = tokio::sync::Mutex<()>;

/// The lots that have a writer in this process.
#[derive(Clone)]
pub struct LotRegistry {
    cx: Context,
    open: Arc<Mutex<HashMap<BiddingSessionId, LotHandle>>>,
    starting: Arc<Mutex<HashMap<BiddingSessionId, Weak<Turn>>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// The way to one lot's writer, and its feed.
#[derive(Clone)]
pub struct LotHandle {
    /// Where bids go.
    pub queue: mpsc::Sender<LotCommand>,
    /// Committed events.
    pub feed: broadcast::Sender<Arc<AuctionEvent>>,
    /// Who may not bid.
    pub sides: Arc<Sides>,
}

impl LotHandle {
    /// Sends a request to the lot's writer; the answer comes after the commit.
    pub async fn send(&self, request: LotRequest, keyed: Option<Idempotency>) -> Result<Answer> {
        let (answer, answered) = oneshot::channel();
        let command = LotCommand { request, keyed, answer };
        self.queue.send(command).await.map_err(|_| Error::Unavailable("the lot's writer stopped".into()))?;
        answered.await.map_err(|_| Error::Unavailable("outcome unknown".into()))?
    }
}

impl LotRegistry {
    /// No lot yet; `watch_over` opens those that time moves.
    #[must_use]
    pub fn new(cx: Context, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self { cx, open: Arc::default(), starting: Arc::default(), tasks, stop }
    }

    /// The lot's writer, started if it does not run. Nothing if there is no such session.
    pub async fn handle(&self, id: BiddingSessionId) -> Result<Option<LotHandle>> {
        match self.running(id) {
            Some(handle) => Ok(Some(handle)),
            // Boxed: what is rare takes no room in every call's future.
            None => Box::pin(self.start(id)).await,
        }
    }

    /// Starts it. Of all who come to a lot at once, one reads it, and the others wait for that one.
    async fn start(&self, id: BiddingSessionId) -> Result<Option<LotHandle>> {
        let turn = self.turn(id);
        let _turn = turn.lock().await;
        if let Some(handle) = self.running(id) {
            return Ok(Some(handle));
        }
        if self.stop.is_cancelled() {
            return Err(Error::Unavailable("stopping".into()));
        }
        let (feed, _) = broadcast::channel(FEED);
        let Some(writer) = Writer::load(self.cx.clone(), id, feed.clone()).await? else { return Ok(None) };
        let (queue, commands) = mpsc::channel(QUEUE);
        let handle = LotHandle { queue, feed, sides: Arc::new(writer.sides()) };
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(id, handle.clone());
        let (open, stop) = (self.open.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            writer.run(commands, stop).await;
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            if open.get(&id).is_some_and(|handle| handle.queue.is_closed()) {
                open.remove(&id);
            }
        });
        Ok(Some(handle))
    }

    fn turn(&self, id: BiddingSessionId) -> Arc<Turn> {
        let mut starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        starting.retain(|_, turn| turn.strong_count() > 0);
        let turn = starting.get(&id).and_then(Weak::upgrade).unwrap_or_default();
        starting.insert(id, Arc::downgrade(&turn));
        turn
    }

    fn running(&self, id: BiddingSessionId) -> Option<LotHandle> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(&id).filter(|handle| !handle.queue.is_closed()).cloned()
    }

    /// Keeps a writer on every lot that time will move, also after a restart, and takes over those whose
    /// process died. A lease is not needed for that: the fence makes two writers harmless.
    pub async fn watch_over(self) {
        while !self.stop.is_cancelled() {
            match store::open_sessions(self.cx.db.read()).await {
                Ok(ids) => {
                    for id in ids {
                        if let Err(error) = self.handle(id).await {
                            tracing::warn!(%id, %error, "a lot could not be opened");
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "open lots could not be listed"),
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(Duration::from_secs(2)) => {}
            }
        }
    }
}
