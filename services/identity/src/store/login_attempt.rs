//! The tables of guesses, and every question asked of them.

use kernel::{Instant, Result};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    sea_query::{CaseStatement, Expr, ExprTrait, OnConflict},
};

mod account_guess {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "account_guess")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub subject: Vec<u8>,
        pub guesses: i32,
        pub last_at: kernel::Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

mod address_guess {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "address_guess")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub address: Vec<u8>,
        pub empty_at: kernel::Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// Takes one of `most` guesses at an account; false if they are used up. Counting begins anew once the last guess is
/// older than `window_start`. One statement, so that racing guesses are each counted.
pub async fn take(
    db: &impl ConnectionTrait,
    subject: &[u8],
    now: Instant,
    window_start: Instant,
    most: i32,
) -> Result<bool> {
    let guesses = || Expr::col((account_guess::Entity, account_guess::Column::Guesses));
    let over = || Expr::col((account_guess::Entity, account_guess::Column::LastAt)).lte(window_start);
    let counted = CaseStatement::new().case(over(), 1).finally(guesses().add(1));
    let row = account_guess::Model { subject: subject.to_vec(), guesses: 1, last_at: now };
    let again = OnConflict::column(account_guess::Column::Subject)
        .value(account_guess::Column::Guesses, counted)
        .value(account_guess::Column::LastAt, Expr::value(now))
        .action_and_where(over().or(guesses().lt(most)))
        .to_owned();
    let taken = account_guess::Entity::insert(row.into_active_model()).on_conflict(again);
    Ok(taken.exec_without_returning(db).await? == 1)
}

/// Whether all guesses at an account are used up for now.
pub async fn rests(db: &impl ConnectionTrait, subject: &[u8], window_start: Instant, most: i32) -> Result<bool> {
    let found = account_guess::Entity::find_by_id(subject.to_vec()).one(db).await?;
    Ok(found.is_some_and(|row| row.guesses >= most && row.last_at > window_start))
}

/// Forgets one guess at an account.
pub async fn give_back(db: &impl ConnectionTrait, subject: &[u8]) -> Result<()> {
    account_guess::Entity::update_many()
        .col_expr(account_guess::Column::Guesses, Expr::col(account_guess::Column::Guesses).sub(1))
        .filter(account_guess::Column::Subject.eq(subject))
        .filter(account_guess::Column::Guesses.gt(0))
        .exec(db)
        .await?;
    Ok(())
}

/// Forgets the guesses at an account.
pub async fn clear(db: &impl ConnectionTrait, subject: &[u8]) -> Result<()> {
    account_guess::Entity::delete_by_id(subject.to_vec()).exec(db).await?;
    Ok(())
}

/// Puts a guess into an address's bucket, which forgets one every `each` milliseconds and holds as many as it forgets
/// within `window`; false if it is full.
pub async fn take_from(
    db: &impl ConnectionTrait,
    address: &[u8],
    now: Instant,
    each: i64,
    window: i64,
) -> Result<bool> {
    let empty_at = || Expr::col((address_guess::Entity, address_guess::Column::EmptyAt));
    let fuller = CaseStatement::new().case(empty_at().lte(now), now.plus_millis(each)).finally(empty_at().add(each));
    let row = address_guess::Model { address: address.to_vec(), empty_at: now.plus_millis(each) };
    let again = OnConflict::column(address_guess::Column::Address)
        .value(address_guess::Column::EmptyAt, fuller)
        .action_and_where(empty_at().lte(now.plus_millis(window - each)))
        .to_owned();
    let taken = address_guess::Entity::insert(row.into_active_model()).on_conflict(again);
    Ok(taken.exec_without_returning(db).await? == 1)
}

/// Takes a guess out of an address's bucket again.
pub async fn give_back_from(db: &impl ConnectionTrait, address: &[u8], each: i64) -> Result<()> {
    address_guess::Entity::update_many()
        .col_expr(address_guess::Column::EmptyAt, Expr::col(address_guess::Column::EmptyAt).sub(each))
        .filter(address_guess::Column::Address.eq(address))
        .exec(db)
        .await?;
    Ok(())
}

/// Forgets the guesses that no longer count.
pub async fn forget(db: &impl ConnectionTrait, now: Instant, window_start: Instant) -> Result<()> {
    let old = account_guess::Column::LastAt.lte(window_start);
    account_guess::Entity::delete_many().filter(old).exec(db).await?;
    address_guess::Entity::delete_many().filter(address_guess::Column::EmptyAt.lte(now)).exec(db).await?;
    Ok(())
}
