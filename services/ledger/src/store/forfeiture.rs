//! Forfeited deposits as rows.

use kernel::{Error, Id, Instant, Money, Result, Transaction};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};
use wire::{
    id::{ForfeitureId, TransferApplicationId},
    v1::{self, ForfeitureStatus},
};

pub use super::tables::forfeiture::Model;
use super::{
    deposit::HeldDeposit,
    tables::{
        forfeit_debt,
        forfeiture::{Column, Entity},
    },
    write::once,
};
use crate::rules::{
    breach::Breach,
    debt::Debt,
    waterfall::{self, Forfeit, Portions},
};

impl Model {
    /// As the rules see it.
    pub fn forfeit(&self) -> Forfeit {
        Forfeit {
            amount: self.amount,
            defaulted_price: self.defaulted_price,
            resale_price: self.resale_price,
            costs: self.costs,
            status: self.status,
            reverse: self.reverse,
        }
    }

    /// What is left after costs and gap.
    pub fn remainder(&self) -> Result<Money> {
        let given = self.costs.unwrap_or_default().plus(self.gap_paid.unwrap_or_default())?;
        self.amount.minus(given)
    }

    /// As clients see it, with the debts that it paid.
    pub fn shown(self, debts: Vec<Debt>) -> Result<v1::Forfeiture> {
        let remainder = debts.iter().try_fold(self.remainder()?, |left, debt| left.minus(debt.amount))?;
        let gap = |resale| self.forfeit().price_gap(resale);
        Ok(v1::Forfeiture {
            id: self.id.text(),
            transfer_application_id: self.transfer_application_id.text(),
            listing_id: self.listing_id.text(),
            award_id: self.award_id.text(),
            organization_id: self.organization_id.text(),
            transferor_id: self.transferor_id.text(),
            amount: Some(self.amount),
            defaulted_price: Some(self.defaulted_price),
            resale_price: self.resale_price,
            costs: self.costs,
            price_gap: self.resale_price.map(gap).transpose()?,
            gap_paid: self.gap_paid,
            remainder: Some(remainder),
            status: self.status.into(),
            available_transitions: waterfall::next(self.status).iter().map(|next| (*next).into()).collect(),
            forfeited_at: Some(self.forfeited_at),
            distributed_at: self.distributed_at,
            debts: debts.into_iter().map(v1::ForfeitDebt::from).collect(),
            closed_at: self.closed_at,
        })
    }
}

impl From<Debt> for v1::ForfeitDebt {
    fn from(debt: Debt) -> Self {
        Self { organization_id: debt.creditor.text(), amount: Some(debt.amount), ground: debt.ground }
    }
}

/// Stores a forfeiture.
pub async fn add(tx: &Transaction, breach: &Breach, deposit: &HeldDeposit, now: Instant) -> Result<()> {
    let row = Model {
        id: breach.id(),
        transfer_application_id: breach.application,
        listing_id: breach.listing,
        award_id: breach.award,
        organization_id: deposit.organization,
        transferor_id: breach.transferor,
        amount: deposit.amount,
        defaulted_price: breach.price,
        resale_price: breach.next_price.filter(|price| *price > Money::ZERO),
        costs: None,
        gap_paid: None,
        status: ForfeitureStatus::Forfeited,
        forfeited_at: now,
        distributed_at: None,
        distributed_by: None,
        closed_at: None,
        reverse: breach.reverse,
    };
    Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    Ok(())
}

/// The application's forfeiture.
pub async fn of(db: &impl ConnectionTrait, application: TransferApplicationId) -> Result<Option<Model>> {
    Ok(Entity::find().filter(Column::TransferApplicationId.eq(application)).one(db).await?)
}

/// The same, held until the transaction ends. Nobody who holds an account waits for it.
pub async fn locked(tx: &Transaction, application: TransferApplicationId) -> Result<Option<Model>> {
    Ok(Entity::find().filter(Column::TransferApplicationId.eq(application)).lock_exclusive().one(tx).await?)
}

/// The debts that it paid, in their order.
pub async fn debts(db: &impl ConnectionTrait, id: ForfeitureId) -> Result<Vec<Debt>> {
    use forfeit_debt::Column;
    let paid = forfeit_debt::Entity::find().filter(Column::ForfeitureId.eq(id)).order_by_asc(Column::Place);
    let debt =
        |row: forfeit_debt::Model| Debt { creditor: row.organization_id, amount: row.amount, ground: row.ground };
    Ok(paid.all(db).await?.into_iter().map(debt).collect())
}

/// Notes that what remained paid these debts.
pub async fn close(tx: &Transaction, row: Model, debts: &[Debt], now: Instant) -> Result<Model> {
    let next = Model { status: ForfeitureStatus::Closed, closed_at: Some(now), ..row };
    let debt = |(place, debt): (i32, &Debt)| {
        let paid = forfeit_debt::Model {
            forfeiture_id: next.id,
            place,
            organization_id: debt.creditor,
            amount: debt.amount,
            ground: debt.ground.clone(),
        };
        paid.into_active_model()
    };
    forfeit_debt::Entity::insert_many((1..).zip(debts).map(debt)).exec_without_returning(tx).await?;
    let update = Entity::update_many()
        .col_expr(Column::Status, Expr::value(next.status))
        .col_expr(Column::ClosedAt, Expr::value(next.closed_at))
        .filter(Column::Id.eq(next.id))
        .filter(Column::Status.eq(ForfeitureStatus::Distributed));
    once(update.exec(tx).await?.rows_affected, next.id)?;
    Ok(next)
}

/// Notes what a step gave out, and who did.
pub async fn advance(tx: &Transaction, row: Model, portions: &Portions, (by, now): (&str, Instant)) -> Result<Model> {
    let done = portions.status == ForfeitureStatus::Distributed;
    let (before, next) = (
        row.status,
        Model {
            resale_price: portions.resale_price,
            costs: Some(portions.costs),
            gap_paid: portions.gap_paid,
            status: portions.status,
            distributed_at: done.then_some(now),
            distributed_by: Some(by.to_owned()),
            ..row
        },
    );
    if !waterfall::next(before).contains(&next.status) {
        return Err(Error::Internal(format!("{} does not go from {}", next.id, before.stored())));
    }
    let update = Entity::update_many()
        .col_expr(Column::ResalePrice, Expr::value(next.resale_price))
        .col_expr(Column::Costs, Expr::value(next.costs))
        .col_expr(Column::GapPaid, Expr::value(next.gap_paid))
        .col_expr(Column::Status, Expr::value(next.status))
        .col_expr(Column::DistributedAt, Expr::value(next.distributed_at))
        .col_expr(Column::DistributedBy, Expr::value(next.distributed_by.clone()))
        .filter(Column::Id.eq(next.id))
        .filter(Column::Status.eq(before));
    once(update.exec(tx).await?.rows_affected, next.id)?;
    Ok(next)
}
