//! The centres as stored.

use kernel::Result;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, sea_query::Expr};
use wire::{
    id::OrganizationId,
    v1::{self, CentreStatus, CentreTier},
};

mod row {
    use sea_orm::entity::prelude::*;
    use wire::v1;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "centre")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub organization_id: wire::id::OrganizationId,
        pub tier: v1::CentreTier,
        pub parent_id: Option<wire::id::OrganizationId>,
        pub status: v1::CentreStatus,
        pub opened_at: kernel::Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}
pub use row::Model;
use row::{Column, Entity};

impl From<Model> for v1::Centre {
    fn from(row: Model) -> Self {
        use kernel::Id;
        v1::Centre {
            organization_id: row.organization_id.text(),
            tier: row.tier.into(),
            parent_id: row.parent_id.map(|id| id.text()),
            status: row.status.into(),
            opened_at: Some(row.opened_at),
        }
    }
}

pub async fn insert_centre(tx: &impl ConnectionTrait, row: Model) -> Result<()> {
    Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    Ok(())
}

pub async fn centre(db: &impl ConnectionTrait, id: OrganizationId) -> Result<Option<Model>> {
    Ok(Entity::find_by_id(id).one(db).await?)
}

/// The one at the top, once seeded.
pub async fn hub(db: &impl ConnectionTrait) -> Result<Option<Model>> {
    Ok(Entity::find().filter(Column::Tier.eq(CentreTier::Hub)).one(db).await?)
}

/// All of them, the oldest first. They are few.
pub async fn centres(db: &impl ConnectionTrait) -> Result<Vec<Model>> {
    Ok(Entity::find().order_by_asc(Column::OrganizationId).all(db).await?)
}

pub async fn close_centre(tx: &impl ConnectionTrait, id: OrganizationId) -> Result<()> {
    let closed = Entity::update_many().col_expr(Column::Status, Expr::value(CentreStatus::Closed));
    closed.filter(Column::OrganizationId.eq(id)).exec(tx).await?;
    Ok(())
}
