//! What callers read: each sees what is public, what is its own, and what was opened to it.

use std::collections::BTreeMap;

use kernel::{Actor, Call, Context, Error, ErrorCode, Id, Refusal, Result, Sight};
use serde_json::json;
use wire::{
    id::{FinancingProjectId, InterestId, InvestorId, OrganizationId},
    policy::{self, Of, permit},
    v1::{self, FinancingProjectStatus},
};

use crate::{
    investor::require_verified,
    matching::{self, Score},
    sight::{invests_for, reads_all_details},
    store::{self, financing_project::Model as Project},
    transition::{illegal, of_project},
};

/// The investors in sight.
pub async fn investors(cx: &Context, actor: &Actor, wanted: v1::Ids) -> Result<v1::Investors> {
    let ids = parse::<InvestorId>(&wanted.ids)?;
    let found = store::investors_among(cx.db.read(), &Sight::of(actor), ids).await?;
    Ok(v1::Investors { items: found.into_iter().map(v1::Investor::from).collect() })
}

/// The projects in sight, each with its details where they are open to the caller.
pub async fn projects(cx: &Context, actor: &Actor, wanted: v1::Ids) -> Result<v1::FinancingProjects> {
    let ids = parse::<FinancingProjectId>(&wanted.ids)?;
    let found = store::projects_among(cx.db.read(), &Sight::of(actor), ids).await?;
    Ok(v1::FinancingProjects { items: show(cx, actor, found).await? })
}

/// One page of the projects in sight.
pub async fn list_projects(
    cx: &Context,
    actor: &Actor,
    wanted: v1::ListFinancingProjectsRequest,
) -> Result<v1::FinancingProjectPage> {
    let paging = wanted.page.unwrap_or_default().newest_first::<FinancingProjectId>()?;
    let organization = optional::<OrganizationId>(wanted.organization_id.as_deref(), "organizationId")?;
    let slice = store::page_projects(cx.db.read(), &Sight::of(actor), organization, paging).await?;
    let end = Some(v1::PageEnd::from(&slice));
    Ok(v1::FinancingProjectPage { items: show(cx, actor, slice.items).await?, end })
}

/// One page of the interests in sight.
pub async fn list_interests(cx: &Context, actor: &Actor, wanted: v1::ListInterestsRequest) -> Result<v1::InterestPage> {
    permit(actor, policy::INTERESTS, Of::default())?;
    let paging = wanted.page.unwrap_or_default().newest_first::<InterestId>()?;
    let project = optional::<FinancingProjectId>(wanted.financing_project_id.as_deref(), "financingProjectId")?;
    let investor = optional::<InvestorId>(wanted.investor_id.as_deref(), "investorId")?;
    let slice = store::page_interests(cx.db.read(), &Sight::of(actor), project, investor, paging).await?;
    let end = Some(v1::PageEnd::from(&slice));
    Ok(v1::InterestPage { items: slice.items.into_iter().map(v1::Interest::from).collect(), end })
}

/// What the centres have to show.
pub async fn totals(cx: &Context, actor: &Actor, wanted: v1::TotalsRequest) -> Result<v1::CentreTotals> {
    policy::require_totals(actor, &wanted)?;
    let centres = parse::<OrganizationId>(&wanted.centre_ids)?;
    let financing_projects = store::published(cx.db.read(), &centres).await?;
    Ok(v1::CentreTotals { financing_projects, ..v1::CentreTotals::default() })
}

/// The best suggestions for one investor, or for one project.
pub async fn list_matches(
    cx: &Context,
    actor: &Actor,
    wanted: v1::FinancingMatchesRequest,
) -> Result<v1::FinancingMatches> {
    let first = usize::try_from(wanted.first.unwrap_or(20)).ok().filter(|first| (1..=100).contains(first));
    let first = first.ok_or_else(|| Refusal::new(ErrorCode::InvalidInput).at_field("first").accepting("1–100"))?;
    let investor = optional::<InvestorId>(wanted.investor_id.as_deref(), "investorId")?;
    let project = optional::<FinancingProjectId>(wanted.financing_project_id.as_deref(), "financingProjectId")?;
    let items = match (investor, project) {
        (Some(id), None) => matches_for_investor(cx, actor, id, first).await?,
        (None, Some(id)) => matches_for_project(cx, actor, id, first).await?,
        _ => return Err(Refusal::new(ErrorCode::InvalidInput).accepting("investorId | financingProjectId").into()),
    };
    Ok(v1::FinancingMatches { items })
}

async fn matches_for_investor(
    cx: &Context,
    actor: &Actor,
    id: InvestorId,
    first: usize,
) -> Result<Vec<v1::FinancingMatch>> {
    let sight = Sight::of(actor);
    // A project's owner may know of an investor, but not what suits it.
    let found = store::find_investor(cx.db.read(), &sight, id)
        .await?
        .filter(|found| sight.covers(&[found.organization_id.0], found.centre_id.0));
    let investor = found.ok_or_else(|| Error::not_found("investorId"))?;
    require_verified(investor.status)?;
    let wishes = investor.preferences();
    let asks = store::open_asks(cx.db.read(), &wishes, investor.organization_id).await?;
    let scored = asks.into_iter().map(|(project, ask)| (project, matching::score(&wishes, &ask)));
    Ok(matching::best(scored, first).into_iter().map(|(project, score)| suggestion(project, id, score)).collect())
}

/// Only a published project is matched: a draft could be rewritten at will to sound out what investors want.
async fn matches_for_project(
    cx: &Context,
    actor: &Actor,
    id: FinancingProjectId,
    first: usize,
) -> Result<Vec<v1::FinancingMatch>> {
    let sight = Sight::of(actor);
    let found = store::find_project(cx.db.read(), &sight, id)
        .await?
        .filter(|found| sight.covers(&[found.organization_id.0], found.centre_id.0));
    let project = found.ok_or_else(|| Error::not_found("financingProjectId"))?;
    if project.status != FinancingProjectStatus::Open {
        return Err(illegal("financingProjectId", of_project(project.status).iter().map(|next| next.stored())));
    }
    let ask = project.ask();
    let investors = store::verified_investors(cx.db.read(), project.organization_id).await?;
    let scored = investors.into_iter().map(|found| (found.id, matching::score(&found.preferences(), &ask)));
    Ok(matching::best(scored, first).into_iter().map(|(investor, score)| suggestion(id, investor, score)).collect())
}

fn suggestion(project: FinancingProjectId, investor: InvestorId, score: Score) -> v1::FinancingMatch {
    v1::FinancingMatch {
        financing_project_id: project.text(),
        investor_id: investor.text(),
        score: score.points,
        reasons: score.reasons.into_iter().map(i32::from).collect(),
    }
}

/// Projects as this caller sees them (F5). Details that a project opened to an investor are shown only after the reading
/// is recorded: a trail with gaps proves nothing.
async fn show(cx: &Context, actor: &Actor, rows: Vec<Project>) -> Result<Vec<v1::FinancingProject>> {
    let scope = reads_all_details(actor);
    let own = |row: &Project| actor.is_member(&row.organization_id.text()) || scope.reaches(&row.centre_id.text());
    let foreign: Vec<FinancingProjectId> = rows.iter().filter(|row| !own(row)).map(|row| row.id).collect();
    let opened = opened(cx, actor, foreign).await?;
    record_reading(cx, actor, &opened).await?;
    let show_one = |row: Project| {
        let open = own(&row) || opened.contains_key(&row.id);
        row.shown(open)
    };
    Ok(rows.into_iter().map(show_one).collect())
}

/// Which projects opened their details to investors for whom the caller acts, and to which of them.
type Opened = BTreeMap<FinancingProjectId, Vec<String>>;

async fn opened(cx: &Context, actor: &Actor, projects: Vec<FinancingProjectId>) -> Result<Opened> {
    let organizations = invests_for(actor);
    let mut opened = Opened::new();
    if projects.is_empty() || organizations.is_empty() {
        return Ok(opened);
    }
    for (project, investor) in store::opened_to(cx.db.read(), projects, organizations).await? {
        opened.entry(project).or_default().push(investor.text());
    }
    Ok(opened)
}

async fn record_reading(cx: &Context, actor: &Actor, opened: &Opened) -> Result<()> {
    if opened.is_empty() {
        return Ok(());
    }
    let call = Call::begin(cx, actor.clone()).await?;
    for (project, investors) in opened {
        let facts = json!({ "rule": "F5", "investorIds": investors });
        call.record("FinancingDetailsRead", &project.text(), facts).await?;
    }
    call.commit().await
}

/// The most ids in one request.
const MOST_IDS: usize = 200;

fn parse<I: Id>(ids: &[String]) -> Result<Vec<I>> {
    if ids.len() > MOST_IDS {
        return Err(Refusal::new(ErrorCode::InvalidInput).at_field("ids").accepting(format!("≤ {MOST_IDS}")).into());
    }
    ids.iter().map(|id| I::parse(id, "ids")).collect()
}

fn optional<I: Id>(id: Option<&str>, field: &str) -> Result<Option<I>> {
    id.map(|id| I::parse(id, field)).transpose()
}
