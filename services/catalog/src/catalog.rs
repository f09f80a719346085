//! What the catalog works with.

use kernel::Context;
use wire::Clients;

/// The catalog: its context and the services it asks.
pub struct Catalog {
    /// Databases, clock and caller.
    pub cx: Context,
    /// The other services.
    pub clients: Clients,
}
