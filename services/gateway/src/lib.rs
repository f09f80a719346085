//! The front door: GraphQL in front, gRPC behind.
//!
//! A request is judged before it is executed (`guard`), the caller is known once, here (`tokens`), and every
//! answer carries a trace id and tells nothing internal (`fault`, `frame`). Queries are one file per service,
//! mutations are generated in wire; no rule of the exchange lives here.

mod access;
mod address;
mod auction;
mod audit;
mod brokerage;
mod catalog;
mod contract;
mod cost;
mod edge;
mod evidence;
mod fault;
mod financing;
mod frame;
mod graphiql;
mod guard;
mod hall;
mod home;
mod identity;
mod ledger;
mod list;
mod live;
mod node;
mod operations;
mod permissions;
mod probe;
mod rate;
mod request_log;
mod schema;
mod sealed;
mod tokens;
mod unread;

pub use address::{Addresses, Seat};
pub use edge::{Edge, router};
pub use frame::framed;
pub use graphiql::DemoAccount;
pub use operations::{Operations, operation_hash};
pub use permissions::permissions;
pub use probe::{ClockMove, ClockPosition, MoveClock, Probes, metrics, probes};
pub use rate::Rates;
pub use request_log::RequestLog;
pub use schema::{ExchangeSchema, Mode, schema, unlimited};
