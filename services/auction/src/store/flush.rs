//! Group commit: everything one round decided becomes one transaction, fenced by the lot's version.

use data_encoding::HEXLOWER;
use kernel::{Context, Error, Id, Idempotency, Instant, Money, Result};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, IntoActiveModel, QueryFilter, SqlErr,
    Statement, sea_query::Expr,
};
use wire::{
    id::AwardId,
    v1::{self, AuctionEvent, AwardStatus, BiddingStatus},
};

use super::{award, bidder, event, insert_award, session};

/// How far the decided instant may lie from the database's clock when the round is written.
const CLOCK_BOUND_MILLIS: i64 = 1_000;

/// What one round decided.
pub struct Round<'a> {
    /// The session's row before the round; its version is the fence.
    pub before: &'a session::Model,
    /// The row after the round, version included.
    pub after: &'a session::Model,
    /// The new events, in order.
    pub events: &'a [AuctionEvent],
    /// Replies to keep under their keys.
    pub replies: Vec<(Idempotency, Vec<u8>)>,
    /// The instant of the decisions.
    pub now: Instant,
}

/// How a write ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Durable.
    Done,
    /// Nothing was written: another writer has moved the lot, took a key, or our clock was off.
    Fenced,
}

impl Round<'_> {
    /// Writes the round. An error means that the outcome is unknown.
    pub async fn flush(self, cx: &Context, bidders: &[bidder::Model]) -> Result<Flushed> {
        let closing = self.before.status != self.after.status
            && matches!(self.after.status, BiddingStatus::Sold | BiddingStatus::Unsold);
        if !closing && cx.db.backend() == DbBackend::Postgres {
            return self.flush_postgres(cx).await;
        }
        let tx = cx.db.begin().await?;
        if !self.fence(&tx, cx).await? {
            tx.rollback().await?;
            return Ok(Flushed::Fenced);
        }
        let rows = self.events.iter().map(|e| event::Model::new(self.after.id, e).into_active_model());
        if !self.events.is_empty() {
            event::Entity::insert_many(rows).exec_without_returning(&tx).await?;
        }
        if !Idempotency::store_all(&tx, self.replies, self.now).await? {
            tx.rollback().await?;
            return Ok(Flushed::Fenced);
        }
        if closing {
            close(cx, &tx, self.after, bidders).await?;
        }
        tx.commit().await?;
        if closing {
            cx.committed.notify_one();
        }
        Ok(Flushed::Done)
    }

    /// Moves the row from the version we decided on to the next one, or finds that somebody else did.
    async fn fence(&self, tx: &DatabaseTransaction, cx: &Context) -> Result<bool> {
        use session::Column;
        let row = self.after;
        let mut update = session::Entity::update_many()
            .col_expr(Column::Status, Expr::value(row.status))
            .col_expr(Column::Seq, Expr::value(row.seq))
            .col_expr(Column::BidCount, Expr::value(row.bid_count))
            .col_expr(Column::LeadingCode, Expr::value(row.leading_code.clone()))
            .col_expr(Column::CurrentPrice, Expr::value(row.current_price))
            .col_expr(Column::ClosesAt, Expr::value(row.closes_at))
            .col_expr(Column::LastAt, Expr::value(row.last_at))
            .col_expr(Column::Version, Expr::value(row.version))
            .filter(Column::Id.eq(row.id))
            .filter(Column::Version.eq(self.before.version));
        if cx.db.backend() == DbBackend::Postgres {
            update = update.filter(Expr::cust_with_values(
                "abs((extract(epoch FROM clock_timestamp()) * 1000)::bigint + $1 - $2) <= $3",
                [cx.clock.offset(), self.now.0, CLOCK_BOUND_MILLIS],
            ));
        }
        Ok(update.exec(tx).await?.rows_affected == 1)
    }

    /// One statement, one round trip: the fence with the clock check, the events and the keyed replies.
    /// The text never changes, so it is prepared once whatever the size of the round.
    async fn flush_postgres(self, cx: &Context) -> Result<Flushed> {
        let row = self.after;
        let events: Vec<_> = self.events.iter().map(EventRow::from).collect();
        let replies: Vec<_> = self.replies.iter().map(ReplyRow::of).collect::<Result<_>>()?;
        let values: Vec<sea_orm::Value> = vec![
            row.id.into(),
            self.before.version.into(),
            row.status.stored().into(),
            row.seq.into(),
            row.bid_count.into(),
            row.leading_code.clone().into(),
            row.current_price.map(|price| price.0).into(),
            row.closes_at.map(|at| at.0).into(),
            row.last_at.0.into(),
            row.version.into(),
            cx.clock.offset().into(),
            self.now.0.into(),
            CLOCK_BOUND_MILLIS.into(),
            json(&events)?.into(),
            json(&replies)?.into(),
        ];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, FLUSH, values);
        let fenced = match cx.db.write().query_one_raw(statement).await {
            // A key was taken meanwhile, on another lot: the statement did nothing at all.
            Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
                return Ok(Flushed::Fenced);
            }
            other => other?,
        };
        let moved: i64 = fenced.map_or(Ok(0), |row| row.try_get("", "moved"))?;
        Ok(if moved == 1 { Flushed::Done } else { Flushed::Fenced })
    }
}

/// One event as `FLUSH` reads it.
#[derive(serde::Serialize)]
struct EventRow<'a> {
    seq: i64,
    kind: &'static str,
    at: Option<Instant>,
    code: Option<&'a str>,
    amount: Option<Money>,
    closes_at: Option<Instant>,
}

impl<'a> From<&'a AuctionEvent> for EventRow<'a> {
    fn from(e: &'a AuctionEvent) -> Self {
        let (kind, code) = (e.kind().stored(), e.bidder_code.as_deref());
        EventRow { seq: e.seq, kind, at: e.at, code, amount: e.amount, closes_at: e.closes_at }
    }
}

/// One kept reply as `FLUSH` reads it.
#[derive(serde::Serialize)]
struct ReplyRow<'a> {
    id: &'a str,
    hash: String,
    reply: String,
}

impl<'a> ReplyRow<'a> {
    fn of((call, reply): &'a (Idempotency, Vec<u8>)) -> Result<Self> {
        Ok(ReplyRow {
            id: call.scope(),
            hash: HEXLOWER.encode(call.request_hash()),
            reply: HEXLOWER.encode(&call.seal(reply)?),
        })
    }
}

fn json(rows: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(rows).map_err(|error| Error::Internal(error.to_string()))
}

const FLUSH: &str = "
WITH lot AS (
    UPDATE bidding_session SET status = $3, seq = $4, bid_count = $5, leading_code = $6, current_price = $7,
        closes_at = $8, last_at = $9, version = $10
    WHERE id = $1 AND version = $2
        AND abs((extract(epoch FROM clock_timestamp()) * 1000)::bigint + $11 - $12) <= $13
    RETURNING id
), logged AS (
    INSERT INTO auction_event (session_id, seq, kind, at, bidder_code, amount, closes_at)
    SELECT lot.id, e.seq, e.kind, e.at, e.code, e.amount, e.closes_at
    FROM lot, json_to_recordset($14::json)
        AS e(seq bigint, kind text, at bigint, code text, amount bigint, closes_at bigint)
), kept AS (
    INSERT INTO idempotency (id, request_hash, reply, at)
    SELECT r.id, decode(r.hash, 'hex'), decode(r.reply, 'hex'), $12
    FROM lot, json_to_recordset($15::json) AS r(id text, hash text, reply text)
)
SELECT count(*) AS moved FROM lot";

/// The award, or the news that nobody bid, in the transaction that closes the lot.
async fn close(cx: &Context, tx: &DatabaseTransaction, row: &session::Model, bidders: &[bidder::Model]) -> Result<()> {
    let winner = bidders.iter().find(|bidder| Some(&bidder.code) == row.leading_code.as_ref());
    let (Some(winner), Some(price)) = (winner, row.current_price) else {
        let unsold = v1::BiddingUnsold {
            listing_id: row.listing_id.text(),
            session_id: row.id.text(),
            transferor_id: row.transferor_id.text(),
        };
        return cx.announce(tx, row.last_at, &row.id.text(), &unsold).await;
    };
    let award = award::Model {
        id: AwardId::derived(row.id.uuid(), "award"),
        listing_id: row.listing_id,
        session_id: Some(row.id),
        transferor_id: row.transferor_id,
        winner_id: winner.organization_id,
        centre_id: row.centre_id,
        transfer_application_id: winner.transfer_application_id,
        title: row.title.clone(),
        licence: row.licence,
        price,
        status: AwardStatus::Proposed,
        first_confirmer: None,
        second_confirmer: None,
        decided_at: row.last_at,
    };
    if insert_award(tx, award).await? {
        Ok(())
    } else {
        Err(Error::Internal(format!("{} has an award already", row.listing_id)))
    }
}
