//! The centre's qualifier decides what follows a disclosure that ended without bidding (SM-3).

use kernel::{Call, Error, ErrorCode, Id, Refusal, Result, text};
use serde_json::json;
use wire::{
    id::ListingId,
    policy::{self, Of, permit},
    v1::{self, DisclosureConclusion, ListingStatus, TransferApplicationStatus},
};

use crate::{
    achievement::import_record::known,
    listing::{draft::visible, listing_status, terms::LONGEST_DISCLOSURE},
    store::{self, Listing},
};

/// Extends the disclosure, leaves the listing unsold, or ends it for good. Deposits are free again unless it goes on.
pub async fn conclude(call: &Call, input: v1::ConcludeDisclosureInput) -> Result<v1::Listing> {
    call.actor.require_known()?;
    let id = ListingId::parse(&input.listing_id, "listingId")?;
    let conclusion: DisclosureConclusion = known(input.conclusion, "conclusion")?;
    let mut row = visible(call, id).await?;
    permit(&call.actor, policy::CONCLUDE_DISCLOSURE, Of::centre(&row.centre_id.text(), "listingId"))?;
    let to = match conclusion {
        DisclosureConclusion::Extend => ListingStatus::Disclosed,
        DisclosureConclusion::Unsold => ListingStatus::Unsold,
        DisclosureConclusion::Terminate => ListingStatus::Terminated,
    };
    let stands = row.status_at(call.now);
    if stands != ListingStatus::PeriodEnded {
        // Bidding has its own ways to end.
        return Err(illegal(ListingStatus::PeriodEnded.stored()));
    }
    listing_status::require(stands, to)?;
    if call.actor.acts_for(&row.organization_id.text()) {
        return Err(Refusal::new(ErrorCode::SamePerson).by_rule("SM-3").into());
    }
    if conclusion != DisclosureConclusion::Terminate {
        require_nobody_waits(call, &row).await?;
    }
    let note = text(&input.note, "note", 2, 1_000)?;
    if conclusion == DisclosureConclusion::Extend {
        extend(call, &mut row, input.days)?;
    } else if input.days.is_some() {
        return Err(Refusal::new(ErrorCode::InvalidInput).at_field("days").by_rule("G8").accepting("null").into());
    }
    row.status = to;
    row.review_note = Some(note.clone());
    let row = store::save_listing(&call.tx, row).await?;
    release(call, &row, note.clone()).await?;
    let facts = json!({ "conclusion": conclusion.stored(), "note": note, "extensions": row.extensions,
        "disclosureEndsAt": row.disclosure_ends_at.map(|end| end.to_string()) });
    call.record("DisclosureConcluded", &row.id.text(), facts).await?;
    Ok(row.shown(call.now))
}

/// Trap 5: one qualified bidder is no failure, and two or more compete. Before the listing is given up, the one had the
/// time to quote; two or more are given up only by ending the listing, for a reason.
async fn require_nobody_waits(call: &Call, row: &Listing) -> Result<()> {
    let bidders = store::count_eligible(&call.tx, row.id).await?;
    if bidders == 0 {
        return Ok(());
    }
    let least = call.cx.rule("bidding.min_competitors", call.now)?;
    if i64::try_from(bidders).is_ok_and(|bidders| bidders < least.value) {
        let days = call.cx.rule("award.sole_bidder.quote.max_working_days", call.now)?;
        let ended = row.disclosure_ends_at.ok_or_else(|| Error::Internal("no end of disclosure is stored".into()))?;
        let until = call.cx.working_day_deadline(ended, days.as_u32())?;
        if until <= call.now {
            return Ok(());
        }
        return Err(illegal(&format!("TERMINATE | ≥ {until}")));
    }
    Err(illegal("TERMINATE"))
}

/// Another period of disclosure, no shorter than a cycle, and no more of them than there may be (G8).
fn extend(call: &Call, row: &mut Listing, days: Option<i32>) -> Result<()> {
    let most = call.cx.rule("extension.max_cycles", call.now)?;
    if i64::from(row.extensions) >= most.value {
        let refusal = Refusal::new(ErrorCode::ExtensionsUsedUp).at_field("conclusion").by_rule(&most.id);
        return Err(refusal.accepting(format!("≤ {}", most.value)).into());
    }
    let cycle = call.cx.rule("extension.cycle.min_working_days", call.now)?;
    let days = days.map_or(cycle.value, i64::from);
    if days < cycle.value {
        let refusal = Refusal::new(ErrorCode::PeriodTooShort).at_field("days").by_rule(&cycle.id);
        return Err(refusal.accepting(format!("≥ {}", cycle.value)).into());
    }
    let longest = u32::try_from(days).ok().filter(|_| days <= LONGEST_DISCLOSURE);
    let days = longest.ok_or_else(|| {
        let refusal = Refusal::new(ErrorCode::PeriodOutOfRange).at_field("days").by_rule(&cycle.id);
        refusal.accepting(format!("{}–{LONGEST_DISCLOSURE}", cycle.value))
    })?;
    row.disclosure_ends_at = Some(call.cx.working_day_deadline(call.now, days)?);
    row.extensions += 1;
    Ok(())
}

/// Nobody won: who was eligible has lost, and the ledger frees every deposit as after a session.
async fn release(call: &Call, row: &Listing, reason: String) -> Result<()> {
    use TransferApplicationStatus::{Eligible, Lost};
    let (listing_id, transferor_id, session_id) = (row.id.text(), row.organization_id.text(), String::new());
    match row.status {
        ListingStatus::Unsold => {
            let unsold = v1::BiddingUnsold { listing_id: listing_id.clone(), session_id, transferor_id };
            call.announce(&listing_id, &unsold).await?;
        }
        ListingStatus::Terminated => {
            let cancelled = v1::BiddingCancelled { listing_id: listing_id.clone(), session_id, transferor_id, reason };
            call.announce(&listing_id, &cancelled).await?;
        }
        _ => return Ok(()),
    }
    store::move_applications(&call.tx, row.id, Eligible, Lost).await
}

fn illegal(accepted: &str) -> Error {
    Refusal::new(ErrorCode::IllegalTransition).by_rule("SM-3").accepting(accepted).into()
}
