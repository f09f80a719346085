//! A bidder with a conflict of interest is excluded from a lot under way (SM-5): while the lot is paused, on one person's
//! proposal and another's confirmation. A declaration alone puts nobody out of a race that runs.

use kernel::{Actor, Error, ErrorCode, Id, Refusal, Result, text};
use serde_json::json;
use tonic::Request;
use wire::{
    id::{BiddingSessionId, OrganizationId},
    policy::{self, Of, permit},
    v1::{self, BiddingStatus, ExcludeBidderPayload},
};

use crate::{
    auctions::Auctions,
    engine::Command,
    lot::{
        command::{LotRequest, SideEffect},
        idempotent::{keep, keyed, once, payload},
        registry::LotHandle,
    },
    peers,
    store::{
        self,
        exclusion::{self, Model},
    },
};

/// Proposes an exclusion, or confirms the one that another person proposed.
pub async fn exclude(auctions: &Auctions, request: Request<v1::ExcludeBidderInput>) -> Result<ExcludeBidderPayload> {
    let keyed = keyed(&auctions.cx, &request, "ExcludeBidder");
    let (actor, input) = kernel::query(request);
    let done = async { keep(&auctions.cx, keyed.clone(), payload(excluded(auctions, &actor, input).await)).await };
    once(&auctions.cx, keyed.as_ref(), done).await
}

async fn excluded(auctions: &Auctions, actor: &Actor, input: v1::ExcludeBidderInput) -> Result<v1::BidderExclusion> {
    actor.require_known()?;
    let session_id = BiddingSessionId::parse(&input.session_id, "sessionId")?;
    let organization_id = OrganizationId::parse(&input.organization_id, "organizationId")?;
    let Some(handle) = auctions.lots.handle(session_id).await? else { return Err(Error::not_found("sessionId")) };
    permit(actor, policy::EXCLUDE_BIDDER, Of::centre(&handle.sides.centre_id, "sessionId"))?;
    let reason = text(&input.reason, "reason", 2, 200)?;
    if actor.acts_for(&handle.sides.transferor_id) || actor.acts_for(&input.organization_id) {
        return Err(refuse(ErrorCode::SamePerson, "organizationId").into());
    }
    let id = (session_id, organization_id);
    let earlier = exclusion::find(auctions.cx.db.read(), id).await?;
    if let Some(done) = earlier.filter(|row| row.excluded_at.is_some()) {
        // Whoever asks again after a lost answer finds it done.
        let own = done.excluded_by.as_ref() == Some(&actor.person_id);
        return if own { Ok(done.into()) } else { Err(refuse(ErrorCode::AlreadyExists, "organizationId").into()) };
    }
    let code = require_bidder(auctions, &handle, id).await?;
    let (row, proposed_now) = propose(auctions, actor, (id, reason)).await?;
    if proposed_now {
        return Ok(row.into());
    }
    if row.proposed_by == actor.person_id {
        return Err(refuse(ErrorCode::SamePerson, "organizationId").accepting("REVIEWER | QUALIFIER").into());
    }
    confirm(auctions, (actor, &handle), (row, code)).await
}

/// The code of a bidder of a paused lot that stands on both sides of it.
async fn require_bidder(
    auctions: &Auctions,
    handle: &LotHandle,
    (session_id, organization_id): (BiddingSessionId, OrganizationId),
) -> Result<String> {
    let db = auctions.cx.db.read();
    let code = store::code_of(db, session_id, organization_id).await?;
    let code = code.ok_or_else(|| refuse(ErrorCode::NotEligible, "organizationId"))?;
    let row = store::session(db, &auctions.cx.vault, session_id).await?;
    let row = row.ok_or_else(|| Error::not_found("sessionId"))?;
    let paused = refuse(ErrorCode::IllegalTransition, "sessionId").accepting("PAUSED");
    if row.status != BiddingStatus::Paused {
        return Err(paused.into());
    }
    if !row.lot()?.state.bidders.contains_key(&code) {
        // Under seal nobody is told who bids before the envelopes are opened.
        return Err(paused.accepting("PAUSED, after OPENING").into());
    }
    let sides = (&*handle.sides.transferor_id, &*handle.sides.centre_id);
    match peers::conflict(&auctions.clients, &organization_id.text(), sides, None).await? {
        true => Ok(code),
        false => Err(refuse(ErrorCode::NoConflict, "organizationId").accepting("confirmConflict").into()),
    }
}

/// The proposal of whoever came first, and whether that was now.
async fn propose(
    auctions: &Auctions,
    actor: &Actor,
    ((session_id, organization_id), reason): ((BiddingSessionId, OrganizationId), String),
) -> Result<(Model, bool)> {
    let (cx, now) = (&auctions.cx, auctions.cx.clock.now());
    let row = Model {
        session_id,
        organization_id,
        reason,
        proposed_by: actor.person_id.clone(),
        proposed_at: now,
        excluded_by: None,
        excluded_at: None,
    };
    let tx = cx.db.begin().await?;
    let proposed_now = exclusion::propose(&tx, row.clone()).await?;
    if proposed_now {
        let facts = json!({ "organization": organization_id.text(), "reason": row.reason });
        cx.record_by(&tx, (actor, now), &session_id.text(), ("ExclusionProposed", facts)).await?;
    }
    let found = exclusion::find(&tx, (session_id, organization_id)).await?;
    tx.commit().await.map_err(|error| Error::Unavailable(format!("commit: {error}")))?;
    cx.committed.notify_one();
    let row = found.ok_or_else(|| Error::Internal(format!("the exclusion of {organization_id} is gone")))?;
    Ok((row, proposed_now))
}

/// The lot's writer excludes the bidder and notes who did in one transaction.
async fn confirm(
    auctions: &Auctions,
    (actor, handle): (&Actor, &LotHandle),
    (row, code): (Model, String),
) -> Result<v1::BidderExclusion> {
    let command = Command::Exclude { code, reason: row.reason.clone() };
    let beside = SideEffect::Exclude(row.organization_id);
    let answer = handle.send(LotRequest::Staff { actor: actor.clone(), command, beside }, None).await?;
    if let Some(code) = answer.refused {
        return Err(refuse(code, "sessionId").accepting("PAUSED").into());
    }
    let found = exclusion::find(auctions.cx.db.read(), (row.session_id, row.organization_id)).await?;
    Ok(found.unwrap_or(row).into())
}

fn refuse(code: ErrorCode, field: &str) -> Refusal {
    Refusal::new(code).at_field(field).by_rule("SM-5")
}
