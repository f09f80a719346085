//! A bidder hands in a sealed bid, and asks for its receipt.
//!
//! None of it leaves a trace that could be counted: the call keeps no idempotency row (its answer is kept in the place,
//! where nobody sees it), no audit record, and what it reads of the database belongs to no span of the request.

use data_encoding::BASE64URL_NOPAD;
use kernel::{Actor, Error, ErrorCode, Id, Idempotency, Refusal, Result};
use tonic::Request;
use wire::{
    id::{BiddingSessionId, OrganizationId},
    policy::{self, Of, permit},
    v1::{self, SubmitSealedBidPayload},
};

use crate::{
    auctions::Auctions,
    lot::idempotent::{keyed, payload},
    sealed::{
        PublicKey,
        boxes::{self, HandedIn},
        envelope::ENVELOPE,
        receipt::receipt,
    },
    store,
};

/// Length of the point at the head of an envelope.
const POINT: usize = 65;

/// Takes a sealed bid. A refused one has no effect and is not remembered.
pub async fn submit(auctions: &Auctions, request: Request<v1::SubmitSealedBidInput>) -> Result<SubmitSealedBidPayload> {
    let call = keyed(&auctions.cx, &request, "SubmitSealedBid");
    let (actor, input) = kernel::query(request);
    let at = auctions.cx.clock.now();
    let auctions = auctions.clone();
    payload(unseen(async move { hand_in(&auctions, &actor, (input, call), at).await }).await)
}

/// Does it as nobody's: a task of its own is in no span.
async fn unseen<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(work).await.map_err(|_| Error::Unavailable("outcome unknown".into()))?
}

async fn hand_in(
    auctions: &Auctions,
    actor: &Actor,
    (input, call): (v1::SubmitSealedBidInput, Option<Idempotency>),
    at: kernel::Instant,
) -> Result<v1::SealedReceipt> {
    actor.require_known()?;
    let id = BiddingSessionId::parse(&input.session_id, "sessionId")?;
    let organization_id = OrganizationId::parse(&input.organization_id, "organizationId")?;
    let cx = &auctions.cx;
    let row = store::session(cx.db.read(), &cx.vault, id).await?;
    let row = row.ok_or_else(|| Error::not_found("sessionId"))?;
    permit(actor, policy::SUBMIT_SEALED_BID, Of::organization(&input.organization_id, "organizationId"))?;
    if let Some(code) = actor.conflict(&row.transferor_id.text(), &row.centre_id.text()) {
        return Err(Refusal::new(code).at_field("organizationId").by_rule("SM-5").into());
    }
    if let Some(earlier) = boxes::earlier(cx, &boxes::places(cx, cx.db.read(), id).await?, call.as_ref()) {
        return earlier;
    }
    let lot = boxes::standing(&row, at)?;
    let bidders = boxes::codes(cx.db.read(), id).await?;
    let bidder = bidders.iter().find(|bidder| bidder.organization_id == organization_id);
    // Looked at here only to be quick; the box decides it under the lot's lock.
    boxes::admissible(&lot, (bidder.map(|bidder| bidder.code.as_str()), input.round), at, None)
        .map_err(|code| boxes::refusal(&lot, code, at))?;
    let envelope = envelope(&input.envelope)?;
    auctions.boxes.hand_in(id, HandedIn { organization_id, round: input.round, envelope, call, at }).await
}

/// The envelope's bytes. Whether it opens shows when it is opened; that it is none at all shows at once.
fn envelope(text: &str) -> Result<Vec<u8>> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok().filter(|bytes| bytes.len() == ENVELOPE);
    let begins = |bytes: &Vec<u8>| bytes.get(..POINT).is_some_and(|point| PublicKey::from_bytes(point).is_some());
    bytes.filter(begins).ok_or_else(|| {
        let refusal = Refusal::new(ErrorCode::BadEnvelope).at_field("envelope").by_rule("P-3");
        refusal.accepting("jishi seal").into()
    })
}

/// The receipt for the bidder's last envelope; nothing for anybody else.
pub async fn own_receipt(
    auctions: &Auctions,
    actor: Actor,
    wanted: v1::GetSealedReceiptRequest,
) -> Result<v1::SealedReceiptReply> {
    let auctions = auctions.clone();
    unseen(async move {
        let id = BiddingSessionId::parse(&wanted.session_id, "sessionId")?;
        let organization_id = OrganizationId::parse(&wanted.organization_id, "organizationId")?;
        let of = Of::organization(&wanted.organization_id, "organizationId");
        if permit(&actor, policy::SEALED_RECEIPT, of).is_err() {
            return Ok(v1::SealedReceiptReply::default());
        }
        let cx = &auctions.cx;
        let bidders = boxes::codes(cx.db.read(), id).await?;
        let number = bidders.iter().position(|bidder| bidder.organization_id == organization_id);
        let place = number.and_then(|number| i32::try_from(number + 1).ok());
        let places = boxes::places(cx, cx.db.read(), id).await?;
        let own = places.iter().rev().filter(|(name, _)| Some(name.place) == place);
        let receipt = own.filter_map(|(name, held)| Some(receipt(&cx.vault, name, &held.taken()?))).next();
        Ok(v1::SealedReceiptReply { receipt })
    })
    .await
}
