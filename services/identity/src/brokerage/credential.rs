//! A broker's credential: shown by the broker, checked by the centre, good until it expires (SM-11).

use std::collections::HashMap;

use kernel::{Actor, Call, Context, Error, ErrorCode, Id, Instant, Refusal, Result, text};
use sea_orm::ConnectionTrait;
use serde_json::json;
use wire::{
    id::{BrokerCredentialId, OrganizationId, PersonId},
    policy::{self, Of, permit},
    v1::{self, CredentialStatus},
};

use super::{known, parse_ids, require_among};
use crate::{access::caller, store::brokerage};

/// The statuses that may follow.
pub fn next(status: CredentialStatus) -> &'static [CredentialStatus] {
    use CredentialStatus::{Applicant, Certified, Rejected, Revoked, Suspended};
    match status {
        Applicant => &[Certified, Rejected],
        Certified => &[Suspended, Revoked],
        Suspended => &[Certified, Revoked],
        Rejected | Revoked => &[],
    }
}

/// Whether a credential entitles its holder at `now`: certified, and in date.
pub fn practising(status: CredentialStatus, issued_at: Instant, expires_at: Instant, now: Instant) -> bool {
    status == CredentialStatus::Certified && issued_at <= now && now < expires_at
}

/// Whether the person may broker at `now`.
pub async fn is_practising(db: &impl ConnectionTrait, person: PersonId, now: Instant) -> Result<bool> {
    let rows = brokerage::credentials_of(db, person).await?;
    Ok(rows.iter().any(|row| practising(row.status, row.issued_at, row.expires_at, now)))
}

/// When a credential was issued and when it expires: it was issued already, and has not expired.
fn period(issued_at: Option<Instant>, expires_at: Option<Instant>, now: Instant) -> Result<(Instant, Instant)> {
    let required = |field: &str| Error::from(Refusal::new(ErrorCode::Required).at_field(field));
    let refused = |field: &str| Refusal::new(ErrorCode::PeriodOutOfRange).at_field(field).by_rule("SM-11");
    let issued_at = issued_at.ok_or_else(|| required("issuedAt"))?;
    let expires_at = expires_at.ok_or_else(|| required("expiresAt"))?;
    if issued_at > now {
        return Err(refused("issuedAt").accepting(format!("≤ {now}")).into());
    }
    if expires_at <= now {
        return Err(refused("expiresAt").accepting(format!("> {now}")).into());
    }
    Ok((issued_at, expires_at))
}

/// Shows a credential to the exchange. The organization's own people only: who brokers for it under a mandate works
/// elsewhere.
pub async fn register(call: &Call, input: v1::RegisterBrokerCredentialInput) -> Result<v1::BrokerCredential> {
    let person_id = caller::signed_in(&call.actor)?;
    let organization_id = OrganizationId::parse(&input.organization_id, "organizationId")?;
    if !call.actor.is_member(&input.organization_id) {
        return Err(Error::not_found("organizationId"));
    }
    let of = Of::organization(&input.organization_id, "organizationId");
    permit(&call.actor, policy::REGISTER_BROKER_CREDENTIAL, of)?;
    let (issued_at, expires_at) = period(input.issued_at, input.expires_at, call.now)?;
    let row = brokerage::credential::Model {
        id: BrokerCredentialId::fresh(),
        person_id,
        organization_id,
        level: known(input.level, "level")?,
        number: text(&input.number, "number", 4, 64)?,
        issuer: text(&input.issuer, "issuer", 2, 100)?,
        issued_at,
        expires_at,
        status: CredentialStatus::Applicant,
    };
    if !brokerage::insert_credential(&call.tx, row.clone()).await? {
        return Err(Refusal::new(ErrorCode::AlreadyExists).at_field("number").into());
    }
    let facts = json!({
        // Not the number: the trail outlives the erasure of a person's data.
        "level": row.level.stored(), "issuer": row.issuer, "expiresAt": expires_at,
        "organizationId": input.organization_id,
    });
    call.record("BrokerCredentialRegistered", &row.id.text(), facts).await?;
    told(&call.tx, row, call.now).await
}

/// Certifies, rejects, suspends or revokes. Nobody judges a credential of their own or of their own house.
pub async fn review(call: &Call, input: v1::ReviewBrokerCredentialInput) -> Result<v1::BrokerCredential> {
    const FIELD: &str = "brokerCredentialId";
    let reviewer = caller::signed_in(&call.actor)?;
    let id = BrokerCredentialId::parse(&input.broker_credential_id, FIELD)?;
    let found = brokerage::lock_credential(&call.tx, &call.actor, id).await?;
    let mut row = found.ok_or_else(|| Error::not_found(FIELD))?;
    let centre = brokerage::centre_of(&call.tx, row.organization_id).await?;
    permit(&call.actor, policy::REVIEW_BROKER_CREDENTIAL, Of::centre(&centre.text(), FIELD))?;
    if row.person_id == reviewer || call.actor.is_member(&row.organization_id.text()) {
        return Err(Refusal::new(ErrorCode::SamePerson).at_field(FIELD).into());
    }
    let status: CredentialStatus = known(input.status, "status")?;
    require_among(next(row.status), status, CredentialStatus::stored, "status")?;
    let evidence = text(&input.evidence, "evidence", 2, 1_000)?;
    brokerage::set_credential_status(&call.tx, id, status).await?;
    let facts = json!({ "from": row.status.stored(), "to": status.stored(), "evidence": evidence });
    row.status = status;
    call.record("BrokerCredentialReviewed", &id.text(), facts).await?;
    told(&call.tx, row, call.now).await
}

/// The credentials among `ids` that the caller may see.
pub async fn credentials(cx: &Context, actor: &Actor, ids: v1::Ids) -> Result<v1::BrokerCredentials> {
    let rows = brokerage::credentials(cx.db.read(), actor, parse_ids(&ids.ids)?).await?;
    Ok(v1::BrokerCredentials { items: all_told(cx.db.read(), rows, cx.clock.now()).await? })
}

/// The credentials that the caller may see, newest first.
pub async fn list(
    cx: &Context,
    actor: &Actor,
    wanted: v1::ListBrokerCredentialsRequest,
) -> Result<v1::BrokerCredentialPage> {
    let own = match actor.is_exchange() {
        true => None,
        false => Some(caller::signed_in(actor)?).filter(|_| wanted.own),
    };
    let paging = wanted.page.unwrap_or_default().newest_first::<BrokerCredentialId>()?;
    let status = wanted.status.map(|status| known(status, "status")).transpose()?;
    let slice = brokerage::list_credentials(cx.db.read(), actor, (own, status), paging).await?;
    let end = v1::PageEnd::from(&slice);
    Ok(v1::BrokerCredentialPage { items: all_told(cx.db.read(), slice.items, cx.clock.now()).await?, end: Some(end) })
}

async fn told(
    db: &impl ConnectionTrait,
    row: brokerage::credential::Model,
    now: Instant,
) -> Result<v1::BrokerCredential> {
    let centre = brokerage::centre_of(db, row.organization_id).await?;
    Ok(tell(row, centre, now))
}

async fn all_told(
    db: &impl ConnectionTrait,
    rows: Vec<brokerage::credential::Model>,
    now: Instant,
) -> Result<Vec<v1::BrokerCredential>> {
    let organizations = rows.iter().map(|row| row.organization_id);
    let centres: HashMap<_, _> = brokerage::centres_of(db, organizations).await?.into_iter().collect();
    // Every organization has a centre; one that was lost on the way shows as its own.
    let centre = |row: &brokerage::credential::Model| centres.get(&row.organization_id).copied();
    Ok(rows
        .into_iter()
        .map(|row| {
            let centre = centre(&row).unwrap_or(row.organization_id);
            tell(row, centre, now)
        })
        .collect())
}

fn tell(row: brokerage::credential::Model, centre: OrganizationId, now: Instant) -> v1::BrokerCredential {
    v1::BrokerCredential {
        id: row.id.text(),
        person_id: row.person_id.text(),
        level: row.level.into(),
        number: row.number,
        issuer: row.issuer,
        issued_at: Some(row.issued_at),
        expires_at: Some(row.expires_at),
        status: row.status.into(),
        practising: practising(row.status, row.issued_at, row.expires_at, now),
        available_transitions: next(row.status).iter().map(|status| (*status).into()).collect(),
        centre_id: centre.text(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [CredentialStatus; 5] = [
        CredentialStatus::Applicant,
        CredentialStatus::Certified,
        CredentialStatus::Suspended,
        CredentialStatus::Revoked,
        CredentialStatus::Rejected,
    ];

    #[test]
    fn brokerage_credentials_walk_their_table() {
        use CredentialStatus::{Applicant, Certified, Rejected, Revoked, Suspended};
        let legal = [
            (Applicant, Certified),
            (Applicant, Rejected),
            (Certified, Suspended),
            (Certified, Revoked),
            (Suspended, Certified),
            (Suspended, Revoked),
        ];
        for from in ALL {
            for to in ALL {
                let outcome = require_among(next(from), to, CredentialStatus::stored, "status");
                assert_eq!(outcome.is_ok(), legal.contains(&(from, to)), "{from:?} → {to:?}");
            }
        }
    }

    #[test]
    fn brokerage_takes_a_certificate_in_date() {
        let (issued, expires) = (Instant(1_000), Instant(2_000));
        for status in ALL {
            for (now, in_date) in [(999, false), (1_000, true), (1_999, true), (2_000, false)] {
                let expected = in_date && status == CredentialStatus::Certified;
                assert_eq!(practising(status, issued, expires, Instant(now)), expected, "{status:?} at {now}");
            }
        }
    }

    #[test]
    fn brokerage_credentials_have_a_period_around_now() {
        let at = |issued: i64, expires: i64| period(Some(Instant(issued)), Some(Instant(expires)), Instant(1_000));
        assert!(at(1_000, 1_001).is_ok());
        for (issued, expires) in [(1_001, 2_000), (500, 1_000), (2_000, 1_500)] {
            assert_eq!(at(issued, expires).unwrap_err().code(), ErrorCode::PeriodOutOfRange, "{issued}–{expires}");
        }
        assert_eq!(period(None, Some(Instant(2_000)), Instant(1_000)).unwrap_err().code(), ErrorCode::Required);
    }
}
