use kernel::{Actor, Error, ErrorCode, Idempotency, Payload, Refusal, Result, Role};
use prost::Message;
use tokio::sync::oneshot;
use wire::{
    id::{BiddingSessionId, OrganizationId},
    v1::{self, PlaceBidInput, PlaceBidPayload, TransferApplicationStatus},
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
    let keyed = key.map(|key| Idempotency::new(&actor.person_id, "PlaceBid", &key, &input.encode_to_vec()));
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
    actor.require_role(&input.organization_id, &[Role::Bidder], "organizationId")?;
    let Some(hall) = auctions.halls.hall(session_id).await? else { return Err(Error::not_found("sessionId")) };
    let (answer, answered) = oneshot::channel();
    let command = BidCommand { organization_id, amount, keyed, answer };
    hall.queue.send(command).await.map_err(|_| Error::Unavailable("the lot's writer stopped".into()))?;
    let payload = answered.await.map_err(|_| Error::Unavailable("outcome unknown".into()))??;
    match payload.user_errors.first() {
        Some(refusal) if refusal.error_code() == ErrorCode::NotEligible => {
            Err(why_not_eligible(auctions, actor, session_id, &input, refusal.clone()).await?.into())
        }
        _ => Ok(payload),
    }
}

/// Says more to somebody who is no bidder of the lot: the transferor itself, or a deposit that is missing.
async fn why_not_eligible(
    auctions: &Auctions,
    actor: &Actor,
    session_id: BiddingSessionId,
    input: &PlaceBidInput,
    refusal: Refusal,
) -> Result<Refusal> {
    let sessions = store::sessions(auctions.cx.db.read(), vec![session_id], Vec::new()).await?;
    let Some(session) = sessions.first() else { return Ok(refusal) };
    let say = |code: ErrorCode| {
        let named = Refusal::new(code);
        Refusal { code: named.code, message_zh: named.message_zh, message_en: named.message_en, ..refusal.clone() }
    };
    if actor.is_member(&session.transferor_id.text()) {
        return Ok(say(ErrorCode::OwnListing));
    }
    let listing_id = session.listing_id.text();
    let applications = foreign::applications(auctions, &listing_id, Some(&input.organization_id)).await?;
    let due = |a: &v1::TransferApplication| a.status() == TransferApplicationStatus::DepositDue;
    Ok(if applications.iter().any(due) { say(ErrorCode::DepositInsufficient) } else { refusal })
}
