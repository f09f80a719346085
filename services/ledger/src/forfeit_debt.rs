//! What remains of a forfeited deposit once costs and price gap are paid: it pays other debts that the parties owe for the
//! lot (judicial 24, SM-4), in the order in which a second cashier names them, to the last fen.

use kernel::{Call, Error, ErrorCode, Id, Money, Refusal, Result, text};
use serde_json::json;
use wire::{
    Clients,
    id::{OrganizationId, TransferApplicationId, TransferId},
    policy,
    v1::{self, ForfeitureStatus},
};

use crate::{
    forfeiture as forfeit, peers,
    rules::{book::Movement, debt::Debt, holder::Holder, waterfall},
    store::{
        self, Purpose,
        forfeiture::{self, Model},
    },
};

const FIELD: &str = "transferApplicationId";

/// Most debts that one deposit pays.
const MOST: usize = 20;

/// Pays the debts, which together are all that remains. The cashier belongs to neither side, to no creditor, and is not who
/// gave out costs and gap.
pub async fn pay(call: &Call, clients: &Clients, input: v1::PayForfeitDebtsInput) -> Result<v1::Forfeiture> {
    let named = (input.transfer_application_id.as_str(), policy::PAY_FORFEIT_DEBTS);
    let row = forfeit::decided_by(call, clients, named).await?;
    let debts = read(&input.debts)?;
    for (n, debt) in debts.iter().enumerate() {
        require_creditor(call, clients, &row, (n, debt)).await?;
    }
    give_out(call, row.transfer_application_id, debts).await
}

fn read(given: &[v1::ForfeitDebtInput]) -> Result<Vec<Debt>> {
    if given.is_empty() || given.len() > MOST {
        return Err(refusal(ErrorCode::InvalidInput, "debts").accepting(format!("1–{MOST}")).into());
    }
    let read = |(n, debt): (usize, &v1::ForfeitDebtInput)| {
        let amount = debt.amount.filter(|amount| *amount > Money::ZERO);
        let refused = || refusal(ErrorCode::AmountOutOfRange, &field(n, "amount")).accepting("> 0.00");
        Ok(Debt {
            creditor: OrganizationId::parse(&debt.organization_id, &field(n, "organizationId"))?,
            amount: amount.ok_or_else(refused)?,
            ground: text(&debt.ground, &field(n, "ground"), 2, 200)?,
        })
    };
    given.iter().enumerate().map(read).collect()
}

/// The defaulter gets nothing back, and nobody decides on what its own organization gets.
async fn require_creditor(call: &Call, clients: &Clients, row: &Model, (n, debt): (usize, &Debt)) -> Result<()> {
    let (id, field) = (debt.creditor.text(), field(n, "organizationId"));
    if peers::organization(clients, &id).await?.is_none() {
        return Err(Error::not_found(&field));
    }
    if debt.creditor == row.organization_id {
        return Err(refusal(ErrorCode::InvalidInput, &field).into());
    }
    if call.actor.acts_for(&id) {
        return Err(refusal(ErrorCode::SamePerson, &field).into());
    }
    Ok(())
}

/// Decided on the locked row and the locked accounts.
pub async fn give_out(call: &Call, application: TransferApplicationId, debts: Vec<Debt>) -> Result<v1::Forfeiture> {
    let row = forfeiture::locked(&call.tx, application).await?.ok_or_else(|| Error::not_found(FIELD))?;
    waterfall::require_debts(row.status, row.remainder()?, debts.iter().map(|debt| debt.amount))?;
    if row.distributed_by.as_ref() == Some(&call.actor.person_id) {
        return Err(refusal(ErrorCode::SamePerson, FIELD).into());
    }
    post(call, &row, &debts).await?;
    let facts: Vec<_> = debts
        .iter()
        .map(|debt| json!({ "organization": debt.creditor.text(), "amount": debt.amount.to_string(), "ground": debt.ground }))
        .collect();
    let facts = json!({ "debts": facts, "status": ForfeitureStatus::Closed.stored(), "rule": "SM-4" });
    let row = forfeiture::close(&call.tx, row, &debts, call.now).await?;
    call.record("ForfeitDebtsPaid", &row.id.text(), facts).await?;
    row.shown(debts)
}

/// One entry a debt: forfeited → creditor. Their ids are the forfeiture's, so that none is ever made twice.
async fn post(call: &Call, row: &Model, debts: &[Debt]) -> Result<()> {
    let from = Holder::Forfeited(row.transfer_application_id);
    let entry = |n: usize| TransferId::derived(row.id.0, &format!("debt {n}"));
    let creditors = debts.iter().map(|debt| Holder::Organization(debt.creditor));
    let holders: Vec<_> = std::iter::once(from).chain(creditors).collect();
    let ids: Vec<_> = (1..=debts.len()).map(entry).collect();
    let mut opened = store::open(&call.tx, &holders, &ids).await?;
    for (id, debt) in ids.into_iter().zip(debts) {
        let to = Holder::Organization(debt.creditor);
        let movement = Movement { debit: from.account_id(), credit: to.account_id(), amount: debt.amount };
        opened.book.transact(id, movement)?;
        opened.label(id, Purpose::ForfeitDebt, row.id.text());
    }
    opened.save(&call.tx, call.now).await
}

fn field(n: usize, name: &str) -> String {
    format!("debts.{n}.{name}")
}

fn refusal(code: ErrorCode, field: &str) -> Refusal {
    Refusal::new(code).at_field(field).by_rule("SM-4")
}
