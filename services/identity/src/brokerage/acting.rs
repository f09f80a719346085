//! For whom a broker acts under mandates.

use kernel::{ActingFor, Id, Instant, Result, Role};
use sea_orm::ConnectionTrait;
use wire::{id::PersonId, v1::OrganizationStatus};

use super::credential;
use crate::store::brokerage;

/// The principals for which the person acts as a broker without belonging to them: while the mandate is live and in
/// time, the credential in date, and the person still a broker of the mandated agency, which is verified.
pub async fn places(
    db: &impl ConnectionTrait,
    person: PersonId,
    now: Instant,
    memberships: &[ActingFor],
) -> Result<Vec<ActingFor>> {
    let agencies: Vec<&str> = memberships
        .iter()
        .filter(|place| place.verified && place.has(Role::Broker))
        .map(|place| place.organization_id.as_str())
        .collect();
    if agencies.is_empty() || !credential::is_practising(db, person, now).await? {
        return Ok(Vec::new());
    }
    let mut mandates = brokerage::live_mandates(db, person, now).await?;
    mandates.retain(|mandate| agencies.contains(&mandate.agency_id.text().as_str()));
    let principals = brokerage::principals(db, &mandates).await?;
    let place = |mandate: brokerage::Mandate| {
        let principal = principals.iter().find(|principal| principal.id == mandate.principal_id)?;
        Some(ActingFor {
            organization_id: principal.id.text(),
            roles: vec![Role::Broker.into()],
            verified: principal.status == OrganizationStatus::Verified,
            mandate_id: mandate.id.text(),
            centre_id: principal.centre_id.text(),
            ..ActingFor::default()
        })
    };
    Ok(mandates.into_iter().filter_map(place).collect())
}
