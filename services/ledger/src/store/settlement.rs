//! Settlements as rows, and listings that are over.

use kernel::{Id, Instant, Result, Transaction};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use wire::{id::ListingId, v1};

use super::{
    tables::{closed_listing, settlement},
    write::any_conflict,
};
use crate::rules::deal::{Agreed, Sums};

/// Whether the listing is paid for and nobody else can acquire it; an open licence never is.
async fn is_sold(tx: &Transaction, listing: ListingId) -> Result<bool> {
    let sold = settlement::Entity::find()
        .filter(settlement::Column::ListingId.eq(listing))
        .filter(settlement::Column::OpenLicence.eq(false));
    Ok(sold.count(tx).await? > 0)
}

/// From now on no deposit is taken for the listing.
pub async fn close_listing(tx: &Transaction, listing: ListingId) -> Result<()> {
    let row = closed_listing::ActiveModel { listing_id: Set(listing) };
    closed_listing::Entity::insert(row).on_conflict(any_conflict()).exec_without_returning(tx).await?;
    Ok(())
}

/// Whether no deposit is taken for the listing any more.
pub async fn is_closed(tx: &Transaction, listing: ListingId) -> Result<bool> {
    Ok(closed_listing::Entity::find_by_id(listing).one(tx).await?.is_some() || is_sold(tx, listing).await?)
}

/// Whether the deal is settled, or its listing is sold by another.
pub async fn is_settled(tx: &Transaction, agreed: &Agreed) -> Result<bool> {
    let same = settlement::Entity::find().filter(settlement::Column::DealId.eq(agreed.deal));
    Ok(same.count(tx).await? > 0 || is_sold(tx, agreed.listing).await?)
}

/// Stores a settlement; nothing if the deal or its listing has one.
pub async fn add_settlement(
    tx: &Transaction,
    agreed: &Agreed,
    sums: Sums,
    now: Instant,
) -> Result<Option<v1::Settlement>> {
    let row = settlement::ActiveModel {
        id: Set(agreed.settlement_id()),
        deal_id: Set(agreed.deal),
        listing_id: Set(agreed.listing),
        open_licence: Set(agreed.open_licence),
        price: Set(sums.price),
        fee: Set(sums.fee),
        deposit_applied: Set(sums.deposit_applied),
        deposits_released: Set(sums.deposits_released),
        settled_at: Set(now),
    };
    let added = settlement::Entity::insert(row).on_conflict(any_conflict()).exec_without_returning(tx).await?;
    let paid_to_transferor = sums.price.minus(sums.fee)?;
    Ok((added == 1).then(|| v1::Settlement {
        id: agreed.settlement_id().text(),
        deal_id: agreed.deal.text(),
        price: Some(sums.price),
        fee: Some(sums.fee),
        paid_to_transferor: Some(paid_to_transferor),
        deposit_applied: Some(sums.deposit_applied),
        deposits_released: sums.deposits_released,
        settled_at: Some(now),
    }))
}
