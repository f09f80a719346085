//! Competitive bidding: one lot, one sale, one winner.
//!
//! The auction promises that a bid it has acknowledged is durable and stands in one order with every
//! other bid and with the close; that the rules alone decide, at the exchange's time; and that whoever
//! holds the log can recompute the winner, the price and the end (`engine::replay`). It never builds an
//! order book, never sells one lot twice, and takes no bid from whoever sells the lot, brokers it or runs
//! the sale, nor through another organization (SM-5).

mod api;
mod award;
mod bid;
pub mod engine;
#[cfg(test)]
mod engine_tests;
#[cfg(test)]
mod fence_tests;
mod foreign;
mod halls;
mod schedule;
mod store;
#[cfg(test)]
mod story_tests;
#[cfg(test)]
mod stub;
mod watch;
mod writer;

use kernel::Context;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wire::{Clients, v1::auction_server::AuctionServer};

pub use api::Auctions;

/// The service. Its writers run on `tasks` until `stop`.
pub fn serve(cx: Context, clients: Clients, tasks: TaskTracker, stop: CancellationToken) -> AuctionServer<Auctions> {
    let halls = halls::Halls::new(cx.clone(), tasks.clone(), stop.clone());
    tasks.spawn(halls.clone().watch_over());
    AuctionServer::new(Auctions { cx, clients, halls, stop })
}
