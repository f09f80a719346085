//! Receipts as rows.

use kernel::{Id, Instant, Result, Transaction};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use wire::{id::BankReceiptId, v1};

use super::{tables::bank_receipt, write::any_conflict};
use crate::rules::arrival::Arrival;

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
