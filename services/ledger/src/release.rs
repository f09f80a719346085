//! Deposits that go back: all that are on hold for a listing which nobody acquires, or those that answer for no licence.

use kernel::{Context, Error, Id, Instant, Result, Transaction};
use serde_json::json;
use wire::{
    id::{ListingId, OrganizationId, TransferApplicationId, TransferId},
    v1::{self, DepositStatus},
};

use crate::{
    rules::holder::Holder,
    store::{self, HeldDeposit, OpenBook},
};

/// A listing's deposits on hold, with the accounts that they concern.
pub struct Held {
    /// Locked: the transferor's account, the bidders', and those asked for beside them.
    pub opened: OpenBook,
    /// In order of their ids.
    pub deposits: Vec<HeldDeposit>,
}

/// Locks what the listing's deposits concern. Deposits are made and resolved under a lock of the transferor's account:
/// what is on hold once it is held stays so.
pub async fn lock(
    tx: &Transaction,
    (listing, transferor): (ListingId, OrganizationId),
    others: &[Holder],
    entries: &[TransferId],
) -> Result<Held> {
    let deposits = store::held_deposits(tx, listing).await?;
    let organizations = std::iter::once(transferor).chain(deposits.iter().map(|deposit| deposit.organization));
    let holders: Vec<_> = organizations.map(Holder::Organization).chain(others.iter().copied()).collect();
    let transfers: Vec<_> = deposits.iter().map(|deposit| deposit.transfer).chain(entries.iter().copied()).collect();
    let opened = store::open(tx, &holders, &transfers).await?;
    if store::held_deposits(tx, listing).await? != deposits {
        return Err(Error::Unavailable("the listing's deposits moved while the accounts were locked".into()));
    }
    Ok(Held { opened, deposits })
}

/// Notes that holds which the book has voided went back to their bidders.
pub async fn conclude(cx: &Context, tx: &Transaction, now: Instant, deposits: &[HeldDeposit]) -> Result<()> {
    for deposit in deposits {
        store::conclude_deposit(tx, deposit.id, DepositStatus::Released).await?;
        let facts = json!({ "amount": deposit.amount.to_string(), "organization": deposit.organization.text() });
        cx.record(tx, now, &deposit.id.text(), ("DepositReleased", facts)).await?;
    }
    Ok(())
}

/// Voids every hold for the listing but those of the applications that are kept, each exactly once. From then on no deposit
/// is taken for it.
pub async fn all(
    cx: &Context,
    tx: &Transaction,
    sides: (ListingId, OrganizationId),
    kept: &[TransferApplicationId],
) -> Result<()> {
    let now = cx.clock.now();
    let Held { mut opened, mut deposits } = lock(tx, sides, &[], &[]).await?;
    deposits.retain(|deposit| !deposit.in_default && !kept.contains(&deposit.application));
    for deposit in &deposits {
        opened.book.void(deposit.transfer)?;
    }
    opened.save(tx, now).await?;
    conclude(cx, tx, now, &deposits).await?;
    store::close_listing(tx, sides.0).await?;
    // Where somebody has acquired it, those whose deposits are free are named one by one; there may be none.
    let named = if kept.is_empty() { &[][..] } else { &deposits[..] };
    if !kept.is_empty() && named.is_empty() {
        return Ok(());
    }
    let transfer_application_ids = named.iter().map(|deposit| deposit.application.text()).collect();
    let listing_id = sides.0.text();
    let released = v1::DepositsReleased { listing_id: listing_id.clone(), transfer_application_ids };
    cx.announce(tx, now, &listing_id, &released).await
}

/// Voids the hold of one application, whose award ended by no fault of its own. Others' deposits stay where they are.
pub async fn one(
    cx: &Context,
    tx: &Transaction,
    sides: (ListingId, OrganizationId),
    application: TransferApplicationId,
) -> Result<()> {
    let now = cx.clock.now();
    let Held { mut opened, mut deposits } = lock(tx, sides, &[], &[]).await?;
    deposits.retain(|deposit| deposit.application == application && !deposit.in_default);
    for deposit in &deposits {
        opened.book.void(deposit.transfer)?;
    }
    opened.save(tx, now).await?;
    conclude(cx, tx, now, &deposits).await?;
    let (listing_id, transfer_application_ids) = (sides.0.text(), vec![application.text()]);
    let released = v1::DepositsReleased { listing_id: listing_id.clone(), transfer_application_ids };
    cx.announce(tx, now, &listing_id, &released).await
}
