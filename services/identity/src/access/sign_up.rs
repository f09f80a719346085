//! Makes a person who can sign in.

use kernel::{Call, ErrorCode, Id, Refusal, Result, text};
use serde_json::json;
use wire::{id::PersonId, v1};

use crate::{
    access::{login, password},
    store,
};

/// Checks and hashes the password before the transaction, which must not wait for it.
pub async fn hash_password(input: &v1::SignUpInput) -> Result<String> {
    login::login(&input.login, "login")?;
    login::password(&input.password, &input.login, "password")?;
    password::hash(&input.password).await
}

/// Adds the person.
pub async fn sign_up(call: &Call, input: v1::SignUpInput, password_hash: Result<String>) -> Result<v1::Person> {
    let row = store::Person {
        id: PersonId::fresh(),
        login: login::login(&input.login, "login")?,
        name: text(&input.name, "name", 1, 100)?,
        password_hash: password_hash?,
        created_at: call.now,
    };
    if !store::insert_person(&call.tx, &call.cx.vault, &row).await? {
        return Err(Refusal::new(ErrorCode::LoginTaken).at_field("login").into());
    }
    call.record("SignedUp", &row.id.text(), json!({})).await?;
    Ok(store::person_in(row, Vec::new()))
}
