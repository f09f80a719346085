//! People at rest: login and name are sealed by a key of the person's own, and a login is found by its HMAC. Once the
//! key is destroyed there is no person any more, only an id.

use std::collections::HashMap;

use kernel::{DataKey, Error, Id, Instant, Result, Vault};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, sea_query::OnConflict};
use wire::id::PersonId;

pub mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "person")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: wire::id::PersonId,
        pub login_index: Option<Vec<u8>>,
        pub login: Vec<u8>,
        pub name: Vec<u8>,
        pub password_hash: String,
        pub created_at: kernel::Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod key {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "person_key")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub person_id: wire::id::PersonId,
        pub wrapped_key: Vec<u8>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// A person in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub id: PersonId,
    pub login: String,
    pub name: String,
    pub password_hash: String,
    pub created_at: Instant,
}

/// By which a login is found.
pub fn login_index(vault: &Vault, login: &str) -> Vec<u8> {
    vault.index("login", login).to_vec()
}

/// Adds a person; false if the login is taken.
pub async fn insert_person(tx: &impl ConnectionTrait, vault: &Vault, person: &Person) -> Result<bool> {
    let (key, wrapped_key) = vault.fresh_key(&person.id.text())?;
    let row = row::ActiveModel {
        id: Set(person.id),
        login_index: Set(Some(login_index(vault, &person.login))),
        login: Set(key.seal("login", &person.login)?),
        name: Set(key.seal("name", &person.name)?),
        password_hash: Set(person.password_hash.clone()),
        created_at: Set(person.created_at),
    };
    let taken = OnConflict::column(row::Column::LoginIndex).do_nothing().to_owned();
    if row::Entity::insert(row).on_conflict(taken).exec_without_returning(tx).await? != 1 {
        return Ok(false);
    }
    let key = key::ActiveModel { person_id: Set(person.id), wrapped_key: Set(wrapped_key) };
    key::Entity::insert(key).exec_without_returning(tx).await?;
    Ok(true)
}

/// The person, unless erased.
pub async fn person(db: &impl ConnectionTrait, vault: &Vault, id: PersonId) -> Result<Option<Person>> {
    Ok(people(db, vault, vec![id]).await?.pop())
}

/// Those of the people who are there and not erased.
pub async fn people(db: &impl ConnectionTrait, vault: &Vault, ids: Vec<PersonId>) -> Result<Vec<Person>> {
    let rows = row::Entity::find().filter(row::Column::Id.is_in(ids)).all(db).await?;
    with_keys(db, vault, rows).await
}

pub async fn person_by_login(db: &impl ConnectionTrait, vault: &Vault, login: &str) -> Result<Option<Person>> {
    let rows = row::Entity::find().filter(row::Column::LoginIndex.eq(login_index(vault, login))).all(db).await?;
    Ok(with_keys(db, vault, rows).await?.pop())
}

/// Who has which of these logins.
pub async fn holders_of_logins(
    db: &impl ConnectionTrait,
    vault: &Vault,
    logins: Vec<String>,
) -> Result<HashMap<String, PersonId>> {
    let logins: HashMap<_, _> = logins.into_iter().map(|login| (login_index(vault, &login), login)).collect();
    let found = row::Entity::find().filter(row::Column::LoginIndex.is_in(logins.keys().cloned())).all(db).await?;
    let held = found.into_iter().filter_map(|row| Some((logins.get(row.login_index.as_ref()?)?.clone(), row.id)));
    Ok(held.collect())
}

/// The rows whose keys are not destroyed, opened. No join: what is read in full is held against the index of rows (P-5).
async fn with_keys(db: &impl ConnectionTrait, vault: &Vault, rows: Vec<row::Model>) -> Result<Vec<Person>> {
    let keys = key::Entity::find().filter(key::Column::PersonId.is_in(rows.iter().map(|row| row.id)));
    let mut keys: HashMap<_, _> = keys.all(db).await?.into_iter().map(|key| (key.person_id, key)).collect();
    let keyed = rows.into_iter().filter_map(|row| keys.remove(&row.id).map(|key| opened(vault, row, key)));
    keyed.collect()
}

/// The key of the person's texts, unless destroyed.
pub async fn data_key(db: &impl ConnectionTrait, vault: &Vault, id: PersonId) -> Result<DataKey> {
    let found = key::Entity::find_by_id(id).one(db).await?;
    let found = found.ok_or_else(|| Error::not_found("personId"))?;
    vault.data_key(&id.text(), &found.wrapped_key)
}

fn opened(vault: &Vault, row: row::Model, key: key::Model) -> Result<Person> {
    let key = vault.data_key(&row.id.text(), &key.wrapped_key)?;
    Ok(Person {
        id: row.id,
        login: key.open("login", &row.login)?,
        name: key.open("name", &row.name)?,
        password_hash: row.password_hash,
        created_at: row.created_at,
    })
}
