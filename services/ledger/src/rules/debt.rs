//! A debt that a forfeited deposit pays.

use kernel::Money;
use wire::id::OrganizationId;

/// A debt that is to be paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debt {
    /// To whom.
    pub creditor: OrganizationId,
    /// How much.
    pub amount: Money,
    /// What for.
    pub ground: String,
}
