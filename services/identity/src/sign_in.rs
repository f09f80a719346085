//! Begins a session. Known and unknown logins answer alike, in text and in time.

use kernel::{Actor, Context, ErrorCode, Id, Refusal, Result};
use sha2::{Digest, Sha256};
use wire::v1;

use crate::{password, person, session, store, token::Keys};

/// Guesses at one login that are evaluated in a row (check S3).
const MOST_GUESSES: i32 = 5;
/// How long a login rests after the last of them.
const REST_SECONDS: i64 = 15 * 60;

/// Evaluates one guess. It is counted before it is evaluated, so that parallel guesses cannot outrun the count.
pub async fn sign_in(cx: &Context, keys: &Keys, input: v1::SignInInput) -> Result<v1::Session> {
    let login_hash = Sha256::digest(person::normal(&input.login)).to_vec();
    let now = cx.clock.now();
    let window_start = now.plus_seconds(-REST_SECONDS);
    if !session::store::take_guess(cx.db.write(), &login_hash, now, window_start, MOST_GUESSES).await? {
        return Err(Refusal::new(ErrorCode::TooManyAttempts).accepting("15 分钟后 / after 15 minutes").into());
    }
    let found = match person::login(&input.login, "login") {
        Ok(login) => store::person_by_login(cx.db.read(), &login).await?,
        Err(_) => None,
    };
    let stored = found.as_ref().map(|person| person.password_hash.as_str());
    let right = password::verify(&input.password, stored).await?;
    let Some(person) = found.filter(|_| right) else {
        session::store::forget_guesses(cx.db.write(), window_start).await?;
        return Err(ErrorCode::BadCredentials.into());
    };
    let signer = keys.signer().await?;
    let actor = Actor { person_id: person.id.text(), ..Actor::default() };
    let call = session::begin(cx, actor).await?;
    session::store::clear_guesses(&call.tx, &login_hash).await?;
    let opened = session::open(&call, signer, person.id).await?;
    session::commit(call).await?;
    Ok(opened)
}
