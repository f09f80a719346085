//! Whether the lots are as their rounds left them: each log is decided and hashed again, and holds what the lot's row, its
//! heads and its box say (promises P-2 and P-5).

use kernel::{Context, Id, Result, merkle};
use prost::Message;
use wire::{id::BiddingSessionId, v1::AuctionEvent};

use crate::{
    engine::Replay,
    sealed::slot::{Held, Name},
    store::{self, anchor, log, sealed, session},
};

/// Most records and lots read at once.
const CHUNK: u64 = 500;

/// What the lots are found to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audited {
    /// How many are as they were left.
    pub count: u64,
    /// The first that is not, and what is wrong with it.
    pub flaw: Option<String>,
}

/// Goes through all lots of the database.
pub async fn audit(cx: &Context) -> Result<Audited> {
    let mut audited = Audited::default();
    let mut after = None;
    loop {
        let lots = store::page_of_sessions(cx.db.read(), after, CHUNK).await?;
        let Some(last) = lots.last() else { break };
        after = Some(last.id);
        for lot in lots {
            if let Some(what) = flaw(cx, lot.id).await? {
                audited.flaw = Some(format!("{} {what}", lot.id.text()));
                return Ok(audited);
            }
            audited.count += 1;
        }
    }
    let strange = log::without_session(cx.db.read()).await?;
    audited.flaw = strange.map(|id| format!("{} has a log, and is missing", id.text()));
    Ok(audited)
}

/// The lots that `adopt` would take.
pub async fn adoptable(cx: &Context) -> Result<Vec<String>> {
    let (mut after, mut strange) = (None, Vec::new());
    loop {
        let lots = store::page_of_sessions(cx.db.read(), after, CHUNK).await?;
        let Some(last) = lots.last() else { return Ok(strange) };
        after = Some(last.id);
        strange.extend(lots.iter().filter(|lot| !lot.is_ours(&cx.vault)).map(|lot| lot.id.text()));
    }
}

/// Takes the lots of an older program, which marks none, as they stand: how many.
pub async fn adopt(cx: &Context) -> Result<u64> {
    let (mut after, mut adopted) = (None, 0);
    loop {
        let lots = store::page_of_sessions(cx.db.read(), after, CHUNK).await?;
        let Some(last) = lots.last() else { return Ok(adopted) };
        after = Some(last.id);
        for lot in lots.iter().filter(|lot| !lot.is_ours(&cx.vault)) {
            let tx = cx.db.begin().await?;
            adopted += store::mark(&tx, lot, &cx.vault).await?;
            cx.record(&tx, cx.clock.now(), &lot.id.text(), ("LotAdopted", serde_json::json!({}))).await?;
            tx.commit().await?;
        }
    }
}

/// What is wrong with one lot. It is read again if a round wrote it meanwhile.
async fn flaw(cx: &Context, id: BiddingSessionId) -> Result<Option<String>> {
    loop {
        let Some(before) = store::found(cx.db.read(), id).await? else {
            return Ok(Some("is missing".into()));
        };
        let found = walk(cx, &before).await?;
        if found.is_none() || store::version(cx.db.read(), id).await? == before.version {
            return Ok(found);
        }
    }
}

async fn walk(cx: &Context, row: &session::Model) -> Result<Option<String>> {
    if !row.is_ours(&cx.vault) {
        return Ok(Some("changed: its row is not as the last round left it".into()));
    }
    let mut roots = Vec::new();
    for head in log::heads(cx.db.read(), row.id).await? {
        let statement = log::statement(&row.id.text(), head.size, &head.root, head.at);
        if !cx.vault.signed(statement.as_bytes(), &head.signature) {
            return Ok(Some(format!("record {}: the head over it is not as the exchange signed it", head.size)));
        }
        roots.push((head.size, head.root));
    }
    roots.extend(anchor::find(cx.db.read(), row.id).await?.map(|anchor| (anchor.size, anchor.root)));
    roots.sort_unstable();
    let mut roots = roots.into_iter().peekable();
    let Ok(terms) = row.terms() else { return Ok(Some("changed: its terms cannot be read".into())) };
    let (mut tree, mut replay, mut after) = (merkle::Tree::default(), Replay::of(terms), 0);
    while after < row.seq {
        let records = log::records(cx.db.read(), row.id, (after, row.seq), CHUNK).await?;
        if records.is_empty() {
            return Ok(Some(format!("record {}: missing from its log", after + 1)));
        }
        for record in records {
            after += 1;
            let event = AuctionEvent::decode(record.record.as_slice()).ok().filter(|event| event.seq == after);
            let event = event.map(|event| AuctionEvent { session_id: row.id.text(), ..event });
            if record.seq != after || event.is_none_or(|event| replay.take(&event).is_err()) {
                return Ok(Some(format!("record {after}: not what the rules decide in this place")));
            }
            tree.push(merkle::leaf(&record.record));
            while let Some((_, root)) = roots.next_if(|(size, _)| *size <= after) {
                if root != tree.root() {
                    return Ok(Some(format!("record {after}: not the log that the exchange signed or anchored")));
                }
            }
        }
    }
    if let Some((size, _)) = roots.next() {
        return Ok(Some(format!("record {size}: missing from its log, and was signed or anchored")));
    }
    if tree.peaks() != row.peaks {
        return Ok(Some("changed: its log is not the one of its row".into()));
    }
    if row.whole_lot(cx).ok().is_none_or(|lot| lot.state != replay.state().state) {
        return Ok(Some("changed: its log does not lead to its state".into()));
    }
    for kept in sealed::places(cx.db.read(), row.id).await? {
        let name = Name { session: row.id, round: kept.round, place: kept.place };
        if Held::unwrap(&cx.vault, &name, &kept.wrapped).is_err() {
            return Ok(Some(format!("round {} place {}: does not open", kept.round, kept.place)));
        }
    }
    Ok(None)
}
