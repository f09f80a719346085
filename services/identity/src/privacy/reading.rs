//! How the staff finds people and reads what they told. Who looked at what, and why, is recorded with it; nothing that
//! was read is.

use kernel::{Actor, Call, Context, Error, ErrorCode, Id, Refusal, Result, Role, Scope};
use serde_json::json;
use wire::{
    id::{OrganizationId, PersonId},
    policy::{self, Of, permit},
    v1::{self, PersonalField},
};

use super::{field, personal::of, reason};
use crate::{
    access::caller,
    store::{self as who, personal},
};

/// Reads a person's data in clear.
pub async fn read(cx: &Context, actor: Actor, input: v1::ReadPersonalDataInput) -> Result<v1::PersonalDataReading> {
    caller::own(&actor)?;
    permit(&actor, policy::READ_PERSONAL_DATA, Of { field: "personId", ..Of::default() })?;
    let id = PersonId::parse(&input.person_id, "personId")?;
    let call = Call::begin(cx, actor).await?;
    let missing = || Error::not_found("personId");
    let person = who::person(&call.tx, &cx.vault, id).await?.ok_or_else(missing)?;
    if !reaches(&call, id).await? {
        return Err(missing());
    }
    let told = personal::told(&call.tx, &cx.vault, id).await?;
    let values = told.iter().map(|(_, value)| value.as_str()).chain([person.login.as_str(), person.name.as_str()]);
    let reason = reason(&input.reason, &values.collect::<Vec<_>>())?;
    let fields: Vec<_> = told.iter().map(|(field, _)| field::name(*field)).collect();
    call.record("PersonalDataRead", &id.text(), json!({ "fields": fields, "reason": reason })).await?;
    call.commit().await?;
    let value = |field| of(&told, field).map(str::to_owned);
    Ok(v1::PersonalDataReading {
        person_id: id.text(),
        legal_name: value(PersonalField::LegalName),
        phone: value(PersonalField::Phone),
        id_number: value(PersonalField::IdNumber),
        email: value(PersonalField::Email),
    })
}

/// Finds people by what they told.
pub async fn search(cx: &Context, actor: Actor, input: v1::SearchPersonalDataInput) -> Result<v1::PersonalDataSearch> {
    caller::own(&actor)?;
    permit(&actor, policy::SEARCH_PERSONAL_DATA, Of::default())?;
    let wanted = PersonalField::try_from(input.field);
    let wanted = wanted.map_err(|_| Refusal::new(ErrorCode::InvalidInput).at_field("field"))?;
    let value = field::normalized(wanted, &input.value, "value", cx.clock.now())?;
    let reason = reason(&input.reason, &[&value])?;
    let call = Call::begin(cx, actor).await?;
    let mut matches = Vec::new();
    for id in personal::who_told(&call.tx, wanted, field::lookup(&cx.vault, wanted, &value)).await? {
        if reaches(&call, id).await? {
            matches.push(shown(id, &personal::told(&call.tx, &cx.vault, id).await?));
        }
    }
    let found: Vec<_> = matches.iter().map(|found| found.person_id.clone()).collect();
    let facts = json!({ "field": field::name(wanted), "reason": reason, "found": found });
    call.record("PersonalDataSearched", &call.actor.person_id, facts).await?;
    call.commit().await?;
    Ok(v1::PersonalDataSearch { matches })
}

/// Whether the person belongs to an organization in the care of the reviewer's centre; the hub cares for everybody.
async fn reaches(call: &Call, person: PersonId) -> Result<bool> {
    let scope = call.actor.scope(&[Role::Reviewer]);
    if scope == Scope::Everything {
        return Ok(true);
    }
    let places = who::places(&call.tx, person).await?;
    let ids = places.iter().filter_map(|place| OrganizationId::parse(&place.organization_id, "person").ok());
    let organizations = who::organizations(&call.tx, &Actor::exchange(), ids.collect()).await?;
    Ok(organizations.iter().any(|organization| scope.reaches(&organization.centre_id.text())))
}

fn shown(id: PersonId, told: &[(PersonalField, String)]) -> v1::PersonalDataMatch {
    let masked = |wanted| of(told, wanted).map(|value| field::masked(wanted, value));
    v1::PersonalDataMatch {
        person_id: id.text(),
        legal_name_masked: masked(PersonalField::LegalName),
        phone_masked: masked(PersonalField::Phone),
        id_number_masked: masked(PersonalField::IdNumber),
        email_masked: masked(PersonalField::Email),
    }
}
