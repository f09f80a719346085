//! A hall that nobody hears of: its lots wait. And lines that a dead process left under way come to their end.

use kernel::{Actor, Id, Instant, Result};
use serde_json::{Value, json};
use wire::v1::BiddingStatus;

use super::entry;
use crate::{
    auctions::Auctions,
    engine::Command,
    lot::command::{LotRequest, SideEffect},
    store::{
        self,
        hall::{self, hall_session},
        hall_line,
    },
};

/// What the public log says.
pub const REASON: &str = "hall heartbeat lost";
/// How long another replica's news may take to be seen.
const LOOK_SECONDS: i64 = 1;

/// Watches until stopped. Every replica does; a lot is paused once, whoever is first.
pub async fn watch_over(auctions: Auctions) {
    while !auctions.stop.is_cancelled() {
        let next = auctions.cx.clock.now().plus_seconds(LOOK_SECONDS);
        let due = match look(&auctions).await {
            Ok(due) => due.map_or(next, |due| due.min(next)),
            Err(error) => {
                tracing::warn!(%error, "the halls could not be looked after");
                next
            }
        };
        tokio::select! {
            () = auctions.stop.cancelled() => {}
            () = auctions.cx.clock.sleep_until(due) => {}
        }
    }
}

/// Pauses the lots of silent halls, and tells when the next hall will have been silent for too long. What fails for one
/// hall is tried again at the next look and keeps no other waiting.
async fn look(auctions: &Auctions) -> Result<Option<Instant>> {
    // Before what was heard is read: whoever slept in between would find a hall silent that is not.
    let now = auctions.cx.clock.now();
    let mut due: Option<Instant> = None;
    for (hall, heard_at) in hall::open(auctions.cx.db.read()).await? {
        let lost_at = heard_at.plus_seconds(i64::from(hall.heartbeat_seconds));
        if lost_at > now {
            due = Some(due.map_or(lost_at, |due| due.min(lost_at)));
        } else if let Err(error) = pause(auctions, &hall).await {
            tracing::warn!(hall = %hall.id, %error, "the lots of a silent hall could not be paused");
        }
    }
    for device in hall_line::devices_under_way(auctions.cx.db.read()).await? {
        if let Err(error) = entry::finish(auctions, device).await {
            tracing::warn!(%device, %error, "a line stays under way");
        }
    }
    Ok(due)
}

/// After the hammer as well: the auctioneer could not take the lot up again.
async fn pause(auctions: &Auctions, hall: &hall_session::Model) -> Result<()> {
    let ids = hall::lots(auctions.cx.db.read(), hall.id).await?;
    for lot in store::sessions(auctions.cx.db.read(), &auctions.cx.vault, ids, Vec::new()).await? {
        let is_live = matches!(lot.status, BiddingStatus::Free | BiddingStatus::Hammered);
        if !is_live || !lot.terms()?.is_ended_by_hammer() {
            continue;
        }
        let Some(writer) = auctions.lots.handle(lot.id).await? else { continue };
        let facts = json!({ "hallSessionId": hall.id.text() });
        let facts = if let Value::Object(facts) = facts { facts } else { serde_json::Map::new() };
        let command = Command::Pause { reason: REASON.into() };
        let request = LotRequest::Staff { actor: Actor::exchange(), command, beside: SideEffect::Facts(facts) };
        // Refused where somebody else was faster.
        writer.send(request, None).await?;
    }
    Ok(())
}
