//! What the service works with.

use std::sync::Arc;

use kernel::Context;
use wire::Clients;

use crate::access::{federated::provider::Directory, settings::Entrance, signing_key::Keys};

/// The service: its ground, the other services, the keys that sign its tokens, and what guards its doors.
#[derive(Clone)]
pub struct Identities {
    /// Databases, clock and vault.
    pub cx: Context,
    /// The other services.
    pub clients: Clients,
    /// What signs access tokens.
    pub keys: Arc<Keys>,
    /// What the operator decides about getting in.
    pub entrance: Arc<Entrance>,
    /// The providers' documents.
    pub directory: Arc<Directory>,
}

impl Identities {
    /// Keys and directory are read when they are first asked for.
    pub fn new(cx: Context, clients: Clients, entrance: Entrance) -> Identities {
        let keys = Arc::new(Keys::new(cx.clone(), entrance.signing_key_days));
        let directory = Arc::new(Directory::new());
        Identities { cx, clients, keys, entrance: Arc::new(entrance), directory }
    }
}
