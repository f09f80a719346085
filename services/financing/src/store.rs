//! Investors, financing projects and interests as rows.

use kernel::{Error, Id, Instant, Money, Result};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    sea_query::{Expr, OnConflict, ValueType},
};
use wire::{
    id::{FinancingProjectId, InterestId, InvestorId, OrganizationId},
    v1::{
        self, DeclineReason, FinancingKind, FinancingProjectStatus, InterestStatus, InvestorStatus, Stage,
        TechnologyField,
    },
};

use crate::{investor::Preferences, matching::Ask, transition};

mod find;

pub use find::*;

pub mod investor {
    use super::*;
    use sea_orm::entity::prelude::*;

    /// Lists are stored as names separated by spaces.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "investor")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: InvestorId,
        pub organization_id: OrganizationId,
        pub status: InvestorStatus,
        pub fields: String,
        pub stages: String,
        pub regions: String,
        pub least_amount: Money,
        pub most_amount: Money,
        pub created_at: Instant,
        pub centre_id: OrganizationId,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod financing_project {
    use super::*;
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "financing_project")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: FinancingProjectId,
        pub organization_id: OrganizationId,
        pub author_id: String,
        pub status: FinancingProjectStatus,
        pub title: String,
        pub teaser: String,
        pub details: String,
        pub kind: FinancingKind,
        pub amount: Money,
        pub field: TechnologyField,
        pub stage: Stage,
        pub region: String,
        pub created_at: Instant,
        pub centre_id: OrganizationId,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod interest {
    use super::*;
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "interest")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: InterestId,
        pub financing_project_id: FinancingProjectId,
        pub investor_id: InvestorId,
        pub status: InterestStatus,
        pub decline_reasons: String,
        pub answer_note: Option<String>,
        pub created_at: Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl investor::Model {
    /// An applicant with checked wishes.
    pub fn applied(
        (organization_id, centre_id): (OrganizationId, OrganizationId),
        wishes: &Preferences,
        now: Instant,
    ) -> Self {
        Self {
            id: InvestorId::fresh(),
            organization_id,
            status: InvestorStatus::Applied,
            fields: joined(wishes.fields.iter().map(|field| field.stored())),
            stages: joined(wishes.stages.iter().map(|stage| stage.stored())),
            regions: joined(wishes.regions.iter().map(String::as_str)),
            least_amount: wishes.least,
            most_amount: wishes.most,
            created_at: now,
            centre_id,
        }
    }

    /// The stored wishes.
    pub fn preferences(&self) -> Preferences {
        Preferences {
            fields: named(&self.fields),
            stages: named(&self.stages),
            regions: self.regions.split_whitespace().map(str::to_owned).collect(),
            least: self.least_amount,
            most: self.most_amount,
        }
    }
}

impl From<investor::Model> for v1::Investor {
    fn from(row: investor::Model) -> Self {
        let wishes = row.preferences();
        Self {
            id: row.id.text(),
            organization_id: row.organization_id.text(),
            status: row.status.into(),
            available_transitions: numbers(transition::of_investor(row.status)),
            fields: numbers(&wishes.fields),
            stages: numbers(&wishes.stages),
            least_amount: Some(wishes.least),
            most_amount: Some(wishes.most),
            regions: wishes.regions,
            created_at: Some(row.created_at),
            centre_id: row.centre_id.text(),
        }
    }
}

impl financing_project::Model {
    /// As somebody sees it to whom the details are open, or are not.
    pub fn shown(self, details_open: bool) -> v1::FinancingProject {
        v1::FinancingProject {
            id: self.id.text(),
            organization_id: self.organization_id.text(),
            status: self.status.into(),
            available_transitions: numbers(transition::of_project(self.status)),
            title: self.title,
            teaser: self.teaser,
            details: details_open.then_some(self.details),
            kind: self.kind.into(),
            amount: Some(self.amount),
            field: self.field.into(),
            stage: self.stage.into(),
            region: self.region,
            created_at: Some(self.created_at),
            centre_id: self.centre_id.text(),
        }
    }

    /// What is compared with investors' wishes.
    pub fn ask(&self) -> Ask {
        Ask { field: self.field, stage: self.stage, amount: self.amount, region: self.region.clone() }
    }
}

impl From<interest::Model> for v1::Interest {
    fn from(row: interest::Model) -> Self {
        Self {
            id: row.id.text(),
            financing_project_id: row.financing_project_id.text(),
            investor_id: row.investor_id.text(),
            status: row.status.into(),
            available_transitions: numbers(transition::of_interest(row.status)),
            decline_reasons: numbers(&named::<DeclineReason>(&row.decline_reasons)),
            answer_note: row.answer_note,
            created_at: Some(row.created_at),
        }
    }
}

fn joined<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(" ")
}

/// A name that this version does not know (a newer one wrote it) is left out.
fn named<E: ValueType>(names: &str) -> Vec<E> {
    names.split_whitespace().filter_map(|name| <E as ValueType>::try_from(name.into()).ok()).collect()
}

fn numbers<E: Copy + Into<i32>>(values: &[E]) -> Vec<i32> {
    values.iter().map(|value| (*value).into()).collect()
}

// Writing.

/// Keeps an applicant; false if its organization has one already.
pub async fn add_investor(tx: &impl ConnectionTrait, row: investor::Model) -> Result<bool> {
    let added = investor::Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::column(investor::Column::OrganizationId).do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    Ok(added == 1)
}

/// Moves a locked investor.
pub async fn move_investor(tx: &impl ConnectionTrait, row: &investor::Model, to: InvestorStatus) -> Result<()> {
    let moved = investor::Entity::update_many()
        .col_expr(investor::Column::Status, Expr::value(to))
        .filter(investor::Column::Id.eq(row.id))
        .filter(investor::Column::Status.eq(row.status))
        .exec(tx)
        .await?;
    require_one(moved.rows_affected, row.id.text())
}

/// Keeps a draft.
pub async fn add_project(tx: &impl ConnectionTrait, row: financing_project::Model) -> Result<()> {
    financing_project::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    Ok(())
}

/// Moves a locked project.
pub async fn move_project(
    tx: &impl ConnectionTrait,
    row: &financing_project::Model,
    to: FinancingProjectStatus,
) -> Result<()> {
    let moved = financing_project::Entity::update_many()
        .col_expr(financing_project::Column::Status, Expr::value(to))
        .filter(financing_project::Column::Id.eq(row.id))
        .filter(financing_project::Column::Status.eq(row.status))
        .exec(tx)
        .await?;
    require_one(moved.rows_affected, row.id.text())
}

/// Keeps a first interest; false if there is one between the two already.
pub async fn add_interest(tx: &impl ConnectionTrait, row: interest::Model) -> Result<bool> {
    use interest::Column::{FinancingProjectId, InvestorId};
    let added = interest::Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::columns([FinancingProjectId, InvestorId]).do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    Ok(added == 1)
}

/// Keeps a locked interest's new status, reasons and note.
pub async fn save_interest(tx: &impl ConnectionTrait, row: &interest::Model, was: InterestStatus) -> Result<()> {
    use interest::Column;
    let saved = interest::Entity::update_many()
        .col_expr(Column::Status, Expr::value(row.status))
        .col_expr(Column::DeclineReasons, Expr::value(row.decline_reasons.clone()))
        .col_expr(Column::AnswerNote, Expr::value(row.answer_note.clone()))
        .filter(Column::Id.eq(row.id))
        .filter(Column::Status.eq(was))
        .exec(tx)
        .await?;
    require_one(saved.rows_affected, row.id.text())
}

/// Reasons as they are stored.
pub fn stored_reasons(reasons: &[DeclineReason]) -> String {
    joined(reasons.iter().map(|reason| reason.stored()))
}

/// A locked row cannot have moved meanwhile; if it has, nothing of this transaction may stand.
fn require_one(moved: u64, id: String) -> Result<()> {
    if moved == 1 { Ok(()) } else { Err(Error::Internal(format!("{id} moved although it was locked"))) }
}
