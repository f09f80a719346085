//! Deals, contracts, signatures and registrations as rows.

use std::cmp::Reverse;

use kernel::{Error, Id, Instant, Money, Result, Sight, Transaction};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
    sea_query::{Expr, ExprTrait, OnConflict, SimpleExpr},
};
use wire::{
    id::{AwardId, ContractId, DealId, ListingId, OrganizationId, TransferApplicationId},
    v1::{self, ContractKind, ContractStatus, DealStatus},
};

use crate::{contract as rules, deal as deal_rules};

pub mod standing;

pub mod deal {
    use super::*;
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "deal")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: DealId,
        pub listing_id: ListingId,
        pub award_id: AwardId,
        pub transferor_id: OrganizationId,
        pub transferee_id: OrganizationId,
        pub transfer_application_id: TransferApplicationId,
        pub price: Money,
        pub status: DealStatus,
        pub contract_id: ContractId,
        pub created_at: Instant,
        pub centre_id: OrganizationId,
        pub licence: bool,
        pub open_licence: bool,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod contract {
    use super::*;
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "contract")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: ContractId,
        pub deal_id: DealId,
        pub transferor_id: OrganizationId,
        pub transferee_id: OrganizationId,
        pub status: ContractStatus,
        pub document: String,
        pub document_hash: String,
        pub created_at: Instant,
        pub centre_id: OrganizationId,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod signature {
    use super::*;
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "signature")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub contract_id: ContractId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub organization_id: OrganizationId,
        pub signer_id: String,
        pub document_hash: String,
        pub signed_at: Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod registration {
    use super::*;
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "registration")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub contract_id: ContractId,
        pub number: String,
        pub kind: ContractKind,
        pub contract_amount: Money,
        pub technical_amount: Money,
        pub registrar_id: String,
        pub registered_at: Instant,
        pub hash: String,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

mod registration_serial {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "registration_serial")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub point: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub year: i32,
        pub serial: i32,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// A contract with everything that belongs to it.
pub struct Dossier {
    /// The contract itself.
    pub contract: contract::Model,
    /// Oldest first.
    pub signatures: Vec<signature::Model>,
    /// Present once registered.
    pub registration: Option<registration::Model>,
}

impl Dossier {
    /// As the rules see it.
    pub fn standing(&self) -> rules::Standing<'_> {
        let signatures = self.signatures.iter().map(|made| (made.organization_id, made.signer_id.as_str())).collect();
        rules::Standing { status: self.contract.status, document_hash: &self.contract.document_hash, signatures }
    }
}

impl From<deal::Model> for v1::Deal {
    fn from(row: deal::Model) -> Self {
        Self {
            id: row.id.text(),
            listing_id: row.listing_id.text(),
            award_id: row.award_id.text(),
            transferor_id: row.transferor_id.text(),
            transferee_id: row.transferee_id.text(),
            price: Some(row.price),
            status: row.status.into(),
            available_transitions: deal_rules::next(row.status).iter().map(|next| (*next).into()).collect(),
            contract_id: row.contract_id.text(),
            created_at: Some(row.created_at),
            transfer_application_id: row.transfer_application_id.text(),
            centre_id: row.centre_id.text(),
            licence: row.licence,
        }
    }
}

impl From<Dossier> for v1::Contract {
    fn from(Dossier { contract: row, signatures, registration }: Dossier) -> Self {
        Self {
            id: row.id.text(),
            deal_id: row.deal_id.text(),
            transferor_id: row.transferor_id.text(),
            transferee_id: row.transferee_id.text(),
            status: row.status.into(),
            available_transitions: rules::next(row.status).iter().map(|next| (*next).into()).collect(),
            document: row.document,
            document_hash: row.document_hash,
            signatures: signatures.into_iter().map(v1::Signature::from).collect(),
            certificate: registration.map(v1::RegistrationCertificate::from),
            created_at: Some(row.created_at),
            centre_id: row.centre_id.text(),
        }
    }
}

impl From<signature::Model> for v1::Signature {
    fn from(row: signature::Model) -> Self {
        let organization_id = row.organization_id.text();
        Self { organization_id, document_hash: row.document_hash, signed_at: Some(row.signed_at) }
    }
}

impl From<registration::Model> for v1::RegistrationCertificate {
    fn from(row: registration::Model) -> Self {
        Self {
            number: row.number,
            kind: row.kind.into(),
            contract_amount: Some(row.contract_amount),
            technical_amount: Some(row.technical_amount),
            registered_at: Some(row.registered_at),
            hash: row.hash,
        }
    }
}

/// Whether the deal is there.
pub async fn has_deal(tx: &impl ConnectionTrait, id: DealId) -> Result<bool> {
    Ok(deal::Entity::find_by_id(id).one(tx).await?.is_some())
}

/// Opens a deal with its contract; false if the listing has another deal, which leaves no room for it. No target: with
/// one, PostgreSQL raises a clash on another unique column.
pub async fn open(tx: &impl ConnectionTrait, deal: deal::Model, contract: contract::Model) -> Result<bool> {
    let opened = deal::Entity::insert(deal.into_active_model())
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    if opened == 1 {
        contract::Entity::insert(contract.into_active_model()).exec_without_returning(tx).await?;
    }
    Ok(opened == 1)
}

/// A contract whose row is locked until the transaction ends.
pub async fn lock_contract(tx: &Transaction, id: ContractId) -> Result<Option<Dossier>> {
    let found = contract::Entity::find_by_id(id).lock_exclusive().one(tx).await?;
    let mut dossiers = dossiers(tx, found.into_iter().collect()).await?;
    Ok(dossiers.pop())
}

/// A deal whose row is locked until the transaction ends.
pub async fn lock_deal(tx: &Transaction, id: DealId) -> Result<Option<deal::Model>> {
    Ok(deal::Entity::find_by_id(id).lock_exclusive().one(tx).await?)
}

/// Moves a locked contract.
pub async fn move_contract(tx: &impl ConnectionTrait, row: &contract::Model, to: ContractStatus) -> Result<()> {
    let moved = contract::Entity::update_many()
        .col_expr(contract::Column::Status, Expr::value(to))
        .filter(contract::Column::Id.eq(row.id))
        .filter(contract::Column::Status.eq(row.status))
        .exec(tx)
        .await?;
    require_one(moved.rows_affected, row.id.text())
}

/// Moves a locked deal.
pub async fn move_deal(tx: &impl ConnectionTrait, row: &deal::Model, to: DealStatus) -> Result<()> {
    let moved = deal::Entity::update_many()
        .col_expr(deal::Column::Status, Expr::value(to))
        .filter(deal::Column::Id.eq(row.id))
        .filter(deal::Column::Status.eq(row.status))
        .exec(tx)
        .await?;
    require_one(moved.rows_affected, row.id.text())
}

/// A locked row cannot have moved meanwhile; if it has, nothing of this transaction may stand.
fn require_one(moved: u64, id: String) -> Result<()> {
    if moved == 1 { Ok(()) } else { Err(Error::Internal(format!("{id} moved although it was locked"))) }
}

/// Keeps a signature.
pub async fn add_signature(tx: &impl ConnectionTrait, row: signature::Model) -> Result<()> {
    signature::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    Ok(())
}

/// Keeps a registration.
pub async fn add_registration(tx: &impl ConnectionTrait, row: registration::Model) -> Result<()> {
    registration::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    Ok(())
}

/// The next serial number of a point in a year. Its row stays locked until the transaction ends, so that two registrars
/// never get the same one.
pub async fn next_serial(tx: &impl ConnectionTrait, point: &str, year: i32) -> Result<i32> {
    use registration_serial::{Column, Entity, Model};
    let next = Expr::col((Entity, Column::Serial)).add(1);
    let first = Model { point: point.to_owned(), year, serial: 1 };
    Entity::insert(first.into_active_model())
        .on_conflict(OnConflict::columns([Column::Point, Column::Year]).value(Column::Serial, next).to_owned())
        .exec_without_returning(tx)
        .await?;
    let row = Entity::find_by_id((point.to_owned(), year)).one(tx).await?;
    row.map(|row| row.serial).ok_or_else(|| Error::Internal(format!("no serial for {point} in {year}")))
}

/// The deals in sight among those wanted by id or by listing. Of one listing the one for which it stands comes last: the
/// oldest, unless it was cancelled.
pub async fn deals(
    db: &impl ConnectionTrait,
    sight: &Sight,
    ids: &[DealId],
    listings: &[ListingId],
) -> Result<Vec<deal::Model>> {
    use deal::Column;
    let wanted = Condition::any()
        .add(Column::Id.is_in(ids.iter().copied()))
        .add(Column::ListingId.is_in(listings.iter().copied()));
    let select = deal::Entity::find()
        .filter(wanted)
        .filter(sight.filter(&[Column::TransferorId, Column::TransfereeId], Column::CentreId));
    let mut deals = select.all(db).await?;
    deals.sort_by_key(|deal| Reverse((deal.status == DealStatus::Cancelled, deal.created_at, deal.id)));
    Ok(deals)
}

/// The deals of an organization, on either side, that are neither settled nor cancelled.
pub async fn open_deals(db: &impl ConnectionTrait, organization: OrganizationId) -> Result<Vec<deal::Model>> {
    use deal::Column;
    let sides = Condition::any().add(Column::TransferorId.eq(organization)).add(Column::TransfereeId.eq(organization));
    let select = deal::Entity::find().filter(sides);
    let select = select.filter(Column::Status.is_not_in([DealStatus::Settled, DealStatus::Cancelled]));
    Ok(select.order_by_asc(Column::Id).all(db).await?)
}

/// The contracts in sight among those wanted.
pub async fn contracts(db: &impl ConnectionTrait, sight: &Sight, ids: Vec<ContractId>) -> Result<Vec<Dossier>> {
    use contract::Column;
    let select = contract::Entity::find().filter(Column::Id.is_in(ids));
    let select = select.filter(sight.filter(&[Column::TransferorId, Column::TransfereeId], Column::CentreId));
    dossiers(db, select.order_by_asc(Column::Id).all(db).await?).await
}

/// How many deals the centres have made, and the sum of their prices; those cancelled came to nothing.
pub async fn deal_totals(db: &impl ConnectionTrait, centres: &[OrganizationId]) -> Result<(i64, Money)> {
    let select = deal::Entity::find().select_only();
    let select = select.expr(deal::Column::Id.count()).expr(sum(deal::Column::Price));
    let wanted = Condition::all().add_option(of(deal::Column::CentreId, centres));
    let wanted = wanted.add(deal::Column::Status.ne(DealStatus::Cancelled));
    let found: Option<(i64, Option<i64>)> = select.filter(wanted).into_tuple().one(db).await?;
    let (count, total) = found.unwrap_or_default();
    Ok((count, Money(total.unwrap_or_default())))
}

/// How many registered contracts the centres have, and the sum of their technical amounts (T11). A registration that was
/// cancelled counts no more (T9).
pub async fn registration_totals(db: &impl ConnectionTrait, centres: &[OrganizationId]) -> Result<(i64, Money)> {
    let contracts = contract::Entity::find().select_only().column(contract::Column::Id);
    let contracts = contracts.filter(Condition::all().add_option(of(contract::Column::CentreId, centres)));
    let contracts = contracts.filter(contract::Column::Status.ne(ContractStatus::Cancelled));
    let select = registration::Entity::find().select_only();
    let select = select.expr(registration::Column::ContractId.count()).expr(sum(registration::Column::TechnicalAmount));
    let select = select.filter(registration::Column::ContractId.in_subquery(contracts.into_query()));
    let found: Option<(i64, Option<i64>)> = select.into_tuple().one(db).await?;
    let (count, total) = found.unwrap_or_default();
    Ok((count, Money(total.unwrap_or_default())))
}

/// No centres mean all of them.
fn of<C: ColumnTrait>(column: C, centres: &[OrganizationId]) -> Option<SimpleExpr> {
    (!centres.is_empty()).then(|| column.is_in(centres.iter().copied()))
}

/// SUM(bigint) is NUMERIC on PostgreSQL.
fn sum<C: ColumnTrait>(column: C) -> SimpleExpr {
    column.sum().cast_as("bigint")
}

async fn dossiers(db: &impl ConnectionTrait, contracts: Vec<contract::Model>) -> Result<Vec<Dossier>> {
    if contracts.is_empty() {
        return Ok(Vec::new());
    }
    let ids = || contracts.iter().map(|contract| contract.id);
    let signatures = signature::Entity::find()
        .filter(signature::Column::ContractId.is_in(ids()))
        .order_by_asc(signature::Column::SignedAt)
        .order_by_asc(signature::Column::OrganizationId)
        .all(db)
        .await?;
    let mut registrations =
        registration::Entity::find().filter(registration::Column::ContractId.is_in(ids())).all(db).await?;
    let complete = |contract: contract::Model| {
        let signatures = signatures.iter().filter(|made| made.contract_id == contract.id).cloned().collect();
        let registered = registrations.iter().position(|row| row.contract_id == contract.id);
        Dossier { signatures, registration: registered.map(|at| registrations.swap_remove(at)), contract }
    };
    Ok(contracts.into_iter().map(complete).collect())
}

/// Changes a document as an intruder with access to the database would.
#[cfg(test)]
pub async fn alter_document(db: &impl ConnectionTrait, id: ContractId, text: &str) -> Result<()> {
    let altered = contract::Entity::update_many().col_expr(contract::Column::Document, Expr::value(text));
    altered.filter(contract::Column::Id.eq(id)).exec(db).await?;
    Ok(())
}
