//! The one way in which balances change: lock, decide with the core, save.

use std::collections::BTreeMap;

use kernel::{Error, Instant, Money, Result, Transaction};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};
use wire::id::{AccountId, TransferId};

use super::{
    tables::{account, transfer},
    write::{any_conflict, once},
};
use crate::rules::{
    book::{Account, Book, Movement, State, Transfer},
    holder::Holder,
};

/// What a transfer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Money came in at the bank.
    BankReceipt,
    /// A bidder's deposit.
    Deposit,
    /// What the deposit does not cover of a price.
    Price,
    /// The transferor's fee.
    Fee,
    /// A deposit lost by default.
    Forfeit,
    /// What the exchange keeps of it for costs.
    ForfeitCosts,
    /// What of it makes up for the lower resale price.
    ForfeitGap,
    /// What of the remainder pays another debt.
    ForfeitDebt,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Purpose::BankReceipt => "BANK_RECEIPT",
            Purpose::Deposit => "DEPOSIT",
            Purpose::Price => "PRICE",
            Purpose::Fee => "FEE",
            Purpose::Forfeit => "FORFEIT",
            Purpose::ForfeitCosts => "FORFEIT_COSTS",
            Purpose::ForfeitGap => "FORFEIT_GAP",
            Purpose::ForfeitDebt => "FORFEIT_DEBT",
        }
    }
}

/// The locked part of the ledger that one use case decides on.
pub struct OpenBook {
    /// To be changed by the core only.
    pub book: Book,
    before: Book,
    labels: BTreeMap<TransferId, (Purpose, String)>,
}

/// Locks these holders' accounts in order of their ids, so that no two use cases wait for each other, and
/// reads these transfers. An account is made on first need.
pub async fn open(tx: &Transaction, holders: &[Holder], transfers: &[TransferId]) -> Result<OpenBook> {
    let holders: BTreeMap<AccountId, Holder> = holders.iter().map(|holder| (holder.account_id(), *holder)).collect();
    make_missing(tx, &holders).await?;
    let accounts = account::Entity::find()
        .filter(account::Column::Id.is_in(holders.keys().copied()))
        .order_by_asc(account::Column::Id)
        .lock_exclusive()
        .all(tx)
        .await?;
    // Read after the lock: on PostgreSQL each statement sees what was committed before it.
    let rows = transfer::Entity::find().filter(transfer::Column::Id.is_in(transfers.iter().copied())).all(tx).await?;
    let transfers: Result<Vec<_>> = rows.into_iter().map(|row| Ok((row.id, read_transfer(row)?))).collect();
    let before = Book::new(accounts.into_iter().map(|row| (row.id, read_account(&row))), transfers?);
    Ok(OpenBook { book: before.clone(), before, labels: BTreeMap::new() })
}

/// Without a lock, and in order of the ids as well: whoever waits here for another's insert holds nothing
/// that the other still needs.
async fn make_missing(tx: &Transaction, holders: &BTreeMap<AccountId, Holder>) -> Result<()> {
    let ids = account::Entity::find()
        .select_only()
        .column(account::Column::Id)
        .filter(account::Column::Id.is_in(holders.keys().copied()))
        .into_tuple::<AccountId>()
        .all(tx)
        .await?;
    for (id, holder) in holders.iter().filter(|(id, _)| !ids.contains(id)) {
        let row = account::ActiveModel {
            id: Set(*id),
            kind: Set(holder.kind()),
            organization_id: Set(holder.organization()),
            balance: Set(Money::ZERO),
            held: Set(Money::ZERO),
        };
        account::Entity::insert(row).on_conflict(any_conflict()).exec_without_returning(tx).await?;
    }
    Ok(())
}

fn read_account(row: &account::Model) -> Account {
    Account { kind: row.kind, balance: row.balance, held: row.held }
}

fn read_transfer(row: transfer::Model) -> Result<Transfer> {
    let state = State::of(&row.state).ok_or_else(|| Error::Internal(format!("{} is {:?}", row.id, row.state)))?;
    let movement = Movement { debit: row.debit_id, credit: row.credit_id, amount: row.amount };
    Ok(Transfer { movement, posted: row.posted_amount, state })
}

impl OpenBook {
    /// Says what a new transfer is for, and of which object.
    pub fn label(&mut self, id: TransferId, purpose: Purpose, reference: String) {
        self.labels.insert(id, (purpose, reference));
    }

    /// Writes what the core changed. Each update names what was read: a row that changed in between, which
    /// the lock rules out, fails the whole transaction instead of losing an entry.
    pub async fn save(self, tx: &Transaction, now: Instant) -> Result<()> {
        for (id, new) in self.book.accounts() {
            let old = self.before.account(id)?;
            if old != *new {
                let update = account::Entity::update_many()
                    .col_expr(account::Column::Balance, Expr::value(new.balance))
                    .col_expr(account::Column::Held, Expr::value(new.held))
                    .filter(account::Column::Id.eq(id))
                    .filter(account::Column::Balance.eq(old.balance))
                    .filter(account::Column::Held.eq(old.held));
                once(update.exec(tx).await?.rows_affected, id)?;
            }
        }
        for (id, new) in self.book.transfers() {
            match self.before.transfer(id) {
                Ok(old) if old == *new => {}
                Ok(_) => resolve(tx, id, new, now).await?,
                Err(_) => self.add(tx, id, new, now).await?,
            }
        }
        Ok(())
    }

    async fn add(&self, tx: &Transaction, id: TransferId, new: &Transfer, now: Instant) -> Result<()> {
        let label = self.labels.get(&id).ok_or_else(|| Error::Internal(format!("{id} has no label")))?;
        let row = transfer::ActiveModel {
            id: Set(id),
            debit_id: Set(new.movement.debit),
            credit_id: Set(new.movement.credit),
            amount: Set(new.movement.amount),
            posted_amount: Set(new.posted),
            state: Set(new.state.name().into()),
            purpose: Set(label.0.name().into()),
            reference: Set(label.1.clone()),
            at: Set(now),
            resolved_at: Set((new.state != State::Pending).then_some(now)),
        };
        once(transfer::Entity::insert(row).on_conflict(any_conflict()).exec_without_returning(tx).await?, id)
    }
}

async fn resolve(tx: &Transaction, id: TransferId, new: &Transfer, now: Instant) -> Result<()> {
    let update = transfer::Entity::update_many()
        .col_expr(transfer::Column::State, Expr::value(new.state.name()))
        .col_expr(transfer::Column::PostedAmount, Expr::value(new.posted))
        .col_expr(transfer::Column::ResolvedAt, Expr::value(now))
        .filter(transfer::Column::Id.eq(id))
        .filter(transfer::Column::State.eq(State::Pending.name()));
    once(update.exec(tx).await?.rows_affected, id)
}
