//! The lines that terminals entered, live or by their journals.

use kernel::{Id, Result, Transaction};
use prost::Message;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait},
};
use wire::{
    id::{HallDeviceId, HallSessionId},
    v1::{self, EnterHallBidPayload, JournalOutcome},
};

use super::hall::hall_device;

pub use row::Model;
use row::{Column, Entity};

mod row {
    use kernel::{Instant, Money};
    use sea_orm::entity::prelude::*;
    use wire::{
        id,
        v1::{BidOrigin, JournalOutcome},
    };

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "hall_line")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub device_id: id::HallDeviceId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: i64,
        pub operation_id: String,
        pub session_id: id::BiddingSessionId,
        pub paddle: i32,
        pub amount: Money,
        pub origin: BidOrigin,
        pub clerk: String,
        pub bidder_code: Option<String>,
        pub reply: Option<Vec<u8>>,
        pub noted_at: Option<Instant>,
        pub signature: Option<Vec<u8>>,
        pub outcome: Option<JournalOutcome>,
        pub settlement: Option<String>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl Model {
    /// The answer that was given, if the lot has given one.
    pub fn answer(&self) -> Option<EnterHallBidPayload> {
        EnterHallBidPayload::decode(self.reply.as_deref()?).ok()
    }

    /// As the journal shows it; nothing while it is under way.
    pub fn entry(&self) -> Option<v1::JournalEntry> {
        let (outcome, answer) = (self.outcome?, self.answer()?);
        Some(v1::JournalEntry {
            device_id: self.device_id.text(),
            number: self.number,
            operation_id: self.operation_id.clone(),
            session_id: self.session_id.text(),
            paddle: self.paddle,
            amount: Some(self.amount),
            origin: self.origin.into(),
            noted_at: self.noted_at,
            outcome: outcome.into(),
            seq: answer.bid.map(|bid| bid.seq),
            conflict: answer.user_errors.into_iter().next().map(|refusal| refusal.code),
            settlement: self.settlement.clone(),
        })
    }
}

/// Writes lines down.
pub async fn insert(tx: &Transaction, rows: Vec<Model>) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = rows.into_iter().map(IntoActiveModel::into_active_model);
    Entity::insert_many(rows).exec_without_returning(tx).await?;
    Ok(())
}

/// The line of an operation.
pub async fn of_operation(db: &impl ConnectionTrait, device: HallDeviceId, operation: &str) -> Result<Option<Model>> {
    let wanted = Column::DeviceId.eq(device).and(Column::OperationId.eq(operation));
    Ok(Entity::find().filter(wanted).one(db).await?)
}

/// The lines of these operations.
pub async fn of_operations(
    db: &impl ConnectionTrait,
    device: HallDeviceId,
    operations: Vec<String>,
) -> Result<Vec<Model>> {
    let wanted = Column::DeviceId.eq(device).and(Column::OperationId.is_in(operations));
    Ok(Entity::find().filter(wanted).all(db).await?)
}

/// Lines by number, both ends included.
pub async fn between(db: &impl ConnectionTrait, device: HallDeviceId, (first, last): (i64, i64)) -> Result<Vec<Model>> {
    let wanted = Column::DeviceId.eq(device).and(Column::Number.between(first, last));
    Ok(Entity::find().filter(wanted).order_by_asc(Column::Number).all(db).await?)
}

/// The first line of a terminal to which the lot has not answered yet.
pub async fn under_way(db: &impl ConnectionTrait, device: HallDeviceId) -> Result<Option<Model>> {
    let wanted = Column::DeviceId.eq(device).and(Column::Reply.is_null());
    Ok(Entity::find().filter(wanted).order_by_asc(Column::Number).one(db).await?)
}

/// The terminals of which a line is under way.
pub async fn devices_under_way(db: &impl ConnectionTrait) -> Result<Vec<HallDeviceId>> {
    let mut lines: Vec<_> = Entity::find().filter(Column::Reply.is_null()).all(db).await?;
    lines.dedup_by_key(|line| line.device_id);
    Ok(lines.into_iter().map(|line| line.device_id).collect())
}

/// Writes the lot's answer beside its line; the first answer stays. Whoever comes second has the same one.
pub async fn answer(db: &impl ConnectionTrait, line: &Model, reply: Vec<u8>) -> Result<()> {
    let answered = Model { reply: Some(reply.clone()), ..line.clone() };
    let accepted = answered.answer().is_some_and(|answer| answer.bid.is_some());
    let outcome = if accepted { JournalOutcome::Applied } else { JournalOutcome::Conflict };
    let unanswered = || {
        let own = Column::DeviceId.eq(line.device_id).and(Column::Number.eq(line.number));
        Entity::update_many().filter(own.and(Column::Reply.is_null()))
    };
    // Of a line that was only entered live there is nothing to list: the clerk has the answer.
    unanswered()
        .col_expr(Column::Outcome, Expr::value(outcome))
        .filter(Column::Signature.is_not_null())
        .col_expr(Column::Reply, Expr::value(reply.clone()))
        .exec(db)
        .await?;
    unanswered().col_expr(Column::Reply, Expr::value(reply)).exec(db).await?;
    Ok(())
}

/// Adds to a line what its journal says of it.
pub async fn note(tx: &Transaction, line: &Model) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::NotedAt, Expr::value(line.noted_at))
        .col_expr(Column::Signature, Expr::value(line.signature.clone()))
        .col_expr(Column::Outcome, Expr::value(line.outcome))
        .filter(Column::DeviceId.eq(line.device_id))
        .filter(Column::Number.eq(line.number))
        .exec(tx)
        .await?;
    Ok(())
}

/// The line under lock.
pub async fn for_update(tx: &Transaction, device: HallDeviceId, number: i64) -> Result<Option<Model>> {
    Ok(Entity::find_by_id((device, number)).lock_exclusive().one(tx).await?)
}

/// The auctioneer has settled a conflict.
pub async fn settle(tx: &Transaction, line: &Model) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::Outcome, Expr::value(line.outcome))
        .col_expr(Column::Settlement, Expr::value(line.settlement.clone()))
        .filter(Column::DeviceId.eq(line.device_id))
        .filter(Column::Number.eq(line.number))
        .exec(tx)
        .await?;
    Ok(())
}

/// The uploaded lines of a hall session after a place, by terminal and number; only conflicts that are not settled, if
/// so wished.
pub async fn journal(
    db: &impl ConnectionTrait,
    id: HallSessionId,
    conflicts: bool,
    (after, limit): (Option<(HallDeviceId, i64)>, u64),
) -> Result<Vec<Model>> {
    let devices = hall_device::Entity::find().filter(hall_device::Column::HallSessionId.eq(id)).all(db).await?;
    let devices = devices.into_iter().map(|device| device.id);
    let mut wanted = Entity::find().filter(Column::DeviceId.is_in(devices)).filter(Column::Outcome.is_not_null());
    if conflicts {
        wanted = wanted.filter(Column::Outcome.eq(JournalOutcome::Conflict));
    }
    if let Some((device, number)) = after {
        let later = Column::DeviceId.eq(device).and(Column::Number.gt(number));
        wanted = wanted.filter(Column::DeviceId.gt(device).or(later));
    }
    let wanted = wanted.order_by_asc(Column::DeviceId).order_by_asc(Column::Number);
    Ok(wanted.limit(limit).all(db).await?)
}
