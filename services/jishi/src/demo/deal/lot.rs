use kernel::Money;
use serde_json::{Value, json};

use super::{
    Parties, gather,
    offer::{self, Offer},
};
use crate::demo::{Error, Fields, Result, cast::House, check::SESSION, stage::Stage};

/// A lot whose free period has begun: for those who tell the bidding themselves.
pub struct OpenLot {
    parties: Parties,
    offer: Offer,
    session_id: String,
}

/// Plays a deal up to the beginning of its free period.
pub async fn open(stage: &Stage<'_>) -> Result<OpenLot> {
    let parties = gather(stage).await?;
    let offer = offer::disclose(stage, &parties).await?;
    offer::qualify(stage, &parties, &offer).await?;
    let (session_id, starts_at) = offer::schedule(stage, &parties, &offer).await?;
    stage.wait_until(starts_at, "竞价开始", "the start of bidding").await?;
    let lot = OpenLot { parties, offer, session_id };
    stage.until("the lot to open", || lot.in_status("FREE")).await?;
    Ok(lot)
}

impl OpenLot {
    /// Who may bid, each with its deposit on hold.
    #[must_use]
    pub fn bidders(&self) -> &[House; 3] {
        &self.parties.bidders
    }

    /// The session.
    #[must_use]
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// The least first bid.
    #[must_use]
    pub fn floor(&self) -> Money {
        self.offer.floor
    }

    /// The least raise.
    #[must_use]
    pub fn increment(&self) -> Money {
        self.offer.increment
    }

    async fn session(&self) -> Result<Value> {
        let read = self.parties.staff.qualifier.glance(SESSION, json!({ "id": self.session_id })).await?;
        Ok(read.at("/biddingSession")?.clone())
    }

    /// Something once the session stands there; an error if it went past it for good.
    async fn in_status(&self, status: &str) -> Result<Option<()>> {
        let session = self.session().await?;
        match session.text_at("/status")? {
            now if now == status => Ok(Some(())),
            "SOLD" | "UNSOLD" => Err(Error::answer(format!("a session that is {status}"), session)),
            _ => Ok(None),
        }
    }
}
