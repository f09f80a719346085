//! Carries committed events to their consumers, at least once. It carries, it never decides: the
//! consumer's inbox makes the effect happen once.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::{Context, Event, Result, outbox};

/// Something that acts on other services' events: one per service.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// The service's name.
    fn name(&self) -> &'static str;
    /// Acts on the event, once; an event of no interest is `Ok`. An error means: deliver again.
    async fn receive(&self, event: &Event) -> Result<()>;
}

/// How an event leaves this process.
#[async_trait]
pub trait Delivery: Send + Sync {
    /// Delivers one event to all its consumers or reports that some did not take it.
    async fn deliver(&self, event: &Event) -> Result<()>;
}

/// Direct delivery, one consumer after another, in this process or over the network.
pub struct Bus(pub Vec<Arc<dyn Consumer>>);

#[async_trait]
impl Delivery for Bus {
    async fn deliver(&self, event: &Event) -> Result<()> {
        let mut outcome = Ok(());
        for consumer in &self.0 {
            if let Err(error) = consumer.receive(event).await {
                tracing::warn!(consumer = consumer.name(), kind = event.kind, %error, "event not taken; will be delivered again");
                outcome = Err(error);
            }
        }
        outcome
    }
}

impl Context {
    /// Dispatches this database's events of `services` until stopped; then flushes what is left once.
    pub async fn dispatch(self, services: Vec<&'static str>, delivery: Arc<dyn Delivery>, stop: CancellationToken) {
        loop {
            let more = match self.dispatch_once(&services, &*delivery).await {
                Ok(more) => more,
                Err(error) => {
                    tracing::warn!(%error, "the outbox could not be read");
                    false
                }
            };
            if stop.is_cancelled() {
                return;
            }
            if !more {
                tokio::select! {
                    () = self.committed.notified() => {}
                    () = tokio::time::sleep(Duration::from_millis(500)) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
    }

    /// How many events of `services` wait to leave this database, and for how long the oldest one has.
    pub async fn backlog(&self, services: &[&str]) -> Result<(u64, Duration)> {
        let (events, oldest) = outbox::waiting(&self.db, services).await?;
        // Ids tell the machine's time, which the drill clock does not move.
        let born = oldest.and_then(|id| id.get_timestamp()).map(|stamp| Duration::new(stamp.to_unix().0, 0));
        let now = u64::try_from(self.clock.now().plus_millis(-self.clock.offset()).0).unwrap_or_default();
        let waited = born.map_or(Duration::ZERO, |born| Duration::from_millis(now).saturating_sub(born));
        Ok((events, waited))
    }

    /// Delivers one batch; tells whether there was any. A failed event waits a second and is tried
    /// again for as long as it takes: a stuck one stays visible in the log and in the table.
    async fn dispatch_once(&self, services: &[&str], delivery: &dyn Delivery) -> Result<bool> {
        // Retry times are the machine's, not the drill clock's: moving that must not hold events back.
        let real = |cx: &Context| cx.clock.now().plus_millis(-cx.clock.offset());
        let events = outbox::claim(self, services, real(self)).await?;
        for event in &events {
            let delivered = delivery.deliver(event).await.is_ok();
            let now = real(self);
            outbox::conclude(self, event.id, delivered, now, now.plus_seconds(1)).await?;
        }
        Ok(!events.is_empty())
    }
}
