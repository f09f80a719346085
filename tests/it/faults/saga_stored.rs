//! What is stored on the way from an award to its settlement, the steps that change it, and all of it in one number.

use wire::v1::{AwardStatus, DealStatus, DepositStatus};

pub const BIDDERS: usize = 3;

/// How a transaction can be wrong. Each of these must be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A settlement trusts what was read before its transaction.
    SettlesTwice,
    /// A consumer does not look into its inbox.
    TakesTwice,
    /// The lot passes on before the ledger has ended the deal.
    PassesOnEarly,
    /// A settlement gives back the deposits of defaulters with all others.
    FreesDefaulters,
    /// A delivery is acknowledged before its transaction.
    AcknowledgesFirst,
}

/// Everything that is stored, in all services. An award, its deal and its deposit go by their bidder's number.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    /// Each with its first confirmer.
    pub awards: [Option<(AwardStatus, Option<usize>)>; BIDDERS],
    pub deals: [Option<DealStatus>; BIDDERS],
    pub deposits: [DepositStatus; BIDDERS],
    /// How often each was settled.
    pub settled: [i32; BIDDERS],
    /// News not yet known to be delivered.
    pub outbox: Few,
    /// What consumers have taken.
    pub inbox: Few,
    /// Defaults that the contract service has heard of.
    pub defaults: Few,
    /// How the ledger ended each deal: settled, or in default.
    pub ends: [Option<bool>; BIDDERS],
}

/// A set of small numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Few(pub i32);

impl Few {
    pub fn has(self, number: usize) -> bool {
        self.0 & (1 << number) != 0
    }

    /// Whether it was not there.
    pub fn put(&mut self, number: usize) -> bool {
        let new = !self.has(number);
        self.0 |= 1 << number;
        new
    }

    pub fn take(&mut self, number: usize) {
        self.0 &= !(1 << number);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    AwardConfirmed(usize),
    /// And whether the lot passed on.
    AwardDefaulted(usize, bool),
    DealSettled(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consumer {
    Contract,
    Ledger,
}

/// How many pieces of news there can be: an event on its way to one consumer each.
pub const NEWS: usize = 6 * BIDDERS;

/// One of them.
pub fn news(number: usize) -> (Event, Consumer) {
    let bidder = number / 6;
    match number % 6 {
        0 => (Event::AwardConfirmed(bidder), Consumer::Contract),
        1 => (Event::DealSettled(bidder), Consumer::Contract),
        2 => (Event::AwardDefaulted(bidder, false), Consumer::Contract),
        3 => (Event::AwardDefaulted(bidder, false), Consumer::Ledger),
        4 => (Event::AwardDefaulted(bidder, true), Consumer::Contract),
        _ => (Event::AwardDefaulted(bidder, true), Consumer::Ledger),
    }
}

/// What somebody asks for, or what is delivered: news by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Confirm(usize, usize),
    Register(usize),
    DeclareDefault(usize),
    /// The second half of a default, once the ledger has ended the deal in it.
    PassOn(usize),
    Settle(usize),
    Deliver(usize),
}

/// A state in one number: all of it, so that no two are taken for one.
#[derive(Default)]
pub struct Packed(pub u128);

impl Packed {
    pub fn put(&mut self, value: impl TryInto<u128>, bits: u32) {
        let Some(value) = value.try_into().ok().filter(|value| *value < 1 << bits) else {
            panic!("not in {bits} bits")
        };
        self.0 = (self.0 << bits) | value;
    }

    fn put_status(&mut self, status: Option<impl Into<i32>>) {
        self.put(status.map_or(0, |status| status.into() + 1), 4);
    }
}

impl Stored {
    pub fn pack(&self, packed: &mut Packed) {
        for bidder in 0..BIDDERS {
            let award = self.awards[bidder];
            packed.put_status(award.map(|award| award.0));
            packed.put(award.and_then(|award| award.1).map_or(0, |person| person + 1), 2);
            packed.put_status(self.deals[bidder]);
            packed.put_status(Some(self.deposits[bidder]));
            packed.put(self.settled[bidder], 2);
            packed.put(self.ends[bidder].map_or(0, |settled| i32::from(settled) + 1), 2);
        }
        packed.put(self.defaults.0, 3);
        packed.put(self.outbox.0, 18);
        packed.put(self.inbox.0, 18);
    }
}

impl Step {
    /// Its number among those that a worker takes its time over; from 0 on.
    pub fn number(self) -> usize {
        match self {
            Step::Deliver(number) => number,
            Step::DeclareDefault(bidder) => NEWS + bidder,
            Step::PassOn(bidder) => NEWS + BIDDERS + bidder,
            Step::Settle(bidder) => NEWS + 2 * BIDDERS + bidder,
            Step::Confirm(..) | Step::Register(_) => panic!("{self:?} is done at once"),
        }
    }
}
