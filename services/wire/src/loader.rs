//! Links between objects, looked up in one batch per service and level of the query.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_graphql::dataloader::{DataLoader, Loader};
use futures::future::BoxFuture;
use kernel::{Actor, Error};

use crate::{
    Clients,
    caller::{fault, request},
    v1,
};

type Fetch<T> = fn(Arc<Clients>, Arc<Actor>, Vec<String>) -> BoxFuture<'static, Result<Vec<(String, T)>, Error>>;

/// A batched look-up of one kind of object by one kind of key. It is set up on first use: most requests follow no link.
pub struct Link<T: Clone + Send + Sync + 'static> {
    batch: Batch<T>,
    loader: OnceLock<DataLoader<Batch<T>>>,
}

#[derive(Clone)]
struct Batch<T> {
    clients: Arc<Clients>,
    actor: Arc<Actor>,
    fetch: Fetch<T>,
}

impl<T: Clone + Send + Sync + 'static> Loader<String> for Batch<T> {
    type Value = T;
    type Error = Arc<Error>;

    async fn load(&self, keys: &[String]) -> Result<HashMap<String, T>, Arc<Error>> {
        let found = (self.fetch)(self.clients.clone(), self.actor.clone(), keys.to_vec()).await?;
        Ok(found.into_iter().collect())
    }
}

impl<T: Clone + Send + Sync + 'static> Link<T> {
    fn new(clients: &Arc<Clients>, actor: &Arc<Actor>, fetch: Fetch<T>) -> Self {
        let batch = Batch { clients: clients.clone(), actor: actor.clone(), fetch };
        Self { batch, loader: OnceLock::new() }
    }

    fn loader(&self) -> &DataLoader<Batch<T>> {
        self.loader.get_or_init(|| {
            // The default delay of 1 ms triples latency at low load.
            DataLoader::new(self.batch.clone(), kernel::spawn).delay(Duration::ZERO).max_batch_size(200)
        })
    }

    /// The object behind the key; null if there is no key, no object, or no permission.
    pub async fn link(&self, key: Option<String>) -> async_graphql::Result<Option<T>> {
        match key.filter(|key| !key.is_empty()) {
            Some(key) => self.loader().load_one(key).await.map_err(|error| fault(&error)),
            None => Ok(None),
        }
    }
}

macro_rules! loaders {
    ($($name:ident: $object:ident by $key:ident = $client:ident.$rpc:ident($request:ident { $ids:ident });)*) => {
        /// Every link of the schema.
        #[expect(missing_docs, reason = "one field per link, named like it")]
        pub struct Loaders { $(pub $name: Link<v1::$object>,)* }

        #[allow(clippy::needless_update, reason = "some requests have one field, some two")]
        impl Loaders {
            pub(crate) fn new(clients: &Arc<Clients>, actor: &Arc<Actor>) -> Self {
                Self { $($name: Link::new(clients, actor, |clients, actor, ids| Box::pin(async move {
                    let wanted = v1::$request { $ids: ids, ..Default::default() };
                    let reply = clients.$client.clone().$rpc(request(&actor, None, wanted)).await?;
                    Ok(reply.into_inner().items.into_iter().map(|item| (item.$key.clone(), item)).collect())
                })),)* }
            }
        }
    };
}

loaders! {
    personal_data: PersonalData by person_id = privacy.get_personal_data(Ids { ids });
    organization: Organization by id = identity.get_organizations(Ids { ids });
    mandate: Mandate by id = brokerage.get_mandates(Ids { ids });
    listing: Listing by id = catalog.get_listings(Ids { ids });
    achievement: Achievement by id = catalog.get_achievements(Ids { ids });
    transfer_application: TransferApplication by id = catalog.get_transfer_applications(Ids { ids });
    session: BiddingSession by id = auction.get_bidding_sessions(GetBiddingSessionsRequest { ids });
    session_of_listing: BiddingSession by listing_id = auction.get_bidding_sessions(GetBiddingSessionsRequest { listing_ids });
    award: Award by id = auction.get_awards(GetAwardsRequest { ids });
    award_of_listing: Award by listing_id = auction.get_awards(GetAwardsRequest { listing_ids });
    deal: Deal by id = contracting.get_deals(GetDealsRequest { ids });
    deal_of_listing: Deal by listing_id = contracting.get_deals(GetDealsRequest { listing_ids });
    contract: Contract by id = contracting.get_contracts(Ids { ids });
    investor: Investor by id = financing.get_investors(Ids { ids });
    financing_project: FinancingProject by id = financing.get_financing_projects(Ids { ids });
}
