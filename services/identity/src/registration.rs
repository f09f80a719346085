//! An organization's way onto the exchange, and who may see it.

use kernel::{Actor, Call, Context, Error, ErrorCode, Id, Refusal, Result, Role, text};
use serde_json::json;
use wire::{
    id::OrganizationId,
    v1::{self, OrganizationStatus},
};

use crate::{
    organization, session,
    store::{self, Earlier},
    usci,
};

/// Ids that one look-up may name.
const MOST_IDS: usize = 200;

/// Applies for an organization; the applicant becomes its administrator.
pub async fn register(call: &Call, input: v1::RegisterOrganizationInput) -> Result<v1::Organization> {
    let applicant = session::signed_in(&call.actor)?;
    let row = store::organization::Model {
        id: OrganizationId::fresh(),
        name: text(&input.name, "name", 2, 100)?,
        kind: organization::applicant_kind(input.kind)?,
        status: OrganizationStatus::Applied,
        usci: usci::usci(&input.usci, "usci")?,
        region: organization::region(&input.region)?,
        created_at: call.now,
    };
    if !store::insert_organization(&call.tx, row.clone()).await? {
        return Err(Refusal::new(ErrorCode::AlreadyExists).at_field("usci").into());
    }
    store::put_member(&call.tx, applicant, row.id, &[Role::Administrator], Earlier::Kept).await?;
    let facts = json!({ "name": row.name, "kind": row.kind.stored(), "usci": row.usci });
    call.record("OrganizationRegistered", &row.id.text(), facts).await?;
    Ok(row.into())
}

/// Verifies or rejects an applicant, on evidence that the audit trail keeps.
pub async fn verify(call: &Call, input: v1::VerifyOrganizationInput) -> Result<v1::Organization> {
    session::signed_in(&call.actor)?;
    let id = OrganizationId::parse(&input.organization_id, "organizationId")?;
    if !store::may_see(&call.tx, &call.actor, id).await? {
        return Err(Error::not_found("organizationId"));
    }
    call.actor.require_staff(&[Role::Reviewer])?;
    if call.actor.is_member(&id.text()) {
        return Err(Refusal::new(ErrorCode::SamePerson).at_field("organizationId").into());
    }
    let found = store::lock_organization(&call.tx, id).await?;
    let mut row = found.ok_or_else(|| Error::not_found("organizationId"))?;
    let status = if input.approve { OrganizationStatus::Verified } else { OrganizationStatus::Rejected };
    organization::require_next(row.status, status)?;
    let evidence = text(&input.evidence, "evidence", 2, 1_000)?;
    store::set_status(&call.tx, id, status).await?;
    row.status = status;
    let kind = if input.approve { "OrganizationVerified" } else { "OrganizationRejected" };
    call.record(kind, &id.text(), json!({ "evidence": evidence })).await?;
    Ok(row.into())
}

/// The organizations among `ids` that the caller may see.
pub async fn organizations(cx: &Context, actor: &Actor, ids: v1::Ids) -> Result<v1::Organizations> {
    if ids.ids.len() > MOST_IDS {
        return Err(Refusal::new(ErrorCode::InvalidInput).at_field("ids").accepting("≤ 200").into());
    }
    let ids = ids.ids.iter().map(|id| OrganizationId::parse(id, "ids")).collect::<Result<Vec<_>>>()?;
    let rows = store::organizations(cx.db.read(), actor, ids).await?;
    Ok(v1::Organizations { items: rows.into_iter().map(v1::Organization::from).collect() })
}

/// The organizations that the caller may see, newest first.
pub async fn list(cx: &Context, actor: &Actor, wanted: v1::ListOrganizationsRequest) -> Result<v1::OrganizationPage> {
    let paging = wanted.page.unwrap_or_default().newest_first::<OrganizationId>()?;
    let status = wanted.status.map(OrganizationStatus::try_from).transpose();
    let status = status.map_err(|_| Refusal::new(ErrorCode::InvalidInput).at_field("status"))?;
    let search = wanted.search.map(|search| text(&search, "search", 1, 100)).transpose()?;
    let slice = store::list_organizations(cx.db.read(), actor, status, search.as_deref(), paging).await?;
    let end = v1::PageEnd::from(&slice);
    Ok(v1::OrganizationPage { items: slice.items.into_iter().map(v1::Organization::from).collect(), end: Some(end) })
}
