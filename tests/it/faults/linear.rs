//! Whether what callers saw of one lot can be explained by one order of all calls that keeps their real-time order, each
//! taking effect at once between its making and its answer (R9). The rules are the engine's own, played in that order.
//!
//! The log gives the order of whatever moved the lot, so the check needs hardly any search: after each group of events that
//! belongs to one command the lot is in a known state. Every call must fit at some place among these states: an accepted
//! command at its own group, a refusal where the rules refuse it in those words, a read where the lot looks like that.
//! Places must not go back where calls did not overlap. Taken in the order of their making, each call at its first
//! fitting place, that is decided exactly: an earlier place never hinders a later call.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
};

use auction::engine::{Command, Lot, Taken, Terms, replay};
use kernel::{Instant, Money};
use wire::v1::{AuctionEvent, AuctionEventKind as Kind};

/// One call, and the moments on the callers' clock between which it took effect.
#[derive(Clone, Debug)]
pub struct Call {
    pub made: i64,
    pub answered: i64,
    pub did: Did,
}

#[derive(Clone, Debug)]
pub enum Did {
    Sent(Command, Told),
    Read(Seen),
}

/// What a caller was told.
#[derive(Clone, Debug)]
pub enum Told {
    /// The number of its event.
    Accepted(i64),
    Refused {
        code: String,
        price: Option<Money>,
        minimum: Option<Money>,
        at: Instant,
    },
}

/// What a reader saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub seq: i64,
    pub status: i32,
    pub price: Option<Money>,
    pub leader: Option<String>,
    pub bids: i64,
}

impl Seen {
    pub fn of(lot: &Lot) -> Seen {
        let leader = lot.state.lead.as_ref().map(|lead| lead.code.clone());
        let (seq, status, bids) = (lot.state.seq, lot.state.status, lot.state.bid_count);
        Seen { seq, status, price: lot.price(), leader, bids }
    }
}

/// All calls on one lot, and its published log.
#[derive(Clone, Debug)]
pub struct History {
    pub terms: Terms,
    pub log: Vec<AuctionEvent>,
    pub calls: Vec<Call>,
}

/// Why a history cannot be explained. Calls are named by their place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// No command and no passing of time accounts for this event.
    Unexplained(i64),
    /// Two calls were told the same number.
    Doubled(usize),
    /// It was acknowledged, and is not in the log.
    Lost(usize),
    /// What it was told was never so.
    Never(usize),
    /// What it was told was so only before it was made, or after it was answered.
    OutOfTime(usize),
}

/// How many ways to read a log are tried.
const READINGS: usize = 2_000;

/// Nothing, or the first flaw.
///
/// Now and then it is not certain whose command an event belongs to: a maximum moves the lot because of a bid that it
/// meets, and several bids of one instant may have been that one. Then all readings are tried.
pub fn check(history: &History) -> Result<(), Flaw> {
    let mut open = vec![Course::begun(history)?];
    let mut flaw = None;
    for _ in 0..READINGS {
        let Some(mut course) = open.pop() else { break };
        let read = course.run(history, &mut open).and_then(|()| course.place(history));
        match read {
            Ok(()) => return Ok(()),
            Err(found) => drop(flaw.get_or_insert(found)),
        }
    }
    flaw.map_or(Ok(()), Err)
}

/// The states that the log leads through, by one reading.
#[derive(Clone)]
struct Course {
    /// After each group of events.
    states: Vec<Lot>,
    /// How many events are read.
    read: usize,
    /// The group that each call moved the lot by.
    moved: HashMap<usize, usize>,
    /// The calls that were accepted, by the number of their own event.
    accepted: BTreeMap<i64, usize>,
}

/// Whose command the next events are: nobody's if time alone brings them.
type Group = (Option<usize>, Lot, usize);

impl Course {
    fn begun(history: &History) -> Result<Course, Flaw> {
        let mut accepted = BTreeMap::new();
        for (index, call) in history.calls.iter().enumerate() {
            if let Did::Sent(_, Told::Accepted(seq)) = call.did
                && accepted.insert(seq, index).is_some()
            {
                return Err(Flaw::Doubled(index));
            }
        }
        // Until bidding begins, nobody's calls are recorded.
        let read = history.log.iter().position(|event| event.kind() == Kind::Opened).unwrap_or(history.log.len());
        let lot = replay(history.terms.clone(), &history.log[..read]).map_err(|flaw| Flaw::Unexplained(flaw.seq))?;
        Ok(Course { states: vec![lot], read, moved: HashMap::new(), accepted })
    }

    /// Reads the log to its end; other readings are left open.
    fn run(&mut self, history: &History, open: &mut Vec<Course>) -> Result<(), Flaw> {
        while let Some(next) = history.log.get(self.read) {
            let mut groups = self.groups(history);
            let group = groups.pop().ok_or(Flaw::Unexplained(next.seq))?;
            for other in groups {
                let mut course = self.clone();
                course.enter(other);
                open.push(course);
            }
            self.enter(group);
        }
        match self.accepted.values().find(|call| !self.moved.contains_key(call)) {
            Some(lost) => Err(Flaw::Lost(*lost)),
            None => Ok(()),
        }
    }

    fn enter(&mut self, (call, lot, count): Group) {
        self.states.push(lot);
        self.read += count;
        self.moved.extend(call.map(|call| (call, self.states.len() - 1)));
    }

    /// Every way to read the next events.
    fn groups(&self, history: &History) -> Vec<Group> {
        let rest = &history.log[self.read..];
        let (Some(next), Some(before)) = (rest.first(), self.states.last()) else { return Vec::new() };
        let Some(at) = next.at else { return Vec::new() };
        if let Some(due) = before.due(at) {
            let mut lot = before.clone();
            lot.state.apply(next);
            return (due == *next).then_some((None, lot, 1)).into_iter().collect();
        }
        let own = self.accepted.range(next.seq..).next().map(|(_, call)| *call);
        // A maximum that was met in time moves the lot although the bid that met it is refused.
        let refused =
            |call: &usize| matches!(told(history, *call), Some(Told::Refused { at: then, .. }) if *then == at);
        let others = (0..history.calls.len()).filter(refused).filter(|call| !self.moved.contains_key(call));
        let group = |call: usize| {
            let (lot, taken) = play(before, history, call, at)?;
            let same = !taken.events.is_empty() && rest.starts_with(&taken.events);
            (same && agrees(history, call, &taken)).then_some((Some(call), lot, taken.events.len()))
        };
        own.into_iter().chain(others).filter_map(group).collect()
    }

    /// Whether every call has a place that keeps the real-time order.
    fn place(&self, history: &History) -> Result<(), Flaw> {
        let mut order: Vec<usize> = (0..history.calls.len()).collect();
        order.sort_by_key(|call| history.calls[*call].made);
        let mut open: BinaryHeap<Reverse<(i64, usize)>> = BinaryHeap::new();
        let mut floor = 0;
        for index in order {
            let call = &history.calls[index];
            while let Some(Reverse((_, place))) = open.peek().copied().filter(|open| open.0.0 < call.made) {
                floor = floor.max(place);
                open.pop();
            }
            let places = self.places(history, index);
            if places.is_empty() {
                return Err(Flaw::Never(index));
            }
            let place = places.into_iter().find(|place| *place >= floor).ok_or(Flaw::OutOfTime(index))?;
            open.push(Reverse((call.answered, place)));
        }
        Ok(())
    }

    /// Where a call may have taken effect, in order: 2k is "in state k", 2k - 1 is "as the move to it".
    fn places(&self, history: &History, index: usize) -> Vec<usize> {
        if let Some(group) = self.moved.get(&index) {
            return vec![2 * group - 1];
        }
        let fits = |lot: &Lot| match &history.calls[index].did {
            Did::Read(seen) => *seen == Seen::of(lot),
            Did::Sent(_, Told::Refused { price, at, .. }) => {
                let alive = lot.state.last_at <= *at && lot.price() == *price && lot.due(*at).is_none();
                let played = alive.then(|| play(lot, history, index, *at)).flatten();
                played.is_some_and(|(_, taken)| taken.events.is_empty() && agrees(history, index, &taken))
            }
            Did::Sent(_, Told::Accepted(_)) => false,
        };
        (0..self.states.len()).filter(|state| fits(&self.states[*state])).map(|state| 2 * state).collect()
    }
}

fn told(history: &History, call: usize) -> Option<&Told> {
    match &history.calls[call].did {
        Did::Sent(_, told) => Some(told),
        Did::Read(_) => None,
    }
}

/// The lot after a call's command, and what came of it.
fn play(before: &Lot, history: &History, call: usize, at: Instant) -> Option<(Lot, Taken)> {
    let Did::Sent(command, _) = &history.calls[call].did else { return None };
    let mut lot = before.clone();
    let taken = lot.take(command, at);
    Some((lot, taken))
}

/// Whether a caller was told what came of its command.
fn agrees(history: &History, call: usize, taken: &Taken) -> bool {
    match (told(history, call), &taken.refusal) {
        (Some(Told::Accepted(seq)), None) => taken.events.iter().any(|event| event.seq == *seq),
        (Some(Told::Refused { code, price, minimum, .. }), Some(refusal)) => {
            let told = (code.as_str(), *price, *minimum);
            told == (refusal.code.as_str(), refusal.current_price, refusal.minimum_amount)
        }
        _ => false,
    }
}
