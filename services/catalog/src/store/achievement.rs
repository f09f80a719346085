//! Achievements: their table and its queries.

use kernel::{Id, Paging, Result, Slice, Transaction, page};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    sea_query::OnConflict,
};
use wire::{
    id::{AchievementId, OrganizationId},
    v1,
};

use super::says;
use crate::achievement::import_record::Origin;

mod entity {
    use sea_orm::entity::prelude::*;
    use wire::{id, v1};

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "achievement")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: id::AchievementId,
        pub organization_id: id::OrganizationId,
        pub title: String,
        pub summary: String,
        /// A JSON list of texts.
        pub keywords: String,
        pub field: Option<v1::TechnologyField>,
        pub stage: Option<v1::Stage>,
        pub ip_kind: v1::IpKind,
        pub ip_number: Option<String>,
        pub ip_expires_on: Option<String>,
        pub owner: String,
        pub source: Option<String>,
        pub source_id: Option<String>,
        pub created_at: kernel::Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub use entity::Model as Achievement;

impl From<Achievement> for v1::Achievement {
    fn from(row: Achievement) -> Self {
        v1::Achievement {
            id: row.id.text(),
            organization_id: row.organization_id.text(),
            title: row.title,
            summary: row.summary,
            keywords: serde_json::from_str(&row.keywords).unwrap_or_default(),
            field: row.field.map(i32::from),
            stage: row.stage.map(i32::from),
            ip_kind: row.ip_kind.into(),
            ip_number: row.ip_number,
            ip_expires_on: row.ip_expires_on,
            owner: row.owner,
            source: row.source,
            source_id: row.source_id,
            created_at: Some(row.created_at),
        }
    }
}

pub async fn achievements(db: &impl ConnectionTrait, ids: Vec<AchievementId>) -> Result<Vec<Achievement>> {
    Ok(entity::Entity::find().filter(entity::Column::Id.is_in(ids)).all(db).await?)
}

pub async fn achievement_page(
    db: &impl ConnectionTrait,
    search: Option<String>,
    organization: Option<OrganizationId>,
    paging: Paging,
) -> Result<Slice<Achievement>> {
    use entity::Column;
    let backend = db.get_database_backend();
    let narrowed = Condition::all()
        .add_option(search.map(|words| says(backend, [Column::Title, Column::Summary], &words)))
        .add_option(organization.map(|organization| Column::OrganizationId.eq(organization)));
    page(db, entity::Entity::find().filter(narrowed), Column::Id, paging).await
}

/// Inserts achievements except those whose (source, source_id) is known already. Which ones went in
/// shows when they are looked up again by their origin.
pub async fn insert_achievements(tx: &Transaction, rows: Vec<Achievement>) -> Result<()> {
    use entity::Column;
    if !rows.is_empty() {
        let rows = rows.into_iter().map(|row| row.into_active_model().reset_all());
        let known = OnConflict::columns([Column::Source, Column::SourceId]).do_nothing().to_owned();
        entity::Entity::insert_many(rows).on_conflict(known).exec_without_returning(tx).await?;
    }
    Ok(())
}

/// What is stored under these origins, and perhaps more of the same sources.
pub async fn achievements_from(tx: &Transaction, origins: &[Origin]) -> Result<Vec<Achievement>> {
    use entity::Column;
    let select = entity::Entity::find()
        .filter(Column::Source.is_in(origins.iter().map(|origin| origin.source.as_str())))
        .filter(Column::SourceId.is_in(origins.iter().map(|origin| origin.source_id.as_str())));
    Ok(select.all(tx).await?)
}
