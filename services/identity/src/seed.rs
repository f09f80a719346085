//! What the operator puts in place: the exchange centre and its staff, and the people of a demo.

use std::collections::HashSet;

use futures::future::try_join_all;
use kernel::{Actor, Call, Context, Error, ErrorCode, Id, Refusal, Result, Role, text};
use serde_json::json;
use wire::{
    id::{OrganizationId, PersonId},
    v1::{OrganizationKind, OrganizationStatus},
};

use crate::{
    member, organization, password, person, session,
    store::{self, Earlier},
    usci,
};

/// A verified organization with its people.
#[derive(Clone)]
pub struct SeedOrganization {
    /// The registered name.
    pub name: String,
    /// What it is; an exchange centre comes about only here.
    pub kind: OrganizationKind,
    /// The unified social credit code; an organization that holds it already is kept as it is.
    pub usci: String,
    /// Six digits of GB/T 2260.
    pub region: String,
    /// Its people.
    pub members: Vec<SeedPerson>,
}

/// A person who can sign in.
#[derive(Clone)]
pub struct SeedPerson {
    /// The login; a person who has it already is kept.
    pub login: String,
    /// The first password.
    pub password: String,
    /// The person's name.
    pub name: String,
    /// Roles in the organization; a member's present ones are kept.
    pub roles: Vec<Role>,
}

/// Puts organizations and people in place. Doing it again changes nothing: roles that were changed since stay changed.
///
/// Seeding hands no roles to strangers: a code held by an applicant or by another kind of organization is refused, and
/// so is a login that somebody else took first.
pub async fn seed(cx: &Context, seed: &[SeedOrganization]) -> Result<()> {
    let people = seed.iter().flat_map(|wanted| wanted.members.iter().map(move |member| row(cx, wanted, member)));
    let rows = try_join_all(people).await?;
    let call = session::begin(&cx.with_service("identity"), Actor::exchange()).await?;
    let mut added = HashSet::new();
    for row in rows.into_iter().flatten() {
        let login = row.login.clone();
        if !store::insert_person(&call.tx, row).await? && !added.contains(&login) {
            return Err(Refusal::new(ErrorCode::LoginTaken).at_field("login").into());
        }
        added.insert(login);
    }
    for wanted in seed {
        put(&call, wanted).await?;
    }
    session::commit(call).await
}

/// The person to insert, the password hashed; nothing if there is this very person: a member already, or one who has
/// the password.
async fn row(cx: &Context, wanted: &SeedOrganization, member: &SeedPerson) -> Result<Option<store::person::Model>> {
    let login = person::login(&member.login, "login")?;
    let db = cx.db.read();
    if let Some(found) = store::person_by_login(db, &login).await? {
        let holder =
            store::organization_by_usci(db, &usci::usci(&wanted.usci, "usci")?).await?.map(|row| row.id.text());
        let belongs =
            store::places(db, found.id).await?.iter().any(|place| Some(&place.organization_id) == holder.as_ref());
        if belongs || password::verify(&member.password, Some(&found.password_hash)).await? {
            return Ok(None);
        }
        return Err(Refusal::new(ErrorCode::LoginTaken).at_field("login").into());
    }
    person::password(&member.password, &login)?;
    let password_hash = password::hash(&member.password).await?;
    let name = text(&member.name, "name", 1, 100)?;
    Ok(Some(store::person::Model { id: PersonId::fresh(), login, name, password_hash, created_at: cx.clock.now() }))
}

async fn put(call: &Call, wanted: &SeedOrganization) -> Result<()> {
    let usci = usci::usci(&wanted.usci, "usci")?;
    let row = store::organization::Model {
        id: OrganizationId::fresh(),
        name: text(&wanted.name, "name", 2, 100)?,
        kind: wanted.kind,
        status: OrganizationStatus::Verified,
        usci: usci.clone(),
        region: organization::region(&wanted.region)?,
        created_at: call.now,
    };
    let id = row.id.text();
    if store::insert_organization(&call.tx, row).await? {
        let facts = json!({ "name": wanted.name, "kind": wanted.kind.stored(), "usci": usci });
        call.record("OrganizationSeeded", &id, facts).await?;
    }
    let holder = store::organization_by_usci(&call.tx, &usci).await?;
    let fits = |row: &store::organization::Model| row.kind == wanted.kind && row.status == OrganizationStatus::Verified;
    let holder = holder.filter(fits).ok_or_else(|| Refusal::new(ErrorCode::AlreadyExists).at_field("usci"))?;
    for wanted_member in &wanted.members {
        let login = person::login(&wanted_member.login, "login")?;
        let found = store::person_by_login(&call.tx, &login).await?;
        let found = found.ok_or_else(|| Error::Internal(format!("{login} was not seeded")))?;
        let numbers: Vec<i32> = wanted_member.roles.iter().map(|role| (*role).into()).collect();
        let roles = organization::roles(&numbers, wanted.kind)?;
        if store::put_member(&call.tx, found.id, holder.id, &roles, Earlier::Kept).await? {
            member::record_added(call, holder.id, found.id, &roles).await?;
        }
    }
    Ok(())
}
