//! The double-entry core: accounts, two-phase transfers, and a flat list of refusals. Pure: no I/O, no
//! clock, no ids of its own making.
//!
//! Invariants (promise P-4), whatever the operations and their order:
//! - the sum of all balances is what it was before, zero for a whole ledger;
//! - an organization's account, and that of a forfeited deposit, keeps `balance >= held >= 0`;
//! - a transfer is resolved at most once, and posts no more than its amount.
//!
//! A refused operation changes nothing.

use std::collections::BTreeMap;

use kernel::Money;
use wire::{
    id::{AccountId, TransferId},
    v1::AccountKind,
};

/// One account. Positive is what the exchange owes its holder; BANK is negative by what came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// What it is for; the exchange's own money at the bank and its fees may go below zero, no other may.
    pub kind: AccountKind,
    /// The sum of posted entries.
    pub balance: Money,
    /// What pending transfers out of it bind.
    pub held: Money,
}

/// From where to where, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movement {
    /// The account that gives.
    pub debit: AccountId,
    /// The account that takes.
    pub credit: AccountId,
    /// Above zero.
    pub amount: Money,
}

/// Where a transfer stands. Only PENDING changes, and once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Binds its amount, moves nothing yet.
    Pending,
    /// Moved `posted`; the rest of its amount is free again.
    Posted,
    /// Moved nothing.
    Void,
}

/// One transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// What it was made for.
    pub movement: Movement,
    /// What it moved.
    pub posted: Money,
    /// Where it stands.
    pub state: State,
}

/// Why the core refuses, in the order in which it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The id is used already.
    TransferExists,
    /// There is no such transfer here.
    UnknownTransfer,
    /// It was posted or voided before.
    AlreadyResolved,
    /// The amount is zero or below.
    AmountNotPositive,
    /// More is to be posted than is pending.
    AmountAbovePending,
    /// Both sides are one account.
    SameAccount,
    /// There is no such account here.
    UnknownAccount,
    /// The available balance is not enough.
    InsufficientFunds {
        /// By how much.
        missing: Money,
    },
    /// The sum leaves the range of money.
    Overflow,
}

/// The accounts and transfers that one decision touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    accounts: BTreeMap<AccountId, Account>,
    transfers: BTreeMap<TransferId, Transfer>,
}

impl State {
    /// The name as stored.
    pub fn name(self) -> &'static str {
        match self {
            State::Pending => "PENDING",
            State::Posted => "POSTED",
            State::Void => "VOID",
        }
    }

    /// Reads the stored name.
    pub fn of(name: &str) -> Option<State> {
        [State::Pending, State::Posted, State::Void].into_iter().find(|state| state.name() == name)
    }
}

impl Account {
    /// What may be spent or bound.
    pub fn available(&self) -> Result<Money, Refused> {
        less(self.balance, self.held)
    }

    /// Whether it must cover what goes out of it.
    pub fn is_guarded(&self) -> bool {
        matches!(self.kind, AccountKind::Organization | AccountKind::ForfeitedDeposits)
    }

    fn require(&self, amount: Money) -> Result<(), Refused> {
        if !self.is_guarded() {
            return Ok(());
        }
        let missing = less(amount, self.available()?)?;
        if missing > Money::ZERO { Err(Refused::InsufficientFunds { missing }) } else { Ok(()) }
    }
}

impl Book {
    /// A book of these accounts and transfers.
    pub fn new(
        accounts: impl IntoIterator<Item = (AccountId, Account)>,
        transfers: impl IntoIterator<Item = (TransferId, Transfer)>,
    ) -> Book {
        Book { accounts: accounts.into_iter().collect(), transfers: transfers.into_iter().collect() }
    }

    /// The accounts in order of their ids.
    pub fn accounts(&self) -> impl Iterator<Item = (AccountId, &Account)> {
        self.accounts.iter().map(|(id, account)| (*id, account))
    }

    /// The transfers in order of their ids.
    pub fn transfers(&self) -> impl Iterator<Item = (TransferId, &Transfer)> {
        self.transfers.iter().map(|(id, transfer)| (*id, transfer))
    }

    /// One account.
    pub fn account(&self, id: AccountId) -> Result<Account, Refused> {
        self.accounts.get(&id).copied().ok_or(Refused::UnknownAccount)
    }

    /// One transfer.
    pub fn transfer(&self, id: TransferId) -> Result<Transfer, Refused> {
        self.transfers.get(&id).copied().ok_or(Refused::UnknownTransfer)
    }

    /// Moves an amount at once.
    pub fn transact(&mut self, id: TransferId, movement: Movement) -> Result<(), Refused> {
        let (debit, credit) = self.sides(id, movement)?;
        debit.require(movement.amount)?;
        let debit = Account { balance: less(debit.balance, movement.amount)?, ..debit };
        let credit = Account { balance: more(credit.balance, movement.amount)?, ..credit };
        self.accounts.extend([(movement.debit, debit), (movement.credit, credit)]);
        self.transfers.insert(id, Transfer { movement, posted: movement.amount, state: State::Posted });
        Ok(())
    }

    /// Binds an amount for a later `post` or `void`.
    pub fn hold(&mut self, id: TransferId, movement: Movement) -> Result<(), Refused> {
        let (debit, _) = self.sides(id, movement)?;
        debit.require(movement.amount)?;
        let debit = Account { held: more(debit.held, movement.amount)?, ..debit };
        self.accounts.insert(movement.debit, debit);
        self.transfers.insert(id, Transfer { movement, posted: Money::ZERO, state: State::Pending });
        Ok(())
    }

    /// Resolves a pending transfer by moving `amount` of it; the rest is free again.
    pub fn post(&mut self, id: TransferId, amount: Money) -> Result<(), Refused> {
        let Transfer { movement, .. } = self.pending(id)?;
        if amount <= Money::ZERO {
            return Err(Refused::AmountNotPositive);
        }
        if amount > movement.amount {
            return Err(Refused::AmountAbovePending);
        }
        let (debit, credit) = (self.account(movement.debit)?, self.account(movement.credit)?);
        let held = less(debit.held, movement.amount)?;
        let debit = Account { balance: less(debit.balance, amount)?, held, ..debit };
        let credit = Account { balance: more(credit.balance, amount)?, ..credit };
        self.accounts.extend([(movement.debit, debit), (movement.credit, credit)]);
        self.transfers.insert(id, Transfer { movement, posted: amount, state: State::Posted });
        Ok(())
    }

    /// Resolves a pending transfer by moving nothing.
    pub fn void(&mut self, id: TransferId) -> Result<(), Refused> {
        let Transfer { movement, .. } = self.pending(id)?;
        let debit = self.account(movement.debit)?;
        let debit = Account { held: less(debit.held, movement.amount)?, ..debit };
        self.accounts.insert(movement.debit, debit);
        self.transfers.insert(id, Transfer { movement, posted: Money::ZERO, state: State::Void });
        Ok(())
    }

    /// Resolves a pending transfer by moving nothing of it, and its whole amount elsewhere instead.
    pub fn divert(&mut self, held: TransferId, id: TransferId, credit: AccountId) -> Result<(), Refused> {
        let Transfer { movement, .. } = self.pending(held)?;
        let mut next = self.clone();
        next.void(held)?;
        next.transact(id, Movement { credit, ..movement })?;
        *self = next;
        Ok(())
    }

    fn sides(&self, id: TransferId, movement: Movement) -> Result<(Account, Account), Refused> {
        if self.transfers.contains_key(&id) {
            return Err(Refused::TransferExists);
        }
        if movement.amount <= Money::ZERO {
            return Err(Refused::AmountNotPositive);
        }
        if movement.debit == movement.credit {
            return Err(Refused::SameAccount);
        }
        Ok((self.account(movement.debit)?, self.account(movement.credit)?))
    }

    fn pending(&self, id: TransferId) -> Result<Transfer, Refused> {
        let transfer = self.transfer(id)?;
        if transfer.state == State::Pending { Ok(transfer) } else { Err(Refused::AlreadyResolved) }
    }
}

/// One account beside what its entries say, for the trial balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audited {
    /// As stored.
    pub account: Account,
    /// The sum of what was posted into it.
    pub credited: Money,
    /// The sum of what was posted out of it.
    pub debited: Money,
    /// The sum of what is pending out of it.
    pub bound: Money,
}

impl Audited {
    /// Whether the stored figures are those of the entries, and the holds are covered.
    pub fn is_sound(&self) -> bool {
        let Account { balance, held, .. } = self.account;
        let covered = !self.account.is_guarded() || balance >= held;
        less(self.credited, self.debited) == Ok(balance) && held == self.bound && held >= Money::ZERO && covered
    }
}

fn more(a: Money, b: Money) -> Result<Money, Refused> {
    a.plus(b).map_err(|_| Refused::Overflow)
}

fn less(a: Money, b: Money) -> Result<Money, Refused> {
    a.minus(b).map_err(|_| Refused::Overflow)
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
