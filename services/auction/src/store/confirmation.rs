//! Transaction confirmations, as they were signed.

use kernel::{Error, Instant, Result, Transaction};
use prost::Message;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use wire::{
    id::{AwardId, ListingId},
    v1::{AwardStatus, TransactionConfirmation},
};

use super::award;
use row::{ActiveModel, Column, Entity};

mod row {
    use super::{AwardId, Instant, ListingId};
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "transaction_confirmation")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub award_id: AwardId,
        pub listing_id: ListingId,
        pub confirmed_at: Instant,
        pub document: Vec<u8>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// Keeps what was published of an award.
pub async fn insert(
    tx: &Transaction,
    award: &award::Model,
    at: Instant,
    document: &TransactionConfirmation,
) -> Result<()> {
    let row = ActiveModel {
        award_id: Set(award.id),
        listing_id: Set(award.listing_id),
        confirmed_at: Set(at),
        document: Set(document.encode_to_vec()),
    };
    Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

/// What was published of a listing, oldest first, each with where its award stands now.
pub async fn of_listing(
    db: &impl ConnectionTrait,
    listing: ListingId,
) -> Result<Vec<(TransactionConfirmation, AwardStatus)>> {
    let rows = Entity::find().filter(Column::ListingId.eq(listing)).order_by_asc(Column::ConfirmedAt).all(db).await?;
    let awards = award::statuses(db, rows.iter().map(|row| row.award_id).collect()).await?;
    let read = |row: row::Model| {
        let document = TransactionConfirmation::decode(row.document.as_slice())
            .map_err(|error| Error::Internal(format!("confirmation of {}: {error}", row.award_id)))?;
        let status = awards.iter().find(|(id, _)| *id == row.award_id).map(|(_, status)| *status);
        Ok((document, status.unwrap_or(AwardStatus::Confirmed)))
    };
    rows.into_iter().map(read).collect()
}
