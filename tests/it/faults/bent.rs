//! Histories that never happened: the checker of R9 must refuse each of them, or its yes would mean nothing.

use auction::engine::{Command, Lot, Secrets, Terms};
use kernel::{Instant, Money};
use wire::v1::{AuctionEvent, AuctionEventKind as Kind, BidOrigin, BiddingTerms, IncrementStep};

use super::{
    Dice,
    linear::{Call, Did, Flaw, History, Seen, Told, check},
};

/// One way to bend a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bend {
    /// An acknowledged bid is not in the log.
    Lost,
    /// Two calls are told the same number.
    Doubled,
    /// Of two bids that did not overlap the later one has the lower number.
    Reordered,
    /// A read shows what a bid answered before had changed.
    StaleRead,
    /// A read shows a bid that was made after its answer.
    FutureRead,
    /// A bid stands after the end.
    Late,
    /// A refusal tells a price of before.
    StaleRefusal,
    /// A bid that the rules accept is refused.
    Unjust,
    /// The price falls.
    Falling,
}

pub const BENDS: [Bend; 9] = [
    Bend::Lost,
    Bend::Doubled,
    Bend::Reordered,
    Bend::StaleRead,
    Bend::FutureRead,
    Bend::Late,
    Bend::StaleRefusal,
    Bend::Unjust,
    Bend::Falling,
];

/// A history bent in one way at a place that the dice choose, if there is such a place.
pub fn bent(history: &History, how: Bend, dice: &mut Dice) -> Option<History> {
    let mut bent = history.clone();
    let bids = accepted(history);
    let (calls, log) = (&mut bent.calls, &mut bent.log);
    match how {
        Bend::Lost => {
            let (call, seq) = *bids.last()?;
            log.truncate(usize::try_from(seq).ok()? - 1);
            let kept = calls[call].clone();
            calls.retain(|call| last(call).is_some_and(|told| told < seq));
            calls.push(kept);
        }
        Bend::Doubled => {
            let copy = calls[one(&bids, dice)?.0].clone();
            calls.push(copy);
        }
        Bend::Reordered => {
            let (early, late) = apart(history, &bids, dice)?;
            let (first, second) = (calls[early].clone(), calls[late].clone());
            (calls[early].made, calls[early].answered) = (second.made, second.answered);
            (calls[late].made, calls[late].answered) = (first.made, first.answered);
        }
        Bend::StaleRead => {
            let (bid, seq) = one(&bids, dice)?;
            let after = calls[bid].answered;
            move_to(calls, after + 1, dice, |did| matches!(did, Did::Read(seen) if seen.seq < seq))?;
        }
        Bend::FutureRead => {
            let (bid, seq) = one(&bids, dice)?;
            let before = calls[bid].made;
            move_to(calls, before - 2, dice, |did| matches!(did, Did::Read(seen) if seen.seq >= seq))?;
        }
        Bend::Late => late(&mut bent, &bids)?,
        Bend::StaleRefusal => {
            let (bid, seq) = one(&bids, dice)?;
            let risen = history.log[usize::try_from(seq).ok()? - 1].amount;
            let after = calls[bid].answered;
            let told = |did: &Did| matches!(did, Did::Sent(_, Told::Refused { price, .. }) if *price < risen);
            move_to(calls, after + 1, dice, told)?;
        }
        Bend::Unjust => unjust(calls, dice)?,
        Bend::Falling => falling(log, dice)?,
    }
    Some(bent)
}

/// A bid after the end.
fn late(bent: &mut History, bids: &[(usize, i64)]) -> Option<()> {
    let (calls, log) = (&mut bent.calls, &mut bent.log);
    let end = log.iter().find(|event| event.kind() == Kind::Sold)?.at;
    let (call, seq) = *bids.last()?;
    let Did::Sent(Command::Bid { code, amount, origin, paddle }, _) = &calls[call].did else { return None };
    let (code, amount) = (code.clone(), Money(amount.0 * 2));
    let command = Command::Bid { code, amount, origin: *origin, paddle: *paddle };
    let made = calls.iter().map(|call| call.answered).max()? + 1;
    let bid = log[usize::try_from(seq).ok()? - 1].clone();
    let seq = log.last()?.seq + 1;
    calls.push(Call { made, answered: made + 1, did: Did::Sent(command, Told::Accepted(seq)) });
    log.push(AuctionEvent { seq, at: end, amount: Some(amount), ..bid });
    Some(())
}

/// A refusal, "too low", of what would have been enough.
fn unjust(calls: &mut [Call], dice: &mut Dice) -> Option<()> {
    let too_low = |did: &Did| match did {
        Did::Sent(Command::Bid { .. }, Told::Refused { code, .. }) => code == "BELOW_MIN_INCREMENT",
        _ => false,
    };
    let mut found: Vec<&mut Call> = calls.iter_mut().filter(|call| too_low(&call.did)).collect();
    let place = usize::try_from(dice.below(u64::try_from(found.len()).ok()?)).ok()?;
    match &mut found.get_mut(place)?.did {
        Did::Sent(Command::Bid { amount, .. }, Told::Refused { minimum, .. }) => *amount = (*minimum)?,
        _ => return None,
    }
    Some(())
}

/// Two bids in the log with each other's amounts.
fn falling(log: &mut [AuctionEvent], dice: &mut Dice) -> Option<()> {
    let bids: Vec<usize> = (0..log.len()).filter(|event| log[*event].kind() == Kind::Bid).collect();
    let place = usize::try_from(dice.below(u64::try_from(bids.len()).ok()?)).ok()?;
    let (first, second) = (*bids.get(place)?, *bids.get(place + 1)?);
    if log[first].amount == log[second].amount {
        return None;
    }
    let amount = log[first].amount;
    log[first].amount = std::mem::replace(&mut log[second].amount, amount);
    Some(())
}

/// The accepted bids, by number.
fn accepted(history: &History) -> Vec<(usize, i64)> {
    let own = |(index, call): (usize, &Call)| match call.did {
        Did::Sent(Command::Bid { .. }, Told::Accepted(seq)) => Some((index, seq)),
        _ => None,
    };
    let mut bids: Vec<_> = history.calls.iter().enumerate().filter_map(own).collect();
    bids.sort_by_key(|(_, seq)| *seq);
    bids
}

/// The last number that a call can know of; none if that is not known of it.
fn last(call: &Call) -> Option<i64> {
    match &call.did {
        Did::Sent(_, Told::Accepted(seq)) => Some(*seq),
        Did::Read(seen) => Some(seen.seq),
        Did::Sent(..) => None,
    }
}

fn one(bids: &[(usize, i64)], dice: &mut Dice) -> Option<(usize, i64)> {
    bids.get(usize::try_from(dice.below(u64::try_from(bids.len()).ok()?)).ok()?).copied()
}

/// Two bids of which the second was made when the first had been answered.
fn apart(history: &History, bids: &[(usize, i64)], dice: &mut Dice) -> Option<(usize, usize)> {
    let early = one(bids, dice)?;
    let answered = history.calls[early.0].answered;
    let late = bids.iter().find(|(call, seq)| *seq > early.1 && history.calls[*call].made > answered)?;
    Some((early.0, late.0))
}

/// Has one of the fitting calls made and answered at another moment.
fn move_to(calls: &mut [Call], made: i64, dice: &mut Dice, fits: impl Fn(&Did) -> bool) -> Option<()> {
    let found: Vec<&mut Call> = calls.iter_mut().filter(|call| fits(&call.did)).collect();
    let place = dice.below(u64::try_from(found.len()).ok()?);
    let call = found.into_iter().nth(usize::try_from(place).ok()?)?;
    (call.made, call.answered) = (made, made + 1);
    Some(())
}

const CODES: [&str; 4] = ["B01", "B02", "B03", "B04"];

/// A history that could have happened: each call takes effect at a moment of its own, made somewhat before and answered
/// somewhat later. B04 holds a preemption right.
fn possible(dice: &mut Dice) -> History {
    let step = IncrementStep { from: Some(Money(0)), increment: Some(Money(500)) };
    let announced = BiddingTerms {
        increments: vec![step],
        free_seconds: 60,
        timed_seconds: 60,
        proxy_allowed: true,
        preemption: wire::v1::PreemptionRule::InSession.into(),
        ..BiddingTerms::default()
    };
    let terms = Terms { announced, starting_price: Money(10_000), starts_at: Instant(1_000), ..Terms::default() };
    let mut lot = Lot::scheduled(terms.clone(), Secrets::default(), Instant(0));
    let scheduled = lot.event(Kind::Scheduled, Instant(0));
    lot.state.apply(&scheduled);
    let mut log = vec![scheduled];
    for code in CODES {
        let rank = (code == "B04").then_some(1);
        log.extend(lot.take(&Command::Admit { code: code.into(), rank }, Instant(0)).events);
    }
    let mut calls = Vec::new();
    let mut now = 1_000;
    for moment in 0..200 {
        now += dice.amount(900);
        log.extend(lot.pass(Instant(now)));
        let made = moment * 10 - dice.amount(30);
        let did = match dice.below(10) {
            0..4 => Did::Read(Seen::of(&lot)),
            roll => {
                let command = command(&lot, roll, moment, dice);
                let taken = lot.take(&command, Instant(now));
                let told = told(&command, &taken);
                log.extend(taken.events);
                Did::Sent(command, told)
            }
        };
        calls.push(Call { made, answered: moment * 10 + dice.amount(30), did });
    }
    log.extend(lot.pass(Instant(now + 1_000_000)));
    History { terms, log, calls }
}

fn command(lot: &Lot, roll: u64, moment: i64, dice: &mut Dice) -> Command {
    let code = CODES[usize::try_from(dice.below(4)).unwrap()].to_owned();
    let base = lot.price().unwrap_or(Money(9_500)).0;
    if roll == 9 {
        let maximum = Money(base + 500 * dice.amount(8));
        return Command::Proxy { code, maximum, commitment: format!("of {moment}") };
    }
    let amount = Money(base + 500 * (dice.amount(5) - 1));
    Command::Bid { code, amount, origin: BidOrigin::Online, paddle: None }
}

fn told(command: &Command, taken: &auction::engine::Taken) -> Told {
    if let Some(refusal) = &taken.refusal {
        let (price, minimum) = (refusal.current_price, refusal.minimum_amount);
        return Told::Refused { code: refusal.code.clone(), price, minimum, at: refusal.server_time.unwrap() };
    }
    let own = taken.events.iter().find(|event| match command {
        Command::Bid { code, amount, .. } => {
            event.kind() == Kind::Bid && event.bidder_code() == code && event.amount == Some(*amount)
        }
        _ => event.kind() == Kind::ProxySet,
    });
    Told::Accepted(own.unwrap().seq)
}

#[test]
fn what_could_have_happened_is_accepted_and_what_could_not_is_refused() {
    let mut dice = Dice::of("bent histories");
    let mut bends = [0_usize; BENDS.len()];
    for _ in 0..40 {
        let history = possible(&mut dice);
        assert_eq!(check(&history), Ok(()));
        for (how, count) in BENDS.into_iter().zip(&mut bends) {
            let Some(bent) = bent(&history, how, &mut dice) else { continue };
            assert_refused(how, check(&bent));
            *count += 1;
        }
    }
    assert!(bends.iter().all(|count| *count > 5), "{bends:?}");
}

/// The flaw is the one that was made.
pub fn assert_refused(how: Bend, checked: Result<(), Flaw>) {
    let flaw = checked.expect_err(&format!("{how:?} was accepted"));
    let expected = match how {
        // A maximum's defence against the lost bid stays behind.
        Bend::Lost => matches!(flaw, Flaw::Lost(_) | Flaw::Unexplained(_)),
        Bend::Doubled => matches!(flaw, Flaw::Doubled(_)),
        Bend::Late | Bend::Falling => matches!(flaw, Flaw::Unexplained(_)),
        Bend::Unjust => matches!(flaw, Flaw::Never(_) | Flaw::Unexplained(_)),
        Bend::Reordered | Bend::StaleRead | Bend::FutureRead | Bend::StaleRefusal => {
            matches!(flaw, Flaw::OutOfTime(_))
        }
    };
    assert!(expected, "{how:?} was refused as {flaw:?}");
}
