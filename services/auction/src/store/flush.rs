//! Group commit: everything one round decided becomes one transaction, fenced by the lot's version.

use kernel::{Acknowledged, Actor, Context, Idempotency, Instant, Result, Transaction, merkle};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryTrait, SqlErr, Statement, sea_query::Expr,
};
use wire::{
    id::{AwardId, BiddingSessionId, OrganizationId},
    v1::AuctionEvent,
};

use super::{bidder, log, session};
use crate::engine::Lot;

/// How far the instants of the decisions may lie from the database's clock when the round is written.
const CLOCK_BOUND_MILLIS: i64 = 1_000;

/// What one round decided.
pub struct BatchCommit<'a> {
    /// The session's row before the round; its version is the fence.
    pub before: &'a session::Model,
    /// The row after the round, version included.
    pub after: &'a session::Model,
    /// The lot after the round.
    pub lot: &'a Lot,
    /// The log's tree after the round.
    pub tree: &'a merkle::Tree,
    /// The new events, in order.
    pub events: &'a [AuctionEvent],
    /// Replies to keep under their keys.
    pub replies: Vec<(Idempotency, Vec<u8>)>,
    /// What else belongs into the transaction.
    pub beside: SideEffects,
    /// No decision was taken before; the fence holds both instants against the database's clock.
    pub since: Instant,
    /// That of the last decisions.
    pub now: Instant,
}

/// What a command does beside the lot itself.
#[derive(Default)]
pub struct SideEffects {
    /// For the audit trail: who, what, and the facts.
    pub facts: Vec<(Actor, &'static str, serde_json::Value)>,
    /// Bidders who came late.
    pub admitted: Vec<bidder::Model>,
    /// The award whose winner defaulted.
    pub defaulted: Option<AwardId>,
    /// Bidders that a second person excluded, and who did.
    pub excluded: Vec<(OrganizationId, String)>,
}

impl BatchCommit<'_> {
    /// Whether nothing but bids and the like is written: the lot stays in its phase, and nobody comes, goes or is named.
    pub fn is_plain(&self) -> bool {
        !self.ends_phase()
            && self.beside.facts.is_empty()
            && self.beside.admitted.is_empty()
            && self.beside.defaulted.is_none()
    }

    /// Whether the lot changes its phase.
    pub fn ends_phase(&self) -> bool {
        self.before.status != self.after.status || self.before.halted != self.after.halted
    }

    /// Moves the row from the version we decided on to the next one, or finds that somebody else did.
    pub async fn fence(&self, tx: &Transaction, cx: &Context) -> Result<bool> {
        use session::Column;
        let row = self.after;
        let mut update = session::Entity::update_many()
            .col_expr(Column::Status, Expr::value(row.status))
            .col_expr(Column::Seq, Expr::value(row.seq))
            .col_expr(Column::State, Expr::value(row.state.clone()))
            .col_expr(Column::Secrets, Expr::value(row.secrets.clone()))
            .col_expr(Column::Peaks, Expr::value(row.peaks.clone()))
            .col_expr(Column::Halted, Expr::value(row.halted))
            .col_expr(Column::Version, Expr::value(row.version))
            .col_expr(Column::Mark, Expr::value(row.made_mark(&cx.vault).to_vec()))
            .filter(Column::Id.eq(row.id))
            .filter(Column::Version.eq(self.before.version));
        if cx.db.backend() == DbBackend::Postgres {
            for decided in [self.since, self.now] {
                update = update.filter(Expr::cust_with_values(
                    "abs((extract(epoch FROM clock_timestamp()) * 1000)::bigint + $1 - $2) <= $3",
                    [cx.clock.offset(), decided.0, CLOCK_BOUND_MILLIS],
                ));
            }
        }
        Ok(update.exec(tx).await?.rows_affected == 1)
    }

    /// What the bidders are told stands on the round's last event.
    pub fn vouch(&self, tx: &Transaction) {
        if let (backend, Some(last)) = (tx.get_database_backend(), self.events.last()) {
            tx.vouch(|| event_of(backend, self.after.id, last));
        }
    }

    /// Writes the round in one statement that is a transaction of its own, on PostgreSQL: the fence with the clock check, the
    /// events and the keyed replies. The text never changes, so it is prepared once whatever the size of the round. False
    /// if fenced.
    pub async fn flush_alone(self, cx: &Context) -> Result<bool> {
        let row = self.after;
        let kept = Kept::of(&self.replies)?;
        let values: Vec<sea_orm::Value> = vec![
            row.id.into(),
            self.before.version.into(),
            row.seq.into(),
            row.state.clone().into(),
            row.secrets.clone().into(),
            row.peaks.clone().into(),
            row.version.into(),
            cx.clock.offset().into(),
            self.since.0.into(),
            CLOCK_BOUND_MILLIS.into(),
            self.events.iter().map(|event| event.seq).collect::<Vec<_>>().into(),
            self.events.iter().map(log::record).collect::<Vec<_>>().into(),
            kept.ids.into(),
            kept.hashes.into(),
            kept.replies.into(),
            row.made_mark(&cx.vault).to_vec().into(),
            self.now.0.into(),
        ];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, FLUSH, values);
        let flushed = match cx.db.write_alone(statement).await {
            // A key was taken meanwhile, on another lot: the statement did nothing at all.
            Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => return Ok(false),
            flushed => flushed?,
        };
        let moved: i64 = flushed.try_get("", "moved")?;
        if let Some(last) = self.events.last().filter(|_| moved == 1) {
            cx.db.vouch(|| event_of(DbBackend::Postgres, row.id, last));
        }
        Ok(moved == 1)
    }
}

/// The event, as it is looked for once it was told.
fn event_of(db: DbBackend, id: BiddingSessionId, event: &AuctionEvent) -> Acknowledged {
    let query = log::find(id, event).build(db);
    Acknowledged { what: format!("auction event {} of {id}", event.seq), query }
}

/// What is kept under the keys, column by column.
#[derive(Default)]
struct Kept {
    ids: Vec<String>,
    hashes: Vec<Vec<u8>>,
    replies: Vec<Vec<u8>>,
}

impl Kept {
    fn of(replies: &[(Idempotency, Vec<u8>)]) -> Result<Kept> {
        let mut kept = Kept::default();
        for (call, reply) in replies {
            kept.ids.push(call.scope().to_owned());
            kept.hashes.push(call.request_hash().to_vec());
            kept.replies.push(call.seal(reply)?);
        }
        Ok(kept)
    }
}

const FLUSH: &str = concat!(
    "
WITH lot AS (
    UPDATE bidding_session SET seq = $3, state = $4, secrets = $5, peaks = $6, version = $7, mark = $16
    WHERE id = $1 AND version = $2
        AND abs((extract(epoch FROM clock_timestamp()) * 1000)::bigint + $8 - $9) <= $10
        AND abs((extract(epoch FROM clock_timestamp()) * 1000)::bigint + $8 - $17) <= $10
    RETURNING id
), logged AS (
    INSERT INTO auction_event (session_id, seq, record)
    SELECT lot.id, e.seq, e.record FROM lot, unnest($11::bigint[], $12::bytea[]) AS e(seq, record)
), kept AS (
    INSERT INTO idempotency (id, request_hash, reply, at)
    SELECT r.id, r.hash, r.reply, $17 FROM lot, unnest($13::text[], $14::bytea[], $15::bytea[]) AS r(id, hash, reply)
)
SELECT count(*) AS moved, ",
    kernel::is_alone!(),
    " FROM lot"
);
