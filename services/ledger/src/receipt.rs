//! Money that arrived at the bank.

use kernel::{Call, Error, ErrorCode, Id, Instant, Money, Refusal, Result};
use serde_json::json;
use wire::{
    Clients,
    id::{BankReceiptId, OrganizationId, TransferId},
    policy::{self, Of, permit},
    v1,
};

use crate::{
    peers,
    rules::{arrival::Arrival, book::Movement, holder::Holder},
    store::{self, Purpose},
};

/// No single receipt is larger: ten trillion yuan. It keeps every sum far from the limits of money.
const LARGEST: Money = Money(1_000_000_000_000_000);

/// Records a receipt and credits its payer.
pub async fn record(call: &Call, clients: &Clients, input: v1::RecordBankReceiptInput) -> Result<v1::BankReceipt> {
    permit(&call.actor, policy::RECORD_BANK_RECEIPT, Of::default())?;
    let id = OrganizationId::parse(&input.organization_id, "organizationId")?;
    let organization = peers::organization(clients, &id.text()).await?;
    let organization = organization.ok_or_else(|| Error::not_found("organizationId"))?;
    permit(&call.actor, policy::RECORD_BANK_RECEIPT, Of::centre(&organization.centre_id, "organizationId"))?;
    if organization.status() != v1::OrganizationStatus::Verified {
        return Err(Refusal::new(ErrorCode::OrganizationNotVerified).at_field("organizationId").into());
    }
    post(call, Arrival::read(input, call.now)?).await
}

impl Arrival {
    /// Checks everything that needs no other service.
    fn read(input: v1::RecordBankReceiptInput, now: Instant) -> Result<Arrival> {
        let organization = OrganizationId::parse(&input.organization_id, "organizationId")?;
        let required = |field| Error::from(Refusal::new(ErrorCode::Required).at_field(field));
        let amount = input.amount.ok_or_else(|| required("amount"))?;
        if amount <= Money::ZERO || amount > LARGEST {
            let range = format!("0.01–{LARGEST}");
            return Err(Refusal::new(ErrorCode::AmountOutOfRange).at_field("amount").accepting(range).into());
        }
        let bank_reference = kernel::text(&input.bank_reference, "bankReference", 4, 64)?;
        if bank_reference.chars().any(char::is_control) {
            return Err(Refusal::new(ErrorCode::TextUnsafe).at_field("bankReference").into());
        }
        let received_at = input.received_at.ok_or_else(|| required("receivedAt"))?;
        if received_at > now {
            let latest = format!("≤ {now}");
            return Err(Refusal::new(ErrorCode::InvalidInput).at_field("receivedAt").accepting(latest).into());
        }
        Ok(Arrival { organization, amount, bank_reference, received_at })
    }
}

/// Posts BANK → ORGANIZATION. The bank's number is unique: one movement is credited once.
pub async fn post(call: &Call, arrival: Arrival) -> Result<v1::BankReceipt> {
    let id = BankReceiptId::fresh();
    let cashier = &call.actor.person_id;
    let Some(receipt) = store::add_receipt(&call.tx, id, &arrival, call.now, cashier).await? else {
        return Err(Refusal::new(ErrorCode::DuplicateReceipt).at_field("bankReference").into());
    };
    let payer = Holder::Organization(arrival.organization);
    let mut opened = store::open(&call.tx, &[Holder::Bank, payer], &[]).await?;
    let movement = Movement { debit: Holder::Bank.account_id(), credit: payer.account_id(), amount: arrival.amount };
    let transfer = TransferId::derived(id.0, "receipt");
    opened.book.transact(transfer, movement)?;
    opened.label(transfer, Purpose::BankReceipt, id.text());
    opened.save(&call.tx, call.now).await?;
    let facts = json!({
        "organization": receipt.organization_id,
        "amount": arrival.amount.to_string(),
        "bankReference": arrival.bank_reference,
        "receivedAt": arrival.received_at.to_string(),
        "transfer": transfer.text(),
    });
    call.record("BankReceiptRecorded", &receipt.id, facts).await?;
    Ok(receipt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_checked_field_by_field() {
        let now = Instant(1_000);
        let good = v1::RecordBankReceiptInput {
            organization_id: OrganizationId::fresh().text(),
            amount: Some(Money(1)),
            bank_reference: " 工行0001 ".into(),
            received_at: Some(now),
        };
        assert_eq!(Arrival::read(good.clone(), now).unwrap().bank_reference, "工行0001");
        assert!(Arrival::read(v1::RecordBankReceiptInput { amount: Some(LARGEST), ..good.clone() }, now).is_ok());
        for (bad, code) in [
            (v1::RecordBankReceiptInput { organization_id: "x".into(), ..good.clone() }, ErrorCode::InvalidId),
            (v1::RecordBankReceiptInput { amount: None, ..good.clone() }, ErrorCode::Required),
            (v1::RecordBankReceiptInput { amount: Some(Money(0)), ..good.clone() }, ErrorCode::AmountOutOfRange),
            (v1::RecordBankReceiptInput { amount: Some(Money(-1)), ..good.clone() }, ErrorCode::AmountOutOfRange),
            (
                v1::RecordBankReceiptInput { amount: Some(Money(LARGEST.0 + 1)), ..good.clone() },
                ErrorCode::AmountOutOfRange,
            ),
            (v1::RecordBankReceiptInput { bank_reference: "123".into(), ..good.clone() }, ErrorCode::Required),
            (v1::RecordBankReceiptInput { bank_reference: "x".repeat(65), ..good.clone() }, ErrorCode::TextTooLong),
            (v1::RecordBankReceiptInput { bank_reference: "12\n34".into(), ..good.clone() }, ErrorCode::TextUnsafe),
            (v1::RecordBankReceiptInput { received_at: None, ..good.clone() }, ErrorCode::Required),
            (v1::RecordBankReceiptInput { received_at: Some(Instant(1_001)), ..good }, ErrorCode::InvalidInput),
        ] {
            assert_eq!(Arrival::read(bad.clone(), now).unwrap_err().code(), code, "{bad:?}");
        }
    }
}
