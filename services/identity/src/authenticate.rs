//! Says who is behind an access token, afresh for every request: an ended session or a changed role counts at once.

use kernel::{Actor, Context, Error, Id, Result};
use prost::Message;
use wire::v1;

use crate::{session, store, token::Keys};

/// The acting person with all memberships.
pub async fn authenticate(cx: &Context, keys: &Keys, wanted: v1::AuthenticateRequest) -> Result<v1::AuthenticateReply> {
    let bearer = keys.bearer(&wanted.access_token).await?;
    let db = cx.db.read();
    let session = session::store::session(db, bearer.session).await?.ok_or(Error::Unauthenticated)?;
    if session.person_id != bearer.person || !session.is_alive(cx.clock.now()) {
        return Err(Error::Unauthenticated);
    }
    let actor = Actor {
        person_id: bearer.person.text(),
        memberships: store::places(db, bearer.person).await?,
        session_id: bearer.session.text(),
    };
    Ok(v1::AuthenticateReply { actor: actor.encode_to_vec(), expires_at: Some(bearer.expires_at) })
}

/// The caller as a person; nobody if not signed in.
pub async fn viewer(cx: &Context, actor: &Actor) -> Result<v1::ViewerReply> {
    let Ok(id) = session::signed_in(actor) else { return Ok(v1::ViewerReply::default()) };
    let Some(person) = store::person(cx.db.read(), id).await? else { return Ok(v1::ViewerReply::default()) };
    let places = store::places(cx.db.read(), id).await?;
    Ok(v1::ViewerReply { person: Some(store::person_in(person, places)) })
}
