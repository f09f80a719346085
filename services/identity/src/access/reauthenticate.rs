//! Who is signed in shows the password once more, before what a stolen session must not do.

use kernel::{Actor, Error, ErrorCode, Id, Result};

use crate::{
    access::{caller, login_attempts::Guess, password},
    identities::Identities,
    store,
};

/// Requires the caller's password once more. The guess that it was is the caller's to give back.
pub async fn again(identities: &Identities, actor: &Actor, password: &str) -> Result<(store::Person, Guess)> {
    let (id, _) = caller::own(actor)?;
    let cx = &identities.cx;
    let person = store::person(cx.db.read(), &cx.vault, id).await?.ok_or(Error::Unauthenticated)?;
    let guess = Guess::at(identities, &actor.address, &id.text()).await?;
    if !password::verify(password, hash(&person)).await? {
        return Err(ErrorCode::BadCredentials.into());
    }
    Ok((person, guess))
}

/// The stored hash; none of a person who comes in by a provider only.
pub fn hash(person: &store::Person) -> Option<&str> {
    Some(person.password_hash.as_str()).filter(|hash| !hash.is_empty())
}
