//! The members of a consortium say whether they bid with it (联合受让, SM-4). Its lead has said so by applying.

use kernel::{Call, Error, ErrorCode, Id, Refusal, Result};
use serde_json::json;
use wire::{
    id::{OrganizationId, TransferApplicationId},
    policy::{self, Of, permit},
    v1::{self, TransferApplicationStatus},
};

use crate::{
    application::consortium,
    listing::listing_status,
    sight::Sight,
    store::{self, Application},
};

/// Gives or declines one member's consent, as long as the consortium is not qualified. The last word counts.
pub async fn answer(call: &Call, input: v1::AnswerConsortiumInput) -> Result<v1::TransferApplication> {
    call.actor.require_known()?;
    let id = TransferApplicationId::parse(&input.transfer_application_id, "transferApplicationId")?;
    let member = OrganizationId::parse(&input.organization_id, "organizationId")?;
    let found = store::locked_application(&call.tx, id).await?;
    let seen = found.filter(|(_, row)| row.is_open_to(&Sight::of(&call.actor)));
    let (listing, row) = seen.ok_or_else(|| Error::not_found("transferApplicationId"))?;
    let members = row.members()?;
    if !members.iter().any(|named| named.is(member)) {
        return Err(Error::not_found("organizationId"));
    }
    permit(&call.actor, policy::ANSWER_CONSORTIUM, Of::organization(&input.organization_id, "organizationId"))?;
    if row.status != TransferApplicationStatus::Applied {
        return Err(refuse(ErrorCode::IllegalTransition, "transferApplicationId").accepting("APPLIED").into());
    }
    if !listing_status::takes_qualification(listing.status_at(call.now)) {
        return Err(refuse(ErrorCode::ListingNotDisclosed, "transferApplicationId").into());
    }
    if member == row.organization_id {
        return Err(refuse(ErrorCode::AlreadyAnswered, "organizationId").into());
    }
    if let Some(code) = call.actor.conflict(&listing.organization_id.text(), &listing.centre_id.text()) {
        return Err(Refusal::new(code).at_field("organizationId").by_rule("SM-5").into());
    }
    let members = consortium::answered(members, member, (input.consent, call.now));
    let row = Application { members: consortium::stored(&members)?, ..row };
    let row = store::save_application(&call.tx, row).await?;
    let facts = json!({ "organizationId": input.organization_id, "consent": input.consent });
    call.record("ConsortiumAnswered", &id.text(), facts).await?;
    Ok(row.into())
}

/// A consortium is qualified when every member has consented; the refusal names those who have not.
pub fn require(row: &Application) -> Result<()> {
    let members = row.members()?;
    let missing: Vec<&str> = consortium::without_consent(&members).collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(refuse(ErrorCode::ConsentMissing, "transferApplicationId").accepting(missing.join(", ")).into()),
    }
}

fn refuse(code: ErrorCode, field: &str) -> Refusal {
    Refusal::new(code).at_field(field).by_rule("SM-4")
}
