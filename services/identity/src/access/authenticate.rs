//! Says who is behind an access token, afresh for every request: an ended session or a changed role counts at once.

use kernel::{Actor, Context, Error, Id, Result};
use prost::Message;
use wire::v1;

use crate::{
    access::{api_key, caller, signing_key::Keys},
    brokerage::acting,
    store,
};

/// The acting person with all memberships; behind a key for tools, with what of them the key carries.
pub async fn authenticate(cx: &Context, keys: &Keys, wanted: v1::AuthenticateRequest) -> Result<v1::AuthenticateReply> {
    if wanted.access_token.starts_with(api_key::PREFIX) {
        let (actor, expires_at) = api_key::bearer(cx, &wanted.access_token).await?;
        return Ok(v1::AuthenticateReply { actor: actor.encode_to_vec(), expires_at: Some(expires_at) });
    }
    let bearer = keys.bearer(&wanted.access_token).await?;
    let db = cx.db.read();
    let session = store::session::session(db, bearer.session).await?.ok_or(Error::Unauthenticated)?;
    if session.person_id != bearer.person || !session.is_alive(cx.clock.now()) {
        return Err(Error::Unauthenticated);
    }
    let mut memberships = store::places(db, bearer.person).await?;
    memberships.extend(acting::places(db, bearer.person, cx.clock.now(), &memberships).await?);
    let actor = Actor {
        person_id: bearer.person.text(),
        memberships,
        session_id: bearer.session.text(),
        second_factor: session.second_factor,
        ..Actor::default()
    };
    Ok(v1::AuthenticateReply { actor: actor.encode_to_vec(), expires_at: Some(bearer.expires_at) })
}

/// The caller as a person; nobody if not signed in. A key for tools sees the memberships that it carries.
pub async fn viewer(cx: &Context, actor: &Actor) -> Result<v1::ViewerReply> {
    let Ok(id) = caller::signed_in(actor) else { return Ok(v1::ViewerReply::default()) };
    let db = cx.db.read();
    let Some(person) = store::person(db, &cx.vault, id).await? else { return Ok(v1::ViewerReply::default()) };
    let places = actor.own_places().cloned().collect();
    let second_factor = store::second_factor::is_confirmed(db, id).await?;
    Ok(v1::ViewerReply { person: Some(v1::Person { second_factor, ..store::person_in(person, places) }) })
}
