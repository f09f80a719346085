//! The evidence of a finished session, for anybody: what it is, and the bundle itself, part by part.

use std::pin::Pin;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use futures::{Stream, stream};
use kernel::{Context, Error, Id, Result, merkle};
use tonic::Status;
use wire::{id::BiddingSessionId, v1};

use crate::{
    engine::Lot,
    evidence::{Head, Opening, Scribe},
    store::{self, log, session},
};

/// Records read at a time. The lines of so many are far below what one message of gRPC may hold.
const PAGE: u64 = 256;

/// The parts of a bundle.
pub type Parts = Pin<Box<dyn Stream<Item = Result<v1::EvidenceChunkReply, Status>> + Send>>;

/// A finished session with the heads up to its last event; none while the result is not public.
async fn finished(cx: &Context, session_id: &str) -> Result<Option<(session::Model, Lot, Vec<log::head::Model>)>> {
    let id = BiddingSessionId::parse(session_id, "sessionId")?;
    let Some(row) = store::session(cx.db.read(), &cx.vault, id).await? else { return Ok(None) };
    let lot = row.lot()?;
    if !lot.is_closed() {
        return Ok(None);
    }
    // A winner may default meanwhile: what came after the row was read is another bundle's.
    let mut heads = log::heads(cx.db.read(), id).await?;
    heads.retain(|head| head.size <= row.seq);
    Ok(Some((row, lot, heads)))
}

/// What there is to verify.
pub async fn evidence(cx: &Context, wanted: v1::EvidenceRequest) -> Result<v1::EvidenceReply> {
    let Some((row, _, heads)) = finished(cx, &wanted.session_id).await? else {
        return Ok(v1::EvidenceReply::default());
    };
    let root = merkle::Tree::read(u64::try_from(row.seq).unwrap_or_default(), &row.peaks)?.root();
    let head = |head: log::head::Model| v1::EvidenceHead {
        size: head.size,
        root: HEXLOWER.encode(&head.root),
        at: Some(head.at),
        signature: BASE64URL_NOPAD.encode(&head.signature),
    };
    let evidence = v1::Evidence {
        url: format!("/evidence/{}", row.id.text()),
        size: row.seq,
        root: HEXLOWER.encode(&root),
        heads: heads.into_iter().map(head).collect(),
        verifying_key: BASE64URL_NOPAD.encode(cx.vault.verifying_key().as_bytes()),
    };
    Ok(v1::EvidenceReply { evidence: Some(evidence) })
}

/// A bundle under way.
struct Download {
    cx: Context,
    row: session::Model,
    lot: Lot,
    /// None once the last line is written.
    scribe: Option<Scribe>,
    /// The number of the last record written.
    seq: i64,
    lines: Vec<u8>,
}

/// The bundle. Nothing is held in the database while the other side reads slowly.
pub async fn download(cx: Context, wanted: v1::EvidenceRequest) -> Result<Parts> {
    let found = finished(&cx, &wanted.session_id).await?;
    let (row, lot, heads) = found.ok_or_else(|| Error::not_found("sessionId"))?;
    let head =
        |head: log::head::Model| Head { size: head.size, root: head.root, at: head.at, signature: head.signature };
    let opening = Opening {
        session_id: row.id.text(),
        listing_id: row.listing_id.text(),
        rules_version: row.rules_version.clone(),
        terms: row.terms.clone(),
        events: row.seq,
        heads: heads.into_iter().map(head).collect(),
    };
    let mut lines = Vec::new();
    let scribe = Some(Scribe::open(opening, &cx.vault, &mut lines)?);
    let download = Download { cx, row, lot, scribe, seq: 0, lines };
    let parts = stream::unfold(download, |mut download| async move {
        let part = download.part().await.transpose()?;
        Some((part.map_err(Status::from), download))
    });
    Ok(Box::pin(parts))
}

impl Download {
    /// The next part; none after the last line, and none after a fault.
    async fn part(&mut self) -> Result<Option<v1::EvidenceChunkReply>> {
        let Some(mut scribe) = self.scribe.take() else { return Ok(None) };
        let records = log::records(self.cx.db.read(), self.row.id, (self.seq, self.row.seq), PAGE).await?;
        for record in &records {
            self.seq = record.seq;
            scribe.record(record.seq, &record.record, &mut self.lines)?;
        }
        if records.is_empty() || self.seq == self.row.seq {
            scribe.close(&self.lot, &mut self.lines)?;
        } else {
            self.scribe = Some(scribe);
        }
        Ok(Some(v1::EvidenceChunkReply { lines: std::mem::take(&mut self.lines) }))
    }
}
