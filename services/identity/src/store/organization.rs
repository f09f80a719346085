//! Organizations as stored, and who may know of which.

use kernel::{Actor, Instant, Paging, Result, Role, Scope, Sight, Slice, Transaction, page};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QuerySelect,
    QueryTrait,
    sea_query::{Expr, ExprTrait, Func, LikeExpr, OnConflict},
};
use strum::IntoEnumIterator;
use wire::{
    id::OrganizationId,
    v1::{OrganizationKind, OrganizationStatus},
};

mod row {
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
        pub legal_representative: String,
        pub industry: String,
        pub centre_id: wire::id::OrganizationId,
        pub evidence: String,
        pub skeleton: String,
        pub created_at: kernel::Instant,
        pub verified_at: Option<kernel::Instant>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}
pub use row::*;

mod name_part {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "name_part")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub part: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub organization_id: wire::id::OrganizationId,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// Those that hold their code: nobody else may apply under it.
const HOLDING: [OrganizationStatus; 3] =
    [OrganizationStatus::Applied, OrganizationStatus::Verified, OrganizationStatus::Suspended];

/// More look-alikes than anybody reads.
const MOST_ALIKE: u64 = 1_000;

/// Adds an organization with the parts of its name; false if another holds the code.
pub async fn insert_organization(db: &impl ConnectionTrait, row: Model, parts: Vec<String>) -> Result<bool> {
    let organization_id = row.id;
    let taken = OnConflict::column(Column::Usci)
        .target_and_where(Expr::cust("status IN ('APPLIED', 'VERIFIED', 'SUSPENDED')"))
        .do_nothing()
        .to_owned();
    if Entity::insert(row.into_active_model()).on_conflict(taken).exec_without_returning(db).await? != 1 {
        return Ok(false);
    }
    let parts = parts.into_iter().map(|part| name_part::Model { part, organization_id }.into_active_model());
    name_part::Entity::insert_many(parts).exec_without_returning(db).await?;
    Ok(true)
}

/// The organization, locked until the transaction ends.
pub async fn lock_organization(tx: &Transaction, id: OrganizationId) -> Result<Option<Model>> {
    Ok(Entity::find_by_id(id).lock_exclusive().one(tx).await?)
}

/// The organization, which will not change until the transaction ends.
pub async fn hold_organization(tx: &Transaction, id: OrganizationId) -> Result<Option<Model>> {
    Ok(Entity::find_by_id(id).lock_shared().one(tx).await?)
}

/// The organization that holds the code.
pub async fn organization_by_usci(db: &impl ConnectionTrait, usci: &str) -> Result<Option<Model>> {
    Ok(holders(db, vec![usci.to_owned()]).await?.pop())
}

/// The organizations that hold these codes.
pub async fn holders(db: &impl ConnectionTrait, codes: Vec<String>) -> Result<Vec<Model>> {
    let holder = Condition::all().add(Column::Usci.is_in(codes)).add(Column::Status.is_in(HOLDING));
    Ok(Entity::find().filter(holder).all(db).await?)
}

/// Where an organization stands from now on, and why.
pub async fn set_status(
    tx: &impl ConnectionTrait,
    id: OrganizationId,
    status: OrganizationStatus,
    evidence: &str,
) -> Result<()> {
    let update = Entity::update_many().col_expr(Column::Status, Expr::value(status));
    update.col_expr(Column::Evidence, Expr::value(evidence)).filter(Column::Id.eq(id)).exec(tx).await?;
    Ok(())
}

/// From now on anybody may know of the organization.
pub async fn set_verified(tx: &impl ConnectionTrait, id: OrganizationId, at: Instant) -> Result<()> {
    Entity::update_many().col_expr(Column::VerifiedAt, Expr::value(at)).filter(Column::Id.eq(id)).exec(tx).await?;
    Ok(())
}

pub async fn set_centre(tx: &impl ConnectionTrait, id: OrganizationId, centre: OrganizationId) -> Result<()> {
    Entity::update_many().col_expr(Column::CentreId, Expr::value(centre)).filter(Column::Id.eq(id)).exec(tx).await?;
    Ok(())
}

/// Gives all that is in one centre's care into another's; how many they were.
pub async fn hand_over(tx: &impl ConnectionTrait, from: OrganizationId, to: OrganizationId) -> Result<u64> {
    let update = Entity::update_many().col_expr(Column::CentreId, Expr::value(to));
    Ok(update.filter(Column::CentreId.eq(from)).exec(tx).await?.rows_affected)
}

/// What the person reaches as staff or administrator of a centre.
pub fn reach(actor: &Actor) -> Scope {
    let at_work: Vec<Role> = Role::iter().filter(|role| role.is_staff() || *role == Role::Administrator).collect();
    actor.scope(&at_work)
}

/// The organizations that the actor may know of: those that were ever verified are public, others are their members'
/// and their centre's.
fn visible_to(actor: &Actor) -> Condition {
    let sight = Sight::within(actor, reach(actor)).filter(&[Column::Id], Column::CentreId);
    Condition::all().add(Condition::any().add(Column::VerifiedAt.is_not_null()).add(sight))
}

pub async fn organizations(db: &impl ConnectionTrait, actor: &Actor, ids: Vec<OrganizationId>) -> Result<Vec<Model>> {
    Ok(Entity::find().filter(visible_to(actor).add(Column::Id.is_in(ids))).all(db).await?)
}

/// Whether the actor may know of the organization.
pub async fn may_see(db: &impl ConnectionTrait, actor: &Actor, id: OrganizationId) -> Result<bool> {
    Ok(!organizations(db, actor, vec![id]).await?.is_empty())
}

/// The organizations of a status, where given, whose name contains or whose code is the search text.
pub async fn list_organizations(
    db: &impl ConnectionTrait,
    actor: &Actor,
    status: Option<OrganizationStatus>,
    search: Option<&str>,
    paging: Paging,
) -> Result<Slice<Model>> {
    let mut wanted = visible_to(actor);
    if let Some(status) = status {
        wanted = wanted.add(Column::Status.eq(status));
    }
    if let Some(search) = search {
        let escaped = search.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let name = Expr::expr(Func::lower(Expr::col(Column::Name)));
        wanted = wanted.add(
            Condition::any()
                .add(name.like(LikeExpr::new(format!("%{escaped}%")).escape('\\')))
                .add(Column::Usci.eq(search.to_ascii_uppercase())),
        );
    }
    page(db, Entity::find().filter(wanted), Column::Id, paging).await
}

/// The organizations that the actor may know of and whose names may be too like: they look the same as one of
/// `skeletons`, or hold one of `parts`.
pub async fn alike(
    db: &impl ConnectionTrait,
    actor: &Actor,
    skeletons: Vec<String>,
    parts: Vec<String>,
) -> Result<Vec<Model>> {
    let holders = name_part::Entity::find()
        .select_only()
        .column(name_part::Column::OrganizationId)
        .filter(name_part::Column::Part.is_in(parts))
        .into_query();
    let like = Condition::any().add(Column::Skeleton.is_in(skeletons)).add(Column::Id.in_subquery(holders));
    let wanted = visible_to(actor).add(like).add(Column::Status.ne(OrganizationStatus::Rejected));
    Ok(Entity::find().filter(wanted).limit(MOST_ALIKE).all(db).await?)
}

/// How many organizations that are no centres are verified, in the care of the given centres or of any.
pub async fn count_verified(db: &impl ConnectionTrait, centres: Option<Vec<OrganizationId>>) -> Result<u64> {
    let mut wanted = Condition::all()
        .add(Column::Status.eq(OrganizationStatus::Verified))
        .add(Column::Kind.ne(OrganizationKind::ExchangeCentre));
    if let Some(centres) = centres {
        wanted = wanted.add(Column::CentreId.is_in(centres));
    }
    Ok(Entity::find().filter(wanted).count(db).await?)
}
