//! An organization's way onto the exchange, and who may see it.

use kernel::{Actor, Call, Context, Error, ErrorCode, Id, Refusal, Result, Role, text};
use serde_json::json;
use wire::{
    id::OrganizationId,
    v1::{self, CentreStatus, OrganizationStatus},
};

use crate::{
    access::caller,
    organization::{code_list::CodeList, codes, name, organization_status, usci},
    sight,
    store::{
        self, centre,
        member::{Earlier, put_member},
        organization::{Model, hold_organization, insert_organization, list_organizations},
    },
};

/// Ids that one look-up may name.
const MOST_IDS: usize = 200;

/// Applies for an organization; the applicant becomes its administrator.
pub async fn register(call: &Call, input: v1::RegisterOrganizationInput) -> Result<v1::Organization> {
    let (applicant, _) = caller::own(&call.actor)?;
    let name = name::name(&input.name)?;
    let row = Model {
        id: OrganizationId::fresh(),
        skeleton: name::looks(&name),
        name,
        kind: organization_status::applicant_kind(input.kind)?,
        status: OrganizationStatus::Applied,
        usci: usci::usci(&input.usci, "usci")?,
        region: codes::checked(&call.tx, CodeList::Regions, &input.region).await?,
        legal_representative: text(&input.legal_representative, "legalRepresentative", 1, 100)?,
        industry: codes::checked(&call.tx, CodeList::Industries, &input.industry).await?,
        centre_id: centre_in_charge(call, input.centre_id.as_deref()).await?,
        evidence: String::new(),
        created_at: call.now,
        verified_at: None,
    };
    insert(call, row.clone()).await?;
    put_member(&call.tx, applicant, row.id, &[Role::Administrator], Earlier::Kept).await?;
    let facts =
        json!({ "name": row.name, "kind": row.kind.stored(), "usci": row.usci, "centreId": row.centre_id.text() });
    call.record("OrganizationRegistered", &row.id.text(), facts).await?;
    sight::one(&call.tx, &call.actor, row).await
}

/// Adds the organization, unless another holds its code.
pub async fn insert(call: &Call, row: Model) -> Result<()> {
    let parts = name::parts(&name::core(&row.name));
    if insert_organization(&call.tx, row, parts).await? {
        return Ok(());
    }
    Err(Refusal::new(ErrorCode::AlreadyExists).at_field("usci").into())
}

/// The operating centre that an applicant names; the hub if it names none.
async fn centre_in_charge(call: &Call, named: Option<&str>) -> Result<OrganizationId> {
    let missing = || Error::not_found("centreId");
    let centre = match named {
        Some(named) => centre::centre(&call.tx, OrganizationId::parse(named, "centreId")?).await?,
        None => centre::hub(&call.tx).await?,
    };
    let id = centre.ok_or_else(missing)?.organization_id;
    // Held, so that it does not close before the applicant has come into its care.
    hold_organization(&call.tx, id).await?.ok_or_else(missing)?;
    let centre = centre::centre(&call.tx, id).await?;
    centre.filter(|centre| centre.status == CentreStatus::Operating).map(|_| id).ok_or_else(missing)
}

/// The organizations among `ids` that the caller may see.
pub async fn organizations(cx: &Context, actor: &Actor, ids: v1::Ids) -> Result<v1::Organizations> {
    if ids.ids.len() > MOST_IDS {
        return Err(Refusal::new(ErrorCode::InvalidInput).at_field("ids").accepting("≤ 200").into());
    }
    let ids = ids.ids.iter().map(|id| OrganizationId::parse(id, "ids")).collect::<Result<Vec<_>>>()?;
    let rows = store::organizations(cx.db.read(), actor, ids).await?;
    Ok(v1::Organizations { items: sight::shown(cx.db.read(), actor, rows).await? })
}

/// The organizations that the caller may see, newest first.
pub async fn list(cx: &Context, actor: &Actor, wanted: v1::ListOrganizationsRequest) -> Result<v1::OrganizationPage> {
    let paging = wanted.page.unwrap_or_default().newest_first::<OrganizationId>()?;
    let status = wanted.status.map(OrganizationStatus::try_from).transpose();
    let status = status.map_err(|_| Refusal::new(ErrorCode::InvalidInput).at_field("status"))?;
    let search = wanted.search.map(|search| text(&search, "search", 1, 100)).transpose()?;
    let slice = list_organizations(cx.db.read(), actor, status, search.as_deref(), paging).await?;
    let end = v1::PageEnd::from(&slice);
    Ok(v1::OrganizationPage { items: sight::shown(cx.db.read(), actor, slice.items).await?, end: Some(end) })
}
