//! Tables of the auction: sessions with their lot's state, bidders, the log with its heads, awards.

pub mod anchor;
pub mod award;
pub mod confirmation;
pub mod exclusion;
pub mod flush;
pub mod hall;
pub mod hall_line;
pub mod log;
mod scheduled;
pub mod sealed;

use kernel::{Context, Error, Id, Instant, Result, Transaction, Vault, merkle, record_altered};
use prost::Message;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Statement,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use wire::{
    id::{BiddingSessionId, ListingId, OrganizationId, TransferApplicationId},
    v1::{self, BiddingStatus},
};

use crate::engine::{self, Lot, Secrets, Terms};

pub use scheduled::insert_session;

pub mod session {
    use super::{BiddingSessionId, BiddingStatus, Instant, ListingId, OrganizationId};
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
        pub terms: Vec<u8>,
        pub status: BiddingStatus,
        pub seq: i64,
        pub state: Vec<u8>,
        pub secrets: Option<Vec<u8>>,
        pub peaks: Vec<u8>,
        pub halted: bool,
        pub version: i64,
        pub created_at: Instant,
        /// The exchange's mark of the lot as its last round left it.
        pub mark: Option<Vec<u8>>,
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
        pub preemption_rank: Option<i32>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl session::Model {
    /// The lot as the engine knows it, without what it hides.
    pub fn lot(&self) -> Result<Lot> {
        Ok(Lot { terms: self.terms()?, state: read(&self.state)?, secrets: Secrets::default() })
    }

    /// The lot with what it hides.
    pub fn whole_lot(&self, cx: &Context) -> Result<Lot> {
        let Some(sealed) = &self.secrets else { return self.lot() };
        let secrets = read(&cx.vault.unwrap(&self.secrets_name(), sealed)?)?;
        Ok(Lot { secrets, ..self.lot()? })
    }

    fn secrets_name(&self) -> String {
        format!("lot/{}", self.id.text())
    }

    /// What was announced.
    pub fn terms(&self) -> Result<Terms> {
        read(&self.terms)
    }

    /// The mark of what rounds write; nobody makes it without the exchange's key.
    pub fn made_mark(&self, vault: &Vault) -> merkle::Hash {
        let session::Model { id, status, seq, state, secrets, peaks, halted, version, .. } = self;
        let status = v1::BiddingStatus::as_str_name(status);
        vault.mark(&[
            b"lot",
            id.uuid().as_bytes(),
            status.as_bytes(),
            &seq.to_be_bytes(),
            state,
            secrets.as_deref().unwrap_or_default(),
            peaks,
            &[u8::from(*halted)],
            &version.to_be_bytes(),
        ])
    }

    /// Whether the row is as the exchange's last round left it.
    pub fn is_ours(&self, vault: &Vault) -> bool {
        self.mark.as_deref().is_some_and(|mark| mark == self.made_mark(vault))
    }

    /// Requires that the row is as the exchange left it: what is decided rests on it.
    pub fn require_ours(&self, vault: &Vault) -> Result<()> {
        if self.is_ours(vault) { Ok(()) } else { Err(record_altered(&format!("bidding_session id={}", self.id), None)) }
    }

    /// Writes the lot's state into the row.
    pub fn put(&mut self, lot: &Lot) {
        self.status = lot.status();
        self.seq = lot.state.seq;
        self.state = lot.state.encode_to_vec();
    }

    /// Writes what the lot hides into the row.
    pub fn put_secrets(&mut self, cx: &Context, secrets: &Secrets) -> Result<()> {
        let empty = *secrets == Secrets::default();
        let name = self.secrets_name();
        self.secrets = (!empty).then(|| cx.vault.wrap(&name, &secrets.encode_to_vec())).transpose()?;
        Ok(())
    }

    /// As clients see it at `now`.
    pub fn shown(&self, now: Instant) -> Result<v1::BiddingSession> {
        Ok(self.view(&self.lot()?, now))
    }

    /// As clients see it with this lot.
    pub fn view(&self, lot: &Lot, now: Instant) -> v1::BiddingSession {
        let Lot { terms, state, .. } = lot;
        let sealed = terms.is_sealed() && state.bidders.is_empty();
        v1::BiddingSession {
            id: self.id.text(),
            listing_id: self.listing_id.text(),
            status: state.status,
            available_transitions: engine::next(lot.status()).iter().map(|status| (*status).into()).collect(),
            starting_price: Some(terms.starting_price),
            increment: Some(terms.increment(lot.price().unwrap_or(terms.starting_price))),
            starts_at: Some(terms.starts_at),
            free_ends_at: terms.free_end(),
            timed_seconds: terms.announced.timed_seconds,
            closes_at: state.closes_at,
            current_price: lot.price(),
            leading_code: state.lead.as_ref().map(|lead| lead.code.clone()),
            minimum_amount: lot.minimum(),
            bid_count: state.bid_count,
            seq: state.seq,
            server_time: Some(now),
            bidder_count: (!sealed).then(|| i32::try_from(state.bidders.len()).unwrap_or(i32::MAX)),
            rules_version: self.rules_version.clone(),
            centre_id: self.centre_id.text(),
            terms: Some(terms.announced.clone()),
            extensions: state.extensions,
            round: state.round,
            asking_price: state.asking,
            warnings: state.warnings,
            sealed_keys: terms.sealed_keys.clone(),
            takes_late_bidders: terms.takes_late_bidders()
                && matches!(lot.status(), BiddingStatus::Scheduled | BiddingStatus::Free),
        }
    }
}

/// What the engine encoded; anything else in its place is a fault.
fn read<M: Message + Default>(bytes: &[u8]) -> Result<M> {
    M::decode(bytes).map_err(|error| Error::Internal(format!("a stored lot cannot be read: {error}")))
}

/// A session with its bidders, in two reads.
pub async fn load(
    db: &impl ConnectionTrait,
    vault: &Vault,
    id: BiddingSessionId,
) -> Result<Option<(session::Model, Vec<bidder::Model>)>> {
    let Some(session) = session(db, vault, id).await? else { return Ok(None) };
    Ok(Some((session, bidders(db, id).await?)))
}

/// A session as the exchange left it.
pub async fn session(db: &impl ConnectionTrait, vault: &Vault, id: BiddingSessionId) -> Result<Option<session::Model>> {
    Ok(sessions(db, vault, vec![id], Vec::new()).await?.pop())
}

/// A session as it stands, whoever wrote it.
pub async fn found(db: &impl ConnectionTrait, id: BiddingSessionId) -> Result<Option<session::Model>> {
    Ok(session::Entity::find_by_id(id).one(db).await?)
}

/// How often a lot was written; 0 if there is none.
pub async fn version(db: &impl ConnectionTrait, id: BiddingSessionId) -> Result<i64> {
    let asked = session::Entity::find_by_id(id).select_only().column(session::Column::Version);
    Ok(asked.into_tuple().one(db).await?.unwrap_or_default())
}

/// Whether a session's listing asks for technology.
pub async fn is_reverse(db: &impl ConnectionTrait, id: BiddingSessionId) -> Result<bool> {
    found(db, id).await?.map_or(Ok(false), |row| Ok(row.terms()?.is_reverse()))
}

/// Holds a lot for the rest of the transaction: no other writer moves it. On SQLite the transaction itself does that.
pub async fn hold(tx: &Transaction, id: BiddingSessionId) -> Result<()> {
    let row = session::Entity::find_by_id(id).select_only().column(session::Column::Version).lock_exclusive();
    row.into_tuple::<i64>().one(tx).await?;
    Ok(())
}

/// Who may bid on a lot.
pub async fn bidders(db: &impl ConnectionTrait, id: BiddingSessionId) -> Result<Vec<bidder::Model>> {
    Ok(bidder::Entity::find().filter(bidder::Column::SessionId.eq(id)).all(db).await?)
}

/// Whether the organization is a bidder of one of the lots: qualified, its deposit on hold.
pub async fn is_bidder(
    db: &impl ConnectionTrait,
    lots: Vec<BiddingSessionId>,
    organization: OrganizationId,
) -> Result<bool> {
    let wanted = bidder::Column::SessionId.is_in(lots).and(bidder::Column::OrganizationId.eq(organization));
    Ok(bidder::Entity::find().filter(wanted).count(db).await? > 0)
}

/// The bidder's anonymous code in one lot.
pub async fn code_of(
    db: &impl ConnectionTrait,
    session: BiddingSessionId,
    organization: OrganizationId,
) -> Result<Option<String>> {
    let wanted = bidder::Column::SessionId.eq(session).and(bidder::Column::OrganizationId.eq(organization));
    Ok(bidder::Entity::find().filter(wanted).one(db).await?.map(|bidder| bidder.code))
}

/// Makes decisions about one listing take turns: a sole bidder's quote and a schedule must see each other
/// (P-2). On SQLite the one writer does it.
pub async fn take_turns(tx: &Transaction, listing: ListingId) -> Result<()> {
    if tx.get_database_backend() == DbBackend::Postgres {
        let (high, low) = listing.uuid().as_u64_pair();
        let key = i64::from_be_bytes((high ^ low).to_be_bytes());
        let lock = "SELECT pg_advisory_xact_lock($1)";
        tx.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, lock, [key.into()])).await?;
    }
    Ok(())
}

/// Sessions as the exchange left them.
pub async fn sessions(
    db: &impl ConnectionTrait,
    vault: &Vault,
    ids: Vec<BiddingSessionId>,
    listings: Vec<ListingId>,
) -> Result<Vec<session::Model>> {
    let wanted = session::Column::Id.is_in(ids).or(session::Column::ListingId.is_in(listings));
    let sessions = session::Entity::find().filter(wanted).all(db).await?;
    sessions.iter().try_for_each(|session| session.require_ours(vault))?;
    Ok(sessions)
}

/// The next sessions in the order of their ids, as they stand.
pub async fn page_of_sessions(
    db: &impl ConnectionTrait,
    after: Option<BiddingSessionId>,
    limit: u64,
) -> Result<Vec<session::Model>> {
    let mut wanted = session::Entity::find().order_by_asc(session::Column::Id).limit(limit);
    if let Some(after) = after {
        wanted = wanted.filter(session::Column::Id.gt(after));
    }
    Ok(wanted.all(db).await?)
}

/// Marks a lot as it stands, unless a round wrote it meanwhile.
pub async fn mark(tx: &Transaction, row: &session::Model, vault: &Vault) -> Result<u64> {
    let update = session::Entity::update_many()
        .col_expr(session::Column::Mark, Expr::value(row.made_mark(vault).to_vec()))
        .filter(session::Column::Id.eq(row.id))
        .filter(session::Column::Version.eq(row.version));
    Ok(update.exec(tx).await?.rows_affected)
}

/// Sessions that time will still move.
pub async fn open_sessions(db: &impl ConnectionTrait) -> Result<Vec<BiddingSessionId>> {
    let over = [BiddingStatus::Sold, BiddingStatus::Unsold, BiddingStatus::Cancelled, BiddingStatus::Paused];
    let open = session::Entity::find().select_only().column(session::Column::Id);
    Ok(open.filter(session::Column::Status.is_not_in(over)).into_tuple().all(db).await?)
}

/// The sessions of these centres in this state of halting, oldest first: those to be stopped, or to go on.
pub async fn of_centres(
    db: &impl ConnectionTrait,
    centres: Option<Vec<OrganizationId>>,
    halted: bool,
) -> Result<Vec<session::Model>> {
    let over = [BiddingStatus::Sold, BiddingStatus::Unsold, BiddingStatus::Cancelled, BiddingStatus::Scheduled];
    let mut wanted = session::Entity::find()
        .filter(session::Column::Halted.eq(halted))
        .filter(session::Column::Status.is_not_in(over))
        .order_by_asc(session::Column::Id);
    if let Some(centres) = centres {
        wanted = wanted.filter(session::Column::CentreId.is_in(centres));
    }
    Ok(wanted.all(db).await?)
}

/// Where an organization bids: its lots that are not decided, paused ones too.
pub async fn lots_of(db: &impl ConnectionTrait, organization: OrganizationId) -> Result<Vec<BiddingSessionId>> {
    let bids = bidder::Entity::find()
        .select_only()
        .column(bidder::Column::SessionId)
        .filter(bidder::Column::OrganizationId.eq(organization));
    let over = [BiddingStatus::Sold, BiddingStatus::Unsold, BiddingStatus::Cancelled];
    let lots = session::Entity::find()
        .filter(session::Column::Id.in_subquery(bids.into_query()))
        .filter(session::Column::Status.is_not_in(over));
    Ok(lots.all(db).await?.into_iter().map(|row| row.id).collect())
}

/// Adds a bidder; nothing if it is there.
pub async fn insert_bidder(tx: &impl ConnectionTrait, row: bidder::Model) -> Result<()> {
    bidder::Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    Ok(())
}
