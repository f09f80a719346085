//! A financing project is drafted by its organization and published by a reviewer.

use kernel::{Call, Error, ErrorCode, Id, Result, Sight};
use serde_json::json;
use wire::{
    id::{FinancingProjectId, OrganizationId},
    policy::{self, Of, permit},
    v1::{self, FinancingProjectStatus},
};

use crate::{
    project::Content,
    store,
    transition::{illegal, of_project},
};

/// Drafts a project.
pub async fn create(call: &Call, input: v1::CreateFinancingProjectInput) -> Result<v1::FinancingProject> {
    call.actor.require_known()?;
    let organization = OrganizationId::parse(&input.organization_id, "organizationId")?;
    permit(&call.actor, policy::CREATE_FINANCING_PROJECT, Of::organization(&organization.text(), "organizationId"))?;
    let Content { title, teaser, details, kind, ask } = Content::check(&input)?;
    let project = store::financing_project::Model {
        id: FinancingProjectId::fresh(),
        organization_id: organization,
        author_id: call.actor.person_id.clone(),
        status: FinancingProjectStatus::Draft,
        title,
        teaser,
        details,
        kind,
        amount: ask.amount,
        field: ask.field,
        stage: ask.stage,
        region: ask.region,
        created_at: call.now,
        centre_id: OrganizationId::parse(call.actor.centre_of(&organization.text()), "organizationId")?,
    };
    store::add_project(&call.tx, project.clone()).await?;
    // The details stay out of the trail: it is read by more people than they are.
    let facts =
        json!({ "organizationId": organization.text(), "kind": kind.stored(), "amount": ask.amount.to_string() });
    call.record("FinancingProjectDrafted", &project.id.text(), facts).await?;
    Ok(project.shown(true))
}

/// Publishes a project's teaser. Nobody publishes his own: not the author, nor a member of the organization.
pub async fn publish(call: &Call, input: v1::PublishFinancingProjectInput) -> Result<v1::FinancingProject> {
    call.actor.require_known()?;
    let id = FinancingProjectId::parse(&input.financing_project_id, "financingProjectId")?;
    let found = store::lock_project(&call.tx, &Sight::of(&call.actor), id).await?;
    let mut project = found.ok_or_else(|| Error::not_found("financingProjectId"))?;
    let centre = project.centre_id.text();
    permit(&call.actor, policy::PUBLISH_FINANCING_PROJECT, Of::centre(&centre, "financingProjectId"))?;
    if project.author_id == call.actor.person_id || call.actor.is_member(&project.organization_id.text()) {
        return Err(ErrorCode::SamePerson.into());
    }
    let allowed = of_project(project.status);
    if !allowed.contains(&FinancingProjectStatus::Open) {
        return Err(illegal("financingProjectId", allowed.iter().map(|next| next.stored())));
    }
    store::move_project(&call.tx, &project, FinancingProjectStatus::Open).await?;
    project.status = FinancingProjectStatus::Open;
    call.record("FinancingProjectPublished", &id.text(), json!({ "rule": "F5" })).await?;
    Ok(project.shown(true))
}
