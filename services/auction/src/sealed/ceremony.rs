//! The opening (promise P-3): trustees contribute their shares after the close, and with the last one needed all
//! envelopes of the round are opened, in one order, before everybody's eyes.
//!
//! The private key comes together in memory only, and no sooner than the log shows as many shares as it takes. Until
//! then the shares lie under the exchange's own seal.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use kernel::{Actor, Error, ErrorCode, Id, Idempotency, Refusal, Result};
use serde_json::json;
use tonic::Request;
use wire::{
    id::BiddingSessionId,
    v1::{self, AuctionEventKind as Kind, BiddingStatus},
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
    sealed::{
        PublicKey, boxes, decrypt,
        envelope::commitment,
        shares::{Share, combine},
    },
    store::{self, log, sealed, session},
};

/// The log of a sealed lot is short.
const LOG: u64 = 10_000;

/// The lot with its writer.
pub async fn lot(auctions: &Auctions, id: BiddingSessionId) -> Result<(LotHandle, session::Model, Lot)> {
    let Some(handle) = auctions.lots.handle(id).await? else { return Err(Error::not_found("sessionId")) };
    let row = store::session(auctions.cx.db.read(), &auctions.cx.vault, id).await?;
    let row = row.ok_or_else(|| Error::not_found("sessionId"))?;
    let lot = boxes::standing(&row, auctions.cx.clock.now())?;
    Ok((handle, row, lot))
}

/// A trustee, or whoever speaks for it, contributes its share.
pub async fn contribute(
    auctions: &Auctions,
    request: Request<v1::ContributeShareInput>,
) -> Result<v1::ContributeSharePayload> {
    let keyed = keyed(&auctions.cx, &request, "ContributeShare");
    let (actor, input) = kernel::query(request);
    let given =
        async { answered(&auctions.cx, keyed.clone(), give(auctions, &actor, input, keyed.clone()).await).await };
    once(&auctions.cx, keyed.as_ref(), given).await
}

async fn give(
    auctions: &Auctions,
    actor: &Actor,
    input: v1::ContributeShareInput,
    keyed: Option<Idempotency>,
) -> Result<Answer> {
    actor.require_known()?;
    let id = BiddingSessionId::parse(&input.session_id, "sessionId")?;
    let (handle, row, lot) = lot(auctions, id).await?;
    let refuse = |code, field: &str| Error::from(lot.refuse(code, auctions.cx.clock.now()).at_field(field));
    if !lot.terms.is_sealed() {
        return Err(refuse(ErrorCode::ModeMismatch, "sessionId"));
    }
    if lot.status() != BiddingStatus::Opening {
        let refusal = lot.refuse(ErrorCode::IllegalTransition, auctions.cx.clock.now()).at_field("sessionId");
        return Err(refusal.accepting("OPENING").into());
    }
    let key = lot.terms.sealed_key(lot.state.round).ok_or_else(|| Error::Internal(format!("{id} has no key")))?;
    let numbered = (1_u8..).zip(&key.trustees).find(|(_, trustee)| trustee.name == input.trustee);
    let (index, trustee) = numbered.ok_or_else(|| {
        let names: Vec<_> = key.trustees.iter().map(|trustee| trustee.name.as_str()).collect();
        let refusal = Refusal::new(ErrorCode::NoTrustee).at_field("trustee").by_rule("P-3");
        Error::from(refusal.accepting(names.join(" | ")))
    })?;
    if lot.state.shares.contains(&trustee.name) {
        return Err(refuse(ErrorCode::AlreadyAnswered, "trustee"));
    }
    let share = Share::parse(input.share.trim()).filter(|share| is_dealt(share, key, (index, &trustee.digest)));
    let Some(share) = share else { return Err(denounce(auctions, actor, (id, &trustee.name)).await?.into()) };
    // An envelope that came in time may still wait for its beat; nobody can open anything before it is in the box.
    auctions.cx.clock.sleep_until(boxes::settled_at(auctions.cx.db.read(), (&row, &lot)).await?).await;
    let wrapped = auctions.cx.vault.wrap(&name(id, lot.state.round, index.into()), share.text().as_bytes())?;
    let kept = sealed::share::Model { session_id: id, round: lot.state.round, trustee: index.into(), wrapped };
    let tx = auctions.cx.db.begin().await?;
    sealed::keep_share(&tx, kept).await?;
    tx.commit().await?;
    let command = Command::GiveShare { trustee: trustee.name.clone(), commitment: trustee.digest.clone() };
    let answer =
        handle.send(LotRequest::Staff { actor: actor.clone(), command, beside: SideEffect::None }, keyed).await?;
    if answer.refused.is_none()
        && let Err(error) = open(auctions, id).await
    {
        // The share is given all the same; the next beat tries again.
        tracing::warn!(%id, %error, "the envelopes could not be opened");
    }
    Ok(answer)
}

/// Whether it is the share that was dealt to the trustee.
fn is_dealt(share: &Share, key: &v1::SealedKey, (index, digest): (u8, &str)) -> bool {
    let same = PublicKey::parse(&key.public_key).is_some_and(|lot| *share.lot() == lot);
    same && share.index() == index && HEXLOWER.encode(&share.digest()) == digest
}

/// Names the trustee in whose name a false share came, at once and in the audit trail.
async fn denounce(auctions: &Auctions, actor: &Actor, (id, trustee): (BiddingSessionId, &str)) -> Result<Refusal> {
    let cx = &auctions.cx;
    let tx = cx.db.begin().await?;
    cx.record_by(&tx, (actor, cx.clock.now()), &id.text(), ("FalseShareRefused", json!({ "trustee": trustee })))
        .await?;
    tx.commit().await?;
    cx.committed.notify_one();
    Ok(Refusal::new(ErrorCode::FalseShare).at_field("share").by_rule("P-3").accepting(trustee))
}

fn name(id: BiddingSessionId, round: i32, trustee: i32) -> String {
    format!("sealed share/{}/{round}/{trustee}", id.text())
}

/// Opens all envelopes of the round, if enough trustees have met. Who does it again, or at the same time, adds nothing.
pub async fn open(auctions: &Auctions, id: BiddingSessionId) -> Result<()> {
    let (handle, _, lot) = lot(auctions, id).await?;
    if !lot.may_open() {
        return Ok(());
    }
    let cx = &auctions.cx;
    let round = lot.state.round;
    let shares: Vec<Share> =
        shares(auctions, id).await?.into_iter().filter_map(|(of, _, s)| (of == round).then_some(s)).collect();
    let key = lot.terms.sealed_key(round).and_then(|key| PublicKey::parse(&key.public_key));
    let key = key.ok_or_else(|| Error::Internal(format!("{id} has no key")))?;
    let key = combine(&key, &shares).map_err(|unfit| Error::Internal(format!("{id}: {unfit}")))?;
    let bidders = boxes::codes(cx.db.read(), id).await?;
    let places = boxes::places(cx, cx.db.read(), id).await?;
    let places = places.iter().filter(|(name, _)| name.round == round);
    let held: Vec<_> = bidders.iter().map(|bidder| bidder.code.as_str()).zip(places.map(|(_, held)| held)).collect();
    let houses = bidders.iter().map(|bidder| bidder.organization_id.text()).collect();
    let resting = peers::resting(&auctions.clients, houses).await?;
    for command in decrypt::opened(&key, (&id.text(), round), &held) {
        if let Command::Open { code, .. } = &command
            && !lot.state.bidders.contains_key(code)
        {
            // Under seal there is no offer to be matched; what was best may be offered to a holder afterwards.
            let bidder = bidders.iter().find(|bidder| bidder.code == *code);
            let rank = bidder.and_then(|bidder| bidder.preemption_rank);
            go_on(direct(&handle, Command::Admit { code: code.clone(), rank }).await?)?;
            // Before anything of it is opened: the last envelope may decide the lot.
            if let Some(reason) = bidder.and_then(|bidder| resting.get(&bidder.organization_id.text())) {
                go_on(direct(&handle, Command::Rest { code: code.clone(), reason: reason.clone() }).await?)?;
            }
        }
        go_on(direct(&handle, command).await?)?;
    }
    Ok(())
}

async fn direct(handle: &LotHandle, command: Command) -> Result<Answer> {
    handle.send(LotRequest::Staff { actor: Actor::exchange(), command, beside: SideEffect::None }, None).await
}

/// What another process was faster with is done; anything else stops the opening.
fn go_on(answer: Answer) -> Result<()> {
    match answer.refused {
        None | Some(ErrorCode::AlreadyExists | ErrorCode::AlreadyAnswered) => Ok(()),
        Some(code) => Err(Error::Unavailable(format!("the opening stopped: {code:?}"))),
    }
}

/// The contributed shares by round and trustee.
async fn shares(auctions: &Auctions, id: BiddingSessionId) -> Result<Vec<(i32, i32, Share)>> {
    let rows = sealed::shares(auctions.cx.db.read(), id).await?;
    rows.into_iter()
        .map(|row| {
            let text = auctions.cx.vault.unwrap(&name(id, row.round, row.trustee), &row.wrapped)?;
            let share = std::str::from_utf8(&text).ok().and_then(Share::parse);
            let share = share.ok_or_else(|| Error::Internal(format!("a share of {id} cannot be read")))?;
            Ok((row.round, row.trustee, share))
        })
        .collect()
}

/// The rounds whose envelopes were all opened, with the shares that opened them: whoever likes does it again.
pub async fn openings(auctions: &Auctions, wanted: v1::GetSealedOpeningsRequest) -> Result<v1::SealedOpenings> {
    let id = BiddingSessionId::parse(&wanted.session_id, "sessionId")?;
    let cx = &auctions.cx;
    let row = store::session(cx.db.read(), &cx.vault, id).await?;
    let row = row.ok_or_else(|| Error::not_found("sessionId"))?;
    let lot = row.lot()?;
    let events = log::events(cx.db.read(), id, 0, LOG).await?;
    let last = |event: &&v1::AuctionEvent| {
        matches!(event.kind(), Kind::EnvelopeOpened | Kind::EnvelopeInvalid) && event.closes_at.is_some()
    };
    let rounds: Vec<i32> = events.iter().filter(last).filter_map(|event| event.round).collect();
    if rounds.is_empty() {
        return Ok(v1::SealedOpenings::default());
    }
    let (shares, bidders) = (shares(auctions, id).await?, boxes::codes(cx.db.read(), id).await?);
    let places = boxes::places(cx, cx.db.read(), id).await?;
    let opening = |round: i32| {
        let key = lot.terms.sealed_key(round).cloned().unwrap_or_default();
        let own = shares.iter().filter(|(of, ..)| *of == round);
        let name = |trustee: i32| usize::try_from(trustee).ok().and_then(|n| key.trustees.get(n.checked_sub(1)?));
        let shares = own.map(|(_, trustee, share)| v1::OpenedShare {
            name: name(*trustee).map(|trustee| trustee.name.clone()).unwrap_or_default(),
            share: share.text().to_string(),
        });
        let held = places.iter().filter(|(name, _)| name.round == round);
        let envelopes = held.zip(&bidders).map(|((name, held), bidder)| v1::OpenedEnvelope {
            place: name.place,
            bidder_code: bidder.code.clone(),
            received_at: held.received_at,
            commitment: HEXLOWER.encode(&commitment(&held.envelope)),
            envelope: BASE64URL_NOPAD.encode(&held.envelope),
        });
        let (shares, envelopes) = (shares.collect(), envelopes.collect());
        v1::SealedOpening { session_id: id.text(), round, public_key: key.public_key.clone(), shares, envelopes }
    };
    Ok(v1::SealedOpenings { items: rounds.into_iter().map(opening).collect() })
}
