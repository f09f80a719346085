//! The moved clock of drills, demos and tests survives a restart, so that a killed process wakes up in
//! the same time. Never used in production.

use sea_orm::{ActiveValue::Set, EntityTrait, sea_query::OnConflict};

use crate::{Db, Result};

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "drill_clock")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        pub offset_millis: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// The saved offset in milliseconds, zero if the clock was never moved.
pub async fn load_drill_offset(db: &Db) -> Result<i64> {
    Ok(row::Entity::find_by_id(1).one(db.read()).await?.map_or(0, |row| row.offset_millis))
}

/// Saves the offset.
pub async fn save_drill_offset(db: &Db, offset_millis: i64) -> Result<()> {
    let row = row::ActiveModel { id: Set(1), offset_millis: Set(offset_millis) };
    let tx = db.begin().await?;
    row::Entity::insert(row)
        .on_conflict(OnConflict::column(row::Column::Id).update_column(row::Column::OffsetMillis).to_owned())
        .exec_without_returning(&tx)
        .await?;
    tx.commit().await
}
