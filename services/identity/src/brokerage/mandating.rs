//! Offering, taking and ending a mandate, and the commission's arrival.

use kernel::{Actor, Call, Context, Error, ErrorCode, Id, Refusal, Result, Role, text};
use serde_json::json;
use wire::{
    id::{MandateId, OrganizationId, PersonId},
    policy::{self, Of, Permission, permit},
    v1::{self, MandateStatus, OrganizationStatus},
};

use super::{credential, known, mandate, parse_ids, require_among};
use crate::{
    access::caller,
    store::{
        brokerage::{self, Mandate},
        member::roles_of,
    },
};

const FIELD: &str = "mandateId";

/// Offers a broker a mandate. The broker's own word makes it one, so nobody offers it to themselves.
pub async fn offer(call: &Call, input: v1::OfferMandateInput) -> Result<v1::Mandate> {
    let offerer = caller::signed_in(&call.actor)?;
    let principal_id = OrganizationId::parse(&input.principal_id, "principalId")?;
    let agency_id = OrganizationId::parse(&input.agency_id, "agencyId")?;
    let broker_id = PersonId::parse(&input.broker_id, "brokerId")?;
    permit(&call.actor, policy::OFFER_MANDATE, Of::organization(&input.principal_id, "principalId"))?;
    if principal_id == agency_id {
        return Err(Refusal::new(ErrorCode::OwnMandate).at_field("agencyId").by_rule("SM-11").into());
    }
    if broker_id == offerer {
        return Err(Refusal::new(ErrorCode::SamePerson).at_field("brokerId").into());
    }
    let agency = crate::store::organizations(&call.tx, &call.actor, vec![agency_id]).await?;
    let agency = agency.first().ok_or_else(|| Error::not_found("agencyId"))?;
    if agency.status != OrganizationStatus::Verified {
        return Err(Refusal::new(ErrorCode::OrganizationNotVerified).at_field("agencyId").into());
    }
    // A person who brokers elsewhere answers like one who does not exist (promise P-6).
    if !is_broker_of(call, broker_id, agency_id).await? {
        return Err(Error::not_found("brokerId"));
    }
    require_practising(call, broker_id, "brokerId").await?;
    let row = Mandate {
        id: MandateId::fresh(),
        principal_id,
        agency_id,
        broker_id,
        commission_basis_points: mandate::basis_points(input.commission_basis_points)?,
        expenses: text(&input.expenses, "expenses", 0, 500)?,
        valid_until: mandate::valid_until(input.valid_until, call.now)?,
        status: MandateStatus::Offered,
        listing_id: None,
        commission: None,
        bank_reference: None,
        created_at: call.now,
    };
    brokerage::insert_mandate(&call.tx, row.clone()).await?;
    let facts = json!({
        "principalId": input.principal_id, "agencyId": input.agency_id, "brokerId": input.broker_id,
        "commissionBasisPoints": row.commission_basis_points, "validUntil": row.valid_until,
    });
    call.record("MandateOffered", &row.id.text(), facts).await?;
    Ok(row.into())
}

/// Takes or declines a mandate. Taking it binds, so everything must still be as it was at the offer.
pub async fn answer(call: &Call, input: v1::AnswerMandateInput) -> Result<v1::Mandate> {
    let person = caller::signed_in(&call.actor)?;
    let row = visible(call, &input.mandate_id).await?;
    if row.broker_id != person {
        return Err(Refusal::new(ErrorCode::Forbidden).at_field(FIELD).accepting(row.broker_id.text()).into());
    }
    let (status, kind) = match input.accept {
        true => (MandateStatus::Active, "MandateTaken"),
        false => (MandateStatus::Declined, "MandateDeclined"),
    };
    require_among(mandate::next(row.status), status, MandateStatus::stored, FIELD)?;
    if input.accept {
        if row.valid_until <= call.now {
            return Err(Refusal::new(ErrorCode::PeriodOutOfRange).at_field(FIELD).by_rule("SM-11").into());
        }
        for side in [row.principal_id, row.agency_id] {
            if !brokerage::is_verified(&call.tx, side).await? {
                return Err(Refusal::new(ErrorCode::OrganizationNotVerified).at_field(FIELD).into());
            }
        }
        if !is_broker_of(call, person, row.agency_id).await? {
            return Err(Refusal::new(ErrorCode::Forbidden).at_field(FIELD).accepting("BROKER").into());
        }
        require_practising(call, person, FIELD).await?;
    }
    let row = brokerage::save_mandate(&call.tx, Mandate { status, ..row }).await?;
    call.record(kind, &row.id.text(), json!({ "principalId": row.principal_id.text() })).await?;
    Ok(row.into())
}

/// Ends a mandate of which no deal has come: nothing is owed (解释 38–41). Either side may.
pub async fn end(call: &Call, input: v1::EndMandateInput) -> Result<v1::Mandate> {
    let person = caller::signed_in(&call.actor)?;
    let row = visible(call, &input.mandate_id).await?;
    if row.broker_id != person {
        permit_side(&call.actor, policy::END_MANDATE, row.principal_id)?;
    }
    require_among(mandate::next(row.status), MandateStatus::Ended, MandateStatus::stored, FIELD)?;
    let reason = text(&input.reason, "reason", 2, 500)?;
    let facts = json!({ "from": row.status.stored(), "reason": reason });
    let row = brokerage::save_mandate(&call.tx, Mandate { status: MandateStatus::Ended, ..row }).await?;
    call.record("MandateEnded", &row.id.text(), facts).await?;
    Ok(row.into())
}

/// Confirms that the commission arrived. Who receives it says so, not who owes it.
pub async fn confirm_paid(call: &Call, input: v1::ConfirmCommissionPaidInput) -> Result<v1::Mandate> {
    caller::signed_in(&call.actor)?;
    let row = visible(call, &input.mandate_id).await?;
    permit_side(&call.actor, policy::CONFIRM_COMMISSION_PAID, row.agency_id)?;
    require_among(mandate::next(row.status), MandateStatus::Paid, MandateStatus::stored, FIELD)?;
    let reference = text(&input.bank_reference, "bankReference", 4, 64)?;
    let facts = json!({ "bankReference": reference, "commission": row.commission.map(|owed| owed.to_string()) });
    let paid = Mandate { status: MandateStatus::Paid, bank_reference: Some(reference), ..row };
    let row = brokerage::save_mandate(&call.tx, paid).await?;
    call.record("CommissionPaid", &row.id.text(), facts).await?;
    Ok(row.into())
}

/// The mandates among `ids` that the caller may see.
pub async fn mandates(cx: &Context, actor: &Actor, ids: v1::Ids) -> Result<v1::Mandates> {
    let rows = brokerage::mandates(cx.db.read(), actor, parse_ids(&ids.ids)?).await?;
    Ok(v1::Mandates { items: rows.into_iter().map(v1::Mandate::from).collect() })
}

/// The mandates that the caller may see, newest first.
pub async fn list(cx: &Context, actor: &Actor, wanted: v1::ListMandatesRequest) -> Result<v1::MandatePage> {
    actor.require_known()?;
    let paging = wanted.page.unwrap_or_default().newest_first::<MandateId>()?;
    let status = wanted.status.map(|status| known(status, "status")).transpose()?;
    let slice = brokerage::list_mandates(cx.db.read(), actor, status, paging).await?;
    let end = v1::PageEnd::from(&slice);
    Ok(v1::MandatePage { items: slice.items.into_iter().map(v1::Mandate::from).collect(), end: Some(end) })
}

/// The mandate, locked, if the caller may know of it.
async fn visible(call: &Call, id: &str) -> Result<Mandate> {
    let id = MandateId::parse(id, FIELD)?;
    brokerage::lock_visible_mandate(&call.tx, &call.actor, id).await?.ok_or_else(|| Error::not_found(FIELD))
}

/// Requires the permission on one side of a mandate. Whoever sees the mandate from elsewhere knows that it is there.
fn permit_side(actor: &Actor, permission: Permission, side: OrganizationId) -> Result<()> {
    let side = side.text();
    if actor.is_member(&side) {
        return permit(actor, permission, Of::organization(&side, FIELD));
    }
    Err(Refusal::new(ErrorCode::Forbidden).at_field(FIELD).into())
}

async fn require_practising(call: &Call, broker: PersonId, field: &str) -> Result<()> {
    if credential::is_practising(&call.tx, broker, call.now).await? {
        return Ok(());
    }
    Err(Refusal::new(ErrorCode::NotPractising).at_field(field).by_rule("SM-11").into())
}

/// Whether the person is a broker of the agency.
async fn is_broker_of(call: &Call, person: PersonId, agency: OrganizationId) -> Result<bool> {
    let roles = roles_of(&call.tx, person, agency).await?.unwrap_or_default();
    Ok(roles.contains(&Role::Broker))
}
