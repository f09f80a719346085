//! A prospective transferee applies, and the centre's qualifier decides on it.

use kernel::{Call, Error, ErrorCode, Id, Refusal, Result, Role, text};
use serde_json::json;
use wire::{
    id::{ListingId, OrganizationId, TransferApplicationId},
    v1::{self, ListingStatus, TransferApplicationStatus},
};

use crate::{
    application,
    draft::visible,
    listing,
    sight::Sight,
    store::{self, Application, Listing},
};

/// Who acts for a prospective transferee.
const TRANSFEREE: [Role; 2] = [Role::Bidder, Role::Administrator];

/// Applies to acquire a listing while it is disclosed (SM-4).
pub async fn apply(call: &Call, input: v1::ApplyForTransferInput) -> Result<v1::TransferApplication> {
    call.actor.require_known()?;
    let listing_id = ListingId::parse(&input.listing_id, "listingId")?;
    let organization_id = OrganizationId::parse(&input.organization_id, "organizationId")?;
    let listing = visible(call, listing_id).await?;
    call.actor.require_role(&organization_id.text(), &TRANSFEREE, "organizationId")?;
    if listing.status_at(call.now) != ListingStatus::Disclosed {
        return Err(Refusal::new(ErrorCode::ListingNotDisclosed).at_field("listingId").by_rule("SM-4").into());
    }
    if organization_id == listing.organization_id || call.actor.is_member(&listing.organization_id.text()) {
        // 拍卖法 30, as the model: a transferor may not bid, nor through others.
        return Err(Refusal::new(ErrorCode::OwnListing).at_field("organizationId").by_rule("SM-5").into());
    }
    let row = Application {
        id: TransferApplicationId::fresh(),
        listing_id,
        organization_id,
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
    let seen = found.filter(|(_, row)| Sight::of(&call.actor).covers(row.organization_id));
    let (listing, mut row) = seen.ok_or_else(|| Error::not_found("transferApplicationId"))?;
    call.actor.require_staff(&[Role::Qualifier])?;
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

/// Who qualifies belongs to neither side.
fn require_uninvolved(call: &Call, listing: &Listing, row: &Application) -> Result<()> {
    let sides = [listing.organization_id, row.organization_id];
    if sides.iter().any(|side| call.actor.is_member(&side.text())) {
        return Err(Refusal::new(ErrorCode::SamePerson).by_rule("SM-4").into());
    }
    Ok(())
}
