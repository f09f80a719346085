//! Erasing a person: their own wish, or the hub's on their request.

use kernel::{Actor, Call, Error, ErrorCode, Id, Refusal, Result, Role, Scope};
use serde_json::json;
use wire::{
    id::{OrganizationId, PersonId},
    policy::{self, Of, permit},
    v1::{self, OrganizationStatus},
};

use super::{confirm, reason};
use crate::{
    access::{caller, login_attempts::Guess},
    identities::Identities,
    store::{self as who, lock_organization, member::administrators, person, personal},
};

/// What was found before the transaction, which must not wait for it.
pub struct Prepared(Option<Guess>);

/// Where something of an erased person may remain until it is overwritten.
pub const TABLES: [&str; 5] = ["person", "person_key", "personal_data", "second_factor", "api_key"];

/// Checks the password of whoever erases themselves.
pub async fn prepare(identities: &Identities, actor: &Actor, input: &v1::ErasePersonInput) -> Result<Prepared> {
    match whom(actor, input)? {
        (caller, id) if caller == id => {
            Ok(Prepared(confirm(identities, actor, input.password.as_deref().unwrap_or_default()).await?))
        }
        _ => Ok(Prepared(None)),
    }
}

/// The caller, and who is to be erased.
fn whom(actor: &Actor, input: &v1::ErasePersonInput) -> Result<(PersonId, PersonId)> {
    let (caller, _) = caller::own(actor)?;
    let wanted = input.person_id.as_deref().map(|id| PersonId::parse(id, "personId")).transpose()?;
    Ok((caller, wanted.unwrap_or(caller)))
}

/// Erases the person, unless an organization would be left without anybody to run it.
pub async fn erase(call: &Call, input: v1::ErasePersonInput, prepared: Result<Prepared>) -> Result<bool> {
    let (caller, id) = whom(&call.actor, &input)?;
    let facts = if caller == id {
        if let Prepared(Some(guess)) = prepared? {
            guess.give_back(&call.tx).await?;
        }
        json!({ "byThemselves": true })
    } else {
        let reason = on_request(call, id, input.reason.as_deref().unwrap_or_default()).await?;
        json!({ "byThemselves": false, "reason": reason })
    };
    let missing = || Error::not_found("personId");
    person::person(&call.tx, &call.cx.vault, id).await?.ok_or_else(missing)?;
    leave_nobody_alone(call, id).await?;
    personal::erase(&call.tx, id, call.now).await?;
    call.record("PersonErased", &id.text(), facts).await?;
    Ok(true)
}

/// Requires the hub's administrator, and why.
async fn on_request(call: &Call, id: PersonId, given: &str) -> Result<String> {
    permit(&call.actor, policy::ERASE_PERSON, Of { field: "personId", ..Of::default() })?;
    if call.actor.scope(&[Role::Administrator]) != Scope::Everything {
        return Err(ErrorCode::Forbidden.into());
    }
    let vault = &call.cx.vault;
    let person = person::person(&call.tx, vault, id).await?.ok_or_else(|| Error::not_found("personId"))?;
    let told = personal::told(&call.tx, vault, id).await?;
    let values = told.iter().map(|(_, value)| value.as_str()).chain([person.login.as_str(), person.name.as_str()]);
    reason(given, &values.collect::<Vec<_>>())
}

/// Refuses if the person is the only administrator of a verified organization. It is locked, so two who go at once
/// take turns.
async fn leave_nobody_alone(call: &Call, id: PersonId) -> Result<()> {
    for place in who::places(&call.tx, id).await?.iter().filter(|place| place.has(Role::Administrator)) {
        let organization = OrganizationId::parse(&place.organization_id, "personId")?;
        let row = lock_organization(&call.tx, organization).await?;
        let verified = row.is_some_and(|row| row.status == OrganizationStatus::Verified);
        if verified && administrators(&call.tx, organization).await? == [id] {
            return Err(Refusal::new(ErrorCode::LastAdministrator).at_field("personId").into());
        }
    }
    Ok(())
}
