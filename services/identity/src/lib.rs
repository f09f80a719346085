//! Who is who. A person signs up with a login and a password, signs in, and receives a pair of tokens: one to show
//! with every request for ten minutes, one to exchange once for the next pair. Signing out, or using an exchanged token
//! again, ends the session at once. Staff and whoever signs show a second factor besides; brokers' tools come with keys of
//! their own; government and campus accounts are taken at their providers' word. An organization applies under its unified social credit code; a reviewer of the
//! centre who does not belong to it verifies or rejects it; its administrators say who acts for it, and in which roles.
//! Whoever guesses at passwords gets five tries in a quarter of an hour, and never learns whether a login exists.

mod api;
mod api_key;
mod authenticate;
mod authenticator;
mod brokerage;
mod business;
mod centre;
mod change_password;
mod code_list;
mod codes;
mod entrance;
mod federated;
mod guess;
mod invitation;
mod member;
mod name;
mod organization;
mod password;
mod person;
mod privacy;
mod registration;
mod second_factor;
mod seed;
mod session;
mod sight;
mod sign_in;
mod sign_up;
mod signing_key;
mod standing;
mod store;
mod token;
mod tree;
mod usci;

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

pub use authenticator::{Authenticator, STEP_MILLIS};
pub use centre::INDUSTRY as CENTRE_INDUSTRY;
pub use code_list::{CodeEntry, CodeList};
pub use codes::load as load_codes;
pub use entrance::Entrance;
pub use federated::provider::Provider;
pub use seed::{SeedOrganization, SeedPerson, seed};

/// The service: its ground, the other services, the keys that sign its tokens, and what guards its doors.
#[derive(Clone)]
pub struct Identities {
    cx: Context,
    clients: Clients,
    keys: Arc<signing_key::Keys>,
    entrance: Arc<Entrance>,
    directory: Arc<federated::provider::Directory>,
}

impl Identities {
    fn new(cx: Context, clients: Clients, entrance: Entrance) -> Identities {
        let keys = Arc::new(signing_key::Keys::new(cx.clone(), entrance.signing_key_days));
        let directory = Arc::new(federated::provider::Directory::new());
        Identities { cx, clients, keys, entrance: Arc::new(entrance), directory }
    }
}

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
