//! The exchange as one program: which roles live in this process, where the others are, and how it all starts and
//! stops. The only crate that knows every service; it holds no rule of the exchange.

/// The verb `adopt`.
pub mod adopt;
/// The verbs `backup` and `restore`.
pub mod backup;
pub mod code;
pub mod codes;
/// What an operator sets.
pub mod config;
pub mod demo;
/// The verb `heads`.
pub mod heads;
pub mod import;
/// The verb `operations`.
pub mod operations;
/// What a process can be.
pub mod roles;
/// The verb `rotate-master-key`.
pub mod rotation;
/// The verb `schema`.
pub mod schema;
pub mod sealed;
pub mod seed;
pub mod serve;
/// When to stop.
pub mod stop;
/// What an operator is told.
pub mod telemetry;
pub mod verify;

mod bus;
mod database;
mod drill;
mod listen;
mod master_key;
mod measure;
mod offline;
mod peers;
mod private;
mod proof;

pub use database::migrate;

/// A bid over HTTP takes hundreds of small allocations, a sixth of its time with the system's allocator
/// (`benches/whole_way.rs`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What goes wrong while starting or stopping; told to the operator as it is.
pub type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;
