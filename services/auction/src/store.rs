//! Tables of the auction: sessions with their lot's state, bidders, the log, awards.

pub mod flush;

use kernel::{Error, Id, Instant, Money, Result, Sight};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Statement,
    sea_query::{ExprTrait, OnConflict},
};
use wire::{
    id::{AwardId, BiddingSessionId, ListingId, OrganizationId, TransferApplicationId},
    v1::{self, AuctionEventKind, AwardStatus, BiddingStatus},
};

use crate::engine::{self, Lead, Lot, Terms};

pub mod session {
    use super::{BiddingSessionId, BiddingStatus, Instant, ListingId, Money, OrganizationId};
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "bidding_session")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: BiddingSessionId,
        pub listing_id: ListingId,
        pub transferor_id: OrganizationId,
        /// In whose charge it is: the listing's.
        pub centre_id: OrganizationId,
        pub title: String,
        pub licence: bool,
        pub rules_version: String,
        pub starting_price: Money,
        pub increment: Money,
        pub starts_at: Instant,
        pub free_ends_at: Instant,
        pub timed_seconds: i32,
        pub bidder_count: i32,
        pub status: BiddingStatus,
        pub seq: i64,
        pub bid_count: i64,
        pub leading_code: Option<String>,
        pub current_price: Option<Money>,
        pub closes_at: Option<Instant>,
        pub last_at: Instant,
        pub version: i64,
        pub created_at: Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod bidder {
    use super::{BiddingSessionId, OrganizationId, TransferApplicationId};
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "bidder")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub session_id: BiddingSessionId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub code: String,
        pub organization_id: OrganizationId,
        pub transfer_application_id: TransferApplicationId,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod event {
    use super::{AuctionEventKind, BiddingSessionId, Instant, Money};
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "auction_event")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub session_id: BiddingSessionId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub seq: i64,
        pub kind: AuctionEventKind,
        pub at: Instant,
        pub bidder_code: Option<String>,
        pub amount: Option<Money>,
        pub closes_at: Option<Instant>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod award {
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
        pub price: Money,
        pub status: AwardStatus,
        pub first_confirmer: Option<String>,
        pub second_confirmer: Option<String>,
        pub decided_at: Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl session::Model {
    /// The lot as the engine knows it.
    pub fn lot(&self) -> Lot {
        let lead = self.leading_code.clone().zip(self.current_price).map(|(code, amount)| Lead { code, amount });
        Lot {
            terms: Terms {
                starting_price: self.starting_price,
                increment: self.increment,
                starts_at: self.starts_at,
                free_ends_at: self.free_ends_at,
                timed_seconds: i64::from(self.timed_seconds),
            },
            status: self.status,
            seq: self.seq,
            bid_count: self.bid_count,
            lead,
            closes_at: self.closes_at,
            last_at: self.last_at,
        }
    }

    /// Writes the lot's state back into the row.
    pub fn put(&mut self, lot: &Lot) {
        self.status = lot.status;
        self.seq = lot.seq;
        self.bid_count = lot.bid_count;
        self.leading_code = lot.lead.as_ref().map(|lead| lead.code.clone());
        self.current_price = lot.lead.as_ref().map(|lead| lead.amount);
        self.closes_at = lot.closes_at;
        self.last_at = lot.last_at;
    }

    /// As clients see it at `now`.
    pub fn view(&self, now: Instant) -> v1::BiddingSession {
        let lot = self.lot();
        v1::BiddingSession {
            id: self.id.text(),
            listing_id: self.listing_id.text(),
            status: self.status.into(),
            available_transitions: engine::next(self.status).iter().map(|status| (*status).into()).collect(),
            starting_price: Some(self.starting_price),
            increment: Some(self.increment),
            starts_at: Some(self.starts_at),
            free_ends_at: Some(self.free_ends_at),
            timed_seconds: self.timed_seconds,
            closes_at: self.closes_at,
            current_price: self.current_price,
            leading_code: self.leading_code.clone(),
            minimum_amount: Some(lot.minimum()),
            bid_count: self.bid_count,
            seq: self.seq,
            server_time: Some(now),
            bidder_count: self.bidder_count,
            rules_version: self.rules_version.clone(),
            centre_id: self.centre_id.text(),
        }
    }
}

impl event::Model {
    /// The row of one decided event.
    pub fn new(session_id: BiddingSessionId, event: &v1::AuctionEvent) -> Self {
        Self {
            session_id,
            seq: event.seq,
            kind: event.kind(),
            at: event.at.unwrap_or_default(),
            bidder_code: event.bidder_code.clone(),
            amount: event.amount,
            closes_at: event.closes_at,
        }
    }
}

impl From<event::Model> for v1::AuctionEvent {
    fn from(row: event::Model) -> Self {
        v1::AuctionEvent {
            session_id: row.session_id.text(),
            seq: row.seq,
            kind: row.kind.into(),
            at: Some(row.at),
            bidder_code: row.bidder_code,
            amount: row.amount,
            closes_at: row.closes_at,
        }
    }
}

impl From<award::Model> for v1::Award {
    fn from(row: award::Model) -> Self {
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

/// A session with its bidders, in two reads.
pub async fn load(
    db: &impl ConnectionTrait,
    id: BiddingSessionId,
) -> Result<Option<(session::Model, Vec<bidder::Model>)>> {
    let Some(session) = session::Entity::find_by_id(id).one(db).await? else { return Ok(None) };
    let bidders = bidder::Entity::find().filter(bidder::Column::SessionId.eq(id)).all(db).await?;
    Ok(Some((session, bidders)))
}

/// Makes decisions about one listing take turns: a sole bidder's quote and a schedule must see each other
/// (P-2). On SQLite the one writer does it.
pub async fn take_turns(tx: &DatabaseTransaction, listing: ListingId) -> Result<()> {
    if tx.get_database_backend() == DbBackend::Postgres {
        let (high, low) = listing.uuid().as_u64_pair();
        let key = i64::from_be_bytes((high ^ low).to_be_bytes());
        let lock = "SELECT pg_advisory_xact_lock($1)";
        tx.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, lock, [key.into()])).await?;
    }
    Ok(())
}

pub async fn sessions(
    db: &impl ConnectionTrait,
    ids: Vec<BiddingSessionId>,
    listings: Vec<ListingId>,
) -> Result<Vec<session::Model>> {
    let wanted = session::Column::Id.is_in(ids).or(session::Column::ListingId.is_in(listings));
    Ok(session::Entity::find().filter(wanted).all(db).await?)
}

/// Sessions that time will still move.
pub async fn open_sessions(db: &impl ConnectionTrait) -> Result<Vec<BiddingSessionId>> {
    let open = [BiddingStatus::Scheduled, BiddingStatus::Free, BiddingStatus::Timed];
    let rows = session::Entity::find().filter(session::Column::Status.is_in(open)).all(db).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Inserts a session with its bidders and its first event; false if the listing has one already.
pub async fn insert_session(
    tx: &DatabaseTransaction,
    row: session::Model,
    bidders: Vec<bidder::Model>,
    first: event::Model,
) -> Result<bool> {
    let inserted = session::Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::column(session::Column::ListingId).do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    if inserted == 0 {
        return Ok(false);
    }
    let bidders = bidders.into_iter().map(IntoActiveModel::into_active_model);
    bidder::Entity::insert_many(bidders).exec_without_returning(tx).await?;
    event::Entity::insert(first.into_active_model()).exec_without_returning(tx).await?;
    Ok(true)
}

pub async fn events(
    db: &impl ConnectionTrait,
    id: BiddingSessionId,
    after_seq: i64,
    limit: u64,
) -> Result<Vec<v1::AuctionEvent>> {
    let rows = event::Entity::find()
        .filter(event::Column::SessionId.eq(id))
        .filter(event::Column::Seq.gt(after_seq))
        .order_by_asc(event::Column::Seq)
        .limit(limit)
        .all(db)
        .await?;
    Ok(rows.into_iter().map(v1::AuctionEvent::from).collect())
}

/// Inserts the award; false if the listing has one (promise P-2).
pub async fn insert_award(tx: &DatabaseTransaction, row: award::Model) -> Result<bool> {
    let inserted = award::Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::column(award::Column::ListingId).do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    Ok(inserted == 1)
}

/// Those of the awards that are in sight.
pub async fn awards(
    db: &impl ConnectionTrait,
    sight: &Sight,
    ids: Vec<AwardId>,
    listings: Vec<ListingId>,
) -> Result<Vec<award::Model>> {
    use award::Column;
    let wanted = Column::Id.is_in(ids).or(Column::ListingId.is_in(listings));
    let seen = sight.filter(&[Column::WinnerId, Column::TransferorId], Column::CentreId);
    Ok(award::Entity::find().filter(wanted).filter(seen).all(db).await?)
}

/// Whether somebody acquires the listing already, confirmed or not.
pub async fn is_awarded(tx: &DatabaseTransaction, listing: ListingId) -> Result<bool> {
    Ok(award::Entity::find().filter(award::Column::ListingId.eq(listing)).count(tx).await? > 0)
}

/// The award under lock.
pub async fn award_for_update(tx: &DatabaseTransaction, id: AwardId) -> Result<Option<award::Model>> {
    Ok(award::Entity::find_by_id(id).lock_exclusive().one(tx).await?)
}

pub async fn confirm(
    tx: &DatabaseTransaction,
    row: award::Model,
    status: AwardStatus,
    confirmer: &str,
) -> Result<award::Model> {
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
