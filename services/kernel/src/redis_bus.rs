//! Events over Redis Streams: one stream, one consumer group per service. Redis is a carrier only; the
//! outbox keeps every event, and an event counts as published when the stream has it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use redis::{
    AsyncCommands,
    aio::{ConnectionManager, ConnectionManagerConfig},
    streams::{StreamReadOptions, StreamReadReply},
};
use tokio_util::sync::CancellationToken;

use crate::{Consumer, Delivery, Error, Event, Result};

/// The stream's connection.
#[derive(Clone)]
pub struct RedisBus {
    client: redis::Client,
    connection: ConnectionManager,
    stream: String,
}

impl From<redis::RedisError> for Error {
    fn from(error: redis::RedisError) -> Error {
        Error::Unavailable(format!("redis: {error}"))
    }
}

impl RedisBus {
    /// Connects; `stream` is the stream's key, so that several exchanges may share one server.
    pub async fn connect(url: &str, stream: &str) -> Result<RedisBus> {
        let client = redis::Client::open(url)?;
        let connection = ConnectionManager::new(client.clone()).await?;
        Ok(RedisBus { client, connection, stream: stream.into() })
    }

    /// Feeds one consumer from its group until stopped. Unacknowledged events of an earlier life of this
    /// consumer come first; a failed one stays pending and is tried again.
    pub async fn consume(self, consumer: Arc<dyn Consumer>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.consume_some(&*consumer, &stop).await {
                tracing::warn!(consumer = consumer.name(), %error, "the event stream is away");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }

    async fn consume_some(&self, consumer: &dyn Consumer, stop: &CancellationToken) -> Result<()> {
        // A blocking read holds its connection, so it has its own.
        // Its answers may take as long as the read blocks, which is longer than the default limit on a busy machine.
        let patient = ConnectionManagerConfig::new().set_response_timeout(Some(Duration::from_secs(10)));
        let mut own = ConnectionManager::new_with_config(self.client.clone(), patient).await?;
        let made: redis::RedisResult<()> = own.xgroup_create_mkstream(&self.stream, consumer.name(), "0").await;
        if let Err(error) = made
            && error.code() != Some("BUSYGROUP")
        {
            return Err(error.into());
        }
        let options = || StreamReadOptions::default().group(consumer.name(), "only").count(64);
        loop {
            // "0" reads what is pending for us, ">" what is new.
            let pending: StreamReadReply = own.xread_options(&[&self.stream], &["0"], &options()).await?;
            let failed = self.take(&mut own, consumer, pending).await?;
            if stop.is_cancelled() {
                return Ok(());
            }
            let wait = if failed { 200 } else { 1_000 };
            let fresh: Option<StreamReadReply> =
                own.xread_options(&[&self.stream], &[">"], &options().block(wait)).await?;
            if let Some(fresh) = fresh {
                self.take(&mut own, consumer, fresh).await?;
            }
        }
    }

    async fn take(&self, own: &mut ConnectionManager, consumer: &dyn Consumer, reply: StreamReadReply) -> Result<bool> {
        let mut failed = false;
        for entry in reply.keys.into_iter().flat_map(|key| key.ids) {
            let body: Option<String> = entry.get("event");
            let event = body.and_then(|body| serde_json::from_str::<Event>(&body).ok());
            let taken = match &event {
                Some(event) => consumer.receive(event).await,
                None => Ok(()),
            };
            match taken {
                Ok(()) => {
                    let _: i64 = own.xack(&self.stream, consumer.name(), &[&entry.id]).await?;
                }
                Err(error) => {
                    failed = true;
                    tracing::warn!(consumer = consumer.name(), %error, "event not taken; stays pending");
                }
            }
        }
        Ok(failed)
    }
}

#[async_trait]
impl Delivery for RedisBus {
    async fn deliver(&self, event: &Event) -> Result<()> {
        let body = serde_json::to_string(event).map_err(|error| Error::Internal(error.to_string()))?;
        let _: Option<String> = self.connection.clone().xadd(&self.stream, "*", &[("event", body)]).await?;
        Ok(())
    }
}
