//! Code lists as stored.

use kernel::Result;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QuerySelect};

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "code_entry")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub list: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub code: String,
        pub name: String,
        pub level: String,
    }
    impl ActiveModelBehavior for ActiveModel {}
}
pub use row::Model;
use row::{Column, Entity};

/// Rows of one statement: SQLite takes 32,766 parameters.
const BATCH: usize = 1_000;

/// Puts a list in the place of the earlier one.
pub async fn replace_codes(tx: &impl ConnectionTrait, list: &str, rows: Vec<Model>) -> Result<()> {
    Entity::delete_many().filter(Column::List.eq(list)).exec(tx).await?;
    let mut rows = rows.into_iter().map(IntoActiveModel::into_active_model).peekable();
    while rows.peek().is_some() {
        let batch: Vec<row::ActiveModel> = rows.by_ref().take(BATCH).collect();
        Entity::insert_many(batch).exec_without_returning(tx).await?;
    }
    Ok(())
}

/// Whether the list holds the code, or was never loaded.
pub async fn is_acceptable(db: &impl ConnectionTrait, list: &str, code: &str) -> Result<bool> {
    if Entity::find_by_id((list.to_owned(), code.to_owned())).one(db).await?.is_some() {
        return Ok(true);
    }
    Ok(Entity::find().filter(Column::List.eq(list)).limit(1).count(db).await? == 0)
}
