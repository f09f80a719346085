//! Services without a front door, for the verbs that fill an exchange: they work on the configured databases, whether
//! or not a server is at work there too.

use identity::Entrance;
use kernel::{Clock, Context, Peer, local};
use tonic::service::Routes;
use wire::Clients;

use crate::{
    Result,
    config::Config,
    database::Databases,
    drill::Drill,
    roles::{Role, Roles},
};

/// Identity, catalog and financing in this process, listening nowhere.
pub struct Offline {
    /// What identity stands on.
    pub identity: Context,
    /// The three services; the others answer that they are not here.
    pub clients: Clients,
    databases: Databases,
}

impl Offline {
    /// Who lives here.
    pub fn roles() -> Roles {
        Roles::new(Some(vec![Role::Identity, Role::Catalog, Role::Financing]))
    }

    /// Opens the configured databases, at the time that the exchange has.
    pub async fn open(config: &Config) -> Result<Offline> {
        let (roles, clock) = (Offline::roles(), Clock::system());
        let databases = Databases::open(config, &roles, &clock).await?;
        if config.is_development() {
            Drill::resume(config, &databases, &clock).await?;
        }
        let identity = databases.context(Role::Identity)?;
        let clients = clients(&identity, &databases.context(Role::Catalog)?, &databases.context(Role::Financing)?);
        Ok(Offline { identity, clients, databases })
    }

    /// Closes the databases. Events stay in the outbox until a server delivers them.
    pub async fn close(self) {
        self.databases.close().await;
    }
}

/// Clients of the three services on the given grounds.
pub fn clients(identity: &Context, catalog: &Context, financing: &Context) -> Clients {
    // Nothing is closed offline.
    let nobody = Clients::new(|_| local(Routes::default()));
    let who: Peer = local(identity::serve(identity.clone(), nobody, Entrance::default(), Routes::default()));
    let asked = Clients::new(|_| who.clone());
    let routes = Routes::new(catalog::serve(catalog.clone(), asked)).add_service(financing::serve(financing.clone()));
    let rest = local(routes);
    Clients::new(|role| if role == "identity" { who.clone() } else { rest.clone() })
}
