use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, Order, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select,
};
use uuid::Uuid;

use crate::{ErrorCode, Refusal, Result};

/// Which part of a list is wanted. Ids are sortable by time of making, so they are the keyset cursors.
pub struct Paging {
    /// 1–100; 20 if absent.
    pub first: Option<i32>,
    /// The id after which to begin.
    pub after: Option<Uuid>,
    /// Whether the newest comes first.
    pub newest_first: bool,
    /// Whether the total is wanted too.
    pub count: bool,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Slice<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Whether more follow.
    pub has_next: bool,
    /// How many there are in all, where asked.
    pub total: Option<i64>,
}

impl<T> Slice<T> {
    /// Converts every row.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Slice<U> {
        Slice { items: self.items.into_iter().map(convert).collect(), has_next: self.has_next, total: self.total }
    }
}

/// Reads one page by keyset on the id column.
pub async fn page<E>(
    db: &impl ConnectionTrait,
    select: Select<E>,
    id: E::Column,
    paging: Paging,
) -> Result<Slice<E::Model>>
where
    E: EntityTrait,
    E::Model: FromQueryResult + Sized + Send + Sync,
{
    let first = paging.first.unwrap_or(20);
    let Ok(limit @ 1..=100) = u64::try_from(first) else {
        return Err(Refusal::new(ErrorCode::InvalidInput).at_field("first").accepting("1–100").into());
    };
    let total = match paging.count {
        true => Some(i64::try_from(select.clone().count(db).await?).unwrap_or(i64::MAX)),
        false => None,
    };
    let mut rows = select;
    if let Some(after) = paging.after {
        rows = rows.filter(if paging.newest_first { id.lt(after) } else { id.gt(after) });
    }
    let order = if paging.newest_first { Order::Desc } else { Order::Asc };
    let mut items = rows.order_by(id, order).limit(limit + 1).all(db).await?;
    let has_next = items.len() as u64 > limit;
    items.truncate(usize::try_from(limit).unwrap_or(100));
    Ok(Slice { items, has_next, total })
}
