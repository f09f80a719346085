//! The second factor of a person: an authenticator that counts once it was shown to work, and ten codes that replace it
//! when it is lost. Each code works once.

use data_encoding::BASE32;
use kernel::{Actor, Call, Error, ErrorCode, Id, Refusal, Result};
use serde_json::json;
use wire::{id::PersonId, v1};

use crate::{
    access::{caller, login_attempts::Guess, reauthenticate, token, totp::Authenticator},
    identities::Identities,
    store::{
        person, second_factor as store,
        session::{self, Chosen},
    },
};

/// The field under which the secret is sealed by the person's key.
const SEALED: &str = "second factor";
const RECOVERY_CODES: usize = 10;
/// Characters of a recovery code: 50 bits.
const RECOVERY_LENGTH: usize = 10;

/// Makes a secret, told once. One that is confirmed stays until it is removed.
pub async fn enrol(
    identities: &Identities,
    actor: Actor,
    input: v1::EnrolSecondFactorInput,
) -> Result<v1::SecondFactorEnrolment> {
    let (person, guess) = reauthenticate::again(identities, &actor, &input.password).await?;
    let call = Call::begin(&identities.cx, actor).await?;
    guess.give_back(&call.tx).await?;
    if store::lock(&call.tx, person.id).await?.is_some_and(|row| row.confirmed_at.is_some()) {
        call.commit().await?;
        return Err(Refusal::new(ErrorCode::IllegalTransition).accepting("removeSecondFactor").into());
    }
    let authenticator = Authenticator::fresh()?;
    put(&call, person.id, &authenticator, false).await?;
    call.record("SecondFactorEnrolled", &person.id.text(), json!({})).await?;
    call.commit().await?;
    Ok(v1::SecondFactorEnrolment { secret: authenticator.secret(), uri: authenticator.uri(&person.login) })
}

/// Shows that the authenticator works; from then on it is asked for, and this session has shown it.
pub async fn confirm(
    identities: &Identities,
    actor: Actor,
    input: v1::ConfirmSecondFactorInput,
) -> Result<v1::SecondFactor> {
    let (person, session) = caller::own(&actor)?;
    let pending = store::find(identities.cx.db.read(), person).await?.filter(|row| row.confirmed_at.is_none());
    if pending.is_none() {
        return Err(Refusal::new(ErrorCode::IllegalTransition).accepting("enrolSecondFactor").into());
    }
    let guess = Guess::at(identities, &actor.address, &person.text()).await?;
    let call = Call::begin(&identities.cx, actor).await?;
    let pending = store::lock(&call.tx, person).await?.filter(|row| row.confirmed_at.is_none());
    let row = pending.ok_or_else(|| Error::from(ErrorCode::IllegalTransition))?;
    let step = open(&call, row).await?.step(input.code.trim(), call.now).ok_or(ErrorCode::BadCredentials)?;
    store::confirm(&call.tx, person, step, call.now).await?;
    let recovery_codes = (0..RECOVERY_CODES).map(|_| recovery_code()).collect::<Result<Vec<_>>>()?;
    let indexes = recovery_codes.iter().map(|code| index(&call, person, code)).collect();
    store::put_recovery_codes(&call.tx, person, indexes).await?;
    if session::set_second_factor(&call.tx, Chosen::One(session), true).await? == 0 {
        return Err(Error::Unauthenticated);
    }
    guess.give_back(&call.tx).await?;
    call.record("SecondFactorConfirmed", &person.text(), json!({})).await?;
    call.commit().await?;
    Ok(v1::SecondFactor { recovery_codes })
}

/// Gives it up; the password was shown before the transaction.
pub async fn remove(
    call: &Call,
    input: v1::RemoveSecondFactorInput,
    shown: Result<(person::Person, Guess)>,
) -> Result<bool> {
    let (person, guess) = shown?;
    if !spend(call, person.id, &input.code).await? {
        return Err(ErrorCode::BadCredentials.into());
    }
    guess.right(&call.tx).await?;
    store::remove(&call.tx, person.id).await?;
    session::set_second_factor(&call.tx, Chosen::AllOf(person.id), false).await?;
    call.record("SecondFactorRemoved", &person.id.text(), json!({})).await?;
    Ok(true)
}

/// Uses up a code of the person's confirmed authenticator, or a recovery code; false if it is neither, or was used.
pub async fn spend(call: &Call, person: PersonId, code: &str) -> Result<bool> {
    let found = store::lock(&call.tx, person).await?.filter(|row| row.confirmed_at.is_some());
    let Some(row) = found else { return Ok(false) };
    match open(call, row).await?.step(code.trim(), call.now) {
        Some(step) => store::spend_step(&call.tx, person, step).await,
        None => store::spend_recovery_code(&call.tx, index(call, person, code)).await,
    }
}

/// Stores an authenticator in place of an earlier one.
pub async fn put(call: &Call, person: PersonId, authenticator: &Authenticator, confirmed: bool) -> Result<()> {
    let key = person::data_key(&call.tx, &call.cx.vault, person).await?;
    let row = store::entity::Model {
        person_id: person,
        secret: key.seal(SEALED, &authenticator.secret())?,
        last_step: 0,
        enrolled_at: call.now,
        confirmed_at: confirmed.then_some(call.now),
    };
    store::put(&call.tx, row).await
}

async fn open(call: &Call, row: store::entity::Model) -> Result<Authenticator> {
    let key = person::data_key(&call.tx, &call.cx.vault, row.person_id).await?;
    Authenticator::stored(&key.open(SEALED, &row.secret)?)
}

/// Such as `K3ZDA-9XQ7M`, without the digits that base32 lacks.
fn recovery_code() -> Result<String> {
    let code: String = BASE32.encode(&token::random()?).chars().take(RECOVERY_LENGTH).collect();
    let (head, tail) = code.split_at(RECOVERY_LENGTH / 2);
    Ok(format!("{head}-{tail}"))
}

/// By which a recovery code is kept and found. It has fewer bits than a digest needs, so the key is ours.
fn index(call: &Call, person: PersonId, code: &str) -> Vec<u8> {
    let plain: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    call.cx.vault.index("recovery code", &format!("{} {}", person.text(), plain.to_ascii_uppercase())).to_vec()
}
