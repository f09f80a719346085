//! Competitive bidding: one lot, one sale, one winner.
//!
//! The auction promises that a bid it has acknowledged is durable and stands in one order with every
//! other bid and with the close; that the rules alone decide, at the exchange's time; and that whoever
//! holds the log can recompute the winner, the price and the end (`engine::replay`). It never builds an
//! order book, never sells one lot twice, and takes no bid from whoever sells the lot, brokers it or runs
//! the sale, nor through another organization (SM-5).

#[cfg(test)]
mod ahead_tests;
mod anchor;
#[cfg(test)]
mod anchor_tests;
mod api;
mod audit;
mod award;
mod begun;
mod bid;
mod boxes;
mod ceremony;
mod confirmation;
mod consequence;
mod course;
mod default;
pub mod engine;
#[cfg(test)]
mod engine_tests;
pub mod evidence;
#[cfg(test)]
mod evidence_tests;
mod exclude;
#[cfg(test)]
mod fence_tests;
mod floor;
mod foreign;
mod halls;
#[cfg(test)]
mod halls_tests;
mod keyed;
mod lot_command;
mod open_lot;
mod opening;
mod panel;
mod place;
mod publish;
mod receipt;
mod round;
mod schedule;
pub mod sealed;
mod sealed_key;
#[cfg(test)]
mod sealed_tests;
mod standing;
mod store;
#[cfg(test)]
mod story_tests;
#[cfg(test)]
mod stub;
mod submit;
mod watch;
mod writer;

use std::sync::Arc;

use kernel::Context;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;
use wire::{
    Clients,
    v1::{auction_server::AuctionServer, hall_server::HallServer, sealed_bids_server::SealedBidsServer},
};

pub use api::Auctions;
pub use audit::{Audited, adopt, adoptable, audit};
pub use award::next as next_of_award;
pub use open_lot::open_lot;
pub use standing::consumer;

/// Adds the services of this role. The lots' writers run on `tasks` until `stop`.
pub fn serve(cx: Context, clients: Clients, (tasks, stop): (TaskTracker, CancellationToken), routes: Routes) -> Routes {
    let halls = halls::Halls::new(cx.clone(), tasks.clone(), stop.clone());
    tasks.spawn(halls.clone().watch_over());
    tasks.spawn(anchor::watch_over(cx.clone(), stop.clone()));
    let auctions = Auctions { cx, clients, halls, boxes: boxes::Boxes::default(), scoring: Arc::default(), stop };
    tasks.spawn(boxes::watch_over(auctions.clone()));
    tasks.spawn(floor::heartbeat::watch_over(auctions.clone()));
    tasks.spawn(default::watch_over(auctions.clone()));
    let routes = routes.add_service(HallServer::new(auctions.clone()));
    let routes = routes.add_service(SealedBidsServer::new(auctions.clone()));
    routes.add_service(AuctionServer::new(auctions))
}
