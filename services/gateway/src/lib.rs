//! The front door: GraphQL in front, gRPC behind.
//!
//! A request is judged before it is executed (`guard`), the caller is known once, here (`tokens`), and every
//! answer carries a trace id and tells nothing internal (`fault`, `frame`). Queries are one file per service,
//! mutations are generated in wire; no rule of the exchange lives here.

mod auction;
mod audit;
mod catalog;
mod contract;
mod edge;
mod fault;
mod financing;
mod frame;
mod graphiql;
mod guard;
mod home;
mod identity;
mod ledger;
mod list;
mod live;
mod node;
mod probe;
mod schema;
mod tokens;

pub use edge::{Edge, router};
pub use frame::framed;
pub use graphiql::DemoAccount;
pub use probe::{ClockMove, ClockPosition, MoveClock, Probes, probes};
pub use schema::{ExchangeSchema, Mode, schema};
