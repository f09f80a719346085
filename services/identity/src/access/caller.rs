//! Who calls.

use kernel::{Actor, Error, ErrorCode, Id, Result};
use wire::id::{ApiKeyId, PersonId, SessionId};

/// The acting person with the session that acts. A key for tools changes nothing about how its person gets in.
pub fn own(actor: &Actor) -> Result<(PersonId, SessionId)> {
    let person = signed_in(actor)?;
    if ApiKeyId::parse(&actor.session_id, "session").is_ok() {
        return Err(ErrorCode::Forbidden.into());
    }
    Ok((person, SessionId::parse(&actor.session_id, "session").map_err(|_| Error::Unauthenticated)?))
}

/// The acting person; the exchange itself is none.
pub fn signed_in(actor: &Actor) -> Result<PersonId> {
    PersonId::parse(&actor.person_id, "person").map_err(|_| Error::Unauthenticated)
}
