//! The tables of credentials and mandates, and every question asked of them.

use kernel::{Actor, Error, Id, Instant, Paging, Result, Role, Scope, Slice, Transaction, page};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
    sea_query::{Expr, OnConflict, SelectStatement},
};
use wire::{
    id::{BrokerCredentialId, ListingId, MandateId, OrganizationId, PersonId},
    v1::{self, CredentialStatus, MandateStatus, OrganizationStatus},
};

use crate::{
    brokerage::mandate::{LIVE, Sale},
    store::organization,
};

pub use mandate::Model as Mandate;

pub mod credential {
    use sea_orm::entity::prelude::*;
    use wire::v1;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "broker_credential")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: wire::id::BrokerCredentialId,
        pub person_id: wire::id::PersonId,
        pub organization_id: wire::id::OrganizationId,
        pub level: v1::BrokerLevel,
        pub number: String,
        pub issuer: String,
        pub issued_at: kernel::Instant,
        pub expires_at: kernel::Instant,
        pub status: v1::CredentialStatus,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod mandate {
    use sea_orm::entity::prelude::*;
    use wire::v1;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "mandate")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: wire::id::MandateId,
        pub principal_id: wire::id::OrganizationId,
        pub agency_id: wire::id::OrganizationId,
        pub broker_id: wire::id::PersonId,
        pub commission_basis_points: i32,
        pub expenses: String,
        pub valid_until: kernel::Instant,
        pub status: v1::MandateStatus,
        pub listing_id: Option<wire::id::ListingId>,
        pub commission: Option<kernel::Money>,
        pub bank_reference: Option<String>,
        pub created_at: kernel::Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

mod sale {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sale")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub listing_id: wire::id::ListingId,
        pub price: Option<kernel::Money>,
        pub settled: bool,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl From<Mandate> for v1::Mandate {
    fn from(row: Mandate) -> Self {
        v1::Mandate {
            id: row.id.text(),
            principal_id: row.principal_id.text(),
            agency_id: row.agency_id.text(),
            broker_id: row.broker_id.text(),
            commission_basis_points: row.commission_basis_points,
            expenses: row.expenses,
            valid_until: Some(row.valid_until),
            status: row.status.into(),
            available_transitions: crate::brokerage::mandate::next(row.status)
                .iter()
                .map(|status| (*status).into())
                .collect(),
            listing_id: row.listing_id.map(Id::text),
            commission: row.commission,
            created_at: Some(row.created_at),
        }
    }
}

// Who sees what.

/// `own`, and what concerns an organization, named by one of `columns`, that a centre within `scope` looks after.
pub fn sight<C: ColumnTrait>(scope: Scope, own: Condition, columns: &[C]) -> Condition {
    match scope {
        Scope::Everything => Condition::all(),
        Scope::Centres(centres) => {
            let looked_after = looked_after(&centres);
            columns.iter().fold(own, |seen, column| seen.add(column.in_subquery(looked_after.clone())))
        }
    }
}

/// The organizations that the centres look after.
fn looked_after(centres: &[String]) -> SelectStatement {
    let centres = centres.iter().filter_map(|id| OrganizationId::parse(id, "centres").ok());
    let select = organization::Entity::find().select_only().column(organization::Column::Id);
    select.filter(organization::Column::CentreId.is_in(centres)).into_query()
}

/// The organizations that the caller belongs to. Those under a mandate are not among them.
pub fn houses(actor: &Actor) -> Vec<OrganizationId> {
    actor.own_places().filter_map(|place| OrganizationId::parse(&place.organization_id, "actor").ok()).collect()
}

fn oneself(actor: &Actor) -> Option<PersonId> {
    PersonId::parse(&actor.person_id, "actor").ok()
}

/// A credential is its holder's.
fn credentials_seen_by(actor: &Actor) -> Condition {
    use credential::Column;
    let own = Condition::any().add(Column::PersonId.is_in(oneself(actor)));
    sight(actor.oversight(), own, &[Column::OrganizationId])
}

/// A mandate is its two sides', and the broker's.
fn mandates_seen_by(actor: &Actor) -> Condition {
    use mandate::Column;
    let houses = houses(actor);
    let own = Condition::any()
        .add(Column::BrokerId.is_in(oneself(actor)))
        .add(Column::PrincipalId.is_in(houses.clone()))
        .add(Column::AgencyId.is_in(houses));
    sight(actor.scope(&[Role::Reviewer, Role::Auditor]), own, &[Column::PrincipalId])
}

/// The centre that looks after the organization.
pub async fn centre_of(db: &impl ConnectionTrait, organization: OrganizationId) -> Result<OrganizationId> {
    let found = centres_of(db, [organization]).await?;
    let centre = found.first().map(|(_, centre)| *centre);
    centre.ok_or_else(|| Error::Internal(format!("{organization} has no centre")))
}

/// The centres that look after the organizations.
pub async fn centres_of(
    db: &impl ConnectionTrait,
    organizations: impl IntoIterator<Item = OrganizationId>,
) -> Result<Vec<(OrganizationId, OrganizationId)>> {
    use organization::Column;
    let select = organization::Entity::find().filter(Column::Id.is_in(organizations));
    Ok(select.select_only().column(Column::Id).column(Column::CentreId).into_tuple().all(db).await?)
}

/// Whether the organization is verified and active.
pub async fn is_verified(db: &impl ConnectionTrait, id: OrganizationId) -> Result<bool> {
    let row = organization::Entity::find_by_id(id).one(db).await?;
    Ok(row.is_some_and(|row| row.status == OrganizationStatus::Verified))
}

// Credentials.

/// Adds a credential; false if another that is not rejected has the number.
pub async fn insert_credential(tx: &impl ConnectionTrait, row: credential::Model) -> Result<bool> {
    let taken = OnConflict::column(credential::Column::Number)
        .target_and_where(Expr::cust("status <> 'REJECTED'"))
        .do_nothing()
        .to_owned();
    let insert = credential::Entity::insert(row.into_active_model()).on_conflict(taken);
    Ok(insert.exec_without_returning(tx).await? == 1)
}

/// The credential, locked until the transaction ends, if the actor may see it.
pub async fn lock_credential(
    tx: &Transaction,
    actor: &Actor,
    id: BrokerCredentialId,
) -> Result<Option<credential::Model>> {
    let seen = credential::Entity::find_by_id(id).filter(credentials_seen_by(actor));
    Ok(seen.lock_exclusive().one(tx).await?)
}

pub async fn set_credential_status(
    tx: &impl ConnectionTrait,
    id: BrokerCredentialId,
    status: CredentialStatus,
) -> Result<()> {
    let update = credential::Entity::update_many().col_expr(credential::Column::Status, Expr::value(status));
    update.filter(credential::Column::Id.eq(id)).exec(tx).await?;
    Ok(())
}

/// All credentials that a person has shown.
pub async fn credentials_of(db: &impl ConnectionTrait, person: PersonId) -> Result<Vec<credential::Model>> {
    Ok(credential::Entity::find().filter(credential::Column::PersonId.eq(person)).all(db).await?)
}

pub async fn credentials(
    db: &impl ConnectionTrait,
    actor: &Actor,
    ids: Vec<BrokerCredentialId>,
) -> Result<Vec<credential::Model>> {
    let wanted = credential::Entity::find().filter(credential::Column::Id.is_in(ids));
    Ok(wanted.filter(credentials_seen_by(actor)).all(db).await?)
}

/// Those that the actor may see: of one person, and of one status, where given.
pub async fn list_credentials(
    db: &impl ConnectionTrait,
    actor: &Actor,
    (person, status): (Option<PersonId>, Option<CredentialStatus>),
    paging: Paging,
) -> Result<Slice<credential::Model>> {
    use credential::Column;
    let select = credential::Entity::find()
        .filter(credentials_seen_by(actor))
        .apply_if(person, |select, person| select.filter(Column::PersonId.eq(person)))
        .apply_if(status, |select, status| select.filter(Column::Status.eq(status)));
    page(db, select, Column::Id, paging).await
}

// Mandates.

pub async fn insert_mandate(tx: &impl ConnectionTrait, row: Mandate) -> Result<()> {
    mandate::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    Ok(())
}

pub async fn save_mandate(tx: &impl ConnectionTrait, row: Mandate) -> Result<Mandate> {
    Ok(row.into_active_model().reset_all().update(tx).await?)
}

/// The mandate, locked until the transaction ends.
pub async fn lock_mandate(tx: &Transaction, id: MandateId) -> Result<Option<Mandate>> {
    Ok(mandate::Entity::find_by_id(id).lock_exclusive().one(tx).await?)
}

/// The same, if the actor may see it.
pub async fn lock_visible_mandate(tx: &Transaction, actor: &Actor, id: MandateId) -> Result<Option<Mandate>> {
    let seen = mandate::Entity::find_by_id(id).filter(mandates_seen_by(actor));
    Ok(seen.lock_exclusive().one(tx).await?)
}

pub async fn lock_mandate_of_listing(tx: &Transaction, listing: ListingId) -> Result<Option<Mandate>> {
    Ok(mandate::Entity::find().filter(mandate::Column::ListingId.eq(listing)).lock_exclusive().one(tx).await?)
}

pub async fn mandates(db: &impl ConnectionTrait, actor: &Actor, ids: Vec<MandateId>) -> Result<Vec<Mandate>> {
    let wanted = mandate::Entity::find().filter(mandate::Column::Id.is_in(ids));
    Ok(wanted.filter(mandates_seen_by(actor)).all(db).await?)
}

pub async fn list_mandates(
    db: &impl ConnectionTrait,
    actor: &Actor,
    status: Option<MandateStatus>,
    paging: Paging,
) -> Result<Slice<Mandate>> {
    let select = mandate::Entity::find()
        .filter(mandates_seen_by(actor))
        .apply_if(status, |select, status| select.filter(mandate::Column::Status.eq(status)));
    page(db, select, mandate::Column::Id, paging).await
}

/// The broker's live mandates that are in time.
pub async fn live_mandates(db: &impl ConnectionTrait, broker: PersonId, now: Instant) -> Result<Vec<Mandate>> {
    use mandate::Column;
    let live = Condition::all()
        .add(Column::BrokerId.eq(broker))
        .add(Column::Status.is_in(LIVE))
        .add(Column::ValidUntil.gt(now));
    Ok(mandate::Entity::find().filter(live).order_by_asc(Column::Id).all(db).await?)
}

/// The principals of mandates.
pub async fn principals(db: &impl ConnectionTrait, mandates: &[Mandate]) -> Result<Vec<organization::Model>> {
    let ids = mandates.iter().map(|mandate| mandate.principal_id);
    Ok(organization::Entity::find().filter(organization::Column::Id.is_in(ids)).all(db).await?)
}

/// What is known of a listing's sale, its row locked until the transaction ends.
pub async fn lock_sale(tx: &Transaction, listing: ListingId) -> Result<Sale> {
    let row = sale::ActiveModel { listing_id: Set(listing), price: Set(None), settled: Set(false) };
    let there = OnConflict::column(sale::Column::ListingId).do_nothing().to_owned();
    sale::Entity::insert(row).on_conflict(there).exec_without_returning(tx).await?;
    let row = sale::Entity::find_by_id(listing).lock_exclusive().one(tx).await?;
    Ok(row.map(|row| Sale { price: row.price, settled: row.settled }).unwrap_or_default())
}

pub async fn save_sale(tx: &impl ConnectionTrait, listing: ListingId, sale: Sale) -> Result<()> {
    let row = sale::Model { listing_id: listing, price: sale.price, settled: sale.settled };
    row.into_active_model().reset_all().update(tx).await?;
    Ok(())
}
