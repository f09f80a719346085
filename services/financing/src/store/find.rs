//! What is found, and by whom: every query here takes the caller's sight or names whose rows it reads.

use kernel::{Money, Paging, Result, Sight, Slice, Transaction, page};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select, sea_query::SelectStatement,
};
use wire::{
    id::{FinancingProjectId, InterestId, InvestorId, OrganizationId},
    v1::{FinancingProjectStatus, InterestStatus, InvestorStatus, Stage, TechnologyField},
};

use super::{financing_project, interest, investor};
use crate::{investor::Preferences, matching::Ask};

/// Those in sight, and those that have an interest in a project in sight.
fn investors(sight: &Sight) -> Select<investor::Entity> {
    let select = investor::Entity::find();
    if sight.is_everything() {
        return select;
    }
    let interested = interest::Entity::find()
        .select_only()
        .column(interest::Column::InvestorId)
        .filter(interest::Column::FinancingProjectId.in_subquery(projects_within(sight)));
    let seen = Condition::any().add(own_investor(sight));
    select.filter(seen.add(investor::Column::Id.in_subquery(interested.into_query())))
}

/// Published ones, and those in sight.
fn projects(sight: &Sight) -> Select<financing_project::Entity> {
    let open = financing_project::Column::Status.eq(FinancingProjectStatus::Open);
    financing_project::Entity::find().filter(Condition::any().add(open).add(own_project(sight)))
}

/// Those of which one side is in sight.
fn interests(sight: &Sight) -> Select<interest::Entity> {
    use interest::Column;
    let select = interest::Entity::find();
    if sight.is_everything() {
        return select;
    }
    let investors = investor::Entity::find().select_only().column(investor::Column::Id).filter(own_investor(sight));
    let seen = Condition::any().add(Column::FinancingProjectId.in_subquery(projects_within(sight)));
    select.filter(seen.add(Column::InvestorId.in_subquery(investors.into_query())))
}

fn own_investor(sight: &Sight) -> Condition {
    sight.filter(&[investor::Column::OrganizationId], investor::Column::CentreId)
}

fn own_project(sight: &Sight) -> Condition {
    sight.filter(&[financing_project::Column::OrganizationId], financing_project::Column::CentreId)
}

fn projects_within(sight: &Sight) -> SelectStatement {
    use financing_project::{Column, Entity};
    Entity::find().select_only().column(Column::Id).filter(own_project(sight)).into_query()
}

/// How many projects of the centres were ever published; no centres mean all.
pub async fn published(db: &impl ConnectionTrait, centres: &[OrganizationId]) -> Result<i64> {
    use financing_project::Column;
    let of = (!centres.is_empty()).then(|| Column::CentreId.is_in(centres.iter().copied()));
    let select = financing_project::Entity::find().filter(Column::Status.ne(FinancingProjectStatus::Draft));
    let count = select.filter(Condition::all().add_option(of)).count(db).await?;
    Ok(i64::try_from(count).unwrap_or(i64::MAX))
}

/// One investor in sight.
pub async fn find_investor(
    db: &impl ConnectionTrait,
    sight: &Sight,
    id: InvestorId,
) -> Result<Option<investor::Model>> {
    Ok(investors(sight).filter(investor::Column::Id.eq(id)).one(db).await?)
}

/// One investor in sight, locked until the transaction ends.
pub async fn lock_investor(tx: &Transaction, sight: &Sight, id: InvestorId) -> Result<Option<investor::Model>> {
    Ok(investors(sight).filter(investor::Column::Id.eq(id)).lock_exclusive().one(tx).await?)
}

/// The investors in sight among those wanted.
pub async fn investors_among(
    db: &impl ConnectionTrait,
    sight: &Sight,
    ids: Vec<InvestorId>,
) -> Result<Vec<investor::Model>> {
    let select = investors(sight).filter(investor::Column::Id.is_in(ids));
    Ok(select.order_by_asc(investor::Column::Id).all(db).await?)
}

/// One project in sight.
pub async fn find_project(
    db: &impl ConnectionTrait,
    sight: &Sight,
    id: FinancingProjectId,
) -> Result<Option<financing_project::Model>> {
    Ok(projects(sight).filter(financing_project::Column::Id.eq(id)).one(db).await?)
}

/// One project in sight, locked until the transaction ends.
pub async fn lock_project(
    tx: &Transaction,
    sight: &Sight,
    id: FinancingProjectId,
) -> Result<Option<financing_project::Model>> {
    Ok(projects(sight).filter(financing_project::Column::Id.eq(id)).lock_exclusive().one(tx).await?)
}

/// The projects in sight among those wanted.
pub async fn projects_among(
    db: &impl ConnectionTrait,
    sight: &Sight,
    ids: Vec<FinancingProjectId>,
) -> Result<Vec<financing_project::Model>> {
    let select = projects(sight).filter(financing_project::Column::Id.is_in(ids));
    Ok(select.order_by_asc(financing_project::Column::Id).all(db).await?)
}

/// One page of the projects in sight, of one organization or of all.
pub async fn page_projects(
    db: &impl ConnectionTrait,
    sight: &Sight,
    organization: Option<OrganizationId>,
    paging: Paging,
) -> Result<Slice<financing_project::Model>> {
    use financing_project::Column;
    let wanted = Condition::all().add_option(organization.map(|id| Column::OrganizationId.eq(id)));
    page(db, projects(sight).filter(wanted), Column::Id, paging).await
}

/// One interest in sight, locked until the transaction ends.
pub async fn lock_interest(tx: &Transaction, sight: &Sight, id: InterestId) -> Result<Option<interest::Model>> {
    Ok(interests(sight).filter(interest::Column::Id.eq(id)).lock_exclusive().one(tx).await?)
}

/// The interest between the two, locked until the transaction ends.
pub async fn lock_interest_between(
    tx: &Transaction,
    project: FinancingProjectId,
    investor: InvestorId,
) -> Result<Option<interest::Model>> {
    use interest::Column;
    let select = interest::Entity::find().filter(Column::FinancingProjectId.eq(project));
    Ok(select.filter(Column::InvestorId.eq(investor)).lock_exclusive().one(tx).await?)
}

/// One page of the interests in sight, of one project, of one investor or of all.
pub async fn page_interests(
    db: &impl ConnectionTrait,
    sight: &Sight,
    project: Option<FinancingProjectId>,
    investor: Option<InvestorId>,
    paging: Paging,
) -> Result<Slice<interest::Model>> {
    use interest::Column;
    let wanted = Condition::all()
        .add_option(project.map(|id| Column::FinancingProjectId.eq(id)))
        .add_option(investor.map(|id| Column::InvestorId.eq(id)));
    page(db, interests(sight).filter(wanted), Column::Id, paging).await
}

/// Which of these projects opened their details to a verified investor of these organizations, and to which one (F5).
pub async fn opened_to(
    db: &impl ConnectionTrait,
    projects: Vec<FinancingProjectId>,
    organizations: Vec<OrganizationId>,
) -> Result<Vec<(FinancingProjectId, InvestorId)>> {
    use interest::Column;
    let verified = investor::Entity::find()
        .select_only()
        .column(investor::Column::Id)
        .filter(investor::Column::Status.eq(InvestorStatus::Verified))
        .filter(investor::Column::OrganizationId.is_in(organizations));
    let opened = interest::Entity::find()
        .select_only()
        .columns([Column::FinancingProjectId, Column::InvestorId])
        .filter(Column::Status.eq(InterestStatus::Accepted))
        .filter(Column::FinancingProjectId.is_in(projects))
        .filter(Column::InvestorId.in_subquery(verified.into_query()));
    Ok(opened.into_tuple().all(db).await?)
}

// Reading candidates for matches.

#[derive(FromQueryResult)]
struct AskRow {
    id: FinancingProjectId,
    field: TechnologyField,
    stage: Stage,
    amount: Money,
    region: String,
}

/// The open projects of others that may suit: in one of the fields, or of a wanted stage and amount. No other one can
/// reach the score that a suggestion takes (matching.rs tests this). Their texts are not read.
pub async fn open_asks(
    db: &impl ConnectionTrait,
    wishes: &Preferences,
    but: OrganizationId,
) -> Result<Vec<(FinancingProjectId, Ask)>> {
    use financing_project::Column;
    let fit = Condition::all()
        .add(Column::Stage.is_in(wishes.stages.iter().copied()))
        .add(Column::Amount.between(wishes.least, wishes.most));
    let rows = financing_project::Entity::find()
        .select_only()
        .columns([Column::Id, Column::Field, Column::Stage, Column::Amount, Column::Region])
        .filter(Column::Status.eq(FinancingProjectStatus::Open))
        .filter(Column::OrganizationId.ne(but))
        .filter(Condition::any().add(Column::Field.is_in(wishes.fields.iter().copied())).add(fit))
        .into_model::<AskRow>()
        .all(db)
        .await?;
    let ask = |AskRow { id, field, stage, amount, region }| (id, Ask { field, stage, amount, region });
    Ok(rows.into_iter().map(ask).collect())
}

/// The verified investors of others.
pub async fn verified_investors(db: &impl ConnectionTrait, but: OrganizationId) -> Result<Vec<investor::Model>> {
    let verified = investor::Entity::find().filter(investor::Column::Status.eq(InvestorStatus::Verified));
    Ok(verified.filter(investor::Column::OrganizationId.ne(but)).all(db).await?)
}
