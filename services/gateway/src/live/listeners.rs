//! Who waits for a feed's next frames. The feed tells them itself, one after the other, in as many tasks as there are threads:
//! to wake thousands of conversations for one event would cost as much again as the sending. What needs more than a frame, and
//! whoever reads slowly, is left to the conversation.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicI64, AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use axum::extract::ws::Message;
use futures::{future::poll_fn, task::AtomicWaker};
use metrics::Counter;
use tokio::{runtime::Handle, sync::watch};
use tokio_util::task::TaskTracker;

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

/// A source with those who listen to it.
pub trait Audible: Source + Send + Sync + 'static {
    fn listeners(&self) -> &Listeners;
}

/// Tells all who listen, as often as there is news, until nobody holds the source: each row in a task of its own.
pub fn tell<S: Audible, T: Send + Sync + 'static>(tasks: &TaskTracker, source: &Arc<S>, news: &watch::Receiver<T>) {
    for row in 0..source.listeners().rows {
        tasks.spawn(tell_row(Arc::downgrade(source), row, news.clone()));
    }
}

async fn tell_row<S: Audible, T>(source: Weak<S>, row: u64, mut news: watch::Receiver<T>) {
    while news.changed().await.is_ok() {
        let Some(source) = source.upgrade() else { return };
        source.listeners().tell(row, &*source).await;
    }
}

/// A conversation's part in listening. It goes with its end, and holds the source until then.
pub struct Listening<S: Audible> {
    pub source: Arc<S>,
    listener: Arc<Listener>,
}

impl<S: Audible> Listening<S> {
    /// Somebody comes; the conversation tells what was before.
    pub fn begin(source: Arc<S>, way: Arc<Way>) -> Listening<S> {
        let listener = source.listeners().join(way);
        Listening { source, listener }
    }

    /// Waits until there is something for the conversation to see to. `told` follows what the feed told meanwhile.
    pub async fn wait(&self, told: &mut i64) {
        poll_fn(|cx| self.listener.poll_wait(told, &*self.source, cx)).await;
    }
}

impl<S: Audible> Drop for Listening<S> {
    fn drop(&mut self) {
        self.source.listeners().leave(&self.listener);
    }
}

/// One who listens.
struct Listener {
    id: u64,
    way: Arc<Way>,
    /// Up to which number it was told, while it waits for what comes next; or who is at it.
    told: AtomicI64,
    waker: AtomicWaker,
}

impl Listener {
    fn poll_wait(&self, told: &mut i64, source: &impl Source, cx: &Context<'_>) -> Poll<()> {
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
    /// Each is told by a task of its own.
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
    fn join(&self, way: Arc<Way>) -> Arc<Listener> {
        let id = self.next_id.fetch_add(1, SeqCst);
        let listener = Arc::new(Listener { id, way, told: AtomicI64::new(BUSY), waker: AtomicWaker::new() });
        self.places().insert(id, listener.clone());
        listener
    }

    /// Somebody goes: nothing is told from here on.
    fn leave(&self, listener: &Listener) {
        listener.told.store(GONE, SeqCst);
        self.places().remove(&listener.id);
    }

    /// Tells those in a row what is new to them.
    async fn tell(&self, row: u64, source: &impl Source) {
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

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::AtomicUsize,
        task::{Wake, Waker},
    };

    use futures::{FutureExt, SinkExt, channel::mpsc};

    use super::*;
    use crate::live::outlet::Outlet;

    /// Everything up to a number; whoever asks for what comes after one is noticed.
    struct Numbers<F: Fn(i64)>(i64, F);

    impl<F: Fn(i64)> Source for Numbers<F> {
        fn next(&self, told: i64) -> Next {
            (self.1)(told);
            if told < self.0 { Next::Frame((told + 1).to_string().into(), told + 1) } else { Next::Nothing }
        }
    }

    fn up_to(last: i64) -> Numbers<impl Fn(i64)> {
        Numbers(last, |_| ())
    }

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    /// A conversation that waits.
    struct Waits {
        listener: Arc<Listener>,
        told: i64,
        wakes: Arc<Wakes>,
        outlet: Arc<Outlet>,
        heard: mpsc::Receiver<Message>,
    }

    impl Waits {
        /// Over a socket that takes one frame more than this.
        fn on(listeners: &Listeners, room: usize) -> Waits {
            let (sink, heard) = mpsc::channel(room);
            let outlet = Outlet::new(sink.sink_map_err(axum::Error::new));
            let listener = listeners.join(Way::new(&outlet, "s"));
            let mut waits = Waits { listener, told: 0, wakes: Arc::default(), outlet, heard };
            assert!(waits.poll(&up_to(0)).is_pending());
            waits
        }

        fn poll(&mut self, source: &impl Source) -> Poll<()> {
            let waker = Waker::from(self.wakes.clone());
            self.listener.poll_wait(&mut self.told, source, &Context::from_waker(&waker))
        }

        fn heard(&mut self) -> Vec<String> {
            let text =
                |message| if let Message::Text(text) = message { text.to_string() } else { panic!("{message:?}") };
            std::iter::from_fn(|| self.heard.try_recv().ok().map(text)).collect()
        }

        fn wakes(&self) -> usize {
            self.wakes.0.swap(0, SeqCst)
        }
    }

    fn frame(number: i64) -> String {
        format!("{{\"type\":\"next\",\"id\":\"s\",\"payload\":{number}}}")
    }

    #[tokio::test]
    async fn who_waits_is_told_and_who_is_busy_is_woken() {
        let listeners = Listeners::default();
        let mut one = Waits::on(&listeners, 8);
        listeners.tell(0, &up_to(2)).await;
        listeners.tell(0, &up_to(2)).await;
        assert_eq!((one.heard(), one.wakes()), (vec![frame(1), frame(2)], 0));
        assert!(one.poll(&up_to(2)).is_pending());
        assert_eq!(one.told, 2);
        // Now it is at it itself.
        assert!(one.poll(&up_to(3)).is_ready());
        listeners.tell(0, &up_to(4)).await;
        assert_eq!((one.heard(), one.wakes()), (vec![], 1));
        one.told = 4;
        assert!(one.poll(&up_to(4)).is_pending());
        listeners.tell(0, &up_to(5)).await;
        assert_eq!((one.heard(), one.wakes()), (vec![frame(5)], 0));
        listeners.leave(&one.listener);
        listeners.tell(0, &up_to(6)).await;
        assert_eq!(one.heard(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_socket_without_room_is_left_to_its_conversation() {
        let listeners = Listeners::default();
        let mut full = Waits::on(&listeners, 0);
        listeners.tell(0, &up_to(3)).await;
        assert_eq!((full.heard(), full.wakes()), (vec![frame(1)], 1), "what came is told, and the rest is not taken");
        assert!(full.outlet.stuck().now_or_never().is_some(), "it is not known to be on the wire");
        assert!(full.poll(&up_to(3)).is_ready());
        assert_eq!(full.told, 1);
        // While the conversation sends, nothing overtakes it.
        let mut other = Waits::on(&listeners, 0);
        let outlet = other.outlet.clone();
        let mut more = Some(Message::Text("b".into()));
        let mut sending = Box::pin(outlet.send(Message::Text("a".into()), || more.take()));
        assert!(futures::poll!(&mut sending).is_pending());
        listeners.tell(0, &up_to(1)).await;
        assert_eq!((other.heard(), other.wakes()), (vec!["a".to_owned()], 1));
    }

    #[tokio::test]
    async fn while_the_feed_is_at_it_the_conversation_waits() {
        let listeners = Listeners::default();
        let one = Mutex::new(Waits::on(&listeners, 8));
        let at_it = Numbers(2, |told| {
            if told == 1 {
                assert!(one.lock().unwrap().poll(&up_to(2)).is_pending());
            }
        });
        listeners.tell(0, &at_it).await;
        assert_eq!(one.lock().unwrap().heard(), [frame(1), frame(2)]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn each_row_is_told() {
        let listeners = Listeners::default();
        let mut all: Vec<Waits> = (0..7).map(|_| Waits::on(&listeners, 8)).collect();
        assert_eq!(listeners.rows, 3);
        for row in 0..listeners.rows {
            listeners.tell(row, &up_to(1)).await;
        }
        for one in &mut all {
            assert_eq!(one.heard(), [frame(1)]);
        }
    }
}
