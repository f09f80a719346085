//! A prospective transferee applies, and the centre's qualifier decides on it.

use kernel::{Actor, Call, Error, ErrorCode, Id, Peer, Refusal, Result, text};
use serde_json::json;
use wire::{
    id::{ListingId, OrganizationId, TransferApplicationId},
    policy::{self, Of, permit},
    v1::{self, ListingStatus, TransferApplicationStatus, brokerage_client::BrokerageClient},
};

use crate::{
    application,
    draft::visible,
    listing,
    sight::Sight,
    store::{self, Application, Listing},
};

/// Applies to acquire a listing while it is disclosed (SM-4).
pub async fn apply(
    call: &Call,
    brokerage: BrokerageClient<Peer>,
    input: v1::ApplyForTransferInput,
) -> Result<v1::TransferApplication> {
    call.actor.require_known()?;
    let listing_id = ListingId::parse(&input.listing_id, "listingId")?;
    let organization_id = OrganizationId::parse(&input.organization_id, "organizationId")?;
    let listing = visible(call, listing_id).await?;
    permit(&call.actor, policy::APPLY_FOR_TRANSFER, Of::organization(&organization_id.text(), "organizationId"))?;
    if listing.status_at(call.now) != ListingStatus::Disclosed {
        return Err(Refusal::new(ErrorCode::ListingNotDisclosed).at_field("listingId").by_rule("SM-4").into());
    }
    require_one_side(call, brokerage, &listing, organization_id).await?;
    let row = Application {
        id: TransferApplicationId::fresh(),
        listing_id,
        organization_id,
        centre_id: listing.centre_id,
        status: TransferApplicationStatus::Applied,
        deposit: listing.deposit,
        bidder_code: None,
        review_note: None,
        created_at: call.now,
    };
    if !store::insert_application(&call.tx, row.clone()).await? {
        return Err(Refusal::new(ErrorCode::AlreadyApplied).at_field("organizationId").by_rule("SM-4").into());
    }
    let facts = json!({ "listingId": listing_id.text(), "organizationId": organization_id.text() });
    call.record("TransferApplied", &row.id.text(), facts).await?;
    Ok(row.into())
}

/// Confirms or refuses a prospective transferee's qualification.
pub async fn qualify(call: &Call, input: v1::ReviewTransferApplicationInput) -> Result<v1::TransferApplication> {
    call.actor.require_known()?;
    let id = TransferApplicationId::parse(&input.transfer_application_id, "transferApplicationId")?;
    let found = store::locked_application(&call.tx, id).await?;
    let seen = found.filter(|(_, row)| Sight::of(&call.actor).covers_application(row));
    let (listing, mut row) = seen.ok_or_else(|| Error::not_found("transferApplicationId"))?;
    let centre = listing.centre_id.text();
    permit(&call.actor, policy::REVIEW_TRANSFER_APPLICATION, Of::centre(&centre, "transferApplicationId"))?;
    let to = if input.approve { TransferApplicationStatus::DepositDue } else { TransferApplicationStatus::Rejected };
    application::require(row.status, to)?;
    let stands = listing.status_at(call.now);
    if !listing::takes_qualification(stands) {
        return Err(Refusal::new(ErrorCode::ListingNotDisclosed).by_rule("SM-4").into());
    }
    require_uninvolved(call, &listing, &row)?;
    if !input.approve {
        row.review_note = Some(text(input.note.as_deref().unwrap_or_default(), "note", 1, 1_000)?);
    }
    row.status = to;
    let row = store::save_application(&call.tx, row).await?;
    let facts = json!({ "approve": input.approve, "note": row.review_note });
    call.record("TransferApplicationReviewed", &row.id.text(), facts).await?;
    Ok(row.into())
}

/// 拍卖法 22 and 30, as the model: neither a transferor nor who runs the sale may bid, nor through others.
async fn require_one_side(
    call: &Call,
    mut brokerage: BrokerageClient<Peer>,
    listing: &Listing,
    applicant: OrganizationId,
) -> Result<()> {
    let (transferor_id, centre_id) = (listing.organization_id.text(), listing.centre_id.text());
    let mut code = call.actor.conflict(&transferor_id, &centre_id);
    if code.is_none() {
        let sides = v1::FindConflictsRequest { applicant_id: applicant.text(), transferor_id, centre_id };
        let found = brokerage.find_conflicts(Actor::exchange().asks(sides)).await?.into_inner();
        code = found.conflict.then_some(ErrorCode::ConflictOfInterest);
    }
    match code {
        Some(code) => Err(Refusal::new(code).at_field("organizationId").by_rule("SM-5").into()),
        None => Ok(()),
    }
}

/// Who qualifies belongs to neither side.
fn require_uninvolved(call: &Call, listing: &Listing, row: &Application) -> Result<()> {
    let sides = [listing.organization_id, row.organization_id];
    if sides.iter().any(|side| call.actor.acts_for(&side.text())) {
        return Err(Refusal::new(ErrorCode::SamePerson).by_rule("SM-4").into());
    }
    Ok(())
}
