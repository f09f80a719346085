//! The whole ledger added up anew.

use kernel::{Money, Result};
use sea_orm::{ConnectionTrait, EntityTrait, FromQueryResult, PaginatorTrait, Statement};
use wire::v1::AccountKind;

use super::tables::transfer;
use crate::rules::book::{Account, Audited};

#[derive(FromQueryResult)]
struct Row {
    kind: AccountKind,
    balance: Money,
    held: Money,
    credited: Money,
    debited: Money,
    bound: Money,
}

/// One statement, so that all of it is of one instant: two would call a transfer between them a fault.
/// SUM(bigint) is NUMERIC on PostgreSQL, hence the casts.
const AUDITED: &str = "\
SELECT kind, balance, held,
    CAST(COALESCE((SELECT SUM(posted_amount) FROM transfer WHERE credit_id = account.id AND state = 'POSTED'), 0) AS bigint) AS credited,
    CAST(COALESCE((SELECT SUM(posted_amount) FROM transfer WHERE debit_id = account.id AND state = 'POSTED'), 0) AS bigint) AS debited,
    CAST(COALESCE((SELECT SUM(amount) FROM transfer WHERE debit_id = account.id AND state = 'PENDING'), 0) AS bigint) AS bound
FROM account";

/// Every account beside what its entries say.
pub async fn audited(db: &impl ConnectionTrait) -> Result<Vec<Audited>> {
    let query = Statement::from_string(db.get_database_backend(), AUDITED);
    let rows = Row::find_by_statement(query).all(db).await?;
    let audited = |row: Row| Audited {
        account: Account { kind: row.kind, balance: row.balance, held: row.held },
        credited: row.credited,
        debited: row.debited,
        bound: row.bound,
    };
    Ok(rows.into_iter().map(audited).collect())
}

/// How many transfers there are.
pub async fn transfer_count(db: &impl ConnectionTrait) -> Result<i64> {
    Ok(i64::try_from(transfer::Entity::find().count(db).await?).unwrap_or(i64::MAX))
}
