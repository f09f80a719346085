//! The panel that scores offers (EVALUATION): who sits on it, what each declared, and what each gave.

use std::collections::BTreeSet;

use kernel::{Actor, Call, Error, ErrorCode, Id, Idempotency, Refusal, Result, Transaction, text};
use serde_json::json;
use tonic::Request;
use wire::{
    id::{BiddingSessionId, OrganizationId, PersonId},
    policy::{self, Of, permit},
    v1::{self, BiddingMode, BiddingStatus, CriterionKind, OfferValue},
};

use crate::{
    auctions::Auctions,
    engine::{Command, Lot},
    lot::{
        command::{Answer, LotRequest, SideEffect},
        idempotent::{answered, keyed, once},
        registry::LotHandle,
    },
    peers,
    sealed::{boxes, ceremony, decrypt::ten_thousandths, envelope::decimal},
    store::{
        self,
        sealed::{self, member},
        session,
    },
};

/// Most members of a panel.
const LARGEST: usize = 15;

/// A lot whose panel is at work, with its writer; nobody else changes what the panel has done until it is dropped.
struct AtWork {
    handle: LotHandle,
    row: session::Model,
    lot: Lot,
    /// Without those who were dismissed.
    panel: Vec<member::Model>,
    turn: Option<Transaction>,
}

impl AtWork {
    async fn at(auctions: &Auctions, id: BiddingSessionId) -> Result<AtWork> {
        let turn = sealed::turn(&auctions.cx, id).await?;
        let (handle, row, lot) = ceremony::lot(auctions, id).await?;
        let mut panel = sealed::panel(auctions.cx.db.read(), id).await?;
        panel.retain(|member| !lot.is_dismissed(&published(member)));
        Ok(AtWork { handle, row, lot, panel, turn })
    }

    /// Who scores: whoever has declared that nothing ties it to anybody.
    fn scorers(&self, without: Option<&str>) -> Vec<String> {
        let impartial = self.panel.iter().filter(|member| member.impartial == Some(true)).map(published);
        impartial.filter(|name| Some(name.as_str()) != without).collect()
    }

    /// Whether nothing remains to be scored after this one score, if there is one.
    fn is_done(&self, scorers: &[String], this: Option<(&str, &str)>) -> bool {
        let offers = self.lot.state.bidders.iter().filter(|(_, bidder)| bidder.standing.is_some());
        let scores = &self.lot.state.scores;
        let scored = |member: &str, code: &str| {
            this == Some((member, code)) || scores.iter().any(|score| score.member == member && score.code == code)
        };
        scorers.len() >= quorum(&self.lot)
            && offers.map(|(code, _)| code).all(|code| scorers.iter().all(|of| scored(of, code)))
    }

    async fn send(self, request: LotRequest, keyed: Option<Idempotency>) -> Result<Answer> {
        let answer = self.handle.send(request, keyed).await?;
        if let Some(turn) = self.turn {
            turn.commit().await?;
        }
        Ok(answer)
    }
}

fn illegal(accepted: &str) -> Error {
    let refusal = Refusal::new(ErrorCode::IllegalTransition).at_field("sessionId").by_rule("SM-5");
    refusal.accepting(accepted).into()
}

/// Under which a member's scores are published.
fn published(member: &member::Model) -> String {
    format!("P{:02}", member.number)
}

async fn evaluated(call: &Call, id: &str) -> Result<(session::Model, Lot)> {
    call.actor.require_known()?;
    let id = BiddingSessionId::parse(id, "sessionId")?;
    let row = sealed::locked(&call.tx, &call.cx.vault, id).await?.ok_or_else(|| Error::not_found("sessionId"))?;
    let lot = boxes::standing(&row, call.now)?;
    Ok((row, lot))
}

/// Appoints members. Once a score is given the panel stays as it is, but for substitutes of dismissed members.
pub async fn appoint(auctions: &Auctions, call: &Call, input: v1::AppointPanelInput) -> Result<v1::BiddingSession> {
    let (row, lot) = evaluated(call, &input.session_id).await?;
    permit(&call.actor, policy::APPOINT_PANEL, Of::centre(&row.centre_id.text(), "sessionId"))?;
    if lot.terms.announced.mode() != BiddingMode::Evaluation {
        return Err(Refusal::new(ErrorCode::ModeMismatch).at_field("sessionId").by_rule("SM-5").into());
    }
    let before = sealed::panel(&call.tx, row.id).await?;
    let most = most(&lot, &before);
    if lot.is_closed() || most == 0 {
        return Err(illegal("SCHEDULED | FREE | OPENING | SCORING"));
    }
    let persons =
        input.person_ids.iter().map(|id| PersonId::parse(id, "personIds")).collect::<Result<BTreeSet<_>>>()?;
    if before.iter().any(|member| persons.iter().any(|person| person.text() == member.person_id)) {
        return Err(Refusal::new(ErrorCode::AlreadyExists).at_field("personIds").into());
    }
    if persons.is_empty() || persons.len() < input.person_ids.len() || persons.len() > most {
        let refusal = Refusal::new(ErrorCode::InvalidInput).at_field("personIds").by_rule("SM-5");
        return Err(refusal.accepting(format!("1–{most}")).into());
    }
    require_outsiders(auctions, &row, &persons).await?;
    let first = before.last().map_or(1, |member| member.number + 1);
    let members: Vec<_> = (first..)
        .zip(&persons)
        .map(|(number, person)| member::Model { session_id: row.id, number, person_id: person.text(), impartial: None })
        .collect();
    let facts = json!({ "members": members.iter().map(published).collect::<Vec<_>>(),
        "personIds": persons.iter().map(|person| person.text()).collect::<Vec<_>>() });
    sealed::appoint(&call.tx, members).await?;
    call.record("PanelAppointed", &row.id.text(), facts).await?;
    Ok(row.view(&lot, call.now))
}

/// How many may still be appointed. Whoever knows the first scores chooses nobody but the substitutes who are needed.
fn most(lot: &Lot, panel: &[member::Model]) -> usize {
    let here = panel.iter().filter(|member| !lot.is_dismissed(&published(member)));
    match lot.state.scores.is_empty() && lot.state.dismissed.is_empty() {
        true => LARGEST.saturating_sub(here.count()),
        false => quorum(lot).saturating_sub(here.filter(|member| member.impartial != Some(false)).count()),
    }
}

/// How many must score every offer, as announced.
fn quorum(lot: &Lot) -> usize {
    usize::try_from(lot.terms.announced.panel_quorum).unwrap_or_default().max(1)
}

/// Nobody scores whose own organization sells or bids.
async fn require_outsiders(auctions: &Auctions, row: &session::Model, persons: &BTreeSet<PersonId>) -> Result<()> {
    for organization in sides(auctions, row).await? {
        let members = peers::members(&auctions.clients, &organization).await?;
        if persons.iter().any(|person| members.contains(&person.text())) {
            return Err(conflict());
        }
    }
    Ok(())
}

/// The transferor and the bidders.
async fn sides(auctions: &Auctions, row: &session::Model) -> Result<Vec<String>> {
    let bidders = store::bidders(auctions.cx.db.read(), row.id).await?;
    let organizations = bidders.iter().map(|bidder| bidder.organization_id);
    Ok(organizations.chain([row.transferor_id]).map(OrganizationId::text).collect())
}

fn conflict() -> Error {
    Refusal::new(ErrorCode::ConflictOfInterest).by_rule("SM-5").into()
}

/// Whether the actor belongs, by now, to one of the sides.
async fn is_partial(auctions: &Auctions, row: &session::Model, actor: &Actor) -> Result<bool> {
    let sides = sides(auctions, row).await?;
    Ok(actor.memberships.iter().any(|place| sides.contains(&place.organization_id)))
}

/// Keeps what a member declares about itself. It is asked once.
pub async fn declare(auctions: &Auctions, call: &Call, input: v1::DeclareImpartialityInput) -> Result<v1::PanelMember> {
    let (row, lot) = evaluated(call, &input.session_id).await?;
    let mut panel = sealed::panel(&call.tx, row.id).await?;
    panel.retain(|member| !lot.is_dismissed(&published(member)));
    let member = own(panel, &call.actor)?;
    if lot.is_closed() {
        return Err(illegal("SCHEDULED | FREE | OPENING | SCORING"));
    }
    if member.impartial.is_some() {
        return Err(Refusal::new(ErrorCode::AlreadyAnswered).at_field("sessionId").into());
    }
    if input.impartial && is_partial(auctions, &row, &call.actor).await? {
        return Err(conflict());
    }
    let name = published(&member);
    sealed::declare(&call.tx, member, input.impartial).await?;
    let facts = json!({ "member": name, "impartial": input.impartial });
    call.record("ImpartialityDeclared", &row.id.text(), facts).await?;
    Ok(v1::PanelMember { session_id: row.id.text(), name, impartial: Some(input.impartial) })
}

/// The caller's seat; that there is a panel without it is none of its business.
fn own(panel: Vec<member::Model>, actor: &Actor) -> Result<member::Model> {
    let seat = panel.into_iter().find(|member| member.person_id == actor.person_id);
    seat.ok_or_else(|| Error::not_found("sessionId"))
}

/// A member scores one offer.
pub async fn score(auctions: &Auctions, request: Request<v1::ScoreOfferInput>) -> Result<v1::ScoreOfferPayload> {
    let keyed = keyed(&auctions.cx, &request, "ScoreOffer");
    let (actor, input) = kernel::query(request);
    let given =
        async { answered(&auctions.cx, keyed.clone(), give(auctions, &actor, input, keyed.clone()).await).await };
    once(&auctions.cx, keyed.as_ref(), given).await
}

async fn give(
    auctions: &Auctions,
    actor: &Actor,
    input: v1::ScoreOfferInput,
    keyed: Option<Idempotency>,
) -> Result<Answer> {
    actor.require_known()?;
    let id = BiddingSessionId::parse(&input.session_id, "sessionId")?;
    // Of two members who score the last two offers at once, one must be the last.
    let _here = auctions.scoring.lock().await;
    let work = AtWork::at(auctions, id).await?;
    let member = own(work.panel.clone(), actor)?;
    if work.lot.status() != BiddingStatus::Scoring {
        return Err(illegal("SCORING"));
    }
    if member.impartial == Some(false) || is_partial(auctions, &work.row, actor).await? {
        return Err(conflict());
    }
    if work.panel.iter().any(|member| member.impartial.is_none()) {
        return Err(illegal("declareImpartiality"));
    }
    let scorers = work.scorers(None);
    if scorers.len() < quorum(&work.lot) {
        return Err(illegal("appointPanel"));
    }
    let points = points(&work.lot, &input)?;
    let name = published(&member);
    let last = work.is_done(&scorers, Some((&name, &input.bidder_code)));
    let command = Command::Score { member: name, code: input.bidder_code, points, last };
    work.send(LotRequest::Staff { actor: actor.clone(), command, beside: SideEffect::None }, keyed).await
}

/// Takes a member off the panel: one who stays silent must not keep the lot from its end.
pub async fn dismiss(
    auctions: &Auctions,
    request: Request<v1::DismissPanelMemberInput>,
) -> Result<v1::DismissPanelMemberPayload> {
    let keyed = keyed(&auctions.cx, &request, "DismissPanelMember");
    let (actor, input) = kernel::query(request);
    let taken =
        async { answered(&auctions.cx, keyed.clone(), take_off(auctions, &actor, input, keyed.clone()).await).await };
    once(&auctions.cx, keyed.as_ref(), taken).await
}

async fn take_off(
    auctions: &Auctions,
    actor: &Actor,
    input: v1::DismissPanelMemberInput,
    keyed: Option<Idempotency>,
) -> Result<Answer> {
    actor.require_known()?;
    let id = BiddingSessionId::parse(&input.session_id, "sessionId")?;
    let Some(handle) = auctions.lots.handle(id).await? else { return Err(Error::not_found("sessionId")) };
    permit(actor, policy::DISMISS_PANEL_MEMBER, Of::centre(&handle.sides.centre_id, "sessionId"))?;
    let reason = text(&input.reason, "reason", 2, 200)?;
    let _here = auctions.scoring.lock().await;
    let work = AtWork::at(auctions, id).await?;
    if work.lot.status() != BiddingStatus::Scoring {
        return Err(illegal("SCORING"));
    }
    if !work.panel.iter().any(|member| published(member) == input.name) {
        return Err(Error::not_found("name"));
    }
    let last = work.is_done(&work.scorers(Some(&input.name)), None);
    let command = Command::Dismiss { member: input.name, reason, last };
    work.send(LotRequest::Staff { actor: actor.clone(), command, beside: SideEffect::None }, keyed).await
}

/// The points by criterion, in the order of the notice.
fn points(lot: &Lot, input: &v1::ScoreOfferInput) -> Result<Vec<OfferValue>> {
    let asked = lot.terms.announced.criteria.iter().filter(|criterion| criterion.kind() == CriterionKind::Panel);
    let asked: Vec<&str> = asked.map(|criterion| criterion.name.as_str()).collect();
    let given = input.points.iter().map(|given| {
        let value = decimal(&given.points).and_then(ten_thousandths).filter(|value| (0..=1_000_000).contains(value))?;
        Some(OfferValue { name: given.criterion.clone(), value })
    });
    let given = given.collect::<Option<Vec<_>>>().filter(|given| {
        let names: Vec<&str> = given.iter().map(|given| given.name.as_str()).collect();
        names == asked
    });
    given.ok_or_else(|| {
        let refusal = Refusal::new(ErrorCode::InvalidInput).at_field("points").by_rule("SM-5");
        refusal.accepting(format!("{}: 0–100, ≤ 0.0001", asked.join(", "))).into()
    })
}
