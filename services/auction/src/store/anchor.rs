//! How far each lot's log was at the latest look, and the root over it.

use kernel::{Id, Result, Transaction, Vault, record_altered};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, JoinType, QueryFilter, QuerySelect,
    RelationTrait,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use wire::{id::BiddingSessionId, v1::BiddingStatus};

use super::{log, session};

mod row {
    use super::{super::session, BiddingSessionId};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "auction_anchor")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub session_id: BiddingSessionId,
        pub size: i64,
        pub root: Vec<u8>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(belongs_to = "session::Entity", from = "Column::SessionId", to = "session::Column::Id")]
        Session,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub use row::Model;

/// Some of the running lots whose logs have grown since they were last anchored, as they should be anchored now; none that
/// is not as its last round left it.
pub async fn grown(db: &impl ConnectionTrait, vault: &Vault, limit: u64) -> Result<Vec<Model>> {
    let over = [BiddingStatus::Sold, BiddingStatus::Unsold, BiddingStatus::Cancelled];
    let size = Expr::col((row::Entity, row::Column::Size));
    let behind = Condition::any()
        .add(row::Column::Size.is_null())
        .add(size.lt(Expr::col((session::Entity, session::Column::Seq))));
    let grown = session::Entity::find()
        .join(JoinType::LeftJoin, row::Relation::Session.def().rev())
        .filter(session::Column::Status.is_not_in(over))
        .filter(behind)
        .limit(limit);
    let (ours, altered): (Vec<_>, Vec<_>) = grown.all(db).await?.into_iter().partition(|lot| lot.is_ours(vault));
    for lot in altered {
        record_altered(&format!("bidding_session id={}", lot.id.text()), None);
    }
    let anchored = |lot: session::Model| {
        let root = log::grow(&lot.peaks, lot.seq, &[])?.root().to_vec();
        Ok(Model { session_id: lot.id, size: lot.seq, root })
    };
    ours.into_iter().map(anchored).collect()
}

/// Anchors them; one that another process anchored further on stays.
pub async fn put(tx: &Transaction, anchors: Vec<Model>) -> Result<()> {
    let anchors = anchors.into_iter().map(IntoActiveModel::into_active_model);
    let forward = OnConflict::column(row::Column::SessionId)
        .update_columns([row::Column::Size, row::Column::Root])
        .action_and_where(Expr::col((row::Entity, row::Column::Size)).lt(Expr::col(("excluded", row::Column::Size))))
        .to_owned();
    row::Entity::insert_many(anchors).on_conflict(forward).exec_without_returning(tx).await?;
    Ok(())
}

/// Where a lot's log was anchored.
pub async fn find(db: &impl ConnectionTrait, id: BiddingSessionId) -> Result<Option<Model>> {
    Ok(row::Entity::find_by_id(id).one(db).await?)
}
