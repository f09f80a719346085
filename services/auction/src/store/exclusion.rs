//! Exclusions of bidders from lots under way: proposed by one person, confirmed by another.

use kernel::{Error, Id, Instant, Result};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    sea_query::{Expr, OnConflict},
};
use wire::{
    id::{BiddingSessionId, OrganizationId},
    v1,
};

pub use row::Model;
use row::{Column, Entity};

mod row {
    use super::{BiddingSessionId, Instant, OrganizationId};
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "bidder_exclusion")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub session_id: BiddingSessionId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub organization_id: OrganizationId,
        pub reason: String,
        pub proposed_by: String,
        pub proposed_at: Instant,
        pub excluded_by: Option<String>,
        pub excluded_at: Option<Instant>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl From<Model> for v1::BidderExclusion {
    fn from(row: Model) -> Self {
        v1::BidderExclusion {
            session_id: row.session_id.text(),
            organization_id: row.organization_id.text(),
            reason: row.reason,
            proposed_at: Some(row.proposed_at),
            excluded_at: row.excluded_at,
        }
    }
}

/// The exclusion of a bidder from a lot, if somebody proposed it.
pub async fn find(db: &impl ConnectionTrait, id: (BiddingSessionId, OrganizationId)) -> Result<Option<Model>> {
    Ok(Entity::find_by_id(id).one(db).await?)
}

/// Proposes it; false if somebody did before.
pub async fn propose(tx: &impl ConnectionTrait, row: Model) -> Result<bool> {
    let proposed = OnConflict::columns([Column::SessionId, Column::OrganizationId]).do_nothing().to_owned();
    Ok(Entity::insert(row.into_active_model()).on_conflict(proposed).exec_without_returning(tx).await? == 1)
}

/// Another person confirms it.
pub async fn confirm(
    tx: &impl ConnectionTrait,
    (session, organization): (BiddingSessionId, OrganizationId),
    (person, now): (&str, Instant),
) -> Result<()> {
    let confirmed = Entity::update_many()
        .col_expr(Column::ExcludedBy, Expr::value(Some(person)))
        .col_expr(Column::ExcludedAt, Expr::value(Some(now)))
        .filter(Column::SessionId.eq(session))
        .filter(Column::OrganizationId.eq(organization))
        .filter(Column::ProposedBy.ne(person))
        .filter(Column::ExcludedBy.is_null());
    match confirmed.exec(tx).await?.rows_affected {
        1 => Ok(()),
        _ => Err(Error::Internal(format!("{session} excluded {organization}, which nobody else had proposed"))),
    }
}
