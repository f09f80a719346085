//! What bidders and staff do to a lot's sale: it is scheduled, bid for, controlled, awarded, confirmed, defaulted on.

pub mod award;
pub mod bid;
pub mod confirmation;
pub mod control;
pub mod default;
pub mod exclude;
pub mod schedule;
pub mod standing;
