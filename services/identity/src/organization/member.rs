//! Who acts for an organization, and in which roles.

use kernel::{Actor, Call, Context, Error, ErrorCode, Id, Refusal, Result, Role};
use serde_json::json;
use wire::{
    id::{OrganizationId, PersonId},
    policy::{self, Permission},
    v1::{self, OrganizationKind},
};

use crate::{
    access::caller,
    organization::organization_status,
    store::{
        self,
        member::{Earlier, administrators, list_members, put_member, remove_member, roles_of},
        organization::{Model, lock_organization},
        person,
    },
};

/// The organization, locked, which the caller manages in one of the permission's own roles. An applicant's people may
/// manage it before it is verified; what a role was when the session began is not enough, it must be so still.
pub async fn administer(call: &Call, id: OrganizationId, permission: Permission, field: &str) -> Result<Model> {
    let caller = caller::signed_in(&call.actor)?;
    let missing = || Error::not_found(field);
    let place = place(&call.actor, id).ok_or_else(missing)?;
    let row = lock_organization(&call.tx, id).await?.ok_or_else(missing)?;
    let Permission::Roles { own, .. } = permission else { return Err(ErrorCode::Forbidden.into()) };
    let present = roles_of(&call.tx, caller, id).await?.ok_or_else(missing)?;
    if !own.iter().any(|role| place.has(*role) && present.contains(role)) {
        return Err(forbidden(own, field));
    }
    if !organization_status::is_alive(row.status) {
        return Err(Refusal::new(ErrorCode::OrganizationNotVerified).at_field(field).into());
    }
    Ok(row)
}

/// The caller's own membership; a mandate is none.
fn place(actor: &Actor, id: OrganizationId) -> Option<&kernel::ActingFor> {
    actor.own_places().find(|place| place.organization_id == id.text())
}

fn forbidden(own: &[Role], field: &str) -> Error {
    let names: Vec<&'static str> = own.iter().map(|role| (*role).into()).collect();
    Refusal::new(ErrorCode::Forbidden).at_field(field).accepting(names.join(" | ")).into()
}

/// Replaces a member's roles.
pub async fn change_roles(call: &Call, input: v1::ChangeMemberRolesInput) -> Result<v1::Member> {
    caller::signed_in(&call.actor)?;
    let id = OrganizationId::parse(&input.organization_id, "organizationId")?;
    let row = administer(call, id, policy::CHANGE_MEMBER_ROLES, "organizationId").await?;
    let member = PersonId::parse(&input.person_id, "personId")?;
    roles_of(&call.tx, member, id).await?.ok_or_else(|| Error::not_found("personId"))?;
    let roles = organization_status::roles(&input.roles, row.kind)?;
    if !roles.contains(&Role::Administrator) {
        keep_one(call, id, member).await?;
    }
    put_member(&call.tx, member, id, &roles, Earlier::Replaced).await?;
    record(call, "MemberRolesChanged", (id, member), &roles).await?;
    let person = store::person(&call.tx, &call.cx.vault, member).await?;
    Ok(shown(id, member, &roles, person.map(|person| person.name).unwrap_or_default()))
}

/// Ends a membership: one's own, or as an administrator.
pub async fn remove(call: &Call, input: v1::RemoveMemberInput) -> Result<bool> {
    let (caller, _) = caller::own(&call.actor)?;
    let id = OrganizationId::parse(&input.organization_id, "organizationId")?;
    let member = PersonId::parse(&input.person_id, "personId")?;
    let missing = || Error::not_found("organizationId");
    if member == caller {
        place(&call.actor, id).ok_or_else(missing)?;
        lock_organization(&call.tx, id).await?.ok_or_else(missing)?;
    } else {
        administer(call, id, policy::REMOVE_MEMBER, "organizationId").await?;
    }
    let roles = roles_of(&call.tx, member, id).await?.ok_or_else(|| Error::not_found("personId"))?;
    keep_one(call, id, member).await?;
    remove_member(&call.tx, member, id).await?;
    record(call, "MemberRemoved", (id, member), &roles).await?;
    Ok(true)
}

/// Refuses if the person is the only administrator: nobody would be left who could bring in another. The organization
/// is locked, so two who step down at once take turns.
async fn keep_one(call: &Call, id: OrganizationId, leaving: PersonId) -> Result<()> {
    if administrators(&call.tx, id).await? != [leaving] {
        return Ok(());
    }
    Err(Refusal::new(ErrorCode::LastAdministrator).at_field("personId").into())
}

/// Tells the audit trail who may act for whom from now on.
pub async fn record_added(call: &Call, organization: OrganizationId, person: PersonId, roles: &[Role]) -> Result<()> {
    record(call, "MemberAdded", (organization, person), roles).await
}

async fn record(
    call: &Call,
    kind: &str,
    (organization, person): (OrganizationId, PersonId),
    roles: &[Role],
) -> Result<()> {
    let names: Vec<&'static str> = roles.iter().map(|role| (*role).into()).collect();
    call.record(kind, &organization.text(), json!({ "personId": person.text(), "roles": names })).await
}

fn shown(organization: OrganizationId, person: PersonId, roles: &[Role], name: String) -> v1::Member {
    v1::Member {
        person_id: person.text(),
        name,
        organization_id: organization.text(),
        roles: roles.iter().map(|role| (*role).into()).collect(),
    }
}

/// Requires that the caller administers the organization or, if it is a centre, one above it.
pub async fn oversee(cx: &Context, actor: &Actor, id: OrganizationId) -> Result<()> {
    actor.require_known()?;
    let place = place(actor, id);
    if place.is_some_and(|place| place.has(Role::Administrator)) {
        return Ok(());
    }
    let found = store::organizations(cx.db.read(), actor, vec![id]).await?.pop();
    let is_centre = found.is_some_and(|row| row.kind == OrganizationKind::ExchangeCentre);
    if is_centre && actor.scope(&[Role::Administrator]).reaches(&id.text()) {
        return Ok(());
    }
    match place {
        Some(_) => Err(forbidden(&[Role::Administrator], "organizationId")),
        None => Err(Error::not_found("organizationId")),
    }
}

/// The members of an organization, for those who manage it.
pub async fn list(cx: &Context, actor: &Actor, wanted: v1::ListMembersRequest) -> Result<v1::MemberPage> {
    let id = OrganizationId::parse(&wanted.organization_id, "organizationId")?;
    if !actor.is_exchange() {
        oversee(cx, actor, id).await?;
    }
    let paging = wanted.page.unwrap_or_default().newest_first::<PersonId>()?;
    let slice = list_members(cx.db.read(), id, paging).await?;
    let ids = slice.items.iter().map(|member| member.person_id).collect();
    let people = person::people(cx.db.read(), &cx.vault, ids).await?;
    let end = v1::PageEnd::from(&slice);
    let member = |row: store::member::Model| {
        let person = people.iter().find(|person| person.id == row.person_id);
        shown(id, row.person_id, &row.roles(), person.map(|person| person.name.clone()).unwrap_or_default())
    };
    Ok(v1::MemberPage { items: slice.items.into_iter().map(member).collect(), end: Some(end) })
}
