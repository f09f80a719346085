//! Stories told through the public doors of the exchange. One binary, one file per story; `lanes!` tells
//! a story once per way of running the exchange.
#![cfg(test)]

/// Tells `story(exchange)` in every lane.
macro_rules! lanes {
    ($($story:ident)*) => {$(
        mod $story {
            use exchange_tests::{Exchange, Lane};

            #[tokio::test(flavor = "multi_thread")]
            async fn on_sqlite() {
                tell(Lane::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_postgres() {
                tell(Lane::Postgres).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_postgres_with_redis() {
                tell(Lane::Redis).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_networked_roles() {
                tell(Lane::Networked).await;
            }

            async fn tell(lane: Lane) {
                if let Some(exchange) = Exchange::start(lane).await {
                    super::$story(exchange).await;
                }
            }
        }
    )*};
}

mod agency;
mod altered;
mod backup;
mod bidding;
mod brokerage;
mod conflicts;
mod consortium;
mod deal;
mod defaults;
mod edge;
mod erasure;
mod expiry;
mod faults;
mod federated;
mod guard_limits;
mod hall;
mod hostile;
mod import;
mod live;
mod mandates;
mod market;
mod modes;
mod open_licence;
mod operators;
mod organizations;
mod parties;
mod permissions;
mod proof;
mod readme;
mod refusal;
mod refusals;
mod request_log;
mod retries;
mod rotation;
mod sale_refusals;
mod sealed;
mod search;
mod secrets;
mod sign_in;
mod sockets;
mod sole;
mod starts;
mod tidy;
mod tokens;
mod traces;
