//! From a confirmed award to a registered contract.
//!
//! When an award is confirmed, the exchange opens a deal and draws up the technology contract with the price that the
//! bidding found: nobody can write another one into it. Each side's signatory signs the hash of the document that was
//! read, so a text that changed afterwards is found (E2). Once both have signed, the contract is in effect, and a
//! registrar who belongs to neither side recognizes and registers it: the whole price, the technical part of it, and a
//! number that no other contract has (T11, T12). When the ledger reports that the money is settled, the deal is done.
//! If the winner defaults before that, the deal and its contract are cancelled, and the next bidder's award opens another.

mod api;
mod capitals;
mod certificate;
mod contract;
mod deal;
mod document;
mod feed;
pub mod number;
mod register;
mod sign;
mod store;

use std::sync::Arc;

use kernel::{Consumer, Context};
use wire::v1::contracting_server::ContractingServer;

pub use api::Contracts;
pub use deal::next as next_of_deal;

/// Deals and contracts as a gRPC server.
#[must_use]
pub fn serve(cx: Context) -> ContractingServer<Contracts> {
    ContractingServer::new(Contracts::new(cx.with_service(SERVICE)))
}

/// What opens deals when awards are confirmed and closes them when the money is settled.
#[must_use]
pub fn consumer(cx: Context) -> Arc<dyn Consumer> {
    Arc::new(feed::Deals::new(cx.with_service(SERVICE)))
}

const SERVICE: &str = "contract";

#[cfg(test)]
mod story_tests;
