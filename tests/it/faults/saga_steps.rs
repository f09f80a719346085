//! The steps of the way from an award to its settlement, each as its service takes it: what it reads beforehand, and what
//! its one transaction does. The rules are the services' own: the engine, the legal moves of awards and deals, the book.

use std::collections::{BTreeMap, BTreeSet};

use auction::engine::{Command, Lot};
use kernel::{Id, Money};
use ledger::book::{Account, Book, Movement};
use wire::{
    id::{AccountId, ListingId, TransferId},
    v1::{AccountKind, AuctionEventKind as Kind, AwardStatus, BiddingStatus, DealStatus, DepositStatus},
};

pub const BIDDERS: usize = 3;
const DEPOSIT: Money = Money(20);
const FEE: Money = Money(5);
const MEANS: Money = Money(500);

/// Whose account: the bidders' come first, then those of what they forfeit.
const TRANSFEROR: usize = 2 * BIDDERS;
const FEES: usize = TRANSFEROR + 1;
const BANK: usize = FEES + 1;

/// Everything that is stored, in all services. An award, its deal and its deposit go by their bidder's number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stored {
    /// Awards in the order of their making, with their first confirmer.
    pub awards: Vec<(usize, AwardStatus, Option<usize>)>,
    pub deals: BTreeMap<usize, DealStatus>,
    pub deposits: [DepositStatus; BIDDERS],
    pub settled: Vec<usize>,
    /// Events not yet known to be delivered.
    pub outbox: BTreeSet<(Event, Consumer)>,
    /// What each consumer has taken.
    pub inbox: BTreeSet<(Event, Consumer)>,
    /// Defaults that the contract service has heard of.
    pub defaults: BTreeSet<usize>,
    /// How the ledger ended each deal: settled, or in default.
    pub ends: BTreeMap<usize, bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Event {
    AwardConfirmed(usize),
    AwardDefaulted(usize, bool),
    DealSettled(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Consumer {
    Contract,
    Ledger,
}

/// What somebody asks for, or what is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    Confirm(usize, usize),
    Register(usize),
    DeclareDefault(usize),
    /// The second half of a default, once the ledger has ended the deal in it.
    PassOn(usize),
    Settle(usize),
    Deliver(Event, Consumer),
}

/// The lot, the book, and what is stored beside them.
#[derive(Clone)]
pub struct World {
    pub lot: Lot,
    pub book: Book,
    pub stored: Stored,
}

/// Ids derive from this one and a name.
fn root() -> ListingId {
    ListingId::parse("listing_01h455vb4pex5vsknk084sn02q", "id").unwrap()
}

fn account(index: usize) -> AccountId {
    AccountId::derived(root().0, &format!("account {index}"))
}

fn transfer(name: &str, index: usize) -> TransferId {
    TransferId::derived(root().0, &format!("{name} {index}"))
}

pub fn code(bidder: usize) -> String {
    format!("B0{}", bidder + 1)
}

impl World {
    /// A lot that was just sold to the best of three bidders, each with its deposit on hold.
    pub fn sold(lot: Lot) -> World {
        let kind = |index: usize| match index {
            BANK => (AccountKind::Bank, Money(-MEANS.0 * 3)),
            FEES => (AccountKind::Fees, Money::ZERO),
            _ if index < BIDDERS => (AccountKind::Organization, MEANS),
            TRANSFEROR => (AccountKind::Organization, Money::ZERO),
            _ => (AccountKind::ForfeitedDeposits, Money::ZERO),
        };
        let accounts = (0..=BANK).map(|index| {
            let (kind, balance) = kind(index);
            (account(index), Account { kind, balance, held: Money::ZERO })
        });
        let mut book = Book::new(accounts, []);
        for bidder in 0..BIDDERS {
            let movement = Movement { debit: account(bidder), credit: account(TRANSFEROR), amount: DEPOSIT };
            book.hold(transfer("hold", bidder), movement).unwrap();
        }
        let stored = Stored {
            awards: vec![(leader(&lot), AwardStatus::Proposed, None)],
            deals: BTreeMap::new(),
            deposits: [DepositStatus::Held; BIDDERS],
            settled: Vec::new(),
            outbox: BTreeSet::new(),
            inbox: BTreeSet::new(),
            defaults: BTreeSet::new(),
            ends: BTreeMap::new(),
        };
        World { lot, book, stored }
    }

    /// What the step's caller, or its service before the transaction, sees: whether the step is worth trying.
    pub fn may(&self, step: Step) -> bool {
        let stored = &self.stored;
        match step {
            Step::Confirm(bidder, person) => stored.award(bidder).is_some_and(|(_, status, first)| {
                status != AwardStatus::Confirmed && status != AwardStatus::Defaulted && first != Some(person)
            }),
            Step::Register(bidder) => stored.deals.get(&bidder) == Some(&DealStatus::Drafted),
            Step::DeclareDefault(bidder) => {
                let confirmed = stored
                    .award(bidder)
                    .is_some_and(|award| auction::next_of_award(award.1).contains(&AwardStatus::Defaulted));
                confirmed && stored.ends.get(&bidder) != Some(&true)
            }
            Step::PassOn(bidder) => stored.ends.get(&bidder) == Some(&false),
            Step::Settle(bidder) => stored.deals.get(&bidder) == Some(&DealStatus::Registered),
            Step::Deliver(event, consumer) => {
                stored.outbox.contains(&(event, consumer)) && (self.takes(event, consumer))
            }
        }
    }

    /// Whether a consumer can take an event yet; otherwise it comes again.
    fn takes(&self, event: Event, consumer: Consumer) -> bool {
        let deals = &self.stored.deals;
        match (event, consumer) {
            (Event::AwardConfirmed(bidder), Consumer::Contract) => {
                let other = |deal: (&usize, &DealStatus)| *deal.0 != bidder && *deal.1 != DealStatus::Cancelled;
                !deals.iter().any(other) || self.stored.defaults.contains(&bidder)
            }
            (Event::DealSettled(bidder), Consumer::Contract) => {
                deals.get(&bidder).is_some_and(|status| *status != DealStatus::Drafted)
            }
            _ => true,
        }
    }

    /// The step's one transaction. It finds under its locks what may have changed since it was begun.
    pub fn commit(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Confirm(bidder, person) => self.confirm(bidder, person),
            Step::Register(bidder) => {
                if self.may(step) {
                    self.stored.deals.insert(bidder, DealStatus::Registered);
                }
            }
            Step::DeclareDefault(bidder) => {
                self.stored.ends.entry(bidder).or_insert(false);
            }
            Step::PassOn(bidder) => return self.pass_on(bidder),
            Step::Settle(bidder) => return self.settle(bidder),
            Step::Deliver(event, consumer) => {
                if self.takes(event, consumer) && self.stored.inbox.insert((event, consumer)) {
                    return self.receive(event, consumer);
                }
            }
        }
        Ok(())
    }

    fn confirm(&mut self, bidder: usize, person: usize) {
        if !self.may(Step::Confirm(bidder, person)) {
            return;
        }
        let Some(award) = self.stored.awards.iter_mut().find(|award| award.0 == bidder) else { return };
        let Some(next) = auction::next_of_award(award.1).first() else { return };
        (award.1, award.2) = (*next, award.2.or(Some(person)));
        if award.1 == AwardStatus::Confirmed {
            self.stored.outbox.insert((Event::AwardConfirmed(bidder), Consumer::Contract));
        }
    }

    /// The lot's writer decides on the lot as the fence finds it.
    fn pass_on(&mut self, bidder: usize) -> Result<(), String> {
        let now = self.lot.state.last_at;
        let taken = self.lot.take(&Command::PassOn { code: code(bidder) }, now);
        let Some(event) = taken.events.first() else { return Ok(()) };
        let award = self.stored.awards.iter_mut().find(|award| award.0 == bidder).ok_or("no award")?;
        if award.1 == AwardStatus::Defaulted {
            return Err("the lot passed on twice from one award".into());
        }
        award.1 = AwardStatus::Defaulted;
        let passed_on = event.kind() == Kind::PassedOn;
        if passed_on {
            self.stored.awards.push((leader(&self.lot), AwardStatus::Proposed, None));
        }
        let news = Event::AwardDefaulted(bidder, passed_on);
        self.stored.outbox.extend([(news, Consumer::Contract), (news, Consumer::Ledger)]);
        Ok(())
    }

    fn settle(&mut self, bidder: usize) -> Result<(), String> {
        let forfeited = self.stored.deposits[bidder] == DepositStatus::Forfeited;
        if !self.stored.settled.is_empty() || forfeited || !*self.stored.ends.entry(bidder).or_insert(true) {
            return Ok(());
        }
        let standing = self.lot.state.bidders.get(&code(bidder)).and_then(|bidder| bidder.standing.as_ref());
        let price = standing.ok_or("no bid")?.amount;
        let mut applied = Money::ZERO;
        for (other, status) in self.stored.deposits.iter_mut().enumerate() {
            if *status != DepositStatus::Held || self.stored.ends.get(&other) == Some(&false) {
                continue;
            }
            let resolved = match other == bidder {
                true => self.book.post(transfer("hold", other), DEPOSIT),
                false => self.book.void(transfer("hold", other)),
            };
            resolved.map_err(|refused| format!("settling {bidder}: {refused:?}"))?;
            *status = if other == bidder { DepositStatus::Applied } else { DepositStatus::Released };
            applied = if other == bidder { DEPOSIT } else { applied };
        }
        let rest = Movement { debit: account(bidder), credit: account(TRANSFEROR), amount: Money(price.0 - applied.0) };
        let fee = Movement { debit: account(TRANSFEROR), credit: account(FEES), amount: FEE };
        for (name, movement) in [("price", rest), ("fee", fee)] {
            self.book.transact(transfer(name, bidder), movement).map_err(|refused| format!("{name}: {refused:?}"))?;
        }
        self.stored.settled.push(bidder);
        self.stored.outbox.insert((Event::DealSettled(bidder), Consumer::Contract));
        Ok(())
    }

    fn receive(&mut self, event: Event, consumer: Consumer) -> Result<(), String> {
        let stored = &mut self.stored;
        match (event, consumer) {
            (Event::AwardConfirmed(bidder), _) => {
                if !stored.defaults.contains(&bidder) {
                    stored.deals.entry(bidder).or_insert(DealStatus::Drafted);
                }
            }
            (Event::AwardDefaulted(bidder, _), Consumer::Contract) => {
                stored.defaults.insert(bidder);
                let Some(deal) = stored.deals.get_mut(&bidder) else { return Ok(()) };
                match contract::next_of_deal(*deal).contains(&DealStatus::Cancelled) {
                    true => *deal = DealStatus::Cancelled,
                    false => return Err("a default of a deal that was settled".into()),
                }
            }
            (Event::AwardDefaulted(bidder, passed_on), Consumer::Ledger) => return self.forfeit(bidder, passed_on),
            (Event::DealSettled(bidder), _) => {
                let deal = stored.deals.get_mut(&bidder).ok_or("a settled deal is not there")?;
                match contract::next_of_deal(*deal).contains(&DealStatus::Settled) {
                    true => *deal = DealStatus::Settled,
                    false => return Err("a settlement of a deal that was cancelled".into()),
                }
            }
        }
        Ok(())
    }

    fn forfeit(&mut self, bidder: usize, passed_on: bool) -> Result<(), String> {
        let stored = &mut self.stored;
        match stored.deposits[bidder] {
            DepositStatus::Held => {
                let into = account(BIDDERS + bidder);
                let diverted = self.book.divert(transfer("hold", bidder), transfer("forfeit", bidder), into);
                diverted.map_err(|refused| format!("forfeiting {bidder}: {refused:?}"))?;
                stored.deposits[bidder] = DepositStatus::Forfeited;
            }
            DepositStatus::Forfeited => return Err("forfeited twice".into()),
            _ => return Err("a default finds no deposit on hold".into()),
        }
        for (other, status) in stored.deposits.iter_mut().enumerate() {
            let in_default = stored.ends.get(&other) == Some(&false);
            if !passed_on && *status == DepositStatus::Held && !in_default {
                self.book.void(transfer("hold", other)).map_err(|refused| format!("releasing {other}: {refused:?}"))?;
                *status = DepositStatus::Released;
            }
        }
        Ok(())
    }

    /// What must hold at every instant, whatever was begun.
    pub fn check(&self) -> Result<(), String> {
        let stored = &self.stored;
        let standing = stored.awards.iter().filter(|award| award.1 != AwardStatus::Defaulted).count();
        let unsold = self.lot.status() == BiddingStatus::Unsold;
        if standing != usize::from(!unsold) {
            return Err(format!("{standing} awards stand"));
        }
        if stored.settled.len() > 1 {
            return Err("settled twice".into());
        }
        let sum: i64 = self.book.accounts().map(|(_, account)| account.balance.0).sum();
        let sound = |account: &Account| {
            !account.is_guarded() || (account.balance >= account.held && account.held >= Money::ZERO)
        };
        if sum != 0 || !self.book.accounts().all(|(_, account)| sound(account)) {
            return Err(format!("money is not conserved: {sum}"));
        }
        Ok(())
    }

    /// What must hold when nothing is left to do.
    pub fn check_end(&self) -> Result<(), String> {
        let stored = &self.stored;
        if stored.deposits.contains(&DepositStatus::Held) {
            return Err(format!("a deposit is still on hold: {stored:?}"));
        }
        let defaulted = |bidder: &usize| stored.award(*bidder).is_some_and(|award| award.1 == AwardStatus::Defaulted);
        match stored.settled.first() {
            Some(bidder) if defaulted(bidder) => Err("a defaulter paid".into()),
            Some(_) => Ok(()),
            None if self.lot.status() == BiddingStatus::Unsold => Ok(()),
            None => Err(format!("neither settled nor unsold: {stored:?}")),
        }
    }
}

impl Stored {
    pub fn award(&self, bidder: usize) -> Option<(usize, AwardStatus, Option<usize>)> {
        self.awards.iter().find(|award| award.0 == bidder).copied()
    }
}

fn leader(lot: &Lot) -> usize {
    let lead = lot.state.lead.as_ref().unwrap();
    (0..BIDDERS).find(|bidder| code(*bidder) == lead.code).unwrap()
}
