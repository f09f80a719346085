//! What can be asked of a lot. Every command, accepted, is one event of the lot's one order.

use kernel::Money;
use wire::v1::{BidOrigin, OfferValue};

/// One command. A `code` is a bidder's anonymous code.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the variants tell their fields")]
pub enum Command {
    /// Somebody becomes eligible, with the rank of its preemption right if it has one.
    Admit { code: String, rank: Option<i32> },
    /// A bid; in DUTCH the acceptance of the present price.
    Bid { code: String, amount: Money, origin: BidOrigin, paddle: Option<i32> },
    /// A hidden maximum, known to the public by its commitment only.
    Proxy { code: String, maximum: Money, commitment: String },
    /// Takes the leading bid back.
    Withdraw { code: String, reason: String },
    /// Goes on after the inquiry.
    Continue { code: String },
    /// Takes, or lets go, what is offered to holders of preemption rights.
    AnswerPreemption { code: String, exercise: bool },
    /// Accepts an open licence.
    Accept { code: String },
    /// Stops the time.
    Pause { reason: String },
    /// Lets it go on with what remained.
    Resume,
    /// Ends it undecided.
    Cancel { reason: String },
    /// The auctioneer asks a price.
    Ask { amount: Money },
    /// Fair warning.
    Warn,
    /// The hammer.
    Hammer,
    /// Takes the lot up again after the hammer.
    Reopen { reason: String },
    /// A trustee gave its share of the key.
    GiveShare { trustee: String, commitment: String },
    /// What was in one bidder's envelope; `last` when all others were looked at.
    Open { code: String, commitment: String, offer: Offer, last: bool },
    /// One member's points for one bidder; `last` when nothing more is to be scored.
    Score { member: String, code: String, points: Vec<OfferValue>, last: bool },
    /// Takes a member off the panel; `last` when nothing more is to be scored without it.
    Dismiss { member: String, reason: String, last: bool },
    /// The bidder's organization is suspended or closed: its bids and its maximum rest.
    Rest { code: String, reason: String },
    /// It is reinstated.
    Return { code: String },
    /// A bidder of a paused lot is excluded for good.
    Exclude { code: String, reason: String },
    /// This winner defaulted: the next bidder takes its place, or nobody.
    PassOn { code: String },
}

/// What an envelope held.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the variants tell their fields")]
pub enum Offer {
    /// No bid: the bidder has not sent any, or sent an empty one.
    None,
    /// A bid.
    Some { amount: Money, values: Vec<OfferValue> },
    /// It cannot be opened, or is no bid; why.
    Invalid(String),
}
