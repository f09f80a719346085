//! Recognition and registration (认定登记) of a signed contract.

use chrono::Datelike;
use kernel::{Call, Error, ErrorCode, Id, Refusal, Result, calendar::cst_date};
use serde_json::json;
use wire::{
    id::ContractId,
    policy::{self, Of, permit},
    v1::{self, ContractKind, ContractStatus, DealStatus},
};

use crate::{
    certificate::Certificate,
    contract::Amounts,
    number::{POINT, RegistrationNumber},
    sign::{advancing, require_unaltered, visible},
    store::{self, Dossier},
};

/// Registers the contract under the kind that the registrar recognizes. The content decides, not the title (解释 42), so
/// any kind is taken.
pub async fn register(call: &Call, input: v1::RegisterContractInput) -> Result<v1::Contract> {
    call.actor.require_known()?;
    let id = ContractId::parse(&input.contract_id, "contractId")?;
    let mut dossier = visible(call, id).await?;
    let centre = dossier.contract.centre_id.text();
    permit(&call.actor, policy::REGISTER_CONTRACT, Of::centre(&centre, "contractId"))?;
    require_outsider(call, &dossier)?;
    dossier.standing().require_registrable()?;
    let kind = ContractKind::try_from(input.kind)
        .map_err(|_| Error::from(Refusal::new(ErrorCode::InvalidInput).at_field("kind")))?;
    let deal = advancing(call, dossier.contract.deal_id, DealStatus::Registered).await?;
    let amounts = Amounts::check(deal.price, input.contract_amount, input.technical_amount)?;
    require_unaltered(&dossier)?;

    let row = issue(call, &dossier, kind, amounts).await?;
    store::add_registration(&call.tx, row.clone()).await?;
    store::move_contract(&call.tx, &dossier.contract, ContractStatus::Registered).await?;
    store::move_deal(&call.tx, &deal, DealStatus::Registered).await?;
    let facts = json!({
        "number": row.number,
        "kind": kind.stored(),
        "contractAmount": amounts.contract.to_string(),
        "technicalAmount": amounts.technical.to_string(),
        "hash": row.hash,
        "dealId": deal.id.text(),
    });
    call.record("ContractRegistered", &id.text(), facts).await?;
    dossier.contract.status = ContractStatus::Registered;
    dossier.registration = Some(row);
    Ok(dossier.into())
}

/// Who belongs to a side, or signed for one and has left it since, does not judge its contract.
fn require_outsider(call: &Call, dossier: &Dossier) -> Result<()> {
    let sides = [dossier.contract.transferor_id, dossier.contract.transferee_id];
    let belongs = sides.iter().any(|side| call.actor.is_member(&side.text()));
    let signed = dossier.signatures.iter().any(|made| made.signer_id == call.actor.person_id);
    if belongs || signed { Err(ErrorCode::SamePerson.into()) } else { Ok(()) }
}

/// Draws the number and writes the certificate. The year is the calendar's in China Standard Time.
async fn issue(
    call: &Call,
    dossier: &Dossier,
    kind: ContractKind,
    amounts: Amounts,
) -> Result<store::registration::Model> {
    let year = cst_date(call.now).year();
    let serial = store::next_serial(&call.tx, POINT, year).await?;
    let number = u32::try_from(year).ok().zip(u32::try_from(serial).ok());
    let number = number
        .and_then(|(year, serial)| RegistrationNumber::new(year, POINT, serial))
        .ok_or_else(|| Error::Internal(format!("serial {serial} of {year} fits no number")))?
        .to_string();
    let certificate = Certificate {
        number: &number,
        contract_id: &dossier.contract.id.text(),
        document_hash: &dossier.contract.document_hash,
        kind,
        contract_amount: amounts.contract,
        technical_amount: amounts.technical,
        registered_at: call.now,
    };
    let hash = certificate.hash();
    Ok(store::registration::Model {
        contract_id: dossier.contract.id,
        number,
        kind,
        contract_amount: amounts.contract,
        technical_amount: amounts.technical,
        registrar_id: call.actor.person_id.clone(),
        registered_at: call.now,
        hash,
    })
}
