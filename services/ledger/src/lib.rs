//! Accounts, deposits and settlement.
//!
//! The ledger promises that money is conserved to the fen. Every organization has one account; what the
//! bank received for it is what it can use. A deposit is put on hold and either pays part of the price or
//! goes back in full, once. A deal is settled in one step: the transferor gets the price less the fee, and
//! every other bidder's deposit is free again. A winner who defaults loses the deposit: it pays the costs, then
//! what the transferor lost by the resale, and what remains pays other debts for the lot. At every instant all accounts add up to zero, and no
//! organization can spend or bind what it does not have; the trial balance proves it anew each time.

mod account;
mod accounts;
mod api;
mod deal_end;
mod deposit;
mod feed;
mod forfeit_debt;
#[cfg(test)]
mod forfeit_tests;
mod forfeiture;
mod peers;
#[cfg(test)]
mod race_tests;
mod receipt;
mod release;
pub mod rules;
mod settlement;
mod store;
#[cfg(test)]
mod story_tests;
#[cfg(test)]
mod stub;

use std::sync::Arc;

use kernel::{Consumer, Context, Result};
use sea_orm::ConnectionTrait;
use wire::{Clients, v1::ledger_server::LedgerServer};

use self::rules::book::Account;

pub use accounts::Accounts;

/// The service. It reads organizations, applications, listings and deals through `clients`.
pub fn serve(cx: Context, clients: Clients) -> LedgerServer<Accounts> {
    LedgerServer::new(Accounts { cx, clients })
}

/// The first account whose figures are not those of its entries, if there is one; and whether all add up to nothing.
pub async fn audit(db: &impl ConnectionTrait) -> Result<Option<String>> {
    let accounts = store::audited(db).await?;
    if let Some(unsound) = accounts.iter().find(|audited| !audited.is_sound()) {
        let Account { kind, balance, held } = unsound.account;
        return Ok(Some(format!(
            "account of kind {kind:?} with balance {balance} and holds {held}: its entries say otherwise"
        )));
    }
    let total: i128 = accounts.iter().map(|audited| i128::from(audited.account.balance.0)).sum();
    Ok((total != 0).then(|| format!("all accounts add up to {total} fen instead of nothing")))
}

/// Takes the events that free or forfeit deposits.
pub fn consumer(cx: Context) -> Arc<dyn Consumer> {
    Arc::new(feed::Releases(cx.with_service("ledger")))
}
