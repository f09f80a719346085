//! The exchange's own houses: opened below another, closed when nothing lies below, and in charge of organizations.

use kernel::{Actor, Call, Context, Error, ErrorCode, Id, Refusal, Result, Role, text};
use serde_json::json;
use wire::{
    id::OrganizationId,
    policy::{self, Of, permit, require_totals},
    v1::{self, CentreStatus, CentreTier, OrganizationKind, OrganizationStatus},
};

use crate::{
    access::caller,
    organization::{centre_tree, code_list::CodeList, codes, member, name, registration, usci},
    sight,
    store::{
        self, centre,
        member::{Earlier, put_member},
        organization::{
            Model, count_verified, hand_over, hold_organization, lock_organization, set_centre, set_status,
        },
    },
};

/// What a centre does: technology intermediaries (GB/T 4754-2017).
pub const INDUSTRY: &str = "M753";

/// Centres that one sum may name.
const MOST_CENTRES: usize = 1_000;

/// Opens a centre below another. It is verified at once, and who opens it administers it.
pub async fn open(call: &Call, input: v1::OpenCentreInput) -> Result<v1::Centre> {
    let opener = caller::signed_in(&call.actor)?;
    let parent = OrganizationId::parse(&input.parent_id, "parentId")?;
    permit(&call.actor, policy::OPEN_CENTRE, Of::centre(&parent.text(), "parentId"))?;
    let above = operating(call, parent, "parentId").await?;
    let tiers = centre_tree::below(above.tier);
    let tier = CentreTier::try_from(input.tier).ok().filter(|tier| tiers.contains(tier)).ok_or_else(|| {
        let names: Vec<&str> = tiers.iter().map(|tier| tier.stored()).collect();
        Refusal::new(ErrorCode::IllegalTransition).at_field("tier").accepting(names.join(" | "))
    })?;
    let row = organization(call, &input, parent).await?;
    let opened = centre::Model {
        organization_id: row.id,
        tier,
        parent_id: Some(parent),
        status: CentreStatus::Operating,
        opened_at: call.now,
    };
    registration::insert(call, row.clone()).await?;
    centre::insert_centre(&call.tx, opened.clone()).await?;
    put_member(&call.tx, opener, row.id, &[Role::Administrator], Earlier::Kept).await?;
    let facts = json!({ "name": row.name, "usci": row.usci, "tier": tier.stored(), "parentId": parent.text() });
    call.record("CentreOpened", &row.id.text(), facts).await?;
    member::record_added(call, row.id, opener, &[Role::Administrator]).await?;
    Ok(opened.into())
}

/// A centre as an organization. The centre above looks after it.
async fn organization(call: &Call, input: &v1::OpenCentreInput, parent: OrganizationId) -> Result<Model> {
    let name = name::name(&input.name)?;
    Ok(Model {
        id: OrganizationId::fresh(),
        skeleton: name::looks(&name),
        name,
        kind: OrganizationKind::ExchangeCentre,
        status: OrganizationStatus::Verified,
        usci: usci::usci(&input.usci, "usci")?,
        region: codes::checked(&call.tx, CodeList::Regions, &input.region).await?,
        legal_representative: text(&input.legal_representative, "legalRepresentative", 1, 100)?,
        industry: INDUSTRY.into(),
        centre_id: parent,
        evidence: String::new(),
        created_at: call.now,
        verified_at: Some(call.now),
    })
}

/// The centre, which operates and will until the transaction ends.
async fn operating(call: &Call, id: OrganizationId, field: &str) -> Result<centre::Model> {
    let missing = || Error::not_found(field);
    let organization = hold_organization(&call.tx, id).await?.ok_or_else(missing)?;
    let found = centre::centre(&call.tx, id).await?.ok_or_else(missing)?;
    if found.status == CentreStatus::Operating && organization.status == OrganizationStatus::Verified {
        return Ok(found);
    }
    Err(Refusal::new(ErrorCode::IllegalTransition).at_field(field).into())
}

/// Closes a centre with nothing below it. What was in its care comes into the care of the centre above.
pub async fn close(call: &Call, input: v1::CloseCentreInput) -> Result<v1::Centre> {
    caller::signed_in(&call.actor)?;
    let id = OrganizationId::parse(&input.centre_id, "centreId")?;
    let missing = || Error::not_found("centreId");
    let illegal = || Refusal::new(ErrorCode::IllegalTransition).at_field("centreId");
    let found = centre::centre(&call.tx, id).await?.ok_or_else(missing)?;
    // The hub has none above it, so nobody can close it.
    let above = found.parent_id.unwrap_or(id);
    permit(&call.actor, policy::CLOSE_CENTRE, Of::centre(&above.text(), "centreId"))?;
    let parent = found.parent_id.ok_or_else(illegal)?;
    lock_organization(&call.tx, id).await?.ok_or_else(missing)?;
    let centres = centre::centres(&call.tx).await?;
    let operates = |centre: &&centre::Model| centre.status == CentreStatus::Operating;
    if !centres.iter().filter(operates).any(|centre| centre.organization_id == id) {
        return Err(illegal().into());
    }
    if centres.iter().filter(operates).any(|centre| centre.parent_id == Some(id)) {
        return Err(illegal().accepting("没有下级中心 / none below it").into());
    }
    let reason = text(&input.reason, "reason", 2, 1_000)?;
    centre::close_centre(&call.tx, id).await?;
    set_status(&call.tx, id, OrganizationStatus::Closed, &reason).await?;
    let organizations = hand_over(&call.tx, id, parent).await?;
    let facts = json!({ "reason": reason, "organizations": organizations, "parentId": parent.text() });
    call.record("CentreClosed", &id.text(), facts).await?;
    Ok(centre::Model { status: CentreStatus::Closed, ..found }.into())
}

/// Gives an organization into another centre's care.
pub async fn assign(call: &Call, input: v1::AssignCentreInput) -> Result<v1::Organization> {
    caller::signed_in(&call.actor)?;
    let id = OrganizationId::parse(&input.organization_id, "organizationId")?;
    let to = OrganizationId::parse(&input.centre_id, "centreId")?;
    let missing = || Error::not_found("organizationId");
    if !store::may_see(&call.tx, &call.actor, id).await? {
        return Err(missing());
    }
    let row = lock_organization(&call.tx, id).await?.ok_or_else(missing)?;
    permit(&call.actor, policy::ASSIGN_CENTRE, Of::centre(&row.centre_id.text(), "organizationId"))?;
    permit(&call.actor, policy::ASSIGN_CENTRE, Of::centre(&to.text(), "centreId"))?;
    if !covers_both(&call.actor, &row.centre_id.text(), &to.text()) {
        return Err(Refusal::new(ErrorCode::Forbidden).at_field("centreId").accepting("ADMINISTRATOR").into());
    }
    if row.kind == OrganizationKind::ExchangeCentre {
        // Its place is in the tree.
        return Err(Refusal::new(ErrorCode::IllegalTransition).at_field("organizationId").into());
    }
    operating(call, to, "centreId").await?;
    set_centre(&call.tx, id, to).await?;
    let facts = json!({ "from": row.centre_id.text(), "to": to.text() });
    call.record("CentreAssigned", &id.text(), facts).await?;
    sight::one(&call.tx, &call.actor, Model { centre_id: to, ..row }).await
}

/// Whether the person administers one centre that has both below it.
fn covers_both(actor: &Actor, one: &str, other: &str) -> bool {
    actor.memberships.iter().any(|place| {
        let alone = Actor { memberships: vec![place.clone()], ..actor.clone() };
        let scope = alone.scope(&[Role::Administrator]);
        scope.reaches(one) && scope.reaches(other)
    })
}

/// The whole tree. It is no secret.
pub async fn list(cx: &Context) -> Result<v1::Centres> {
    let rows = centre::centres(cx.db.read()).await?;
    Ok(v1::Centres { items: rows.into_iter().map(v1::Centre::from).collect() })
}

/// How many organizations are verified in the given centres, of which all must lie in the caller's reach.
pub async fn totals(cx: &Context, actor: &Actor, wanted: v1::TotalsRequest) -> Result<v1::CentreTotals> {
    if wanted.centre_ids.len() > MOST_CENTRES {
        return Err(Refusal::new(ErrorCode::InvalidInput).at_field("centreIds").accepting("≤ 1000").into());
    }
    require_totals(actor, &wanted)?;
    let all = wanted.centre_ids.is_empty();
    let ids = wanted.centre_ids.iter().map(|id| OrganizationId::parse(id, "centreIds")).collect::<Result<Vec<_>>>()?;
    let organizations = count_verified(cx.db.read(), (!all).then_some(ids)).await?;
    Ok(v1::CentreTotals { organizations: i64::try_from(organizations).unwrap_or(i64::MAX), ..Default::default() })
}
