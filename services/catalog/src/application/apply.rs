//! A prospective transferee applies, alone or with others, and may claim a preemption right.

use kernel::{Actor, Call, Error, ErrorCode, Id, Refusal, Result};
use serde_json::json;
use wire::{
    Clients,
    id::{ListingId, OrganizationId, TransferApplicationId},
    policy::{self, Of, permit},
    v1::{self, ListingStatus, PreemptionGround, PreemptionRule, TransferApplicationStatus},
};

use crate::{
    achievement::import_record::known,
    application::consortium::{self, Member},
    listing::{draft::visible, transferor},
    store::{self, Application, Listing},
};

/// Applies to acquire a listing while it is disclosed (SM-4).
pub async fn apply(call: &Call, clients: Clients, input: v1::ApplyForTransferInput) -> Result<v1::TransferApplication> {
    call.actor.require_known()?;
    let listing_id = ListingId::parse(&input.listing_id, "listingId")?;
    let organization_id = OrganizationId::parse(&input.organization_id, "organizationId")?;
    let listing = visible(call, listing_id).await?;
    permit(&call.actor, policy::APPLY_FOR_TRANSFER, Of::organization(&organization_id.text(), "organizationId"))?;
    if listing.status_at(call.now) != ListingStatus::Disclosed {
        return Err(Refusal::new(ErrorCode::ListingNotDisclosed).at_field("listingId").by_rule("SM-4").into());
    }
    let terms = listing.announced()?;
    let preemption_ground = claim(&terms, input.preemption_ground)?;
    let most = call.cx.rule("bidding.consortium.max_members", call.now)?;
    let members = consortium::read(&input.members, organization_id, terms.consortium_allowed, most)?;
    require_one_side(call, &clients, &listing, organization_id).await?;
    require_others(call, &clients, &listing, (organization_id, &members)).await?;
    let members: Vec<Member> = members.into_iter().map(|(_, member)| member).collect();
    let row = Application {
        id: TransferApplicationId::fresh(),
        listing_id,
        organization_id,
        centre_id: listing.centre_id,
        status: TransferApplicationStatus::Applied,
        deposit: listing.deposit,
        bidder_code: None,
        review_note: None,
        members: consortium::stored(&members)?,
        preemption_ground,
        preemption_rank: None,
        created_at: call.now,
    };
    let inserted = store::insert_application(&call.tx, row.clone()).await?;
    // Only the applicant is entered now. To be named by others binds nobody: the others are entered when they have
    // consented and the qualifier confirms them.
    if !inserted || !store::enter(&call.tx, &row, vec![organization_id]).await? {
        return Err(refuse(ErrorCode::AlreadyApplied, "organizationId"));
    }
    store::name_members(&call.tx, &row, &members).await?;
    let facts = json!({ "listingId": listing_id.text(), "organizationId": organization_id.text(), "members": members,
        "preemptionGround": preemption_ground.map(PreemptionGround::stored) });
    call.record("TransferApplied", &row.id.text(), facts).await?;
    Ok(row.into())
}

/// A preemption right is claimed only where the notice has a place for it.
fn claim(terms: &v1::BiddingTerms, ground: Option<i32>) -> Result<Option<PreemptionGround>> {
    let ground = ground.map(|ground| known(ground, "preemptionGround")).transpose()?;
    match ground {
        Some(_) if terms.preemption() == PreemptionRule::None => {
            Err(refuse(ErrorCode::NoPreemption, "preemptionGround"))
        }
        ground => Ok(ground),
    }
}

/// 拍卖法 22 and 30, as the model: neither a transferor nor who runs the sale may bid, nor through others. Nor may who
/// defaulted on the lot before (SM-3).
async fn require_one_side(call: &Call, clients: &Clients, listing: &Listing, applicant: OrganizationId) -> Result<()> {
    let (transferor_id, centre_id) = (listing.organization_id.text(), listing.centre_id.text());
    if let Some(code) = call.actor.conflict(&transferor_id, &centre_id) {
        return Err(Refusal::new(code).at_field("organizationId").by_rule("SM-5").into());
    }
    require_free(call, clients, listing, (applicant, "organizationId")).await
}

/// The others of a consortium stand on no other side either, and are verified organizations.
async fn require_others(
    call: &Call,
    clients: &Clients,
    listing: &Listing,
    (applicant, members): (OrganizationId, &[(OrganizationId, Member)]),
) -> Result<()> {
    for (n, (id, _)) in members.iter().enumerate().filter(|(_, (id, _))| *id != applicant) {
        let field = consortium::field(n);
        if *id == listing.organization_id {
            return Err(Refusal::new(ErrorCode::OwnListing).at_field(&field).by_rule("SM-5").into());
        }
        let known = transferor::ask(clients.identity.clone(), *id).await.map_err(|error| match error {
            Error::Refused(refusal) => Error::from(refusal.at_field(&field)),
            fault => fault,
        })?;
        if !known.verified {
            return Err(Refusal::new(ErrorCode::OrganizationNotVerified).at_field(&field).into());
        }
        require_free(call, clients, listing, (*id, &field)).await?;
    }
    Ok(())
}

async fn require_free(
    call: &Call,
    clients: &Clients,
    listing: &Listing,
    (bidder, field): (OrganizationId, &str),
) -> Result<()> {
    let sides = v1::FindConflictsRequest {
        applicant_id: bidder.text(),
        transferor_id: listing.organization_id.text(),
        centre_id: listing.centre_id.text(),
        in_force_at: None,
    };
    let found = clients.brokerage.clone().find_conflicts(Actor::exchange().asks(sides)).await?.into_inner();
    if found.conflict {
        return Err(Refusal::new(ErrorCode::ConflictOfInterest).at_field(field).by_rule("SM-5").into());
    }
    if store::is_barred(&call.tx, listing.origin_id, bidder).await? {
        return Err(refuse(ErrorCode::BarredAsDefaulter, field));
    }
    Ok(())
}

fn refuse(code: ErrorCode, field: &str) -> Error {
    Refusal::new(code).at_field(field).by_rule("SM-4").into()
}
