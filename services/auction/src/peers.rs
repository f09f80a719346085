//! What the auction reads in other services: a listing as the caller sees it, all else as the exchange itself.

use std::collections::BTreeMap;

use kernel::{Actor, Call, Error, Id, Instant, Result};
use wire::{
    Clients,
    id::{DealId, OrganizationId},
    v1::{self, Listing, OrganizationStatus, TransferApplication},
};

use crate::{engine::Reserve, store::award};

/// Ids that one look-up may name.
const MOST_IDS: usize = 200;

/// The listing as it stands, if the caller may know of it.
pub async fn listing(clients: &Clients, call: &Call, listing_id: &str) -> Result<Listing> {
    let ids = v1::Ids { ids: vec![listing_id.to_owned()] };
    let reply = clients.catalog.clone().get_listings(call.actor.asks(ids)).await?;
    reply.into_inner().items.into_iter().next().ok_or_else(|| Error::not_found("listingId"))
}

/// Whether anybody stands on both sides when this organization buys what the transferor sells at the centre (SM-5); of
/// the register only what was in force at an instant, where one is given.
pub async fn conflict(
    clients: &Clients,
    applicant_id: &str,
    (transferor_id, centre_id): (&str, &str),
    in_force_at: Option<Instant>,
) -> Result<bool> {
    let [applicant_id, transferor_id, centre_id] = [applicant_id, transferor_id, centre_id].map(str::to_owned);
    let sides = v1::FindConflictsRequest { applicant_id, transferor_id, centre_id, in_force_at };
    let reply = clients.brokerage.clone().find_conflicts(Actor::exchange().asks(sides)).await?;
    Ok(reply.into_inner().conflict)
}

/// All applications for a listing, or one organization's.
pub async fn applications(
    clients: &Clients,
    listing_id: &str,
    organization_id: Option<&str>,
) -> Result<Vec<TransferApplication>> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = v1::Page { first: Some(100), after: after.take(), count: false };
        let wanted = v1::ListTransferApplicationsRequest {
            page: Some(page),
            listing_id: Some(listing_id.to_owned()),
            organization_id: organization_id.map(str::to_owned),
        };
        let reply =
            clients.catalog.clone().list_transfer_applications(Actor::exchange().asks(wanted)).await?.into_inner();
        after = reply.items.last().map(|application| application.id.clone());
        found.extend(reply.items);
        if !reply.end.unwrap_or_default().has_next {
            return Ok(found);
        }
    }
}

/// The ids of an organization's members.
pub async fn members(clients: &Clients, organization_id: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = Some(v1::Page { first: Some(100), after: after.take(), count: false });
        let wanted = v1::ListMembersRequest { organization_id: organization_id.to_owned(), page };
        let reply = clients.identity.clone().list_members(Actor::exchange().asks(wanted)).await?.into_inner();
        after = reply.items.last().map(|member| member.person_id.clone());
        found.extend(reply.items.into_iter().map(|member| member.person_id));
        if !reply.end.unwrap_or_default().has_next {
            return Ok(found);
        }
    }
}

/// Those of the organizations that are suspended, closed, or were never verified, and which.
pub async fn resting(clients: &Clients, ids: Vec<String>) -> Result<BTreeMap<String, String>> {
    let mut resting = BTreeMap::new();
    for ids in ids.chunks(MOST_IDS) {
        let wanted = v1::Ids { ids: ids.to_vec() };
        let reply = clients.identity.clone().get_organizations(Actor::exchange().asks(wanted)).await?;
        let found = reply.into_inner().items;
        if let Some(id) = ids.iter().find(|id| !found.iter().any(|organization| organization.id == **id)) {
            return Err(Error::Internal(format!("{id} has no organization")));
        }
        let rests = found.into_iter().filter(|organization| organization.status() != OrganizationStatus::Verified);
        resting.extend(rests.map(|found| (found.id.clone(), found.status().stored().to_owned())));
    }
    Ok(resting)
}

/// Ends the deal of an award in default; false if it is settled. The ledger decides which of the two came first.
pub async fn end_in_default(clients: &Clients, award: &award::Model) -> Result<bool> {
    let wanted = v1::EndInDefaultRequest {
        deal_id: DealId::derived(award.id.0, "deal").text(),
        // An innocent winner's deposit waits for no forfeiture.
        transfer_application_id: (!award.transferor_defaults).then(|| award.transfer_application_id.text()),
    };
    let reply = clients.ledger.clone().end_in_default(Actor::exchange().asks(wanted)).await?.into_inner();
    Ok(!reply.settled)
}

/// A centre and all below it; nothing for the hub, which is above them all.
pub async fn centres_below(clients: &Clients, centre_id: &str) -> Result<Option<Vec<OrganizationId>>> {
    let reply = clients.identity.clone().list_centres(Actor::exchange().asks(v1::Nothing {})).await?;
    let centres = reply.into_inner().items;
    let top = centres.iter().find(|centre| centre.organization_id == centre_id);
    if top.is_some_and(|centre| centre.parent_id.is_none()) {
        return Ok(None);
    }
    let mut below = vec![centre_id];
    let mut next = 0;
    while let Some(parent) = below.get(next).copied() {
        let children = centres.iter().filter(|centre| centre.parent_id.as_deref() == Some(parent));
        below.extend(children.map(|centre| centre.organization_id.as_str()));
        next += 1;
    }
    below.into_iter().map(|id| OrganizationId::parse(id, "centreId")).collect::<Result<_>>().map(Some)
}

/// The secret reserve price of a listing, if it has one.
pub async fn reserve(clients: &Clients, listing_id: &str) -> Result<Option<Reserve>> {
    let wanted = v1::ReserveRequest { listing_id: listing_id.to_owned() };
    let reply = clients.catalog.clone().get_reserve(Actor::exchange().asks(wanted)).await?.into_inner();
    Ok(reply.reserve_price.map(|price| Reserve { price, nonce: reply.nonce }))
}

/// Names of organizations, in the order asked for.
pub async fn names(clients: &Clients, ids: Vec<String>) -> Result<Vec<String>> {
    let wanted = v1::Ids { ids: ids.clone() };
    let found = clients.identity.clone().get_organizations(Actor::exchange().asks(wanted)).await?.into_inner().items;
    let name = |id: &String| {
        let organization = found.iter().find(|organization| organization.id == *id);
        Ok(organization.ok_or_else(|| Error::Internal(format!("{id} has no organization")))?.name.clone())
    };
    ids.iter().map(name).collect()
}
