//! Paddles: a bidder's number in the hall.

use kernel::{Actor, Call, Error, ErrorCode, Id, Refusal, Result};
use serde_json::json;
use tonic::Request;
use wire::{
    id::{HallSessionId, OrganizationId},
    policy::{self, Of, permit},
    v1,
};

use crate::{
    auctions::Auctions,
    bidding::bid,
    hall::session::require_open,
    store::{
        self,
        hall::{self, hall_session, paddle},
    },
};

/// Lets an organization in that was qualified after the lots were scheduled, where these take bidders late. That is done
/// before the paddle is issued: the lots' writers commit by themselves. What is wrong with the call, `check_in` says.
pub async fn let_in(auctions: &Auctions, request: &Request<v1::CheckInInput>) -> Result<()> {
    let (actor, input) = (Actor::read(request.metadata()), request.get_ref());
    let hall_id = HallSessionId::parse(&input.hall_session_id, "hallSessionId");
    let organization_id = OrganizationId::parse(&input.organization_id, "organizationId");
    let (Ok(hall_id), Ok(organization_id)) = (hall_id, organization_id) else { return Ok(()) };
    let found = hall::find(auctions.cx.db.read(), vec![hall_id]).await?;
    let may = |hall: &hall_session::Model| {
        permit(&actor, policy::CHECK_IN, Of::centre(&hall.centre_id.text(), "hallSessionId")).is_ok()
            && require_open(hall).is_ok()
            && !actor.acts_for(&input.organization_id)
    };
    if !found.first().is_some_and(may) {
        return Ok(());
    }
    for lot in hall::lots(auctions.cx.db.read(), hall_id).await? {
        if store::code_of(auctions.cx.db.read(), lot, organization_id).await?.is_none()
            && let Some(writer) = auctions.lots.handle(lot).await?
        {
            bid::admit(auctions, &writer, lot, organization_id).await?;
        }
    }
    Ok(())
}

/// Issues a paddle to a bidder of one of the lots: qualified, and its deposit on hold. In a lot of which it is no bidder
/// the paddle does not bid.
pub async fn check_in(call: &Call, input: v1::CheckInInput) -> Result<v1::Paddle> {
    call.actor.require_known()?;
    let id = HallSessionId::parse(&input.hall_session_id, "hallSessionId")?;
    let hall = hall::for_update(&call.tx, id).await?.ok_or_else(|| Error::not_found("hallSessionId"))?;
    permit(&call.actor, policy::CHECK_IN, Of::centre(&hall.centre_id.text(), "hallSessionId"))?;
    let organization_id = OrganizationId::parse(&input.organization_id, "organizationId")?;
    require_open(&hall)?;
    if !(1..=9_999).contains(&input.number) {
        return Err(Refusal::new(ErrorCode::InvalidInput).at_field("number").accepting("1–9999").into());
    }
    let refused = |code, field| Err(Refusal::new(code).at_field(field).by_rule("SM-5").into());
    if call.actor.acts_for(&input.organization_id) {
        return refused(ErrorCode::ConflictOfInterest, "organizationId");
    }
    let lots = hall::lots(&call.tx, id).await?;
    if !store::is_bidder(&call.tx, lots, organization_id).await? {
        return refused(ErrorCode::NotEligible, "organizationId");
    }
    if let Some(paddle) = hall::paddle_of(&call.tx, id, organization_id).await? {
        // Whoever asks again finds it issued; a second number it does not get.
        return if paddle.number == input.number {
            Ok(paddle.into())
        } else {
            refused(ErrorCode::AlreadyExists, "organizationId")
        };
    }
    if hall::paddle(&call.tx, id, input.number).await?.is_some() {
        return refused(ErrorCode::PaddleTaken, "number");
    }
    let (number, issued_at) = (input.number, call.now);
    let paddle = paddle::Model { hall_session_id: id, number, organization_id, issued_at };
    hall::insert_paddle(&call.tx, paddle.clone()).await?;
    let facts = json!({ "organizationId": input.organization_id, "number": number });
    call.record("PaddleIssued", &id.text(), facts).await?;
    Ok(paddle.into())
}
