//! Events in: a confirmed award opens a deal, settled money closes it, a default cancels it.

use async_trait::async_trait;
use kernel::{Consumer, Context, Error, Event, Id, Result, Transaction, calendar::cst_date, receive};
use serde_json::json;
use wire::{
    id::{AwardId, ContractId, DealId, ListingId, OrganizationId, TransferApplicationId},
    v1::{self, ContractStatus, DealStatus},
};

use crate::{
    deal,
    document::{Terms, document, sha256_hex},
    store,
};

/// Takes other services' events.
pub struct Deals {
    cx: Context,
}

impl Deals {
    /// On the service's ground.
    #[must_use]
    pub fn new(cx: Context) -> Self {
        Self { cx }
    }
}

#[async_trait]
impl Consumer for Deals {
    fn name(&self) -> &'static str {
        self.cx.service
    }

    async fn receive(&self, event: &Event) -> Result<()> {
        let cx = self.cx.clone();
        if let Some(award) = event.read::<v1::AwardConfirmed>()? {
            let at = event.clone();
            return receive(&self.cx, event, |tx| Box::pin(async move { open(&cx, tx, &award, &at).await })).await;
        }
        if let Some(settled) = event.read::<v1::DealSettled>()? {
            return receive(&self.cx, event, |tx| Box::pin(async move { close(&cx, tx, &settled).await })).await;
        }
        if let Some(default) = event.read::<v1::AwardDefaulted>()? {
            return receive(&self.cx, event, |tx| Box::pin(async move { cancel(&cx, tx, &default.award_id).await }))
                .await;
        }
        if let Some(default) = event.read::<v1::TransferorDefaulted>()? {
            return receive(&self.cx, event, |tx| Box::pin(async move { cancel(&cx, tx, &default.award_id).await }))
                .await;
        }
        Ok(())
    }
}

/// Opens the deal of an award and draws up its contract. Both ids derive from the award, so that the same award never
/// makes two; the text depends on the event alone, so that a repeated delivery finds the same text. An award that is in
/// default already opens nothing; one that follows upon another waits until that one's deal is cancelled here.
async fn open(cx: &Context, tx: &Transaction, award: &v1::AwardConfirmed, event: &Event) -> Result<()> {
    let award_id = AwardId::parse(&award.award_id, "awardId")?;
    let (deal_id, contract_id) = (DealId::derived(award_id.0, "deal"), ContractId::derived(award_id.0, "contract"));
    let price = award.price.ok_or_else(|| Error::Internal(format!("{award_id} has no price")))?;
    let text = document(&Terms {
        contract_id: &contract_id.text(),
        listing_id: &award.listing_id,
        title: &award.title,
        transferor: &award.transferor_name,
        transferee: &award.transferee_name,
        price,
        licence: award.licence,
        payment_days: cx.rule("payment.lump.max_working_days", event.at)?.as_u32(),
        awarded_on: cst_date(event.at),
    });
    let deal = store::deal::Model {
        id: deal_id,
        listing_id: ListingId::parse(&award.listing_id, "listingId")?,
        award_id,
        transferor_id: OrganizationId::parse(&award.transferor_id, "transferorId")?,
        transferee_id: OrganizationId::parse(&award.transferee_id, "transfereeId")?,
        transfer_application_id: TransferApplicationId::parse(&award.transfer_application_id, "transferApplicationId")?,
        price,
        status: DealStatus::Drafted,
        contract_id,
        created_at: event.at,
        centre_id: OrganizationId::parse(&award.centre_id, "centreId")?,
        licence: award.licence,
        open_licence: award.open_licence,
    };
    let contract = store::contract::Model {
        id: contract_id,
        deal_id,
        transferor_id: deal.transferor_id,
        transferee_id: deal.transferee_id,
        status: ContractStatus::Draft,
        document_hash: sha256_hex(&text),
        document: text,
        created_at: event.at,
        centre_id: deal.centre_id,
    };
    if store::standing::hold(tx, award_id).await?.is_some() || store::has_deal(tx, deal_id).await? {
        return Ok(());
    }
    let listing_id = deal.listing_id;
    let facts = json!({
        "dealId": deal_id.text(), "listingId": award.listing_id, "documentHash": contract.document_hash,
    });
    if !store::open(tx, deal, contract).await? {
        return Err(Error::Unavailable(format!("{listing_id} has another deal that is not cancelled here yet")));
    }
    cx.record(tx, cx.clock.now(), &contract_id.text(), ("ContractDrafted", facts)).await
}

/// Cancels the deal of an award in default, the winner's or the transferor's, with its contract. If the award has not come yet, its deal will never be
/// opened; if the deal is settled, the default is a matter for people.
async fn cancel(cx: &Context, tx: &Transaction, award: &str) -> Result<()> {
    let award_id = AwardId::parse(award, "awardId")?;
    let (deal_id, contract_id) = (DealId::derived(award_id.0, "deal"), ContractId::derived(award_id.0, "contract"));
    let now = cx.clock.now();
    if store::standing::hold(tx, award_id).await?.is_some() {
        return Ok(());
    }
    store::standing::note_default(tx, award_id, now).await?;
    // In the order in which signing locks them.
    let contract = store::lock_contract(tx, contract_id).await?;
    let Some((contract, found)) = contract.zip(store::lock_deal(tx, deal_id).await?) else { return Ok(()) };
    let facts = json!({ "awardId": award, "contractId": contract_id.text(), "from": found.status.stored() });
    if !deal::next(found.status).contains(&DealStatus::Cancelled) {
        tracing::error!(
            deal = deal_id.text(),
            status = found.status.stored(),
            "a default came too late and was ignored"
        );
        return cx.record(tx, now, &deal_id.text(), ("DefaultIgnored", facts)).await;
    }
    store::move_contract(tx, &contract.contract, ContractStatus::Cancelled).await?;
    store::move_deal(tx, &found, DealStatus::Cancelled).await?;
    cx.record(tx, now, &deal_id.text(), ("DealCancelled", facts)).await
}

/// Closes a deal whose money is settled. One that is not registered yet waits: the event comes again.
async fn close(cx: &Context, tx: &Transaction, settled: &v1::DealSettled) -> Result<()> {
    let id = DealId::parse(&settled.deal_id, "dealId")?;
    let missing = || Error::Unavailable(format!("{id} is not here yet"));
    let found = store::lock_deal(tx, id).await?.ok_or_else(missing)?;
    if found.status == DealStatus::Settled {
        return Ok(());
    }
    if found.status == DealStatus::Cancelled {
        // Both were decided in the same moment: the money has moved, so people must look at it.
        tracing::error!(deal = id.text(), "a cancelled deal was settled");
        let facts = json!({ "listingId": found.listing_id.text() });
        return cx.record(tx, cx.clock.now(), &id.text(), ("CancelledDealSettled", facts)).await;
    }
    if !deal::next(found.status).contains(&DealStatus::Settled) {
        return Err(Error::Unavailable(format!("{id} is still {}", found.status.stored())));
    }
    store::move_deal(tx, &found, DealStatus::Settled).await?;
    let facts = json!({ "listingId": found.listing_id.text() });
    cx.record(tx, cx.clock.now(), &id.text(), ("DealClosed", facts)).await
}
