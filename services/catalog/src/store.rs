//! The tables of this service; the only file that knows columns.

use kernel::{Id, Instant, Paging, Result, Slice, page};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait,
    IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, Func, OnConflict},
};
use wire::{
    id::{AchievementId, ListingId, OrganizationId, TransferApplicationId},
    v1::{self, ListingStatus, TechnologyField, TransferApplicationStatus},
};

use crate::{listing as sm3, record::Origin, sight::Sight, terms::Terms};

mod achievement {
    use sea_orm::entity::prelude::*;
    use wire::{id, v1};

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "achievement")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: id::AchievementId,
        pub organization_id: id::OrganizationId,
        pub title: String,
        pub summary: String,
        /// A JSON list of texts.
        pub keywords: String,
        pub field: Option<v1::TechnologyField>,
        pub stage: Option<v1::Stage>,
        pub ip_kind: v1::IpKind,
        pub ip_number: Option<String>,
        pub ip_expires_on: Option<String>,
        pub owner: String,
        pub source: Option<String>,
        pub source_id: Option<String>,
        pub created_at: kernel::Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

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
        pub status: v1::TransferApplicationStatus,
        pub deposit: kernel::Money,
        pub bidder_code: Option<String>,
        pub review_note: Option<String>,
        pub created_at: kernel::Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub use achievement::Model as Achievement;
pub use application::Model as Application;
pub use listing::Model as Listing;

impl From<Achievement> for v1::Achievement {
    fn from(row: Achievement) -> Self {
        v1::Achievement {
            id: row.id.text(),
            organization_id: row.organization_id.text(),
            title: row.title,
            summary: row.summary,
            keywords: serde_json::from_str(&row.keywords).unwrap_or_default(),
            field: row.field.map(i32::from),
            stage: row.stage.map(i32::from),
            ip_kind: row.ip_kind.into(),
            ip_number: row.ip_number,
            ip_expires_on: row.ip_expires_on,
            owner: row.owner,
            source: row.source,
            source_id: row.source_id,
            created_at: Some(row.created_at),
        }
    }
}

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

fn visible(sight: &Sight) -> Condition {
    match sight {
        Sight::All => Condition::all(),
        Sight::Own(own) => Condition::any()
            .add(listing::Column::Status.is_not_in(sm3::PRIVATE))
            .add(listing::Column::OrganizationId.is_in(own.iter().copied())),
    }
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
    Ok(select.filter(theirs(sight)).all(db).await?)
}

/// Never the transferor's to see, nor a rival's.
fn theirs(sight: &Sight) -> Condition {
    match sight {
        Sight::All => Condition::all(),
        Sight::Own(own) => Condition::all().add(application::Column::OrganizationId.is_in(own.iter().copied())),
    }
}

pub async fn application_page(
    db: &impl ConnectionTrait,
    listing: Option<ListingId>,
    organization: Option<OrganizationId>,
    sight: &Sight,
    paging: Paging,
) -> Result<Slice<Application>> {
    use application::Column;
    let narrowed = theirs(sight)
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

pub async fn achievements(db: &impl ConnectionTrait, ids: Vec<AchievementId>) -> Result<Vec<Achievement>> {
    Ok(achievement::Entity::find().filter(achievement::Column::Id.is_in(ids)).all(db).await?)
}

pub async fn achievement_page(
    db: &impl ConnectionTrait,
    search: Option<String>,
    organization: Option<OrganizationId>,
    paging: Paging,
) -> Result<Slice<Achievement>> {
    use achievement::Column;
    let backend = db.get_database_backend();
    let narrowed = Condition::all()
        .add_option(search.map(|words| says(backend, [Column::Title, Column::Summary], &words)))
        .add_option(organization.map(|organization| Column::OrganizationId.eq(organization)));
    page(db, achievement::Entity::find().filter(narrowed), Column::Id, paging).await
}

/// Inserts achievements except those whose (source, source_id) is known already. Which ones went in
/// shows when they are looked up again by their origin.
pub async fn insert_achievements(tx: &DatabaseTransaction, rows: Vec<Achievement>) -> Result<()> {
    use achievement::Column;
    if !rows.is_empty() {
        let rows = rows.into_iter().map(|row| row.into_active_model().reset_all());
        let known = OnConflict::columns([Column::Source, Column::SourceId]).do_nothing().to_owned();
        achievement::Entity::insert_many(rows).on_conflict(known).exec_without_returning(tx).await?;
    }
    Ok(())
}

/// What is stored under these origins, and perhaps more of the same sources.
pub async fn achievements_from(tx: &DatabaseTransaction, origins: &[Origin]) -> Result<Vec<Achievement>> {
    use achievement::Column;
    let select = achievement::Entity::find()
        .filter(Column::Source.is_in(origins.iter().map(|origin| origin.source.as_str())))
        .filter(Column::SourceId.is_in(origins.iter().map(|origin| origin.source_id.as_str())));
    Ok(select.all(tx).await?)
}

/// The listings of these achievements, oldest first.
pub async fn listings_of(tx: &DatabaseTransaction, achievements: Vec<AchievementId>) -> Result<Vec<Listing>> {
    let select = listing::Entity::find().filter(listing::Column::AchievementId.is_in(achievements));
    Ok(select.order_by_asc(listing::Column::Id).all(tx).await?)
}
