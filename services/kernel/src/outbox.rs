//! The append-only event table: outbox, audit trail and public history at once.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
    sea_query::{Expr, ExprTrait, LockBehavior, LockType, OnConflict},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    Acknowledged, Actor, Context, Db, Error, Instant, Result, Slice, Transaction, Vault, audit_log, delivered,
    event::{ROWS_WRITTEN, row},
    page,
};

mod inbox {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "inbox")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub consumer: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub event_id: Uuid,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// A typed event that crosses services; implemented by wire for the messages of `events.proto`.
pub trait Announcement: Serialize + DeserializeOwned {
    /// The event's name.
    const KIND: &'static str;
}

/// One recorded fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Unique; sortable by time of recording, though not by commit.
    pub id: Uuid,
    /// The service that recorded it.
    pub service: String,
    /// What happened, such as `ListingSubmitted`.
    pub kind: String,
    /// The id of the object it happened to.
    pub subject: String,
    /// The id of the person who did it, or `exchange`.
    pub actor: String,
    /// When it was decided.
    pub at: Instant,
    /// The particulars, as JSON text.
    pub facts: String,
}

impl Event {
    /// The typed particulars, if this is that kind of event.
    pub fn read<A: Announcement>(&self) -> Result<Option<A>> {
        if self.kind != A::KIND {
            return Ok(None);
        }
        serde_json::from_str(&self.facts).map(Some).map_err(|error| Error::Internal(format!("{}: {error}", self.kind)))
    }
}

impl From<row::Model> for Event {
    fn from(row: row::Model) -> Event {
        let row::Model { id, service, kind, subject, actor, at, facts, .. } = row;
        Event { id, service, kind, subject, actor, at, facts }
    }
}

pub(crate) struct Draft<'a> {
    pub kind: &'a str,
    pub subject: &'a str,
    pub facts: serde_json::Value,
    pub announce: bool,
}

pub(crate) async fn append(
    tx: &Transaction,
    cx: &Context,
    actor: &Actor,
    now: Instant,
    draft: Draft<'_>,
) -> Result<()> {
    let event = row::Model {
        subject: draft.subject.to_owned(),
        kind: draft.kind.to_owned(),
        actor: actor.person_id.clone(),
        facts: draft.facts.to_string(),
        announce: draft.announce,
        ..row::Model::rows_written(cx.service, now)
    };
    let id = event.id;
    tx.vouch(|| {
        let query = row::Entity::find_by_id(id).build(tx.get_database_backend());
        Acknowledged { what: format!("event {id}"), query }
    });
    tx.record(event).await;
    Ok(())
}

impl Context {
    /// Writes an event of the exchange itself inside the caller's transaction (time, sequencer, feed).
    pub async fn announce<A: Announcement>(&self, tx: &Transaction, now: Instant, subject: &str, a: &A) -> Result<()> {
        let facts = serde_json::to_value(a).map_err(|error| Error::Internal(error.to_string()))?;
        let draft = Draft { kind: A::KIND, subject, facts, announce: true };
        append(tx, self, &Actor::exchange(), now, draft).await
    }
}

impl Context {
    /// Writes an audit record of the exchange itself inside the caller's transaction.
    pub async fn record(
        &self,
        tx: &Transaction,
        now: Instant,
        subject: &str,
        (kind, facts): (&str, serde_json::Value),
    ) -> Result<()> {
        self.record_by(tx, (&Actor::exchange(), now), subject, (kind, facts)).await
    }

    /// Writes an audit record of what somebody did inside the caller's transaction.
    pub async fn record_by(
        &self,
        tx: &Transaction,
        (actor, now): (&Actor, Instant),
        subject: &str,
        (kind, facts): (&str, serde_json::Value),
    ) -> Result<()> {
        append(tx, self, actor, now, Draft { kind, subject, facts, announce: false }).await
    }
}

/// Runs a consumer's effect exactly once per event: the inbox row and the effect are one transaction. That there was an effect is
/// believed only if the exchange wrote the row.
pub async fn receive<F>(cx: &Context, event: &Event, effect: F) -> Result<()>
where
    F: for<'a> FnOnce(&'a Transaction) -> futures::future::BoxFuture<'a, Result<()>>,
{
    let tx = cx.db.begin().await?;
    let row = inbox::ActiveModel { consumer: Set(cx.service.into()), event_id: Set(event.id) };
    let first = inbox::Entity::insert(row)
        .on_conflict(OnConflict::columns([inbox::Column::Consumer, inbox::Column::EventId]).do_nothing().to_owned())
        .exec_without_returning(&tx)
        .await?;
    if first == 1 {
        effect(&tx).await?;
        tx.commit().await?;
        cx.committed.notify_one();
        return Ok(());
    }
    tx.rollback().await?;
    let taken = inbox::Entity::find_by_id((cx.service.to_owned(), event.id)).one(cx.db.read()).await?;
    taken.map(drop).ok_or_else(|| Error::Unavailable(format!("event {} was taken, and was not", event.id)))
}

/// For so many seconds an event is claimed by whoever delivers it.
const CLAIM: i64 = 30;

/// Claims events of the given services that wait to be delivered. What the exchange did not write is passed over.
pub(crate) async fn claim(cx: &Context, services: &[&str], now: Instant) -> Result<Vec<Event>> {
    loop {
        let claimed = claim_next(cx, services, now).await?;
        let (ours, strange): (Vec<_>, Vec<_>) = claimed.into_iter().partition(|row| row.is_ours(&cx.vault));
        if let Some(first) = strange.first() {
            let (event, kind, count) = (first.id, &first.kind, strange.len());
            tracing::error!(%event, kind, count, "not delivered: the exchange did not write this event");
        }
        if strange.is_empty() || !ours.is_empty() {
            return Ok(ours.into_iter().map(Event::from).collect());
        }
    }
}

/// The next ones; a longer claim than ours is nobody's. Rows are claimed by status, never by
/// position: identifiers do not follow commit order (trust.md, trap 5). Only what the exchange wrote is acted on; what bears
/// no mark is an older program's, which delivers it, or waits to be adopted.
async fn claim_next(cx: &Context, services: &[&str], now: Instant) -> Result<Vec<row::Model>> {
    let tx = cx.db.begin().await?;
    let is_claimed = row::Column::ClaimedUntil.between(now.0, now.plus_seconds(CLAIM).0);
    let rows = delivered::waiting()
        .filter(row::Column::Mark.is_not_null())
        .filter(is_claimed.not())
        .filter(row::Column::Service.is_in(services.iter().copied()))
        .order_by(row::Column::Id, Order::Asc)
        .limit(100)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(&tx)
        .await?;
    if !rows.is_empty() {
        row::Entity::update_many()
            .col_expr(row::Column::ClaimedUntil, Expr::value(now.plus_seconds(CLAIM).0))
            .filter(row::Column::Id.is_in(rows.iter().map(|row| row.id)))
            .exec(&tx)
            .await?;
    }
    tx.commit().await?;
    Ok(rows)
}

/// Marks a delivered event as published, or frees a failed one for another try at `again`.
pub(crate) async fn conclude(
    cx: &Context,
    event: Uuid,
    is_delivered: bool,
    now: Instant,
    again: Instant,
) -> Result<()> {
    let update = row::Entity::update_many().filter(row::Column::Id.eq(event));
    let update = if is_delivered {
        // When it was, a program that knows no marks goes by.
        let mark = delivered::mark(&cx.vault, event, now.0);
        update
            .col_expr(row::Column::PublishedAt, Expr::value(now.0))
            .col_expr(row::Column::PublishedMark, Expr::value(mark))
    } else {
        update.col_expr(row::Column::ClaimedUntil, Expr::value(again.0))
    };
    let tx = cx.db.begin().await?;
    update.exec(&tx).await?;
    tx.commit().await
}

/// How many events of the services wait for delivery, and the oldest one's id.
pub(crate) async fn waiting(db: &Db, services: &[&str]) -> Result<(u64, Option<Uuid>)> {
    let waiting = delivered::waiting().filter(row::Column::Service.is_in(services.iter().copied()));
    let oldest = waiting.clone().order_by(row::Column::Id, Order::Asc).one(db.read()).await?;
    Ok((waiting.count(db.read()).await?, oldest.map(|row| row.id)))
}

/// The recorded facts about one subject (or all), oldest first.
pub async fn audit_page(
    db: &Db,
    service: &str,
    subject: Option<&str>,
    first: Option<i32>,
    after: Option<Uuid>,
) -> Result<Slice<Event>> {
    let recorded = row::Entity::find().filter(row::Column::Kind.ne(ROWS_WRITTEN));
    let mut select = recorded.filter(row::Column::Service.eq(service));
    if let Some(subject) = subject {
        select = select.filter(row::Column::Subject.eq(subject));
    }
    let slice = page(
        db.read(),
        select,
        row::Column::Id,
        crate::page::Paging { first, after, newest_first: false, count: false },
    )
    .await?;
    if let Some(vault) = db.vault() {
        audit_log::require_ours(db.read(), vault, &slice.items).await?;
    }
    Ok(slice.map(Event::from))
}

/// What a service recorded about a subject or of its doing, the newest first, at most `most`.
pub async fn audit_about(
    db: &impl ConnectionTrait,
    vault: &Vault,
    (service, id): (&str, &str),
    most: u64,
) -> Result<Vec<Event>> {
    let concerned = Condition::any().add(row::Column::Subject.eq(id)).add(row::Column::Actor.eq(id));
    let select = row::Entity::find().filter(row::Column::Service.eq(service)).filter(concerned);
    let rows = select.order_by(row::Column::Id, Order::Desc).limit(most).all(db).await?;
    audit_log::require_ours(db, vault, &rows).await?;
    Ok(rows.into_iter().map(Event::from).collect())
}
