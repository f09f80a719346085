//! TODO

pub mod auction;
mod hall;
mod sealed_bids;
