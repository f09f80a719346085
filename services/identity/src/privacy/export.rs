//! All that identity holds of a person, for that person.

use kernel::{Actor, Call, Error, Id, Result, audit_about};
use serde_json::{Value, json};
use wire::{
    id::AuditRecordId,
    policy::{self, Of, permit},
    v1,
};

use super::{confirm, field, personal::of};
use crate::{
    access::caller,
    identities::Identities,
    store::{self as who, invitation, personal, second_factor, session::all_sessions},
};

/// The most of each kind that are told, the newest.
const MOST: u64 = 10_000;

/// Puts it together, and records that it was.
pub async fn export(identities: &Identities, actor: Actor, input: v1::ExportMyDataInput) -> Result<v1::DataExport> {
    permit(&actor, policy::EXPORT_MY_DATA, Of::default())?;
    let (id, _) = caller::own(&actor)?;
    let guess = confirm(identities, &actor, &input.password).await?;
    let cx = &identities.cx;
    let call = Call::begin(cx, actor).await?;
    let (tx, vault) = (&call.tx, &cx.vault);
    if let Some(guess) = guess {
        guess.give_back(tx).await?;
    }
    call.record("PersonalDataExported", &id.text(), json!({})).await?;
    let person = who::person(tx, vault, id).await?.ok_or(Error::Unauthenticated)?;
    let told = personal::told(tx, vault, id).await?;
    let personal: serde_json::Map<String, Value> =
        field::ALL.into_iter().map(|field| (field::name(field).to_owned(), json!(of(&told, field)))).collect();
    let places = who::places(tx, id).await?;
    let memberships: Vec<_> =
        places.iter().map(|place| json!({ "organizationId": place.organization_id, "roles": roles(place) })).collect();
    let sessions = all_sessions(tx, id, MOST).await?;
    let sessions: Vec<_> = sessions
        .iter()
        .map(|row| {
            json!({ "id": row.id.text(), "createdAt": at(row.created_at), "renewedAt": at(row.renewed_at),
                "endedAt": row.ended_at.map(at), "secondFactor": row.second_factor })
        })
        .collect();
    let invitations = invitation::all_made_to(tx, id, MOST).await?;
    let invitations: Vec<_> = invitations
        .iter()
        .map(|row| {
            json!({ "id": row.id.text(), "organizationId": row.organization_id.text(), "roles": row.roles,
                "status": row.status.stored(), "createdAt": at(row.created_at) })
        })
        .collect();
    let records = audit_about(tx, &cx.vault, (cx.service, &id.text()), MOST).await?;
    let records: Vec<_> = records
        .iter()
        .map(|event| {
            json!({ "id": AuditRecordId(event.id).text(), "kind": event.kind, "subject": event.subject,
                "actor": event.actor, "at": at(event.at), "facts": event.facts })
        })
        .collect();
    let content = json!({
        "person": { "id": id.text(), "login": person.login, "name": person.name, "createdAt": at(person.created_at) },
        "personalData": personal,
        "memberships": memberships,
        "sessions": sessions,
        "secondFactor": second_factor::is_confirmed(tx, id).await?,
        "invitations": invitations,
        "belongings": belongings(&personal::belongings(tx, id).await?),
        "auditRecords": records,
    });
    let made_at = Some(call.now);
    call.commit().await?;
    Ok(v1::DataExport { made_at, content: content.to_string() })
}

fn belongings(of: &personal::Belongings) -> Value {
    let keys = of.api_keys.iter().map(|row| {
        json!({ "id": row.id.text(), "name": row.name, "organizationId": row.organization_id.text(), "roles": row.roles,
            "createdAt": at(row.created_at), "expiresAt": at(row.expires_at) })
    });
    let accounts = of.accounts.iter().map(|row| json!({ "issuer": row.issuer, "linkedAt": at(row.linked_at) }));
    let credentials = of.credentials.iter().map(|row| {
        json!({ "id": row.id.text(), "number": row.number, "issuer": row.issuer, "level": row.level.stored(),
            "status": row.status.stored(), "issuedAt": at(row.issued_at), "expiresAt": at(row.expires_at) })
    });
    json!({
        "apiKeys": keys.collect::<Vec<_>>(),
        "providerAccounts": accounts.collect::<Vec<_>>(),
        "brokerCredentials": credentials.collect::<Vec<_>>(),
    })
}

fn roles(place: &kernel::ActingFor) -> Vec<&'static str> {
    place.roles.iter().filter_map(|role| kernel::Role::try_from(*role).ok()).map(Into::into).collect()
}

fn at(instant: kernel::Instant) -> String {
    instant.to_string()
}
