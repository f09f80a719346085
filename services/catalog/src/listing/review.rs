//! The centre's reviewer discloses, returns or rejects a listing.

use kernel::{Call, Error, ErrorCode, Id, Refusal, Result, text};
use serde_json::json;
use wire::{
    id::ListingId,
    policy::{self, Of, permit},
    v1::{self, ListingStatus, ReviewDecision},
};

use crate::{
    achievement::import_record::known,
    listing::{
        draft::{recheck, visible},
        listing_status,
    },
    store::{self, Listing},
};

/// Decides on a submitted listing. On approval the disclosure begins at once (G3).
pub async fn decide(call: &Call, input: v1::ReviewListingInput) -> Result<v1::Listing> {
    call.actor.require_known()?;
    let id = ListingId::parse(&input.listing_id, "listingId")?;
    let decision: ReviewDecision = known(input.decision, "decision")?;
    let mut row = visible(call, id).await?;
    permit(&call.actor, policy::REVIEW_LISTING, Of::centre(&row.centre_id.text(), "listingId"))?;
    let to = match decision {
        ReviewDecision::Approve => ListingStatus::Disclosed,
        ReviewDecision::Return => ListingStatus::Returned,
        ReviewDecision::Reject => ListingStatus::Rejected,
    };
    listing_status::require(row.status_at(call.now), to)?;
    require_another(call, &row)?;
    if decision == ReviewDecision::Approve {
        recheck(call, &row)?;
        disclose(call, &mut row)?;
    } else {
        row.review_note = Some(text(input.note.as_deref().unwrap_or_default(), "note", 1, 1_000)?);
    }
    row.status = to;
    let row = store::save_listing(&call.tx, row).await?;
    let facts = json!({ "decision": decision.stored(), "note": row.review_note, "rulesVersion": row.rules_version,
        "disclosureEndsAt": row.disclosure_ends_at.map(|end| end.to_string()) });
    call.record("ListingReviewed", &row.id.text(), facts).await?;
    Ok(row.shown(call.now))
}

/// Who reviews is neither the author nor the submitter, nor one of the transferor's people or brokers (SM-3).
fn require_another(call: &Call, row: &Listing) -> Result<()> {
    let person = &call.actor.person_id;
    let involved = *person == row.author_id
        || row.submitter_id.as_ref() == Some(person)
        || call.actor.acts_for(&row.organization_id.text());
    if involved {
        return Err(Refusal::new(ErrorCode::SamePerson).by_rule("SM-3").into());
    }
    Ok(())
}

fn disclose(call: &Call, row: &mut Listing) -> Result<()> {
    let days = u32::try_from(row.disclosure_days).map_err(|_| Error::Internal("a negative period is stored".into()))?;
    row.disclosed_at = Some(call.now);
    row.disclosure_ends_at = Some(call.cx.working_day_deadline(call.now, days)?);
    row.rules_version = Some(call.cx.rules.version().to_owned());
    row.review_note = None;
    Ok(())
}
