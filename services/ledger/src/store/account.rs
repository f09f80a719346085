//! Accounts as callers read them.

use kernel::{Id, Result};
use sea_orm::{ConnectionTrait, EntityTrait};
use wire::{id::AccountId, v1};

use super::tables::account;

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
