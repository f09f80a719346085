//! Who waits for a feed's next frames. The feed tells them itself, one after the other, in as many tasks as there are threads:
//! to wake thousands of conversations for one event would cost as much again as the sending. What needs more than a frame, and
//! whoever reads slowly, is left to the conversation.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use axum::extract::ws::Message;
use futures::task::AtomicWaker;
use metrics::Counter;
use tokio::runtime::Handle;

use super::{canvas::Drawn, outlet::Way};

/// The conversation is at it.
const BUSY: i64 = -1;
/// The feed is at it.
const TELLING: i64 = -2;
/// It listens no more.
const GONE: i64 = -3;
/// After so many the others on this thread have their turn.
const TURN: usize = 128;

/// What a feed has for somebody who was told everything up to a number.
pub enum Next {
    /// This, and then everything up to that number was told.
    Frame(Drawn, i64),
    /// Nothing yet.
    Nothing,
    /// What is no frame that all see alike: the conversation asks for it.
    Other,
}

/// What is told.
pub trait Source {
    /// What comes after this number, which is not negative.
    fn next(&self, told: i64) -> Next;
}

/// One who listens.
pub struct Listener {
    id: u64,
    way: Arc<Way>,
    /// Up to which number it was told, while it waits for what comes next; or who is at it.
    told: AtomicI64,
    waker: AtomicWaker,
}

impl Listener {
    /// Waits until there is something for the conversation to see to. `told` follows what the feed told meanwhile.
    pub fn poll_wait(&self, told: &mut i64, source: &impl Source, cx: &Context<'_>) -> Poll<()> {
        self.waker.register(cx.waker());
        let waits = self.told.compare_exchange(BUSY, *told, SeqCst, SeqCst);
        let mut at = waits.map_or_else(|at| at, |_| *told);
        // Negative: the feed is at it, and looks again when it has told what it had.
        while at >= 0 {
            *told = at;
            if matches!(source.next(at), Next::Nothing) {
                break;
            }
            match self.told.compare_exchange(at, BUSY, SeqCst, SeqCst) {
                Ok(_) => return Poll::Ready(()),
                Err(now) => at = now,
            }
        }
        Poll::Pending
    }

    /// Tells what comes next, or wakes the conversation; how many frames were told.
    fn tell(&self, source: &impl Source) -> u64 {
        let at = self.told.load(SeqCst);
        let (mut told, mut count) = (at, 0);
        if at >= 0 {
            match source.next(at) {
                Next::Nothing => return 0,
                Next::Frame(..) => self.way.outlet.try_send(|| self.take(at, source, (&mut told, &mut count))),
                Next::Other => {}
            }
        }
        if count > 0 {
            let is_gone = self.told.compare_exchange(TELLING, told, SeqCst, SeqCst).is_err();
            if is_gone || matches!(source.next(told), Next::Nothing) {
                return count;
            }
        }
        self.waker.wake();
        count
    }

    /// The next frame, if nobody else is at it.
    fn take(&self, at: i64, source: &impl Source, (told, count): (&mut i64, &mut u64)) -> Option<Message> {
        let Next::Frame(drawn, next) = source.next(*told) else { return None };
        if *count == 0 && self.told.compare_exchange(at, TELLING, SeqCst, SeqCst).is_err() {
            return None;
        }
        (*told, *count) = (next, *count + 1);
        Some(self.way.message(&drawn))
    }
}

/// All who listen to one feed.
pub struct Listeners {
    places: Mutex<BTreeMap<u64, Arc<Listener>>>,
    next_id: AtomicU64,
    rows: u64,
    frames: Counter,
}

impl Default for Listeners {
    fn default() -> Listeners {
        Listeners {
            places: Mutex::default(),
            next_id: AtomicU64::default(),
            rows: Handle::current().metrics().num_workers() as u64,
            frames: metrics::counter!("live_frames_total"),
        }
    }
}

impl Listeners {
    /// Somebody comes; the conversation tells what was before.
    pub fn join(&self, way: Arc<Way>) -> Arc<Listener> {
        let id = self.next_id.fetch_add(1, SeqCst);
        let listener = Arc::new(Listener { id, way, told: AtomicI64::new(BUSY), waker: AtomicWaker::new() });
        self.places().insert(id, listener.clone());
        listener
    }

    /// Somebody goes: nothing is told from here on.
    pub fn leave(&self, listener: &Listener) {
        listener.told.store(GONE, SeqCst);
        self.places().remove(&listener.id);
    }

    /// Those in a row are told by a task of its own.
    pub fn rows(&self) -> Range<u64> {
        0..self.rows
    }

    /// Tells those in a row what is new to them.
    pub async fn tell(&self, row: u64, source: &impl Source) {
        let all: Vec<_> = self.places().values().filter(|who| who.id % self.rows == row).cloned().collect();
        for some in all.chunks(TURN) {
            self.frames.increment(some.iter().map(|listener| listener.tell(source)).sum());
            tokio::task::yield_now().await;
        }
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Listener>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
