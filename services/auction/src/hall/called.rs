//! Whether a lot is called in a hall.

use kernel::{Context, Error, ErrorCode, Refusal, Result};
use wire::id::BiddingSessionId;

use crate::store::{self, hall};

/// Requires that a lot which the hammer ends is called in a hall: with a hall session come the licences that such a sale
/// takes (拍卖法 10-14). Of every other lot the engine says that it knows no hammer.
pub async fn require_hall(cx: &Context, id: BiddingSessionId) -> Result<()> {
    let session = store::session(cx.db.read(), &cx.vault, id).await?;
    let Some(session) = session else { return Err(Error::not_found("sessionId")) };
    if !session.terms()?.is_ended_by_hammer() || hall::is_called(cx.db.read(), id).await? {
        return Ok(());
    }
    let refusal = Refusal::new(ErrorCode::IllegalTransition).at_field("sessionId").by_rule("SM-5");
    Err(refusal.accepting("openHallSession").into())
}
