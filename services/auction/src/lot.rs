//! One lot and its one writer: commands in, a batch of events committed, answers out.

pub mod anchor;
pub mod batch;
pub mod bench_lot;
pub mod command;
mod commit;
pub mod idempotent;
pub mod outcome;
pub mod registry;
#[cfg(test)]
mod registry_tests;
pub mod watch;
pub mod writer;
