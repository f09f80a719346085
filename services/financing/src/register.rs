//! An organization applies as an investor; a reviewer decides.

use kernel::{Call, Error, ErrorCode, Id, Refusal, Result, Sight, text};
use serde_json::json;
use wire::{
    id::{InvestorId, OrganizationId},
    policy::{self, Of, permit},
    v1::{self, InvestorStatus},
};

use crate::{
    investor::Preferences,
    store,
    transition::{illegal, of_investor},
};

/// Applies for an organization; each applies once.
pub async fn register(call: &Call, input: v1::RegisterInvestorInput) -> Result<v1::Investor> {
    call.actor.require_known()?;
    let organization = OrganizationId::parse(&input.organization_id, "organizationId")?;
    permit(&call.actor, policy::REGISTER_INVESTOR, Of::organization(&organization.text(), "organizationId"))?;
    let wishes = Preferences::check(&input)?;
    let centre = OrganizationId::parse(call.actor.centre_of(&organization.text()), "organizationId")?;
    let investor = store::investor::Model::applied((organization, centre), &wishes, call.now);
    if !store::add_investor(&call.tx, investor.clone()).await? {
        return Err(Refusal::new(ErrorCode::AlreadyExists).at_field("organizationId").into());
    }
    let facts = json!({
        "organizationId": organization.text(),
        "fields": investor.fields,
        "stages": investor.stages,
        "regions": investor.regions,
        "leastAmount": wishes.least.to_string(),
        "mostAmount": wishes.most.to_string(),
    });
    call.record("InvestorApplied", &investor.id.text(), facts).await?;
    Ok(investor.into())
}

/// Verifies or rejects an applicant (F5). The reviewer does not belong to it.
pub async fn verify(call: &Call, input: v1::VerifyInvestorInput) -> Result<v1::Investor> {
    call.actor.require_known()?;
    let id = InvestorId::parse(&input.investor_id, "investorId")?;
    let found = store::lock_investor(&call.tx, &Sight::of(&call.actor), id).await?;
    let mut investor = found.ok_or_else(|| Error::not_found("investorId"))?;
    permit(&call.actor, policy::VERIFY_INVESTOR, Of::centre(&investor.centre_id.text(), "investorId"))?;
    if call.actor.is_member(&investor.organization_id.text()) {
        return Err(ErrorCode::SamePerson.into());
    }
    let status = if input.approve { InvestorStatus::Verified } else { InvestorStatus::Rejected };
    let allowed = of_investor(investor.status);
    if !allowed.contains(&status) {
        return Err(illegal("investorId", allowed.iter().map(|next| next.stored())));
    }
    let evidence = text(&input.evidence, "evidence", 2, 1_000)?;
    store::move_investor(&call.tx, &investor, status).await?;
    investor.status = status;
    let kind = if input.approve { "InvestorVerified" } else { "InvestorRejected" };
    call.record(kind, &id.text(), json!({ "rule": "F5", "evidence": evidence })).await?;
    Ok(investor.into())
}
