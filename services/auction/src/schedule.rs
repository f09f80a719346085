use futures::{StreamExt, TryStreamExt, stream};
use kernel::{Call, Error, ErrorCode, Id, Refusal, Result};
use serde_json::json;
use wire::{
    id::{BiddingSessionId, ListingId, OrganizationId, TransferApplicationId},
    policy::{self, Of, permit},
    v1::{
        self, AuctionEventKind, ConversionMode, Listing, ListingStatus, SaleMethod, TransferApplication,
        TransferApplicationStatus,
    },
};

use crate::{
    api::Auctions,
    engine::{Lot, Terms},
    foreign,
    store::{self, bidder, event, session},
};

/// A session may be scheduled this far ahead.
const FARTHEST_DAYS: i64 = 60;

/// How many bidders are looked into at once.
const AT_ONCE: usize = 16;

/// Schedules the bidding for a listing whose disclosure ended with two or more eligible bidders.
pub async fn schedule(auctions: &Auctions, call: &Call, input: v1::ScheduleBiddingInput) -> Result<v1::BiddingSession> {
    call.actor.require_known()?;
    let listing_id = ListingId::parse(&input.listing_id, "listingId")?;
    let starts_at =
        input.starts_at.ok_or_else(|| Error::from(Refusal::new(ErrorCode::Required).at_field("startsAt")))?;
    let listing = listing(auctions, call, listing_id).await?;
    permit(&call.actor, policy::SCHEDULE_BIDDING, Of::centre(&listing.centre_id, "listingId"))?;
    require_ended(call, &listing)?;
    if listing.sale_method() != SaleMethod::OnlineBidding {
        return Err(Refusal::new(ErrorCode::IllegalTransition)
            .at_field("listingId")
            .accepting("ONLINE_BIDDING")
            .into());
    }
    // A sole bidder may have taken the listing before others qualified; until that award is confirmed, nothing else
    // shows it.
    if store::is_awarded(&call.tx, listing_id).await? {
        return Err(Refusal::new(ErrorCode::AlreadyExists).at_field("listingId").by_rule("P-2").into());
    }
    let eligible = eligible(auctions, call, &listing).await?;
    let least = call.cx.rule("bidding.min_competitors", call.now)?;
    if i64::try_from(eligible.len()).unwrap_or(i64::MAX) < least.value {
        let refusal = Refusal::new(ErrorCode::TooFewBidders).at_field("listingId").by_rule(&least.id);
        return Err(refusal.accepting(format!("≥ {}; 1: quoteAsSoleBidder", least.value)).into());
    }
    if starts_at < call.now {
        return Err(Refusal {
            server_time: Some(call.now),
            ..Refusal::new(ErrorCode::StartInPast).at_field("startsAt")
        }
        .into());
    }
    let farthest = call.now.plus_seconds(FARTHEST_DAYS * 86_400);
    if starts_at > farthest {
        return Err(Refusal::new(ErrorCode::PeriodOutOfRange)
            .at_field("startsAt")
            .accepting(format!("≤ {farthest}"))
            .into());
    }
    let id = BiddingSessionId::fresh();
    let terms = Terms {
        starting_price: listing.floor_price.unwrap_or_default(),
        increment: listing.increment.unwrap_or_default(),
        starts_at,
        free_ends_at: starts_at.plus_seconds(i64::from(listing.free_seconds)),
        timed_seconds: i64::from(listing.timed_seconds),
    };
    let mut lot = Lot::scheduled(terms, call.now);
    let first = lot.event(AuctionEventKind::Scheduled, call.now, None);
    lot.apply(&first);
    let row = row(call, id, listing_id, &listing, (&lot, eligible.len()))?;
    let bidders: Result<Vec<_>> = eligible.iter().map(|application| bidder(id, application)).collect();
    if !store::insert_session(&call.tx, row.clone(), bidders?, event::Model::new(id, &first)).await? {
        return Err(Refusal::new(ErrorCode::AlreadyScheduled).at_field("listingId").into());
    }
    let scheduled = v1::BiddingScheduled { listing_id: input.listing_id, session_id: id.text() };
    call.announce(&id.text(), &scheduled).await?;
    Ok(row.view(call.now))
}

/// The listing, if the caller may know of it; nobody else decides on it until this call ends.
pub async fn listing(auctions: &Auctions, call: &Call, id: ListingId) -> Result<Listing> {
    store::take_turns(&call.tx, id).await?;
    foreign::listing(auctions, call, &id.text()).await
}

/// Requires that the disclosure has ended and nothing came after it.
pub fn require_ended(call: &Call, listing: &Listing) -> Result<()> {
    match listing.status() {
        ListingStatus::PeriodEnded => Ok(()),
        ListingStatus::Disclosed => {
            let end = listing.disclosure_ends_at.unwrap_or_default();
            let refusal = Refusal::new(ErrorCode::DisclosureRunning).at_field("listingId").by_rule("SM-3");
            Err(Refusal { server_time: Some(call.now), ..refusal.accepting(format!("≥ {end}")) }.into())
        }
        ListingStatus::Bidding => Err(Refusal::new(ErrorCode::AlreadyScheduled).at_field("listingId").into()),
        _ => {
            let refusal = Refusal::new(ErrorCode::IllegalTransition).at_field("listingId").by_rule("SM-3");
            Err(refusal.accepting("PERIOD_ENDED").into())
        }
    }
}

/// The listing's eligible bidders but for those of whom somebody has come to stand on its other side since they
/// applied (SM-5): the trail says whom it shut out. Their deposits come free with those of all who do not win.
pub async fn eligible(auctions: &Auctions, call: &Call, listing: &Listing) -> Result<Vec<TransferApplication>> {
    let mut applications = foreign::applications(auctions, &listing.id, None).await?;
    applications.retain(|application| application.status() == TransferApplicationStatus::Eligible);
    let sides = (&*listing.organization_id, &*listing.centre_id);
    let judged = applications.into_iter().map(|application| async {
        let conflict = foreign::conflict(auctions, &application.organization_id, sides).await?;
        Ok::<_, Error>((application, conflict))
    });
    let judged: Vec<_> = stream::iter(judged).buffered(AT_ONCE).try_collect().await?;
    let mut eligible = Vec::with_capacity(judged.len());
    for (application, conflict) in judged {
        if conflict {
            let facts = json!({ "listingId": listing.id, "organizationId": application.organization_id,
                "code": "CONFLICT_OF_INTEREST", "rule": "SM-5" });
            call.record("BidderShutOut", &application.id, facts).await?;
        } else {
            eligible.push(application);
        }
    }
    Ok(eligible)
}

fn row(
    call: &Call,
    id: BiddingSessionId,
    listing_id: ListingId,
    listing: &Listing,
    (lot, bidders): (&Lot, usize),
) -> Result<session::Model> {
    let mut row = session::Model {
        id,
        listing_id,
        transferor_id: OrganizationId::parse(&listing.organization_id, "listingId")?,
        centre_id: OrganizationId::parse(&listing.centre_id, "listingId")?,
        title: listing.title.clone(),
        licence: listing.conversion_mode() == ConversionMode::License,
        rules_version: call.cx.rules.version().to_owned(),
        starting_price: lot.terms.starting_price,
        increment: lot.terms.increment,
        starts_at: lot.terms.starts_at,
        free_ends_at: lot.terms.free_ends_at,
        timed_seconds: listing.timed_seconds,
        bidder_count: i32::try_from(bidders).unwrap_or(i32::MAX),
        status: lot.status,
        seq: 0,
        bid_count: 0,
        leading_code: None,
        current_price: None,
        closes_at: None,
        last_at: call.now,
        version: 0,
        created_at: call.now,
    };
    row.put(lot);
    Ok(row)
}

fn bidder(session_id: BiddingSessionId, application: &TransferApplication) -> Result<bidder::Model> {
    Ok(bidder::Model {
        session_id,
        code: application
            .bidder_code
            .clone()
            .ok_or_else(|| Error::Internal(format!("{} has no code", application.id)))?,
        organization_id: OrganizationId::parse(&application.organization_id, "listingId")?,
        transfer_application_id: TransferApplicationId::parse(&application.id, "listingId")?,
    })
}

/// Records who scheduled, beside the announced fact.
pub async fn audit(call: &Call, session: &v1::BiddingSession) -> Result<()> {
    let facts = json!({ "startsAt": session.starts_at.map(|at| at.to_string()), "bidders": session.bidder_count });
    call.record("BiddingSessionScheduled", &session.id, facts).await
}
