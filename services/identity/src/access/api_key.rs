//! Keys for a broker's tools. A key acts for one person in one organization, in some of the roles that the person has
//! there at the time of use. It shows no second factor, so roles that take one never count.

use kernel::{ActingFor, Actor, Call, Context, Error, ErrorCode, Id, Refusal, Result, Role, text};
use serde_json::json;
use wire::{
    id::{ApiKeyId, OrganizationId},
    v1,
};

use crate::{
    access::{caller, token},
    identities::Identities,
    store::{self as people, api_key as store},
};

/// What every key begins with, by which it is told from an access token and found in files where it must not stand.
pub const PREFIX: &str = "jishi_";
/// Characters that are kept in clear, to tell keys apart.
const SHOWN: usize = 12;
/// The roles that a key may carry.
const CARRIED: [Role; 4] = [Role::Transferor, Role::Broker, Role::Bidder, Role::Investor];
const LONGEST_SECONDS: i64 = 366 * 86_400;
/// The most that are listed, the newest.
const MOST_LISTED: u64 = 200;
/// A key's last use is noted at most this often.
const NOTED_SECONDS: i64 = 60;

/// Makes a key, told once.
pub async fn create(identities: &Identities, actor: Actor, input: v1::CreateApiKeyInput) -> Result<v1::NewApiKey> {
    let (person, _) = caller::own(&actor)?;
    let organization = OrganizationId::parse(&input.organization_id, "organizationId")?;
    let roles = roles(&input.roles)?;
    for role in &roles {
        actor.require_role(&organization.text(), &[*role], "organizationId")?;
    }
    let name = text(&input.name, "name", 1, 100)?;
    let call = Call::begin(&identities.cx, actor).await?;
    let expires_at = input.expires_at.ok_or_else(|| Refusal::new(ErrorCode::Required).at_field("expiresAt"))?;
    if expires_at <= call.now || expires_at > call.now.plus_seconds(LONGEST_SECONDS) {
        let refusal = Refusal::new(ErrorCode::PeriodOutOfRange).at_field("expiresAt");
        return Err(refusal.accepting("≤ 366 天 / days").into());
    }
    let (random, _) = token::fresh_secret()?;
    let secret = format!("{PREFIX}{random}");
    let row = store::entity::Model {
        id: ApiKeyId::fresh(),
        person_id: person,
        organization_id: organization,
        name,
        roles: names(&roles).join(" "),
        prefix: secret.chars().take(SHOWN).collect(),
        key_hash: token::hash_secret(&secret),
        created_at: call.now,
        expires_at,
        used_at: None,
        revoked_at: None,
    };
    let facts = json!({ "organizationId": organization.text(), "roles": names(&roles), "expiresAt": expires_at });
    call.record("ApiKeyCreated", &row.id.text(), facts).await?;
    store::insert(&call.tx, row.clone()).await?;
    call.commit().await?;
    Ok(v1::NewApiKey { api_key: Some(told(row)), secret })
}

/// Ends a key at once.
pub async fn revoke(call: &Call, input: v1::RevokeApiKeyInput) -> Result<v1::ApiKey> {
    let (person, _) = caller::own(&call.actor)?;
    let id = ApiKeyId::parse(&input.api_key_id, "apiKeyId")?;
    let found = store::lock(&call.tx, id).await?.filter(|row| row.person_id == person);
    let mut row = found.ok_or_else(|| Error::not_found("apiKeyId"))?;
    if row.revoked_at.is_none() {
        store::revoke(&call.tx, id, call.now).await?;
        row.revoked_at = Some(call.now);
        call.record("ApiKeyRevoked", &id.text(), json!({})).await?;
    }
    Ok(told(row))
}

/// The caller's keys, the newest first.
pub async fn list(cx: &Context, actor: &Actor) -> Result<v1::ApiKeys> {
    let (person, _) = caller::own(actor)?;
    let rows = store::of_person(cx.db.read(), person, MOST_LISTED).await?;
    Ok(v1::ApiKeys { items: rows.into_iter().map(told).collect() })
}

/// Who acts by a key, until when it is good, and with what of the person's places.
pub async fn bearer(cx: &Context, key: &str) -> Result<(Actor, kernel::Instant)> {
    let now = cx.clock.now();
    let found = store::by_hash(cx.db.read(), &token::hash_secret(key)).await?;
    let live = |row: &store::entity::Model| row.revoked_at.is_none() && now < row.expires_at;
    let row = found.filter(live).ok_or(Error::Unauthenticated)?;
    if row.used_at.is_none_or(|at| at.plus_seconds(NOTED_SECONDS) <= now) {
        let tx = cx.db.begin().await?;
        store::note_use(&tx, row.id, now).await?;
        tx.commit().await?;
    }
    let carried = read_roles(&row.roles);
    let narrowed = |mut place: ActingFor| {
        place.roles.retain(|role| carried.iter().any(|carried| *carried as i32 == *role));
        place
    };
    let organization = row.organization_id.text();
    let places = people::places(cx.db.read(), row.person_id).await?;
    let memberships = places.into_iter().filter(|place| place.organization_id == organization).map(narrowed).collect();
    let actor = Actor {
        person_id: row.person_id.text(),
        memberships,
        session_id: row.id.text(),
        second_factor: false,
        ..Actor::default()
    };
    Ok((actor, row.expires_at))
}

/// At least one role that a key may carry, each once.
fn roles(numbers: &[i32]) -> Result<Vec<Role>> {
    let read: Vec<Role> = numbers.iter().filter_map(|number| Role::try_from(*number).ok()).collect();
    if read.is_empty() {
        return Err(Refusal::new(ErrorCode::Required).at_field("roles").into());
    }
    if read.len() != numbers.len() || read.iter().any(|role| !CARRIED.contains(role)) {
        let accepted = names(&CARRIED).join(" | ");
        return Err(Refusal::new(ErrorCode::Forbidden).at_field("roles").accepting(accepted).into());
    }
    Ok(CARRIED.into_iter().filter(|role| read.contains(role)).collect())
}

fn names(roles: &[Role]) -> Vec<&'static str> {
    roles.iter().map(|role| (*role).into()).collect()
}

fn read_roles(names: &str) -> Vec<Role> {
    names.split(' ').filter_map(|name| name.parse().ok()).collect()
}

fn told(row: store::entity::Model) -> v1::ApiKey {
    v1::ApiKey {
        id: row.id.text(),
        name: row.name,
        organization_id: row.organization_id.text(),
        roles: read_roles(&row.roles).into_iter().map(Into::into).collect(),
        prefix: row.prefix,
        created_at: Some(row.created_at),
        expires_at: Some(row.expires_at),
        used_at: row.used_at,
        revoked_at: row.revoked_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_carries_no_role_that_takes_a_second_factor() {
        for role in (0..=99).filter_map(|number| Role::try_from(number).ok()) {
            let carried = roles(&[role as i32]).is_ok();
            assert_eq!(carried, CARRIED.contains(&role), "{role:?}");
            assert!(!(carried && role.needs_second_factor()), "{role:?}");
        }
        let twice = [Role::Bidder as i32, Role::Transferor as i32, Role::Bidder as i32];
        assert_eq!(roles(&twice).unwrap(), [Role::Transferor, Role::Bidder]);
        assert_eq!(roles(&[]).unwrap_err().code(), ErrorCode::Required);
        assert_eq!(roles(&[2, 99]).unwrap_err().code(), ErrorCode::Forbidden);
    }
}
