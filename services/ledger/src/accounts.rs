//! What the ledger works with.

use kernel::Context;
use wire::Clients;

/// The ledger's calls.
pub struct Accounts {
    /// Databases, clock and vault.
    pub cx: Context,
    /// The other services.
    pub clients: Clients,
}
