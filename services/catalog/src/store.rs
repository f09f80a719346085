//! The tables of this service; the only file that knows columns.

use kernel::{Id, Instant, Paging, Result, Slice, page};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait,
    IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, Func, OnConflict},
};
use wire::{
    id::{AchievementId, ListingId, OrganizationId, TransferApplicationId},
    v1::{self, ListingStatus, TechnologyField, TransferApplicationStatus},
};

use crate::{listing as sm3, sight::Sight, terms::Terms};

mod achievement;

mod listing {
    use sea_orm::entity::prelude::*;
    use wire::{id, v1};

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "listing")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: id::ListingId,
        pub organization_id: id::OrganizationId,
        /// In whose charge it is.
        pub centre_id: id::OrganizationId,
        pub mandate_id: Option<id::MandateId>,
        pub achievement_id: Option<id::AchievementId>,
        pub title: String,
        pub summary: String,
        pub field: v1::TechnologyField,
        pub stage: v1::Stage,
        pub region: String,
        pub conversion_mode: v1::ConversionMode,
        pub sale_method: v1::SaleMethod,
        pub floor_price: kernel::Money,
        pub deposit: kernel::Money,
        pub increment: kernel::Money,
        pub disclosure_days: i32,
        pub free_seconds: i32,
        pub timed_seconds: i32,
        /// As last written: PERIOD_ENDED never is, see [`crate::listing::effective`].
        pub status: v1::ListingStatus,
        pub author_id: String,
        pub submitter_id: Option<String>,
        pub disclosed_at: Option<kernel::Instant>,
        pub disclosure_ends_at: Option<kernel::Instant>,
        pub review_note: Option<String>,
        pub rules_version: Option<String>,
        /// How many bidder codes are given out.
        pub bidder_codes: i32,
        pub created_at: kernel::Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

mod application {
    use sea_orm::entity::prelude::*;
    use wire::{id, v1};

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "transfer_application")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: id::TransferApplicationId,
        pub listing_id: id::ListingId,
        pub organization_id: id::OrganizationId,
        /// The listing's.
        pub centre_id: id::OrganizationId,
        pub status: v1::TransferApplicationStatus,
        pub deposit: kernel::Money,
        pub bidder_code: Option<String>,
        pub review_note: Option<String>,
        pub created_at: kernel::Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub use achievement::{Achievement, achievement_page, achievements, achievements_from, insert_achievements};
pub use application::Model as Application;
pub use listing::Model as Listing;

impl Listing {
    /// Where it stands at `now`.
    pub fn status_at(&self, now: Instant) -> ListingStatus {
        sm3::effective(self.status, self.disclosure_ends_at, now)
    }

    /// Its terms.
    pub fn terms(&self) -> Terms {
        Terms {
            floor_price: self.floor_price,
            deposit: self.deposit,
            increment: self.increment,
            disclosure_days: self.disclosure_days,
            free_seconds: self.free_seconds,
            timed_seconds: self.timed_seconds,
        }
    }

    /// As callers see it at `now`.
    pub fn shown(self, now: Instant) -> v1::Listing {
        let status = self.status_at(now);
        v1::Listing {
            id: self.id.text(),
            organization_id: self.organization_id.text(),
            achievement_id: self.achievement_id.map(Id::text),
            title: self.title,
            summary: self.summary,
            field: self.field.into(),
            stage: self.stage.into(),
            conversion_mode: self.conversion_mode.into(),
            sale_method: self.sale_method.into(),
            floor_price: Some(self.floor_price),
            deposit: Some(self.deposit),
            increment: Some(self.increment),
            disclosure_days: self.disclosure_days,
            free_seconds: self.free_seconds,
            timed_seconds: self.timed_seconds,
            status: status.into(),
            available_transitions: sm3::next(status).iter().map(|next| i32::from(*next)).collect(),
            disclosed_at: self.disclosed_at,
            disclosure_ends_at: self.disclosure_ends_at,
            review_note: self.review_note,
            rules_version: self.rules_version,
            created_at: Some(self.created_at),
            server_time: Some(now),
            region: self.region,
            centre_id: self.centre_id.text(),
            mandate_id: self.mandate_id.map(Id::text),
        }
    }
}

impl From<Application> for v1::TransferApplication {
    fn from(row: Application) -> Self {
        v1::TransferApplication {
            id: row.id.text(),
            listing_id: row.listing_id.text(),
            organization_id: row.organization_id.text(),
            status: row.status.into(),
            available_transitions: crate::application::next(row.status).iter().map(|next| i32::from(*next)).collect(),
            deposit: Some(row.deposit),
            bidder_code: row.bidder_code,
            review_note: row.review_note,
            created_at: Some(row.created_at),
        }
    }
}

/// What a list of listings is narrowed to.
#[derive(Default)]
pub struct Wanted {
    /// Where they stand at the time of asking.
    pub status: Option<ListingStatus>,
    /// Their field of technology.
    pub field: Option<TechnologyField>,
    /// Text in title or summary.
    pub search: Option<String>,
    /// The transferor.
    pub organization: Option<OrganizationId>,
}

/// The SQL form of [`Sight::covers`].
fn visible(sight: &Sight) -> Condition {
    use listing::Column;
    let places = sight.places.filter(&[Column::OrganizationId], Column::CentreId);
    if sight.places.is_everything() {
        return places;
    }
    let mandated = Column::MandateId.is_in(sight.mandates.iter().copied());
    Condition::any().add(Column::Status.is_not_in(sm3::PRIVATE)).add(places).add(mandated)
}

/// The SQL form of [`sm3::effective`].
fn stands_at(status: ListingStatus, now: Instant) -> Condition {
    match status {
        ListingStatus::Disclosed => disclosed().add(listing::Column::DisclosureEndsAt.gt(now)),
        ListingStatus::PeriodEnded => disclosed().add(listing::Column::DisclosureEndsAt.lte(now)),
        other => Condition::all().add(listing::Column::Status.eq(other)),
    }
}

fn disclosed() -> Condition {
    Condition::all().add(listing::Column::Status.eq(ListingStatus::Disclosed))
}

/// A case-insensitive substring search. Both sides are folded by the database, so that they are folded
/// alike; a position is asked for rather than a pattern, so that `%` and `_` are characters like others.
fn says<C: ColumnTrait>(backend: DbBackend, columns: [C; 2], words: &str) -> Condition {
    let position = if backend == DbBackend::Postgres { "strpos" } else { "instr" };
    columns.into_iter().fold(Condition::any(), |any, column| {
        let found = Func::cust(position).arg(Func::lower(column.into_expr())).arg(Func::lower(Expr::val(words)));
        any.add(Expr::expr(found).gt(0))
    })
}

pub async fn listings(db: &impl ConnectionTrait, ids: Vec<ListingId>, sight: &Sight) -> Result<Vec<Listing>> {
    Ok(listing::Entity::find().filter(listing::Column::Id.is_in(ids)).filter(visible(sight)).all(db).await?)
}

pub async fn listing_page(
    db: &impl ConnectionTrait,
    wanted: Wanted,
    sight: &Sight,
    now: Instant,
    paging: Paging,
) -> Result<Slice<Listing>> {
    use listing::Column;
    let backend = db.get_database_backend();
    let narrowed = Condition::all()
        .add_option(wanted.status.map(|status| stands_at(status, now)))
        .add_option(wanted.field.map(|field| Column::Field.eq(field)))
        .add_option(wanted.search.map(|words| says(backend, [Column::Title, Column::Summary], &words)))
        .add_option(wanted.organization.map(|organization| Column::OrganizationId.eq(organization)));
    page(db, listing::Entity::find().filter(narrowed).filter(visible(sight)), Column::Id, paging).await
}

/// Loads a listing and holds its row until the transaction ends. Listings are locked before their
/// applications, everywhere, so that no two transactions wait for each other.
pub async fn locked_listing(tx: &DatabaseTransaction, id: ListingId) -> Result<Option<Listing>> {
    Ok(listing::Entity::find_by_id(id).lock_exclusive().one(tx).await?)
}

/// Inserts a listing unless its mandate has one (SM-11); tells whether it did.
pub async fn insert_listing(tx: &DatabaseTransaction, row: Listing) -> Result<bool> {
    let taken = OnConflict::column(listing::Column::MandateId).do_nothing().to_owned();
    let insert = listing::Entity::insert(row.into_active_model().reset_all()).on_conflict(taken);
    Ok(insert.exec_without_returning(tx).await? == 1)
}

/// How many listings of the centres, or of all, were ever disclosed.
pub async fn count_disclosed(db: &impl ConnectionTrait, centres: Vec<OrganizationId>) -> Result<i64> {
    use listing::Column;
    let within = (!centres.is_empty()).then(|| Column::CentreId.is_in(centres));
    let disclosed = Condition::all().add(Column::DisclosedAt.is_not_null()).add_option(within);
    let count = listing::Entity::find().filter(disclosed).count(db).await?;
    Ok(i64::try_from(count).unwrap_or(i64::MAX))
}

pub async fn insert_listings(tx: &DatabaseTransaction, rows: Vec<Listing>) -> Result<()> {
    if !rows.is_empty() {
        let rows = rows.into_iter().map(|row| row.into_active_model().reset_all());
        listing::Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    Ok(())
}

pub async fn save_listing(tx: &DatabaseTransaction, row: Listing) -> Result<Listing> {
    Ok(row.into_active_model().reset_all().update(tx).await?)
}

pub async fn applications(
    db: &impl ConnectionTrait,
    ids: Vec<TransferApplicationId>,
    sight: &Sight,
) -> Result<Vec<Application>> {
    let select = application::Entity::find().filter(application::Column::Id.is_in(ids));
    Ok(select.filter(applied(sight)).all(db).await?)
}

/// The SQL form of [`Sight::covers_application`].
fn applied(sight: &Sight) -> Condition {
    sight.places.filter(&[application::Column::OrganizationId], application::Column::CentreId)
}

pub async fn application_page(
    db: &impl ConnectionTrait,
    listing: Option<ListingId>,
    organization: Option<OrganizationId>,
    sight: &Sight,
    paging: Paging,
) -> Result<Slice<Application>> {
    use application::Column;
    let narrowed = Condition::all()
        .add(applied(sight))
        .add_option(listing.map(|listing| Column::ListingId.eq(listing)))
        .add_option(organization.map(|organization| Column::OrganizationId.eq(organization)));
    page(db, application::Entity::find().filter(narrowed), Column::Id, paging).await
}

/// Loads an application and holds its row; its listing's row is held first.
pub async fn locked_application(
    tx: &DatabaseTransaction,
    id: TransferApplicationId,
) -> Result<Option<(Listing, Application)>> {
    let Some(found) = application::Entity::find_by_id(id).one(tx).await? else { return Ok(None) };
    let Some(listing) = locked_listing(tx, found.listing_id).await? else { return Ok(None) };
    let locked = application::Entity::find_by_id(id).lock_exclusive().one(tx).await?;
    Ok(locked.map(|application| (listing, application)))
}

/// Inserts an application unless the organization has one for the listing; tells whether it did.
pub async fn insert_application(tx: &DatabaseTransaction, row: Application) -> Result<bool> {
    use application::Column;
    let taken = OnConflict::columns([Column::ListingId, Column::OrganizationId]).do_nothing().to_owned();
    let insert = application::Entity::insert(row.into_active_model().reset_all()).on_conflict(taken);
    Ok(insert.exec_without_returning(tx).await? == 1)
}

pub async fn save_application(tx: &DatabaseTransaction, row: Application) -> Result<Application> {
    Ok(row.into_active_model().reset_all().update(tx).await?)
}

/// Moves every application of a listing that is at `from` on to `to`.
pub async fn move_applications(
    tx: &DatabaseTransaction,
    listing: ListingId,
    from: TransferApplicationStatus,
    to: TransferApplicationStatus,
) -> Result<()> {
    application::Entity::update_many()
        .col_expr(application::Column::Status, Expr::value(to))
        .filter(application::Column::ListingId.eq(listing))
        .filter(application::Column::Status.eq(from))
        .exec(tx)
        .await?;
    Ok(())
}

/// The listings of these achievements, oldest first.
pub async fn listings_of(tx: &DatabaseTransaction, achievements: Vec<AchievementId>) -> Result<Vec<Listing>> {
    let select = listing::Entity::find().filter(listing::Column::AchievementId.is_in(achievements));
    Ok(select.order_by_asc(listing::Column::Id).all(tx).await?)
}
