//! Named queries of the ledger, and the one way in which balances change: lock, decide with the core, save.

pub mod deal_end;
pub mod forfeiture;
#[cfg(test)]
pub mod fresh;
mod tables;
mod trial;

use std::collections::BTreeMap;

use kernel::{Error, Id, Instant, Money, Result, Transaction};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use wire::{
    id::{AccountId, BankReceiptId, DepositId, ListingId, OrganizationId, TransferApplicationId, TransferId},
    v1::{self, DepositStatus},
};

use self::tables::{account, bank_receipt, closed_listing, deposit, settlement, transfer};
use crate::{
    account::Holder,
    book::{Account, Book, Movement, State, Transfer},
    deposit::Due,
    receipt::Arrival,
    settlement::{Agreed, Sums},
};

pub use trial::{audited, transfer_count};

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

/// No target: with one, PostgreSQL may still raise a race on another unique column.
fn any_conflict() -> OnConflict {
    OnConflict::new().do_nothing().to_owned()
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

fn once(rows: u64, id: impl std::fmt::Display) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(Error::Unavailable(format!("{id} changed while it was decided on"))) }
}

/// Stores a receipt; nothing if the bank's number is known.
pub async fn add_receipt(
    tx: &Transaction,
    id: BankReceiptId,
    arrival: &Arrival,
    now: Instant,
    cashier: &str,
) -> Result<Option<v1::BankReceipt>> {
    let row = bank_receipt::ActiveModel {
        id: Set(id),
        organization_id: Set(arrival.organization),
        amount: Set(arrival.amount),
        bank_reference: Set(arrival.bank_reference.clone()),
        received_at: Set(arrival.received_at),
        recorded_at: Set(now),
        cashier_id: Set(cashier.into()),
    };
    let added = bank_receipt::Entity::insert(row).on_conflict(any_conflict()).exec_without_returning(tx).await?;
    if added == 0 {
        // Read, so that it is held against the log: nobody is refused for a receipt that the exchange did not write.
        let same = bank_receipt::Column::BankReference.eq(arrival.bank_reference.as_str());
        bank_receipt::Entity::find().filter(same).one(tx).await?;
    }
    Ok((added == 1).then(|| v1::BankReceipt {
        id: id.text(),
        organization_id: arrival.organization.text(),
        amount: Some(arrival.amount),
        bank_reference: arrival.bank_reference.clone(),
        received_at: Some(arrival.received_at),
        recorded_at: Some(now),
    }))
}

/// The application's deposit, whatever became of it.
pub async fn deposit(tx: &Transaction, application: TransferApplicationId) -> Result<Option<deposit::Model>> {
    let same = deposit::Entity::find().filter(deposit::Column::TransferApplicationId.eq(application));
    Ok(same.one(tx).await?)
}

/// Stores a deposit on hold; nothing if the application has one.
pub async fn add_deposit(tx: &Transaction, due: &Due, now: Instant) -> Result<Option<v1::Deposit>> {
    let row = deposit::ActiveModel {
        id: Set(due.deposit_id()),
        transfer_application_id: Set(due.application),
        listing_id: Set(due.listing),
        organization_id: Set(due.bidder),
        transfer_id: Set(due.transfer_id()),
        amount: Set(due.amount),
        status: Set(DepositStatus::Held),
        open_licence: Set(due.open_licence),
        held_at: Set(now),
    };
    let added = deposit::Entity::insert(row).on_conflict(any_conflict()).exec_without_returning(tx).await?;
    Ok((added == 1).then(|| v1::Deposit {
        id: due.deposit_id().text(),
        transfer_application_id: due.application.text(),
        listing_id: due.listing.text(),
        organization_id: due.bidder.text(),
        amount: Some(due.amount),
        status: DepositStatus::Held.into(),
        held_at: Some(now),
    }))
}

/// A deposit that waits for its resolution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldDeposit {
    pub id: DepositId,
    pub application: TransferApplicationId,
    pub organization: OrganizationId,
    pub transfer: TransferId,
    pub amount: Money,
    /// Its bidder has defaulted: it waits for its forfeiture, and goes back with nobody else's.
    pub in_default: bool,
}

/// The listing's deposits on hold, in order of their ids.
pub async fn held_deposits(tx: &Transaction, listing: ListingId) -> Result<Vec<HeldDeposit>> {
    let rows = deposit::Entity::find()
        .filter(deposit::Column::ListingId.eq(listing))
        .filter(deposit::Column::Status.eq(DepositStatus::Held))
        .order_by_asc(deposit::Column::Id)
        .all(tx)
        .await?;
    let lost = deal_end::in_default(tx, rows.iter().map(|row| row.transfer_application_id).collect()).await?;
    let held = |row: deposit::Model| HeldDeposit {
        in_default: lost.contains(&row.transfer_application_id),
        id: row.id,
        application: row.transfer_application_id,
        organization: row.organization_id,
        transfer: row.transfer_id,
        amount: row.amount,
    };
    Ok(rows.into_iter().map(held).collect())
}

/// The organization's deposits on hold, whatever for.
pub async fn holds(db: &impl ConnectionTrait, organization: OrganizationId) -> Result<Vec<DepositId>> {
    let held = deposit::Entity::find()
        .filter(deposit::Column::OrganizationId.eq(organization))
        .filter(deposit::Column::Status.eq(DepositStatus::Held))
        .order_by_asc(deposit::Column::Id);
    Ok(held.all(db).await?.into_iter().map(|row| row.id).collect())
}

/// Ends a deposit on hold.
pub async fn conclude_deposit(tx: &Transaction, id: DepositId, status: DepositStatus) -> Result<()> {
    let update = deposit::Entity::update_many()
        .col_expr(deposit::Column::Status, Expr::value(status))
        .filter(deposit::Column::Id.eq(id))
        .filter(deposit::Column::Status.eq(DepositStatus::Held));
    once(update.exec(tx).await?.rows_affected, id)
}

/// Whether the listing is paid for and nobody else can acquire it; an open licence never is.
pub async fn is_sold(tx: &Transaction, listing: ListingId) -> Result<bool> {
    let sold = settlement::Entity::find()
        .filter(settlement::Column::ListingId.eq(listing))
        .filter(settlement::Column::OpenLicence.eq(false));
    Ok(sold.count(tx).await? > 0)
}

/// From now on no deposit is taken for the listing.
pub async fn close_listing(tx: &Transaction, listing: ListingId) -> Result<()> {
    let row = closed_listing::ActiveModel { listing_id: Set(listing) };
    closed_listing::Entity::insert(row).on_conflict(any_conflict()).exec_without_returning(tx).await?;
    Ok(())
}

/// Whether no deposit is taken for the listing any more.
pub async fn is_closed(tx: &Transaction, listing: ListingId) -> Result<bool> {
    Ok(closed_listing::Entity::find_by_id(listing).one(tx).await?.is_some() || is_sold(tx, listing).await?)
}

/// Whether the deal is settled, or its listing is sold by another.
pub async fn is_settled(tx: &Transaction, agreed: &Agreed) -> Result<bool> {
    let same = settlement::Entity::find().filter(settlement::Column::DealId.eq(agreed.deal));
    Ok(same.count(tx).await? > 0 || is_sold(tx, agreed.listing).await?)
}

/// Stores a settlement; nothing if the deal or its listing has one.
pub async fn add_settlement(
    tx: &Transaction,
    agreed: &Agreed,
    sums: Sums,
    now: Instant,
) -> Result<Option<v1::Settlement>> {
    let row = settlement::ActiveModel {
        id: Set(agreed.settlement_id()),
        deal_id: Set(agreed.deal),
        listing_id: Set(agreed.listing),
        open_licence: Set(agreed.open_licence),
        price: Set(sums.price),
        fee: Set(sums.fee),
        deposit_applied: Set(sums.deposit_applied),
        deposits_released: Set(sums.deposits_released),
        settled_at: Set(now),
    };
    let added = settlement::Entity::insert(row).on_conflict(any_conflict()).exec_without_returning(tx).await?;
    let paid_to_transferor = sums.price.minus(sums.fee)?;
    Ok((added == 1).then(|| v1::Settlement {
        id: agreed.settlement_id().text(),
        deal_id: agreed.deal.text(),
        price: Some(sums.price),
        fee: Some(sums.fee),
        paid_to_transferor: Some(paid_to_transferor),
        deposit_applied: Some(sums.deposit_applied),
        deposits_released: sums.deposits_released,
        settled_at: Some(now),
    }))
}

/// One account as clients see it.
pub async fn account(db: &impl ConnectionTrait, id: AccountId) -> Result<Option<v1::LedgerAccount>> {
    let Some(row) = account::Entity::find_by_id(id).one(db).await? else { return Ok(None) };
    let available = row.balance.minus(row.held)?;
    Ok(Some(v1::LedgerAccount {
        id: row.id.text(),
        kind: row.kind.into(),
        organization_id: row.organization_id.map(Id::text),
        balance: Some(row.balance),
        held: Some(row.held),
        available: Some(available),
    }))
}
