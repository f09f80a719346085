//! What callers read. A foreign object is left out, as a missing one would be (promise P-6).

use kernel::{Actor, Context, Error, ErrorCode, Id, Refusal, Result, text};
use wire::{
    id::{AchievementId, ListingId, OrganizationId, TransferApplicationId},
    policy::{self, Of, permit},
    v1,
};

use crate::{
    achievement::import_record::known,
    sight::Sight,
    store::{self, Wanted},
};

/// Achievements by id; they are public.
pub async fn achievements(cx: &Context, wanted: v1::Ids) -> Result<v1::Achievements> {
    let found = store::achievements(cx.db.read(), ids::<AchievementId>(&wanted)?).await?;
    Ok(v1::Achievements { items: found.into_iter().map(Into::into).collect() })
}

/// A page of achievements; they are public.
pub async fn list_achievements(cx: &Context, wanted: v1::ListAchievementsRequest) -> Result<v1::AchievementPage> {
    let paging = wanted.page.unwrap_or_default().newest_first::<AchievementId>()?;
    let (search, organization) = (words(wanted.search)?, organization(wanted.organization_id)?);
    let slice = store::achievement_page(cx.db.read(), search, organization, paging).await?;
    let end = Some(v1::PageEnd::from(&slice));
    Ok(v1::AchievementPage { items: slice.items.into_iter().map(Into::into).collect(), end })
}

/// Those of the listings that the caller may see.
pub async fn listings(cx: &Context, actor: &Actor, wanted: v1::Ids) -> Result<v1::Listings> {
    let found = store::listings(cx.db.read(), ids::<ListingId>(&wanted)?, &Sight::of(actor)).await?;
    let now = cx.clock.now();
    Ok(v1::Listings { items: found.into_iter().map(|row| row.shown(now)).collect() })
}

/// The secret reserve of a listing, told to the exchange itself alone; for everybody else it does not exist.
pub async fn reserve(cx: &Context, actor: &Actor, wanted: v1::ReserveRequest) -> Result<v1::ReserveReply> {
    if !actor.is_exchange() {
        return Err(Error::not_found("listingId"));
    }
    let id = ListingId::parse(&wanted.listing_id, "listingId")?;
    let found = store::listings(cx.db.read(), vec![id], &Sight::of(actor)).await?.into_iter().next();
    let row = found.ok_or_else(|| Error::not_found("listingId"))?;
    Ok(row.reserve(&cx.vault)?.map(|reserve| reserve.told()).unwrap_or_default())
}

/// What an organization has under way, told to the exchange itself alone: its listings from the day they are handed in until
/// they are sold or not, and what it may still acquire or has acquired, alone or with others.
pub async fn open_business(
    cx: &Context,
    actor: &Actor,
    wanted: v1::OpenBusinessRequest,
) -> Result<v1::OpenBusinessReply> {
    let organization = wanted.organization_for(actor)?;
    let (db, now) = (cx.db.read(), cx.clock.now());
    let listings = store::open_listings(db, organization).await?;
    let applications = store::open_applications(db, organization).await?;
    let ends = |status: v1::ListingStatus| match status {
        v1::ListingStatus::Submitted => "RETURNED | REJECTED",
        _ => "SETTLED | UNSOLD | TERMINATED",
    };
    let listed = listings.iter().map(|row| {
        let status = row.status_at(now);
        format!("{} {} → {}", row.id.text(), status.stored(), ends(status))
    });
    let applied = applications.iter().map(|row| format!("{} {} → REFUNDED", row.id.text(), row.status.stored()));
    Ok(v1::OpenBusinessReply { open: listed.chain(applied).collect() })
}

/// A page of the listings that the caller may see.
pub async fn list_listings(cx: &Context, actor: &Actor, wanted: v1::ListListingsRequest) -> Result<v1::ListingPage> {
    let paging = wanted.page.unwrap_or_default().newest_first::<ListingId>()?;
    let narrowed = Wanted {
        status: wanted.status.map(|status| known(status, "status")).transpose()?,
        field: wanted.field.map(|field| known(field, "field")).transpose()?,
        search: words(wanted.search)?,
        organization: organization(wanted.organization_id)?,
    };
    let now = cx.clock.now();
    let slice = store::listing_page(cx.db.read(), narrowed, &Sight::of(actor), now, paging).await?;
    let end = Some(v1::PageEnd::from(&slice));
    Ok(v1::ListingPage { items: slice.items.into_iter().map(|row| row.shown(now)).collect(), end })
}

/// Those of the applications that the caller may see.
pub async fn applications(cx: &Context, actor: &Actor, wanted: v1::Ids) -> Result<v1::TransferApplications> {
    let ids = ids::<TransferApplicationId>(&wanted)?;
    let found = store::applications(cx.db.read(), ids, &Sight::of(actor)).await?;
    Ok(v1::TransferApplications { items: found.into_iter().map(Into::into).collect() })
}

/// A page of the applications that the caller may see.
pub async fn list_applications(
    cx: &Context,
    actor: &Actor,
    wanted: v1::ListTransferApplicationsRequest,
) -> Result<v1::TransferApplicationPage> {
    permit(actor, policy::TRANSFER_APPLICATIONS, Of::default())?;
    let paging = wanted.page.unwrap_or_default().newest_first::<TransferApplicationId>()?;
    let listing = wanted.listing_id.as_deref().map(|id| ListingId::parse(id, "listingId")).transpose()?;
    let organization = organization(wanted.organization_id)?;
    let slice = store::application_page(cx.db.read(), listing, organization, &Sight::of(actor), paging).await?;
    let end = Some(v1::PageEnd::from(&slice));
    Ok(v1::TransferApplicationPage { items: slice.items.into_iter().map(Into::into).collect(), end })
}

/// What the centres have to show of their listings.
pub async fn totals(cx: &Context, actor: &Actor, wanted: v1::TotalsRequest) -> Result<v1::CentreTotals> {
    policy::require_totals(actor, &wanted)?;
    let centres: Result<Vec<_>> = wanted.centre_ids.iter().map(|id| OrganizationId::parse(id, "centreId")).collect();
    let listings = store::count_disclosed(cx.db.read(), centres?).await?;
    Ok(v1::CentreTotals { listings, ..v1::CentreTotals::default() })
}

fn ids<I: Id>(wanted: &v1::Ids) -> Result<Vec<I>> {
    if wanted.ids.len() > 200 {
        return Err(Refusal::new(ErrorCode::InvalidInput).at_field("ids").accepting("≤ 200").into());
    }
    wanted.ids.iter().map(|id| I::parse(id, "ids")).collect()
}

fn organization(id: Option<String>) -> Result<Option<OrganizationId>> {
    id.map(|id| OrganizationId::parse(&id, "organizationId")).transpose()
}

/// Nothing but blanks narrows nothing.
fn words(search: Option<String>) -> Result<Option<String>> {
    let words = search.map(|search| text(&search, "search", 0, 200)).transpose()?;
    Ok(words.filter(|words| !words.is_empty()))
}
