//! Makes a person who can sign in.

use kernel::{Call, ErrorCode, Id, Refusal, Result, text};
use serde_json::json;
use wire::{id::PersonId, v1};

use crate::{password, person, store};

/// Checks and hashes the password before the transaction, which must not wait for it, and takes it out of the input.
///
/// What remains under the idempotency key is a digest of the input. So that it is no quick way to search for the
/// password, a keyed input carries a fingerprint as slow as the hash in its place.
pub async fn hash_password(input: &mut v1::SignUpInput, key: Option<&str>) -> Result<String> {
    let password = std::mem::take(&mut input.password);
    person::login(&input.login, "login")?;
    person::password(&password, &input.login)?;
    if let Some(key) = key {
        input.password = password::fingerprint(&password, &[key, &input.login]).await?;
    }
    password::hash(&password).await
}

/// Adds the person.
pub async fn sign_up(call: &Call, input: v1::SignUpInput, password_hash: Result<String>) -> Result<v1::Person> {
    let row = store::person::Model {
        id: PersonId::fresh(),
        login: person::login(&input.login, "login")?,
        name: text(&input.name, "name", 1, 100)?,
        password_hash: password_hash?,
        created_at: call.now,
    };
    if !store::insert_person(&call.tx, row.clone()).await? {
        return Err(Refusal::new(ErrorCode::LoginTaken).at_field("login").into());
    }
    call.record("SignedUp", &row.id.text(), json!({ "login": row.login })).await?;
    Ok(store::person_in(row, Vec::new()))
}
