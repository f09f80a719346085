//! What is sent to a lot's writer: the request of a bidder or of staff, and where the answer goes.

use kernel::{Actor, ErrorCode, Idempotency, Money, Result};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use wire::{
    id::{AwardId, OrganizationId},
    v1::BidOrigin,
};

use crate::{engine::Command, store::bidder};

/// A command on its way to its lot.
pub struct LotCommand {
    /// What is wanted.
    pub request: LotRequest,
    /// The key under which the answer is kept.
    pub keyed: Option<Idempotency>,
    /// Where the answer goes, after the commit.
    pub answer: oneshot::Sender<Result<Answer>>,
}

/// The payload of the mutation, encoded: it is kept under the key as it is.
#[derive(Clone)]
pub struct Answer {
    /// The payload's bytes.
    pub reply: Vec<u8>,
    /// Why it was refused, if it was and was not found under its key.
    pub refused: Option<ErrorCode>,
}

/// What is wanted of a lot.
pub enum LotRequest {
    /// Of one of its bidders.
    Bidder { organization_id: OrganizationId, act: BidderCommand },
    /// Of the staff that runs it, or of the exchange itself.
    Staff { actor: Actor, command: Command, beside: SideEffect },
}

/// What a bidder does.
pub enum BidderCommand {
    Bid(Money),
    LeaveMaximum { maximum: Money, nonce: String, commitment: String },
    Withdraw { reason: String },
    Continue,
    AnswerPreemption { exercise: bool },
    Accept,
}

/// What comes with a command of the staff.
#[derive(Default)]
pub enum SideEffect {
    #[default]
    None,
    /// What the audit trail keeps of it besides; no public log does.
    Facts(serde_json::Map<String, Value>),
    /// It is one of all that an outage stops, or that go on after it.
    Halt(bool),
    /// Somebody became a bidder.
    Admit(Box<bidder::Model>),
    /// The winner of this award defaulted.
    Default(AwardId),
    /// The second person excludes this bidder.
    Exclude(OrganizationId),
}

/// Which object the payload carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Bid,
    ProxyBid,
    Session,
}

impl BidderCommand {
    /// The engine's command, for the bidder of this code.
    pub fn command(&self, code: &str) -> Command {
        let code = code.to_owned();
        match self {
            BidderCommand::Bid(amount) => {
                Command::Bid { code, amount: *amount, origin: BidOrigin::Online, paddle: None }
            }
            BidderCommand::LeaveMaximum { maximum, commitment, .. } => {
                Command::Proxy { code, maximum: *maximum, commitment: commitment.clone() }
            }
            BidderCommand::Withdraw { reason } => Command::Withdraw { code, reason: reason.clone() },
            BidderCommand::Continue => Command::Continue { code },
            BidderCommand::AnswerPreemption { exercise } => Command::AnswerPreemption { code, exercise: *exercise },
            BidderCommand::Accept => Command::Accept { code },
        }
    }
}

impl LotRequest {
    /// What the answer carries.
    pub fn shape(&self) -> Shape {
        match self {
            LotRequest::Bidder { act: BidderCommand::Bid(_), .. }
            | LotRequest::Staff { command: Command::Bid { .. }, .. } => Shape::Bid,
            LotRequest::Bidder { act: BidderCommand::LeaveMaximum { .. }, .. } => Shape::ProxyBid,
            _ => Shape::Session,
        }
    }
}

/// What the audit trail keeps of a command of the staff. The log of the lot has all else.
pub fn fact(command: &Command) -> Option<(&'static str, Value)> {
    Some(match command {
        Command::Pause { reason } => ("BiddingPaused", json!({ "reason": reason })),
        Command::Resume => ("BiddingResumed", json!({})),
        Command::Cancel { reason } => ("BiddingCancelledByStaff", json!({ "reason": reason })),
        Command::PassOn { code } => ("DefaultDeclared", json!({ "bidderCode": code })),
        Command::Rest { code, reason } => ("BidderRests", json!({ "bidderCode": code, "reason": reason })),
        Command::Return { code } => ("BidderReturns", json!({ "bidderCode": code })),
        Command::Exclude { code, reason } => ("BidderExcluded", json!({ "bidderCode": code, "reason": reason })),
        Command::Ask { amount } => ("PriceAsked", json!({ "amount": amount.to_string() })),
        Command::Warn => ("FairWarningGiven", json!({})),
        Command::Hammer => ("HammerFell", json!({})),
        Command::Reopen { reason } => ("LotReopened", json!({ "reason": reason })),
        Command::GiveShare { trustee, .. } => ("ShareContributed", json!({ "trustee": trustee })),
        Command::Dismiss { member, reason, .. } => {
            ("PanelMemberDismissed", json!({ "member": member, "reason": reason }))
        }
        Command::Bid { code, amount, origin, paddle } => {
            let facts = json!({ "bidderCode": code, "amount": amount.to_string(),
                "origin": origin.stored(), "paddle": paddle });
            ("HallBidEntered", facts)
        }
        _ => return None,
    })
}
