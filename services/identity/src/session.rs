//! A session: begun by signing in, carried on by refreshing, ended by signing out or by a token used twice.

pub mod store;

use kernel::{Actor, Call, Context, Error, ErrorCode, Id, Result};
use serde_json::json;
use wire::{
    id::{PersonId, SessionId},
    v1,
};

use self::store::Ending;
use crate::token::{self, Keys, Signer};

/// How long a refresh token lives: 30 days from its making.
const REFRESH_SECONDS: i64 = 30 * 86_400;

/// Starts what must commit even though it is refused, or must leave no idempotency record.
pub async fn begin(cx: &Context, actor: Actor) -> Result<Call> {
    Ok(Call { cx: cx.clone(), tx: cx.db.begin().await?, actor, now: cx.clock.now() })
}

/// Ends what was begun. A failed commit has an unknown outcome.
pub async fn commit(call: Call) -> Result<()> {
    call.tx.commit().await.map_err(|error| Error::Unavailable(format!("commit: {error}")))
}

/// Opens a session of the person.
pub async fn open(call: &Call, signer: &Signer, person: PersonId) -> Result<v1::Session> {
    let (refresh_token, refresh_hash) = token::fresh_refresh()?;
    let row = store::session::Model {
        id: SessionId::fresh(),
        person_id: person,
        refresh_hash,
        generation: 0,
        created_at: call.now,
        expires_at: call.now.plus_seconds(REFRESH_SECONDS),
        ended_at: None,
    };
    let session = pair(call, signer, &row, refresh_token)?;
    call.record("SignedIn", &person.text(), json!({ "sessionId": row.id.text() })).await?;
    store::insert_session(&call.tx, row).await?;
    Ok(session)
}

/// Exchanges a refresh token for a new pair. One that was exchanged before ends its session, for good: either it was
/// stolen, or its thief was here first.
pub async fn refresh(cx: &Context, keys: &Keys, input: v1::RefreshSessionInput) -> Result<v1::Session> {
    let signer = keys.signer().await?;
    let mut call = begin(cx, Actor::exchange()).await?;
    let used = token::hash_refresh(&input.refresh_token);
    let Some(session) = store::lock_session(&call.tx, &used).await? else {
        if let Some(id) = store::session_of_spent(&call.tx, &used).await? {
            end_reused(call, id).await?;
        }
        return Err(ErrorCode::SessionEnded.into());
    };
    if !session.is_alive(call.now) {
        return Err(ErrorCode::SessionEnded.into());
    }
    call.actor = Actor { person_id: session.person_id.text(), session_id: session.id.text(), ..Actor::default() };
    let (refresh_token, refresh_hash) = token::fresh_refresh()?;
    let expires_at = call.now.plus_seconds(REFRESH_SECONDS);
    store::rotate(&call.tx, &session, refresh_hash, expires_at).await?;
    let pair = pair(&call, signer, &store::session::Model { expires_at, ..session }, refresh_token)?;
    commit(call).await?;
    Ok(pair)
}

async fn end_reused(call: Call, id: SessionId) -> Result<()> {
    if store::end_sessions(&call.tx, Ending::One(id), call.now).await? > 0 {
        call.record("SessionEnded", &id.text(), json!({ "reason": "REFRESH_TOKEN_REUSED" })).await?;
    }
    commit(call).await
}

/// Ends the caller's session, or every one of the person's.
pub async fn sign_out(call: &Call, input: v1::SignOutInput) -> Result<bool> {
    let person = signed_in(&call.actor)?;
    let session = SessionId::parse(&call.actor.session_id, "session").map_err(|_| Error::Unauthenticated)?;
    let which = if input.everywhere { Ending::AllOf(person) } else { Ending::One(session) };
    store::end_sessions(&call.tx, which, call.now).await?;
    let facts = json!({ "sessionId": session.text(), "everywhere": input.everywhere });
    call.record("SignedOut", &person.text(), facts).await?;
    Ok(true)
}

/// The acting person; the exchange itself is none.
pub fn signed_in(actor: &Actor) -> Result<PersonId> {
    PersonId::parse(&actor.person_id, "person").map_err(|_| Error::Unauthenticated)
}

fn pair(call: &Call, signer: &Signer, session: &store::session::Model, refresh_token: String) -> Result<v1::Session> {
    let (access_token, access_expires_at) = signer.issue(session.person_id, session.id, call.now)?;
    Ok(v1::Session {
        access_token,
        access_expires_at: Some(access_expires_at),
        refresh_token,
        refresh_expires_at: Some(session.expires_at),
        person_id: session.person_id.text(),
    })
}
