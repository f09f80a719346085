//! A line on its way from a terminal to its lot.
//!
//! Why nothing is lost or doubled: a line is written down first, in the transaction that moves its terminal from number
//! n-1 to n and finds out whose paddle it is; only then is it sent to the lot's writer, under a key made of terminal and
//! operation, and the writer keeps its answer under that key in the transaction of the bid. Last, the answer is written
//! beside the line. Whoever dies between two of these leaves a line without an answer, which the next call of the
//! terminal, or the watch over all halls, sends again: the key gives the one answer. The next number is given only when
//! all before it are answered, so the lot hears them in order; the row of the terminal under lock gives each number once.

use kernel::{Actor, Error, ErrorCode, Id, Idempotency, Payload, Refusal, Result, Transaction};
use prost::Message;
use serde_json::{Value, json};
use wire::{
    id::{BiddingSessionId, HallDeviceId},
    v1::{BidOrigin, EnterHallBidPayload},
};

use super::journal::Line;
use crate::{
    auctions::Auctions,
    engine::Command,
    lot::command::{LotRequest, SideEffect},
    store::{
        self,
        hall::{self, hall_session},
        hall_line,
    },
};

/// How often a number is asked for again when another line of the terminal is under way.
pub const ATTEMPTS: usize = 8;

/// What a clerk's call names, checked as far as it can be without the database.
pub fn line(
    (number, operation_id): (i64, &str),
    session_id: &str,
    (paddle, amount, origin): (i32, Option<kernel::Money>, i32),
    at: &str,
) -> Result<Line> {
    let field = |name: &str| format!("{at}{name}");
    let named = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !(8..=64).contains(&operation_id.len()) || !operation_id.chars().all(named) {
        let refusal = Refusal::new(ErrorCode::InvalidInput).at_field(&field("operationId"));
        return Err(refusal.accepting("[A-Za-z0-9._-]{8,64}").into());
    }
    let amount = amount.ok_or_else(|| Error::from(Refusal::new(ErrorCode::Required).at_field(&field("amount"))))?;
    let from_hall = |origin: &BidOrigin| matches!(origin, BidOrigin::Floor | BidOrigin::Phone | BidOrigin::Absentee);
    let Some(origin) = BidOrigin::try_from(origin).ok().filter(from_hall) else {
        let refusal = Refusal::new(ErrorCode::InvalidInput).at_field(&field("origin"));
        return Err(refusal.accepting("FLOOR | PHONE | ABSENTEE").into());
    };
    let session_id = BiddingSessionId::parse(session_id, &field("sessionId"))?.text();
    Ok(Line { number, operation_id: operation_id.to_owned(), session_id, paddle, amount, origin })
}

/// Whether a stored line is this very one.
pub fn is_same(row: &hall_line::Model, line: &Line) -> bool {
    let stored = Line {
        number: row.number,
        operation_id: row.operation_id.clone(),
        session_id: row.session_id.text(),
        paddle: row.paddle,
        amount: row.amount,
        origin: row.origin,
    };
    stored == *line
}

/// A line as it is written down: whose paddle it is in this lot, or the refusal that keeps it from the lot. That is found
/// out once, here, so that a paddle issued later does not change what became of a line.
pub async fn written(
    tx: &Transaction,
    hall: &hall_session::Model,
    (device_id, clerk): (HallDeviceId, &Actor),
    line: &Line,
) -> Result<hall_line::Model> {
    let session_id = BiddingSessionId::parse(&line.session_id, "sessionId")?;
    let judged = judge(tx, hall, (session_id, clerk), line).await?;
    let (bidder_code, refusal) = match judged {
        Ok(code) => (Some(code), None),
        Err(refusal) => (None, Some(refusal)),
    };
    Ok(hall_line::Model {
        device_id,
        number: line.number,
        operation_id: line.operation_id.clone(),
        session_id,
        paddle: line.paddle,
        amount: line.amount,
        origin: line.origin,
        clerk: clerk.person_id.clone(),
        bidder_code,
        reply: refusal.map(|refusal| EnterHallBidPayload::of(Err(refusal)).encode_to_vec()),
        noted_at: None,
        signature: None,
        outcome: None,
        settlement: None,
    })
}

async fn judge(
    tx: &Transaction,
    hall: &hall_session::Model,
    (session_id, clerk): (BiddingSessionId, &Actor),
    line: &Line,
) -> Result<Result<String, Refusal>> {
    let refused = |code, field| Ok(Err(Refusal::new(code).at_field(field).by_rule("SM-5")));
    if !hall::lots(tx, hall.id).await?.contains(&session_id) {
        return refused(ErrorCode::NotFound, "sessionId");
    }
    let Some(paddle) = hall::paddle(tx, hall.id, line.paddle).await? else {
        return refused(ErrorCode::NoPaddle, "paddle");
    };
    if clerk.acts_for(&paddle.organization_id.text()) {
        return refused(ErrorCode::ConflictOfInterest, "paddle");
    }
    // The bidder is one and the same online and in the hall: its code in this lot.
    match store::code_of(tx, session_id, paddle.organization_id).await? {
        Some(code) => Ok(Ok(code)),
        None => refused(ErrorCode::NotEligible, "paddle"),
    }
}

/// Brings everything that a terminal has under way to its end, in the order of its numbers.
pub async fn finish(auctions: &Auctions, device: HallDeviceId) -> Result<()> {
    while let Some(line) = hall_line::under_way(auctions.cx.db.read(), device).await? {
        let reply = cry(auctions, &line).await?;
        let tx = auctions.cx.db.begin().await?;
        hall_line::answer(&tx, &line, reply).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Sends a line to its lot. However often it is sent, it is bid once and has one answer.
async fn cry(auctions: &Auctions, row: &hall_line::Model) -> Result<Vec<u8>> {
    let device_id = row.device_id.text();
    let code =
        row.bidder_code.clone().ok_or_else(|| Error::Internal(format!("{device_id} {} has no code", row.number)))?;
    let Some(lot) = auctions.lots.handle(row.session_id).await? else {
        return Err(Error::Internal(format!("{} is gone", row.session_id)));
    };
    let command = Command::Bid { code, amount: row.amount, origin: row.origin, paddle: Some(row.paddle) };
    let facts = json!({ "deviceId": device_id, "number": row.number, "operationId": row.operation_id });
    let facts = if let Value::Object(facts) = facts { facts } else { serde_json::Map::new() };
    let actor = Actor { person_id: row.clerk.clone(), ..Actor::default() };
    let content = format!("{}\n{}\n{}\n{}", row.session_id, row.paddle, row.amount.0, row.origin.stored());
    let keyed =
        Idempotency::new(&auctions.cx.vault, [&device_id, "EnterHallBid", &row.operation_id], content.as_bytes());
    let answer = lot.send(LotRequest::Staff { actor, command, beside: SideEffect::Facts(facts) }, Some(keyed)).await?;
    let mut reply = EnterHallBidPayload::decode(answer.reply.as_slice())
        .map_err(|error| Error::Internal(format!("{device_id} {}: {error}", row.number)))?;
    for refusal in &mut reply.user_errors {
        // The clerk named a paddle, no organization.
        if refusal.field.last().is_some_and(|field| field == "organizationId") {
            *refusal = refusal.clone().at_field("paddle");
        }
    }
    Ok(reply.encode_to_vec())
}

/// The number that must come next.
pub fn out_of_sequence(field: &str, expected: i64) -> Error {
    Refusal::new(ErrorCode::OutOfSequence).at_field(field).accepting(expected.to_string()).into()
}
