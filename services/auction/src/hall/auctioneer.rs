//! What the auctioneer does to a lot that the hammer ends: each act is a command of the lot's one order.

use kernel::{Error, ErrorCode, Refusal, Result, text};
use wire::{
    policy::{self, Permission},
    v1,
};

use crate::{bidding::control::StaffInput, engine::Command};

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
