//! The tables of second factors, and every question asked of them.

use kernel::{Instant, Result, Transaction};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use wire::id::PersonId;

pub mod entity {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "second_factor")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub person_id: wire::id::PersonId,
        pub secret: Vec<u8>,
        pub last_step: i64,
        pub enrolled_at: kernel::Instant,
        pub confirmed_at: Option<kernel::Instant>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

mod recovery_code {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "recovery_code")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub code_index: Vec<u8>,
        pub person_id: wire::id::PersonId,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub async fn find(db: &impl ConnectionTrait, person: PersonId) -> Result<Option<entity::Model>> {
    Ok(entity::Entity::find_by_id(person).one(db).await?)
}

/// Whether a second factor is asked of the person.
pub async fn is_confirmed(db: &impl ConnectionTrait, person: PersonId) -> Result<bool> {
    Ok(find(db, person).await?.is_some_and(|row| row.confirmed_at.is_some()))
}

/// The person's, locked until the transaction ends.
pub async fn lock(tx: &Transaction, person: PersonId) -> Result<Option<entity::Model>> {
    Ok(entity::Entity::find_by_id(person).lock_exclusive().one(tx).await?)
}

/// Stores one in place of an earlier one.
pub async fn put(tx: &impl ConnectionTrait, row: entity::Model) -> Result<()> {
    use entity::Column;
    let earlier = OnConflict::column(Column::PersonId)
        .update_columns([Column::Secret, Column::LastStep, Column::EnrolledAt, Column::ConfirmedAt])
        .to_owned();
    entity::Entity::insert(row.into_active_model()).on_conflict(earlier).exec_without_returning(tx).await?;
    Ok(())
}

/// It counts from now on; the code that showed it is used.
pub async fn confirm(tx: &impl ConnectionTrait, person: PersonId, step: i64, now: Instant) -> Result<()> {
    entity::Entity::update_many()
        .col_expr(entity::Column::LastStep, Expr::value(step))
        .col_expr(entity::Column::ConfirmedAt, Expr::value(Some(now)))
        .filter(entity::Column::PersonId.eq(person))
        .exec(tx)
        .await?;
    Ok(())
}

/// Uses up the code of a step; false if it or a later one was used.
pub async fn spend_step(tx: &impl ConnectionTrait, person: PersonId, step: i64) -> Result<bool> {
    let spent = entity::Entity::update_many()
        .col_expr(entity::Column::LastStep, Expr::value(step))
        .filter(entity::Column::PersonId.eq(person))
        .filter(entity::Column::LastStep.lt(step))
        .exec(tx)
        .await?;
    Ok(spent.rows_affected == 1)
}

/// Stores recovery codes in place of earlier ones.
pub async fn put_recovery_codes(tx: &impl ConnectionTrait, person: PersonId, indexes: Vec<Vec<u8>>) -> Result<()> {
    recovery_code::Entity::delete_many().filter(recovery_code::Column::PersonId.eq(person)).exec(tx).await?;
    let row = |code_index| recovery_code::ActiveModel { code_index: Set(code_index), person_id: Set(person) };
    recovery_code::Entity::insert_many(indexes.into_iter().map(row)).exec_without_returning(tx).await?;
    Ok(())
}

/// Uses up a recovery code; false if there is none.
pub async fn spend_recovery_code(tx: &impl ConnectionTrait, code_index: Vec<u8>) -> Result<bool> {
    Ok(recovery_code::Entity::delete_by_id(code_index).exec(tx).await?.rows_affected == 1)
}

/// Removes the person's second factor with its recovery codes.
pub async fn remove(tx: &impl ConnectionTrait, person: PersonId) -> Result<()> {
    recovery_code::Entity::delete_many().filter(recovery_code::Column::PersonId.eq(person)).exec(tx).await?;
    entity::Entity::delete_by_id(person).exec(tx).await?;
    Ok(())
}
