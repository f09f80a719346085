//! Who is who. A person signs up with a login and a password, signs in, and receives a pair of tokens: one to show
//! with every request for ten minutes, one to exchange once for the next pair. Signing out, or using an exchanged token
//! again, ends the session at once. Staff and whoever signs show a second factor besides; brokers' tools come with keys of
//! their own; government and campus accounts are taken at their providers' word. An organization applies under its unified social credit code; a reviewer of the
//! centre who does not belong to it verifies or rejects it; its administrators say who acts for it, and in which roles.
//! Whoever guesses at passwords gets five tries in a quarter of an hour, and never learns whether a login exists.

mod access;
mod api;
mod brokerage;
mod identities;
mod organization;
mod privacy;
mod sight;
mod store;

#[cfg(test)]
mod access_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use kernel::{Consumer, Context};
use tonic::service::Routes;
use wire::{
    Clients,
    v1::{
        access_server::AccessServer, brokerage_server::BrokerageServer, identity_server::IdentityServer,
        privacy_server::PrivacyServer,
    },
};

pub use access::federated::provider::Provider;
pub use access::settings::Entrance;
pub use access::totp::{Authenticator, STEP_MILLIS};
pub use identities::Identities;
pub use organization::centre::INDUSTRY as CENTRE_INDUSTRY;
pub use organization::code_list::{CodeEntry, CodeList};
pub use organization::codes::load as load_codes;
pub use organization::seed::{SeedOrganization, SeedPerson, seed};

/// Adds the service's doors: who is who, how people get in, who brokers for whom, what is known of people.
/// `clients` are asked what an organization has under way before it is closed.
pub fn serve(cx: Context, clients: Clients, entrance: Entrance, routes: Routes) -> Routes {
    let identities = Identities::new(cx, clients, entrance);
    routes
        .add_service(IdentityServer::new(identities.clone()))
        .add_service(AccessServer::new(identities.clone()))
        .add_service(BrokerageServer::new(identities.clone()))
        .add_service(PrivacyServer::new(identities))
}

/// What acts on other services' events: mandates follow the sales of their listings.
#[must_use]
pub fn consumer(cx: Context) -> Arc<dyn Consumer> {
    Arc::new(brokerage::feed::Sales(cx))
}

/// No other service answers.
#[cfg(test)]
fn nobody() -> Clients {
    Clients::new(|_| kernel::local(Routes::default()))
}
