//! Which events were delivered: those that bear the exchange's mark of it. All others wait, whatever else their rows say.

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement, Value, sea_query::Expr,
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    Context, Result, Vault,
    event::{behind, row},
};

/// Most events marked in one statement.
const BATCH: u64 = 500;
/// What the log says once those of earlier programs are marked.
const TAKEN_IN: (&str, &str) = ("DeliveriesAdopted", "outbox");

/// When an event was delivered, and the mark that only the exchange makes of it.
pub(crate) fn mark(vault: &Vault, event: Uuid, at: i64) -> Vec<u8> {
    let at = at.to_be_bytes();
    [&at[..], &vault.mark(&[b"delivered", event.as_bytes(), &at])].concat()
}

/// When, as such a mark tells it.
pub(crate) fn told_at(mark: &[u8]) -> Option<i64> {
    mark.first_chunk().map(|at| i64::from_be_bytes(*at))
}

impl row::Model {
    /// Whether it bears a mark of its delivery that the exchange did not make.
    pub(crate) fn is_falsely_delivered(&self, vault: &Vault) -> bool {
        let Some(found) = &self.published_mark else { return false };
        told_at(found).is_none_or(|at| *found != mark(vault, self.id, at))
    }
}

/// What waits to be delivered.
pub(crate) fn waiting() -> sea_orm::Select<row::Entity> {
    // In these very words: a bound parameter would not find the partial index.
    row::Entity::find().filter(Expr::cust("announce AND published_mark IS NULL"))
}

/// Marks, once in the life of a database, what programs delivered that did not know of marks.
pub async fn take_in(cx: &Context) -> Result<()> {
    let (kind, subject) = TAKEN_IN;
    let taken_in = row::Entity::find().filter(row::Column::Subject.eq(subject)).filter(row::Column::Kind.eq(kind));
    if taken_in.all(cx.db.read()).await?.iter().any(|event| event.is_ours(&cx.vault)) {
        return Ok(());
    }
    let (mut after, mut count) = (None, 0);
    loop {
        let delivered = waiting().filter(row::Column::PublishedAt.is_not_null()).filter(behind(after));
        let delivered = delivered.order_by_asc(row::Column::Id).limit(BATCH).all(cx.db.read()).await?;
        let Some(last) = delivered.last() else { break };
        (after, count) = (Some(last.id), count + delivered.len());
        let (mut values, mut places): (Vec<Value>, Vec<String>) = Default::default();
        for (id, at) in delivered.iter().filter_map(|event| event.published_at.map(|at| (event.id, at))) {
            values.extend([id.into(), mark(&cx.vault, id, at).into()]);
            places.push(format!("(${}, ${})", values.len() - 1, values.len()));
        }
        let update = format!(
            "UPDATE event SET published_mark = it.column2 FROM (VALUES {}) AS it WHERE event.id = it.column1",
            places.join(", ")
        );
        let tx = cx.db.begin().await?;
        tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), update, values)).await?;
        tx.commit().await?;
    }
    let tx = cx.db.begin().await?;
    cx.record(&tx, cx.clock.now(), subject, (kind, json!({ "events": count }))).await?;
    tx.commit().await
}

/// Frees the events with a false mark to be delivered after all: how many.
pub async fn free(cx: &Context) -> Result<u64> {
    let (mut after, mut freed) = (None, 0);
    loop {
        let marked = row::Entity::find().filter(row::Column::PublishedMark.is_not_null());
        let marked = marked.filter(behind(after)).order_by_asc(row::Column::Id).limit(BATCH);
        let marked = marked.all(cx.db.read()).await?;
        let Some(last) = marked.last() else { return Ok(freed) };
        after = Some(last.id);
        let false_ones = marked.iter().filter(|event| event.is_falsely_delivered(&cx.vault));
        let false_ones: Vec<Uuid> = false_ones.map(|event| event.id).collect();
        if false_ones.is_empty() {
            continue;
        }
        let none = Expr::value(Option::<Vec<u8>>::None);
        let update = row::Entity::update_many().col_expr(row::Column::PublishedMark, none);
        let tx = cx.db.begin().await?;
        freed += update.filter(row::Column::Id.is_in(false_ones)).exec(&tx).await?.rows_affected;
        tx.commit().await?;
    }
}
