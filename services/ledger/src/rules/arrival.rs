//! Money that arrived at the bank.

use kernel::{Instant, Money};
use wire::id::OrganizationId;

/// A movement at the bank, as the cashier read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The payer.
    pub organization: OrganizationId,
    /// How much.
    pub amount: Money,
    /// The bank's number of it.
    pub bank_reference: String,
    /// When it arrived.
    pub received_at: Instant,
}
