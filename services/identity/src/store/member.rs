//! Memberships as stored.

use std::collections::HashMap;

use kernel::{ActingFor, Id, Paging, Result, Role, Slice, page};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, sea_query::OnConflict,
};
use wire::{
    id::{OrganizationId, PersonId},
    v1::{CentreStatus, CentreTier, OrganizationKind, OrganizationStatus},
};

use super::{centre, organization};
use crate::organization::centre_tree::Tree;

mod row {
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
    }
    impl ActiveModelBehavior for ActiveModel {}
}
pub use row::{Column, Entity, Model};

impl Model {
    pub fn roles(&self) -> Vec<Role> {
        read_roles(&self.roles)
    }
}

/// Where the person is a member, as the services see it: a centre with all that lies below it. The staff of a centre
/// that is closed reaches nothing any more.
pub async fn places(db: &impl ConnectionTrait, person: PersonId) -> Result<Vec<ActingFor>> {
    let members =
        Entity::find().filter(Column::PersonId.eq(person)).order_by_asc(Column::OrganizationId).all(db).await?;
    let ids = members.iter().map(|member| member.organization_id);
    let organizations = organization::Entity::find().filter(organization::Column::Id.is_in(ids)).all(db).await?;
    let organizations: HashMap<_, _> = organizations.into_iter().map(|row| (row.id, row)).collect();
    let in_centre = organizations.values().any(|row| row.kind == OrganizationKind::ExchangeCentre);
    let tree = Tree::of(if in_centre { centre::centres(db).await? } else { Vec::new() });
    let place = |member: Model| {
        let organization = organizations.get(&member.organization_id)?;
        let centre = tree.centre(organization.id);
        let operates = centre.is_none_or(|centre| centre.status == CentreStatus::Operating);
        Some(ActingFor {
            organization_id: organization.id.text(),
            roles: member.roles().into_iter().map(Into::into).collect(),
            centre: centre.is_some(),
            verified: organization.status == OrganizationStatus::Verified && operates,
            centres: tree.with_all_below(organization.id).into_iter().map(|id| id.text()).collect(),
            hub: centre.is_some_and(|centre| centre.tier == CentreTier::Hub),
            centre_id: organization.centre_id.text(),
            ..ActingFor::default()
        })
    };
    Ok(members.into_iter().filter_map(place).collect())
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
    let row =
        row::ActiveModel { person_id: Set(person), organization_id: Set(organization), roles: Set(write_roles(roles)) };
    let mut member = OnConflict::columns([Column::PersonId, Column::OrganizationId]);
    let member = match earlier {
        Earlier::Kept => member.do_nothing(),
        Earlier::Replaced => member.update_column(Column::Roles),
    };
    Ok(Entity::insert(row).on_conflict(member.to_owned()).exec_without_returning(tx).await? == 1)
}

/// The roles that the person has there; none for who is no member.
pub async fn roles_of(
    db: &impl ConnectionTrait,
    person: PersonId,
    organization: OrganizationId,
) -> Result<Option<Vec<Role>>> {
    let found = Entity::find_by_id((person, organization)).one(db).await?;
    Ok(found.map(|member| member.roles()))
}

/// Who is a member of which of these organizations.
pub async fn members_of(
    db: &impl ConnectionTrait,
    organizations: impl IntoIterator<Item = OrganizationId>,
) -> Result<Vec<Model>> {
    Ok(Entity::find().filter(Column::OrganizationId.is_in(organizations)).all(db).await?)
}

pub async fn remove_member(tx: &impl ConnectionTrait, person: PersonId, organization: OrganizationId) -> Result<()> {
    Entity::delete_by_id((person, organization)).exec(tx).await?;
    Ok(())
}

/// Ends all of the person's memberships.
pub async fn remove_everywhere(tx: &impl ConnectionTrait, person: PersonId) -> Result<()> {
    Entity::delete_many().filter(Column::PersonId.eq(person)).exec(tx).await?;
    Ok(())
}

/// The people who administer the organization.
pub async fn administrators(tx: &impl ConnectionTrait, organization: OrganizationId) -> Result<Vec<PersonId>> {
    let members = members_of(tx, [organization]).await?;
    let administers = |member: &&Model| member.roles().contains(&Role::Administrator);
    Ok(members.iter().filter(administers).map(|member| member.person_id).collect())
}

pub async fn list_members(
    db: &impl ConnectionTrait,
    organization: OrganizationId,
    paging: Paging,
) -> Result<Slice<Model>> {
    let select = Entity::find().filter(Column::OrganizationId.eq(organization));
    page(db, select, Column::PersonId, paging).await
}

pub fn write_roles(roles: &[Role]) -> String {
    let names: Vec<&'static str> = roles.iter().map(|role| (*role).into()).collect();
    names.join(" ")
}

pub fn read_roles(names: &str) -> Vec<Role> {
    names.split(' ').filter_map(|name| name.parse().ok()).collect()
}
