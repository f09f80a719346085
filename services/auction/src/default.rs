//! A winner that does not sign or pay (SM-3): its award ends, it is barred from the lot, and the next bidder has it.
//!
//! Three steps in two services: the default is noted with its award, the ledger ends the deal so that nobody pays any
//! more, and the lot's writer passes the lot on. Each can be repeated and finds its own effect. Whatever fails after the
//! first is tried again by every replica until it is done, and stays visible with the award meanwhile.

use std::time::Duration;

use kernel::{Actor, Error, ErrorCode, Id, Refusal, Result, Sight, text};
use serde_json::json;
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
    keyed::{keep, keyed, payload},
    lot_command::{Effect, Wish},
    store::{
        self,
        award::{self, Model},
    },
};

/// How often the declared ones that are left are looked after, by the machine's time.
const LOOK: Duration = Duration::from_secs(1);

/// Declares it, and carries it out as far as that is possible now.
pub async fn declare(auctions: &Auctions, request: Request<v1::DeclareDefaultInput>) -> Result<DeclareDefaultPayload> {
    let keyed = keyed(auctions, &request, "DeclareDefault");
    let (actor, input) = kernel::query(request);
    keep(auctions, keyed, payload(declared(auctions, &actor, input).await)).await
}

async fn declared(auctions: &Auctions, actor: &Actor, input: v1::DeclareDefaultInput) -> Result<v1::Award> {
    actor.require_known()?;
    let id = AwardId::parse(&input.award_id, "awardId")?;
    let row = find(auctions, actor, id).await?;
    permit(actor, policy::DECLARE_DEFAULT, Of::centre(&row.centre_id.text(), "awardId"))?;
    let reason = text(&input.reason, "reason", 2, 1_000)?;
    if actor.acts_for(&row.transferor_id.text()) || actor.acts_for(&row.winner_id.text()) {
        return Err(Refusal::new(ErrorCode::SamePerson).at_field("awardId").into());
    }
    // Whoever asks again after a lost answer finds it done.
    if row.status == AwardStatus::Defaulted {
        return Ok(row.into());
    }
    // Before two persons confirmed it nobody could sign or pay.
    if !next(row.status).contains(&AwardStatus::Defaulted) {
        return Err(Error::from(illegal().accepting("CONFIRMED")));
    }
    if row.open || row.session_id.is_none() {
        return Err(illegal().into());
    }
    note(auctions, actor, &row, &reason).await?;
    carry_out(auctions, &find(auctions, actor, id).await?).await?;
    Ok(find(auctions, actor, id).await?.into())
}

fn illegal() -> Refusal {
    Refusal::new(ErrorCode::IllegalTransition).at_field("awardId").by_rule("SM-3")
}

async fn find(auctions: &Auctions, actor: &Actor, id: AwardId) -> Result<Model> {
    let found = award::list(auctions.cx.db.read(), &Sight::of(actor), vec![id], Vec::new()).await?;
    found.into_iter().next().ok_or_else(|| Error::not_found("awardId"))
}

/// The first step: from here on it is carried out, whoever dies.
async fn note(auctions: &Auctions, actor: &Actor, row: &Model, reason: &str) -> Result<()> {
    let (cx, now) = (&auctions.cx, auctions.cx.clock.now());
    let tx = cx.db.begin().await?;
    if award::declare_default(&tx, row.id, (&actor.person_id, now)).await? {
        let facts = json!({ "reason": reason, "organization": row.winner_id.text() });
        cx.record_by(&tx, (actor, now), &row.id.text(), ("AwardDefaultDeclared", facts)).await?;
    }
    tx.commit().await.map_err(|error| Error::Unavailable(format!("commit: {error}")))
}

/// The steps that are left. What stands in the way is noted; refused is only what was settled before, and counts no more.
async fn carry_out(auctions: &Auctions, row: &Model) -> Result<()> {
    let Err(error) = pass_on(auctions, row).await else { return Ok(()) };
    let code = error.code();
    if code == ErrorCode::AlreadySettled {
        let tx = auctions.cx.db.begin().await?;
        award::revoke_default(&tx, row.id).await?;
        tx.commit().await?;
        return Err(error);
    }
    tracing::error!(award = row.id.text(), %error, "a declared default is not carried out yet");
    let tx = auctions.cx.db.begin().await?;
    award::hinder_default(&tx, row.id, code.into()).await?;
    tx.commit().await
}

/// Ends the deal in the ledger; then the lot's writer ends the award and passes the lot on in one transaction.
async fn pass_on(auctions: &Auctions, row: &Model) -> Result<()> {
    let gone = |what: &str| Error::Internal(format!("{} has no {what}", row.id));
    let (id, session_id) = (row.id, row.session_id.ok_or_else(|| gone("session"))?);
    let code = store::code_of(auctions.cx.db.read(), session_id, row.winner_id).await?;
    let code = code.ok_or_else(|| gone("bidder"))?;
    let hall = auctions.halls.hall(session_id).await?.ok_or_else(|| gone("lot"))?;
    // Whoever paid has not defaulted, and what is sold is not sold to the next bidder. From here on nobody pays any more.
    if !foreign::end_in_default(auctions, row).await? {
        return Err(Refusal::new(ErrorCode::AlreadySettled).at_field("awardId").by_rule("SM-3").into());
    }
    let actor = Actor { person_id: row.default_declared_by.clone().unwrap_or_default(), ..Actor::default() };
    let wish = Wish::Staff { actor, command: Command::PassOn { code }, beside: Effect::Default(id) };
    let Some(code) = send(&hall, wish, None).await?.refused else { return Ok(()) };
    // Another replica may have been faster.
    match award::statuses(auctions.cx.db.read(), vec![id]).await?.contains(&(id, AwardStatus::Defaulted)) {
        true => Ok(()),
        false => Err(Refusal::new(code).at_field("awardId").by_rule("SM-3").into()),
    }
}

/// Carries out what was declared and then left, until stopped. Every replica does.
pub async fn watch_over(auctions: Auctions) {
    while !auctions.stop.is_cancelled() {
        if let Err(error) = look(&auctions).await {
            tracing::warn!(%error, "declared defaults could not be looked after");
        }
        tokio::select! {
            () = auctions.stop.cancelled() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn look(auctions: &Auctions) -> Result<()> {
    let waiting = award::defaults_under_way(auctions.cx.db.read()).await?;
    metrics::gauge!("defaults_waiting").set(f64::from(u32::try_from(waiting.len()).unwrap_or(u32::MAX)));
    for row in waiting {
        match carry_out(auctions, &row).await {
            Err(Error::Refused(refusal)) => {
                tracing::info!(award = row.id.text(), code = refusal.code, "a declared default came too late");
            }
            outcome => outcome?,
        }
    }
    Ok(())
}
