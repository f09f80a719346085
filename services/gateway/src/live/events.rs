//! A lot's events without holes: drawn once for all who watch by the same document.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use async_graphql::Result;
use futures::{
    FutureExt,
    stream::{self, BoxStream, StreamExt},
};
use kernel::Error;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Streaming;
use wire::{
    fault,
    v1::{AuctionEvent, AuctionFrame, BiddingSession, Lagged},
};

use super::{
    canvas::{Asked, Canvas, Drawn},
    listeners::{self, Audible, Listeners, Listening, Source},
    lot::Lot,
    outlet::Way,
    shelf::Ends,
};
use crate::edge::Door;

/// So many frames are kept, for who reads slowly and for who comes back. Who is further behind is told so, and goes on
/// from a snapshot.
const KEPT: usize = 256;
/// So many bytes of them: a document may make its frames as long as itself.
const KEPT_BYTES: usize = 512 * 1024;
/// Who resumes from further back is told so as well.
const CATCH_UP: i64 = 1_000;
/// Events read at a time for who resumes.
const PAGE: i64 = 64;
/// A snapshot is shown to all who come within this time, unless something has happened.
const FRESH: Duration = Duration::from_millis(250);

/// One lot's events by one document.
pub struct Feed {
    lot: Lot,
    canvas: Canvas,
    line: watch::Sender<Line>,
    listeners: Listeners,
    snapshot: Mutex<Option<Snapshot>>,
    /// Ends the reading with the last watcher.
    _reading: DropGuard,
}

/// The end of the log, drawn.
struct Line {
    /// The number of the last event told.
    last: i64,
    /// The events up to it, numbered without holes.
    kept: VecDeque<Drawn>,
    bytes: usize,
    /// Once the feed has ended: why, if there is a reason to tell.
    over: Option<Option<Drawn>>,
}

/// What comes for a watcher.
enum Next {
    Frame(Drawn),
    /// It is no longer kept; from this number on the events are.
    Hole(i64),
    Nothing,
    Over(Option<Drawn>),
}

impl Line {
    fn push(&mut self, drawn: Drawn) {
        self.last += 1;
        self.bytes += drawn.len();
        self.kept.push_back(drawn);
        while self.kept.len() > KEPT || (self.bytes > KEPT_BYTES && self.kept.len() > 1) {
            self.bytes -= self.kept.pop_front().map_or(0, |oldest| oldest.len());
        }
    }

    /// Nothing is kept before this number.
    fn skip(&mut self, last: i64) {
        (self.last, self.bytes) = (last, 0);
        self.kept.clear();
    }

    /// What comes for who was told everything up to a number.
    fn after(&self, seq: i64) -> Next {
        if seq >= self.last {
            return self.over.clone().map_or(Next::Nothing, Next::Over);
        }
        let first = self.last + 1 - i64::try_from(self.kept.len()).unwrap_or_default();
        let place = usize::try_from(seq + 1 - first).ok();
        place.and_then(|place| self.kept.get(place)).map_or(Next::Hole(first), |drawn| Next::Frame(drawn.clone()))
    }
}

struct Snapshot {
    seq: i64,
    drawn: Drawn,
    at: Instant,
}

impl Source for Feed {
    fn next(&self, told: i64) -> listeners::Next {
        match self.line.borrow().after(told) {
            Next::Frame(drawn) => listeners::Next::Frame(drawn, told + 1),
            Next::Nothing => listeners::Next::Nothing,
            Next::Hole(_) | Next::Over(_) => listeners::Next::Other,
        }
    }
}

impl Audible for Feed {
    fn listeners(&self) -> &Listeners {
        &self.listeners
    }
}

impl Ends for Feed {
    fn is_over(&self) -> bool {
        self.line.borrow().over.is_some()
    }
}

impl Feed {
    /// Begins to read the lot's feed.
    pub async fn open(door: &Arc<Door>, asked: &Asked, lot: Lot) -> Result<Arc<Feed>> {
        let (first, upstream) = lot.watch().await?;
        let reading = door.stop.child_token();
        let (line, grown) = watch::channel(Line { last: first.seq, kept: VecDeque::new(), bytes: 0, over: None });
        let feed = Arc::new(Feed {
            lot,
            canvas: Canvas::new(door, asked),
            line,
            listeners: Listeners::default(),
            snapshot: Mutex::default(),
            _reading: reading.clone().drop_guard(),
        });
        *feed.snapshot.lock().await = Some(feed.drawn(first).await?);
        door.tasks.spawn(read(Arc::downgrade(&feed), upstream, reading));
        listeners::tell(&door.tasks, &feed, &grown);
        Ok(feed)
    }

    async fn draw(&self, frame: AuctionFrame) -> Result<Drawn> {
        self.canvas.draw(Ok(frame)).await.ok_or_else(|| fault(&Error::Unavailable("the feed has ended".into())))
    }

    /// The state as it is, or as it was a moment ago if nothing has happened since.
    async fn snapshot(&self) -> Result<(i64, Drawn)> {
        let last = self.line.borrow().last;
        let mut kept = self.snapshot.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.seq >= last && kept.at.elapsed() < FRESH) {
            return Ok((kept.seq, kept.drawn.clone()));
        }
        let snapshot = self.drawn(self.lot.state().await?).await?;
        let shown = (snapshot.seq, snapshot.drawn.clone());
        *kept = Some(snapshot);
        Ok(shown)
    }

    async fn drawn(&self, state: BiddingSession) -> Result<Snapshot> {
        let seq = state.seq;
        let drawn = self.draw(AuctionFrame { snapshot: Some(state), ..AuctionFrame::default() }).await?;
        Ok(Snapshot { seq, drawn, at: Instant::now() })
    }

    /// Tells all who watch what the auction told.
    async fn tell(&self, told: AuctionFrame) -> Result<()> {
        match told {
            AuctionFrame { event: Some(event), .. } => {
                let last = self.line.borrow().last;
                if event.seq <= last {
                    return Ok(());
                }
                let (seq, drawn) = (event.seq, self.draw_event(event).await?);
                self.line.send_modify(|line| {
                    if seq != last + 1 {
                        line.skip(seq - 1);
                    }
                    line.push(drawn);
                });
            }
            // The auction found this gateway too slow: all who watch have missed something.
            AuctionFrame { snapshot: Some(snapshot), .. } => self.line.send_modify(|line| line.skip(snapshot.seq)),
            // A snapshot follows.
            AuctionFrame { .. } => {}
        }
        Ok(())
    }

    async fn draw_event(&self, event: AuctionEvent) -> Result<Drawn> {
        self.draw(AuctionFrame { event: Some(event), ..AuctionFrame::default() }).await
    }
}

/// Ends the feed, however its reading ends.
struct Ending(Weak<Feed>);

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(feed) = self.0.upgrade() {
            feed.line.send_modify(|line| line.over = line.over.take().or(Some(None)));
        }
    }
}

/// Reads the lot's feed until it ends, or nobody watches.
async fn read(feed: Weak<Feed>, mut upstream: Streaming<AuctionFrame>, reading: CancellationToken) {
    let _ending = Ending(feed.clone());
    loop {
        let told = tokio::select! {
            biased;
            () = reading.cancelled() => return,
            told = upstream.message() => told,
        };
        let Some(feed) = feed.upgrade() else { return };
        let failed = match told {
            Ok(Some(told)) => feed.tell(told).await.err(),
            Ok(None) => return,
            Err(status) => Some(fault(&Error::from(status))),
        };
        if let Some(error) = failed {
            let reason = feed.canvas.draw(Err(error)).await;
            feed.line.send_modify(|line| line.over = Some(reason));
            return;
        }
    }
}

/// One of those who watch.
struct Watcher {
    listening: Listening<Feed>,
    /// The number up to which this one has been told.
    last: i64,
    /// It has not yet been told all that came before it.
    resuming: bool,
    missing: VecDeque<AuctionEvent>,
    ready: VecDeque<Drawn>,
    /// Nothing comes after what is ready.
    over: bool,
}

/// What a new watcher gets: from a snapshot on, or from after a number.
pub async fn watch(feed: Arc<Feed>, after_seq: Option<i64>, way: Arc<Way>) -> Result<BoxStream<'static, Drawn>> {
    let listening = Listening::begin(feed, way);
    let (missing, ready) = (VecDeque::new(), VecDeque::new());
    let mut watcher = Watcher { listening, last: 0, resuming: true, missing, ready, over: false };
    match after_seq {
        Some(seq) => watcher.last = seq.max(0),
        None => watcher.show().await?,
    }
    Ok(stream::unfold(watcher, |mut watcher| async move { Some((watcher.next().await?, watcher)) }).boxed())
}

impl Watcher {
    async fn next(&mut self) -> Option<Drawn> {
        loop {
            if let Some(drawn) = self.ready.pop_front() {
                return Some(drawn);
            }
            if self.over {
                return None;
            }
            if let Err(error) = self.advance().await {
                // Whoever comes back after the last number misses nothing.
                self.ready.extend(self.listening.source.canvas.draw(Err(error)).boxed().await);
                self.over = true;
            }
        }
    }

    /// Makes the next frame ready, or waits for one.
    async fn advance(&mut self) -> Result<()> {
        if let Some(event) = self.missing.pop_front() {
            self.last = event.seq;
            self.ready.push_back(self.listening.source.draw_event(event).boxed().await?);
            return Ok(());
        }
        let next = self.listening.source.line.borrow().after(self.last);
        match next {
            Next::Frame(drawn) => {
                self.resuming = false;
                self.last += 1;
                self.ready.push_back(drawn);
            }
            Next::Hole(first) if self.resuming && first - self.last <= CATCH_UP => self.fetch(first).boxed().await?,
            Next::Hole(_) => self.lag().boxed().await?,
            Next::Over(reason) => {
                self.ready.extend(reason);
                self.over = true;
            }
            Next::Nothing => {
                self.resuming = false;
                self.listening.wait(&mut self.last).await;
            }
        }
        Ok(())
    }

    /// Reads events that are no longer kept, or never were.
    async fn fetch(&mut self, first: i64) -> Result<()> {
        let to_seq = (first - 1).min(self.last + PAGE);
        self.missing = self.listening.source.lot.events(self.last, to_seq).await?.into();
        let without_holes = (self.last + 1..=to_seq).eq(self.missing.iter().map(|event| event.seq));
        if without_holes { Ok(()) } else { Err(fault(&Error::Unavailable("the log is behind its feed".into()))) }
    }

    /// Says from where on something is left out, and shows the state.
    async fn lag(&mut self) -> Result<()> {
        let lagged = Some(Lagged { from_seq: self.last });
        self.ready.push_back(self.listening.source.draw(AuctionFrame { lagged, ..AuctionFrame::default() }).await?);
        self.show().await
    }

    async fn show(&mut self) -> Result<()> {
        let (seq, drawn) = self.listening.source.snapshot().await?;
        self.last = self.last.max(seq);
        self.ready.push_back(drawn);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(last: i64) -> Line {
        Line { last, kept: VecDeque::new(), bytes: 0, over: None }
    }

    #[test]
    fn what_is_kept_is_bounded_and_numbered() {
        let mut kept = line(10);
        assert!(matches!(kept.after(10), Next::Nothing));
        assert!(matches!(kept.after(9), Next::Hole(11)));
        for seq in 11..=700 {
            kept.push(seq.to_string().into());
        }
        assert_eq!(kept.kept.len(), KEPT);
        assert!(matches!(kept.after(444), Next::Frame(drawn) if drawn.as_str() == "445"));
        assert!(matches!(kept.after(443), Next::Hole(445)));
        assert!(matches!(kept.after(699), Next::Frame(drawn) if drawn.as_str() == "700"));
        assert!(matches!(kept.after(700), Next::Nothing));
        assert!(matches!(kept.after(900), Next::Nothing), "it waits");

        for _ in 0..100 {
            kept.push("x".repeat(60_000).into());
        }
        assert!(kept.bytes <= KEPT_BYTES && kept.kept.len() == KEPT_BYTES / 60_000);
        kept.push("x".repeat(KEPT_BYTES * 2).into());
        assert!(matches!(kept.after(800), Next::Frame(_)), "the last one is kept, whatever its length");
        kept.skip(900);
        assert!(matches!(kept.after(801), Next::Hole(901)));
        kept.over = Some(None);
        assert!(matches!(kept.after(900), Next::Over(None)));
    }
}
