//! Events that tell of nothing but rows are deleted once later events tell of the same rows. Their leaves stay, each with a
//! mark by which the exchange vouches for that: so nobody else can delete an event, and all heads verify as before.

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{leaf, proof, told};
use crate::{
    Context, Error, Instant, Result, Vault,
    db::row,
    event::{ROWS_WRITTEN, WrittenRow, behind, row as event},
    merkle::Hash,
};

/// Most events deleted in one transaction, so that no bid waits for them.
const BATCH: u64 = 100;

impl leaf::Model {
    fn made_outdated(&self, vault: &Vault) -> Hash {
        vault.mark(&[b"outdated", self.service.as_bytes(), &self.idx.to_be_bytes(), self.event_id.as_bytes()])
    }

    /// Whether the exchange deleted the event.
    pub(super) fn is_outdated(&self, vault: &Vault) -> bool {
        self.outdated.as_deref().is_some_and(|mark| mark == self.made_outdated(vault))
    }
}

impl Context {
    /// Deletes the outdated ones of the events recorded before `limit`: how many.
    pub async fn delete_outdated(&self, limit: Instant, stop: &CancellationToken) -> Result<u64> {
        let (mut after, mut deleted, mut is_first) = (None, 0, true);
        while !stop.is_cancelled() {
            let events = event::Entity::find()
                .filter(event::Column::Rows.is_not_null())
                .filter(event::Column::Kind.eq(ROWS_WRITTEN))
                .filter(event::Column::Sealed.eq(true))
                .filter(event::Column::At.lt(limit.0))
                .filter(behind(after))
                .order_by_asc(event::Column::Id)
                .limit(BATCH)
                .all(self.db.read())
                .await?;
            let Some(last) = events.last() else { break };
            after = Some(last.id);
            // Only these events show that somebody had put a row back: then they are kept.
            if std::mem::take(&mut is_first)
                && let Some(((table, key), event)) = told::put_back(self.db.read(), &self.vault).await?.pop_first()
            {
                return Err(Error::Internal(format!("{} was put back before event {event}", row::named(&table, &key))));
            }
            let outdated = self.outdated(events).await?;
            if !outdated.is_empty() {
                deleted += self.delete(outdated).await?;
            }
        }
        Ok(deleted)
    }

    /// Those of our events of which later ones tell of each row. That never changes back.
    async fn outdated(&self, events: Vec<event::Model>) -> Result<Vec<Uuid>> {
        let ours = events.into_iter().filter(|event| event.is_ours(&self.vault));
        let told = ours.map(|event| Ok((event.id, event.written_rows()?))).collect::<Result<Vec<_>>>()?;
        let index = proof::of_written(self.db.read(), told.iter().flat_map(|(_, rows)| rows)).await?;
        // Nothing is deleted on the word of an index that somebody wrote.
        if !proof::untold(self.db.read(), &self.vault, index.values()).await?.is_empty() {
            return Ok(Vec::new());
        }
        let is_told_later = |row: &WrittenRow| {
            let proof = index.get(&(row.table.clone(), row.key.clone()));
            proof.is_some_and(|proof| proof.version > row.version)
        };
        let outdated = told.into_iter().filter(|(_, rows)| rows.iter().all(is_told_later));
        Ok(outdated.map(|(event, _)| event).collect())
    }

    async fn delete(&self, events: Vec<Uuid>) -> Result<u64> {
        let tx = self.db.begin().await?;
        let leaves = leaf::Entity::find().filter(leaf::Column::EventId.is_in(events.clone())).all(&tx).await?;
        for leaf in leaves {
            let mark = leaf.made_outdated(&self.vault).to_vec();
            let marked = leaf::ActiveModel { outdated: Set(Some(mark)), ..leaf.into() };
            leaf::Entity::update(marked).exec(&tx).await?;
        }
        let deleted = event::Entity::delete_many().filter(event::Column::Id.is_in(events)).exec(&tx).await?;
        tx.commit().await?;
        Ok(deleted.rows_affected)
    }
}
