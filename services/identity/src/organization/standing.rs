//! Whether an organization counts: verified or rejected, suspended, reinstated, closed. Each step has its reason, which
//! the organization keeps and the audit trail too.
//!
//! A suspension comes at once, for cause: what is under way ends where it is held, and who fails pays. A closure is for good,
//! so it waits until nothing is under way.

use kernel::{Call, Error, ErrorCode, Id, Refusal, Result, text};
use serde_json::json;
use wire::{
    Clients,
    id::OrganizationId,
    policy::{self, Of, Permission, permit},
    v1::{self, OrganizationKind, OrganizationStatus},
};

use crate::{
    access::caller,
    organization::{business, member, organization_status},
    sight,
    store::{
        self,
        organization::{Model, lock_organization, set_status, set_verified},
    },
};

/// A step from one status to another.
struct Step {
    permission: Permission,
    from: &'static [OrganizationStatus],
    to: OrganizationStatus,
    /// Under what name the audit trail has it.
    kind: &'static str,
    /// The input field that says why.
    why: &'static str,
}

/// Verifies or rejects an applicant.
pub async fn verify(call: &Call, input: v1::VerifyOrganizationInput) -> Result<v1::Organization> {
    let (to, kind) = match input.approve {
        true => (OrganizationStatus::Verified, "OrganizationVerified"),
        false => (OrganizationStatus::Rejected, "OrganizationRejected"),
    };
    let from = &[OrganizationStatus::Applied];
    let step = Step { permission: policy::VERIFY_ORGANIZATION, from, to, kind, why: "evidence" };
    judged(call, &step, &input.organization_id, &input.evidence).await
}

/// Lets the roles of an organization's members rest.
pub async fn suspend(call: &Call, input: v1::SuspendOrganizationInput) -> Result<v1::Organization> {
    let step = Step {
        permission: policy::SUSPEND_ORGANIZATION,
        from: &[OrganizationStatus::Verified],
        to: OrganizationStatus::Suspended,
        kind: "OrganizationSuspended",
        why: "reason",
    };
    judged(call, &step, &input.organization_id, &input.reason).await
}

/// Ends a suspension.
pub async fn reinstate(call: &Call, input: v1::ReinstateOrganizationInput) -> Result<v1::Organization> {
    let step = Step {
        permission: policy::REINSTATE_ORGANIZATION,
        from: &[OrganizationStatus::Suspended],
        to: OrganizationStatus::Verified,
        kind: "OrganizationReinstated",
        why: "reason",
    };
    judged(call, &step, &input.organization_id, &input.reason).await
}

/// Closes an organization that has nothing under way: its own administrator does, or a reviewer of its centre.
pub async fn close(call: &Call, clients: &Clients, input: v1::CloseOrganizationInput) -> Result<v1::Organization> {
    let step = Step {
        permission: policy::CLOSE_ORGANIZATION,
        from: &[OrganizationStatus::Applied, OrganizationStatus::Verified, OrganizationStatus::Suspended],
        to: OrganizationStatus::Closed,
        kind: "OrganizationClosed",
        why: "reason",
    };
    caller::signed_in(&call.actor)?;
    let id = OrganizationId::parse(&input.organization_id, "organizationId")?;
    let row = match call.actor.is_member(&id.text()) {
        true => member::administer(call, id, step.permission, "organizationId").await?,
        false => judge(call, &step, &input.organization_id).await?,
    };
    // Asked while the row is locked: whoever asks identity whether it is verified waits for no answer of ours.
    let open = business::open(clients, &row.id.text()).await?;
    take(call, &step, row, (&input.reason, &open)).await
}

/// A step that a reviewer of the organization's centre takes, who does not belong to it.
async fn judged(call: &Call, step: &Step, id: &str, why: &str) -> Result<v1::Organization> {
    let row = judge(call, step, id).await?;
    take(call, step, row, (why, &[])).await
}

/// The organization, locked, for a reviewer of its centre who does not belong to it.
async fn judge(call: &Call, step: &Step, id: &str) -> Result<Model> {
    let reviewer = caller::signed_in(&call.actor)?;
    let id = OrganizationId::parse(id, "organizationId")?;
    let missing = || Error::not_found("organizationId");
    if !store::may_see(&call.tx, &call.actor, id).await? {
        return Err(missing());
    }
    let row = lock_organization(&call.tx, id).await?.ok_or_else(missing)?;
    permit(&call.actor, step.permission, Of::centre(&row.centre_id.text(), "organizationId"))?;
    let belongs = store::member::roles_of(&call.tx, reviewer, id).await?.is_some();
    if belongs || call.actor.is_member(&id.text()) {
        return Err(Refusal::new(ErrorCode::SamePerson).at_field("organizationId").into());
    }
    Ok(row)
}

/// Takes the step, unless something is open that must end first.
async fn take(call: &Call, step: &Step, row: Model, (why, open): (&str, &[String])) -> Result<v1::Organization> {
    organization_status::require(row.status, step.from)?;
    if step.to == OrganizationStatus::Closed && row.kind == OrganizationKind::ExchangeCentre {
        let refusal = Refusal::new(ErrorCode::IllegalTransition).at_field("organizationId");
        return Err(refusal.accepting("closeCentre").into());
    }
    let why = text(why, step.why, 2, 1_000)?;
    if let Some(refusal) = business::refusal(open) {
        return Err(refusal.into());
    }
    set_status(&call.tx, row.id, step.to, &why).await?;
    let verified_at = match step.to {
        OrganizationStatus::Verified => row.verified_at.or(Some(call.now)),
        _ => row.verified_at,
    };
    if let (None, Some(at)) = (row.verified_at, verified_at) {
        set_verified(&call.tx, row.id, at).await?;
    }
    call.record(step.kind, &row.id.text(), json!({ step.why: why })).await?;
    if step.from != [OrganizationStatus::Applied] {
        let changed = v1::OrganizationStandingChanged { organization_id: row.id.text() };
        call.announce(&row.id.text(), &changed).await?;
    }
    sight::one(&call.tx, &call.actor, Model { status: step.to, evidence: why, verified_at, ..row }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_one_of_the_state_machine() {
        use OrganizationStatus::{Applied, Closed, Rejected, Suspended, Verified};
        let steps = [
            (&[Applied][..], Verified),
            (&[Applied], Rejected),
            (&[Verified], Suspended),
            (&[Suspended], Verified),
            (&[Applied, Verified, Suspended], Closed),
        ];
        let taken: Vec<_> = steps.iter().flat_map(|(from, to)| from.iter().map(move |from| (*from, *to))).collect();
        assert!(taken.iter().all(|(from, to)| organization_status::next(*from).contains(to)));
        let all = [Applied, Verified, Rejected, Suspended, Closed];
        assert_eq!(taken.len(), all.iter().map(|from| organization_status::next(*from).len()).sum::<usize>());
    }
}
