//! How deals end, as rows.

use kernel::{Error, Id, Result, Transaction};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use wire::id::{DealId, TransferApplicationId};

use super::{
    tables::deal_end::{ActiveModel, Column, Entity},
    write::any_conflict,
};

/// Ends a deal in one of its two ways unless it has ended before; whether it ended by its settlement. The application is that
/// of a transferee in default, whose deposit waits for its forfeiture. Another call that
/// ends it at the same time is waited for.
pub async fn end(
    tx: &Transaction,
    (deal, application): (DealId, Option<TransferApplicationId>),
    settled: bool,
) -> Result<bool> {
    let row = ActiveModel { deal_id: Set(deal), transfer_application_id: Set(application), settled: Set(settled) };
    Entity::insert(row).on_conflict(any_conflict()).exec_without_returning(tx).await?;
    let found = Entity::find_by_id(deal).one(tx).await?;
    found.map(|row| row.settled).ok_or_else(|| Error::Internal(format!("the end of {} is gone", deal.text())))
}

/// Those of the applications whose deal ended in default.
pub async fn in_default(
    tx: &Transaction,
    applications: Vec<TransferApplicationId>,
) -> Result<Vec<TransferApplicationId>> {
    let of_these = Entity::find().filter(Column::TransferApplicationId.is_in(applications));
    let rows = of_these.filter(Column::Settled.eq(false)).all(tx).await?;
    Ok(rows.into_iter().filter_map(|row| row.transfer_application_id).collect())
}
