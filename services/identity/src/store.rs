//! The tables of people and organizations, and every question asked of them.

use kernel::{ActingFor, Actor, Id, Paging, Result, Role, Slice, page};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, Func, LikeExpr, OnConflict},
};
use wire::{
    id::{OrganizationId, PersonId},
    v1,
};

pub mod person {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "person")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: wire::id::PersonId,
        pub login: String,
        pub name: String,
        pub password_hash: String,
        pub created_at: kernel::Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod organization {
    use sea_orm::entity::prelude::*;
    use wire::v1;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "organization")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: wire::id::OrganizationId,
        pub name: String,
        pub kind: v1::OrganizationKind,
        pub status: v1::OrganizationStatus,
        pub usci: String,
        pub region: String,
        pub created_at: kernel::Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

mod membership {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "membership")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub person_id: wire::id::PersonId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub organization_id: wire::id::OrganizationId,
        pub roles: String,
        #[sea_orm(belongs_to, from = "organization_id", to = "id")]
        pub organization: BelongsTo<super::organization::Entity>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl From<organization::Model> for v1::Organization {
    fn from(row: organization::Model) -> Self {
        v1::Organization {
            id: row.id.text(),
            name: row.name,
            kind: row.kind.into(),
            status: row.status.into(),
            usci: row.usci,
            region: row.region,
            created_at: Some(row.created_at),
            available_transitions: crate::organization::next(row.status)
                .iter()
                .map(|status| (*status).into())
                .collect(),
        }
    }
}

/// A person as that person sees it, in the given places.
pub fn person_in(row: person::Model, places: Vec<ActingFor>) -> v1::Person {
    let membership = |place: ActingFor| v1::Membership { organization_id: place.organization_id, roles: place.roles };
    let memberships = places.into_iter().map(membership).collect();
    v1::Person { id: row.id.text(), name: row.name, login: row.login, memberships }
}

/// Adds a person; false if the login is taken.
pub async fn insert_person(db: &impl ConnectionTrait, row: person::Model) -> Result<bool> {
    let taken = OnConflict::column(person::Column::Login).do_nothing().to_owned();
    Ok(person::Entity::insert(row.into_active_model()).on_conflict(taken).exec_without_returning(db).await? == 1)
}

pub async fn person(db: &impl ConnectionTrait, id: PersonId) -> Result<Option<person::Model>> {
    Ok(person::Entity::find_by_id(id).one(db).await?)
}

pub async fn person_by_login(db: &impl ConnectionTrait, login: &str) -> Result<Option<person::Model>> {
    Ok(person::Entity::find().filter(person::Column::Login.eq(login)).one(db).await?)
}

/// Where the person is a member, as the services see it.
pub async fn places(db: &impl ConnectionTrait, person: PersonId) -> Result<Vec<ActingFor>> {
    let rows = membership::Entity::find()
        .filter(membership::Column::PersonId.eq(person))
        .find_also_related(organization::Entity)
        .order_by_asc(membership::Column::OrganizationId)
        .all(db)
        .await?;
    let place = |(membership, organization): (membership::Model, Option<organization::Model>)| {
        let organization = organization?;
        Some(ActingFor {
            organization_id: organization.id.text(),
            roles: read_roles(&membership.roles).into_iter().map(Into::into).collect(),
            centre: organization.kind == v1::OrganizationKind::ExchangeCentre,
            verified: organization.status == v1::OrganizationStatus::Verified,
        })
    };
    Ok(rows.into_iter().filter_map(place).collect())
}

/// Adds an organization; false if another that is not rejected has the code.
pub async fn insert_organization(db: &impl ConnectionTrait, row: organization::Model) -> Result<bool> {
    let taken = OnConflict::column(organization::Column::Usci)
        .target_and_where(Expr::cust("status <> 'REJECTED'"))
        .do_nothing()
        .to_owned();
    Ok(organization::Entity::insert(row.into_active_model()).on_conflict(taken).exec_without_returning(db).await? == 1)
}

/// The organization, locked until the transaction ends.
pub async fn lock_organization(tx: &impl ConnectionTrait, id: OrganizationId) -> Result<Option<organization::Model>> {
    Ok(organization::Entity::find_by_id(id).lock_exclusive().one(tx).await?)
}

/// The organization that holds the code.
pub async fn organization_by_usci(db: &impl ConnectionTrait, usci: &str) -> Result<Option<organization::Model>> {
    let holder = Condition::all()
        .add(organization::Column::Usci.eq(usci))
        .add(organization::Column::Status.ne(v1::OrganizationStatus::Rejected));
    Ok(organization::Entity::find().filter(holder).one(db).await?)
}

pub async fn set_status(tx: &impl ConnectionTrait, id: OrganizationId, status: v1::OrganizationStatus) -> Result<()> {
    organization::Entity::update_many()
        .col_expr(organization::Column::Status, Expr::value(status))
        .filter(organization::Column::Id.eq(id))
        .exec(tx)
        .await?;
    Ok(())
}

/// The organizations that the actor may see: verified ones are public, others are their members' and the staff's.
fn visible_to(actor: &Actor) -> Condition {
    let all = Condition::all();
    if actor.is_exchange() || actor.is_any_staff() {
        return all;
    }
    let own = actor.memberships.iter().filter_map(|place| OrganizationId::parse(&place.organization_id, "actor").ok());
    all.add(
        Condition::any()
            .add(organization::Column::Status.eq(v1::OrganizationStatus::Verified))
            .add(organization::Column::Id.is_in(own)),
    )
}

pub async fn organizations(
    db: &impl ConnectionTrait,
    actor: &Actor,
    ids: Vec<OrganizationId>,
) -> Result<Vec<organization::Model>> {
    let wanted = visible_to(actor).add(organization::Column::Id.is_in(ids));
    Ok(organization::Entity::find().filter(wanted).all(db).await?)
}

/// Whether the actor may know of the organization.
pub async fn may_see(db: &impl ConnectionTrait, actor: &Actor, id: OrganizationId) -> Result<bool> {
    Ok(!organizations(db, actor, vec![id]).await?.is_empty())
}

/// The organizations of a status, where given, whose name contains or whose code is the search text.
pub async fn list_organizations(
    db: &impl ConnectionTrait,
    actor: &Actor,
    status: Option<v1::OrganizationStatus>,
    search: Option<&str>,
    paging: Paging,
) -> Result<Slice<organization::Model>> {
    let mut wanted = visible_to(actor);
    if let Some(status) = status {
        wanted = wanted.add(organization::Column::Status.eq(status));
    }
    if let Some(search) = search {
        let escaped = search.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let name = Expr::expr(Func::lower(Expr::col(organization::Column::Name)));
        wanted = wanted.add(
            Condition::any()
                .add(name.like(LikeExpr::new(format!("%{escaped}%")).escape('\\')))
                .add(organization::Column::Usci.eq(search.to_ascii_uppercase())),
        );
    }
    page(db, organization::Entity::find().filter(wanted), organization::Column::Id, paging).await
}

/// What becomes of the roles that a member has already.
pub enum Earlier {
    Kept,
    Replaced,
}

/// Makes the person a member; false if an earlier membership was kept.
pub async fn put_member(
    tx: &impl ConnectionTrait,
    person: PersonId,
    organization: OrganizationId,
    roles: &[Role],
    earlier: Earlier,
) -> Result<bool> {
    let names: Vec<&'static str> = roles.iter().map(|role| (*role).into()).collect();
    let row = membership::ActiveModel {
        person_id: Set(person),
        organization_id: Set(organization),
        roles: Set(names.join(" ")),
    };
    let mut member = OnConflict::columns([membership::Column::PersonId, membership::Column::OrganizationId]);
    let member = match earlier {
        Earlier::Kept => member.do_nothing(),
        Earlier::Replaced => member.update_column(membership::Column::Roles),
    };
    Ok(membership::Entity::insert(row).on_conflict(member.to_owned()).exec_without_returning(tx).await? == 1)
}

/// The people who administer the organization.
pub async fn administrators(tx: &impl ConnectionTrait, organization: OrganizationId) -> Result<Vec<PersonId>> {
    let members =
        membership::Entity::find().filter(membership::Column::OrganizationId.eq(organization)).all(tx).await?;
    let administers = |member: &membership::Model| read_roles(&member.roles).contains(&Role::Administrator);
    Ok(members.iter().filter(|member| administers(member)).map(|member| member.person_id).collect())
}

fn read_roles(names: &str) -> Vec<Role> {
    names.split(' ').filter_map(|name| name.parse().ok()).collect()
}
