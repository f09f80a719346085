//! What the operator puts in place: the exchange centre and its staff, and the people of a demo.

use std::collections::HashSet;

use futures::future::try_join_all;
use kernel::{Actor, Call, Context, Error, ErrorCode, Id, Refusal, Result, Role, text};
use serde_json::json;
use wire::{
    id::{OrganizationId, PersonId},
    v1::{CentreStatus, CentreTier, OrganizationKind, OrganizationStatus},
};

use crate::{
    Authenticator,
    access::{login, password, second_factor},
    organization::{code_list::CodeList, codes, member, name, organization_status, registration, usci},
    store::{
        self, centre,
        member::{Earlier, members_of, put_member},
        organization::{Model, holders, organization_by_usci},
    },
};

/// A verified organization with its people.
#[derive(Clone)]
pub struct SeedOrganization {
    /// The registered name.
    pub name: String,
    /// What it is. The first exchange centre of all is the hub.
    pub kind: OrganizationKind,
    /// The unified social credit code; an organization that holds it already is kept as it is.
    pub usci: String,
    /// Six digits of GB/T 2260.
    pub region: String,
    /// Who represents it in law.
    pub legal_representative: String,
    /// A code of GB/T 4754-2017.
    pub industry: String,
    /// What a centre below the hub is.
    pub tier: Option<CentreTier>,
    /// The code of the centre that looks after it, or lies above it; the hub's if absent.
    pub centre: Option<String>,
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
    /// The second factor that a new person starts with, as if it had been confirmed.
    pub second_factor: Option<Authenticator>,
}

/// Puts organizations and people in place. Doing it again changes nothing: roles that were changed since stay changed.
///
/// Seeding hands no roles to strangers: a code held by an applicant or by another kind of organization is refused, and
/// so is a login that somebody else took first. Tells the logins of the people who are new.
pub async fn seed(cx: &Context, seed: &[SeedOrganization]) -> Result<HashSet<String>> {
    if is_in_place(cx, seed).await? {
        return Ok(HashSet::new());
    }
    let people = seed.iter().flat_map(|wanted| wanted.members.iter().map(move |member| row(cx, wanted, member)));
    let rows = try_join_all(people).await?;
    let call = Call::begin(&cx.with_service("identity"), Actor::exchange()).await?;
    let mut added = HashSet::new();
    for (row, authenticator) in rows.into_iter().flatten() {
        let is_new = store::insert_person(&call.tx, &cx.vault, &row).await?;
        if !is_new && !added.contains(&row.login) {
            return Err(Refusal::new(ErrorCode::LoginTaken).at_field("login").into());
        }
        if let (true, Some(authenticator)) = (is_new, authenticator) {
            second_factor::put(&call, row.id, authenticator, true).await?;
        }
        added.insert(row.login);
    }
    for wanted in seed {
        put(&call, wanted).await?;
    }
    call.commit().await?;
    Ok(added)
}

/// Whether every organization is there and every person a member of it.
async fn is_in_place(cx: &Context, seed: &[SeedOrganization]) -> Result<bool> {
    let db = cx.db.read();
    let codes: Result<_> = seed.iter().map(|wanted| usci::usci(&wanted.usci, "usci")).collect();
    let members = seed.iter().flat_map(|wanted| &wanted.members);
    let logins: Result<_> = members.map(|member| login::login(&member.login, "login")).collect();
    let people = store::holders_of_logins(db, &cx.vault, logins?).await?;
    let holders = holders(db, codes?).await?;
    let members = members_of(db, holders.iter().map(|holder| holder.id)).await?;
    let members: HashSet<_> = members.into_iter().map(|member| (member.organization_id, member.person_id)).collect();
    let is_member = |holder: &Model, member: &SeedPerson| {
        let login = login::login(&member.login, "login").ok();
        login.and_then(|login| people.get(&login)).is_some_and(|person| members.contains(&(holder.id, *person)))
    };
    Ok(seed.iter().all(|wanted| {
        let holder = holders.iter().find(|holder| holder.usci == wanted.usci && holder.kind == wanted.kind);
        holder.is_some_and(|holder| wanted.members.iter().all(|member| is_member(holder, member)))
    }))
}

/// A person to insert, the password hashed, with the authenticator to start with.
type Newcomer<'a> = (store::Person, Option<&'a Authenticator>);

/// The person to insert; nothing if there is this very person: a member already, or one who has the password.
async fn row<'a>(cx: &Context, wanted: &SeedOrganization, member: &'a SeedPerson) -> Result<Option<Newcomer<'a>>> {
    let login = login::login(&member.login, "login")?;
    let db = cx.db.read();
    if let Some(found) = store::person_by_login(db, &cx.vault, &login).await? {
        let holder = organization_by_usci(db, &usci::usci(&wanted.usci, "usci")?).await?.map(|row| row.id.text());
        let belongs =
            store::places(db, found.id).await?.iter().any(|place| Some(&place.organization_id) == holder.as_ref());
        if belongs || password::verify(&member.password, Some(&found.password_hash)).await? {
            return Ok(None);
        }
        return Err(Refusal::new(ErrorCode::LoginTaken).at_field("login").into());
    }
    login::password(&member.password, &login, "password")?;
    let password_hash = password::hash(&member.password).await?;
    let name = text(&member.name, "name", 1, 100)?;
    let person = store::Person { id: PersonId::fresh(), login, name, password_hash, created_at: cx.clock.now() };
    Ok(Some((person, member.second_factor.as_ref())))
}

async fn put(call: &Call, wanted: &SeedOrganization) -> Result<()> {
    let usci = usci::usci(&wanted.usci, "usci")?;
    let holder = match organization_by_usci(&call.tx, &usci).await? {
        Some(holder) => holder,
        None => found(call, wanted, usci).await?,
    };
    if holder.kind != wanted.kind || holder.status != OrganizationStatus::Verified {
        return Err(Refusal::new(ErrorCode::AlreadyExists).at_field("usci").into());
    }
    for wanted_member in &wanted.members {
        let login = login::login(&wanted_member.login, "login")?;
        let found = store::person_by_login(&call.tx, &call.cx.vault, &login).await?;
        let found = found.ok_or_else(|| Error::Internal(format!("{login} was not seeded")))?;
        let numbers: Vec<i32> = wanted_member.roles.iter().map(|role| (*role).into()).collect();
        let roles = organization_status::roles(&numbers, wanted.kind)?;
        if put_member(&call.tx, found.id, holder.id, &roles, Earlier::Kept).await? {
            member::record_added(call, holder.id, found.id, &roles).await?;
        }
    }
    Ok(())
}

/// Founds an organization that is not there.
async fn found(call: &Call, wanted: &SeedOrganization, usci: String) -> Result<Model> {
    let id = OrganizationId::fresh();
    let is_centre = wanted.kind == OrganizationKind::ExchangeCentre;
    let tier = wanted.tier.unwrap_or(CentreTier::Hub);
    let above = centre_above(call, wanted, is_centre && tier == CentreTier::Hub).await?;
    let name = name::name(&wanted.name)?;
    let row = Model {
        id,
        skeleton: name::looks(&name),
        name,
        kind: wanted.kind,
        status: OrganizationStatus::Verified,
        usci,
        region: codes::checked(&call.tx, CodeList::Regions, &wanted.region).await?,
        legal_representative: text(&wanted.legal_representative, "legalRepresentative", 1, 100)?,
        industry: codes::checked(&call.tx, CodeList::Industries, &wanted.industry).await?,
        centre_id: above.unwrap_or(id),
        evidence: String::new(),
        created_at: call.now,
        verified_at: Some(call.now),
    };
    registration::insert(call, row.clone()).await?;
    if is_centre {
        let status = CentreStatus::Operating;
        let centre = centre::Model { organization_id: id, tier, parent_id: above, status, opened_at: call.now };
        centre::insert_centre(&call.tx, centre).await?;
    }
    let facts = json!({ "name": row.name, "kind": row.kind.stored(), "usci": row.usci });
    call.record("OrganizationSeeded", &id.text(), facts).await?;
    Ok(row)
}

/// The centre above or in charge; none above the hub, of which there is one.
async fn centre_above(call: &Call, wanted: &SeedOrganization, is_hub: bool) -> Result<Option<OrganizationId>> {
    let hub = centre::hub(&call.tx).await?.map(|hub| hub.organization_id);
    if is_hub {
        let another = || Refusal::new(ErrorCode::AlreadyExists).at_field("centre").into();
        return hub.map_or(Ok(None), |_| Err(another()));
    }
    let missing = || Error::not_found("centre");
    let Some(code) = &wanted.centre else { return Ok(Some(hub.ok_or_else(missing)?)) };
    let above = organization_by_usci(&call.tx, code).await?;
    let above = above.filter(|row| row.kind == OrganizationKind::ExchangeCentre);
    Ok(Some(above.ok_or_else(missing)?.id))
}
