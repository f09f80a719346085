//! The rules, played as the sequencer plays them. Every log that a test makes is decided again by `replay`.

mod closing;
mod falling;
mod hall;
mod interleavings;
mod maxima;
mod opening;
mod preemption;
mod raising;
mod standing;

use kernel::{ErrorCode, Instant, Money};
use wire::v1::{
    AuctionEvent, AuctionEventKind as Kind, BidOrigin, BiddingStatus as Status, BiddingTerms, IncrementStep,
};

use crate::engine::{Command, Lot, Reserve, Secrets, Terms, commitment, next, replay};

/// From 100.00 in steps of 5.00, free for a minute, then cycles of a minute.
fn terms() -> BiddingTerms {
    let step = IncrementStep { from: Some(Money(0)), increment: Some(Money(500)) };
    BiddingTerms { increments: vec![step], free_seconds: 60, timed_seconds: 60, ..BiddingTerms::default() }
}

/// Drives a lot as the sequencer does: what is due first, then the command.
#[derive(Clone)]
struct Drive {
    lot: Lot,
    log: Vec<AuctionEvent>,
}

impl Drive {
    /// Bidders B01 to B04; time is told in milliseconds, bidding begins at 1,000.
    fn new(announced: BiddingTerms) -> Self {
        Self::set_up(announced, None, [None; 4])
    }

    fn with_reserve(announced: BiddingTerms, fen: i64) -> Self {
        Self::set_up(announced, Some(Reserve { price: Money(fen), nonce: "salt".into() }), [None; 4])
    }

    /// With B03 and B04 as holders of preemption rights, ranks 2 and 1.
    fn with_holders(announced: BiddingTerms) -> Self {
        Self::set_up(announced, None, [None, None, Some(2), Some(1)])
    }

    fn set_up(mut announced: BiddingTerms, reserve: Option<Reserve>, ranks: [Option<i32>; 4]) -> Self {
        let hidden = |reserve: &Reserve| commitment(&["listing"], reserve.price, &reserve.nonce);
        announced.reserve_commitment = reserve.as_ref().map(hidden);
        let terms = Terms {
            announced,
            starting_price: Money(10_000),
            starts_at: Instant(1_000),
            listing_id: "listing".into(),
            ..Terms::default()
        };
        let lot = Lot::scheduled(terms, Secrets { reserve, ..Secrets::default() }, Instant(0));
        let mut drive = Self { log: Vec::new(), lot };
        let first = drive.lot.event(Kind::Scheduled, Instant(0));
        drive.lot.state.apply(&first);
        drive.log.push(first);
        if !drive.lot.terms.is_sealed() {
            for (code, rank) in ["B01", "B02", "B03", "B04"].into_iter().zip(ranks) {
                drive.go(Command::Admit { code: code.into(), rank }, 0).unwrap();
            }
        }
        drive
    }

    fn pass(&mut self, now: i64) {
        self.log.extend(self.lot.pass(Instant(now)));
    }

    fn go(&mut self, command: Command, now: i64) -> Result<(), ErrorCode> {
        self.pass(now);
        let taken = self.lot.take(&command, Instant(now));
        self.log.extend(taken.events);
        self.pass(now);
        taken.refusal.map_or(Ok(()), |refusal| Err(refusal.error_code()))
    }

    fn bid(&mut self, code: &str, fen: i64, now: i64) -> Result<(), ErrorCode> {
        self.go(bid(code, fen), now)
    }

    fn leave(&mut self, code: &str, fen: i64, now: i64) -> Result<(), ErrorCode> {
        self.go(Command::Proxy { code: code.into(), maximum: Money(fen), commitment: format!("of {code}") }, now)
    }

    fn lead(&self) -> (&str, i64) {
        self.lot.state.lead.as_ref().map_or(("", 0), |lead| (&lead.code, lead.amount.0))
    }

    fn status(&self) -> Status {
        self.lot.status()
    }

    /// What the log says in short: kinds, with code and amount of bids.
    fn told(&self) -> Vec<String> {
        let short = |event: &AuctionEvent| match (event.bidder_code.as_deref(), event.amount) {
            (Some(code), Some(amount)) => format!("{} {code} {}", event.kind().stored(), amount.0),
            (Some(code), None) => format!("{} {code}", event.kind().stored()),
            (None, Some(amount)) => format!("{} {}", event.kind().stored(), amount.0),
            (None, None) => event.kind().stored().to_owned(),
        };
        self.log.iter().filter(|event| event.kind() != Kind::Admitted).map(short).collect()
    }
}

impl Drop for Drive {
    /// Whatever was played: numbers without holes, and the log alone gives the same state byte for byte.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let numbers: Vec<i64> = self.log.iter().map(|event| event.seq).collect();
        assert!(numbers.iter().copied().eq(1..=self.lot.state.seq), "{numbers:?}");
        let again = replay(self.lot.terms.clone(), &self.log).unwrap_or_else(|flaw| panic!("{flaw:?} {:#?}", self.log));
        let bytes = |lot: &Lot| prost::Message::encode_to_vec(&lot.state);
        assert_eq!(bytes(&again), bytes(&self.lot));
    }
}

fn bid(code: &str, fen: i64) -> Command {
    Command::Bid { code: code.into(), amount: Money(fen), origin: BidOrigin::Online, paddle: None }
}

#[test]
fn what_may_follow_is_one_table() {
    use Status::{Cancelled, Free, Paused, Sold, Timed, Unsold};
    for status in [Sold, Unsold, Cancelled] {
        assert!(next(status).iter().all(|next| matches!(next, Sold | Unsold)), "{status:?}");
    }
    for live in [Free, Timed] {
        assert!(next(live).contains(&Paused) && next(Paused).contains(&live));
    }
}
