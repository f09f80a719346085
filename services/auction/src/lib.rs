//! Competitive bidding: one lot, one sale, one winner.
//!
//! The auction promises that a bid it has acknowledged is durable and stands in one order with every
//! other bid and with the close; that the rules alone decide, at the exchange's time; and that whoever
//! holds the log can recompute the winner, the price and the end (`engine::replay`). It never builds an
//! order book, never sells one lot twice, and takes no bid from whoever sells the lot, brokers it or runs
//! the sale, nor through another organization (SM-5).

#[cfg(test)]
mod ahead_tests;
#[cfg(test)]
mod anchor_tests;
mod api;
mod auctions;
mod audit;
mod bidding;
pub mod engine;
#[cfg(test)]
mod engine_tests;
pub mod evidence;
#[cfg(test)]
mod evidence_tests;
#[cfg(test)]
mod fence_tests;
mod hall;
mod lot;
mod peers;
pub mod sealed;
#[cfg(test)]
mod sealed_tests;
mod store;
#[cfg(test)]
mod story_tests;
#[cfg(test)]
mod stub;

use std::sync::Arc;

use kernel::Context;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;
use wire::{
    Clients,
    v1::{auction_server::AuctionServer, hall_server::HallServer, sealed_bids_server::SealedBidsServer},
};

pub use auctions::Auctions;
pub use audit::{Audited, adopt, adoptable, audit};
pub use bidding::standing::consumer;
pub use engine::award::next as next_of_award;
pub use lot::bench_lot::open_lot;

/// Adds the services of this role. The lots' writers run on `tasks` until `stop`.
pub fn serve(cx: Context, clients: Clients, (tasks, stop): (TaskTracker, CancellationToken), routes: Routes) -> Routes {
    let lots = lot::registry::LotRegistry::new(cx.clone(), tasks.clone(), stop.clone());
    tasks.spawn(lots.clone().watch_over());
    tasks.spawn(lot::anchor::watch_over(cx.clone(), stop.clone()));
    let auctions =
        Auctions { cx, clients, lots, boxes: sealed::boxes::Boxes::default(), scoring: Arc::default(), stop };
    tasks.spawn(sealed::beat::watch_over(auctions.clone()));
    tasks.spawn(hall::heartbeat::watch_over(auctions.clone()));
    tasks.spawn(bidding::default::watch_over(auctions.clone()));
    let routes = routes.add_service(HallServer::new(auctions.clone()));
    let routes = routes.add_service(SealedBidsServer::new(auctions.clone()));
    routes.add_service(AuctionServer::new(auctions))
}
