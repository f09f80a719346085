//! The register of organizations that stand too near, and whether somebody stands on both sides of a sale.
//!
//! To declare costs nothing, so it binds nobody but who declares: what bars others takes evidence and a reviewer.

use kernel::{Actor, Call, Context, Error, ErrorCode, Id, Refusal, Result, Role, text};
use sea_orm::ConnectionTrait;
use serde_json::json;
use wire::{
    id::{ConflictOfInterestId, OrganizationId, PersonId},
    policy::{self, Of, Permission, permit},
    v1::{self, ConflictStatus},
};

use crate::{
    access::caller,
    brokerage::conflict_status,
    organization::centre_tree::Tree,
    store::{brokerage::centre_of, centre::centres, conflict as store},
};

/// The input field that names a conflict.
const FIELD: &str = "conflictOfInterestId";

/// Who decides for an applicant.
pub const DECIDING: [Role; 3] = [Role::Administrator, Role::Bidder, Role::Signatory];

/// Two organizations in the one order in which they are stored: a connection has no direction.
pub fn pair(one: OrganizationId, other: OrganizationId) -> (OrganizationId, OrganizationId) {
    if one <= other { (one, other) } else { (other, one) }
}

/// Declares that two organizations are connected. Who administers the one that is named first binds it; who administers
/// the other binds that one; the staff binds neither before a reviewer confirms it.
pub async fn declare(call: &Call, input: v1::DeclareConflictInput) -> Result<v1::ConflictOfInterest> {
    let declared_by = caller::signed_in(&call.actor)?;
    let one = OrganizationId::parse(&input.organization_id, "organizationId")?;
    let other = OrganizationId::parse(&input.other_organization_id, "otherOrganizationId")?;
    for (id, field) in [(one, "organizationId"), (other, "otherOrganizationId")] {
        if !crate::store::may_see(&call.tx, &call.actor, id).await? {
            return Err(Error::not_found(field));
        }
    }
    if one == other {
        return Err(Refusal::new(ErrorCode::InvalidInput).at_field("otherOrganizationId").into());
    }
    permit_for_one(call, policy::DECLARE_CONFLICT, [(one, "organizationId"), (other, "otherOrganizationId")]).await?;
    let (organization_id, other_organization_id) = pair(one, other);
    let row = store::entity::Model {
        id: ConflictOfInterestId::fresh(),
        organization_id,
        other_organization_id,
        nature: text(&input.nature, "nature", 2, 500)?,
        declared_by,
        declared_at: call.now,
        lifted_at: None,
        declarer_id: [one, other].into_iter().find(|id| is_party(&call.actor, *id)),
        evidence: None,
        confirmed_by: None,
        confirmed_at: None,
    };
    if !store::insert_conflict(&call.tx, row.clone()).await? {
        return Err(Refusal::new(ErrorCode::AlreadyExists).at_field("otherOrganizationId").into());
    }
    let facts = json!({
        "organizationId": organization_id.text(), "otherOrganizationId": other_organization_id.text(),
        "nature": row.nature, "declarerId": row.declarer_id.map(Id::text),
    });
    call.record("ConflictDeclared", &row.id.text(), facts).await?;
    Ok(row.into())
}

/// Whether the caller declares for the organization itself, not as the staff of a centre.
fn is_party(actor: &Actor, id: OrganizationId) -> bool {
    let Permission::Roles { own, .. } = policy::DECLARE_CONFLICT else { return false };
    actor.require_role(&id.text(), own, "organizationId").is_ok()
}

/// Confirms a declared conflict by evidence: from now on it bars both. A lot under way goes on as it is; whoever must
/// leave it is excluded there, while it is paused and by two persons.
pub async fn confirm(call: &Call, input: v1::ConfirmConflictInput) -> Result<v1::ConflictOfInterest> {
    let (person, mut row) = judged(call, &input.conflict_of_interest_id, policy::CONFIRM_CONFLICT).await?;
    require(row.status(), ConflictStatus::Confirmed)?;
    let evidence = text(&input.evidence, "evidence", 2, 1_000)?;
    row = store::confirm_conflict(&call.tx, row, (person, call.now), &evidence).await?;
    call.record("ConflictConfirmed", &row.id.text(), json!({ "evidence": evidence })).await?;
    Ok(row.into())
}

/// Ends a conflict. Neither who declared or confirmed it nor anybody of the two organizations decides that it is over.
pub async fn lift(call: &Call, input: v1::LiftConflictInput) -> Result<v1::ConflictOfInterest> {
    let (person, mut row) = judged(call, &input.conflict_of_interest_id, policy::LIFT_CONFLICT).await?;
    if row.confirmed_by == Some(person) {
        return Err(Refusal::new(ErrorCode::SamePerson).at_field(FIELD).into());
    }
    require(row.status(), ConflictStatus::Lifted)?;
    let reason = text(&input.reason, "reason", 2, 500)?;
    store::lift_conflict(&call.tx, row.id, call.now).await?;
    row.lifted_at = Some(call.now);
    call.record("ConflictLifted", &row.id.text(), json!({ "reason": reason })).await?;
    Ok(row.into())
}

/// A conflict, locked, with the person who decides on it: a reviewer who did not declare it and belongs to neither side.
async fn judged(call: &Call, id: &str, permission: Permission) -> Result<(PersonId, store::entity::Model)> {
    let person = caller::signed_in(&call.actor)?;
    let id = ConflictOfInterestId::parse(id, FIELD)?;
    let found = store::lock_conflict(&call.tx, &call.actor, id).await?;
    let row = found.ok_or_else(|| Error::not_found(FIELD))?;
    let both = [row.organization_id, row.other_organization_id];
    permit_for_one(call, permission, both.map(|id| (id, FIELD))).await?;
    if row.declared_by == person || both.iter().any(|id| call.actor.is_member(&id.text())) {
        return Err(Refusal::new(ErrorCode::SamePerson).at_field(FIELD).into());
    }
    Ok((person, row))
}

fn require(from: ConflictStatus, to: ConflictStatus) -> Result<()> {
    if conflict_status::next(from).contains(&to) {
        return Ok(());
    }
    let names: Vec<&str> = conflict_status::next(from).iter().map(|status| status.stored()).collect();
    Err(Refusal::new(ErrorCode::IllegalTransition).at_field(FIELD).accepting(names.join(" | ")).into())
}

/// Requires the permission for one of the two. The refusal is that of the one to which the caller is nearer.
async fn permit_for_one(call: &Call, permission: Permission, mut both: [(OrganizationId, &str); 2]) -> Result<()> {
    both.sort_by_key(|(id, _)| !call.actor.is_member(&id.text()));
    let mut outcome = Ok(());
    for (id, field) in both.into_iter().rev() {
        let (organization, centre) = (id.text(), centre_of(&call.tx, id).await?.text());
        outcome = permit(&call.actor, permission, Of::organization(&organization, field).at(&centre));
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// The conflicts that the caller may see, newest first: those of the caller's organizations and of the caller's
/// centres.
pub async fn list(cx: &Context, actor: &Actor, wanted: v1::ListConflictsRequest) -> Result<v1::ConflictPage> {
    actor.require_known()?;
    let paging = wanted.page.unwrap_or_default().newest_first::<ConflictOfInterestId>()?;
    let organization = wanted.organization_id.as_deref().map(|id| OrganizationId::parse(id, "organizationId"));
    let slice = store::list_conflicts(cx.db.read(), actor, organization.transpose()?, paging).await?;
    let end = v1::PageEnd::from(&slice);
    Ok(v1::ConflictPage { items: slice.items.into_iter().map(Into::into).collect(), end: Some(end) })
}

/// Whether somebody stands on both sides of a sale: a connection in the register, which the applicant itself declared or
/// a reviewer confirmed, or a person who decides for the applicant
/// and belongs to the transferor, brokers for it, or is the staff of the sale's centre or of one above it. For the
/// exchange's own use, and for the centre's staff.
pub async fn find(cx: &Context, actor: &Actor, wanted: v1::FindConflictsRequest) -> Result<v1::FindConflictsReply> {
    let applicant = OrganizationId::parse(&wanted.applicant_id, "applicantId")?;
    let transferor = OrganizationId::parse(&wanted.transferor_id, "transferorId")?;
    let centre = OrganizationId::parse(&wanted.centre_id, "centreId")?;
    if !actor.is_exchange() {
        let staff = [Role::Reviewer, Role::Qualifier, Role::Auditor];
        actor.require_staff_at(&wanted.centre_id, &staff, "centreId")?;
    }
    let db = cx.db.read();
    let at = wanted.in_force_at.unwrap_or(cx.clock.now());
    if store::is_barred(db, applicant, pair(applicant, transferor), at).await? {
        return Ok(v1::FindConflictsReply { conflict: true });
    }
    let people = store::people(db, applicant, &DECIDING).await?;
    let conflict = store::belong(db, &people, transferor).await?
        || store::are_staff(db, &people, &line(db, centre).await?).await?
        || store::broker_for(db, (applicant, &people), transferor, cx.clock.now()).await?;
    Ok(v1::FindConflictsReply { conflict })
}

/// The centre and all above it.
async fn line(db: &impl ConnectionTrait, centre: OrganizationId) -> Result<Vec<OrganizationId>> {
    let tree = Tree::of(centres(db).await?);
    let above = |id: &OrganizationId| tree.centre(*id).and_then(|centre| centre.parent_id);
    Ok(std::iter::successors(Some(centre), above).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokerage_conflicts_have_no_direction() {
        let (a, b) = (OrganizationId::fresh(), OrganizationId::fresh());
        assert_eq!(pair(a, b), pair(b, a));
        assert!(pair(a, b).0 < pair(a, b).1);
    }
}
