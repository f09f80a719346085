//! Who acquires what.

use kernel::{Error, Id, Instant, Money, Result, Sight, Transaction};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    UpdateMany,
    sea_query::{Expr, ExprTrait, OnConflict, SimpleExpr},
};
use wire::{
    id::{AwardId, BiddingSessionId, ListingId, OrganizationId, TransferApplicationId},
    v1::{self, AwardStatus},
};

use super::{bidder, session};

pub use row::Model;
use row::{Column, Entity};

mod row {
    use super::{
        AwardId, AwardStatus, BiddingSessionId, Instant, ListingId, Money, OrganizationId, TransferApplicationId,
    };
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "award")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: AwardId,
        pub listing_id: ListingId,
        pub session_id: Option<BiddingSessionId>,
        pub transferor_id: OrganizationId,
        pub winner_id: OrganizationId,
        pub centre_id: OrganizationId,
        pub transfer_application_id: TransferApplicationId,
        pub title: String,
        pub licence: bool,
        pub open: bool,
        pub price: Money,
        pub status: AwardStatus,
        pub first_confirmer: Option<String>,
        pub second_confirmer: Option<String>,
        pub decided_at: Instant,
        pub default_declared_at: Option<Instant>,
        pub default_declared_by: Option<String>,
        pub default_hindrance: Option<String>,
        pub transferor_defaults: bool,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl Model {
    /// What a session decided for one bidder. Its id follows from the two, so that deciding twice is one award.
    pub fn of_session(row: &session::Model, winner: &bidder::Model, (price, at, open): (Money, Instant, bool)) -> Self {
        Self {
            id: AwardId::derived(row.id.uuid(), &format!("award {}", winner.code)),
            listing_id: row.listing_id,
            session_id: Some(row.id),
            transferor_id: row.transferor_id,
            winner_id: winner.organization_id,
            centre_id: row.centre_id,
            transfer_application_id: winner.transfer_application_id,
            title: row.title.clone(),
            licence: row.licence,
            open,
            price,
            status: AwardStatus::Proposed,
            first_confirmer: None,
            second_confirmer: None,
            decided_at: at,
            default_declared_at: None,
            default_declared_by: None,
            default_hindrance: None,
            transferor_defaults: false,
        }
    }
}

impl From<Model> for v1::Award {
    fn from(row: Model) -> Self {
        v1::Award {
            id: row.id.text(),
            listing_id: row.listing_id.text(),
            session_id: row.session_id.map(Id::text),
            winner_id: row.winner_id.text(),
            transferor_id: row.transferor_id.text(),
            price: Some(row.price),
            status: row.status.into(),
            available_transitions: crate::engine::award::next(row.status)
                .iter()
                .map(|status| (*status).into())
                .collect(),
            decided_at: Some(row.decided_at),
            transfer_application_id: row.transfer_application_id.text(),
            centre_id: row.centre_id.text(),
            default_declared_at: row.default_declared_at,
            default_hindrance: row.default_hindrance,
        }
    }
}

/// Inserts the award; false if the listing has one that stands (promise P-2).
pub async fn insert(tx: &Transaction, row: Model) -> Result<bool> {
    let inserted = Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    Ok(inserted == 1)
}

/// Those of the awards that are in sight; of one listing the one that stands comes last, and counts.
pub async fn list(
    db: &impl ConnectionTrait,
    sight: &Sight,
    ids: Vec<AwardId>,
    listings: Vec<ListingId>,
) -> Result<Vec<Model>> {
    let wanted = Column::Id.is_in(ids).or(Column::ListingId.is_in(listings));
    let seen = sight.filter(&[Column::WinnerId, Column::TransferorId], Column::CentreId);
    let found = Entity::find().filter(wanted).filter(seen);
    Ok(found.order_by_asc(Column::DecidedAt).all(db).await?)
}

/// Where these awards stand.
pub async fn statuses(db: &impl ConnectionTrait, ids: Vec<AwardId>) -> Result<Vec<(AwardId, AwardStatus)>> {
    let rows = Entity::find().filter(Column::Id.is_in(ids)).all(db).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.status)).collect())
}

/// Whether somebody acquires the listing already, confirmed or not.
pub async fn stands(tx: &Transaction, listing: ListingId) -> Result<bool> {
    let standing = Column::ListingId.eq(listing).and(Column::Status.ne(AwardStatus::Defaulted));
    Ok(Entity::find().filter(standing).count(tx).await? > 0)
}

/// The award under lock.
pub async fn for_update(tx: &Transaction, id: AwardId) -> Result<Option<Model>> {
    Ok(Entity::find_by_id(id).lock_exclusive().one(tx).await?)
}

pub async fn confirm(tx: &Transaction, row: Model, status: AwardStatus, confirmer: &str) -> Result<Model> {
    let first = row.first_confirmer.is_none();
    let mut change = row.into_active_model();
    change.status = Set(status);
    if first {
        change.first_confirmer = Set(Some(confirmer.to_owned()));
    } else {
        change.second_confirmer = Set(Some(confirmer.to_owned()));
    }
    change.update(tx).await.map_err(Error::from)
}

/// Notes that somebody declared the winner's or the transferor's default; false if one is noted already, or it is too late.
pub async fn declare_default(
    tx: &Transaction,
    id: AwardId,
    transferor: bool,
    (by, now): (&str, Instant),
) -> Result<bool> {
    let declared = Entity::update_many()
        .col_expr(Column::DefaultDeclaredAt, Expr::value(now))
        .col_expr(Column::DefaultDeclaredBy, Expr::value(by))
        .col_expr(Column::TransferorDefaults, Expr::value(transferor))
        .filter(Column::Id.eq(id))
        .filter(not_ended())
        .filter(Column::DefaultDeclaredAt.is_null());
    Ok(declared.exec(tx).await?.rows_affected == 1)
}

/// The declared defaults that are not carried out yet, the oldest first.
pub async fn defaults_under_way(db: &impl ConnectionTrait) -> Result<Vec<Model>> {
    let declared = Column::DefaultDeclaredAt.is_not_null().and(not_ended());
    Ok(Entity::find().filter(declared).order_by_asc(Column::DefaultDeclaredAt).all(db).await?)
}

/// Notes what stands in the way of a declared default.
pub async fn hinder_default(db: &impl ConnectionTrait, id: AwardId, hindrance: &str) -> Result<()> {
    not_in_default(id).col_expr(Column::DefaultHindrance, Expr::value(hindrance)).exec(db).await?;
    Ok(())
}

/// A default that was declared counts no more: the deal was settled first.
pub async fn revoke_default(db: &impl ConnectionTrait, id: AwardId) -> Result<()> {
    not_in_default(id)
        .col_expr(Column::DefaultDeclaredAt, Expr::value(None::<Instant>))
        .col_expr(Column::DefaultDeclaredBy, Expr::value(None::<String>))
        .col_expr(Column::DefaultHindrance, Expr::value(None::<String>))
        .col_expr(Column::TransferorDefaults, Expr::value(false))
        .exec(db)
        .await?;
    Ok(())
}

fn not_in_default(id: AwardId) -> UpdateMany<Entity> {
    Entity::update_many().filter(Column::Id.eq(id)).filter(not_ended())
}

fn not_ended() -> SimpleExpr {
    Column::Status.ne(AwardStatus::Defaulted).and(Column::Status.ne(AwardStatus::TransferorDefaulted))
}

/// The awards of an organization, on either side, that are not confirmed yet.
pub async fn unconfirmed(db: &impl ConnectionTrait, organization: OrganizationId) -> Result<Vec<Model>> {
    let sides = Column::WinnerId.eq(organization).or(Column::TransferorId.eq(organization));
    let open = Column::Status.is_in([AwardStatus::Proposed, AwardStatus::HalfConfirmed]);
    Ok(Entity::find().filter(sides).filter(open).order_by_asc(Column::Id).all(db).await?)
}

/// One of the two sides defaulted.
pub async fn fail(tx: &Transaction, row: Model, status: AwardStatus) -> Result<Model> {
    let mut change = row.into_active_model();
    change.status = Set(status);
    change.default_hindrance = Set(None);
    change.update(tx).await.map_err(Error::from)
}
