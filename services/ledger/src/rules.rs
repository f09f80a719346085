//! The rules of money: what is posted, what it costs, and what is told of it between use cases. No I/O, no clock.

pub mod arrival;
pub mod book;
pub mod breach;
pub mod deal;
pub mod debt;
pub mod due;
pub mod fee;
pub mod holder;
pub mod waterfall;
