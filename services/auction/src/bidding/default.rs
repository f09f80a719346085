//! A winner that does not sign or pay (SM-3): its award ends, it is barred from the lot, and the next bidder has it. Or a
//! transferor that does not go through with it: the award ends, the listing too, and the winner has its deposit back.
//!
//! Three steps in two services: the default is noted with its award, the ledger ends the deal so that nobody pays any
//! more, and the award ends; where a winner failed whom others follow, by the lot's writer, who passes the lot on. Each can be repeated and finds its own effect. Whatever fails after the
//! first is tried again by every replica until it is done, and stays visible with the award meanwhile.

use std::time::Duration;

use kernel::{Actor, Error, ErrorCode, Id, Refusal, Result, Sight, text};
use serde_json::json;
use tonic::Request;
use wire::{
    id::{AwardId, BiddingSessionId},
    policy::{self, Of, Permission, permit},
    v1::{self, AwardStatus, DeclareDefaultPayload, DeclareTransferorDefaultPayload},
};

use crate::{
    auctions::Auctions,
    bidding::standing,
    engine::{Command, award::next},
    lot::{
        command::{LotRequest, SideEffect},
        idempotent::{keep, keyed, payload},
        outcome,
    },
    peers,
    store::{
        self,
        award::{self, Model},
    },
};

/// How often the declared ones that are left are looked after, by the machine's time.
const LOOK: Duration = Duration::from_secs(1);

/// Which of the two sides fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Winner,
    Transferor,
}

impl Side {
    fn permission(self) -> Permission {
        match self {
            Side::Winner => policy::DECLARE_DEFAULT,
            Side::Transferor => policy::DECLARE_TRANSFEROR_DEFAULT,
        }
    }

    /// Where the award ends.
    fn ends(self) -> AwardStatus {
        match self {
            Side::Winner => AwardStatus::Defaulted,
            Side::Transferor => AwardStatus::TransferorDefaulted,
        }
    }
}

/// Declares the winner's, and carries it out as far as that is possible now.
pub async fn declare(auctions: &Auctions, request: Request<v1::DeclareDefaultInput>) -> Result<DeclareDefaultPayload> {
    let keyed = keyed(&auctions.cx, &request, "DeclareDefault");
    let (actor, input) = kernel::query(request);
    let said = (input.award_id.as_str(), input.reason.as_str());
    keep(&auctions.cx, keyed, payload(declared(auctions, &actor, said, Side::Winner).await)).await
}

/// Declares the transferor's, likewise.
pub async fn declare_transferor(
    auctions: &Auctions,
    request: Request<v1::DeclareTransferorDefaultInput>,
) -> Result<DeclareTransferorDefaultPayload> {
    let keyed = keyed(&auctions.cx, &request, "DeclareTransferorDefault");
    let (actor, input) = kernel::query(request);
    let said = (input.award_id.as_str(), input.reason.as_str());
    keep(&auctions.cx, keyed, payload(declared(auctions, &actor, said, Side::Transferor).await)).await
}

async fn declared(
    auctions: &Auctions,
    actor: &Actor,
    (award_id, reason): (&str, &str),
    side: Side,
) -> Result<v1::Award> {
    actor.require_known()?;
    let id = AwardId::parse(award_id, "awardId")?;
    let row = find(auctions, actor, id).await?;
    permit(actor, side.permission(), Of::centre(&row.centre_id.text(), "awardId"))?;
    let reason = text(reason, "reason", 2, 1_000)?;
    if actor.acts_for(&row.transferor_id.text()) || actor.acts_for(&row.winner_id.text()) {
        return Err(Refusal::new(ErrorCode::SamePerson).at_field("awardId").into());
    }
    // Whoever asks again after a lost answer finds it done.
    if row.status == side.ends() {
        return Ok(row.into());
    }
    require_failing(auctions, &row, side).await?;
    note(auctions, actor, (&row, side), &reason).await?;
    carry_out(auctions, &find(auctions, actor, id).await?).await?;
    Ok(find(auctions, actor, id).await?.into())
}

/// Before two persons confirmed the award nobody could sign or pay, so only who is suspended or closed has failed. And
/// nobody's deposit is lost because the other side cannot sign.
async fn require_failing(auctions: &Auctions, row: &Model, side: Side) -> Result<()> {
    let other = row.default_declared_at.is_some() && row.transferor_defaults != (side == Side::Transferor);
    if other || !next(row.status).contains(&side.ends()) {
        return Err(illegal().into());
    }
    let (transferor, winner) = (row.transferor_id.text(), row.winner_id.text());
    let resting = peers::resting(&auctions.clients, vec![transferor.clone(), winner.clone()]).await?;
    let failing = match side {
        Side::Winner => {
            standing::require(&resting, &transferor, ("awardId", "declareTransferorDefault"))?;
            winner
        }
        Side::Transferor => transferor,
    };
    match row.status == AwardStatus::Confirmed || resting.contains_key(&failing) {
        true => Ok(()),
        false => Err(illegal().accepting("CONFIRMED").into()),
    }
}

fn illegal() -> Refusal {
    Refusal::new(ErrorCode::IllegalTransition).at_field("awardId").by_rule("SM-3")
}

async fn find(auctions: &Auctions, actor: &Actor, id: AwardId) -> Result<Model> {
    let found = award::list(auctions.cx.db.read(), &Sight::of(actor), vec![id], Vec::new()).await?;
    found.into_iter().next().ok_or_else(|| Error::not_found("awardId"))
}

/// The first step: from here on it is carried out, whoever dies.
async fn note(auctions: &Auctions, actor: &Actor, (row, side): (&Model, Side), reason: &str) -> Result<()> {
    let (cx, now) = (&auctions.cx, auctions.cx.clock.now());
    let tx = cx.db.begin().await?;
    let (kind, failing) = match side {
        Side::Winner => ("AwardDefaultDeclared", row.winner_id),
        Side::Transferor => ("TransferorDefaultDeclared", row.transferor_id),
    };
    if award::declare_default(&tx, row.id, side == Side::Transferor, (&actor.person_id, now)).await? {
        let facts = json!({ "reason": reason, "organization": failing.text() });
        cx.record_by(&tx, (actor, now), &row.id.text(), (kind, facts)).await?;
    }
    tx.commit().await.map_err(|error| Error::Unavailable(format!("commit: {error}")))
}

/// The steps that are left. What stands in the way is noted; refused is only what was settled before, and counts no more.
async fn carry_out(auctions: &Auctions, row: &Model) -> Result<()> {
    let Err(error) = end(auctions, row).await else { return Ok(()) };
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

/// Ends the deal in the ledger, then the award.
async fn end(auctions: &Auctions, row: &Model) -> Result<()> {
    // Whoever paid has not defaulted, and what is sold is not sold to the next bidder. From here on nobody pays any more.
    if !peers::end_in_default(&auctions.clients, row).await? {
        return Err(Refusal::new(ErrorCode::AlreadySettled).at_field("awardId").by_rule("SM-3").into());
    }
    match row.session_id {
        Some(session) if !row.transferor_defaults && !row.open => pass_on(auctions, row, session).await,
        _ => end_alone(auctions, row).await,
    }
}

/// Nobody follows: the transferor failed, or the winner had no rivals.
async fn end_alone(auctions: &Auctions, row: &Model) -> Result<()> {
    let (cx, now) = (&auctions.cx, auctions.cx.clock.now());
    let tx = cx.db.begin().await?;
    let found = award::for_update(&tx, row.id).await?.ok_or_else(|| Error::Internal(format!("{} is gone", row.id)))?;
    if matches!(found.status, AwardStatus::Defaulted | AwardStatus::TransferorDefaulted) {
        return Ok(());
    }
    let subject = found.id.text();
    if found.transferor_defaults {
        let news = v1::TransferorDefaulted {
            award_id: found.id.text(),
            listing_id: found.listing_id.text(),
            transfer_application_id: found.transfer_application_id.text(),
            transferor_id: found.transferor_id.text(),
            open_licence: found.open,
            unconfirmed: found.status != AwardStatus::Confirmed,
        };
        award::fail(&tx, found, AwardStatus::TransferorDefaulted).await?;
        cx.announce(&tx, now, &subject, &news).await?;
    } else {
        let news = outcome::news_of_default(&found);
        award::fail(&tx, found, AwardStatus::Defaulted).await?;
        cx.announce(&tx, now, &subject, &news).await?;
    }
    tx.commit().await.map_err(|error| Error::Unavailable(format!("commit: {error}")))?;
    cx.committed.notify_one();
    Ok(())
}

/// The lot's writer ends the award and passes the lot on in one transaction; over bidders who are suspended or closed.
async fn pass_on(auctions: &Auctions, row: &Model, session_id: BiddingSessionId) -> Result<()> {
    let gone = |what: &str| Error::Internal(format!("{} has no {what}", row.id));
    let id = row.id;
    standing::refresh(auctions, session_id, None).await?;
    let code = store::code_of(auctions.cx.db.read(), session_id, row.winner_id).await?;
    let code = code.ok_or_else(|| gone("bidder"))?;
    let handle = auctions.lots.handle(session_id).await?.ok_or_else(|| gone("lot"))?;
    let actor = Actor { person_id: row.default_declared_by.clone().unwrap_or_default(), ..Actor::default() };
    let request = LotRequest::Staff { actor, command: Command::PassOn { code }, beside: SideEffect::Default(id) };
    let Some(code) = handle.send(request, None).await?.refused else { return Ok(()) };
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
