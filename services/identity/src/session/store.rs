//! The tables of sessions and of what guards them, and every question asked of them.

use kernel::{Instant, Result};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{CaseStatement, Expr, ExprTrait, OnConflict},
};
use wire::id::{PersonId, SessionId};

pub mod session {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "session")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: wire::id::SessionId,
        pub person_id: wire::id::PersonId,
        pub refresh_hash: Vec<u8>,
        pub generation: i32,
        pub created_at: kernel::Instant,
        pub expires_at: kernel::Instant,
        pub ended_at: Option<kernel::Instant>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

mod spent_refresh {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "spent_refresh")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub refresh_hash: Vec<u8>,
        pub session_id: wire::id::SessionId,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

mod sign_in_failure {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sign_in_failure")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub login_hash: Vec<u8>,
        pub guesses: i32,
        pub last_at: kernel::Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

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
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl session::Model {
    /// Whether its tokens still count.
    pub fn is_alive(&self, now: Instant) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }
}

pub async fn insert_session(tx: &impl ConnectionTrait, row: session::Model) -> Result<()> {
    session::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    Ok(())
}

pub async fn session(db: &impl ConnectionTrait, id: SessionId) -> Result<Option<session::Model>> {
    Ok(session::Entity::find_by_id(id).one(db).await?)
}

/// The session whose present refresh token this is, locked until the transaction ends.
pub async fn lock_session(tx: &impl ConnectionTrait, refresh_hash: &[u8]) -> Result<Option<session::Model>> {
    let present = session::Column::RefreshHash.eq(refresh_hash);
    Ok(session::Entity::find().filter(present).lock_exclusive().one(tx).await?)
}

/// The session whose earlier refresh token this was.
pub async fn session_of_spent(tx: &impl ConnectionTrait, refresh_hash: &[u8]) -> Result<Option<SessionId>> {
    let spent = spent_refresh::Entity::find_by_id(refresh_hash.to_vec()).one(tx).await?;
    Ok(spent.map(|spent| spent.session_id))
}

/// Exchanges the present refresh token for another.
pub async fn rotate(
    tx: &impl ConnectionTrait,
    session: &session::Model,
    next: Vec<u8>,
    expires_at: Instant,
) -> Result<()> {
    let spent = spent_refresh::Model { refresh_hash: session.refresh_hash.clone(), session_id: session.id };
    spent_refresh::Entity::insert(spent.into_active_model()).exec_without_returning(tx).await?;
    session::Entity::update_many()
        .col_expr(session::Column::RefreshHash, Expr::value(next))
        .col_expr(session::Column::Generation, Expr::col(session::Column::Generation).add(1))
        .col_expr(session::Column::ExpiresAt, Expr::value(expires_at))
        .filter(session::Column::Id.eq(session.id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Which sessions end.
pub enum Ending {
    One(SessionId),
    AllOf(PersonId),
}

/// Ends sessions that have not ended; tells how many. Their spent tokens have nothing left to guard.
pub async fn end_sessions(tx: &impl ConnectionTrait, which: Ending, now: Instant) -> Result<u64> {
    let chosen = match which {
        Ending::One(id) => session::Column::Id.eq(id),
        Ending::AllOf(person) => session::Column::PersonId.eq(person),
    };
    let ended = session::Entity::update_many()
        .col_expr(session::Column::EndedAt, Expr::value(Some(now)))
        .filter(chosen.clone())
        .filter(session::Column::EndedAt.is_null())
        .exec(tx)
        .await?;
    let over = session::Entity::find().select_only().column(session::Column::Id).filter(chosen).into_query();
    spent_refresh::Entity::delete_many().filter(spent_refresh::Column::SessionId.in_subquery(over)).exec(tx).await?;
    Ok(ended.rows_affected)
}

/// Takes one of `most` guesses at a login; false if they are used up. Counting begins anew once the last guess is
/// older than `window_start`. One statement, so that racing guesses are each counted.
pub async fn take_guess(
    db: &impl ConnectionTrait,
    login_hash: &[u8],
    now: Instant,
    window_start: Instant,
    most: i32,
) -> Result<bool> {
    let guesses = || Expr::col((sign_in_failure::Entity, sign_in_failure::Column::Guesses));
    let over = || Expr::col((sign_in_failure::Entity, sign_in_failure::Column::LastAt)).lte(window_start);
    let counted = CaseStatement::new().case(over(), 1).finally(guesses().add(1));
    let row = sign_in_failure::Model { login_hash: login_hash.to_vec(), guesses: 1, last_at: now };
    let again = OnConflict::column(sign_in_failure::Column::LoginHash)
        .value(sign_in_failure::Column::Guesses, counted)
        .value(sign_in_failure::Column::LastAt, Expr::value(now))
        .action_and_where(over().or(guesses().lt(most)))
        .to_owned();
    let taken = sign_in_failure::Entity::insert(row.into_active_model()).on_conflict(again);
    Ok(taken.exec_without_returning(db).await? == 1)
}

/// Forgets the guesses at one login.
pub async fn clear_guesses(tx: &impl ConnectionTrait, login_hash: &[u8]) -> Result<()> {
    sign_in_failure::Entity::delete_by_id(login_hash.to_vec()).exec(tx).await?;
    Ok(())
}

/// Forgets the guesses that no longer count, so that made-up logins do not fill the table.
pub async fn forget_guesses(db: &impl ConnectionTrait, window_start: Instant) -> Result<()> {
    let old = sign_in_failure::Column::LastAt.lte(window_start);
    sign_in_failure::Entity::delete_many().filter(old).exec(db).await?;
    Ok(())
}

pub async fn insert_signing_key(db: &impl ConnectionTrait, row: signing_key::Model) -> Result<()> {
    let known = OnConflict::column(signing_key::Column::Kid).do_nothing().to_owned();
    signing_key::Entity::insert(row.into_active_model()).on_conflict(known).exec_without_returning(db).await?;
    Ok(())
}

/// The key that signs: the oldest, whoever raced to make one.
pub async fn oldest_signing_key(db: &impl ConnectionTrait) -> Result<Option<signing_key::Model>> {
    let oldest = signing_key::Entity::find().order_by_asc(signing_key::Column::CreatedAt);
    Ok(oldest.order_by_asc(signing_key::Column::Kid).one(db).await?)
}

pub async fn signing_key(db: &impl ConnectionTrait, kid: &str) -> Result<Option<signing_key::Model>> {
    Ok(signing_key::Entity::find_by_id(kid).one(db).await?)
}
