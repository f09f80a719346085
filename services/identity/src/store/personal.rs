//! The table of what people told, and all that goes when a person is erased.

use kernel::{DataKey, Id, Instant, Result, Transaction, Vault};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use wire::{
    id::PersonId,
    v1::{CredentialStatus, PersonalField},
};

use super::person::{key, row as person};
use crate::{
    privacy::field,
    store::{
        api_key::entity as api_key,
        brokerage::credential,
        federated::federated_identity,
        invitation, member, second_factor,
        session::{Chosen, end_sessions},
    },
};

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "personal_data")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub person_id: wire::id::PersonId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub field: String,
        pub ciphertext: Vec<u8>,
        pub lookup: Option<Vec<u8>>,
        pub updated_at: kernel::Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}
use row::{Column, Entity};

/// The person's key, which nobody destroys until the transaction ends; none of somebody erased.
pub async fn hold_key(tx: &Transaction, vault: &Vault, id: PersonId) -> Result<Option<DataKey>> {
    let found = key::Entity::find_by_id(id).lock_shared().one(tx).await?;
    found.map(|found| vault.data_key(&id.text(), &found.wrapped_key)).transpose()
}

/// Stores a value in place of an earlier one.
pub async fn put(
    tx: &impl ConnectionTrait,
    (vault, key): (&Vault, &DataKey),
    (person_id, field): (PersonId, PersonalField),
    value: &str,
    now: Instant,
) -> Result<()> {
    let row = row::ActiveModel {
        person_id: Set(person_id),
        field: Set(field.stored().to_owned()),
        ciphertext: Set(key.seal(field.stored(), value)?),
        lookup: Set(Some(field::lookup(vault, field, value))),
        updated_at: Set(now),
    };
    let mut earlier = OnConflict::columns([Column::PersonId, Column::Field]);
    earlier.update_columns([Column::Ciphertext, Column::Lookup, Column::UpdatedAt]);
    Entity::insert(row).on_conflict(earlier).exec_without_returning(tx).await?;
    Ok(())
}

pub async fn remove(tx: &impl ConnectionTrait, person: PersonId, field: PersonalField) -> Result<()> {
    Entity::delete_by_id((person, field.stored().to_owned())).exec(tx).await?;
    Ok(())
}

/// What the person told, in clear.
pub async fn told(db: &impl ConnectionTrait, vault: &Vault, person: PersonId) -> Result<Vec<(PersonalField, String)>> {
    let rows = Entity::find().filter(Column::PersonId.eq(person)).all(db).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let Some(key) = key::Entity::find_by_id(person).one(db).await? else { return Ok(Vec::new()) };
    let key = vault.data_key(&person.text(), &key.wrapped_key)?;
    let told = |field: PersonalField| {
        let row = rows.iter().find(|row| row.field == field.stored())?;
        Some(key.open(&row.field, &row.ciphertext).map(|value| (field, value)))
    };
    field::ALL.into_iter().filter_map(told).collect()
}

/// Who told this value, the first few.
pub async fn who_told(db: &impl ConnectionTrait, field: PersonalField, lookup: Vec<u8>) -> Result<Vec<PersonId>> {
    let same = Entity::find().filter(Column::Field.eq(field.stored())).filter(Column::Lookup.eq(lookup));
    Ok(same.limit(20).all(db).await?.into_iter().map(|row| row.person_id).collect())
}

/// Destroys the person's key and all that is the person's alone. The id stays.
pub async fn erase(tx: &impl ConnectionTrait, id: PersonId, now: Instant) -> Result<()> {
    key::Entity::delete_by_id(id).exec(tx).await?;
    Entity::delete_many().filter(Column::PersonId.eq(id)).exec(tx).await?;
    if let Some(login_index) = invitation::login_index_of(tx, id).await? {
        invitation::forget(tx, login_index).await?;
    }
    person::Entity::update_many()
        .col_expr(person::Column::LoginIndex, Expr::value(None::<Vec<u8>>))
        .col_expr(person::Column::Login, Expr::value(Vec::<u8>::new()))
        .col_expr(person::Column::Name, Expr::value(Vec::<u8>::new()))
        .col_expr(person::Column::PasswordHash, Expr::value(""))
        .filter(person::Column::Id.eq(id))
        .exec(tx)
        .await?;
    end_sessions(tx, Chosen::AllOf(id), now).await?;
    second_factor::remove(tx, id).await?;
    member::remove_everywhere(tx, id).await?;
    api_key::Entity::delete_many().filter(api_key::Column::PersonId.eq(id)).exec(tx).await?;
    let linked = federated_identity::Column::PersonId.eq(id);
    federated_identity::Entity::delete_many().filter(linked).exec(tx).await?;
    erase_credentials(tx, id).await
}

/// A credential's number names its broker; who brokered for whom stays.
async fn erase_credentials(tx: &impl ConnectionTrait, person: PersonId) -> Result<()> {
    let rows = credential::Entity::find().filter(credential::Column::PersonId.eq(person)).all(tx).await?;
    for row in rows {
        let status = match row.status {
            CredentialStatus::Rejected => CredentialStatus::Rejected,
            _ => CredentialStatus::Revoked,
        };
        credential::Entity::update_many()
            .col_expr(credential::Column::Number, Expr::value(format!("erased {}", row.id.text())))
            .col_expr(credential::Column::Status, Expr::value(status))
            .filter(credential::Column::Id.eq(row.id))
            .exec(tx)
            .await?;
    }
    Ok(())
}

/// What an export tells of keys for tools, provider accounts and credentials.
pub async fn belongings(db: &impl ConnectionTrait, id: PersonId) -> Result<Belongings> {
    let linked = federated_identity::Column::PersonId.eq(id);
    Ok(Belongings {
        api_keys: api_key::Entity::find().filter(api_key::Column::PersonId.eq(id)).all(db).await?,
        accounts: federated_identity::Entity::find().filter(linked).all(db).await?,
        credentials: credential::Entity::find().filter(credential::Column::PersonId.eq(id)).all(db).await?,
    })
}

/// What a person has besides memberships and sessions.
pub struct Belongings {
    pub api_keys: Vec<api_key::Model>,
    pub accounts: Vec<federated_identity::Model>,
    pub credentials: Vec<credential::Model>,
}
