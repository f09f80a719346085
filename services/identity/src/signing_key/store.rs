//! The table of signing keys.

use kernel::{Instant, Result, Transaction};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict},
};

pub mod signing_key {
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
pub async fn live(db: &impl ConnectionTrait, now: Instant) -> Result<Vec<signing_key::Model>> {
    let retires = signing_key::Column::RetiresAt;
    let live = Condition::any().add(retires.is_null()).add(retires.gt(now));
    Ok(signing_key::Entity::find().filter(live).order_by_desc(signing_key::Column::CreatedAt).all(db).await?)
}

/// The key that signs, locked until the transaction ends.
pub async fn lock_present(tx: &Transaction) -> Result<Option<signing_key::Model>> {
    let present = || signing_key::Entity::find().filter(signing_key::Column::RetiresAt.is_null()).lock_exclusive();
    match present().one(tx).await? {
        Some(row) => Ok(Some(row)),
        // Or it was replaced while this waited for it: then the next statement sees the new one.
        None => Ok(present().one(tx).await?),
    }
}

/// Lets the key that signs retire at `last`, and forgets those that have retired.
pub async fn retire_present(tx: &impl ConnectionTrait, last: Instant, now: Instant) -> Result<()> {
    signing_key::Entity::delete_many().filter(signing_key::Column::RetiresAt.lte(now)).exec(tx).await?;
    signing_key::Entity::update_many()
        .col_expr(signing_key::Column::RetiresAt, Expr::value(Some(last)))
        .filter(signing_key::Column::RetiresAt.is_null())
        .exec(tx)
        .await?;
    Ok(())
}

/// Adds the key that signs; false if there is one.
pub async fn insert(tx: &impl ConnectionTrait, row: signing_key::Model) -> Result<bool> {
    let other = OnConflict::new().do_nothing().to_owned();
    Ok(signing_key::Entity::insert(row.into_active_model()).on_conflict(other).exec_without_returning(tx).await? == 1)
}
