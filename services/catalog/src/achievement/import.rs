//! Takes in achievements from elsewhere, and drafts listings from them where asked.

use std::collections::HashMap;

use kernel::{Actor, Call, Context, Error, ErrorCode, Id, Instant, Peer, Refusal, Result};
use serde_json::json;
use wire::{
    id::{AchievementId, ListingId, OrganizationId},
    policy::{self, Of, permit},
    v1::{self, identity_client::IdentityClient},
};

use crate::{
    achievement::import_record::{Fit, Offer, Origin, judge},
    listing::{
        announced_bidding,
        draft::{Draft, facts, limits},
        terms::{Limits, Notice},
        transferor::{self, Transferor},
    },
    sight::concerning,
    store::{self, Achievement, Listing},
};

/// The author of imported drafts: nobody in person, so that anyone of the transferor may hand them in.
const AUTHOR: &str = "import";

/// Imports one batch: each record is judged on its own, what is fit goes in together. A record known by
/// its (source, source_id) changes nothing, so a batch may be sent again.
pub async fn import(
    cx: &Context,
    identity: IdentityClient<Peer>,
    actor: Actor,
    request: v1::ImportRequest,
) -> Result<v1::ImportReply> {
    actor.require_known()?;
    let organization = OrganizationId::parse(&request.organization_id, "organizationId")?;
    if !actor.is_exchange() {
        // Whoever may list one by one may list many; a mandate is for one listing only (SM-11).
        let own = Of::organization(&request.organization_id, "organizationId");
        permit(&concerning(&actor, None), policy::CREATE_LISTING, own)?;
    }
    if !(1..=500).contains(&request.records.len()) {
        return Err(Refusal::new(ErrorCode::InvalidInput).at_field("records").accepting("1–500").into());
    }
    let transferor = transferor::ask(identity, organization).await?;
    if !transferor.verified {
        return Err(Refusal::new(ErrorCode::OrganizationNotVerified).at_field("organizationId").into());
    }
    let call = Call { cx: cx.clone(), tx: cx.db.begin().await?, actor, now: cx.clock.now() };
    let reply = take_in(&call, &transferor, request.records).await?;
    call.tx.commit().await.map_err(|error| Error::Unavailable(format!("commit: {error}")))?;
    cx.committed.notify_one();
    Ok(reply)
}

async fn take_in(call: &Call, transferor: &Transferor, records: Vec<v1::ImportRecord>) -> Result<v1::ImportReply> {
    let organization = transferor.id;
    let judged = judge_each(records, &limits(call)?)?;
    let fit = || judged.iter().flatten();
    let rows: Result<Vec<_>> = fit().map(|(id, fit)| achievement(*id, organization, fit, call.now)).collect();
    store::insert_achievements(&call.tx, rows?).await?;

    let origins: Vec<Origin> = fit().map(|(_, fit)| fit.origin.clone()).collect();
    let stored = stored_by_origin(call, &origins).await?;
    let mut drafts: Vec<Listing> = Vec::new();
    for (id, fit) in fit() {
        // Ours went in only if the origin leads to our id: neither known before nor twice in this batch.
        let offer = fit.offer.as_ref().filter(|_| stored.get(&fit.origin).is_some_and(|found| found.id == *id));
        if let Some(offer) = offer {
            drafts.push(draft(call, *id, transferor, (fit, offer))?);
        }
    }
    store::insert_listings(&call.tx, drafts.clone()).await?;
    for row in &drafts {
        call.record("ListingCreated", &row.id.text(), facts(row)).await?;
    }
    let outcomes = outcomes(call, organization, &judged, &stored).await?;
    let created = outcomes.iter().filter(|outcome| outcome.created).map(|outcome| &outcome.achievement_id);
    call.record("AchievementsImported", &organization.text(), json!({ "created": created.collect::<Vec<_>>() }))
        .await?;
    Ok(v1::ImportReply { outcomes })
}

/// A record that is fit, with the id that it gets if it is new; or why it is not.
type Judged = Result<(AchievementId, Fit), Refusal>;

/// Judges every record; a fault, unlike a refusal, ends the batch.
fn judge_each(records: Vec<v1::ImportRecord>, limits: &Limits<'_>) -> Result<Vec<Judged>> {
    let judged = records.into_iter().map(|record| match judge(record, limits) {
        Ok(fit) => Ok(Ok((AchievementId::fresh(), fit))),
        Err(Error::Refused(refusal)) => Ok(Err(*refusal)),
        Err(fault) => Err(fault),
    });
    judged.collect()
}

type ByOrigin = HashMap<Origin, Achievement>;

async fn stored_by_origin(call: &Call, origins: &[Origin]) -> Result<ByOrigin> {
    let found = store::achievements_from(&call.tx, origins).await?;
    let origin = |row: &Achievement| Some(Origin { source: row.source.clone()?, source_id: row.source_id.clone()? });
    Ok(found.into_iter().filter_map(|row| Some((origin(&row)?, row))).collect())
}

/// One outcome a record, in order. An earlier listing is named only to the organization that has it.
async fn outcomes(
    call: &Call,
    organization: OrganizationId,
    judged: &[Judged],
    stored: &ByOrigin,
) -> Result<Vec<v1::ImportOutcome>> {
    let own = stored.values().filter(|row| row.organization_id == organization).map(|row| row.id).collect();
    let mut listed: HashMap<AchievementId, String> = HashMap::new();
    for row in store::listings_of(&call.tx, own).await? {
        if let Some(achievement) = row.achievement_id {
            listed.entry(achievement).or_insert_with(|| row.id.text());
        }
    }
    let outcome = |judged: &Judged| match judged {
        Err(refusal) => Ok(v1::ImportOutcome { refusal: Some(refusal.clone()), ..Default::default() }),
        Ok((id, fit)) => {
            let found =
                stored.get(&fit.origin).ok_or_else(|| Error::Internal("an imported record is missing".into()))?;
            Ok(v1::ImportOutcome {
                created: found.id == *id,
                refusal: None,
                achievement_id: found.id.text(),
                listing_id: listed.get(&found.id).cloned(),
            })
        }
    };
    judged.iter().map(outcome).collect()
}

fn achievement(id: AchievementId, organization_id: OrganizationId, fit: &Fit, now: Instant) -> Result<Achievement> {
    Ok(Achievement {
        id,
        organization_id,
        title: fit.title.clone(),
        summary: fit.summary.clone(),
        keywords: serde_json::to_string(&fit.keywords).map_err(|error| Error::Internal(error.to_string()))?,
        field: fit.field,
        stage: fit.stage,
        ip_kind: fit.ip_kind,
        ip_number: fit.ip_number.clone(),
        ip_expires_on: fit.ip_expires_on.clone(),
        owner: fit.owner.clone(),
        source: Some(fit.origin.source.clone()),
        source_id: Some(fit.origin.source_id.clone()),
        created_at: now,
    })
}

fn draft(
    call: &Call,
    achievement_id: AchievementId,
    transferor: &Transferor,
    (fit, offer): (&Fit, &Offer),
) -> Result<Listing> {
    let (id, terms) = (ListingId::fresh(), offer.terms);
    let (sale_method, conversion_mode) = (v1::SaleMethod::OnlineBidding, v1::ConversionMode::Transfer);
    let notice = Notice { terms, sale_method, conversion_mode };
    let bidding = announced_bidding::settle(call, id, None, &notice)?;
    let draft = Draft {
        id,
        organization_id: transferor.id,
        centre_id: transferor.centre_id,
        mandate_id: None,
        achievement_id: Some(achievement_id),
        title: fit.title.clone(),
        summary: fit.summary.clone(),
        field: offer.field,
        stage: offer.stage,
        region: transferor.region.clone(),
        notice,
        bidding,
        author_id: AUTHOR.into(),
    };
    Ok(draft.listing(call.now))
}
