//! What awards came to: whether they are in default.

use kernel::{Error, Id, Instant, Result, Transaction};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use wire::id::AwardId;

use self::deal_award::{Column, Entity, Model};

mod deal_award {
    use kernel::Instant;
    use sea_orm::entity::prelude::*;
    use wire::id::AwardId;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "deal_award")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub award_id: AwardId,
        pub defaulted_at: Option<Instant>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// When the award defaulted, if it did. Its row is locked until the transaction ends: who opens a deal and who cancels it
/// both begin here, so that neither can miss the other.
pub async fn hold(tx: &Transaction, award_id: AwardId) -> Result<Option<Instant>> {
    let row = Model { award_id, defaulted_at: None };
    Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::column(Column::AwardId).do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    let row = Entity::find_by_id(award_id).lock_exclusive().one(tx).await?;
    row.map(|row| row.defaulted_at).ok_or_else(|| Error::Internal(format!("{award_id} has no standing")))
}

/// Notes that the award, whose row is held, is in default.
pub async fn note_default(tx: &impl ConnectionTrait, award_id: AwardId, now: Instant) -> Result<()> {
    let noted = Entity::update_many()
        .col_expr(Column::DefaultedAt, Expr::value(Some(now)))
        .filter(Column::AwardId.eq(award_id))
        .exec(tx)
        .await?;
    super::require_one(noted.rows_affected, award_id.text())
}
