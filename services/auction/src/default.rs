//! A winner that does not sign or pay (SM-3): its award ends, it is barred from the lot, and the next bidder has it.

use kernel::{Actor, Error, ErrorCode, Id, Refusal, Result, Sight, text};
use tonic::Request;
use wire::{
    id::AwardId,
    policy::{self, Of, permit},
    v1::{self, AwardStatus, DeclareDefaultPayload},
};

use crate::{
    api::Auctions,
    award::next,
    bid::send,
    engine::Command,
    foreign,
    keyed::{keyed, payload},
    lot_command::{Effect, Wish},
    store,
};

/// Declares it. The lot's writer ends the award and passes the lot on in one transaction.
pub async fn declare(auctions: &Auctions, request: Request<v1::DeclareDefaultInput>) -> Result<DeclareDefaultPayload> {
    let keyed = keyed(auctions, &request, "DeclareDefault");
    let (actor, input) = kernel::query(request);
    let reply = payload(declared(auctions, &actor, input).await)?;
    Ok(auctions.cx.refuse(keyed, reply, auctions.cx.clock.now()).await?.into_inner())
}

async fn declared(auctions: &Auctions, actor: &Actor, input: v1::DeclareDefaultInput) -> Result<v1::Award> {
    actor.require_known()?;
    let id = AwardId::parse(&input.award_id, "awardId")?;
    let row = find(auctions, actor, id).await?;
    permit(actor, policy::DECLARE_DEFAULT, Of::centre(&row.centre_id.text(), "awardId"))?;
    text(&input.reason, "reason", 2, 1_000)?;
    if actor.acts_for(&row.transferor_id.text()) || actor.acts_for(&row.winner_id.text()) {
        return Err(Refusal::new(ErrorCode::SamePerson).at_field("awardId").into());
    }
    // Whoever asks again after a lost answer finds it done.
    if row.status == AwardStatus::Defaulted {
        return Ok(row.into());
    }
    // Before two persons confirmed it nobody could sign or pay.
    if !next(row.status).contains(&AwardStatus::Defaulted) {
        let refusal = Refusal::new(ErrorCode::IllegalTransition).at_field("awardId").by_rule("SM-3");
        return Err(refusal.accepting("CONFIRMED").into());
    }
    let Some(session_id) = row.session_id.filter(|_| !row.open) else {
        let refusal = Refusal::new(ErrorCode::IllegalTransition).at_field("awardId").by_rule("SM-3");
        return Err(refusal.into());
    };
    let code = store::hall::code(auctions.cx.db.read(), session_id, row.winner_id).await?;
    let code = code.ok_or_else(|| Error::Internal(format!("{id} has no bidder")))?;
    let Some(hall) = auctions.halls.hall(session_id).await? else { return Err(Error::not_found("awardId")) };
    // Whoever paid has not defaulted, and what is sold is not sold to the next bidder. From here on nobody pays any more.
    if !foreign::end_in_default(auctions, &row).await? {
        return Err(Refusal::new(ErrorCode::AlreadySettled).at_field("awardId").by_rule("SM-3").into());
    }
    let wish = Wish::Staff { actor: actor.clone(), command: Command::PassOn { code }, beside: Effect::Default(id) };
    let answer = send(&hall, wish, None).await?;
    match answer.refused {
        None => Ok(find(auctions, actor, id).await?.into()),
        Some(code) => Err(Refusal::new(code).at_field("awardId").by_rule("SM-3").into()),
    }
}

async fn find(auctions: &Auctions, actor: &Actor, id: AwardId) -> Result<store::award::Model> {
    let found = store::award::list(auctions.cx.db.write(), &Sight::of(actor), vec![id], Vec::new()).await?;
    found.into_iter().next().ok_or_else(|| Error::not_found("awardId"))
}
