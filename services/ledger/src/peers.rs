//! What the ledger reads in other services: always the newest state, never a copy of its own.

use kernel::{Actor, Error, Result};
use wire::{Clients, v1};

fn one(id: &str) -> v1::Ids {
    v1::Ids { ids: vec![id.to_owned()] }
}

/// The organization, seen by the exchange.
pub async fn organization(clients: &Clients, id: &str) -> Result<Option<v1::Organization>> {
    let reply = clients.identity.clone().get_organizations(Actor::exchange().asks(one(id))).await?;
    Ok(reply.into_inner().items.into_iter().find(|organization| organization.id == id))
}

/// The transfer application as far as `actor` may see it: a foreign one is absent (promise P-6).
pub async fn application(clients: &Clients, actor: &Actor, id: &str) -> Result<Option<v1::TransferApplication>> {
    let reply = clients.catalog.clone().get_transfer_applications(actor.asks(one(id))).await?;
    Ok(reply.into_inner().items.into_iter().find(|application| application.id == id))
}

/// The listing, which must exist since something refers to it.
pub async fn listing(clients: &Clients, id: &str) -> Result<v1::Listing> {
    let reply = clients.catalog.clone().get_listings(Actor::exchange().asks(one(id))).await?;
    let listing = reply.into_inner().items.into_iter().find(|listing| listing.id == id);
    listing.ok_or_else(|| Error::Internal(format!("{id} is referred to and absent")))
}

/// Whether every acceptor is licensed (开放许可): such a listing has many deals and no rivals.
pub fn is_open_licence(listing: &v1::Listing) -> bool {
    listing.bidding.as_ref().is_some_and(|terms| terms.mode() == v1::BiddingMode::OpenLicence)
}

/// Whether a lot that is called in the hall, and bid for already, still takes bidders.
pub async fn takes_late_bidders(clients: &Clients, listing: &v1::Listing) -> Result<bool> {
    let called = listing.bidding.as_ref().is_some_and(|terms| terms.close_rule() == v1::CloseRule::Hammer);
    if !called || listing.status() != v1::ListingStatus::Bidding {
        return Ok(false);
    }
    let wanted = v1::GetBiddingSessionsRequest { ids: Vec::new(), listing_ids: vec![listing.id.clone()] };
    let reply = clients.auction.clone().get_bidding_sessions(Actor::exchange().asks(wanted)).await?;
    Ok(reply.into_inner().items.iter().any(|session| session.takes_late_bidders))
}

/// The deal, seen by the exchange.
pub async fn deal(clients: &Clients, id: &str) -> Result<Option<v1::Deal>> {
    let wanted = v1::GetDealsRequest { ids: vec![id.to_owned()], listing_ids: Vec::new() };
    let reply = clients.contracting.clone().get_deals(Actor::exchange().asks(wanted)).await?;
    Ok(reply.into_inner().items.into_iter().find(|deal| deal.id == id))
}

/// When the contract took effect: at the second signature. Absent if it cannot be told.
pub async fn contract_effective_at(clients: &Clients, id: &str) -> Result<Option<kernel::Instant>> {
    let reply = clients.contracting.clone().get_contracts(Actor::exchange().asks(one(id))).await?;
    let contract = reply.into_inner().items.into_iter().find(|contract| contract.id == id);
    Ok(contract.and_then(|contract| contract.signatures.iter().filter_map(|signature| signature.signed_at).max()))
}
