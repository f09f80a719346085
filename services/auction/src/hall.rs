//! The hall (现场): an auctioneer, clerks with terminals, and bidders with paddles.
//!
//! What is bid there stands in the same order as what is bid online: a clerk's entry is a command to the lot's one writer
//! and is answered after the commit. A terminal that loses the network notes lines in a signed journal and brings them
//! later; each is applied, was applied, or is a conflict that waits for the auctioneer. Nothing that a terminal entered
//! is lost or applied twice, and nothing of it comes above a bid that was acknowledged before (docs/hall.md).

pub mod auctioneer;
pub mod called;
pub mod check_in;
pub mod device;
pub mod entry;
pub mod floor_bid;
pub mod heartbeat;
pub mod journal;
#[cfg(test)]
mod journal_tests;
pub mod session;
#[cfg(test)]
mod story_tests;
pub mod upload;
