//! What the service works with.

use std::sync::Arc;

use kernel::Context;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use wire::Clients;

use crate::{lot::registry::LotRegistry, sealed::boxes::Boxes};

/// The service.
#[derive(Clone)]
pub struct Auctions {
    /// Databases, clock and vault.
    pub cx: Context,
    /// The other services.
    pub clients: Clients,
    /// The running lots.
    pub lots: LotRegistry,
    /// Envelopes that wait for the next beat.
    pub boxes: Boxes,
    /// Scores are given one after the other.
    pub scoring: Arc<Mutex<()>>,
    /// When the process stops.
    pub stop: CancellationToken,
}
