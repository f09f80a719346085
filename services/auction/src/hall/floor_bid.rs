//! A floor, phone or absentee bid that a clerk enters while the terminal is connected.

use kernel::{Actor, Error, ErrorCode, Refusal, Result};
use tonic::Request;
use wire::{
    id::HallDeviceId,
    policy,
    v1::{self, EnterHallBidPayload},
};

use super::{
    device::terminal,
    entry::{self, ATTEMPTS, out_of_sequence},
    journal::Line,
};
use crate::{
    auctions::Auctions,
    hall::session::require_open,
    lot::idempotent::{keep, keyed, once},
    store::{
        hall::{self, hall_device, hall_session},
        hall_line,
    },
};

/// Enters one bid. Operation and number are its key; a key in the header counts as everywhere besides.
pub async fn enter(auctions: &Auctions, request: Request<v1::EnterHallBidInput>) -> Result<EnterHallBidPayload> {
    let keyed = keyed(&auctions.cx, &request, "EnterHallBid");
    let (actor, input) = kernel::query(request);
    let kept = async { keep(&auctions.cx, keyed.clone(), entered(auctions, &actor, &input).await).await };
    once(&auctions.cx, keyed.as_ref(), kept).await
}

async fn entered(auctions: &Auctions, actor: &Actor, input: &v1::EnterHallBidInput) -> Result<EnterHallBidPayload> {
    let (device, hall) = terminal(auctions.cx.db.read(), actor, (&input.device_id, policy::ENTER_HALL_BID)).await?;
    let named = (input.number, input.operation_id.as_str());
    let line = entry::line(named, &input.session_id, (input.paddle, input.amount, input.origin), "")?;
    for _ in 0..ATTEMPTS {
        entry::finish(auctions, device.id).await?;
        if !write_down(auctions, (device.id, &hall), actor, &line).await? {
            continue;
        }
        entry::finish(auctions, device.id).await?;
        let row = hall_line::of_operation(auctions.cx.db.read(), device.id, &line.operation_id).await?;
        if let Some(answer) = row.and_then(|row| row.answer()) {
            return Ok(answer);
        }
    }
    Err(Error::Unavailable("other lines of the terminal are under way".into()))
}

/// Gives a line its number, unless it has it. False if another line must be answered first.
pub(super) async fn write_down(
    auctions: &Auctions,
    (id, hall): (HallDeviceId, &hall_session::Model),
    clerk: &Actor,
    line: &Line,
) -> Result<bool> {
    let tx = auctions.cx.db.begin().await?;
    let device = hall::device_for_update(&tx, id).await?.ok_or_else(|| Error::not_found("deviceId"))?;
    if let Some(row) = hall_line::of_operation(&tx, id, &line.operation_id).await? {
        tx.rollback().await?;
        return match entry::is_same(&row, line) {
            true => Ok(true),
            false => Err(Refusal::new(ErrorCode::IdempotencyConflict).at_field("operationId").by_rule("P-7").into()),
        };
    }
    if hall_line::under_way(&tx, id).await?.is_some() {
        tx.rollback().await?;
        return Ok(false);
    }
    // What was entered before the hall closed is answered still; nothing more is entered.
    require_open(hall)?;
    if line.number != device.last_number + 1 {
        return Err(out_of_sequence("number", device.last_number + 1));
    }
    let row = entry::written(&tx, hall, (id, clerk), line).await?;
    hall_line::insert(&tx, vec![row]).await?;
    let heard_at = auctions.cx.clock.now().max(device.heard_at);
    let after = hall_device::Model { last_number: line.number, heard_at, ..device.clone() };
    if !hall::move_device(&tx, &device, &after).await? {
        tx.rollback().await?;
        return Ok(false);
    }
    tx.commit().await.map_err(|error| Error::Unavailable(format!("commit: {error}")))?;
    Ok(true)
}
