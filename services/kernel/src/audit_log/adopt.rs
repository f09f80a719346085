//! Takes rows as they stand into the log: those of an older program, which binds none, and those that an administrator
//! wrote by hand. The log says that it was done, and of which rows.

use std::collections::BTreeSet;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QuerySelect, Select, sea_query::Expr,
};
use serde_json::json;

use super::{
    adoptable::{Mistold, mistold},
    proof,
    told::{ADOPTED, last_versions},
};
use crate::{
    Context, Db, Error, Result, Transaction,
    db::{
        row,
        tables::{BOUND, Table},
    },
    event::row as event,
};

/// Most rows in one transaction.
const BATCH: usize = 500;

/// How much was taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Rows that are now as their events say.
    pub rows: u64,
    /// Events that an older program left unsealed.
    pub events: u64,
}

/// Whether no row of the database was ever bound.
pub async fn is_unbound(db: &Db) -> Result<bool> {
    Ok(proof::Entity::find().limit(1).one(db.read()).await?.is_none())
}

/// Takes all bound tables in as they stand, while others write.
pub async fn adopt(cx: &Context) -> Result<Adopted> {
    let mut adopted = Adopted { events: events(cx).await?, rows: told_otherwise(cx).await? };
    for table in BOUND {
        adopted.rows += present(cx, table).await? + gone(cx, table).await?;
    }
    Ok(adopted)
}

/// Events that wait to be sealed, and bear no mark. What an older program wrote tells of no rows.
pub(super) fn bare() -> Select<event::Entity> {
    event::Entity::find().filter(Expr::cust("NOT sealed")).filter(event::Column::Mark.is_null())
}

async fn events(cx: &Context) -> Result<u64> {
    let mut marked = 0;
    loop {
        let tx = cx.db.begin().await?;
        let bare = bare().filter(event::Column::Rows.is_null()).limit(BATCH as u64).all(&tx).await?;
        if bare.is_empty() {
            tx.rollback().await?;
            return Ok(marked);
        }
        for event in &bare {
            let mark = event.made_mark(&cx.vault).to_vec();
            let update = event::Entity::update_many().col_expr(event::Column::Mark, Expr::value(mark));
            update.filter(event::Column::Id.eq(event.id)).exec(&tx).await?;
        }
        marked += bare.len() as u64;
        commit(cx, tx, ("event", bare.len())).await?;
    }
}

/// Rows of which the index says what no event does, or did so when they were written again.
async fn told_otherwise(cx: &Context) -> Result<u64> {
    let view = cx.db.read().view().await?;
    let rows = mistold(&view, &cx.vault).await?;
    let untold = rows.iter().filter(|(_, mistold)| **mistold == Mistold::Untold).map(|(row, _)| row.clone());
    let untold: BTreeSet<_> = untold.collect();
    let last = last_versions(&view, &cx.vault, &untold).await?;
    view.rollback().await?;
    for table in BOUND {
        let rows: Vec<_> = rows.keys().filter(|(name, _)| name == table.name).collect();
        for rows in rows.chunks(BATCH) {
            let tx = cx.db.begin().await?;
            let marks = proof::marks(&tx, &cx.vault, table, rows.iter().map(|(_, key)| key), locked(&tx)).await?;
            let (mut present, mut forgotten) = (Vec::new(), 0);
            for row in rows {
                match last.get(*row) {
                    // Counted on from where the events are, so that no two tell of the same time.
                    Some(version) if untold.contains(*row) => proof::set_version(&tx, row, *version).await?,
                    // The row, if there is one, is taken in as one that the index does not know.
                    None if untold.contains(*row) => {
                        proof::delete(&tx, row).await?;
                        forgotten += 1;
                        continue;
                    }
                    _ => {}
                }
                present.push((row.1.clone(), marks.get(&row.1).cloned()));
            }
            if forgotten > 0 && present.is_empty() {
                commit(cx, tx, (table.name, forgotten)).await?;
            } else {
                take(cx, tx, table, present).await?;
            }
        }
    }
    let tx = cx.db.begin().await?;
    let strange = proof::delete_strange(&tx).await?;
    tx.commit().await?;
    Ok(rows.len() as u64 + strange)
}

/// On PostgreSQL a row stays as it is until it is taken in; on SQLite there is no other writer.
fn locked(tx: &Transaction) -> &'static str {
    if tx.get_database_backend() == DbBackend::Postgres { " FOR UPDATE" } else { "" }
}

/// Rows of which the index knows nothing, or something else.
async fn present(cx: &Context, table: &'static Table) -> Result<u64> {
    let (mut after, mut adopted) = (Vec::new(), 0);
    loop {
        let tx = cx.db.begin().await?;
        let rows = proof::rows(&tx, &cx.vault, table, (&mut after, BATCH), locked(&tx)).await?;
        if rows.is_empty() {
            tx.rollback().await?;
            return Ok(adopted);
        }
        let known = proof::known(&tx, table, &rows).await?;
        let strange = rows.into_iter().map(|(key, mark)| (key, Some(mark)));
        let strange: Vec<_> = strange.filter(|(key, mark)| known.get(key) != Some(mark)).collect();
        adopted += strange.len() as u64;
        take(cx, tx, table, strange).await?;
    }
}

/// Rows that the index knows of, and that are gone.
async fn gone(cx: &Context, table: &'static Table) -> Result<u64> {
    let (mut after, mut adopted) = (Some(Vec::new()), 0);
    while after.is_some() {
        let tx = cx.db.begin().await?;
        let gone = proof::missing(&tx, &cx.vault, table, (&mut after, BATCH)).await?;
        adopted += gone.len() as u64;
        take(cx, tx, table, gone.into_iter().map(|key| (key, None)).collect()).await?;
    }
    Ok(adopted)
}

async fn take(
    cx: &Context,
    tx: Transaction,
    table: &'static Table,
    rows: Vec<(Vec<u8>, Option<Vec<u8>>)>,
) -> Result<()> {
    if rows.is_empty() {
        return tx.rollback().await;
    }
    if let Some((key, _)) = rows.iter().find(|(_, mark)| mark.as_ref().is_some_and(Vec::is_empty)) {
        let named = row::named(table.name, key);
        return Err(Error::Internal(format!("{named}: a value is not of its column's type")));
    }
    let count = rows.len();
    for (key, mark) in rows {
        tx.tell_of(table.name, key, mark).await;
    }
    commit(cx, tx, (table.name, count)).await
}

async fn commit(cx: &Context, tx: Transaction, (table, count): (&str, usize)) -> Result<()> {
    cx.record(&tx, cx.clock.now(), "", (ADOPTED, json!({ "table": table, "rows": count }))).await?;
    tx.commit().await
}
