use futures::{StreamExt, TryStreamExt, stream};
use kernel::{Call, Error, ErrorCode, Id, Instant, Refusal, Result};
use prost::Message;
use serde_json::json;
use wire::{
    id::{BiddingSessionId, ListingId, OrganizationId, TransferApplicationId},
    policy::{self, Of, permit},
    v1::{
        self, AuctionEvent, AuctionEventKind, BiddingMode, ConversionMode, Listing, ListingStatus, SaleMethod,
        TransferApplication, TransferApplicationStatus,
    },
};

use crate::{
    auctions::Auctions,
    bidding::standing,
    engine::{Command, Lot, Secrets, Terms},
    peers,
    sealed::{boxes, round_keys},
    store::{self, award, bidder, log, session},
};

/// A session may be scheduled this far ahead.
const FARTHEST_DAYS: i64 = 60;

/// The starts of many lots may be spread over so many seconds.
const WIDEST_WINDOW: i32 = 86_400;

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
    let starts_at = spread(listing_id, starts_at, input.starts_within_seconds)?;
    let dynamic = listing.bidding.as_ref().is_some_and(|terms| terms.mode() == BiddingMode::DynamicListing);
    require_stage(call, &listing, dynamic)?;
    require_transferor(auctions, &listing).await?;
    if listing.sale_method() == SaleMethod::Negotiated {
        let accepted = "ONLINE_BIDDING | AUCTION_HOUSE | TENDER";
        return Err(Refusal::new(ErrorCode::IllegalTransition).at_field("listingId").accepting(accepted).into());
    }
    // A sole bidder may have taken the listing before others qualified; until that award is confirmed, nothing else
    // shows it.
    if award::stands(&call.tx, listing_id).await? {
        return Err(Refusal::new(ErrorCode::AlreadyExists).at_field("listingId").by_rule("P-2").into());
    }
    let eligible = eligible(auctions, call, &listing).await?;
    // In a dynamic listing they come while it runs; to an open licence one acceptor is enough.
    let open = listing.bidding.as_ref().is_some_and(|terms| terms.mode() == BiddingMode::OpenLicence);
    if !dynamic && !open {
        require_competition(call, eligible.len())?;
    }
    let terms = terms(&listing, starts_at, round_keys::read(&listing, input.sealed_keys)?);
    require_start(call, &terms)?;
    let secrets = Secrets { reserve: peers::reserve(&auctions.clients, &listing.id).await?, ..Secrets::default() };
    let id = BiddingSessionId::fresh();
    let bidders = eligible.iter().map(|application| bidder(id, application)).collect::<Result<Vec<_>>>()?;
    let (lot, first) = scheduled(call, (terms, secrets), &bidders)?;
    let row = row(call, id, (listing_id, &listing), (&lot, &first))?;
    let view = row.view(&lot, call.now);
    let eligible = bidders.clone();
    if !store::insert_session(&call.tx, &call.cx.vault, row, bidders, &first).await? {
        return Err(Refusal::new(ErrorCode::AlreadyScheduled).at_field("listingId").into());
    }
    if lot.terms.is_sealed() {
        boxes::fill(&call.cx, &call.tx, (id, &lot.terms), (&eligible, 1)).await?;
    }
    let scheduled = v1::BiddingScheduled { listing_id: input.listing_id, session_id: id.text() };
    call.announce(&id.text(), &scheduled).await?;
    Ok(view)
}

/// The start of one of many lots within a window: by its id, whose last bits are random and nobody's choice. So lots do
/// not end all at once, and whoever asks again gets the same.
fn spread(listing: ListingId, from: Instant, within_seconds: Option<i32>) -> Result<Instant> {
    let Some(within) = within_seconds else { return Ok(from) };
    if !(0..=WIDEST_WINDOW).contains(&within) {
        let refusal = Refusal::new(ErrorCode::PeriodOutOfRange).at_field("startsWithinSeconds").by_rule("SM-5");
        return Err(refusal.accepting(format!("0-{WIDEST_WINDOW}")).into());
    }
    let (_, random) = listing.uuid().as_u64_pair();
    let second = random % (u64::from(within.unsigned_abs()) + 1);
    Ok(from.plus_seconds(i64::try_from(second).unwrap_or_default()))
}

fn require_competition(call: &Call, eligible: usize) -> Result<()> {
    let least = call.cx.rule("bidding.min_competitors", call.now)?;
    if i64::try_from(eligible).unwrap_or(i64::MAX) >= least.value {
        return Ok(());
    }
    let refusal = Refusal::new(ErrorCode::TooFewBidders).at_field("listingId").by_rule(&least.id);
    Err(refusal.accepting(format!("≥ {}; 1: quoteAsSoleBidder", least.value)).into())
}

fn require_start(call: &Call, terms: &Terms) -> Result<()> {
    let starts_at = terms.starts_at;
    // At this very instant it would begin before its bidders are admitted.
    if starts_at <= call.now {
        let refusal = Refusal::new(ErrorCode::StartInPast).at_field("startsAt");
        return Err(Refusal { server_time: Some(call.now), ..refusal }.into());
    }
    let farthest = match terms.free_ends_at {
        Some(end) => end.plus_seconds(-1),
        None => call.now.plus_seconds(FARTHEST_DAYS * 86_400),
    };
    if starts_at <= farthest {
        return Ok(());
    }
    let rule = if terms.free_ends_at.is_some() { "SM-3" } else { "SM-5" };
    let refusal = Refusal::new(ErrorCode::PeriodOutOfRange).at_field("startsAt").by_rule(rule);
    Err(refusal.accepting(format!("≤ {farthest}")).into())
}

/// The terms of the lot, from what was disclosed.
fn terms(listing: &Listing, starts_at: Instant, sealed_keys: Vec<v1::SealedKey>) -> Terms {
    let announced = listing.bidding.clone().unwrap_or_default();
    let dynamic = announced.mode() == BiddingMode::DynamicListing;
    Terms {
        announced,
        starting_price: listing.floor_price.unwrap_or_default(),
        starts_at,
        free_ends_at: listing.disclosure_ends_at.filter(|_| dynamic),
        listing_id: listing.id.clone(),
        sealed_keys,
    }
}

/// The lot with its first events: it is scheduled, and who may bid is admitted. Under seal nobody is told who that is.
fn scheduled(
    call: &Call,
    (terms, secrets): (Terms, Secrets),
    bidders: &[bidder::Model],
) -> Result<(Lot, Vec<AuctionEvent>)> {
    let mut lot = Lot::scheduled(terms, secrets, call.now);
    let first = lot.event(AuctionEventKind::Scheduled, call.now);
    lot.state.apply(&first);
    let mut events = vec![first];
    if !lot.terms.is_sealed() {
        for bidder in bidders {
            let admit = Command::Admit { code: bidder.code.clone(), rank: bidder.preemption_rank };
            let taken = lot.take(&admit, call.now);
            if let Some(refusal) = taken.refusal {
                return Err(Error::Refused(refusal));
            }
            events.extend(taken.events);
        }
    }
    Ok((lot, events))
}

/// The listing, if the caller may know of it; nobody else decides on it until this call ends.
pub async fn listing(auctions: &Auctions, call: &Call, id: ListingId) -> Result<Listing> {
    store::take_turns(&call.tx, id).await?;
    peers::listing(&auctions.clients, call, &id.text()).await
}

/// Requires that whoever transfers is neither suspended nor closed: nobody could sign for it.
pub async fn require_transferor(auctions: &Auctions, listing: &Listing) -> Result<()> {
    let resting = peers::resting(&auctions.clients, vec![listing.organization_id.clone()]).await?;
    standing::require(&resting, &listing.organization_id, ("listingId", "reinstateOrganization | concludeDisclosure"))
}

/// Requires that the disclosure has ended and nothing came after it; a dynamic listing is quoted while it runs.
fn require_stage(call: &Call, listing: &Listing, dynamic: bool) -> Result<()> {
    match listing.status() {
        ListingStatus::Disclosed if dynamic => Ok(()),
        ListingStatus::PeriodEnded if dynamic => {
            let refusal = Refusal::new(ErrorCode::IllegalTransition).at_field("listingId").by_rule("SM-5");
            Err(refusal.accepting("DISCLOSED").into())
        }
        _ => require_ended(call, listing),
    }
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
/// applied (SM-5), and those that were suspended or closed: the trail says whom it shut out. Their deposits come free with those of all who do not win.
pub async fn eligible(auctions: &Auctions, call: &Call, listing: &Listing) -> Result<Vec<TransferApplication>> {
    let mut applications = peers::applications(&auctions.clients, &listing.id, None).await?;
    applications.retain(|application| application.status() == TransferApplicationStatus::Eligible);
    let sides = (&*listing.organization_id, &*listing.centre_id);
    let judged = applications.into_iter().map(|application| async {
        let conflict = peers::conflict(&auctions.clients, &application.organization_id, sides, None).await?;
        Ok::<_, Error>((application, conflict))
    });
    let judged: Vec<_> = stream::iter(judged).buffered(AT_ONCE).try_collect().await?;
    let ids = judged.iter().map(|(application, _)| application.organization_id.clone()).collect();
    let resting = peers::resting(&auctions.clients, ids).await?;
    let mut eligible = Vec::with_capacity(judged.len());
    for (application, conflict) in judged {
        let (code, rule) = match (conflict, resting.contains_key(&application.organization_id)) {
            (true, _) => ("CONFLICT_OF_INTEREST", "SM-5"),
            (false, true) => ("ORGANIZATION_NOT_VERIFIED", "SM-4"),
            (false, false) => {
                eligible.push(application);
                continue;
            }
        };
        let facts = json!({ "listingId": listing.id, "organizationId": application.organization_id,
            "code": code, "rule": rule });
        call.record("BidderShutOut", &application.id, facts).await?;
    }
    Ok(eligible)
}

fn row(
    call: &Call,
    id: BiddingSessionId,
    (listing_id, listing): (ListingId, &Listing),
    (lot, events): (&Lot, &[AuctionEvent]),
) -> Result<session::Model> {
    let mut row = session::Model {
        id,
        listing_id,
        transferor_id: OrganizationId::parse(&listing.organization_id, "listingId")?,
        centre_id: OrganizationId::parse(&listing.centre_id, "listingId")?,
        title: listing.title.clone(),
        licence: listing.conversion_mode() == ConversionMode::License,
        rules_version: call.cx.rules.version().to_owned(),
        terms: lot.terms.encode_to_vec(),
        status: lot.status(),
        seq: 0,
        state: Vec::new(),
        secrets: None,
        peaks: log::grow(&[], 0, events)?.peaks(),
        halted: false,
        version: 0,
        created_at: call.now,
        mark: None,
    };
    row.put(lot);
    row.put_secrets(&call.cx, &lot.secrets)?;
    Ok(row)
}

/// One bidder of a session.
pub fn bidder(session_id: BiddingSessionId, application: &TransferApplication) -> Result<bidder::Model> {
    Ok(bidder::Model {
        session_id,
        code: application
            .bidder_code
            .clone()
            .ok_or_else(|| Error::Internal(format!("{} has no code", application.id)))?,
        organization_id: OrganizationId::parse(&application.organization_id, "listingId")?,
        transfer_application_id: TransferApplicationId::parse(&application.id, "listingId")?,
        preemption_rank: application.preemption_rank,
    })
}

/// Records who scheduled, beside the announced fact.
pub async fn audit(call: &Call, session: &v1::BiddingSession) -> Result<()> {
    let facts = json!({ "startsAt": session.starts_at.map(|at| at.to_string()), "bidders": session.bidder_count });
    call.record("BiddingSessionScheduled", &session.id, facts).await
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn starts_are_spread_over_the_window_and_stay_in_it() {
        let from = Instant(1_800_000_000_000);
        let starts: HashSet<_> = (0..500)
            .map(|_| {
                let listing = ListingId::fresh();
                let start = spread(listing, from, Some(3_600)).unwrap();
                assert!((0..=3_600_000).contains(&(start.0 - from.0)));
                assert_eq!(spread(listing, from, Some(3_600)).unwrap(), start);
                start
            })
            .collect();
        assert!(starts.len() > 400, "{} different ones", starts.len());
        let listing = ListingId::fresh();
        for exact in [None, Some(0)] {
            assert_eq!(spread(listing, from, exact).unwrap(), from);
        }
        for wrong in [-1, 86_401, i32::MIN] {
            assert!(matches!(spread(listing, from, Some(wrong)), Err(Error::Refused(_))));
        }
    }
}
