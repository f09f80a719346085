//! An investor expresses an interest; the project answers.

use kernel::{Actor, Call, Error, ErrorCode, Id, Refusal, Result, Sight, text};
use serde_json::json;
use wire::{
    id::{FinancingProjectId, InterestId, InvestorId},
    policy::{self, Of, permit},
    v1::{self, FinancingProjectStatus, InterestStatus},
};

use crate::{
    entry::all_known,
    interest,
    investor::require_verified,
    store,
    transition::{illegal, of_project},
};

/// Expresses an interest, or adds the acceptance of the non-disclosure agreement to an earlier one.
pub async fn express(call: &Call, input: v1::ExpressInterestInput) -> Result<v1::Interest> {
    call.actor.require_known()?;
    let project_id = FinancingProjectId::parse(&input.financing_project_id, "financingProjectId")?;
    let investor_id = InvestorId::parse(&input.investor_id, "investorId")?;
    let sight = Sight::of(&call.actor);
    let investor = store::find_investor(&call.tx, &sight, investor_id).await?;
    let investor = investor.ok_or_else(|| Error::not_found("investorId"))?;
    let project = store::find_project(&call.tx, &sight, project_id).await?;
    let project = project.ok_or_else(|| Error::not_found("financingProjectId"))?;
    let organization = investor.organization_id.text();
    permit(&call.actor, policy::EXPRESS_INTEREST, Of::organization(&organization, "investorId"))?;
    require_verified(investor.status)?;
    if project.status != FinancingProjectStatus::Open {
        let allowed = of_project(project.status).iter().map(|next| next.stored());
        return Err(illegal("financingProjectId", allowed));
    }
    if project.organization_id == investor.organization_id {
        return Err(Refusal::new(ErrorCode::OwnProject).at_field("financingProjectId").into());
    }
    save_expressed(call, project_id, investor_id, input.accept_nda).await
}

async fn save_expressed(
    call: &Call,
    project: FinancingProjectId,
    investor: InvestorId,
    accept_nda: bool,
) -> Result<v1::Interest> {
    let mut row = store::interest::Model {
        id: InterestId::fresh(),
        financing_project_id: project,
        investor_id: investor,
        status: interest::express(None, accept_nda)?,
        decline_reasons: String::new(),
        answer_note: None,
        created_at: call.now,
    };
    let mut earlier = None;
    if !store::add_interest(&call.tx, row.clone()).await? {
        let found = store::lock_interest_between(&call.tx, project, investor).await?;
        row = found.ok_or_else(|| Error::Internal("an interest that was there is gone".into()))?;
        earlier = Some(row.status);
        row.status = interest::express(earlier, accept_nda)?;
    }
    if earlier == Some(row.status) {
        return Ok(row.into());
    }
    if let Some(was) = earlier {
        store::save_interest(&call.tx, &row, was).await?;
    }
    let facts = json!({ "financingProjectId": project.text(), "investorId": investor.text() });
    if earlier.is_none() {
        call.record("InterestExpressed", &row.id.text(), facts.clone()).await?;
    }
    if row.status == InterestStatus::NdaAccepted {
        call.record("NonDisclosureAccepted", &row.id.text(), facts).await?;
    }
    Ok(row.into())
}

/// Opens the project's details to the investor, or declines with reasons.
pub async fn answer(call: &Call, input: v1::AnswerInterestInput) -> Result<v1::Interest> {
    call.actor.require_known()?;
    let id = InterestId::parse(&input.interest_id, "interestId")?;
    let found = store::lock_interest(&call.tx, &Sight::of(&call.actor), id).await?;
    let mut row = found.ok_or_else(|| Error::not_found("interestId"))?;
    require_project_side(call, row.financing_project_id).await?;
    let reasons = all_known(&input.decline_reasons, "declineReasons")?;
    let was = row.status;
    row.status = interest::answer(was, input.accept, &reasons)?;
    row.decline_reasons = store::stored_reasons(&reasons);
    let note = text(input.note.as_deref().unwrap_or_default(), "note", 0, 1_000)?;
    row.answer_note = Some(note).filter(|note| !note.is_empty());
    store::save_interest(&call.tx, &row, was).await?;
    let kind = if input.accept { "InterestAccepted" } else { "InterestDeclined" };
    let facts = json!({
        "financingProjectId": row.financing_project_id.text(),
        "investorId": row.investor_id.text(),
        "declineReasons": row.decline_reasons,
    });
    call.record(kind, &id.text(), facts).await?;
    Ok(row.into())
}

/// The investor's side and staff see the interest too, so they are told that they may not answer it.
async fn require_project_side(call: &Call, id: FinancingProjectId) -> Result<()> {
    let project = store::find_project(&call.tx, &Sight::of(&Actor::exchange()), id).await?;
    let organization = project.ok_or_else(|| Error::Internal(format!("{id} is missing")))?.organization_id.text();
    if !call.actor.is_member(&organization) {
        return Err(Refusal::new(ErrorCode::Forbidden).at_field("interestId").into());
    }
    permit(&call.actor, policy::ANSWER_INTEREST, Of::organization(&organization, "interestId"))
}
