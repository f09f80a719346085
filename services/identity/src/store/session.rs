//! The tables of sessions, and every question asked of them.

use kernel::{Instant, Result, Transaction};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
    sea_query::{Expr, ExprTrait},
};
use wire::id::{PersonId, SessionId};

pub mod entity {
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
        pub second_factor: bool,
        pub created_at: kernel::Instant,
        pub renewed_at: kernel::Instant,
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

impl entity::Model {
    /// Whether its tokens still count.
    pub fn is_alive(&self, now: Instant) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }
}

pub async fn insert_session(tx: &impl ConnectionTrait, row: entity::Model) -> Result<()> {
    entity::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    Ok(())
}

pub async fn session(db: &impl ConnectionTrait, id: SessionId) -> Result<Option<entity::Model>> {
    Ok(entity::Entity::find_by_id(id).one(db).await?)
}

/// The session whose present refresh token this is, locked until the transaction ends.
pub async fn lock_session(tx: &Transaction, refresh_hash: &[u8]) -> Result<Option<entity::Model>> {
    let present = entity::Column::RefreshHash.eq(refresh_hash);
    Ok(entity::Entity::find().filter(present).lock_exclusive().one(tx).await?)
}

/// The session whose earlier refresh token this was.
pub async fn session_of_spent(tx: &impl ConnectionTrait, refresh_hash: &[u8]) -> Result<Option<SessionId>> {
    let spent = spent_refresh::Entity::find_by_id(refresh_hash.to_vec()).one(tx).await?;
    Ok(spent.map(|spent| spent.session_id))
}

/// What a refresh changes.
pub struct Renewal {
    pub refresh_hash: Vec<u8>,
    pub renewed_at: Instant,
    pub expires_at: Instant,
}

/// Exchanges the present refresh token for another.
pub async fn rotate(tx: &impl ConnectionTrait, session: &entity::Model, renewal: Renewal) -> Result<()> {
    let spent = spent_refresh::Model { refresh_hash: session.refresh_hash.clone(), session_id: session.id };
    spent_refresh::Entity::insert(spent.into_active_model()).exec_without_returning(tx).await?;
    entity::Entity::update_many()
        .col_expr(entity::Column::RefreshHash, Expr::value(renewal.refresh_hash))
        .col_expr(entity::Column::Generation, Expr::col(entity::Column::Generation).add(1))
        .col_expr(entity::Column::RenewedAt, Expr::value(renewal.renewed_at))
        .col_expr(entity::Column::ExpiresAt, Expr::value(renewal.expires_at))
        .filter(entity::Column::Id.eq(session.id))
        .exec(tx)
        .await?;
    Ok(())
}

/// The person's sessions that are open, the newest first, at most `most`.
pub async fn open_sessions(
    db: &impl ConnectionTrait,
    person: PersonId,
    now: Instant,
    most: u64,
) -> Result<Vec<entity::Model>> {
    let open = entity::Entity::find()
        .filter(entity::Column::PersonId.eq(person))
        .filter(entity::Column::EndedAt.is_null())
        .filter(entity::Column::ExpiresAt.gt(now));
    Ok(open.order_by_desc(entity::Column::Id).limit(most).all(db).await?)
}

/// All of the person's sessions, the newest first, at most `most`.
pub async fn all_sessions(db: &impl ConnectionTrait, person: PersonId, most: u64) -> Result<Vec<entity::Model>> {
    let all = entity::Entity::find().filter(entity::Column::PersonId.eq(person));
    Ok(all.order_by_desc(entity::Column::Id).limit(most).all(db).await?)
}

/// Says of open sessions whether a second factor was shown in them; tells of how many.
pub async fn set_second_factor(tx: &impl ConnectionTrait, which: Chosen, shown: bool) -> Result<u64> {
    let set = entity::Entity::update_many()
        .col_expr(entity::Column::SecondFactor, Expr::value(shown))
        .filter(which.condition())
        .filter(entity::Column::EndedAt.is_null())
        .exec(tx)
        .await?;
    Ok(set.rows_affected)
}

/// Which sessions are meant.
#[derive(Clone, Copy)]
pub enum Chosen {
    One(SessionId),
    AllOf(PersonId),
    /// All of the person's but this one.
    Others(PersonId, SessionId),
}

impl Chosen {
    fn condition(self) -> Condition {
        let of = |person: PersonId| Condition::all().add(entity::Column::PersonId.eq(person));
        match self {
            Chosen::One(id) => Condition::all().add(entity::Column::Id.eq(id)),
            Chosen::AllOf(person) => of(person),
            Chosen::Others(person, id) => of(person).add(entity::Column::Id.ne(id)),
        }
    }
}

/// Ends sessions that have not ended; tells how many. Their spent tokens have nothing left to guard.
pub async fn end_sessions(tx: &impl ConnectionTrait, which: Chosen, now: Instant) -> Result<u64> {
    let ended = entity::Entity::update_many()
        .col_expr(entity::Column::EndedAt, Expr::value(Some(now)))
        .filter(which.condition())
        .filter(entity::Column::EndedAt.is_null())
        .exec(tx)
        .await?;
    let over = entity::Entity::find().select_only().column(entity::Column::Id).filter(which.condition()).into_query();
    spent_refresh::Entity::delete_many().filter(spent_refresh::Column::SessionId.in_subquery(over)).exec(tx).await?;
    Ok(ended.rows_affected)
}
