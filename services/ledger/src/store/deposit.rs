//! Deposits as rows.

use kernel::{Id, Instant, Money, Result, Transaction};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, sea_query::Expr};
use wire::{
    id::{DepositId, ListingId, OrganizationId, TransferApplicationId, TransferId},
    v1::{self, DepositStatus},
};

use super::{
    deal_end,
    tables::deposit,
    write::{any_conflict, once},
};
use crate::rules::due::Due;

/// The application's deposit, whatever became of it.
pub async fn deposit(tx: &Transaction, application: TransferApplicationId) -> Result<Option<deposit::Model>> {
    let same = deposit::Entity::find().filter(deposit::Column::TransferApplicationId.eq(application));
    Ok(same.one(tx).await?)
}

/// Stores a deposit on hold; nothing if the application has one.
pub async fn add_deposit(tx: &Transaction, due: &Due, now: Instant) -> Result<Option<v1::Deposit>> {
    let row = deposit::ActiveModel {
        id: Set(due.deposit_id()),
        transfer_application_id: Set(due.application),
        listing_id: Set(due.listing),
        organization_id: Set(due.bidder),
        transfer_id: Set(due.transfer_id()),
        amount: Set(due.amount),
        status: Set(DepositStatus::Held),
        open_licence: Set(due.open_licence),
        held_at: Set(now),
    };
    let added = deposit::Entity::insert(row).on_conflict(any_conflict()).exec_without_returning(tx).await?;
    Ok((added == 1).then(|| v1::Deposit {
        id: due.deposit_id().text(),
        transfer_application_id: due.application.text(),
        listing_id: due.listing.text(),
        organization_id: due.bidder.text(),
        amount: Some(due.amount),
        status: DepositStatus::Held.into(),
        held_at: Some(now),
    }))
}

/// A deposit that waits for its resolution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldDeposit {
    pub id: DepositId,
    pub application: TransferApplicationId,
    pub organization: OrganizationId,
    pub transfer: TransferId,
    pub amount: Money,
    /// Its bidder has defaulted: it waits for its forfeiture, and goes back with nobody else's.
    pub in_default: bool,
}

/// The listing's deposits on hold, in order of their ids.
pub async fn held_deposits(tx: &Transaction, listing: ListingId) -> Result<Vec<HeldDeposit>> {
    let rows = deposit::Entity::find()
        .filter(deposit::Column::ListingId.eq(listing))
        .filter(deposit::Column::Status.eq(DepositStatus::Held))
        .order_by_asc(deposit::Column::Id)
        .all(tx)
        .await?;
    let lost = deal_end::in_default(tx, rows.iter().map(|row| row.transfer_application_id).collect()).await?;
    let held = |row: deposit::Model| HeldDeposit {
        in_default: lost.contains(&row.transfer_application_id),
        id: row.id,
        application: row.transfer_application_id,
        organization: row.organization_id,
        transfer: row.transfer_id,
        amount: row.amount,
    };
    Ok(rows.into_iter().map(held).collect())
}

/// The organization's deposits on hold, whatever for.
pub async fn holds(db: &impl ConnectionTrait, organization: OrganizationId) -> Result<Vec<DepositId>> {
    let held = deposit::Entity::find()
        .filter(deposit::Column::OrganizationId.eq(organization))
        .filter(deposit::Column::Status.eq(DepositStatus::Held))
        .order_by_asc(deposit::Column::Id);
    Ok(held.all(db).await?.into_iter().map(|row| row.id).collect())
}

/// Ends a deposit on hold.
pub async fn conclude_deposit(tx: &Transaction, id: DepositId, status: DepositStatus) -> Result<()> {
    let update = deposit::Entity::update_many()
        .col_expr(deposit::Column::Status, Expr::value(status))
        .filter(deposit::Column::Id.eq(id))
        .filter(deposit::Column::Status.eq(DepositStatus::Held));
    once(update.exec(tx).await?.rows_affected, id)
}
