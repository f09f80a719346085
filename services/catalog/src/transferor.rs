//! What identity knows of a transferor.

use kernel::{Actor, Error, Id, Peer, Result};
use wire::{
    id::OrganizationId,
    v1::{self, identity_client::IdentityClient},
};

/// Asks for one organization in the exchange's own name.
pub async fn ask(mut identity: IdentityClient<Peer>, id: OrganizationId) -> Result<v1::Organization> {
    let asked = Actor::exchange().asks(v1::Ids { ids: vec![id.text()] });
    let found = identity.get_organizations(asked).await?.into_inner();
    found.items.into_iter().next().ok_or_else(|| Error::not_found("organizationId"))
}
