//! What the auctioneer does to a lot that the hammer ends: each act is a command of the lot's one order.

use kernel::{Error, ErrorCode, Refusal, Result, text};
use wire::{
    id::BiddingSessionId,
    policy::{self, Permission},
    v1,
};

use crate::{
    api::Auctions,
    course::StaffInput,
    engine::Command,
    store::{self, hall},
};

macro_rules! call {
    ($input:ident, $method:literal, $permission:ident, |$self:ident| $command:expr) => {
        impl StaffInput for v1::$input {
            const METHOD: &'static str = $method;
            const PERMISSION: Permission = policy::$permission;
            const IN_HALL: bool = true;
            fn session(&self) -> &str {
                &self.session_id
            }
            fn command(&self) -> Result<Command> {
                let $self = self;
                Ok($command)
            }
        }
    };
}

call!(AskPriceInput, "AskPrice", ASK_PRICE, |input| {
    let required = || Error::from(Refusal::new(ErrorCode::Required).at_field("amount"));
    Command::Ask { amount: input.amount.ok_or_else(required)? }
});
call!(GiveFairWarningInput, "GiveFairWarning", GIVE_FAIR_WARNING, |_input| Command::Warn);
call!(DropHammerInput, "DropHammer", DROP_HAMMER, |_input| Command::Hammer);
call!(ReopenLotInput, "ReopenLot", REOPEN_LOT, |input| {
    Command::Reopen { reason: text(&input.reason, "reason", 2, 200)? }
});

/// Requires that a lot which the hammer ends is called in a hall: with a hall session come the licences that such a sale
/// takes (拍卖法 10-14). Of every other lot the engine says that it knows no hammer.
pub async fn require_hall(auctions: &Auctions, id: BiddingSessionId) -> Result<()> {
    let session = store::session(auctions.cx.db.read(), &auctions.cx.vault, id).await?;
    let Some(session) = session else { return Err(Error::not_found("sessionId")) };
    if !session.terms()?.is_ended_by_hammer() || hall::is_called(auctions.cx.db.read(), id).await? {
        return Ok(());
    }
    let refusal = Refusal::new(ErrorCode::IllegalTransition).at_field("sessionId").by_rule("SM-5");
    Err(refusal.accepting("openHallSession").into())
}
