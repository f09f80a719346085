//! Who acts for an organization, and in which roles.

use kernel::{Call, Error, ErrorCode, Id, Refusal, Result, Role};
use serde_json::json;
use wire::{
    id::{OrganizationId, PersonId},
    v1::{self, OrganizationStatus},
};

use crate::{
    organization, person, session,
    store::{self, Earlier},
};

/// Adds a person or replaces their roles. An applicant may gather its people before it is verified; their roles count
/// only from then on.
pub async fn add(call: &Call, input: v1::AddMemberInput) -> Result<v1::Person> {
    session::signed_in(&call.actor)?;
    let id = OrganizationId::parse(&input.organization_id, "organizationId")?;
    let own = call.actor.memberships.iter().find(|place| place.organization_id == id.text());
    let own = own.ok_or_else(|| Error::not_found("organizationId"))?;
    if !own.has(Role::Administrator) {
        let refusal = Refusal::new(ErrorCode::Forbidden).at_field("organizationId");
        return Err(refusal.accepting("ADMINISTRATOR").into());
    }
    let found = store::lock_organization(&call.tx, id).await?;
    let organization = found.ok_or_else(|| Error::not_found("organizationId"))?;
    if organization.status == OrganizationStatus::Rejected {
        return Err(Refusal::new(ErrorCode::OrganizationNotVerified).at_field("organizationId").into());
    }
    let roles = organization::roles(&input.roles, organization.kind)?;
    // A login that cannot exist is unknown, like any other.
    let login = person::login(&input.login, "login").map_err(|_| Error::not_found("login"))?;
    let found = store::person_by_login(&call.tx, &login).await?;
    let member = found.ok_or_else(|| Error::not_found("login"))?;
    if !roles.contains(&Role::Administrator) && store::administrators(&call.tx, id).await? == [member.id] {
        // Nobody would be left who could add anybody.
        return Err(Refusal::new(ErrorCode::InvalidInput).at_field("roles").accepting("ADMINISTRATOR, …").into());
    }
    store::put_member(&call.tx, member.id, id, &roles, Earlier::Replaced).await?;
    record_added(call, id, member.id, &roles).await?;
    // Where else the person is a member is not this organization's business.
    let mut places = store::places(&call.tx, member.id).await?;
    places.retain(|place| place.organization_id == id.text());
    Ok(store::person_in(member, places))
}

/// Tells the audit trail who may act for whom from now on.
pub async fn record_added(call: &Call, organization: OrganizationId, person: PersonId, roles: &[Role]) -> Result<()> {
    let names: Vec<&'static str> = roles.iter().map(|role| (*role).into()).collect();
    call.record("MemberAdded", &organization.text(), json!({ "personId": person.text(), "roles": names })).await
}
