//! Who acquires what.

use kernel::{Error, Id, Instant, Money, Result, Sight};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect,
    sea_query::{ExprTrait, OnConflict},
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
            available_transitions: crate::award::next(row.status).iter().map(|status| (*status).into()).collect(),
            decided_at: Some(row.decided_at),
            transfer_application_id: row.transfer_application_id.text(),
            centre_id: row.centre_id.text(),
        }
    }
}

/// Inserts the award; false if the listing has one that stands (promise P-2).
pub async fn insert(tx: &DatabaseTransaction, row: Model) -> Result<bool> {
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
pub async fn stands(tx: &DatabaseTransaction, listing: ListingId) -> Result<bool> {
    let standing = Column::ListingId.eq(listing).and(Column::Status.ne(AwardStatus::Defaulted));
    Ok(Entity::find().filter(standing).count(tx).await? > 0)
}

/// The award under lock.
pub async fn for_update(tx: &DatabaseTransaction, id: AwardId) -> Result<Option<Model>> {
    Ok(Entity::find_by_id(id).lock_exclusive().one(tx).await?)
}

pub async fn confirm(tx: &DatabaseTransaction, row: Model, status: AwardStatus, confirmer: &str) -> Result<Model> {
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

/// The winner defaulted.
pub async fn fail(tx: &DatabaseTransaction, row: Model) -> Result<Model> {
    let mut change = row.into_active_model();
    change.status = Set(AwardStatus::Defaulted);
    change.update(tx).await.map_err(Error::from)
}
