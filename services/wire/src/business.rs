//! Who may ask what an organization has under way.

use kernel::{Actor, Error, Id, Result};

use crate::{id::OrganizationId, v1};

impl v1::OpenBusinessRequest {
    /// The organization, if the exchange itself asks.
    pub fn organization_for(&self, actor: &Actor) -> Result<OrganizationId> {
        const FIELD: &str = "organizationId";
        if !actor.is_exchange() {
            return Err(Error::not_found(FIELD));
        }
        OrganizationId::parse(&self.organization_id, FIELD)
    }
}
