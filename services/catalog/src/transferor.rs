//! What identity knows of a transferor.

use std::time::Duration;

use kernel::{Actor, Error, Id, Peer, Result};
use tonic::Request;
use wire::{
    id::OrganizationId,
    v1::{self, identity_client::IdentityClient},
};

/// Asks for one organization in the exchange's own name.
pub async fn ask(mut identity: IdentityClient<Peer>, id: OrganizationId) -> Result<v1::Organization> {
    let mut request = Request::new(v1::Ids { ids: vec![id.text()] });
    request.set_timeout(Duration::from_secs(5));
    Actor::exchange().write(None, request.metadata_mut());
    let found = identity.get_organizations(request).await?.into_inner();
    found.items.into_iter().next().ok_or_else(|| Error::not_found("organizationId"))
}
