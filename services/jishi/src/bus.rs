//! How events reach their consumers: directly, or over Redis Streams.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use kernel::{Bus, Consumer, Delivery, Error, Event, Peer, RedisBus};
use tokio::{sync::OnceCell, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Request, Response, Status};
use wire::{
    Clients,
    v1::{self, feed_client::FeedClient, feed_server::FeedServer},
};

use crate::{
    Result,
    config::Config,
    database::Databases,
    peers,
    roles::{Role, Roles},
};

/// The consumers of this process.
pub type Consumers = Vec<Arc<dyn Consumer>>;

/// The consumers that live in this process.
pub fn consumers(roles: &Roles, databases: &Databases, clients: &Clients) -> Result<Consumers> {
    let mut here: Consumers = Vec::new();
    if roles.has(Role::Identity) {
        here.push(identity::consumer(databases.context(Role::Identity)?));
    }
    if roles.has(Role::Catalog) {
        here.push(catalog::consumer(databases.context(Role::Catalog)?));
    }
    if roles.has(Role::Auction) {
        here.push(auction::consumer(clients.clone()));
    }
    if roles.has(Role::Contract) {
        here.push(contract::consumer(databases.context(Role::Contract)?));
    }
    if roles.has(Role::Ledger) {
        here.push(ledger::consumer(databases.context(Role::Ledger)?));
    }
    Ok(here)
}

/// How events leave this process; over Redis also how they come in, until stopped.
pub fn delivery(
    config: &Config,
    roles: &Roles,
    here: Consumers,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Arc<dyn Delivery>> {
    if let Some(url) = &config.redis_url {
        let stream = Arc::new(Stream { url: url.clone(), key: config.redis_stream.clone(), bus: OnceCell::new() });
        for consumer in here {
            tasks.spawn(consume(stream.clone(), consumer, stop.clone()));
        }
        return Ok(stream);
    }
    let mut all = here;
    for role in Role::CONSUMERS.into_iter().filter(|role| !roles.has(*role)) {
        all.push(Arc::new(Elsewhere { name: role.name(), feed: FeedClient::new(peers::remote(config, role)?) }));
    }
    Ok(Arc::new(Bus(all)))
}

/// Redis is only a carrier: while it is away the exchange works, and its events wait in the outbox.
struct Stream {
    url: String,
    key: String,
    bus: OnceCell<RedisBus>,
}

impl Stream {
    async fn bus(&self) -> kernel::Result<&RedisBus> {
        self.bus.get_or_try_init(|| RedisBus::connect(&self.url, &self.key)).await
    }
}

#[async_trait]
impl Delivery for Stream {
    async fn deliver(&self, event: &Event) -> kernel::Result<()> {
        self.bus().await?.deliver(event).await
    }
}

async fn consume(stream: Arc<Stream>, consumer: Arc<dyn Consumer>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match stream.bus().await {
            Ok(bus) => return bus.clone().consume(consumer, stop).await,
            Err(error) => tracing::warn!(consumer = consumer.name(), %error, "the event stream is away"),
        }
        tokio::select! {
            () = sleep(Duration::from_secs(1)) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// A consumer in another process.
struct Elsewhere {
    name: &'static str,
    feed: FeedClient<Peer>,
}

#[async_trait]
impl Consumer for Elsewhere {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn receive(&self, event: &Event) -> kernel::Result<()> {
        let event = serde_json::to_string(event).map_err(|error| Error::Internal(error.to_string()))?;
        let mut request = Request::new(v1::DeliverRequest { consumer: self.name.to_owned(), event });
        request.set_timeout(Duration::from_secs(10));
        self.feed.clone().deliver(request).await?;
        Ok(())
    }
}

/// Takes events for the consumers of this process.
pub struct Feed(Consumers);

impl Feed {
    /// The gRPC side of the consumers.
    pub fn serve(here: Consumers) -> FeedServer<Feed> {
        FeedServer::new(Feed(here))
    }
}

#[tonic::async_trait]
impl v1::feed_server::Feed for Feed {
    async fn deliver(&self, request: Request<v1::DeliverRequest>) -> Result<Response<v1::DeliverReply>, Status> {
        let v1::DeliverRequest { consumer, event } = request.into_inner();
        let Some(consumer) = self.0.iter().find(|here| here.name() == consumer) else {
            return Err(Status::unavailable(format!("{consumer} does not live here")));
        };
        let event: Event = serde_json::from_str(&event).map_err(|error| Error::Internal(error.to_string()))?;
        consumer.receive(&event).await?;
        Ok(Response::new(v1::DeliverReply {}))
    }
}
