//! A listing from its draft to its end (SM-3): what its notice says, who reviews it, what becomes of it.

pub mod announced_bidding;
pub mod bidding_terms;
pub mod conclude;
pub mod draft;
pub mod listing_status;
pub mod relist;
pub mod reserve;
pub mod review;
pub mod sale_default;
pub mod terms;
pub mod transferor;
