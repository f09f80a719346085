//! Named queries of the ledger.

mod account;
pub mod deal_end;
mod deposit;
pub mod forfeiture;
#[cfg(test)]
pub mod fresh;
mod open_book;
mod receipt;
mod settlement;
mod tables;
mod trial;
mod write;

pub use account::account;
pub use deposit::{HeldDeposit, add_deposit, conclude_deposit, deposit, held_deposits, holds};
pub use open_book::{OpenBook, Purpose, open};
pub use receipt::add_receipt;
pub use settlement::{add_settlement, close_listing, is_closed, is_settled};
pub use trial::{audited, transfer_count};
