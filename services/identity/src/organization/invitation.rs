//! Offers of roles in an organization. One is made to a login, and nobody looks whether anybody has it: known and
//! unknown logins answer alike.

use kernel::{Actor, Call, Context, Error, ErrorCode, Id, Refusal, Result};
use serde_json::json;
use wire::{
    id::{InvitationId, OrganizationId},
    policy,
    v1::{self, InvitationStatus},
};

use crate::{
    access::{caller, login},
    organization::{
        member::{self, administer},
        organization_status,
    },
    store::{
        invitation::{
            Model, answer as set_answer, insert_invitation, invitation, lock_invitation, login_index_of, made_by,
            made_to, revoke_earlier,
        },
        member::{Earlier, put_member, read_roles, roles_of, write_roles},
        organization::lock_organization,
        person,
    },
};

/// How long an offer stands: 14 days.
const OPEN_SECONDS: i64 = 14 * 86_400;

/// Offers roles to whoever has the login, in the place of an earlier offer that is still open.
pub async fn invite(call: &Call, input: v1::InviteMemberInput) -> Result<v1::Invitation> {
    caller::signed_in(&call.actor)?;
    let id = OrganizationId::parse(&input.organization_id, "organizationId")?;
    let organization = administer(call, id, policy::INVITE_MEMBER, "organizationId").await?;
    let roles = organization_status::roles(&input.roles, organization.kind)?;
    let login = login::login(&input.login, "login")?;
    let row = Model {
        id: InvitationId::fresh(),
        organization_id: id,
        login_index: person::login_index(&call.cx.vault, &login),
        roles: write_roles(&roles),
        status: InvitationStatus::Pending,
        created_at: call.now,
        expires_at: call.now.plus_seconds(OPEN_SECONDS),
    };
    revoke_earlier(&call.tx, id, &row.login_index).await?;
    insert_invitation(&call.tx, row.clone()).await?;
    record(call, "MemberInvited", &row).await?;
    Ok(row.at(call.now))
}

/// Takes or declines an offer that was made to the caller. Who is a member already has the new roles besides.
pub async fn answer(call: &Call, input: v1::AnswerInvitationInput) -> Result<v1::Invitation> {
    let (invited, _) = caller::own(&call.actor)?;
    let id = InvitationId::parse(&input.invitation_id, "invitationId")?;
    let missing = || Error::not_found("invitationId");
    let own = login_index_of(&call.tx, invited).await?.ok_or_else(missing)?;
    let found = invitation(&call.tx, id).await?.filter(|row| row.login_index == own).ok_or_else(missing)?;
    let organization = lock_organization(&call.tx, found.organization_id).await?.ok_or_else(missing)?;
    let mut row = pending(call, id).await?;
    row.status = if input.accept { InvitationStatus::Accepted } else { InvitationStatus::Declined };
    if input.accept {
        if !organization_status::is_alive(organization.status) {
            return Err(Refusal::new(ErrorCode::OrganizationNotVerified).at_field("invitationId").into());
        }
        let mut roles = roles_of(&call.tx, invited, organization.id).await?.unwrap_or_default();
        roles.extend(read_roles(&row.roles));
        roles.sort_unstable();
        roles.dedup();
        put_member(&call.tx, invited, organization.id, &roles, Earlier::Replaced).await?;
        member::record_added(call, organization.id, invited, &roles).await?;
    } else {
        record(call, "InvitationDeclined", &row).await?;
    }
    set_answer(&call.tx, id, row.status).await?;
    Ok(row.at(call.now))
}

/// Takes back an offer of the caller's organization.
pub async fn revoke(call: &Call, input: v1::RevokeInvitationInput) -> Result<v1::Invitation> {
    caller::signed_in(&call.actor)?;
    let id = InvitationId::parse(&input.invitation_id, "invitationId")?;
    let found = invitation(&call.tx, id).await?.ok_or_else(|| Error::not_found("invitationId"))?;
    administer(call, found.organization_id, policy::REVOKE_INVITATION, "invitationId").await?;
    let row = Model { status: InvitationStatus::Revoked, ..pending(call, id).await? };
    set_answer(&call.tx, id, row.status).await?;
    record(call, "InvitationRevoked", &row).await?;
    Ok(row.at(call.now))
}

/// The invitation, locked, if it still waits for an answer.
async fn pending(call: &Call, id: InvitationId) -> Result<Model> {
    let row = lock_invitation(&call.tx, id).await?.ok_or_else(|| Error::not_found("invitationId"))?;
    if row.standing(call.now) == InvitationStatus::Pending {
        return Ok(row);
    }
    Err(Refusal::new(ErrorCode::IllegalTransition).at_field("invitationId").into())
}

async fn record(call: &Call, kind: &str, row: &Model) -> Result<()> {
    let roles: Vec<&str> = row.roles.split(' ').collect();
    let facts = json!({ "invitationId": row.id.text(), "roles": roles });
    call.record(kind, &row.organization_id.text(), facts).await
}

/// The offers of an organization, for those who manage it; without one, those made to the caller.
pub async fn list(cx: &Context, actor: &Actor, wanted: v1::ListInvitationsRequest) -> Result<v1::InvitationPage> {
    let caller = caller::signed_in(actor)?;
    let (db, now) = (cx.db.read(), cx.clock.now());
    let paging = wanted.page.unwrap_or_default().newest_first::<InvitationId>()?;
    let slice = match wanted.organization_id {
        Some(id) => {
            let id = OrganizationId::parse(&id, "organizationId")?;
            member::oversee(cx, actor, id).await?;
            made_by(db, id, paging).await?
        }
        None => {
            let Some(own) = login_index_of(db, caller).await? else { return Ok(v1::InvitationPage::default()) };
            made_to(db, own, paging).await?
        }
    };
    let end = v1::PageEnd::from(&slice);
    Ok(v1::InvitationPage { items: slice.items.into_iter().map(|row| row.at(now)).collect(), end: Some(end) })
}
