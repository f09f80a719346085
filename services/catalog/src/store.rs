//! The tables of this service; the only file that knows columns.

use kernel::{Error, Id, Instant, Paging, Result, Slice, Transaction, Vault, page};
use prost::Message;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait, Func, OnConflict},
};
use wire::{
    id::{AchievementId, ListingId, OrganizationId},
    v1::{self, ListingStatus, TechnologyField},
};

use crate::{
    listing::{
        listing_status,
        reserve::Reserve,
        terms::{Notice, Terms},
    },
    sight::Sight,
};

mod achievement;
mod application;
mod lot;

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
        /// The announced terms of bidding, as the wire carries them.
        pub bidding: Vec<u8>,
        /// The secret reserve, sealed.
        pub reserve: Option<Vec<u8>>,
        /// As last written: PERIOD_ENDED never is, see [`crate::listing::listing_status::effective`].
        pub status: v1::ListingStatus,
        pub author_id: String,
        pub submitter_id: Option<String>,
        pub disclosed_at: Option<kernel::Instant>,
        pub disclosure_ends_at: Option<kernel::Instant>,
        pub review_note: Option<String>,
        pub rules_version: Option<String>,
        /// How many bidder codes are given out.
        pub bidder_codes: i32,
        /// Whether a session was scheduled while the disclosure ran.
        pub scheduled: bool,
        /// How often its disclosure was extended.
        pub extensions: i32,
        /// 1 for the first time that the lot is offered.
        pub round: i32,
        pub relists_id: Option<id::ListingId>,
        /// The first listing of the lot.
        pub origin_id: id::ListingId,
        /// What approves a deep price cut.
        pub approval: Option<String>,
        pub created_at: kernel::Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// As written: from the hand-in until it is sold or not.
const UNDER_WAY: [ListingStatus; 5] = [
    ListingStatus::Submitted,
    ListingStatus::Disclosed,
    ListingStatus::Bidding,
    ListingStatus::TransfereeFixed,
    ListingStatus::Contracted,
];

pub use achievement::{Achievement, achievement_page, achievements, achievements_from, insert_achievements};
pub use application::{
    Application, application_page, applications, count_eligible, enter, insert_application, locked_application,
    move_applications, move_others, name_members, open_applications, rank_taken, save_application, told_application,
};
pub use listing::Model as Listing;
pub use lot::{bar, is_barred, is_relisted, origin};

impl Listing {
    /// Whether a caller with this sight may see it.
    #[must_use]
    pub fn is_open_to(&self, sight: &Sight) -> bool {
        !listing_status::PRIVATE.contains(&self.status)
            || sight.places.covers(&[self.organization_id.uuid()], self.centre_id.uuid())
            || self.mandate_id.is_some_and(|mandate| sight.mandates.contains(&mandate))
    }

    /// Where it stands at `now`.
    pub fn status_at(&self, now: Instant) -> ListingStatus {
        listing_status::effective(self.status, self.disclosure_ends_at, self.scheduled, now)
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

    /// What else decides which terms of bidding it may have.
    pub fn notice(&self) -> Notice {
        Notice { terms: self.terms(), sale_method: self.sale_method, conversion_mode: self.conversion_mode }
    }

    /// What the notice says of bidding.
    pub fn announced(&self) -> Result<v1::BiddingTerms> {
        let faulty = |error: prost::DecodeError| Error::Internal(format!("the terms of {}: {error}", self.id));
        v1::BiddingTerms::decode(self.bidding.as_slice()).map_err(faulty)
    }

    /// How the winner is found.
    pub fn mode(&self) -> Result<v1::BiddingMode> {
        Ok(self.announced()?.mode())
    }

    /// Its secret reserve price, if it has one.
    pub fn reserve(&self, vault: &Vault) -> Result<Option<Reserve>> {
        self.reserve.as_deref().map(|sealed| Reserve::open(vault, self.id, sealed)).transpose()
    }

    /// As callers see it at `now`.
    pub fn shown(self, now: Instant) -> v1::Listing {
        let status = self.status_at(now);
        let bidding = self.announced().ok();
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
            available_transitions: listing_status::next(status).iter().map(|next| i32::from(*next)).collect(),
            disclosed_at: self.disclosed_at,
            disclosure_ends_at: self.disclosure_ends_at,
            review_note: self.review_note,
            rules_version: self.rules_version,
            created_at: Some(self.created_at),
            server_time: Some(now),
            region: self.region,
            centre_id: self.centre_id.text(),
            mandate_id: self.mandate_id.map(Id::text),
            bidding,
            round: self.round,
            relists_id: self.relists_id.map(Id::text),
            extensions: self.extensions,
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

/// The SQL form of [`Listing::is_open_to`].
fn visible(sight: &Sight) -> Condition {
    use listing::Column;
    let places = sight.places.filter(&[Column::OrganizationId], Column::CentreId);
    if sight.places.is_everything() {
        return places;
    }
    let mandated = Column::MandateId.is_in(sight.mandates.iter().copied());
    Condition::any().add(Column::Status.is_not_in(listing_status::PRIVATE)).add(places).add(mandated)
}

/// The SQL form of [`listing_status::effective`].
fn stands_at(status: ListingStatus, now: Instant) -> Condition {
    use listing::Column;
    match status {
        ListingStatus::Disclosed => disclosed().add(Column::DisclosureEndsAt.gt(now)),
        ListingStatus::PeriodEnded => ended(now, false),
        ListingStatus::Bidding => Condition::any().add(Column::Status.eq(status)).add(ended(now, true)),
        other => Condition::all().add(Column::Status.eq(other)),
    }
}

fn disclosed() -> Condition {
    Condition::all().add(listing::Column::Status.eq(ListingStatus::Disclosed))
}

fn ended(now: Instant, scheduled: bool) -> Condition {
    use listing::Column;
    disclosed().add(Column::DisclosureEndsAt.lte(now)).add(Column::Scheduled.eq(scheduled))
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

/// The ids of all listings that are handed in and have not ended.
fn listings_under_way() -> Select<listing::Entity> {
    let ids = listing::Entity::find().select_only().column(listing::Column::Id);
    ids.filter(listing::Column::Status.is_in(UNDER_WAY))
}

/// The organization's listings that are handed in and have not ended.
pub async fn open_listings(db: &impl ConnectionTrait, organization: OrganizationId) -> Result<Vec<Listing>> {
    use listing::Column;
    let own = listing::Entity::find().filter(Column::OrganizationId.eq(organization));
    Ok(own.filter(Column::Status.is_in(UNDER_WAY)).order_by_asc(Column::Id).all(db).await?)
}

/// Loads a listing and holds its row until the transaction ends. Listings are locked before their
/// applications, everywhere, so that no two transactions wait for each other.
pub async fn locked_listing(tx: &Transaction, id: ListingId) -> Result<Option<Listing>> {
    Ok(listing::Entity::find_by_id(id).lock_exclusive().one(tx).await?)
}

/// Inserts a listing unless its mandate has one (SM-11); tells whether it did.
pub async fn insert_listing(tx: &Transaction, row: Listing) -> Result<bool> {
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

pub async fn insert_listings(tx: &Transaction, rows: Vec<Listing>) -> Result<()> {
    if !rows.is_empty() {
        let rows = rows.into_iter().map(|row| row.into_active_model().reset_all());
        listing::Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    Ok(())
}

pub async fn save_listing(tx: &Transaction, row: Listing) -> Result<Listing> {
    Ok(row.into_active_model().reset_all().update(tx).await?)
}

/// The listings of these achievements, oldest first.
pub async fn listings_of(tx: &Transaction, achievements: Vec<AchievementId>) -> Result<Vec<Listing>> {
    let select = listing::Entity::find().filter(listing::Column::AchievementId.is_in(achievements));
    Ok(select.order_by_asc(listing::Column::Id).all(tx).await?)
}
