//! Where passwords lie.

use kernel::Result;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, sea_query::Expr};
use wire::id::PersonId;

use crate::store::person::row;

/// Replaces the person's hash.
pub async fn replace(tx: &impl ConnectionTrait, person: PersonId, hash: String) -> Result<()> {
    row::Entity::update_many()
        .col_expr(row::Column::PasswordHash, Expr::value(hash))
        .filter(row::Column::Id.eq(person))
        .exec(tx)
        .await?;
    Ok(())
}
