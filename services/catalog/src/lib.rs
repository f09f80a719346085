//! What is on offer, and who may acquire it.
//!
//! A transferor drafts a listing from one of its achievements or from nothing, within the limits of the
//! rulebook, and hands it in. A reviewer of the centre, who is neither its author nor one of the
//! transferor's people, discloses it for a number of working days, returns it or rejects it. While it is
//! disclosed, other organizations apply to acquire it; a qualifier confirms them, their deposit makes
//! them eligible under an anonymous code, and nobody but themselves and the centre ever sees who they
//! are. The period ends by itself, at the cut-off of its last working day. How the listing goes on from
//! there is told by the other services' events: bidding, award, contract, settlement.
//!
//! What the notice says of bidding is fixed when the listing is drafted. A secret reserve price is sealed at rest and
//! known to everybody else by its commitment alone, until the auction reveals it. A disclosure that ended without
//! bidding is extended, left unsold or terminated; an unsold lot may be offered again, once, for less. Whoever
//! defaulted on a lot never comes back to it.
//!
//! Whoever sells, brokers or runs a sale does not buy in it, nor through another organization (SM-5).
//!
//! Achievements are public. Listings are public from disclosure on, and until then seen by the transferor,
//! the broker under whose mandate it was made (SM-11), and the staff of the centre in charge and of those
//! above it alone. A listing stays in the charge of the centre that looked after its transferor when it
//! was drafted.

mod achievement;
mod api;
mod application;
mod browse;
mod catalog;
mod feed;
mod listing;
#[cfg(test)]
mod lot_tests;
#[cfg(test)]
mod notice_tests;
#[cfg(test)]
mod scope_tests;
mod sight;
mod store;
#[cfg(test)]
mod story_tests;
#[cfg(test)]
mod stub;
mod transition;

use std::sync::Arc;

use kernel::{Consumer, Context};
use wire::{Clients, v1::catalog_server::CatalogServer};

pub use catalog::Catalog;

/// The name under which this service writes and receives events.
const NAME: &str = "catalog";

/// A full import is 500 records with summaries of 20000 Chinese characters each.
const LARGEST_REQUEST: usize = 40 * 1024 * 1024;

/// The catalog as a gRPC server.
#[must_use]
pub fn serve(cx: Context, clients: Clients) -> CatalogServer<Catalog> {
    let catalog = Catalog { cx: cx.with_service(NAME), clients };
    CatalogServer::new(catalog).max_decoding_message_size(LARGEST_REQUEST)
}

/// What the catalog does on other services' events.
#[must_use]
pub fn consumer(cx: Context) -> Arc<dyn Consumer> {
    Arc::new(feed::Feed { cx: cx.with_service(NAME) })
}
