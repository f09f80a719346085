//! The table of keys for tools, and every question asked of it.

use kernel::{Instant, Result, Transaction};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};
use wire::id::{ApiKeyId, PersonId};

pub mod entity {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "api_key")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: wire::id::ApiKeyId,
        pub person_id: wire::id::PersonId,
        pub organization_id: wire::id::OrganizationId,
        pub name: String,
        pub roles: String,
        pub prefix: String,
        pub key_hash: Vec<u8>,
        pub created_at: kernel::Instant,
        pub expires_at: kernel::Instant,
        pub used_at: Option<kernel::Instant>,
        pub revoked_at: Option<kernel::Instant>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub async fn insert(tx: &impl ConnectionTrait, row: entity::Model) -> Result<()> {
    entity::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    Ok(())
}

/// The key, locked until the transaction ends.
pub async fn lock(tx: &Transaction, id: ApiKeyId) -> Result<Option<entity::Model>> {
    Ok(entity::Entity::find_by_id(id).lock_exclusive().one(tx).await?)
}

pub async fn by_hash(db: &impl ConnectionTrait, key_hash: &[u8]) -> Result<Option<entity::Model>> {
    Ok(entity::Entity::find().filter(entity::Column::KeyHash.eq(key_hash)).one(db).await?)
}

/// The person's keys, the newest first, at most `most`.
pub async fn of_person(db: &impl ConnectionTrait, person: PersonId, most: u64) -> Result<Vec<entity::Model>> {
    let own = entity::Entity::find().filter(entity::Column::PersonId.eq(person));
    Ok(own.order_by_desc(entity::Column::Id).limit(most).all(db).await?)
}

pub async fn note_use(db: &impl ConnectionTrait, id: ApiKeyId, now: Instant) -> Result<()> {
    set(db, id, entity::Column::UsedAt, now).await
}

pub async fn revoke(tx: &impl ConnectionTrait, id: ApiKeyId, now: Instant) -> Result<()> {
    set(tx, id, entity::Column::RevokedAt, now).await
}

async fn set(db: &impl ConnectionTrait, id: ApiKeyId, column: entity::Column, now: Instant) -> Result<()> {
    entity::Entity::update_many()
        .col_expr(column, Expr::value(Some(now)))
        .filter(entity::Column::Id.eq(id))
        .exec(db)
        .await?;
    Ok(())
}
