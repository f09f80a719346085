//! The table of signing keys.

use kernel::{Instant, Result, Transaction};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict},
};

pub mod entity {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "signing_key")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub kid: String,
        pub pkcs8: Vec<u8>,
        pub created_at: kernel::Instant,
        pub retires_at: Option<kernel::Instant>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// The keys that verify, the newest first.
pub async fn live(db: &impl ConnectionTrait, now: Instant) -> Result<Vec<entity::Model>> {
    let retires = entity::Column::RetiresAt;
    let live = Condition::any().add(retires.is_null()).add(retires.gt(now));
    Ok(entity::Entity::find().filter(live).order_by_desc(entity::Column::CreatedAt).all(db).await?)
}

/// The key that signs, locked until the transaction ends.
pub async fn lock_present(tx: &Transaction) -> Result<Option<entity::Model>> {
    let present = || entity::Entity::find().filter(entity::Column::RetiresAt.is_null()).lock_exclusive();
    match present().one(tx).await? {
        Some(row) => Ok(Some(row)),
        // Or it was replaced while this waited for it: then the next statement sees the new one.
        None => Ok(present().one(tx).await?),
    }
}

/// Lets the key that signs retire at `last`, and forgets those that have retired.
pub async fn retire_present(tx: &impl ConnectionTrait, last: Instant, now: Instant) -> Result<()> {
    entity::Entity::delete_many().filter(entity::Column::RetiresAt.lte(now)).exec(tx).await?;
    entity::Entity::update_many()
        .col_expr(entity::Column::RetiresAt, Expr::value(Some(last)))
        .filter(entity::Column::RetiresAt.is_null())
        .exec(tx)
        .await?;
    Ok(())
}

/// Adds the key that signs; false if there is one.
pub async fn insert(tx: &impl ConnectionTrait, row: entity::Model) -> Result<bool> {
    let other = OnConflict::new().do_nothing().to_owned();
    Ok(entity::Entity::insert(row.into_active_model()).on_conflict(other).exec_without_returning(tx).await? == 1)
}
