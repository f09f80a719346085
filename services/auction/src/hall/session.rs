//! Opening and closing a hall session.

use kernel::{Call, Error, ErrorCode, Id, Refusal, Result, text};
use serde_json::json;
use wire::{
    id::{BiddingSessionId, HallSessionId, OrganizationId},
    policy::{self, Of, permit},
    v1::{self, BiddingMode, BiddingStatus, HallStatus},
};

use crate::store::{
    self,
    hall::{self, hall_session},
    session,
};

/// Most lots of one hall session.
const MOST_LOTS: usize = 100;

/// Opens a hall session; the caller is its auctioneer.
pub async fn open(call: &Call, input: v1::OpenHallSessionInput) -> Result<v1::HallSession> {
    call.actor.require_known()?;
    let centre_id = OrganizationId::parse(&input.centre_id, "centreId")?;
    permit(&call.actor, policy::OPEN_HALL_SESSION, Of::centre(&input.centre_id, "centreId"))?;
    require_centre(call, &input.centre_id)?;
    let auctioneer_licence = text(&input.auctioneer_licence, "auctioneerLicence", 4, 40)?;
    let house_licence = input.house_licence.map(|licence| text(&licence, "houseLicence", 4, 40)).transpose()?;
    if !(5..=300).contains(&input.heartbeat_seconds) {
        let refusal = Refusal::new(ErrorCode::PeriodOutOfRange).at_field("heartbeatSeconds");
        return Err(refusal.accepting("5–300").into());
    }
    let lots = lots(call, &input.session_ids).await?;
    let by_hammer = lots.iter().map(session::Model::terms).collect::<Result<Vec<_>>>()?;
    // An auction proper is a licensed house's (trap 2).
    if by_hammer.iter().any(crate::engine::Terms::is_ended_by_hammer) && house_licence.is_none() {
        let refusal = Refusal::new(ErrorCode::Required).at_field("houseLicence").by_rule("SM-5");
        return Err(refusal.accepting("4–40 字 / characters").into());
    }
    let ids: Vec<_> = lots.iter().map(|lot| lot.id).collect();
    let row = hall_session::Model {
        id: HallSessionId::fresh(),
        centre_id,
        status: HallStatus::Open,
        auctioneer: call.actor.person_id.clone(),
        auctioneer_licence,
        house_licence,
        heartbeat_seconds: input.heartbeat_seconds,
        opened_at: call.now,
        closed_at: None,
    };
    if !hall::insert(&call.tx, row.clone(), &ids).await? {
        return Err(Refusal::new(ErrorCode::AlreadyExists).at_field("sessionIds").by_rule("SM-5").into());
    }
    let facts = json!({ "sessionIds": input.session_ids, "auctioneerLicence": row.auctioneer_licence,
        "houseLicence": row.house_licence });
    call.record("HallSessionOpened", &row.id.text(), facts).await?;
    Ok(row.shown(ids))
}

/// The hub's staff reaches everything, so reach alone does not tell that there is such a centre.
fn require_centre(call: &Call, id: &str) -> Result<()> {
    let places = call.actor.memberships.iter().filter(|place| place.centre);
    let mut centres = places.flat_map(|place| place.centres.iter().chain([&place.organization_id]));
    if centres.any(|centre| centre == id) { Ok(()) } else { Err(Error::not_found("centreId")) }
}

/// The lots, in the order given, if they may be called in a hall.
async fn lots(call: &Call, texts: &[String]) -> Result<Vec<session::Model>> {
    if texts.is_empty() || texts.len() > MOST_LOTS {
        let refusal = Refusal::new(ErrorCode::InvalidInput).at_field("sessionIds");
        return Err(refusal.accepting(format!("1–{MOST_LOTS}")).into());
    }
    let field = |index: usize| format!("sessionIds.{index}");
    let parse = |(index, text): (usize, &String)| BiddingSessionId::parse(text, &field(index));
    let ids = texts.iter().enumerate().map(parse).collect::<Result<Vec<_>>>()?;
    let found = store::sessions(&call.tx, &call.cx.vault, ids.clone(), Vec::new()).await?;
    let mut lots: Vec<session::Model> = Vec::with_capacity(ids.len());
    for (index, id) in ids.into_iter().enumerate() {
        let lot = found.iter().find(|lot| lot.id == id).ok_or_else(|| Error::not_found(&field(index)))?;
        permit(&call.actor, policy::OPEN_HALL_SESSION, Of::centre(&lot.centre_id.text(), &field(index)))?;
        let refuse = |code, accepted: &str| {
            let refusal = Refusal::new(code).at_field(&field(index)).by_rule("SM-5");
            Err(refusal.accepting(accepted).into())
        };
        if lots.iter().any(|other| other.id == id) {
            return refuse(ErrorCode::InvalidInput, "once each");
        }
        if is_over(lot.status) {
            return refuse(ErrorCode::IllegalTransition, "SCHEDULED | FREE | INQUIRY | TIMED | PAUSED");
        }
        let terms = lot.terms()?;
        // Nobody can call out a sealed offer.
        if !terms.is_open() && terms.announced.mode() != BiddingMode::Dutch {
            return refuse(ErrorCode::ModeMismatch, "ASCENDING | DYNAMIC_LISTING | REVERSE | DUTCH");
        }
        lots.push(lot.clone());
    }
    Ok(lots)
}

fn is_over(status: BiddingStatus) -> bool {
    matches!(status, BiddingStatus::Sold | BiddingStatus::Unsold | BiddingStatus::Cancelled)
}

/// Closes a hall session. A lot that only the hammer ends is not left without one.
pub async fn close(call: &Call, input: v1::CloseHallSessionInput) -> Result<v1::HallSession> {
    call.actor.require_known()?;
    let id = HallSessionId::parse(&input.hall_session_id, "hallSessionId")?;
    let row = hall::for_update(&call.tx, id).await?.ok_or_else(|| Error::not_found("hallSessionId"))?;
    permit(&call.actor, policy::CLOSE_HALL_SESSION, Of::centre(&row.centre_id.text(), "hallSessionId"))?;
    require_open(&row)?;
    let ids = hall::lots(&call.tx, id).await?;
    for lot in store::sessions(&call.tx, &call.cx.vault, ids.clone(), Vec::new()).await? {
        let has_begun = lot.status != BiddingStatus::Scheduled && !is_over(lot.status);
        if has_begun && lot.terms()?.is_ended_by_hammer() {
            let refusal = Refusal::new(ErrorCode::IllegalTransition).at_field("hallSessionId").by_rule("SM-5");
            return Err(refusal.accepting(format!("{}: SOLD | UNSOLD | CANCELLED", lot.id)).into());
        }
    }
    let row = hall::close(&call.tx, row, call.now).await?;
    call.record("HallSessionClosed", &row.id.text(), json!({})).await?;
    Ok(row.shown(ids))
}

/// Requires that the hall takes entries.
pub fn require_open(hall: &hall_session::Model) -> Result<()> {
    match hall.status {
        HallStatus::Open => Ok(()),
        HallStatus::Closed => Err(Refusal::new(ErrorCode::IllegalTransition).accepting("OPEN").into()),
    }
}
