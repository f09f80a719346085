//! What of an organization the caller sees: its evidence is for its members and its centre's staff, the warnings about
//! its name for its centre's reviewers.

use std::collections::BTreeSet;

use kernel::{Actor, Id, Result, Role};
use sea_orm::ConnectionTrait;
use wire::v1;

use crate::{
    organization::{name, organization_status},
    store::organization::{Model, alike, reach},
};

/// Those who are warned.
const WARNED: [Role; 1] = [Role::Reviewer];

/// The organizations as the caller sees them.
pub async fn shown(db: &impl ConnectionTrait, actor: &Actor, rows: Vec<Model>) -> Result<Vec<v1::Organization>> {
    let judged: Vec<Model> = rows.iter().filter(|row| is_warned(actor, row)).cloned().collect();
    let mut skeletons = Vec::new();
    let mut parts = BTreeSet::new();
    for row in &judged {
        skeletons.push(row.skeleton.clone());
        parts.extend(name::sought(&name::core(&row.name)));
    }
    let others = match judged.is_empty() {
        true => Vec::new(),
        false => alike(db, actor, skeletons, parts.into_iter().collect()).await?,
    };
    Ok(rows.into_iter().map(|row| seen(actor, row, &others)).collect())
}

/// One organization as the caller sees it.
pub async fn one(db: &impl ConnectionTrait, actor: &Actor, row: Model) -> Result<v1::Organization> {
    let (blank, shown) = (v1::Organization::default(), shown(db, actor, vec![row]).await?);
    Ok(shown.into_iter().next().unwrap_or(blank))
}

/// The exchange itself reads names without judging them.
fn is_warned(actor: &Actor, row: &Model) -> bool {
    !actor.is_exchange() && actor.scope(&WARNED).reaches(&row.centre_id.text())
}

fn seen(actor: &Actor, row: Model, others: &[Model]) -> v1::Organization {
    let name_warnings = if is_warned(actor, &row) { warnings(&row, others) } else { Vec::new() };
    let centre_id = row.centre_id.text();
    let knows_why = actor.is_member(&row.id.text()) || reach(actor).reaches(&centre_id);
    v1::Organization {
        id: row.id.text(),
        name: row.name,
        kind: row.kind.into(),
        status: row.status.into(),
        usci: row.usci,
        region: row.region,
        created_at: Some(row.created_at),
        available_transitions: organization_status::next(row.status).iter().map(|status| (*status).into()).collect(),
        legal_representative: row.legal_representative,
        industry: row.industry,
        centre_id,
        name_warnings,
        evidence: if knows_why { row.evidence } else { String::new() },
    }
}

fn warnings(row: &Model, others: &[Model]) -> Vec<v1::NameWarning> {
    let others = others.iter().filter(|other| other.id != row.id);
    others
        .filter_map(|other| {
            Some(v1::NameWarning {
                kind: name::warning(&row.name, &other.name)?.into(),
                organization_id: other.id.text(),
                name: other.name.clone(),
            })
        })
        .collect()
}
