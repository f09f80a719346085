//! How a subscription begins: judged and charged like any request, then led to the feed of all who watch the same.

use std::sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed};

use async_graphql::{Context, Request, Response, Result, Value, parser::types::OperationType};
use futures::{
    FutureExt, StreamExt,
    future::ready,
    stream::{BoxStream, empty, once, poll_fn},
};
use kernel::Error;
use tokio::sync::mpsc;
use wire::{fault, v1::AuctionFrame};

use super::{
    Visit,
    audience::Audience,
    beginning::beginning,
    canvas::{Asked, Drawn, Frame, written},
    events,
    lot::Lot,
    outlet::Way,
    price,
    shelf::Key,
};
use crate::{
    cost,
    edge::Door,
    fault::{invalid, refusal},
};

/// Subscriptions at a time over one socket.
const SUBSCRIPTIONS: usize = 20;

/// What a live field was asked for.
pub enum Wanted {
    /// Every event, from a snapshot on or after a number.
    Events(Option<i64>),
    /// The state as it changes.
    Price,
}

/// In which part a live field is executed.
pub enum Part {
    /// Somebody comes to watch.
    Comes(Coming),
    /// Frames are to be drawn.
    Draws(Mutex<Option<mpsc::Receiver<Frame>>>),
}

/// Somebody who comes to watch, and what is shown to them.
pub struct Coming {
    door: Arc<Door>,
    asked: Arc<Asked>,
    document: [u8; 32],
    way: Arc<Way>,
    shown: Arc<Mutex<Option<BoxStream<'static, Drawn>>>>,
}

impl From<mpsc::Receiver<Frame>> for Part {
    fn from(source: mpsc::Receiver<Frame>) -> Part {
        Part::Draws(Mutex::new(Some(source)))
    }
}

/// The frames that a live field resolves: none for who comes, since others are drawing them already.
pub async fn frames(
    ctx: &Context<'_>,
    session_id: String,
    wanted: Wanted,
) -> Result<BoxStream<'static, Result<AuctionFrame>>> {
    match ctx.data::<Part>()? {
        Part::Comes(coming) => coming.join(session_id, wanted).await.map(|()| empty().boxed()),
        Part::Draws(source) => {
            let source = source.lock().unwrap_or_else(PoisonError::into_inner).take();
            let mut source = source.ok_or_else(|| fault(&Error::Internal("a canvas is spread once".into())))?;
            Ok(poll_fn(move |cx| source.poll_recv(cx)).boxed())
        }
    }
}

impl Coming {
    async fn join(&self, session_id: String, wanted: Wanted) -> Result<()> {
        let Coming { door, asked, document, way, shown } = self;
        let key = Key { document: *document, audience: asked.audience, session_id: session_id.clone() };
        let lot = Lot { auction: door.clients.auction.clone(), session_id };
        let stream = match wanted {
            Wanted::Events(after_seq) => {
                let feed = door.live.events.feed(key, || events::Feed::open(door, asked, lot)).await?;
                events::watch(feed, after_seq, way.clone()).await?
            }
            Wanted::Price => {
                let feed = door.live.prices.feed(key, || price::Price::open(door, asked, lot)).await?;
                price::watch(feed, way.clone()).await?
            }
        };
        *shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
        Ok(())
    }
}

/// What a visitor gets for a request, but for what the feed tells by itself on the same way.
pub fn subscribed(visit: &Arc<Visit>, request: Request, way: Arc<Way>) -> BoxStream<'static, Drawn> {
    let trace = kernel::fresh_uuid().to_string();
    let Some(place) = Place::taken(visit) else {
        let error = refusal("TOO_MANY_SUBSCRIPTIONS", "订阅过多。 Too many subscriptions over one socket.");
        return only(written(Response::from_errors(vec![error]), &trace));
    };
    let visit = visit.clone();
    let opened = async move {
        match admitted(&visit, request, &trace).await {
            Ok((asked, document)) => come(&visit.door, asked, (document, way)).await,
            Err(refused) => only(written(refused, &trace)),
        }
    };
    // Boxed, so that its room is free once the feed is found.
    once(opened.boxed())
        .flatten()
        .inspect(move |_| {
            let _place = &place;
        })
        .boxed()
}

/// Judges the request and takes its price; then what is asked, and by which document.
async fn admitted(visit: &Visit, mut request: Request, trace: &str) -> Result<(Asked, [u8; 32]), Response> {
    let error = |error| Response::from_errors(vec![error]);
    let (actor, door) = (visit.actor(), &visit.door);
    let charge = door.meter.charge(&actor, request.query.len());
    charge.rested().map_err(error)?;
    let weighed = match door.operations.admit(&mut request) {
        Ok(outline) if outline.kind != OperationType::Subscription => Err(refused_kind()),
        // More would be one price for many feeds.
        Ok(outline) if outline.roots.len() != 1 => {
            Err(error(invalid("一次订阅一个字段。 A subscription has one root field.")))
        }
        Ok(_) => door.gauge.weigh(&mut request).await,
        Err(refused) => Err(error(refused)),
    };
    charge.take(weighed.as_ref().map_or(1, |points| (*points).max(1))).await.map_err(error)?;
    weighed?;
    let document = request.parsed_query().map_err(error)?.clone();
    let audience = Audience::of(&document, &actor);
    let variables = request.variables.clone();
    let beginning = beginning(&document);
    if let Some(beginning) = &beginning {
        request.variables.insert(beginning.clone(), Value::from(0));
    }
    let key = cost::key(&request);
    let (operation_name, trace) = (request.operation_name, trace.to_owned());
    Ok((Asked { document, operation_name, variables, beginning, trace, actor, audience }, key))
}

/// Leads somebody to what they asked for, or tells why not.
async fn come(door: &Arc<Door>, asked: Asked, (document, way): ([u8; 32], Arc<Way>)) -> BoxStream<'static, Drawn> {
    let (asked, shown) = (Arc::new(asked), Arc::default());
    let coming = Coming { door: door.clone(), asked: asked.clone(), document, way, shown: Arc::clone(&shown) };
    let refused = door.schema.execute_stream(asked.request(Part::Comes(coming))).next().await;
    let shown = shown.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (shown, refused) {
        (Some(shown), _) => shown,
        (None, Some(refused)) => only(written(refused, &asked.trace)),
        (None, None) => empty().boxed(),
    }
}

fn only(drawn: Drawn) -> BoxStream<'static, Drawn> {
    once(ready(drawn)).boxed()
}

fn refused_kind() -> Response {
    let error = invalid("此连接只接受订阅。 Only subscriptions run over WebSocket; POST the rest to /graphql.");
    Response::from_errors(vec![error])
}

/// A subscription's place among the visit's; freed on drop.
struct Place(Arc<Visit>);

impl Place {
    fn taken(visit: &Arc<Visit>) -> Option<Place> {
        let place = Place(visit.clone());
        (visit.open.fetch_add(1, Relaxed) < SUBSCRIPTIONS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}
