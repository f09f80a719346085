//! The lot's log: numbered records, and the signed heads of their Merkle tree (RFC 6962).

use kernel::{Context, Error, Id, Instant, Result, merkle};
use prost::Message;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select, sea_query::OnConflict,
};
use wire::{id::BiddingSessionId, v1::AuctionEvent};

use super::session;

pub mod event {
    use super::BiddingSessionId;
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "auction_event")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub session_id: BiddingSessionId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub seq: i64,
        pub record: Vec<u8>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod head {
    use super::{BiddingSessionId, Instant};
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "auction_head")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub session_id: BiddingSessionId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub size: i64,
        pub root: Vec<u8>,
        pub at: Instant,
        pub signature: Vec<u8>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// An event as it is kept: its bytes are a leaf of the lot's log. The session is named by the key, and by the heads.
pub fn record(event: &AuctionEvent) -> Vec<u8> {
    if event.session_id.is_empty() {
        return event.encode_to_vec();
    }
    AuctionEvent { session_id: String::new(), ..event.clone() }.encode_to_vec()
}

/// The query for an event as it is kept.
pub fn find(id: BiddingSessionId, event: &AuctionEvent) -> Select<event::Entity> {
    event::Entity::find_by_id((id, event.seq)).filter(event::Column::Record.eq(record(event)))
}

/// What a head's signature stands for.
#[must_use]
pub fn statement(session_id: &str, size: i64, root: &[u8], at: impl std::fmt::Display) -> String {
    format!("jishi lot head v1\n{session_id}\n{size}\n{}\n{at}", data_encoding::HEXLOWER.encode(root))
}

/// Adds events to a log's tree.
pub fn grow(peaks: &[u8], size: i64, events: &[AuctionEvent]) -> Result<merkle::Tree> {
    let size = u64::try_from(size).map_err(|_| Error::Internal("a log has no negative length".into()))?;
    let mut tree = merkle::Tree::read(size, peaks)?;
    for event in events {
        tree.push(merkle::leaf(&record(event)));
    }
    Ok(tree)
}

pub async fn insert(tx: &impl ConnectionTrait, id: BiddingSessionId, events: &[AuctionEvent]) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let row = |e: &AuctionEvent| event::Model { session_id: id, seq: e.seq, record: record(e) }.into_active_model();
    event::Entity::insert_many(events.iter().map(row)).exec_without_returning(tx).await?;
    Ok(())
}

/// Signs the log as it stands.
pub async fn sign(
    tx: &impl ConnectionTrait,
    cx: &Context,
    id: BiddingSessionId,
    (tree, at): (&merkle::Tree, Instant),
) -> Result<()> {
    let size = i64::try_from(tree.size()).map_err(|_| Error::Internal("a log is too long".into()))?;
    let root = tree.root();
    let signature = cx.vault.sign(statement(&id.text(), size, &root, at).as_bytes()).to_vec();
    let row = head::Model { session_id: id, size, root: root.to_vec(), at, signature };
    head::Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

pub async fn heads(db: &impl ConnectionTrait, id: BiddingSessionId) -> Result<Vec<head::Model>> {
    let heads = head::Entity::find().filter(head::Column::SessionId.eq(id));
    Ok(heads.order_by_asc(head::Column::Size).all(db).await?)
}

pub async fn events(
    db: &impl ConnectionTrait,
    id: BiddingSessionId,
    after_seq: i64,
    limit: u64,
) -> Result<Vec<AuctionEvent>> {
    let rows = event::Entity::find()
        .filter(event::Column::SessionId.eq(id))
        .filter(event::Column::Seq.gt(after_seq))
        .order_by_asc(event::Column::Seq)
        .limit(limit)
        .all(db)
        .await?;
    rows.into_iter().map(|row| read(id, &row)).collect()
}

/// The records from one number on to another, as they are kept.
pub async fn records(
    db: &impl ConnectionTrait,
    id: BiddingSessionId,
    (after_seq, to_seq): (i64, i64),
    limit: u64,
) -> Result<Vec<event::Model>> {
    let records = event::Entity::find()
        .filter(event::Column::SessionId.eq(id))
        .filter(event::Column::Seq.gt(after_seq))
        .filter(event::Column::Seq.lte(to_seq))
        .order_by_asc(event::Column::Seq)
        .limit(limit);
    Ok(records.all(db).await?)
}

/// A log that no session has, if there is one.
pub async fn without_session(db: &impl ConnectionTrait) -> Result<Option<BiddingSessionId>> {
    let sessions = session::Entity::find().select_only().column(session::Column::Id).into_query();
    let strange = event::Entity::find().select_only().column(event::Column::SessionId);
    let strange = strange.filter(event::Column::SessionId.not_in_subquery(sessions));
    Ok(strange.into_tuple().one(db).await?)
}

fn read(id: BiddingSessionId, row: &event::Model) -> Result<AuctionEvent> {
    let event = AuctionEvent::decode(row.record.as_slice())
        .map_err(|error| Error::Internal(format!("{} {}: {error}", id.text(), row.seq)))?;
    Ok(AuctionEvent { session_id: id.text(), ..event })
}
