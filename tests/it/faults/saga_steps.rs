//! The steps of the way from an award to its settlement, each as its service takes it: what it reads beforehand, and what
//! its one transaction does. The rules are the services' own: the engine, the legal moves of awards and deals, the book.

use std::rc::Rc;

use auction::engine::{Command, Lot};
use kernel::{Id, Money};
use ledger::rules::book::{Account, Book, Movement};
use wire::{
    id::{AccountId, ListingId, TransferId},
    v1::{AccountKind, AuctionEventKind as Kind, AwardStatus, BiddingStatus, DealStatus, DepositStatus},
};

use super::saga_stored::{BIDDERS, Broken, Consumer, Event, Few, NEWS, Step, Stored, news};

const DEPOSIT: Money = Money(20);
const FEE: Money = Money(5);
const MEANS: Money = Money(500);

/// Whose account: the bidders' come first, then those of what they forfeit.
const TRANSFEROR: usize = 2 * BIDDERS;
const FEES: usize = TRANSFEROR + 1;
const BANK: usize = FEES + 1;

/// The lot, the book, and what is stored beside them.
#[derive(Clone)]
pub struct World {
    pub lot: Rc<Lot>,
    book: Rc<Book>,
    pub stored: Stored,
    pub broken: Option<Broken>,
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
    pub fn sold(lot: Lot, broken: Option<Broken>) -> World {
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
        let mut stored = Stored {
            awards: [None; BIDDERS],
            deals: [None; BIDDERS],
            deposits: [DepositStatus::Held; BIDDERS],
            settled: [0; BIDDERS],
            outbox: Few::default(),
            inbox: Few::default(),
            defaults: Few::default(),
            ends: [None; BIDDERS],
        };
        stored.awards[leader(&lot)] = Some((AwardStatus::Proposed, None));
        World { lot: Rc::new(lot), book: Rc::new(book), stored, broken }
    }

    /// What the step's caller, or its service before the transaction, sees: whether the step is worth trying.
    pub fn may(&self, step: Step) -> bool {
        let stored = &self.stored;
        match step {
            Step::Confirm(bidder, person) => stored.awards[bidder].is_some_and(|(status, first)| {
                status != AwardStatus::Confirmed && status != AwardStatus::Defaulted && first != Some(person)
            }),
            Step::Register(bidder) => stored.deals[bidder] == Some(DealStatus::Drafted),
            Step::DeclareDefault(bidder) => {
                let may_default =
                    |award: (AwardStatus, _)| auction::next_of_award(award.0).contains(&AwardStatus::Defaulted);
                stored.awards[bidder].is_some_and(may_default) && stored.ends[bidder] != Some(true)
            }
            Step::PassOn(bidder) => stored.ends[bidder] == Some(false) || self.broken == Some(Broken::PassesOnEarly),
            Step::Settle(bidder) => stored.deals[bidder] == Some(DealStatus::Registered),
            Step::Deliver(number) => stored.outbox.has(number) && self.takes(number),
        }
    }

    /// Whether a consumer can take news yet; otherwise they come again.
    fn takes(&self, number: usize) -> bool {
        let deals = &self.stored.deals;
        match news(number) {
            (Event::AwardConfirmed(bidder), Consumer::Contract) => {
                let stands = |deal: &Option<DealStatus>| deal.is_some_and(|deal| deal != DealStatus::Cancelled);
                let others = (0..BIDDERS).filter(|other| *other != bidder && stands(&deals[*other])).count();
                others == 0 || self.stored.defaults.has(bidder)
            }
            (Event::DealSettled(bidder), Consumer::Contract) => {
                deals[bidder].is_some_and(|status| status != DealStatus::Drafted)
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
                    self.stored.deals[bidder] = Some(DealStatus::Registered);
                }
            }
            Step::DeclareDefault(_) if self.broken == Some(Broken::PassesOnEarly) => {}
            Step::DeclareDefault(bidder) => {
                self.stored.ends[bidder].get_or_insert(false);
            }
            Step::PassOn(bidder) => return self.pass_on(bidder),
            Step::Settle(bidder) => return self.settle(bidder),
            Step::Deliver(number) => {
                let twice = self.broken == Some(Broken::TakesTwice);
                if self.takes(number) && (self.stored.inbox.put(number) || twice) {
                    return self.receive(news(number));
                }
            }
        }
        Ok(())
    }

    /// An event is stored for all its consumers.
    fn announce(&mut self, event: Event) {
        for number in (0..NEWS).filter(|number| news(*number).0 == event) {
            self.stored.outbox.put(number);
        }
    }

    fn confirm(&mut self, bidder: usize, person: usize) {
        if !self.may(Step::Confirm(bidder, person)) {
            return;
        }
        let Some((status, first)) = self.stored.awards[bidder] else { return };
        let Some(next) = auction::next_of_award(status).first() else { return };
        self.stored.awards[bidder] = Some((*next, first.or(Some(person))));
        if *next == AwardStatus::Confirmed {
            self.announce(Event::AwardConfirmed(bidder));
        }
    }

    /// The lot's writer decides on the lot as the fence finds it.
    fn pass_on(&mut self, bidder: usize) -> Result<(), String> {
        let mut lot = Lot::clone(&self.lot);
        let taken = lot.take(&Command::PassOn { code: code(bidder) }, lot.state.last_at);
        let Some(event) = taken.events.first() else { return Ok(()) };
        let award = self.stored.awards[bidder].as_mut().ok_or("no award")?;
        if award.0 == AwardStatus::Defaulted {
            return Err("the lot passed on twice from one award".into());
        }
        award.0 = AwardStatus::Defaulted;
        let passed_on = event.kind() == Kind::PassedOn;
        if passed_on {
            self.stored.awards[leader(&lot)] = Some((AwardStatus::Proposed, None));
        }
        self.lot = Rc::new(lot);
        self.announce(Event::AwardDefaulted(bidder, passed_on));
        Ok(())
    }

    /// Whether the ledger finds, under its locks, that nothing is left to settle.
    fn ended(&mut self, bidder: usize) -> bool {
        let stored = &mut self.stored;
        let forfeited = stored.deposits[bidder] == DepositStatus::Forfeited;
        let sold = stored.settled != [0; BIDDERS];
        sold || forfeited || !*stored.ends[bidder].get_or_insert(true)
    }

    fn settle(&mut self, bidder: usize) -> Result<(), String> {
        if self.ended(bidder) && self.broken != Some(Broken::SettlesTwice) {
            return Ok(());
        }
        let standing = self.lot.state.bidders.get(&code(bidder)).and_then(|bidder| bidder.standing.as_ref());
        let price = standing.ok_or("no bid")?.amount;
        let (book, stored) = (Rc::make_mut(&mut self.book), &mut self.stored);
        let mut applied = Money::ZERO;
        for (other, status) in stored.deposits.iter_mut().enumerate() {
            let in_default = stored.ends[other] == Some(false) && self.broken != Some(Broken::FreesDefaulters);
            if *status != DepositStatus::Held || in_default {
                continue;
            }
            let resolved = match other == bidder {
                true => book.post(transfer("hold", other), DEPOSIT),
                false => book.void(transfer("hold", other)),
            };
            resolved.map_err(|refused| format!("settling {bidder}: {refused:?}"))?;
            *status = if other == bidder { DepositStatus::Applied } else { DepositStatus::Released };
            applied = if other == bidder { DEPOSIT } else { applied };
        }
        let rest = Movement { debit: account(bidder), credit: account(TRANSFEROR), amount: Money(price.0 - applied.0) };
        let fee = Movement { debit: account(TRANSFEROR), credit: account(FEES), amount: FEE };
        for (name, movement) in [("price", rest), ("fee", fee)] {
            book.transact(transfer(name, bidder), movement).map_err(|refused| format!("{name}: {refused:?}"))?;
        }
        stored.settled[bidder] += 1;
        self.announce(Event::DealSettled(bidder));
        Ok(())
    }

    fn receive(&mut self, (event, consumer): (Event, Consumer)) -> Result<(), String> {
        let stored = &mut self.stored;
        match (event, consumer) {
            (Event::AwardConfirmed(bidder), _) => {
                if !stored.defaults.has(bidder) {
                    stored.deals[bidder].get_or_insert(DealStatus::Drafted);
                }
            }
            (Event::AwardDefaulted(bidder, _), Consumer::Contract) => {
                stored.defaults.put(bidder);
                let Some(deal) = stored.deals[bidder].as_mut() else { return Ok(()) };
                match contract::next_of_deal(*deal).contains(&DealStatus::Cancelled) {
                    true => *deal = DealStatus::Cancelled,
                    false => return Err("a default of a deal that was settled".into()),
                }
            }
            (Event::AwardDefaulted(bidder, passed_on), Consumer::Ledger) => return self.forfeit(bidder, passed_on),
            (Event::DealSettled(bidder), _) => {
                let deal = stored.deals[bidder].as_mut().ok_or("a settled deal is not there")?;
                match contract::next_of_deal(*deal).contains(&DealStatus::Settled) {
                    true => *deal = DealStatus::Settled,
                    false => return Err("a settlement of a deal that was cancelled".into()),
                }
            }
        }
        Ok(())
    }

    fn forfeit(&mut self, bidder: usize, passed_on: bool) -> Result<(), String> {
        let (book, stored) = (Rc::make_mut(&mut self.book), &mut self.stored);
        match stored.deposits[bidder] {
            DepositStatus::Held => {
                let into = account(BIDDERS + bidder);
                let diverted = book.divert(transfer("hold", bidder), transfer("forfeit", bidder), into);
                diverted.map_err(|refused| format!("forfeiting {bidder}: {refused:?}"))?;
                stored.deposits[bidder] = DepositStatus::Forfeited;
            }
            DepositStatus::Forfeited => return Err("forfeited twice".into()),
            _ => return Err("a default finds no deposit on hold".into()),
        }
        for (other, status) in stored.deposits.iter_mut().enumerate() {
            let in_default = stored.ends[other] == Some(false);
            if !passed_on && *status == DepositStatus::Held && !in_default {
                book.void(transfer("hold", other)).map_err(|refused| format!("releasing {other}: {refused:?}"))?;
                *status = DepositStatus::Released;
            }
        }
        Ok(())
    }

    /// What must hold at every instant, whatever was begun.
    pub fn check(&self) -> Result<(), String> {
        let stored = &self.stored;
        let standing = stored.awards.iter().flatten().filter(|award| award.0 != AwardStatus::Defaulted).count();
        let unsold = self.lot.status() == BiddingStatus::Unsold;
        if standing != usize::from(!unsold) {
            return Err(format!("{standing} awards stand"));
        }
        if stored.settled.iter().sum::<i32>() > 1 {
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
        let defaulted = |bidder: usize| stored.awards[bidder].is_some_and(|award| award.0 == AwardStatus::Defaulted);
        match stored.settled.iter().position(|times| *times > 0) {
            Some(bidder) if defaulted(bidder) => Err("a defaulter paid".into()),
            Some(_) => Ok(()),
            None if self.lot.status() == BiddingStatus::Unsold => Ok(()),
            None => Err(format!("neither settled nor unsold: {stored:?}")),
        }
    }
}

fn leader(lot: &Lot) -> usize {
    let lead = lot.state.lead.as_ref().unwrap();
    (0..BIDDERS).find(|bidder| code(*bidder) == lead.code).unwrap()
}
