//! A round in the making: commands become events and answers, in memory.

use std::{collections::HashMap, sync::Arc};

use kernel::{Error, ErrorCode, Id, Idempotency, Instant, Payload, Refusal, Result};
use prost::Message;
use wire::{
    id::OrganizationId,
    v1::{self, AuctionEvent, AuctionEventKind as Kind, PlaceBidPayload, SetProxyBidPayload, WithdrawBidPayload},
};

use crate::{
    engine::{Command, Lot},
    lot::command::{Answer, BidderCommand, LotCommand, LotRequest, Shape, SideEffect, fact},
    store::{flush::SideEffects, session},
};

/// Pure but for its inputs.
pub struct Batch {
    pub lot: Lot,
    /// By command, in order.
    pub answers: Vec<Result<Answer>>,
    pub events: Vec<AuctionEvent>,
    pub replies: Vec<(Idempotency, Vec<u8>)>,
    pub beside: SideEffects,
    pub halted: bool,
    /// No decision was taken before.
    pub since: Instant,
    /// The instant of the last ones.
    pub now: Instant,
    row: Arc<session::Model>,
    known: HashMap<String, Result<Vec<u8>>>,
}

impl Batch {
    pub fn new(lot: Lot, row: Arc<session::Model>, now: Instant) -> Self {
        let (answers, events, replies, beside) = (Vec::new(), Vec::new(), Vec::new(), SideEffects::default());
        let (halted, known) = (row.halted, HashMap::new());
        Self { lot, answers, events, replies, beside, halted, since: now, now, row, known }
    }

    /// Whether it was decided on this very row.
    pub fn stands_on(&self, row: &Arc<session::Model>) -> bool {
        Arc::ptr_eq(&self.row, row)
    }

    /// Whether there is anything to write.
    pub fn writes(&self) -> bool {
        !self.events.is_empty() || !self.replies.is_empty()
    }

    /// From here on it is `now`: what time alone made happen by then happens.
    pub fn pass(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.events.extend(self.lot.pass(self.now));
    }

    /// Takes note of answers that were stored before.
    pub fn know(&mut self, known: impl IntoIterator<Item = (String, Result<Vec<u8>>)>) {
        self.known.extend(known);
    }

    /// Decides the next command.
    pub fn take(&mut self, command: &LotCommand, codes: &HashMap<OrganizationId, String>) {
        let answer = self.answer(command, codes);
        self.answers.push(answer);
    }

    /// Decides one command, unless it was decided before.
    fn answer(&mut self, command: &LotCommand, codes: &HashMap<OrganizationId, String>) -> Result<Answer> {
        if let Some(earlier) = command.keyed.as_ref().and_then(|keyed| self.earlier(keyed)) {
            return earlier.map(|reply| Answer { reply, refused: None });
        }
        let Some(engine_command) = self.command(&command.request, codes) else {
            let refusal = self.lot.refuse(ErrorCode::NotEligible, self.now).at_field("organizationId");
            // Why a stranger may not bid is found out and kept by the use case.
            return Ok(Answer { reply: refused(refusal), refused: Some(ErrorCode::NotEligible) });
        };
        let taken = self.lot.take(&engine_command, self.now);
        // A maximum that was met in time may act although the command itself is refused.
        let own = taken.events.iter().find(|event| answers(event, &engine_command)).cloned();
        self.events.extend(taken.events);
        // What the event brings about at once, such as the end after an acceptance, belongs to the same round.
        self.pass(self.now);
        let (reply, code) = match (taken.refusal, own) {
            (Some(refusal), _) => {
                let code = refusal.error_code();
                (refused(*refusal), Some(code))
            }
            (None, own) => {
                self.note(&command.request, &engine_command);
                (self.accepted(command.request.shape(), &command.request, own.unwrap_or_default()), None)
            }
        };
        if let Some(keyed) = &command.keyed {
            self.replies.push((keyed.clone(), reply.clone()));
        }
        Ok(Answer { reply, refused: code })
    }

    fn command(&self, request: &LotRequest, codes: &HashMap<OrganizationId, String>) -> Option<Command> {
        match request {
            LotRequest::Bidder { organization_id, act } => {
                let late = || self.beside.admitted.iter().find(|bidder| bidder.organization_id == *organization_id);
                let code = codes.get(organization_id).or_else(|| late().map(|bidder| &bidder.code));
                code.map(|code| act.command(code))
            }
            LotRequest::Staff { command, .. } => Some(command.clone()),
        }
    }

    /// Notes what an accepted command of the staff does beside the lot.
    fn note(&mut self, request: &LotRequest, command: &Command) {
        let LotRequest::Staff { actor, beside, .. } = request else { return };
        if let Some((kind, mut facts)) = fact(command) {
            if let (SideEffect::Facts(more), Some(facts)) = (beside, facts.as_object_mut()) {
                facts.extend(more.clone());
            }
            self.beside.facts.push((actor.clone(), kind, facts));
        }
        match beside {
            SideEffect::None | SideEffect::Facts(_) => self.halted &= *command != Command::Resume,
            SideEffect::Halt(halted) => self.halted = *halted,
            SideEffect::Admit(bidder) => self.beside.admitted.push((**bidder).clone()),
            SideEffect::Default(award) => self.beside.defaulted = Some(*award),
            SideEffect::Exclude(organization) => self.beside.excluded.push((*organization, actor.person_id.clone())),
        }
    }

    /// The answer to an earlier copy of the same call: stored, or in this very round.
    fn earlier(&self, keyed: &Idempotency) -> Option<Result<Vec<u8>>> {
        if let Some(stored) = self.known.get(keyed.scope()) {
            return Some(match stored {
                Ok(reply) => Ok(reply.clone()),
                Err(Error::Refused(refusal)) => Ok(refused((**refusal).clone())),
                Err(fault) => Err(fault.clone()),
            });
        }
        let (first, reply) = self.replies.iter().find(|(call, _)| call.scope() == keyed.scope())?;
        let conflict = || refused(Refusal::new(ErrorCode::IdempotencyConflict).by_rule("P-7"));
        Some(Ok(if first == keyed { reply.clone() } else { conflict() }))
    }

    fn accepted(&self, shape: Shape, request: &LotRequest, event: AuctionEvent) -> Vec<u8> {
        let session_id = self.row.id.text();
        match (shape, request) {
            (Shape::Bid, _) => PlaceBidPayload::of(Ok(v1::Bid {
                session_id,
                seq: event.seq,
                bidder_code: event.bidder_code().to_owned(),
                amount: event.amount,
                at: event.at,
                closes_at: event.closes_at,
                preemption_rank: event.preemption_rank,
            }))
            .encode_to_vec(),
            (
                Shape::ProxyBid,
                LotRequest::Bidder { act: BidderCommand::LeaveMaximum { nonce, commitment, .. }, .. },
            ) => SetProxyBidPayload::of(Ok(v1::ProxyBid {
                session_id,
                commitment: commitment.clone(),
                nonce: nonce.clone(),
                at: event.at,
            }))
            .encode_to_vec(),
            _ => WithdrawBidPayload::of(Ok(self.row.view(&self.lot, self.now))).encode_to_vec(),
        }
    }
}

/// Whether an event is the command's own, not one of the engine's for a maximum.
fn answers(event: &AuctionEvent, command: &Command) -> bool {
    match command {
        Command::Bid { code, amount, .. } => {
            event.kind() == Kind::Bid && event.bidder_code() == code && event.amount == Some(*amount)
        }
        _ => event.kind() == Kind::ProxySet || event.kind() != Kind::Bid,
    }
}

/// All payloads are alike where they refuse: the object is their first field, the refusals the second.
fn refused(refusal: Refusal) -> Vec<u8> {
    PlaceBidPayload::of(Err(refusal)).encode_to_vec()
}
