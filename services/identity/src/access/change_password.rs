//! Replaces a person's password.

use kernel::{Actor, Call, Id, Result};
use serde_json::json;
use wire::v1;

use crate::{
    access::{caller, login, login_attempts::Guess, password, reauthenticate},
    identities::Identities,
    store::{self, session::Chosen},
};

/// What was found before the transaction, which must not wait for it.
pub struct Prepared {
    person: store::Person,
    guess: Guess,
    hash: String,
}

/// Checks the present password and the next one, and hashes that.
pub async fn prepare(identities: &Identities, actor: &Actor, input: &v1::ChangePasswordInput) -> Result<Prepared> {
    let (person, guess) = reauthenticate::again(identities, actor, &input.password).await?;
    login::password(&input.new_password, &person.login, "newPassword")?;
    Ok(Prepared { person, guess, hash: password::hash(&input.new_password).await? })
}

/// Replaces the password; whoever else had learned it is out.
pub async fn change(call: &Call, prepared: Result<Prepared>) -> Result<bool> {
    let (caller, session) = caller::own(&call.actor)?;
    let Prepared { person, guess, hash } = prepared?;
    debug_assert_eq!(caller, person.id);
    guess.give_back(&call.tx).await?;
    store::password::replace(&call.tx, person.id, hash).await?;
    let ended = store::session::end_sessions(&call.tx, Chosen::Others(person.id, session), call.now).await?;
    call.record("PasswordChanged", &person.id.text(), json!({ "sessionsEnded": ended })).await?;
    Ok(true)
}
