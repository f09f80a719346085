//! Who is who. A person signs up with a login and a password, signs in, and receives a pair of tokens: one to show
//! with every request for ten minutes, one to exchange once for the next pair. Signing out, or using an exchanged token
//! again, ends the session at once. An organization applies under its unified social credit code; a reviewer of the
//! centre who does not belong to it verifies or rejects it; its administrators say who acts for it, and in which roles.
//! Whoever guesses at passwords gets five tries in a quarter of an hour, and never learns whether a login exists.

mod api;
mod authenticate;
mod member;
mod organization;
mod password;
mod person;
mod registration;
mod seed;
mod session;
mod sign_in;
mod sign_up;
mod store;
mod token;
mod usci;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use kernel::Context;
use wire::v1::identity_server::IdentityServer;

pub use seed::{SeedOrganization, SeedPerson, seed};

/// The service: its ground and the keys that sign its tokens.
pub struct Identities {
    cx: Context,
    keys: Arc<token::Keys>,
}

/// The service, ready to be served.
#[must_use]
pub fn serve(cx: Context) -> IdentityServer<Identities> {
    IdentityServer::new(Identities { keys: Arc::new(token::Keys::new(cx.clone())), cx })
}
