//! The few types and guarantees that every service shares. It knows no domain.

mod actor;
mod bus;
pub mod calendar;
mod call;
mod clock;
mod context;
mod db;
mod drill;
mod error;
mod error_code;
mod id;
mod idempotency;
#[doc(hidden)]
pub mod instant;
mod money;
mod outbox;
mod page;
mod peer;
mod redis_bus;
mod reference;
pub mod rules;
mod text;

pub use actor::{ActingFor, Actor, Role};
pub use bus::{Bus, Consumer, Delivery};
pub use call::{Call, Payload, query};
pub use clock::Clock;
pub use context::Context;
pub use db::Db;
pub use drill::{load_drill_offset, save_drill_offset};
pub use error::{Error, Language, Refusal, Result};
pub use error_code::ErrorCode;
pub use id::{Id, decode, fresh_uuid};
pub use idempotency::{Claim, Idempotency};
pub use instant::Instant;
pub use money::Money;
pub use outbox::{Announcement, Event, audit_page, receive};
pub use page::{Paging, Slice, page};
pub use peer::{CALL_LIMIT, PEER_HEADER, Peer, local, remote};
pub use redis_bus::RedisBus;
pub use reference::load_reference;
pub use text::text;
