use kernel::{Actor, Error, ErrorCode, Idempotency, Payload, Refusal, Result};
use prost::Message;
use tokio::sync::oneshot;
use wire::{
    id::{BiddingSessionId, OrganizationId},
    policy::{self, Of, permit},
    v1::{PlaceBidInput, PlaceBidPayload, TransferApplicationStatus},
};

use crate::{api::Auctions, foreign, store, writer::BidCommand};
use kernel::Id;

/// Hands a bid to its lot's writer and waits for the commit.
///
/// This mutation keeps its own idempotency rows: they belong into the writer's transaction. What is refused without
/// the writer is kept here, and what was answered before counts, whatever has changed since (promise P-7).
pub async fn place(
    auctions: &Auctions,
    actor: Actor,
    key: Option<String>,
    input: PlaceBidInput,
) -> Result<PlaceBidPayload> {
    let call = |key: String| {
        Idempotency::new(&auctions.cx.vault, [&actor.person_id, "PlaceBid", &key], &input.encode_to_vec())
    };
    let keyed = key.map(call);
    match place_or_refuse(auctions, &actor, keyed.clone(), input).await {
        Err(Error::Refused(refusal)) => {
            let reply = PlaceBidPayload::of(Err(*refusal));
            Ok(auctions.cx.refuse(keyed, reply, auctions.cx.clock.now()).await?.into_inner())
        }
        other => other,
    }
}

async fn place_or_refuse(
    auctions: &Auctions,
    actor: &Actor,
    keyed: Option<Idempotency>,
    input: PlaceBidInput,
) -> Result<PlaceBidPayload> {
    actor.require_known()?;
    let session_id = BiddingSessionId::parse(&input.session_id, "sessionId")?;
    let organization_id = OrganizationId::parse(&input.organization_id, "organizationId")?;
    let amount = input.amount.ok_or_else(|| Error::from(Refusal::new(ErrorCode::Required).at_field("amount")))?;
    let Some(hall) = auctions.halls.hall(session_id).await? else { return Err(Error::not_found("sessionId")) };
    permit(actor, policy::PLACE_BID, Of::organization(&input.organization_id, "organizationId"))?;
    // Memberships change between application and bid; what the caller is now costs no look-up.
    if let Some(code) = actor.conflict(&hall.sides.transferor_id, &hall.sides.centre_id) {
        return Err(Refusal::new(code).at_field("organizationId").by_rule("SM-5").into());
    }
    let (answer, answered) = oneshot::channel();
    let command = BidCommand { organization_id, amount, keyed, answer };
    hall.queue.send(command).await.map_err(|_| Error::Unavailable("the lot's writer stopped".into()))?;
    let payload = answered.await.map_err(|_| Error::Unavailable("outcome unknown".into()))??;
    match payload.user_errors.first() {
        Some(refusal) if refusal.error_code() == ErrorCode::NotEligible => {
            Err(why_not_eligible(auctions, session_id, &input.organization_id, refusal.clone()).await?.into())
        }
        _ => Ok(payload),
    }
}

/// Says more to somebody who is no bidder of the lot: its deposit was missing when the session was scheduled, or
/// somebody of it stood on the other side.
async fn why_not_eligible(
    auctions: &Auctions,
    session_id: BiddingSessionId,
    organization_id: &str,
    refusal: Refusal,
) -> Result<Refusal> {
    let sessions = store::sessions(auctions.cx.db.read(), vec![session_id], Vec::new()).await?;
    let Some(session) = sessions.first() else { return Ok(refusal) };
    let say = |code: ErrorCode| {
        let named = Refusal::new(code);
        Refusal { code: named.code, message_zh: named.message_zh, message_en: named.message_en, ..refusal.clone() }
    };
    let [listing_id, centre_id] = [session.listing_id.text(), session.centre_id.text()];
    let applications = foreign::applications(auctions, &listing_id, Some(organization_id)).await?;
    let at = |status: TransferApplicationStatus| applications.iter().any(|found| found.status() == status);
    if at(TransferApplicationStatus::DepositDue) {
        return Ok(say(ErrorCode::DepositInsufficient));
    }
    let sides = (&*session.transferor_id.text(), &*centre_id);
    let shut_out =
        at(TransferApplicationStatus::Eligible) && foreign::conflict(auctions, organization_id, sides).await?;
    Ok(if shut_out { say(ErrorCode::ConflictOfInterest) } else { refusal })
}
