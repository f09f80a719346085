//! What a listing takes over from its transferor.

use kernel::{Actor, Error, Id, Peer, Result};
use uuid::Uuid;
use wire::{
    id::OrganizationId,
    v1::{self, OrganizationStatus, identity_client::IdentityClient},
};

/// A transferor as identity knows it.
#[derive(Clone, Debug)]
pub struct Transferor {
    /// The organization.
    pub id: OrganizationId,
    /// Whether it is verified and active.
    pub verified: bool,
    /// Where it sits (GB/T 2260).
    pub region: String,
    /// The centre that looks after it. The nil id stands for none: then only those who reach everything reach what
    /// the organization lists.
    pub centre_id: OrganizationId,
}

/// Asks for one organization in the exchange's own name.
pub async fn ask(mut identity: IdentityClient<Peer>, id: OrganizationId) -> Result<Transferor> {
    let asked = Actor::exchange().asks(v1::Ids { ids: vec![id.text()] });
    let found = identity.get_organizations(asked).await?.into_inner();
    let found = found.items.into_iter().next().ok_or_else(|| Error::not_found("organizationId"))?;
    Ok(Transferor {
        id,
        verified: found.status() == OrganizationStatus::Verified,
        centre_id: OrganizationId::parse(&found.centre_id, "").unwrap_or(OrganizationId(Uuid::nil())),
        region: found.region,
    })
}
