//! The few types and guarantees that every service shares. It knows no domain.

mod actor;
pub mod audit_log;
mod bus;
pub mod calendar;
mod call;
mod clock;
mod context;
mod db;
mod drill;
mod dropped;
mod error;
mod error_code;
mod id;
mod idempotency;
#[doc(hidden)]
pub mod instant;
mod interest;
mod limiter;
pub mod merkle;
mod money;
mod outbox;
mod page;
mod peer;
mod redis_bus;
mod reference;
mod replicas;
pub mod rules;
mod sight;
mod text;
mod trace;
mod vault;

pub use actor::{ActingFor, Actor, Role, Scope};
pub use bus::{Bus, Consumer, Delivery};
pub use call::{Call, Payload, query};
pub use clock::Clock;
pub use context::Context;
pub use db::{Acknowledged, Db, Transaction, WriteLimits};
pub use drill::{load_drill_offset, save_drill_offset};
#[doc(hidden)]
pub use dropped::dropped_after;
pub use error::{Error, Language, Refusal, Result};
pub use error_code::ErrorCode;
pub use id::{Id, decode, fresh_uuid};
pub use idempotency::{Claim, Idempotency};
pub use instant::Instant;
pub use limiter::{Limiter, Verdict};
pub use money::Money;
pub use outbox::{Announcement, Event, audit_about, audit_page, receive};
pub use page::{Paging, Slice, page};
pub use peer::{CALL_LIMIT, PEER_HEADER, Peer, local, remote};
pub use redis_bus::RedisBus;
pub use replicas::{ABOUT_HEADER, replicas};
pub use sight::Sight;
pub use text::text;
pub use trace::{Trace, spawn};
pub use vault::{DEVELOPMENT_KEY, DataKey, Vault, fresh_nonce, signed_by};
