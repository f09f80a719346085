//! Boxes of sealed envelopes, contributed shares and panels.

use kernel::{Clock, Context, Error, Instant, Result, Transaction, Vault};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    Statement,
    sea_query::{Expr, OnConflict},
};
use wire::{id::BiddingSessionId, v1::BiddingStatus};

use super::session;

pub mod place {
    use super::BiddingSessionId;
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sealed_place")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub session_id: BiddingSessionId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub round: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub place: i32,
        pub wrapped: Vec<u8>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod share {
    use super::BiddingSessionId;
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sealed_share")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub session_id: BiddingSessionId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub round: i32,
        /// The trustee's place in the list, from 1.
        #[sea_orm(primary_key, auto_increment = false)]
        pub trustee: i32,
        pub wrapped: Vec<u8>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod member {
    use super::BiddingSessionId;
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "panel_member")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub session_id: BiddingSessionId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: i32,
        pub person_id: String,
        pub impartial: Option<bool>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// The session's row: nobody else moves it, nor its box, until the transaction ends.
pub async fn locked(tx: &Transaction, vault: &Vault, id: BiddingSessionId) -> Result<Option<session::Model>> {
    let session = session::Entity::find_by_id(id).lock_exclusive().one(tx).await?;
    session.iter().try_for_each(|session| session.require_ours(vault))?;
    Ok(session)
}

/// Now, by the database's clock where it has one; to be asked once the lot is locked.
pub async fn now(tx: &Transaction, clock: &Clock) -> Result<Instant> {
    if tx.get_database_backend() != DbBackend::Postgres {
        return Ok(clock.now());
    }
    let query = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS millis";
    let row = tx.query_one_raw(Statement::from_string(DbBackend::Postgres, query)).await?;
    let millis: i64 = row.ok_or_else(|| Error::Internal("no clock".into()))?.try_get("", "millis")?;
    Ok(Instant(millis).plus_millis(clock.offset()))
}

/// Sessions whose box may have to be rewritten, or opened.
pub async fn boxes(db: &impl ConnectionTrait) -> Result<Vec<BiddingSessionId>> {
    let live = [BiddingStatus::Free, BiddingStatus::Opening, BiddingStatus::Paused];
    let sealed = place::Entity::find().select_only().column(place::Column::SessionId).distinct();
    let rows = session::Entity::find()
        .filter(session::Column::Status.is_in(live))
        .filter(session::Column::Id.in_subquery(sea_orm::QueryTrait::into_query(sealed)))
        .order_by_asc(session::Column::Id)
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// All places of a session, round by round.
pub async fn places(db: &impl ConnectionTrait, id: BiddingSessionId) -> Result<Vec<place::Model>> {
    let places = place::Entity::find().filter(place::Column::SessionId.eq(id));
    Ok(places.order_by_asc(place::Column::Round).order_by_asc(place::Column::Place).all(db).await?)
}

/// Fills the box of a round; a round that has one keeps it.
pub async fn insert_places(tx: &Transaction, rows: Vec<place::Model>) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    place::Entity::insert_many(rows.into_iter().map(IntoActiveModel::into_active_model))
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// Writes one place anew.
pub async fn rewrite(tx: &Transaction, row: place::Model) -> Result<()> {
    place::Entity::update_many()
        .col_expr(place::Column::Wrapped, Expr::value(row.wrapped))
        .filter(place::Column::SessionId.eq(row.session_id))
        .filter(place::Column::Round.eq(row.round))
        .filter(place::Column::Place.eq(row.place))
        .exec(tx)
        .await?;
    Ok(())
}

/// Keeps a contributed share; nothing if it is there.
pub async fn keep_share(db: &impl ConnectionTrait, row: share::Model) -> Result<()> {
    share::Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(db)
        .await?;
    Ok(())
}

/// All contributed shares of a session, round by round.
pub async fn shares(db: &impl ConnectionTrait, id: BiddingSessionId) -> Result<Vec<share::Model>> {
    let shares = share::Entity::find().filter(share::Column::SessionId.eq(id));
    Ok(shares.order_by_asc(share::Column::Round).order_by_asc(share::Column::Trustee).all(db).await?)
}

/// The panel of a session, in the order of appointment.
pub async fn panel(db: &impl ConnectionTrait, id: BiddingSessionId) -> Result<Vec<member::Model>> {
    let members = member::Entity::find().filter(member::Column::SessionId.eq(id));
    Ok(members.order_by_asc(member::Column::Number).all(db).await?)
}

/// Appoints members.
pub async fn appoint(tx: &Transaction, rows: Vec<member::Model>) -> Result<()> {
    member::Entity::insert_many(rows.into_iter().map(IntoActiveModel::into_active_model))
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// Keeps what a member declared.
pub async fn declare(tx: &Transaction, row: member::Model, impartial: bool) -> Result<()> {
    let change = member::ActiveModel { impartial: Set(Some(impartial)), ..row.into_active_model() };
    member::Entity::update(change).exec(tx).await?;
    Ok(())
}

/// One after the other: for what is decided about a lot outside of its writer. On PostgreSQL by a lock that ends with
/// the transaction.
pub async fn turn(cx: &Context, id: BiddingSessionId) -> Result<Option<Transaction>> {
    if cx.db.backend() != DbBackend::Postgres {
        return Ok(None);
    }
    let tx = cx.db.begin().await?;
    let (high, low) = kernel::Id::uuid(id).as_u64_pair();
    let lock = "SELECT pg_advisory_xact_lock($1)";
    let key = i64::from_be_bytes((high ^ low).to_be_bytes());
    tx.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, lock, [key.into()])).await?;
    Ok(Some(tx))
}
