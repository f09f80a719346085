//! Whose account is which.

use kernel::{Id, Money};
use uuid::Uuid;
use wire::{
    id::{AccountId, OrganizationId, TransferApplicationId},
    v1::{self, AccountKind},
};

/// The parent of the exchange's own accounts, fixed for ever: their ids are derived from it.
const EXCHANGE: Uuid = Uuid::from_u128(0x019a_b4c2_6d00_7000_8000_6a69_7368_6921);

/// Who holds an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The exchange's money at the bank.
    Bank,
    /// The exchange's fee income.
    Fees,
    /// An organization.
    Organization(OrganizationId),
    /// The exchange, for the deposit that this application lost.
    Forfeited(TransferApplicationId),
}

impl Holder {
    /// The one account of this holder.
    pub fn account_id(self) -> AccountId {
        match self {
            Holder::Bank => AccountId::derived(EXCHANGE, "bank"),
            Holder::Fees => AccountId::derived(EXCHANGE, "fees"),
            Holder::Organization(organization) => AccountId::derived(organization.0, "account"),
            Holder::Forfeited(application) => AccountId::derived(application.0, "forfeited"),
        }
    }

    /// What the account is for.
    pub fn kind(self) -> AccountKind {
        match self {
            Holder::Bank => AccountKind::Bank,
            Holder::Fees => AccountKind::Fees,
            Holder::Organization(_) => AccountKind::Organization,
            Holder::Forfeited(_) => AccountKind::ForfeitedDeposits,
        }
    }

    /// The organization, if it is one's.
    pub fn organization(self) -> Option<OrganizationId> {
        match self {
            Holder::Organization(organization) => Some(organization),
            Holder::Bank | Holder::Fees | Holder::Forfeited(_) => None,
        }
    }

    /// The account before its first entry.
    pub fn unused(self) -> v1::LedgerAccount {
        v1::LedgerAccount {
            id: self.account_id().text(),
            kind: self.kind().into(),
            organization_id: self.organization().map(Id::text),
            balance: Some(Money::ZERO),
            held: Some(Money::ZERO),
            available: Some(Money::ZERO),
        }
    }
}
