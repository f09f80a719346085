//! The centre's qualifier decides on a prospective transferee.

use kernel::{Call, Error, ErrorCode, Id, Refusal, Result, text};
use serde_json::json;
use wire::{
    id::TransferApplicationId,
    policy::{self, Of, permit},
    v1::{self, TransferApplicationStatus},
};

use crate::{
    application::{application_status, consent},
    listing::listing_status,
    sight::Sight,
    store::{self, Application, Listing},
};

/// Confirms or refuses a prospective transferee's qualification, and with it the preemption right that it claims.
pub async fn qualify(call: &Call, input: v1::ReviewTransferApplicationInput) -> Result<v1::TransferApplication> {
    call.actor.require_known()?;
    let id = TransferApplicationId::parse(&input.transfer_application_id, "transferApplicationId")?;
    let found = store::locked_application(&call.tx, id).await?;
    let seen = found.filter(|(_, row)| row.is_open_to(&Sight::of(&call.actor)));
    let (listing, mut row) = seen.ok_or_else(|| Error::not_found("transferApplicationId"))?;
    let centre = listing.centre_id.text();
    permit(&call.actor, policy::REVIEW_TRANSFER_APPLICATION, Of::centre(&centre, "transferApplicationId"))?;
    let to = if input.approve { TransferApplicationStatus::DepositDue } else { TransferApplicationStatus::Rejected };
    application_status::require(row.status, to)?;
    let stands = listing.status_at(call.now);
    if !listing_status::takes_qualification(stands) {
        return Err(Refusal::new(ErrorCode::ListingNotDisclosed).by_rule("SM-4").into());
    }
    require_uninvolved(call, &listing, &row)?;
    if input.approve {
        consent::require(&row)?;
        enter_others(call, &row).await?;
    } else {
        row.review_note = Some(text(input.note.as_deref().unwrap_or_default(), "note", 1, 1_000)?);
    }
    row.preemption_rank = confirmed_rank(call, &listing, &row, &input).await?;
    row.status = to;
    let row = store::save_application(&call.tx, row).await?;
    let facts = json!({ "approve": input.approve, "note": row.review_note, "preemptionRank": row.preemption_rank });
    call.record("TransferApplicationReviewed", &row.id.text(), facts).await?;
    Ok(row.into())
}

/// No organization takes part twice, be it alone or with others.
async fn enter_others(call: &Call, row: &Application) -> Result<()> {
    let others = row.bidders()?.into_iter().filter(|bidder| *bidder != row.organization_id).collect();
    match store::enter(&call.tx, row, others).await? {
        true => Ok(()),
        false => Err(refuse(ErrorCode::AlreadyApplied, "transferApplicationId").into()),
    }
}

/// The confirmed rank of a claimed preemption right. It is confirmed beforehand, that is before bidding is scheduled.
async fn confirmed_rank(
    call: &Call,
    listing: &Listing,
    row: &Application,
    input: &v1::ReviewTransferApplicationInput,
) -> Result<Option<i32>> {
    let Some(rank) = input.preemption_rank else { return Ok(None) };
    if row.preemption_ground.is_none() {
        return Err(refuse(ErrorCode::NoPreemption, "preemptionRank").into());
    }
    if !input.approve {
        return Err(refuse(ErrorCode::InvalidInput, "preemptionRank").accepting("null").into());
    }
    if listing.scheduled {
        return Err(refuse(ErrorCode::AlreadyScheduled, "preemptionRank").into());
    }
    let most = call.cx.rule("bidding.preemption.max_rank", call.now)?;
    if !(1..=most.value).contains(&i64::from(rank)) {
        let refusal = refuse(ErrorCode::InvalidInput, "preemptionRank").by_rule(&most.id);
        return Err(refusal.accepting(format!("1–{}", most.value)).into());
    }
    if store::rank_taken(&call.tx, listing.id, rank).await? {
        return Err(refuse(ErrorCode::AlreadyExists, "preemptionRank").into());
    }
    Ok(Some(rank))
}

/// Who qualifies belongs to neither side.
fn require_uninvolved(call: &Call, listing: &Listing, row: &Application) -> Result<()> {
    let sides = row.bidders()?.into_iter().chain([listing.organization_id]);
    if sides.into_iter().any(|side| call.actor.acts_for(&side.text())) {
        return Err(Refusal::new(ErrorCode::SamePerson).by_rule("SM-4").into());
    }
    Ok(())
}

fn refuse(code: ErrorCode, field: &str) -> Refusal {
    Refusal::new(code).at_field(field).by_rule("SM-4")
}
