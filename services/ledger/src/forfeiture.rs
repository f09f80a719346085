//! What a breach costs (SM-4, judicial 24): the defaulter's deposit leaves its hold for the exchange's account of
//! forfeited deposits, exactly once, and a cashier gives it out in the stated order.

use kernel::{Actor, Call, Context, Error, ErrorCode, Id, Instant, Money, Refusal, Result, Role, Scope, Transaction};
use serde_json::json;
use wire::{
    Clients,
    id::{DealId, ListingId, TransferApplicationId, TransferId},
    policy::{self, Of, Permission, permit},
    v1::{self, DealStatus, DepositStatus},
};

use crate::{
    accounts::Accounts,
    peers,
    release::{self, Held},
    rules::{book::Movement, breach::Breach, holder::Holder, waterfall::Portions},
    store::{
        self, HeldDeposit, Purpose,
        forfeiture::{self, Model},
    },
};

const FIELD: &str = "transferApplicationId";
const RESALE: &str = "resaleDealId";

/// How often a listing may have been offered again before it was sold.
const MOST_RELISTINGS: usize = 20;

/// Takes the deposit of the defaulter, if it is still on hold. If nobody follows, the other bidders' deposits go back;
/// those of an open licence answer for deals of their own.
pub async fn take(cx: &Context, tx: &Transaction, told: &v1::AwardDefaulted) -> Result<()> {
    let breach = Breach::read(told)?;
    let now = cx.clock.now();
    let deposit = store::deposit(tx, breach.application).await?;
    let is_held = deposit.as_ref().is_some_and(|deposit| deposit.status == DepositStatus::Held);
    let is_over = !breach.passed_on && deposit.is_some_and(|deposit| !deposit.open_licence);
    // The account is made only where there is something to put into it.
    let account = is_held.then_some(Holder::Forfeited(breach.application));
    let sides = (breach.listing, breach.transferor);
    let Held { mut opened, deposits } = release::lock(tx, sides, account.as_slice(), &[breach.entry()]).await?;
    let (own, mut others): (Vec<_>, Vec<_>) =
        deposits.into_iter().partition(|deposit| deposit.application == breach.application);
    others.retain(|deposit| is_over && !deposit.in_default);
    for deposit in &own {
        let credit = Holder::Forfeited(breach.application).account_id();
        opened.book.divert(deposit.transfer, breach.entry(), credit)?;
        opened.label(breach.entry(), Purpose::Forfeit, deposit.id.text());
    }
    for deposit in &others {
        opened.book.void(deposit.transfer)?;
    }
    opened.save(tx, now).await?;
    match own.first() {
        Some(deposit) => book(cx, tx, now, (&breach, deposit)).await?,
        None => ignore(cx, tx, now, &breach).await?,
    }
    if is_over {
        store::close_listing(tx, breach.listing).await?;
    }
    if others.is_empty() {
        return Ok(());
    }
    release::conclude(cx, tx, now, &others).await?;
    let listing_id = breach.listing.text();
    let released = v1::DepositsReleased { listing_id: listing_id.clone(), ..v1::DepositsReleased::default() };
    cx.announce(tx, now, &listing_id, &released).await
}

/// Notes the forfeiture and tells it.
async fn book(cx: &Context, tx: &Transaction, now: Instant, (breach, deposit): (&Breach, &HeldDeposit)) -> Result<()> {
    store::conclude_deposit(tx, deposit.id, DepositStatus::Forfeited).await?;
    forfeiture::add(tx, breach, deposit, now).await?;
    let facts = json!({
        "award": breach.award.text(),
        "organization": deposit.organization.text(),
        "amount": deposit.amount.to_string(),
        "transfer": breach.entry().text(),
    });
    cx.record(tx, now, &deposit.id.text(), ("ForfeitureBooked", facts)).await?;
    let told =
        v1::DepositForfeited { transfer_application_id: breach.application.text(), listing_id: breach.listing.text() };
    cx.announce(tx, now, &deposit.id.text(), &told).await
}

/// A breach that finds no deposit on hold moves nothing. One that was told before is done; any other is a matter for
/// people: the deal was settled already, or the deposit had gone back.
async fn ignore(cx: &Context, tx: &Transaction, now: Instant, breach: &Breach) -> Result<()> {
    let deposit = store::deposit(tx, breach.application).await?;
    let status = deposit.as_ref().map(|deposit| deposit.status);
    if status == Some(DepositStatus::Forfeited) {
        return Ok(());
    }
    let status = status.map_or("ABSENT", DepositStatus::stored);
    let (award, application) = (breach.award.text(), breach.application.text());
    tracing::error!(award, application, deposit = status, "a breach found no deposit on hold and was ignored");
    let facts = json!({ "award": award, "deposit": status });
    cx.record(tx, now, &application, ("DefaultIgnored", facts)).await
}

/// Gives a forfeited deposit out. The cashier belongs to neither side.
pub async fn distribute(call: &Call, clients: &Clients, input: v1::DistributeForfeitInput) -> Result<v1::Forfeiture> {
    let named = (input.transfer_application_id.as_str(), policy::DISTRIBUTE_FORFEIT);
    let row = decided_by(call, clients, named).await?;
    let costs = input.costs.ok_or_else(|| refusal(ErrorCode::Required, "costs"))?;
    let resale = match input.resale_deal_id.filter(|id| !id.is_empty()) {
        Some(id) => Some(resale_price(clients, &row, &id).await?),
        None => None,
    };
    give_out(call, row.transfer_application_id, costs, resale).await
}

/// A forfeiture that the caller may decide on: a cashier of the listing's centre who belongs to neither side.
pub async fn decided_by(
    call: &Call,
    clients: &Clients,
    (application, permission): (&str, Permission),
) -> Result<Model> {
    permit(&call.actor, permission, Of::default())?;
    let application = TransferApplicationId::parse(application, FIELD)?;
    let row = forfeiture::of(&call.tx, application).await?.ok_or_else(|| Error::not_found(FIELD))?;
    let listing = peers::listing(clients, &row.listing_id.text()).await?;
    permit(&call.actor, permission, Of::centre(&listing.centre_id, FIELD))?;
    if [row.organization_id, row.transferor_id].iter().any(|side| call.actor.is_member(&side.text())) {
        return Err(refusal(ErrorCode::SamePerson, FIELD).into());
    }
    Ok(row)
}

/// The price for which the same organization sold (or bought) the same lot, offered again or not, to (or from) somebody else.
async fn resale_price(clients: &Clients, row: &Model, id: &str) -> Result<Money> {
    let id = DealId::parse(id, RESALE)?;
    let deal = peers::deal(clients, &id.text()).await?.ok_or_else(|| Error::not_found(RESALE))?;
    let own = if row.reverse { &deal.transferee_id } else { &deal.transferor_id };
    let same_lot = *own == row.transferor_id.text()
        && deal.award_id != row.award_id.text()
        && offers_again(clients, deal.listing_id.clone(), &row.listing_id.text()).await?;
    if !same_lot {
        return Err(refusal(ErrorCode::InvalidInput, RESALE).into());
    }
    if deal.status() != DealStatus::Settled {
        let settled = DealStatus::Settled.stored();
        return Err(refusal(ErrorCode::IllegalTransition, RESALE).accepting(settled).into());
    }
    Ok(deal.price.unwrap_or_default())
}

/// Whether `listing` is `first`, or offers it again at whatever remove.
async fn offers_again(clients: &Clients, mut listing: String, first: &str) -> Result<bool> {
    for _ in 0..MOST_RELISTINGS {
        if listing == first {
            return Ok(true);
        }
        match peers::listing(clients, &listing).await?.relists_id {
            Some(before) => listing = before,
            None => return Ok(false),
        }
    }
    Ok(false)
}

fn refusal(code: ErrorCode, field: &str) -> Refusal {
    Refusal::new(code).at_field(field).by_rule("SM-4")
}

/// One step of the distribution, decided on the locked row and the locked accounts.
pub async fn give_out(
    call: &Call,
    application: TransferApplicationId,
    costs: Money,
    resale: Option<Money>,
) -> Result<v1::Forfeiture> {
    let row = forfeiture::locked(&call.tx, application).await?.ok_or_else(|| Error::not_found(FIELD))?;
    let portions = row.forfeit().portions(costs, resale)?;
    post(call, &row, &portions).await?;
    let row = forfeiture::advance(&call.tx, row, &portions, (&call.actor.person_id, call.now)).await?;
    let facts = json!({
        "costs": portions.costs_now.to_string(),
        "resalePrice": portions.resale_price.map(|price| price.to_string()),
        "gapPaid": portions.gap_paid.map(|gap| gap.to_string()),
        "status": row.status.stored(),
        "rule": "SM-4",
    });
    call.record("ForfeitureDistributed", &row.id.text(), facts).await?;
    row.shown(Vec::new())
}

/// The entries of one step: forfeited → fees, forfeited → transferor. Their ids are the forfeiture's, so that neither is
/// ever made twice.
async fn post(call: &Call, row: &Model, portions: &Portions) -> Result<()> {
    let from = Holder::Forfeited(row.transfer_application_id);
    let transferor = Holder::Organization(row.transferor_id);
    let steps = [
        ("costs", Purpose::ForfeitCosts, Holder::Fees, portions.costs_now),
        ("gap", Purpose::ForfeitGap, transferor, portions.gap_paid.unwrap_or_default()),
    ];
    let ids = steps.map(|(step, ..)| TransferId::derived(row.id.0, step));
    let mut opened = store::open(&call.tx, &[from, Holder::Fees, transferor], &ids).await?;
    for (id, (_, purpose, to, amount)) in ids.into_iter().zip(steps) {
        if amount > Money::ZERO {
            let movement = Movement { debit: from.account_id(), credit: to.account_id(), amount };
            opened.book.transact(id, movement)?;
            opened.label(id, purpose, row.id.text());
        }
    }
    opened.save(&call.tx, call.now).await
}

/// The forfeiture of an application's deposit, for the defaulter, the transferor, and the cashiers and auditors of the
/// listing's centre; to all others there is none (promise P-6).
pub async fn get(ledger: &Accounts, actor: &Actor, wanted: v1::GetForfeitureRequest) -> Result<v1::ForfeitureReply> {
    permit(actor, policy::FORFEITURE, Of::default())?;
    let application = TransferApplicationId::parse(&wanted.transfer_application_id, FIELD)?;
    let Some(row) = forfeiture::of(ledger.cx.db.read(), application).await? else {
        return Ok(v1::ForfeitureReply::default());
    };
    let own = [row.organization_id, row.transferor_id].iter().any(|side| actor.is_member(&side.text()));
    let seen = own || oversees(ledger, actor, row.listing_id).await?;
    if !seen {
        return Ok(v1::ForfeitureReply::default());
    }
    let debts = forfeiture::debts(ledger.cx.db.read(), row.id).await?;
    Ok(v1::ForfeitureReply { forfeiture: Some(row.shown(debts)?) })
}

async fn oversees(ledger: &Accounts, actor: &Actor, listing: ListingId) -> Result<bool> {
    match actor.scope(&[Role::Cashier, Role::Auditor]) {
        Scope::Everything => Ok(true),
        scope if scope.is_empty() => Ok(false),
        scope => Ok(scope.reaches(&peers::listing(&ledger.clients, &listing.text()).await?.centre_id)),
    }
}
