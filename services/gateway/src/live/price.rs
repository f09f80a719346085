//! A lot's state as it changes, but not all the time: who watches gets the latest one, never all of them.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use async_graphql::Result;
use futures::stream::{self, BoxStream, StreamExt};
use kernel::Error;
use tokio::{
    sync::{Mutex, watch},
    time::sleep_until,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Streaming;
use wire::{
    fault,
    v1::{AuctionFrame, BiddingSession},
};

use super::{
    canvas::{Asked, Canvas, Drawn},
    listeners::{self, Audible, Listeners, Listening, Next, Source},
    lot::Lot,
    outlet::Way,
    shelf::Ends,
};
use crate::edge::Door;

/// Between two states of one lot: with the time it takes to tell thousands, no price stands for more than 250 ms after it
/// was overtaken.
const PAUSE: Duration = Duration::from_millis(150);
/// Without any change the state comes again after this time: who watches knows that the line holds, and the time.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// One lot's state by one document.
pub struct Price {
    lot: Lot,
    canvas: Canvas,
    made: Mutex<Made>,
    latest: watch::Sender<Latest>,
    listeners: Listeners,
    /// Ends the reading with the last watcher.
    _reading: DropGuard,
}

/// The state that was made last.
struct Made {
    drawn: Drawn,
    at: Instant,
}

/// What was told to all last.
struct Latest {
    drawn: Drawn,
    /// Counts what was told.
    number: i64,
    /// Nothing comes after it.
    over: bool,
}

impl Source for Price {
    fn next(&self, told: i64) -> Next {
        let latest = self.latest.borrow();
        match latest.number > told {
            true => Next::Frame(latest.drawn.clone(), latest.number),
            false if latest.over => Next::Other,
            false => Next::Nothing,
        }
    }
}

impl Audible for Price {
    fn listeners(&self) -> &Listeners {
        &self.listeners
    }
}

impl Ends for Price {
    fn is_over(&self) -> bool {
        self.latest.borrow().over
    }
}

impl Price {
    /// Begins to read the lot's feed.
    pub async fn open(door: &Arc<Door>, asked: &Asked, lot: Lot) -> Result<Arc<Price>> {
        let (first, upstream) = lot.watch().await?;
        let canvas = Canvas::new(door, asked);
        let drawn = draw(&canvas, first).await?;
        let reading = door.stop.child_token();
        let (latest, news) = watch::channel(Latest { drawn: drawn.clone(), number: 0, over: false });
        let price = Arc::new(Price {
            lot,
            canvas,
            made: Mutex::new(Made { drawn, at: Instant::now() }),
            latest,
            listeners: Listeners::default(),
            _reading: reading.clone().drop_guard(),
        });
        door.tasks.spawn(read(Arc::downgrade(&price), upstream, reading));
        listeners::tell(&door.tasks, &price, &news);
        Ok(price)
    }

    /// Tells everybody the state as it is, unless one was made a moment ago; then, when to ask again.
    async fn tell(&self) -> Result<Option<Instant>> {
        let mut made = self.made.lock().await;
        let next = made.at + PAUSE;
        if next > Instant::now() {
            return Ok(Some(next));
        }
        self.make(&mut made).await?;
        self.say(made.drawn.clone(), false);
        Ok(None)
    }

    fn say(&self, drawn: Drawn, over: bool) {
        self.latest.send_modify(|latest| *latest = Latest { drawn, number: latest.number + 1, over });
    }

    async fn make(&self, made: &mut Made) -> Result<()> {
        let drawn = draw(&self.canvas, self.lot.state().await?).await?;
        *made = Made { drawn, at: Instant::now() };
        Ok(())
    }

    /// The last word.
    async fn fail(&self, error: async_graphql::Error) {
        if let Some(drawn) = self.canvas.draw(Err(error)).await {
            self.say(drawn, true);
        }
    }
}

async fn draw(canvas: &Canvas, state: BiddingSession) -> Result<Drawn> {
    let frame = AuctionFrame { snapshot: Some(state), ..AuctionFrame::default() };
    canvas.draw(Ok(frame)).await.ok_or_else(|| fault(&Error::Unavailable("the feed has ended".into())))
}

/// Ends the feed, however its reading ends.
struct Ending(Weak<Price>);

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(price) = self.0.upgrade() {
            // Whoever waits is woken, and finds that there was nothing new and will be nothing.
            price.latest.send_modify(|latest| latest.over = true);
        }
    }
}

/// Reads the lot's feed until it ends, or nobody watches. What the events say is not told: that there was one is
/// enough to look at the lot.
async fn read(price: Weak<Price>, mut upstream: Streaming<AuctionFrame>, reading: CancellationToken) {
    let _ending = Ending(price.clone());
    let mut due = Instant::now() + HEARTBEAT;
    loop {
        let frame = tokio::select! {
            biased;
            () = reading.cancelled() => return,
            frame = upstream.message() => Some(frame),
            () = sleep_until(due.into()) => None,
        };
        let Some(price) = price.upgrade() else { return };
        let told = match frame {
            None => price.tell().await.map(|again| due = again.unwrap_or_else(|| Instant::now() + HEARTBEAT)),
            Some(Ok(Some(_))) => {
                due = due.min(Instant::now());
                continue;
            }
            Some(Ok(None)) => return,
            Some(Err(status)) => Err(fault(&Error::from(status))),
        };
        if let Err(error) = told {
            price.fail(error).await;
            return;
        }
    }
}

/// What a new watcher gets: the state as it is, and each that is told to all from then on.
pub async fn watch(price: Arc<Price>, way: Arc<Way>) -> Result<BoxStream<'static, Drawn>> {
    let mut made = price.made.lock().await;
    if made.at.elapsed() >= PAUSE {
        // Only for who comes now and soon: the others have been told all that happened.
        price.make(&mut made).await?;
    }
    let (first, told) = (Some(made.drawn.clone()), price.latest.borrow().number);
    drop(made);
    let watcher = Watcher { listening: Listening::begin(price, way), told, first };
    Ok(stream::unfold(watcher, |mut watcher| async move { Some((watcher.next().await?, watcher)) }).boxed())
}

/// One of those who watch.
struct Watcher {
    listening: Listening<Price>,
    /// The number of what this one was told last.
    told: i64,
    first: Option<Drawn>,
}

impl Watcher {
    async fn next(&mut self) -> Option<Drawn> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            match self.listening.source.next(self.told) {
                Next::Frame(drawn, number) => {
                    self.told = number;
                    return Some(drawn);
                }
                Next::Other => return None,
                Next::Nothing => self.listening.wait(&mut self.told).await,
            }
        }
    }
}
