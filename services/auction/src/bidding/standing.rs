//! Where the organizations of a lot stand: whoever is suspended or closed rests, acquires nothing, and sells nothing.

use std::{collections::BTreeMap, sync::Arc};

use kernel::{Actor, Consumer, Error, ErrorCode, Event, Id, Refusal, Result};
use wire::{
    Clients,
    id::{BiddingSessionId, OrganizationId},
    v1,
};

use crate::{
    auctions::Auctions,
    engine::Command,
    lot::command::{LotRequest, SideEffect},
    peers, store,
};

/// Hears of organizations whose standing changed, and asks the auction to look.
pub struct Standings(pub Clients);

#[tonic::async_trait]
impl Consumer for Standings {
    fn name(&self) -> &'static str {
        "auction"
    }

    /// What is looked at is where the organization stands now: to look twice, or late, changes nothing.
    async fn receive(&self, event: &Event) -> Result<()> {
        let Some(changed) = event.read::<v1::OrganizationStandingChanged>()? else { return Ok(()) };
        let wanted = v1::ReviewStandingRequest { organization_id: changed.organization_id };
        self.0.auction.clone().review_standing(Actor::exchange().asks(wanted)).await?;
        Ok(())
    }
}

/// Takes identity's events.
#[must_use]
pub fn consumer(clients: Clients) -> Arc<dyn Consumer> {
    Arc::new(Standings(clients))
}

/// Tells every lot under way where one of its bidders stands now. Only the exchange itself asks.
pub async fn review(auctions: &Auctions, actor: &Actor, wanted: v1::ReviewStandingRequest) -> Result<v1::Nothing> {
    if !actor.is_exchange() {
        return Err(Error::not_found("organizationId"));
    }
    let organization = OrganizationId::parse(&wanted.organization_id, "organizationId")?;
    for session in store::lots_of(auctions.cx.db.read(), organization).await? {
        refresh(auctions, session, Some(organization)).await?;
    }
    Ok(v1::Nothing {})
}

/// Lets those of a lot's bidders rest who are suspended or closed, and those come back who are no more: all, or one.
pub async fn refresh(auctions: &Auctions, id: BiddingSessionId, only: Option<OrganizationId>) -> Result<()> {
    let Some((row, bidders)) = store::load(auctions.cx.db.read(), &auctions.cx.vault, id).await? else { return Ok(()) };
    let state = row.lot()?.state;
    let bidders: Vec<_> =
        bidders.into_iter().filter(|bidder| only.is_none_or(|one| bidder.organization_id == one)).collect();
    let ids = bidders.iter().map(|bidder| bidder.organization_id.text()).collect();
    let resting = peers::resting(&auctions.clients, ids).await?;
    for bidder in bidders {
        // Under seal nobody is known before the envelopes are opened: then each is looked at.
        let Some(known) = state.bidders.get(&bidder.code) else { continue };
        let code = bidder.code;
        let command = match (known.resting, resting.get(&bidder.organization_id.text())) {
            (false, Some(reason)) => Command::Rest { code, reason: reason.clone() },
            (true, None) => Command::Return { code },
            _ => continue,
        };
        // A decided lot's writer rests when nobody asks: it is looked for when it is needed.
        let Some(handle) = auctions.lots.handle(id).await? else { return Ok(()) };
        let request = LotRequest::Staff { actor: Actor::exchange(), command, beside: SideEffect::None };
        match handle.send(request, None).await?.refused {
            // Another replica was faster, or the lot ended without anybody.
            None | Some(ErrorCode::AlreadyExists | ErrorCode::SessionClosed) => {}
            Some(code) => return Err(Error::Unavailable(format!("{id} does not take a standing: {code:?}"))),
        }
    }
    Ok(())
}

/// Requires that an organization is neither suspended nor closed; `exits` are what may be done otherwise.
pub fn require(resting: &BTreeMap<String, String>, organization: &str, (field, exits): (&str, &str)) -> Result<()> {
    if !resting.contains_key(organization) {
        return Ok(());
    }
    let refusal = Refusal::new(ErrorCode::OrganizationNotVerified).at_field(field).by_rule("SM-3");
    Err(refusal.accepting(exits).into())
}
