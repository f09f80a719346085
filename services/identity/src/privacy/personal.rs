//! What a person tells of themselves, and sees of it.

use kernel::{Actor, Call, Context, Error, Id, Result};
use serde_json::json;
use wire::{
    id::PersonId,
    policy::{self, Of, permit},
    v1::{self, PersonalField},
};

use super::field;
use crate::{access::caller, store::personal};

/// Stores what the caller tells; a key for tools tells nothing.
pub async fn update(call: &Call, input: v1::UpdatePersonalDataInput) -> Result<v1::PersonalData> {
    use PersonalField::{Email, IdNumber, LegalName, Phone};
    permit(&call.actor, policy::UPDATE_PERSONAL_DATA, Of::default())?;
    let (person, _) = caller::own(&call.actor)?;
    let vault = &call.cx.vault;
    let key = personal::hold_key(&call.tx, vault, person).await?.ok_or(Error::Unauthenticated)?;
    let v1::UpdatePersonalDataInput { legal_name, phone, id_number, email } = input;
    let mut changed = Vec::new();
    for (field, value) in [(LegalName, legal_name), (Phone, phone), (IdNumber, id_number), (Email, email)] {
        let Some(value) = value else { continue };
        changed.push(field::name(field));
        if value.trim().is_empty() {
            personal::remove(&call.tx, person, field).await?;
        } else {
            let value = field::normalized(field, &value, field::name(field), call.now)?;
            personal::put(&call.tx, (vault, &key), (person, field), &value, call.now).await?;
        }
    }
    if !changed.is_empty() {
        call.record("PersonalDataUpdated", &person.text(), json!({ "fields": changed })).await?;
    }
    Ok(own(person, &personal::told(&call.tx, vault, person).await?))
}

/// What the caller told, if the caller is among `ids`. A key for tools learns nothing.
pub async fn of_caller(cx: &Context, actor: &Actor, ids: &[String]) -> Result<v1::OwnPersonalData> {
    let Ok((person, _)) = caller::own(actor) else { return Ok(v1::OwnPersonalData::default()) };
    if !ids.contains(&person.text()) {
        return Ok(v1::OwnPersonalData::default());
    }
    let told = personal::told(cx.db.read(), &cx.vault, person).await?;
    Ok(v1::OwnPersonalData { items: vec![own(person, &told)] })
}

fn own(person: PersonId, told: &[(PersonalField, String)]) -> v1::PersonalData {
    let masked = |wanted| of(told, wanted).map(|value| field::masked(wanted, value));
    v1::PersonalData {
        person_id: person.text(),
        legal_name: of(told, PersonalField::LegalName).map(str::to_owned),
        phone_masked: masked(PersonalField::Phone),
        id_number_masked: masked(PersonalField::IdNumber),
        email_masked: masked(PersonalField::Email),
    }
}

/// One field of what was told.
pub fn of(told: &[(PersonalField, String)], wanted: PersonalField) -> Option<&str> {
    told.iter().find(|(field, _)| *field == wanted).map(|(_, value)| value.as_str())
}
