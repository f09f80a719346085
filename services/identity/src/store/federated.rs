//! The tables of federated sign-ins, and every question asked of them.

use kernel::{Instant, Result};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, sea_query::OnConflict,
};
use wire::id::PersonId;

mod federated_attempt {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "federated_attempt")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub state_hash: Vec<u8>,
        pub provider: String,
        pub expires_at: kernel::Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod federated_identity {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "federated_identity")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub subject_index: Vec<u8>,
        pub issuer: String,
        pub person_id: wire::id::PersonId,
        pub linked_at: kernel::Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub async fn insert_attempt(
    db: &impl ConnectionTrait,
    state_hash: Vec<u8>,
    provider: &str,
    expires_at: Instant,
) -> Result<()> {
    let row = federated_attempt::ActiveModel {
        state_hash: Set(state_hash),
        provider: Set(provider.to_owned()),
        expires_at: Set(expires_at),
    };
    federated_attempt::Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// Uses up an attempt that has not expired and tells its provider. Of two that race for it one gets it.
pub async fn take_attempt(db: &impl ConnectionTrait, state_hash: &[u8], now: Instant) -> Result<Option<String>> {
    let Some(found) = federated_attempt::Entity::find_by_id(state_hash.to_vec()).one(db).await? else {
        return Ok(None);
    };
    let taken = federated_attempt::Entity::delete_by_id(found.state_hash).exec(db).await?.rows_affected == 1;
    Ok((taken && now < found.expires_at).then_some(found.provider))
}

/// Forgets the attempts that have expired.
pub async fn forget_attempts(db: &impl ConnectionTrait, now: Instant) -> Result<()> {
    let over = federated_attempt::Column::ExpiresAt.lte(now);
    federated_attempt::Entity::delete_many().filter(over).exec(db).await?;
    Ok(())
}

/// Who a provider's account is here.
pub async fn linked(tx: &impl ConnectionTrait, subject_index: &[u8]) -> Result<Option<PersonId>> {
    let found = federated_identity::Entity::find_by_id(subject_index.to_vec()).one(tx).await?;
    Ok(found.map(|found| found.person_id))
}

/// Links a provider's account with a person; false if it is linked already.
pub async fn link(
    tx: &impl ConnectionTrait,
    subject_index: Vec<u8>,
    issuer: &str,
    person_id: PersonId,
    linked_at: Instant,
) -> Result<bool> {
    let row = federated_identity::Model { subject_index, issuer: issuer.to_owned(), person_id, linked_at };
    let linked = OnConflict::column(federated_identity::Column::SubjectIndex).do_nothing().to_owned();
    let insert = federated_identity::Entity::insert(row.into_active_model()).on_conflict(linked);
    Ok(insert.exec_without_returning(tx).await? == 1)
}
