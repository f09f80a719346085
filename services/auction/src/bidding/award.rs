use kernel::{Actor, Call, Context, Error, ErrorCode, Id, Refusal, Result, Sight};
use serde_json::json;
use wire::{
    id::{AwardId, ListingId, OrganizationId, TransferApplicationId},
    policy::{self, Of, permit},
    v1::{self, AwardStatus, ConversionMode},
};

use crate::{
    auctions::Auctions,
    bidding::{confirmation, schedule, standing},
    engine::award::next,
    peers,
    store::{
        self,
        award::{self, Model},
    },
};

/// The organization's awards that are not confirmed yet. What is confirmed is a deal, which the contract service knows.
pub async fn open_business(
    cx: &Context,
    actor: &Actor,
    wanted: v1::OpenBusinessRequest,
) -> Result<v1::OpenBusinessReply> {
    let organization = wanted.organization_for(actor)?;
    let rows = award::unconfirmed(cx.db.read(), organization).await?;
    let open = rows.iter().map(|row| format!("{} {} → CONFIRMED", row.id.text(), row.status.stored()));
    Ok(v1::OpenBusinessReply { open: open.collect() })
}

/// One qualified bidder is no failure (trap 5): it takes the listing at no less than the floor, unsessioned.
pub async fn quote_as_sole_bidder(
    auctions: &Auctions,
    call: &Call,
    input: v1::QuoteAsSoleBidderInput,
) -> Result<v1::Award> {
    call.actor.require_known()?;
    let listing_id = ListingId::parse(&input.listing_id, "listingId")?;
    let winner_id = OrganizationId::parse(&input.organization_id, "organizationId")?;
    let price = input.price.ok_or_else(|| Error::from(Refusal::new(ErrorCode::Required).at_field("price")))?;
    let listing = schedule::listing(auctions, call, listing_id).await?;
    let own = Of::organization(&input.organization_id, "organizationId");
    permit(&call.actor, policy::QUOTE_AS_SOLE_BIDDER, own)?;
    schedule::require_ended(call, &listing)?;
    schedule::require_transferor(auctions, &listing).await?;
    if !store::sessions(&call.tx, &call.cx.vault, Vec::new(), vec![listing_id]).await?.is_empty() {
        return Err(Refusal::new(ErrorCode::AlreadyScheduled).at_field("listingId").by_rule("P-2").into());
    }
    let (transferor, centre) = (&*listing.organization_id, &*listing.centre_id);
    let mut conflict = call.actor.conflict(transferor, centre);
    if conflict.is_none()
        && peers::conflict(&auctions.clients, &input.organization_id, (transferor, centre), None).await?
    {
        conflict = Some(ErrorCode::ConflictOfInterest);
    }
    if let Some(code) = conflict {
        return Err(Refusal::new(code).at_field("organizationId").by_rule("SM-5").into());
    }
    let eligible = schedule::eligible(auctions, call, &listing).await?;
    let [application] = eligible.as_slice() else {
        return Err(Refusal::new(ErrorCode::NotSoleBidder).at_field("listingId").by_rule("SM-3").into());
    };
    if application.organization_id != input.organization_id {
        return Err(Refusal::new(ErrorCode::NotEligible).at_field("organizationId").by_rule("SM-4").into());
    }
    let floor = listing.floor_price.unwrap_or_default();
    if price < floor {
        let refusal =
            Refusal::new(ErrorCode::BelowFloor).at_field("price").by_rule("SM-3").accepting(format!("≥ {floor}"));
        return Err(Refusal { minimum_amount: Some(floor), ..refusal }.into());
    }
    let row = Model {
        id: AwardId::derived(listing_id.uuid(), "award"),
        listing_id,
        session_id: None,
        transferor_id: OrganizationId::parse(&listing.organization_id, "listingId")?,
        winner_id,
        centre_id: OrganizationId::parse(&listing.centre_id, "listingId")?,
        transfer_application_id: TransferApplicationId::parse(&application.id, "listingId")?,
        title: listing.title.clone(),
        licence: listing.conversion_mode() == ConversionMode::License,
        open: false,
        price,
        status: AwardStatus::Proposed,
        first_confirmer: None,
        second_confirmer: None,
        decided_at: call.now,
        default_declared_at: None,
        default_declared_by: None,
        default_hindrance: None,
        transferor_defaults: false,
    };
    if !award::insert(&call.tx, row.clone()).await? {
        return Err(Refusal::new(ErrorCode::AlreadyExists).at_field("listingId").by_rule("P-2").into());
    }
    call.record("SoleBidderQuoted", &row.id.text(), json!({ "price": price.to_string() })).await?;
    Ok(row.into())
}

/// Confirms an award. It takes two different persons of the centre, neither belonging to a party.
pub async fn confirm(auctions: &Auctions, call: &Call, input: v1::ConfirmAwardInput) -> Result<v1::Award> {
    call.actor.require_known()?;
    let id = AwardId::parse(&input.award_id, "awardId")?;
    let sight = Sight::of(&call.actor);
    let seen = |row: &Model| sight.covers(&[row.winner_id.0, row.transferor_id.0], row.centre_id.0);
    let found = award::for_update(&call.tx, id).await?.filter(seen);
    let row = found.ok_or_else(|| Error::not_found("awardId"))?;
    permit(&call.actor, policy::CONFIRM_AWARD, Of::centre(&row.centre_id.text(), "awardId"))?;
    let onward = |step: &AwardStatus| matches!(step, AwardStatus::HalfConfirmed | AwardStatus::Confirmed);
    let step = next(row.status).first().copied().filter(onward);
    // Once somebody's default is declared, the award only ends.
    let Some(status) = step.filter(|_| row.default_declared_at.is_none()) else {
        return Err(Refusal::new(ErrorCode::IllegalTransition)
            .at_field("awardId")
            .accepting("PROPOSED | HALF_CONFIRMED")
            .into());
    };
    let (transferor, winner) = (row.transferor_id.text(), row.winner_id.text());
    if call.actor.acts_for(&transferor) || call.actor.acts_for(&winner) {
        return Err(Refusal::new(ErrorCode::SamePerson).at_field("awardId").into());
    }
    if row.first_confirmer.as_ref() == Some(&call.actor.person_id) {
        return Err(Refusal::new(ErrorCode::SamePerson).at_field("awardId").accepting("REVIEWER | QUALIFIER").into());
    }
    let resting = peers::resting(&auctions.clients, vec![transferor.clone(), winner.clone()]).await?;
    for (side, exit) in [(&transferor, "declareTransferorDefault"), (&winner, "declareDefault")] {
        standing::require(&resting, side, ("awardId", &format!("reinstateOrganization | {exit}")))?;
    }
    let row = award::confirm(&call.tx, row, status, &call.actor.person_id).await?;
    call.record("AwardConfirmation", &id.text(), json!({ "status": status.stored() })).await?;
    if status == AwardStatus::Confirmed {
        let published = confirmation::publish(auctions, call, &row).await?;
        let seller = published.transferor.unwrap_or_default();
        // Who wins what a listing asks for is paid (REVERSE). The lead of a consortium stands for it.
        let buyer_id = if seller.organization_id == winner { transferor } else { winner };
        let buyer = published.transferees.into_iter().find(|party| party.organization_id == buyer_id);
        let confirmed = v1::AwardConfirmed {
            award_id: id.text(),
            listing_id: row.listing_id.text(),
            title: row.title.clone(),
            transferor_id: seller.organization_id,
            transferee_id: buyer_id,
            transferor_name: seller.name,
            transferee_name: buyer.unwrap_or_default().name,
            transfer_application_id: row.transfer_application_id.text(),
            price: Some(row.price),
            licence: row.licence,
            centre_id: row.centre_id.text(),
            open_licence: row.open,
        };
        call.announce(&id.text(), &confirmed).await?;
    }
    Ok(row.into())
}
