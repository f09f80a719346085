//! The table of declared conflicts, and every question about who stands near whom.

use kernel::{Actor, Id, Instant, Paging, Result, Role, Slice, Transaction, page};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QuerySelect,
    QueryTrait,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use wire::{
    id::{ConflictOfInterestId, OrganizationId, PersonId},
    v1::{self, ConflictStatus, MandateStatus},
};

use crate::{
    brokerage::{conflict_status, mandate::LIVE},
    store::{
        brokerage::{houses, mandate, sight},
        member,
    },
};

pub mod entity {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "conflict_of_interest")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: wire::id::ConflictOfInterestId,
        pub organization_id: wire::id::OrganizationId,
        pub other_organization_id: wire::id::OrganizationId,
        pub nature: String,
        pub declared_by: wire::id::PersonId,
        pub declared_at: kernel::Instant,
        pub lifted_at: Option<kernel::Instant>,
        /// The one of the two that it binds before it is confirmed.
        pub declarer_id: Option<wire::id::OrganizationId>,
        pub evidence: Option<String>,
        pub confirmed_by: Option<wire::id::PersonId>,
        pub confirmed_at: Option<kernel::Instant>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl entity::Model {
    /// How far it reaches.
    pub fn status(&self) -> ConflictStatus {
        match (self.confirmed_at, self.lifted_at) {
            (_, Some(_)) => ConflictStatus::Lifted,
            (Some(_), None) => ConflictStatus::Confirmed,
            (None, None) => ConflictStatus::Declared,
        }
    }
}

impl From<entity::Model> for v1::ConflictOfInterest {
    fn from(row: entity::Model) -> Self {
        let status = row.status();
        v1::ConflictOfInterest {
            status: status.into(),
            available_transitions: conflict_status::next(status).iter().map(|status| (*status).into()).collect(),
            declarer_id: row.declarer_id.map(Id::text),
            evidence: row.evidence,
            confirmed_at: row.confirmed_at,
            id: row.id.text(),
            organization_id: row.organization_id.text(),
            other_organization_id: row.other_organization_id.text(),
            nature: row.nature,
            declared_by: row.declared_by.text(),
            declared_at: Some(row.declared_at),
            lifted_at: row.lifted_at,
        }
    }
}

fn seen_by(actor: &Actor) -> Condition {
    use entity::Column;
    let houses = houses(actor);
    let own = Condition::any()
        .add(Column::OrganizationId.is_in(houses.clone()))
        .add(Column::OtherOrganizationId.is_in(houses));
    let watch = actor.scope(&[Role::Reviewer, Role::Auditor]);
    sight(watch, own, &[Column::OrganizationId, Column::OtherOrganizationId])
}

/// Adds a conflict; false if the pair has one that is not lifted.
pub async fn insert_conflict(tx: &impl ConnectionTrait, row: entity::Model) -> Result<bool> {
    let declared = OnConflict::columns([entity::Column::OrganizationId, entity::Column::OtherOrganizationId])
        .target_and_where(Expr::cust("lifted_at IS NULL"))
        .do_nothing()
        .to_owned();
    let insert = entity::Entity::insert(row.into_active_model()).on_conflict(declared);
    Ok(insert.exec_without_returning(tx).await? == 1)
}

/// The conflict, locked until the transaction ends, if the actor may see it.
pub async fn lock_conflict(tx: &Transaction, actor: &Actor, id: ConflictOfInterestId) -> Result<Option<entity::Model>> {
    Ok(entity::Entity::find_by_id(id).filter(seen_by(actor)).lock_exclusive().one(tx).await?)
}

/// A reviewer has seen evidence of it.
pub async fn confirm_conflict(
    tx: &impl ConnectionTrait,
    row: entity::Model,
    (by, at): (PersonId, Instant),
    evidence: &str,
) -> Result<entity::Model> {
    let mut change = row.into_active_model();
    change.evidence = Set(Some(evidence.to_owned()));
    change.confirmed_by = Set(Some(by));
    change.confirmed_at = Set(Some(at));
    Ok(change.update(tx).await?)
}

pub async fn lift_conflict(tx: &impl ConnectionTrait, id: ConflictOfInterestId, now: Instant) -> Result<()> {
    let update = entity::Entity::update_many().col_expr(entity::Column::LiftedAt, Expr::value(Some(now)));
    update.filter(entity::Column::Id.eq(id)).exec(tx).await?;
    Ok(())
}

/// Those that the actor may see, of one organization where given.
pub async fn list_conflicts(
    db: &impl ConnectionTrait,
    actor: &Actor,
    organization: Option<OrganizationId>,
    paging: Paging,
) -> Result<Slice<entity::Model>> {
    use entity::Column;
    let of = |id| Condition::any().add(Column::OrganizationId.eq(id)).add(Column::OtherOrganizationId.eq(id));
    let select =
        entity::Entity::find().filter(seen_by(actor)).apply_if(organization, |select, id| select.filter(of(id)));
    page(db, select, Column::Id, paging).await
}

/// Whether the register bars the applicant from what the other of the pair, the smaller id first, transfers: it declared
/// the connection itself, or a reviewer confirmed it; by then, and it is not lifted.
pub async fn is_barred(
    db: &impl ConnectionTrait,
    applicant: OrganizationId,
    (one, other): (OrganizationId, OrganizationId),
    at: Instant,
) -> Result<bool> {
    use entity::Column;
    let own = Column::DeclarerId.eq(applicant).and(Column::DeclaredAt.lte(at));
    let binds = Condition::any().add(own).add(Column::ConfirmedAt.lte(at));
    let pair = entity::Entity::find().filter(Column::OrganizationId.eq(one));
    let pair = pair.filter(Column::OtherOrganizationId.eq(other)).filter(Column::LiftedAt.is_null());
    Ok(pair.filter(binds).count(db).await? > 0)
}

/// The people who hold one of the roles in the organization.
pub async fn people(db: &impl ConnectionTrait, house: OrganizationId, roles: &[Role]) -> Result<Vec<PersonId>> {
    let members = member::Entity::find().filter(member::Column::OrganizationId.eq(house)).all(db).await?;
    let holds = |member: &&member::Model| member.roles().iter().any(|role| roles.contains(role));
    Ok(members.iter().filter(holds).map(|member| member.person_id).collect())
}

/// Whether one of the people belongs to the organization.
pub async fn belong(db: &impl ConnectionTrait, people: &[PersonId], house: OrganizationId) -> Result<bool> {
    use member::Column;
    let members = member::Entity::find().filter(Column::OrganizationId.eq(house));
    Ok(members.filter(Column::PersonId.is_in(people.iter().copied())).count(db).await? > 0)
}

/// Whether one of the people works for one of the centres: as its staff, or as an administrator, who can make
/// themselves staff.
pub async fn are_staff(db: &impl ConnectionTrait, people: &[PersonId], centres: &[OrganizationId]) -> Result<bool> {
    use member::Column;
    let members = member::Entity::find()
        .filter(Column::OrganizationId.is_in(centres.iter().copied()))
        .filter(Column::PersonId.is_in(people.iter().copied()))
        .all(db)
        .await?;
    let works = |role: &Role| role.is_staff() || *role == Role::Administrator;
    Ok(members.iter().any(|member| member.roles().iter().any(works)))
}

/// Whether the agency itself, or one of its people who decide, brokers for the principal under a live mandate. One
/// whose time ran out before a listing was made binds nobody.
pub async fn broker_for(
    db: &impl ConnectionTrait,
    (agency, people): (OrganizationId, &[PersonId]),
    principal: OrganizationId,
    now: Instant,
) -> Result<bool> {
    use mandate::Column;
    let brokers = Condition::any().add(Column::AgencyId.eq(agency)).add(Column::BrokerId.is_in(people.iter().copied()));
    let in_time = Condition::any().add(Column::Status.ne(MandateStatus::Active)).add(Column::ValidUntil.gt(now));
    let mandates = mandate::Entity::find().filter(Column::PrincipalId.eq(principal));
    Ok(mandates.filter(Column::Status.is_in(LIVE)).filter(brokers).filter(in_time).count(db).await? > 0)
}
