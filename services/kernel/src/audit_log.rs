//! The audit log that verifies (promise P-5): over each service's events stands a Merkle log that only grows. A sealer
//! takes in what was committed since, in batches and apart from the work itself, which it never holds up.
//!
//! What a leaf says is hashed from all columns of its event that never change. A mark, made with a key that is not in
//! the database, binds the leaf to its place, so that a record is named even if whoever changed it recomputed all
//! hashes; the head over all leaves is signed, so that others can keep it and hold the exchange to it.

pub mod adopt;
pub mod adoptable;
mod outdated;
pub(crate) mod proof;
pub mod rows;
pub mod signed_head;
mod told;
pub mod verify;

use std::{collections::HashSet, time::Duration};

use data_encoding::HEXLOWER;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, Order, QueryFilter,
    QueryOrder, QuerySelect, SqlErr, sea_query::Expr,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Context, Error, Instant, Result, Transaction, Vault,
    db::record_altered,
    event::{behind, row as event},
    merkle::{Hash, Tree},
};

pub(crate) mod leaf {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_leaf")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub service: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub idx: i64,
        pub event_id: Uuid,
        pub hash: Vec<u8>,
        pub mark: Vec<u8>,
        pub outdated: Option<Vec<u8>>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod head {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_head")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub service: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub size: i64,
        pub previous: i64,
        pub root: Vec<u8>,
        pub peaks: Vec<u8>,
        pub signature: Vec<u8>,
        pub at: crate::Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// Most events sealed in one transaction.
const BATCH: u64 = 500;
/// How often the sealer looks.
const PERIOD: Duration = Duration::from_secs(1);

fn mark(vault: &Vault, service: &str, idx: i64, event: uuid::Uuid, hash: &[u8]) -> Hash {
    vault.mark(&[b"leaf", service.as_bytes(), &idx.to_be_bytes(), event.as_bytes(), hash])
}

impl leaf::Model {
    /// Whether the exchange put it into this place.
    pub(crate) fn is_ours(&self, vault: &Vault) -> bool {
        self.mark == mark(vault, &self.service, self.idx, self.event_id, &self.hash)
    }
}

impl head::Model {
    /// The head over a tree, signed.
    fn over(tree: &Tree, vault: &Vault, (service, previous): (&str, i64), at: Instant) -> head::Model {
        let size = i64::try_from(tree.size()).unwrap_or(i64::MAX);
        let (service, root, peaks) = (service.to_owned(), tree.root().to_vec(), tree.peaks());
        let unsigned = head::Model { service, size, previous, root, peaks, signature: Vec::new(), at };
        head::Model { signature: vault.sign(unsigned.statement().as_bytes()).to_vec(), ..unsigned }
    }

    /// What is signed, as text that anybody can put together again.
    fn statement(&self) -> String {
        let head::Model { service, size, previous, root, at, .. } = self;
        format!("jishi audit head\n{service}\n{size}\n{previous}\n{}\n{}\n", HEXLOWER.encode(root), at.0)
    }

    /// Requires that we made the head, and that its peaks are those of its root.
    fn tree(&self, vault: &Vault) -> Result<Tree> {
        let size = u64::try_from(self.size).unwrap_or_default();
        let tree = Tree::read(size, &self.peaks)?;
        if tree.root() == self.root.as_slice() && vault.signed(self.statement().as_bytes(), &self.signature) {
            return Ok(tree);
        }
        Err(Error::Internal(format!(
            "the audit head {} {} is not ours; nothing is built on it",
            self.service, self.size
        )))
    }
}

pub(crate) async fn last_head(db: &impl ConnectionTrait, service: &str) -> Result<Option<head::Model>> {
    let heads = head::Entity::find().filter(head::Column::Service.eq(service));
    Ok(heads.order_by(head::Column::Size, Order::Desc).one(db).await?)
}

pub(crate) fn unsealed(service: &str) -> sea_orm::Select<event::Entity> {
    // In these very words: a bound parameter would not find the partial index.
    event::Entity::find().filter(event::Column::Service.eq(service)).filter(Expr::cust("NOT sealed"))
}

/// Those of them that bear a mark; one without was written by an older program, which seals it, or by a stranger.
pub(crate) fn marked(service: &str, after: Option<Uuid>) -> sea_orm::Select<event::Entity> {
    unsealed(service).filter(event::Column::Mark.is_not_null()).filter(behind(after))
}

/// Requires that the exchange wrote these events: what an older program wrote bears no mark, and is in the log.
pub(crate) async fn require_ours(db: &impl ConnectionTrait, vault: &Vault, events: &[event::Model]) -> Result<()> {
    let bare = events.iter().filter(|event| event.mark.is_none()).map(|event| event.id);
    let leaves = leaf::Entity::find().filter(leaf::Column::EventId.is_in(bare)).all(db).await?;
    let is_sealed = |event: &event::Model| {
        leaves.iter().any(|leaf| leaf.event_id == event.id && leaf.hash == event.leaf() && leaf.is_ours(vault))
    };
    let strange = events.iter().find(|event| !event.is_ours(vault) && (event.mark.is_some() || !is_sealed(event)));
    strange.map_or(Ok(()), |event| Err(record_altered(&format!("event id={}", event.id), None)))
}

impl Context {
    /// Seals this database's events of `services` until stopped; then what is left.
    pub async fn seal_audit(self, services: Vec<&'static str>, stop: CancellationToken) {
        loop {
            let stopping = stop.is_cancelled();
            for service in &services {
                if let Err(error) = self.with_service(service).seal_all().await {
                    tracing::error!(service, %error, "the audit log does not grow");
                }
            }
            if stopping {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Seals all of this service's events that are committed by now.
    pub async fn seal_all(&self) -> Result<()> {
        let mut after = None;
        // A look by way of the readers first: most of the time there is nothing, and the one writer is not bothered.
        while marked(self.service, after).limit(1).one(self.db.read()).await?.is_some() {
            let tx = self.db.begin_for_log().await?;
            match self.seal_batch(&tx, &mut after).await {
                Ok(true) => {
                    tx.commit().await?;
                    // The dispatcher passes over rows that somebody else is writing: it may look again.
                    self.committed.notify_one();
                }
                Ok(false) => return tx.rollback().await,
                Err(error) => {
                    tx.rollback().await?;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Seals one batch; false if another process is at it. What the exchange did not write is passed over.
    ///
    /// Rows are taken by status, never by position: identifiers do not follow commit order (trust.md, trap 5).
    async fn seal_batch(&self, tx: &Transaction, after: &mut Option<Uuid>) -> Result<bool> {
        let (service, now) = (self.service, self.clock.now());
        let (mut tree, previous) = match last_head(tx, service).await? {
            Some(head) => (head.tree(&self.vault)?, head.size),
            None => (Tree::default(), 0),
        };
        let events = marked(service, *after).order_by(event::Column::Id, Order::Asc).limit(BATCH).all(tx).await?;
        let Some(last) = events.last() else { return Ok(false) };
        *after = Some(last.id);
        let (events, strange): (Vec<_>, Vec<_>) = events.into_iter().partition(|event| event.is_ours(&self.vault));
        if let Some(first) = strange.first() {
            tracing::error!(event = %first.id, count = strange.len(), "not sealed: the exchange did not write it");
        }
        let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
        let Some(sealed) = self.sealed_before(tx, &ids, previous).await? else { return Ok(false) };
        let events: Vec<_> = events.into_iter().filter(|event| !sealed.contains(&event.id)).collect();
        let mut leaves = Vec::with_capacity(events.len());
        for event in &events {
            let (idx, hash) = (i64::try_from(tree.size()).unwrap_or(i64::MAX), event.leaf());
            tree.push(hash);
            leaves.push(leaf::ActiveModel {
                service: Set(service.into()),
                idx: Set(idx),
                event_id: Set(event.id),
                hash: Set(hash.to_vec()),
                mark: Set(mark(&self.vault, service, idx, event.id, &hash).to_vec()),
                outdated: Set(None),
            });
        }
        // Nothing is locked until the rows are marked, last of all, so that their delivery waits for a moment only.
        // Two sealers of one service take the same place: the second finds it taken, and its batch is undone.
        match leaf::Entity::insert_many(leaves).exec_without_returning(tx).await {
            Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
                tracing::warn!(service, "a batch of the audit log was taken already");
                return Ok(false);
            }
            other => other?,
        };
        if !events.is_empty() {
            let head = head::Model::over(&tree, &self.vault, (service, previous), now);
            head::Entity::insert(head.into_active_model()).exec_without_returning(tx).await?;
        }
        event::Entity::update_many()
            .col_expr(event::Column::Sealed, Expr::value(true))
            .filter(event::Column::Id.is_in(ids))
            .exec(tx)
            .await?;
        Ok(true)
    }

    /// Which of these events are in the log already: they wait again because somebody marked them so. None if another process
    /// is at it; an error if the log has a leaf that the exchange did not put there, for nothing is built beside it.
    async fn sealed_before(&self, tx: &Transaction, events: &[Uuid], size: i64) -> Result<Option<HashSet<Uuid>>> {
        let of_these = leaf::Column::EventId.is_in(events.iter().copied());
        let beyond = Condition::all().add(leaf::Column::Service.eq(self.service)).add(leaf::Column::Idx.gte(size));
        let leaves = leaf::Entity::find().filter(Condition::any().add(of_these).add(beyond)).limit(BATCH);
        let leaves = leaves.all(tx).await?;
        let is_ours =
            |leaf: &&leaf::Model| leaf.service == self.service && leaf.idx < size && leaf.is_ours(&self.vault);
        let Some(strange) = leaves.iter().find(|leaf| !is_ours(leaf)) else {
            if let Some(first) = leaves.first() {
                let count = leaves.len();
                tracing::error!(event = %first.event_id, count, "ALTERED: in the audit log, and marked as not yet there");
            }
            return Ok(Some(leaves.into_iter().map(|leaf| leaf.event_id).collect()));
        };
        if last_head(tx, self.service).await?.map_or(0, |head| head.size) > size {
            return Ok(None);
        }
        let named = format!("leaf {} {} of event {}", strange.service, strange.idx, strange.event_id);
        Err(Error::Internal(format!("{named} is not the exchange's; nothing is built beside it (jishi verify)")))
    }
}
