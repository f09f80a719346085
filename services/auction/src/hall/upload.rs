//! What a terminal noted while it was cut off, and how the auctioneer settles what no longer fits.

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::VerifyingKey;
use kernel::{Actor, Call, Error, ErrorCode, Id, Payload, Refusal, Result, text};
use serde_json::json;
use tonic::Request;
use wire::{
    id::HallDeviceId,
    policy,
    v1::{self, JournalOutcome, UploadHallJournalPayload},
};

use super::{
    device::terminal,
    entry::{self, ATTEMPTS, out_of_sequence},
    journal::{self, Signed},
};
use crate::{
    auctions::Auctions,
    lot::idempotent::{keep, keyed, once},
    store::{
        hall::{self, hall_device, hall_session},
        hall_line,
    },
};

/// Most lines in one upload.
const MOST: usize = 500;

/// Takes a piece of a journal: checked as a whole, written down as a whole, then bid line by line.
pub async fn upload(
    auctions: &Auctions,
    request: Request<v1::UploadHallJournalInput>,
) -> Result<UploadHallJournalPayload> {
    let keyed = keyed(&auctions.cx, &request, "UploadHallJournal");
    let (actor, input) = kernel::query(request);
    let kept = async {
        let uploaded = uploaded(auctions, &actor, &input).await;
        keep(&auctions.cx, keyed.clone(), uploaded.map(|upload| UploadHallJournalPayload::of(Ok(upload)))).await
    };
    once(&auctions.cx, keyed.as_ref(), kept).await
}

async fn uploaded(auctions: &Auctions, actor: &Actor, input: &v1::UploadHallJournalInput) -> Result<v1::JournalUpload> {
    let (device, hall) =
        terminal(auctions.cx.db.read(), actor, (&input.device_id, policy::UPLOAD_HALL_JOURNAL)).await?;
    let lines = read(input)?;
    check(auctions, &device, &lines).await?;
    let first = lines.first().map_or(0, |signed| signed.line.number);
    let last = lines.last().map_or(0, |signed| signed.line.number);
    for _ in 0..ATTEMPTS {
        // Afterwards what was entered live is known to be applied or not.
        entry::finish(auctions, device.id).await?;
        if !write_down(auctions, (device.id, &hall), actor, &lines).await? {
            continue;
        }
        entry::finish(auctions, device.id).await?;
        let rows = hall_line::between(auctions.cx.db.read(), device.id, (first, last)).await?;
        let entries: Vec<_> = rows.iter().filter_map(hall_line::Model::entry).collect();
        if entries.len() == lines.len() {
            return Ok(v1::JournalUpload { device_id: device.id.text(), entries });
        }
    }
    Err(Error::Unavailable("other lines of the terminal are under way".into()))
}

fn read(input: &v1::UploadHallJournalInput) -> Result<Vec<Signed>> {
    if input.lines.is_empty() || input.lines.len() > MOST {
        let refusal = Refusal::new(ErrorCode::InvalidInput).at_field("lines");
        return Err(refusal.accepting(format!("1–{MOST}")).into());
    }
    let read = |(index, line): (usize, &v1::JournalLineInput)| {
        let at = format!("lines.{index}.");
        let named = (line.number, line.operation_id.as_str());
        let signature = BASE64URL_NOPAD.decode(line.signature.as_bytes()).map_err(|_| {
            Error::from(Refusal::new(ErrorCode::BadSignature).at_field(&format!("{at}signature")).by_rule("SM-5"))
        })?;
        let required = || Error::from(Refusal::new(ErrorCode::Required).at_field(&format!("{at}notedAt")));
        Ok(Signed {
            line: entry::line(named, &line.session_id, (line.paddle, line.amount, line.origin), &at)?,
            noted_at: line.noted_at.ok_or_else(required)?,
            signature,
        })
    };
    input.lines.iter().enumerate().map(read).collect()
}

/// Checks the chain against what the exchange has of it. That only grows, so the check holds although nothing is locked.
async fn check(auctions: &Auctions, device: &hall_device::Model, lines: &[Signed]) -> Result<()> {
    let first = lines.first().map_or(1, |signed| signed.line.number);
    let before = hall_line::between(auctions.cx.db.read(), device.id, (first - 1, first - 1)).await?;
    let before = before.into_iter().next().and_then(|row| row.signature).unwrap_or_default();
    let key =
        <[u8; 32]>::try_from(device.public_key.as_slice()).ok().and_then(|key| VerifyingKey::from_bytes(&key).ok());
    let key = key.ok_or_else(|| Error::Internal(format!("{} has no key", device.id)))?;
    let checked = journal::check(&device.id.text(), &key, (device.uploaded_number + 1, &before), lines);
    checked.map_err(|flaw| match flaw.code {
        ErrorCode::OutOfSequence => out_of_sequence(&format!("lines.{}.number", flaw.index), flaw.expected),
        code => Refusal::new(code).at_field(&format!("lines.{}.signature", flaw.index)).by_rule("SM-5").into(),
    })
}

/// Writes all lines down, or none. False if a line that was entered live must be answered first.
async fn write_down(
    auctions: &Auctions,
    (id, hall): (HallDeviceId, &hall_session::Model),
    clerk: &Actor,
    lines: &[Signed],
) -> Result<bool> {
    let tx = auctions.cx.db.begin().await?;
    let device = hall::device_for_update(&tx, id).await?.ok_or_else(|| Error::not_found("deviceId"))?;
    let operations = lines.iter().map(|signed| signed.line.operation_id.clone()).collect();
    let known = hall_line::of_operations(&tx, id, operations).await?;
    let mut fresh: Vec<hall_line::Model> = Vec::new();
    let mut after = hall_device::Model { heard_at: auctions.cx.clock.now().max(device.heard_at), ..device.clone() };
    for (index, signed) in lines.iter().enumerate() {
        let line = &signed.line;
        let reused = |row: &&hall_line::Model| row.operation_id == line.operation_id;
        after.uploaded_number = after.uploaded_number.max(line.number);
        if let Some(row) = known.iter().find(reused) {
            if !entry::is_same(row, line) || row.signature.as_ref().is_some_and(|known| *known != signed.signature) {
                return Err(reused_operation(index));
            }
            if row.signature.is_none() {
                let Some(noted) = noted(row, signed) else {
                    tx.rollback().await?;
                    return Ok(false);
                };
                hall_line::note(&tx, &noted).await?;
            }
            continue;
        }
        if fresh.iter().any(|row| reused(&row)) {
            return Err(reused_operation(index));
        }
        if line.number != after.last_number + 1 {
            // The exchange has another line under this number.
            return Err(out_of_sequence(&format!("lines.{index}.number"), after.last_number + 1));
        }
        after.last_number = line.number;
        let row = entry::written(&tx, hall, (id, clerk), line).await?;
        let refused = row.reply.as_ref().map(|_| JournalOutcome::Conflict);
        let (noted_at, signature) = (Some(signed.noted_at), Some(signed.signature.clone()));
        fresh.push(hall_line::Model { noted_at, signature, outcome: refused, ..row });
    }
    hall_line::insert(&tx, fresh).await?;
    if !hall::move_device(&tx, &device, &after).await? {
        tx.rollback().await?;
        return Ok(false);
    }
    tx.commit().await.map_err(|error| Error::Unavailable(format!("commit: {error}")))?;
    Ok(true)
}

/// A line that was entered live, as the journal has it; nothing while it is under way.
fn noted(row: &hall_line::Model, signed: &Signed) -> Option<hall_line::Model> {
    let accepted = row.answer()?.bid.is_some();
    let outcome = if accepted { JournalOutcome::AlreadyApplied } else { JournalOutcome::Conflict };
    let (noted_at, signature) = (Some(signed.noted_at), Some(signed.signature.clone()));
    Some(hall_line::Model { noted_at, signature, outcome: Some(outcome), ..row.clone() })
}

fn reused_operation(index: usize) -> Error {
    let refusal = Refusal::new(ErrorCode::IdempotencyConflict).at_field(&format!("lines.{index}.operationId"));
    refusal.by_rule("P-7").into()
}

/// The auctioneer settles a conflict, in words.
pub async fn settle(call: &Call, input: v1::SettleJournalConflictInput) -> Result<v1::JournalEntry> {
    let named = (input.device_id.as_str(), policy::SETTLE_JOURNAL_CONFLICT);
    let id = terminal(&call.tx, &call.actor, named).await?.0.id;
    let settlement = text(&input.settlement, "settlement", 2, 500)?;
    let row = hall_line::for_update(&call.tx, id, input.number).await?.filter(|row| row.outcome.is_some());
    let row = row.ok_or_else(|| Error::not_found("number"))?;
    if row.outcome != Some(JournalOutcome::Conflict) {
        return Err(Refusal::new(ErrorCode::IllegalTransition).at_field("number").accepting("CONFLICT").into());
    }
    let facts = json!({ "deviceId": id.text(), "number": row.number, "operationId": row.operation_id,
        "settlement": settlement });
    let row = hall_line::Model { outcome: Some(JournalOutcome::Settled), settlement: Some(settlement), ..row };
    hall_line::settle(&call.tx, &row).await?;
    call.record("JournalConflictSettled", &row.session_id.text(), facts).await?;
    row.entry().ok_or_else(|| Error::Internal(format!("{id} {} has no answer", row.number)))
}
