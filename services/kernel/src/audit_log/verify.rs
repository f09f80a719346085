//! Recomputes the audit log from the events as they stand, and names the first record that is not as it was.

use std::collections::{HashMap, VecDeque};

use data_encoding::HEXLOWER;
use sea_orm::{
    ColumnTrait, EntityTrait, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait, Query},
};
use uuid::Uuid;

use super::{event, head, last_head, leaf, unsealed};
use crate::{Db, Result, Vault, event::behind, merkle::Tree};

/// Most leaves read at once.
const CHUNK: u64 = 1_000;
const FALSELY_DELIVERED: &str = "marked as delivered, and not by the exchange";

/// What a service's log is found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The number of records that verify, in the order of sealing.
    pub size: u64,
    /// The root over them, in hexadecimal; whoever noted an earlier one can ask for it.
    pub root: String,
    /// Recorded, but not sealed yet.
    pub waiting: u64,
    /// The first record that is not as it was.
    pub flaw: Option<Flaw>,
}

/// A record that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Its place in the log, if it has one.
    pub place: Option<i64>,
    /// The event's id, where known.
    pub event: Option<Uuid>,
    /// What is wrong.
    pub what: String,
}

/// A head that somebody noted: the log must still begin like that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The service.
    pub service: String,
    /// The number of records.
    pub size: u64,
    /// The root over them, in hexadecimal.
    pub root: String,
}

/// Goes through the log of one service.
pub async fn verify(db: &Db, vault: &Vault, service: &str, known: &[Known]) -> Result<Verdict> {
    let waiting = unsealed(service).count(db.read()).await?;
    let known = known.iter().filter(|known| known.service == service).collect();
    let last = last_head(db.read(), service).await?.map_or(0, |head| head.size);
    let mut walk = Walk { db, vault, service, tree: Tree::default(), heads: VecDeque::new(), previous: 0, last, known };
    let flaw = match walk.leaves().await? {
        Some(flaw) => Some(flaw),
        None => match walk.end().await? {
            Some(flaw) => Some(flaw),
            None => stranger(db, vault, service).await?,
        },
    };
    Ok(Verdict { size: walk.tree.size(), root: HEXLOWER.encode(&walk.tree.root()), waiting, flaw })
}

/// A service that this database has records of, and that is none of these: nobody goes through its log.
pub async fn strange_service(db: &Db, services: &[&str]) -> Result<Option<String>> {
    let services = || services.iter().copied();
    let events = event::Entity::find().filter(event::Column::Service.is_not_in(services()));
    let leaves = leaf::Entity::find().filter(leaf::Column::Service.is_not_in(services()));
    let heads = head::Entity::find().filter(head::Column::Service.is_not_in(services()));
    let event = events.one(db.read()).await?.map(|event| format!("{}: event {}", event.service, event.id));
    let leaf = leaves
        .one(db.read())
        .await?
        .map(|leaf| format!("{}: leaf {} of event {}", leaf.service, leaf.idx, leaf.event_id));
    let head = heads.one(db.read()).await?.map(|head| format!("{}: the head over {} records", head.service, head.size));
    Ok(event.or(leaf).or(head))
}

struct Walk<'a> {
    db: &'a Db,
    vault: &'a Vault,
    service: &'a str,
    tree: Tree,
    /// Those over the leaves that are read.
    heads: VecDeque<head::Model>,
    /// The size of the last head met.
    previous: i64,
    /// The size of the last one of all, at the beginning.
    last: i64,
    known: Vec<&'a Known>,
}

impl Walk<'_> {
    async fn leaves(&mut self) -> Result<Option<Flaw>> {
        loop {
            let view = self.db.read().view().await?;
            let chunk = self.chunk().all(&view).await?;
            let ids = chunk.iter().map(|leaf| leaf.event_id);
            let events = event::Entity::find().filter(event::Column::Id.is_in(ids)).all(&view).await?;
            let heads = self.heads_up_to(chunk.last().map_or(0, |leaf| leaf.idx + 1)).all(&view).await?;
            view.rollback().await?;
            self.heads = heads.into();
            let events: HashMap<Uuid, event::Model> = events.into_iter().map(|event| (event.id, event)).collect();
            if chunk.is_empty() {
                return Ok(None);
            }
            for leaf in &chunk {
                if let Some(flaw) = self.leaf(leaf, events.get(&leaf.event_id)).or_else(|| self.head()) {
                    return Ok(Some(flaw));
                }
            }
        }
    }

    /// The next leaves; those before the first one too, where somebody put any.
    fn chunk(&self) -> Select<leaf::Entity> {
        let leaves = leaf::Entity::find().filter(leaf::Column::Service.eq(self.service));
        let leaves = leaves.order_by(leaf::Column::Idx, Order::Asc).limit(CHUNK);
        match self.place() {
            0 => leaves,
            from => leaves.filter(leaf::Column::Idx.gte(from)),
        }
    }

    /// The next heads, up to this size; those over less than nothing too, where somebody put any.
    fn heads_up_to(&self, size: i64) -> Select<head::Entity> {
        let heads = head::Entity::find().filter(head::Column::Service.eq(self.service));
        let heads = heads.filter(head::Column::Size.lte(size)).order_by(head::Column::Size, Order::Asc).limit(CHUNK);
        match self.place() {
            0 => heads,
            from => heads.filter(head::Column::Size.gt(from)),
        }
    }

    fn place(&self) -> i64 {
        i64::try_from(self.tree.size()).unwrap_or(i64::MAX)
    }

    /// Checks one leaf and takes it in.
    fn leaf(&mut self, leaf: &leaf::Model, event: Option<&event::Model>) -> Option<Flaw> {
        let place = self.place();
        if leaf.idx > place {
            return flaw(Some(place), None, "deleted: its leaf is gone");
        }
        let named = |what: &str| flaw(Some(place), Some(leaf.event_id), what);
        if leaf.idx != place || !leaf.is_ours(self.vault) {
            return named("changed, inserted or reordered: its leaf does not belong in this place");
        }
        let Ok(hash) = leaf.hash.as_slice().try_into() else { return named("changed: its hash has another length") };
        let Some(event) = event else {
            if !leaf.is_outdated(self.vault) {
                return named("deleted: the event is gone");
            }
            self.tree.push(hash);
            return None;
        };
        if leaf.outdated.is_some() {
            return named("inserted: the exchange deleted the event, or never said so");
        }
        let is_ours = event.is_ours(self.vault);
        let is_sealed_by_older = || is_ours && leaf.hash == event.leaf_without_rows();
        if leaf.hash != event.leaf() && !is_sealed_by_older() {
            return named("changed: the event is not what was sealed");
        }
        if event.mark.is_some() && !is_ours {
            return named("changed: its mark is not what was written");
        }
        if !event.sealed {
            return named("changed: the event was sealed and claims not to be");
        }
        if event.is_falsely_delivered(self.vault) {
            return named(FALSELY_DELIVERED);
        }
        self.tree.push(hash);
        None
    }

    /// Checks the head over the leaves so far, if there is one, and what others noted of it.
    fn head(&mut self) -> Option<Flaw> {
        let place = self.place();
        let root = self.tree.root();
        if let Some(head) = self.heads.pop_front_if(|head| head.size <= place) {
            let ours = self.vault.signed(head.statement().as_bytes(), &head.signature);
            if head.size != place || head.root != root || head.peaks != self.tree.peaks() || !ours {
                return flaw(
                    Some(head.size),
                    None,
                    "changed: the head over the records before it is not as we signed it",
                );
            }
            if head.previous != self.previous {
                return flaw(Some(head.previous), None, "deleted: the head over the records before it is gone");
            }
            self.previous = head.size;
        }
        let mut noted = self.known.iter().filter(|known| known.size == self.tree.size());
        if noted.any(|known| !known.root.eq_ignore_ascii_case(&HEXLOWER.encode(&root))) {
            return flaw(Some(place), None, "rewritten: the records before it once had another head");
        }
        None
    }

    /// Checks that the log ends with its last head, and reaches what others noted.
    async fn end(&mut self) -> Result<Option<Flaw>> {
        let place = Some(self.place());
        // Those that came since are over leaves that came since.
        if let Some(head) = self.heads_up_to(self.last).one(self.db.read()).await? {
            return Ok(flaw(place, None, &format!("deleted: there is a head over {} records", head.size)));
        }
        if let Some(known) = self.known.iter().find(|known| known.size > self.tree.size()) {
            return Ok(flaw(place, None, &format!("deleted: there once were {} records", known.size)));
        }
        // Read now: the log may have grown since the heads were read, by leaves and head at once.
        let last = last_head(self.db.read(), self.service).await?.map_or(0, |head| head.size);
        Ok(flaw(place, None, "deleted: the head over these records is gone").filter(|_| last < self.place()))
    }
}

/// An event that says it was sealed, and was not; or that waits, and is not the exchange's.
async fn stranger(db: &Db, vault: &Vault, service: &str) -> Result<Option<Flaw>> {
    let mut leaves = Query::select().column(leaf::Column::EventId).from(leaf::Entity).to_owned();
    leaves.and_where(leaf::Column::Service.eq(service));
    let found = event::Entity::find()
        .filter(event::Column::Service.eq(service))
        .filter(event::Column::Sealed.eq(true))
        .filter(Expr::col(event::Column::Id).not_in_subquery(leaves))
        .order_by(event::Column::Id, Order::Asc)
        .one(db.read())
        .await?;
    if let Some(event) = found {
        return Ok(flaw(None, Some(event.id), "inserted: the event was never sealed"));
    }
    let mut after = None;
    loop {
        let waiting = unsealed(service).filter(behind(after)).order_by(event::Column::Id, Order::Asc);
        let waiting = waiting.limit(CHUNK).all(db.read()).await?;
        let Some(last) = waiting.last() else { return Ok(None) };
        after = Some(last.id);
        if let Some(strange) = waiting.iter().find(|event| !event.is_ours(vault)) {
            return Ok(flaw(None, Some(strange.id), "inserted or changed: the exchange did not write it"));
        }
        if let Some(strange) = waiting.iter().find(|event| event.is_falsely_delivered(vault)) {
            return Ok(flaw(None, Some(strange.id), FALSELY_DELIVERED));
        }
    }
}

fn flaw(place: Option<i64>, event: Option<Uuid>, what: &str) -> Option<Flaw> {
    Some(Flaw { place, event, what: what.to_owned() })
}
