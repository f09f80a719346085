//! A session: begun by signing in, carried on by refreshing, ended by signing out or by a token used twice.

use kernel::{Actor, Call, Context, Error, ErrorCode, Id, Result};
use serde_json::json;
use wire::{
    id::{PersonId, SessionId},
    v1,
};

use crate::{
    access::{
        caller,
        signing_key::Keys,
        token::{self, Signer},
    },
    store::session::{self as store, Chosen, Renewal},
};

/// How long a refresh token lives: 30 days from its making.
const REFRESH_SECONDS: i64 = 30 * 86_400;
/// The most that are listed, the newest.
const MOST_LISTED: u64 = 200;

/// Opens a session of the person, who has or has not shown a second factor.
pub async fn open(call: &Call, signer: &Signer, person: PersonId, second_factor: bool) -> Result<v1::Session> {
    let (refresh_token, refresh_hash) = token::fresh_secret()?;
    let row = store::entity::Model {
        id: SessionId::fresh(),
        person_id: person,
        refresh_hash,
        generation: 0,
        second_factor,
        created_at: call.now,
        renewed_at: call.now,
        expires_at: call.now.plus_seconds(REFRESH_SECONDS),
        ended_at: None,
    };
    let session = pair(call, signer, &row, refresh_token)?;
    let facts = json!({ "sessionId": row.id.text(), "secondFactor": second_factor });
    call.record("SignedIn", &person.text(), facts).await?;
    store::insert_session(&call.tx, row).await?;
    Ok(session)
}

/// Exchanges a refresh token for a new pair. One that was exchanged before ends its session, for good: either it was
/// stolen, or its thief was here first.
pub async fn refresh(cx: &Context, keys: &Keys, input: v1::RefreshSessionInput) -> Result<v1::Session> {
    let signer = keys.signer().await?;
    let mut call = Call::begin(cx, Actor::exchange()).await?;
    let used = token::hash_secret(&input.refresh_token);
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
    let (refresh_token, refresh_hash) = token::fresh_secret()?;
    let expires_at = call.now.plus_seconds(REFRESH_SECONDS);
    store::rotate(&call.tx, &session, Renewal { refresh_hash, renewed_at: call.now, expires_at }).await?;
    let pair = pair(&call, &signer, &store::entity::Model { expires_at, ..session }, refresh_token)?;
    call.commit().await?;
    Ok(pair)
}

async fn end_reused(call: Call, id: SessionId) -> Result<()> {
    if store::end_sessions(&call.tx, Chosen::One(id), call.now).await? > 0 {
        call.record("SessionEnded", &id.text(), json!({ "reason": "REFRESH_TOKEN_REUSED" })).await?;
    }
    call.commit().await
}

/// Ends the caller's session, or every one of the person's.
pub async fn sign_out(call: &Call, input: v1::SignOutInput) -> Result<bool> {
    let (person, session) = caller::own(&call.actor)?;
    let which = if input.everywhere { Chosen::AllOf(person) } else { Chosen::One(session) };
    store::end_sessions(&call.tx, which, call.now).await?;
    let facts = json!({ "sessionId": session.text(), "everywhere": input.everywhere });
    call.record("SignedOut", &person.text(), facts).await?;
    Ok(true)
}

/// Ends one of the caller's sessions.
pub async fn end(call: &Call, input: v1::EndSessionInput) -> Result<bool> {
    let (person, _) = caller::own(&call.actor)?;
    let id = SessionId::parse(&input.session_id, "sessionId")?;
    let found = store::session(&call.tx, id).await?.filter(|session| session.person_id == person);
    found.ok_or_else(|| Error::not_found("sessionId"))?;
    if store::end_sessions(&call.tx, Chosen::One(id), call.now).await? > 0 {
        call.record("SessionEnded", &id.text(), json!({ "reason": "BY_ITS_PERSON" })).await?;
    }
    Ok(true)
}

/// The caller's open sessions.
pub async fn list(cx: &Context, actor: &Actor) -> Result<v1::OpenSessions> {
    let (person, current) = caller::own(actor)?;
    let open = |row: store::entity::Model| v1::OpenSession {
        id: row.id.text(),
        created_at: Some(row.created_at),
        renewed_at: Some(row.renewed_at),
        expires_at: Some(row.expires_at),
        second_factor: row.second_factor,
        current: row.id == current,
    };
    let rows = store::open_sessions(cx.db.read(), person, cx.clock.now(), MOST_LISTED).await?;
    Ok(v1::OpenSessions { items: rows.into_iter().map(open).collect() })
}

fn pair(call: &Call, signer: &Signer, session: &store::entity::Model, refresh_token: String) -> Result<v1::Session> {
    let (access_token, access_expires_at) = signer.issue(session.person_id, session.id, call.now)?;
    Ok(v1::Session {
        access_token,
        access_expires_at: Some(access_expires_at),
        refresh_token,
        refresh_expires_at: Some(session.expires_at),
        person_id: session.person_id.text(),
        second_factor: session.second_factor,
    })
}
