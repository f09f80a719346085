//! The demo's listings, investor and financing projects, made by its people through the services, as users make them:
//! every rule and every record of the audit trail is the real one.

use std::collections::HashMap;

use identity::STEP_MILLIS;
use kernel::{Actor, Clock, Error, ErrorCode, Refusal};
use prost::Message;
use tonic::Request;
use wire::{
    Clients,
    v1::{self, FinancingProjectStatus, ListingStatus, OrganizationKind, ReviewDecision},
};

use super::{
    DEMO_PASSWORD, authenticator,
    data::{Demo, Listing, Project},
};
use crate::Result;

/// The source of the demo's achievements.
const SOURCE: &str = "jishi-demo";

/// Puts in place what is missing. Nobody signs in if nothing is: a start leaves no trace.
pub async fn put(demo: &Demo, clients: &Clients, clock: &Clock) -> Result<()> {
    let university = organization(clients, demo.usci(OrganizationKind::University)?).await?;
    if is_complete(demo, clients, &university).await? {
        return Ok(());
    }
    let cast = Cast {
        clients,
        broker: sign_in(clients, clock, "broker").await?,
        reviewer: sign_in(clients, clock, "reviewer").await?,
        investor: sign_in(clients, clock, "investor").await?,
    };
    let achievements = cast.achievements(demo, &university).await?;
    for (listing, achievement) in demo.listing.iter().zip(achievements) {
        cast.listing(listing, &university, achievement).await?;
    }
    cast.investor(demo).await?;
    for project in &demo.project {
        cast.project(project, &university).await?;
    }
    tracing::info!(listings = demo.listing.len(), "the demo data is in place");
    Ok(())
}

/// Whether every item is there and has come as far as the demo takes it. What people did with it since is theirs.
async fn is_complete(demo: &Demo, clients: &Clients, university: &str) -> Result<bool> {
    let page = Some(v1::Page { first: Some(100), ..v1::Page::default() });
    let wanted =
        v1::ListListingsRequest { page: page.clone(), organization_id: Some(university.into()), ..Default::default() };
    let listings =
        clients.catalog.clone().list_listings(acting(&Actor::exchange(), "", wanted)).await?.into_inner().items;
    let wanted = v1::ListFinancingProjectsRequest { page, organization_id: Some(university.into()) };
    let asked = acting(&Actor::exchange(), "", wanted);
    let projects = clients.financing.clone().list_financing_projects(asked).await?.into_inner().items;
    let steps: HashMap<&str, u8> = listings.iter().map(|found| (found.title.as_str(), step(found.status()))).collect();
    let listed = |wanted: &Listing| steps.get(wanted.title.as_str()).is_some_and(|found| *found >= step(wanted.until));
    let open = |found: &v1::FinancingProject| found.status() == FinancingProjectStatus::Open;
    let financed =
        |wanted: &Project| projects.iter().any(|found| found.title == wanted.title && (open(found) || !wanted.publish));
    Ok(demo.listing.iter().all(listed) && demo.project.iter().all(financed))
}

/// How far a listing has come, as far as the demo goes.
fn step(status: ListingStatus) -> u8 {
    match status {
        ListingStatus::Draft => 0,
        ListingStatus::Submitted => 1,
        _ => 2,
    }
}

/// The people of the demo, signed in.
struct Cast<'a> {
    clients: &'a Clients,
    broker: Actor,
    reviewer: Actor,
    investor: Actor,
}

impl Cast<'_> {
    /// The ids of the achievements, in order; known ones are found by their source id.
    async fn achievements(&self, demo: &Demo, university: &str) -> Result<Vec<String>> {
        let records = demo.listing.iter().map(|listing| v1::ImportRecord {
            source: SOURCE.into(),
            source_id: listing.key.clone(),
            title: listing.title.clone(),
            summary: listing.summary.clone(),
            keywords: listing.keywords.clone(),
            field: Some(listing.field.into()),
            stage: Some(listing.stage.into()),
            ip_kind: listing.ip_kind.into(),
            owner: "锦江理工大学（示例）".into(),
            ..v1::ImportRecord::default()
        });
        let request = v1::ImportRequest { organization_id: university.into(), records: records.collect() };
        let outcomes =
            self.clients.catalog.clone().import(acting(&self.broker, "", request)).await?.into_inner().outcomes;
        let id = |outcome: v1::ImportOutcome| match outcome.refusal {
            Some(refusal) => Err(refused(&refusal)),
            None => Ok(outcome.achievement_id),
        };
        outcomes.into_iter().map(id).collect()
    }

    async fn listing(&self, wanted: &Listing, university: &str, achievement: String) -> Result<()> {
        let mut catalog = self.clients.catalog.clone();
        let input = v1::CreateListingInput {
            organization_id: university.into(),
            achievement_id: Some(achievement),
            title: wanted.title.clone(),
            summary: wanted.summary.clone(),
            field: wanted.field.into(),
            stage: wanted.stage.into(),
            conversion_mode: wanted.mode.into(),
            sale_method: wanted.method.into(),
            floor_price: Some(wanted.floor_price),
            deposit: Some(wanted.deposit),
            increment: Some(wanted.increment),
            disclosure_days: wanted.disclosure_days,
            free_seconds: 3_600,
            timed_seconds: 300,
            secret: false,
            mandate_id: None,
            bidding: None,
        };
        let reply = catalog.create_listing(acting(&self.broker, &wanted.key, input)).await?.into_inner();
        let listing_id = done(reply.listing, &reply.user_errors)?.id;
        if wanted.until == ListingStatus::Draft {
            return Ok(());
        }
        let input = v1::SubmitListingInput { listing_id: listing_id.clone() };
        let reply = catalog.submit_listing(acting(&self.broker, &wanted.key, input)).await?.into_inner();
        done(reply.listing, &reply.user_errors)?;
        if wanted.until == ListingStatus::Submitted {
            return Ok(());
        }
        let input = v1::ReviewListingInput { listing_id, decision: ReviewDecision::Approve.into(), note: None };
        let reply = catalog.review_listing(acting(&self.reviewer, &wanted.key, input)).await?.into_inner();
        // Near the end of the loaded calendar the period cannot be counted; the listing then waits for its review.
        if reply.user_errors.iter().any(|refusal| refusal.error_code() == ErrorCode::OutsideCalendar) {
            tracing::warn!(key = wanted.key, "not disclosed: its period would leave the working-day calendar");
            return Ok(());
        }
        done(reply.listing, &reply.user_errors).map(|_| ())
    }

    async fn investor(&self, demo: &Demo) -> Result<()> {
        let (wanted, mut financing) = (&demo.investor, self.clients.financing.clone());
        let input = v1::RegisterInvestorInput {
            organization_id: organization(self.clients, demo.usci(OrganizationKind::Investor)?).await?,
            fields: wanted.fields.iter().map(|field| (*field).into()).collect(),
            stages: wanted.stages.iter().map(|stage| (*stage).into()).collect(),
            least_amount: Some(wanted.least_amount),
            most_amount: Some(wanted.most_amount),
            regions: wanted.regions.clone(),
        };
        let reply = financing.register_investor(acting(&self.investor, &wanted.key, input)).await?.into_inner();
        let investor_id = done(reply.investor, &reply.user_errors)?.id;
        let input = v1::VerifyInvestorInput { investor_id, approve: true, evidence: wanted.evidence.clone() };
        let reply = financing.verify_investor(acting(&self.reviewer, &wanted.key, input)).await?.into_inner();
        done(reply.investor, &reply.user_errors).map(|_| ())
    }

    async fn project(&self, wanted: &Project, university: &str) -> Result<()> {
        let mut financing = self.clients.financing.clone();
        let input = v1::CreateFinancingProjectInput {
            organization_id: university.into(),
            title: wanted.title.clone(),
            teaser: wanted.teaser.clone(),
            details: wanted.details.clone(),
            kind: wanted.kind.into(),
            amount: Some(wanted.amount),
            field: wanted.field.into(),
            stage: wanted.stage.into(),
            region: wanted.region.clone(),
        };
        let reply = financing.create_financing_project(acting(&self.broker, &wanted.key, input)).await?.into_inner();
        let financing_project_id = done(reply.financing_project, &reply.user_errors)?.id;
        if !wanted.publish {
            return Ok(());
        }
        let input = v1::PublishFinancingProjectInput { financing_project_id };
        let reply = financing.publish_financing_project(acting(&self.reviewer, &wanted.key, input)).await?.into_inner();
        done(reply.financing_project, &reply.user_errors).map(|_| ())
    }
}

/// The id of the organization that holds a code.
async fn organization(clients: &Clients, usci: &str) -> Result<String> {
    let wanted = v1::ListOrganizationsRequest { search: Some(usci.to_owned()), ..Default::default() };
    let asked = acting(&Actor::exchange(), "", wanted);
    let found = clients.identity.clone().list_organizations(asked).await?.into_inner().items;
    let found = found.into_iter().find(|found| found.usci == usci);
    Ok(found.map(|found| found.id).ok_or_else(|| format!("no organization holds the code {usci}"))?)
}

/// Signs somebody in. A code works once, so that an attempt before this one may have used the present one.
async fn sign_in(clients: &Clients, clock: &Clock, login: &str) -> Result<Actor> {
    let mut access = clients.access.clone();
    let authenticator = authenticator(login)?;
    let mut outcome = v1::SignInPayload::default();
    for late in [-1, 0, 1] {
        let at = clock.now().plus_millis(late * STEP_MILLIS);
        let code = authenticator.as_ref().map(|authenticator| authenticator.code(at));
        let input = v1::SignInInput { login: login.into(), password: DEMO_PASSWORD.into(), code };
        outcome = access.sign_in(Request::new(input)).await?.into_inner();
        if outcome.session.is_some() || authenticator.is_none() {
            break;
        }
    }
    let access_token =
        done(outcome.session, &outcome.user_errors).map_err(|error| format!("{login}: {error}"))?.access_token;
    let known = access.authenticate(Request::new(v1::AuthenticateRequest { access_token })).await?.into_inner();
    Ok(Actor::decode(known.actor.as_slice())?)
}

/// A request of somebody; a key makes it harmless to send again.
fn acting<T>(actor: &Actor, key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let key = Some(format!("jishi-demo/{key}")).filter(|_| !key.is_empty());
    actor.write(key.as_deref(), request.metadata_mut());
    request
}

fn done<T>(object: Option<T>, errors: &[Refusal]) -> Result<T> {
    object.ok_or_else(|| errors.first().map_or_else(|| "neither an object nor a refusal".into(), refused))
}

fn refused(refusal: &Refusal) -> Box<dyn std::error::Error + Send + Sync> {
    format!("{}: {} {}", Error::from(refusal.clone()), refusal.field.join("."), refusal.message_zh).into()
}
