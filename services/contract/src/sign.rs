//! Signing a contract for one side.

use kernel::{Call, Error, Id, Result, Sight};
use serde_json::json;
use wire::{
    id::{ContractId, DealId, OrganizationId},
    policy::{self, Of, permit},
    v1::{self, ContractStatus, DealStatus},
};

use crate::{
    contract::Signing,
    deal,
    document::sha256_hex,
    store::{self, Dossier},
};

/// Puts one side's signature under the contract. The second one brings it into effect.
pub async fn sign(call: &Call, input: v1::SignContractInput) -> Result<v1::Contract> {
    call.actor.require_known()?;
    let id = ContractId::parse(&input.contract_id, "contractId")?;
    let side = OrganizationId::parse(&input.organization_id, "organizationId")?;
    let mut dossier = visible(call, id).await?;
    if ![dossier.contract.transferor_id, dossier.contract.transferee_id].contains(&side) {
        return Err(Error::not_found("organizationId"));
    }
    permit(&call.actor, policy::SIGN_CONTRACT, Of::organization(&side.text(), "organizationId"))?;
    let signing = Signing { side, signer: &call.actor.person_id, document_hash: &input.document_hash };
    let status = dossier.standing().sign(signing)?;
    require_unaltered(&dossier)?;

    let made = store::signature::Model {
        contract_id: id,
        organization_id: side,
        signer_id: call.actor.person_id.clone(),
        document_hash: input.document_hash.clone(),
        signed_at: call.now,
    };
    store::add_signature(&call.tx, made.clone()).await?;
    store::move_contract(&call.tx, &dossier.contract, status).await?;
    let facts =
        json!({ "organizationId": side.text(), "documentHash": input.document_hash, "status": status.stored() });
    call.record("ContractSignatureMade", &id.text(), facts).await?;
    dossier.signatures.push(made);
    dossier.contract.status = status;
    if status == ContractStatus::Signed {
        take_effect(call, &dossier).await?;
    }
    Ok(dossier.into())
}

/// The locked contract, if the caller may know of it.
pub async fn visible(call: &Call, id: ContractId) -> Result<Dossier> {
    let sight = Sight::of(&call.actor);
    store::lock_contract(&call.tx, id)
        .await?
        .filter(|Dossier { contract, .. }| {
            sight.covers(&[contract.transferor_id.0, contract.transferee_id.0], contract.centre_id.0)
        })
        .ok_or_else(|| Error::not_found("contractId"))
}

/// A text that no longer has its hash was changed behind the exchange's back (P-5): nobody signs or registers it.
pub fn require_unaltered(dossier: &Dossier) -> Result<()> {
    let contract = &dossier.contract;
    let hash = sha256_hex(&contract.document);
    if hash == contract.document_hash && dossier.signatures.iter().all(|made| made.document_hash == hash) {
        return Ok(());
    }
    Err(Error::Internal(format!("the document of {} was altered", contract.id)))
}

async fn take_effect(call: &Call, dossier: &Dossier) -> Result<()> {
    let contract = &dossier.contract;
    let deal = advancing(call, contract.deal_id, DealStatus::Signed).await?;
    store::move_deal(&call.tx, &deal, DealStatus::Signed).await?;
    let event = v1::ContractSigned {
        listing_id: deal.listing_id.text(),
        deal_id: deal.id.text(),
        contract_id: contract.id.text(),
        transfer_application_id: deal.transfer_application_id.text(),
    };
    call.announce(&contract.id.text(), &event).await
}

/// The locked deal of a locked contract, about to go to `to`. One that stands elsewhere is a broken invariant.
pub async fn advancing(call: &Call, id: DealId, to: DealStatus) -> Result<store::deal::Model> {
    let missing = || Error::Internal(format!("{id} is missing"));
    let deal = store::lock_deal(&call.tx, id).await?.ok_or_else(missing)?;
    if !deal::next(deal.status).contains(&to) {
        return Err(Error::Internal(format!("{id} is {}, its contract is not", deal.status.stored())));
    }
    Ok(deal)
}
