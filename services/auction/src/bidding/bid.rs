//! What bidders do: each act goes to its lot's writer and waits for the commit.
//!
//! These mutations keep their own idempotency rows: those belong into the writer's transaction. What is refused without
//! the writer is kept here, and what was answered before counts, whatever has changed since (promise P-7).

use data_encoding::HEXLOWER;
use kernel::{Actor, Error, ErrorCode, Id, Idempotency, Payload, Refusal, Result, text};
use prost::Message;
use tonic::Request;
use wire::{
    id::{BiddingSessionId, OrganizationId},
    policy::{self, Of, Permission, permit},
    v1::{self, TransferApplicationStatus},
};

use crate::{
    auctions::Auctions,
    bidding::schedule,
    engine::{Command, commitment},
    lot::{
        command::{Answer, BidderCommand, LotRequest, SideEffect},
        idempotent::{answered, keyed},
        registry::LotHandle,
    },
    peers, store,
};

/// What each of these inputs names.
pub trait BidderInput: Message {
    /// The rpc, part of the idempotency key.
    const METHOD: &'static str;
    /// Who may send it.
    const PERMISSION: Permission;
    /// The session and the bidder.
    fn names(&self) -> (&str, &str);
    /// What is done.
    fn act(&self) -> Result<BidderCommand>;
}

macro_rules! bidder_input {
    ($input:ident, $method:literal, $permission:ident, |$self:ident| $act:expr) => {
        impl BidderInput for v1::$input {
            const METHOD: &'static str = $method;
            const PERMISSION: Permission = policy::$permission;
            fn names(&self) -> (&str, &str) {
                (&self.session_id, &self.organization_id)
            }
            fn act(&self) -> Result<BidderCommand> {
                let $self = self;
                Ok($act)
            }
        }
    };
}

bidder_input!(PlaceBidInput, "PlaceBid", PLACE_BID, |input| {
    BidderCommand::Bid(input.amount.ok_or_else(|| Error::from(Refusal::new(ErrorCode::Required).at_field("amount")))?)
});
bidder_input!(SetProxyBidInput, "SetProxyBid", SET_PROXY_BID, |input| {
    let maximum = input.maximum.ok_or_else(|| Error::from(Refusal::new(ErrorCode::Required).at_field("maximum")))?;
    let nonce = HEXLOWER.encode(&kernel::fresh_nonce()?);
    let commitment = commitment(&[&input.session_id, &input.organization_id], maximum, &nonce);
    BidderCommand::LeaveMaximum { maximum, nonce, commitment }
});
bidder_input!(WithdrawBidInput, "WithdrawBid", WITHDRAW_BID, |input| {
    BidderCommand::Withdraw { reason: text(&input.reason, "reason", 2, 200)? }
});
bidder_input!(ContinueBiddingInput, "ContinueBidding", CONTINUE_BIDDING, |_input| BidderCommand::Continue);
bidder_input!(AnswerPreemptionInput, "AnswerPreemption", ANSWER_PREEMPTION, |input| {
    BidderCommand::AnswerPreemption { exercise: input.exercise }
});
bidder_input!(AcceptOpenLicenceInput, "AcceptOpenLicence", ACCEPT_OPEN_LICENCE, |_input| BidderCommand::Accept);

/// Does what one bidder asks.
pub async fn act<I: BidderInput, P: Payload>(auctions: &Auctions, request: Request<I>) -> Result<P> {
    let keyed = keyed(&auctions.cx, &request, I::METHOD);
    let (actor, input) = kernel::query(request);
    let outcome = act_or_refuse(auctions, &actor, keyed.clone(), &input).await;
    answered(&auctions.cx, keyed, outcome).await
}

async fn act_or_refuse<I: BidderInput>(
    auctions: &Auctions,
    actor: &Actor,
    keyed: Option<Idempotency>,
    input: &I,
) -> Result<Answer> {
    actor.require_known()?;
    let (session, organization) = input.names();
    let session_id = BiddingSessionId::parse(session, "sessionId")?;
    let organization_id = OrganizationId::parse(organization, "organizationId")?;
    let Some(handle) = auctions.lots.handle(session_id).await? else { return Err(Error::not_found("sessionId")) };
    permit(actor, I::PERMISSION, Of::organization(organization, "organizationId"))?;
    // Memberships change between application and bid; what the caller is now costs no look-up.
    if let Some(code) = actor.conflict(&handle.sides.transferor_id, &handle.sides.centre_id) {
        return Err(Refusal::new(code).at_field("organizationId").by_rule("SM-5").into());
    }
    let act = input.act()?;
    let answer = handle.send(LotRequest::Bidder { organization_id, act }, keyed.clone()).await?;
    if answer.refused != Some(ErrorCode::NotEligible) {
        return Ok(answer);
    }
    // Boxed: what is rare takes no room in every bid's future.
    if Box::pin(admit(auctions, &handle, session_id, organization_id)).await? {
        return handle.send(LotRequest::Bidder { organization_id, act: input.act()? }, keyed).await;
    }
    Err(Box::pin(why_not_eligible(auctions, session_id, organization, &answer)).await?.into())
}

/// Where bidders may come while bidding goes on, whoever is eligible now is let in with its first act, or with its paddle.
pub async fn admit(
    auctions: &Auctions,
    handle: &LotHandle,
    session_id: BiddingSessionId,
    organization_id: OrganizationId,
) -> Result<bool> {
    let session = store::session(auctions.cx.db.read(), &auctions.cx.vault, session_id).await?;
    let Some(session) = session else { return Ok(false) };
    if !session.terms()?.takes_late_bidders() {
        return Ok(false);
    }
    let organization = organization_id.text();
    let applications = peers::applications(&auctions.clients, &session.listing_id.text(), Some(&organization)).await?;
    let eligible = |a: &&v1::TransferApplication| a.status() == TransferApplicationStatus::Eligible;
    let Some(application) = applications.iter().find(eligible) else { return Ok(false) };
    let sides = (&*session.transferor_id.text(), &*session.centre_id.text());
    // What was confirmed since the lot is scheduled excludes nobody by itself (excludeBidder).
    if peers::conflict(&auctions.clients, &organization, sides, Some(session.created_at)).await? {
        return Ok(false);
    }
    let bidder = schedule::bidder(session_id, application)?;
    let command = Command::Admit { code: bidder.code.clone(), rank: bidder.preemption_rank };
    let beside = SideEffect::Admit(Box::new(bidder));
    let admitted = handle.send(LotRequest::Staff { actor: Actor::exchange(), command, beside }, None).await?;
    // Or a copy of the call was faster.
    Ok(matches!(admitted.refused, None | Some(ErrorCode::AlreadyExists)))
}

/// Says more to somebody who is no bidder of the lot: its deposit was missing when the session was scheduled, or
/// somebody of it stood on the other side.
async fn why_not_eligible(
    auctions: &Auctions,
    session_id: BiddingSessionId,
    organization_id: &str,
    answer: &Answer,
) -> Result<Refusal> {
    let payload = v1::PlaceBidPayload::decode(answer.reply.as_slice());
    let refusal = payload.ok().and_then(|payload| payload.user_errors.into_iter().next()).unwrap_or_default();
    let session = store::session(auctions.cx.db.read(), &auctions.cx.vault, session_id).await?;
    let Some(session) = session else { return Ok(refusal) };
    let say = |code: ErrorCode| {
        let named = Refusal::new(code);
        Refusal { code: named.code, message_zh: named.message_zh, message_en: named.message_en, ..refusal.clone() }
    };
    let [listing_id, centre_id] = [session.listing_id.text(), session.centre_id.text()];
    let applications = peers::applications(&auctions.clients, &listing_id, Some(organization_id)).await?;
    let at = |status: TransferApplicationStatus| applications.iter().any(|found| found.status() == status);
    if at(TransferApplicationStatus::DepositDue) {
        return Ok(say(ErrorCode::DepositInsufficient));
    }
    let sides = (&*session.transferor_id.text(), &*centre_id);
    let shut_out = at(TransferApplicationStatus::Eligible)
        && peers::conflict(&auctions.clients, organization_id, sides, Some(session.created_at)).await?;
    Ok(if shut_out { say(ErrorCode::ConflictOfInterest) } else { refusal })
}
