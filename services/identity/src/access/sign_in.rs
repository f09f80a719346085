//! Begins a session. Known and unknown logins answer alike, in text and in time.

use kernel::{Actor, Call, ErrorCode, Id, Result};
use wire::v1;

use crate::{
    access::{
        login,
        login_attempts::{self, Guess},
        password, reauthenticate, second_factor, session,
    },
    identities::Identities,
    store,
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
    let found = match login::login(&input.login, "login") {
        Ok(login) => store::person_by_login(cx.db.read(), &cx.vault, &login).await?,
        Err(_) => None,
    };
    let account = found.as_ref().map_or_else(|| login::normal(&input.login), |person| person.id.text());
    let guess = Guess::at(identities, address, &account).await?;
    let right = password::verify(&input.password, found.as_ref().and_then(reauthenticate::hash)).await?;
    let Some(person) = found.filter(|_| right) else {
        login_attempts::forget_old(identities).await?;
        return Err(ErrorCode::BadCredentials.into());
    };
    let asked = store::second_factor::is_confirmed(cx.db.read(), person.id).await?;
    let code = input.code.filter(|code| !code.trim().is_empty());
    if asked && code.is_none() {
        guess.spared(&cx.db).await?;
        return Err(ErrorCode::CodeRequired.into());
    }
    let signer = identities.keys.signer().await?;
    let call = Call::begin(cx, Actor { person_id: person.id.text(), ..Actor::default() }).await?;
    if asked && !second_factor::spend(&call, person.id, &code.unwrap_or_default()).await? {
        return Err(ErrorCode::BadCredentials.into());
    }
    guess.right(&call.tx).await?;
    let opened = session::open(&call, &signer, person.id, asked).await?;
    call.commit().await?;
    Ok(opened)
}
