//! Where projects that look for money meet investors who look for projects.
//!
//! Everybody may read a published project's teaser, and nobody more than that: private funds are not promoted to
//! unspecified persons (F5). An investor is verified by a reviewer first, then expresses an interest, accepts the
//! non-disclosure agreement, and reads the details once the project has accepted; each such reading is recorded. The
//! exchange suggests matches by field, stage, amount and region, and says why.

mod api;
mod entry;
mod express;
mod interest;
mod investor;
mod matching;
mod project;
mod publish;
mod read;
mod register;
mod sight;
mod store;
mod transition;

use kernel::Context;
use wire::v1::financing_server::FinancingServer;

pub use api::Finance;

/// Investors, financing projects and interests as a gRPC server.
#[must_use]
pub fn serve(cx: Context) -> FinancingServer<Finance> {
    FinancingServer::new(Finance::new(cx.with_service(SERVICE)))
}

const SERVICE: &str = "financing";

#[cfg(test)]
mod story_tests;
