//! Whether an organization counts: verified or rejected, suspended, reinstated, closed. Each step has its reason, which
//! the organization keeps and the audit trail too.

use kernel::{Call, Error, ErrorCode, Id, Refusal, Result, text};
use serde_json::json;
use wire::{
    id::OrganizationId,
    policy::{self, Of, Permission, permit},
    v1::{self, OrganizationKind, OrganizationStatus},
};

use crate::{
    member, organization, session, sight,
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

/// Closes an organization: its own administrator does, or a reviewer of its centre.
pub async fn close(call: &Call, input: v1::CloseOrganizationInput) -> Result<v1::Organization> {
    let step = Step {
        permission: policy::CLOSE_ORGANIZATION,
        from: &[OrganizationStatus::Applied, OrganizationStatus::Verified, OrganizationStatus::Suspended],
        to: OrganizationStatus::Closed,
        kind: "OrganizationClosed",
        why: "reason",
    };
    session::signed_in(&call.actor)?;
    let id = OrganizationId::parse(&input.organization_id, "organizationId")?;
    if !call.actor.is_member(&id.text()) {
        return judged(call, &step, &input.organization_id, &input.reason).await;
    }
    let row = member::administer(call, id, step.permission, "organizationId").await?;
    take(call, &step, row, &input.reason).await
}

/// A step that a reviewer of the organization's centre takes, who does not belong to it.
async fn judged(call: &Call, step: &Step, id: &str, why: &str) -> Result<v1::Organization> {
    let reviewer = session::signed_in(&call.actor)?;
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
    take(call, step, row, why).await
}

async fn take(call: &Call, step: &Step, row: Model, why: &str) -> Result<v1::Organization> {
    organization::require(row.status, step.from)?;
    if step.to == OrganizationStatus::Closed && row.kind == OrganizationKind::ExchangeCentre {
        let refusal = Refusal::new(ErrorCode::IllegalTransition).at_field("organizationId");
        return Err(refusal.accepting("closeCentre").into());
    }
    let why = text(why, step.why, 2, 1_000)?;
    set_status(&call.tx, row.id, step.to, &why).await?;
    let verified_at = match step.to {
        OrganizationStatus::Verified => row.verified_at.or(Some(call.now)),
        _ => row.verified_at,
    };
    if let (None, Some(at)) = (row.verified_at, verified_at) {
        set_verified(&call.tx, row.id, at).await?;
    }
    call.record(step.kind, &row.id.text(), json!({ step.why: why })).await?;
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
        assert!(taken.iter().all(|(from, to)| organization::next(*from).contains(to)));
        let all = [Applied, Verified, Rejected, Suspended, Closed];
        assert_eq!(taken.len(), all.iter().map(|from| organization::next(*from).len()).sum::<usize>());
    }
}
