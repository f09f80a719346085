//! Begins a session. Known and unknown logins answer alike, in text and in time.

use kernel::{Actor, Error, ErrorCode, Id, Result};
use wire::v1;

use crate::{
    Identities,
    guess::{self, Guess},
    password, person, second_factor, session, store,
};

/// Evaluates one guess, and counts what came of it.
pub async fn sign_in(identities: &Identities, address: &str, input: v1::SignInInput) -> Result<v1::Session> {
    let outcome = evaluate(identities, address, input).await;
    count("password", &outcome);
    outcome
}

/// Counts a sign-in by its outcome.
pub fn count<T>(means: &'static str, outcome: &Result<T>) {
    let outcome = match outcome {
        Ok(_) => "ok",
        Err(error) => error.code().into(),
    };
    metrics::counter!("sign_ins_total", "means" => means, "outcome" => outcome).increment(1);
}

async fn evaluate(identities: &Identities, address: &str, input: v1::SignInInput) -> Result<v1::Session> {
    let cx = &identities.cx;
    let found = match person::login(&input.login, "login") {
        Ok(login) => store::person_by_login(cx.db.read(), &cx.vault, &login).await?,
        Err(_) => None,
    };
    let account = found.as_ref().map_or_else(|| person::normal(&input.login), |person| person.id.text());
    let guess = Guess::at(identities, address, &account).await?;
    let right = password::verify(&input.password, found.as_ref().and_then(hash)).await?;
    let Some(person) = found.filter(|_| right) else {
        guess::forget_old(identities).await?;
        return Err(ErrorCode::BadCredentials.into());
    };
    let asked = second_factor::store::is_confirmed(cx.db.read(), person.id).await?;
    let code = input.code.filter(|code| !code.trim().is_empty());
    if asked && code.is_none() {
        guess.spared(&cx.db).await?;
        return Err(ErrorCode::CodeRequired.into());
    }
    let signer = identities.keys.signer().await?;
    let call = session::begin(cx, Actor { person_id: person.id.text(), ..Actor::default() }).await?;
    if asked && !second_factor::spend(&call, person.id, &code.unwrap_or_default()).await? {
        return Err(ErrorCode::BadCredentials.into());
    }
    guess.right(&call.tx).await?;
    let opened = session::open(&call, &signer, person.id, asked).await?;
    session::commit(call).await?;
    Ok(opened)
}

/// Requires the caller's password once more. The guess that it was is the caller's to give back.
pub async fn again(identities: &Identities, actor: &Actor, password: &str) -> Result<(store::Person, Guess)> {
    let (id, _) = session::own(actor)?;
    let cx = &identities.cx;
    let person = store::person(cx.db.read(), &cx.vault, id).await?.ok_or(Error::Unauthenticated)?;
    let guess = Guess::at(identities, &actor.address, &id.text()).await?;
    if !password::verify(password, hash(&person)).await? {
        return Err(ErrorCode::BadCredentials.into());
    }
    Ok((person, guess))
}

/// The stored hash; none of a person who comes in by a provider only.
fn hash(person: &store::Person) -> Option<&str> {
    Some(person.password_hash.as_str()).filter(|hash| !hash.is_empty())
}
