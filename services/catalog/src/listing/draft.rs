//! The transferor drafts a listing and hands it in.

use kernel::{Call, Error, ErrorCode, Id, Instant, Peer, Refusal, Result, text};
use serde_json::json;
use wire::{
    id::{AchievementId, ListingId, MandateId, OrganizationId},
    policy::{self, Of, permit},
    v1::{self, ListingStatus, identity_client::IdentityClient},
};

use crate::{
    achievement::import_record::known,
    listing::{
        announced_bidding::{self, Bidding},
        bidding_terms, listing_status,
        terms::{Limits, Notice, Terms, given},
        transferor,
    },
    sight::{Sight, concerning},
    store::{self, Listing},
};

/// What a draft says; all else of it is as with every draft.
pub struct Draft {
    pub id: ListingId,
    pub organization_id: OrganizationId,
    pub centre_id: OrganizationId,
    pub mandate_id: Option<MandateId>,
    pub achievement_id: Option<AchievementId>,
    pub title: String,
    pub summary: String,
    pub field: v1::TechnologyField,
    pub stage: v1::Stage,
    pub region: String,
    pub notice: Notice,
    pub bidding: Bidding,
    pub author_id: String,
}

impl Draft {
    /// The lot as it is offered for the first time, not handed in yet.
    pub fn listing(self, now: Instant) -> Listing {
        let Notice { terms, sale_method, conversion_mode } = self.notice;
        Listing {
            id: self.id,
            organization_id: self.organization_id,
            centre_id: self.centre_id,
            mandate_id: self.mandate_id,
            achievement_id: self.achievement_id,
            title: self.title,
            summary: self.summary,
            field: self.field,
            stage: self.stage,
            region: self.region,
            conversion_mode,
            sale_method,
            floor_price: terms.floor_price,
            deposit: terms.deposit,
            increment: terms.increment,
            disclosure_days: terms.disclosure_days,
            free_seconds: terms.free_seconds,
            timed_seconds: terms.timed_seconds,
            bidding: self.bidding.announced,
            reserve: self.bidding.reserve,
            status: ListingStatus::Draft,
            author_id: self.author_id,
            submitter_id: None,
            disclosed_at: None,
            disclosure_ends_at: None,
            review_note: None,
            rules_version: None,
            bidder_codes: 0,
            scheduled: false,
            extensions: 0,
            round: 1,
            relists_id: None,
            origin_id: self.id,
            approval: None,
            created_at: now,
        }
    }
}

/// Drafts a listing: one of the transferor's people does, or a broker under a mandate of it (SM-11).
pub async fn create(call: &Call, identity: IdentityClient<Peer>, input: v1::CreateListingInput) -> Result<v1::Listing> {
    call.actor.require_known()?;
    let organization_id = OrganizationId::parse(&input.organization_id, "organizationId")?;
    let achievement_id =
        input.achievement_id.as_deref().map(|id| AchievementId::parse(id, "achievementId")).transpose()?;
    let mandate_id = input.mandate_id.as_deref().map(|id| MandateId::parse(id, "mandateId")).transpose()?;
    require_mandate(call, mandate_id, organization_id)?;
    let acting = concerning(&call.actor, mandate_id);
    permit(&acting, policy::CREATE_LISTING, Of::organization(&organization_id.text(), "organizationId"))?;
    if input.secret {
        // Trap 9: what holds state secrets never enters the platform, not even as a draft.
        return Err(Refusal::new(ErrorCode::SecretNotAllowed).at_field("secret").by_rule("SM-1").into());
    }
    let (id, notice) = (ListingId::fresh(), read_notice(&input)?);
    let terms = notice.terms;
    terms.check(&limits(call)?)?;
    let bidding = announced_bidding::settle(call, id, input.bidding.as_ref(), &notice)?;
    require_own(call, achievement_id, organization_id).await?;
    let transferor = transferor::ask(identity, organization_id).await?;
    let row = Draft {
        id,
        organization_id,
        centre_id: transferor.centre_id,
        mandate_id,
        achievement_id,
        title: text(&input.title, "title", 2, 200)?,
        summary: text(&input.summary, "summary", 1, 20_000)?,
        field: known(input.field, "field")?,
        stage: known(input.stage, "stage")?,
        region: transferor.region,
        notice,
        bidding,
        author_id: call.actor.person_id.clone(),
    };
    let row = row.listing(call.now);
    if !store::insert_listing(&call.tx, row.clone()).await? {
        return Err(Refusal::new(ErrorCode::AlreadyExists).at_field("mandateId").by_rule("SM-11").into());
    }
    if let Some(mandate) = mandate_id {
        let mandated = v1::ListingMandated { mandate_id: mandate.text(), listing_id: row.id.text() };
        call.announce(&row.id.text(), &mandated).await?;
    }
    call.record("ListingCreated", &row.id.text(), facts(&row)).await?;
    Ok(row.shown(call.now))
}

/// Hands a draft or returned listing in.
pub async fn submit(call: &Call, input: v1::SubmitListingInput) -> Result<v1::Listing> {
    call.actor.require_known()?;
    let id = ListingId::parse(&input.listing_id, "listingId")?;
    let mut row = visible(call, id).await?;
    let acting = concerning(&call.actor, row.mandate_id);
    permit(&acting, policy::SUBMIT_LISTING, Of::organization(&row.organization_id.text(), "listingId"))?;
    listing_status::require(row.status_at(call.now), ListingStatus::Submitted)?;
    recheck(call, &row)?;
    row.status = ListingStatus::Submitted;
    row.submitter_id = Some(call.actor.person_id.clone());
    let row = store::save_listing(&call.tx, row).await?;
    call.record("ListingSubmitted", &row.id.text(), json!({})).await?;
    Ok(row.shown(call.now))
}

/// The listing with its row held, if the caller may see it.
pub async fn visible(call: &Call, id: ListingId) -> Result<Listing> {
    let found = store::locked_listing(&call.tx, id).await?;
    let seen = found.filter(|row| row.is_open_to(&Sight::of(&call.actor)));
    seen.ok_or_else(|| Error::not_found("listingId"))
}

/// Checks a stored listing's terms against the rules of today: they may have changed since it was
/// drafted, and a listing is disclosed under those in force. No field of the present input is to blame.
pub fn recheck(call: &Call, row: &Listing) -> Result<()> {
    let terms = row.terms().check(&limits(call)?);
    let checked = terms
        .and_then(|()| bidding_terms::recheck(&row.announced()?, &row.notice(), &announced_bidding::figures(call)?));
    checked.map_err(|error| match error {
        Error::Refused(mut refusal) => {
            refusal.field.clear();
            Error::Refused(refusal)
        }
        fault => fault,
    })
}

/// The figures in force now.
pub fn limits(call: &Call) -> Result<Limits<'_>> {
    Limits::read(|key| call.cx.rule(key, call.now))
}

/// What the audit trail keeps of a new listing.
pub fn facts(row: &Listing) -> serde_json::Value {
    let announced = row.announced().ok();
    json!({
        "organizationId": row.organization_id.text(),
        "mandateId": row.mandate_id.map(Id::text),
        "floorPrice": row.floor_price.to_string(),
        "deposit": row.deposit.to_string(),
        "increment": row.increment.to_string(),
        "disclosureDays": row.disclosure_days,
        "bidding": announced.as_ref().map(|terms| json!({
            "mode": terms.mode().stored(),
            "closeRule": terms.close_rule().stored(),
            "reserveCommitment": terms.reserve_commitment,
        })),
        "relistsId": row.relists_id.map(Id::text),
        "approval": row.approval,
    })
}

fn read_notice(input: &v1::CreateListingInput) -> Result<Notice> {
    let terms = Terms {
        floor_price: given(input.floor_price, "floorPrice")?,
        deposit: given(input.deposit, "deposit")?,
        increment: given(input.increment, "increment")?,
        disclosure_days: input.disclosure_days,
        free_seconds: input.free_seconds,
        timed_seconds: input.timed_seconds,
    };
    Ok(Notice {
        terms,
        sale_method: known(input.sale_method, "saleMethod")?,
        conversion_mode: known(input.conversion_mode, "conversionMode")?,
    })
}

/// A mandate is the caller's, and of this principal; any other answers as a missing one.
fn require_mandate(call: &Call, mandate: Option<MandateId>, principal: OrganizationId) -> Result<()> {
    let Some(mandate) = mandate else { return Ok(()) };
    let (mandate, principal) = (mandate.text(), principal.text());
    let mut places = call.actor.memberships.iter();
    match places.any(|place| place.mandate_id == mandate && place.organization_id == principal) {
        true => Ok(()),
        false => Err(Error::not_found("mandateId")),
    }
}

/// An achievement may be listed by the organization that manages it; another's answers as a missing one.
async fn require_own(call: &Call, id: Option<AchievementId>, organization: OrganizationId) -> Result<()> {
    let Some(id) = id else { return Ok(()) };
    let found = store::achievements(&call.tx, vec![id]).await?;
    match found.iter().any(|achievement| achievement.organization_id == organization) {
        true => Ok(()),
        false => Err(Error::not_found("achievementId")),
    }
}
