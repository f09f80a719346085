//! The money side of a deal, in one transaction (SM-5b): the winner's deposit and the rest of the price
//! reach the transferor, the fee is withheld, every other deposit of the listing is released.

use kernel::{Call, Context, Error, ErrorCode, Id, Instant, Money, Refusal, Result};
use serde_json::{Value, json};
use wire::{
    Clients,
    id::{DealId, ListingId, OrganizationId, SettlementId, TransferApplicationId, TransferId},
    policy::{self, Of, permit},
    v1::{self, DealStatus, DepositStatus},
};

use crate::{
    peers,
    rules::{
        book::Movement,
        deal::{Agreed, Sums},
        fee::FeeRate,
        holder::Holder,
    },
    store::{self, HeldDeposit, OpenBook, Purpose, deal_end},
};

const FIELD: &str = "dealId";

impl Agreed {
    /// The one settlement of this deal.
    pub fn settlement_id(&self) -> SettlementId {
        SettlementId::derived(self.deal.0, "settlement")
    }

    /// Whether the deposit is a part of the price: the winner's, unless it is the winner who is paid.
    fn applies(&self, deposit: &HeldDeposit) -> bool {
        deposit.application == self.application && deposit.organization != self.transferor
    }

    fn step(&self, step: &str) -> TransferId {
        TransferId::derived(self.settlement_id().0, step)
    }
}

/// Settles a deal whose contract is registered. The cashier belongs to neither party.
pub async fn settle(call: &Call, clients: &Clients, input: v1::SettleInput) -> Result<v1::Settlement> {
    permit(&call.actor, policy::SETTLE, Of::default())?;
    let id = DealId::parse(&input.deal_id, FIELD)?;
    let deal = peers::deal(clients, &id.text()).await?.ok_or_else(|| Error::not_found(FIELD))?;
    permit(&call.actor, policy::SETTLE, Of::centre(&deal.centre_id, FIELD))?;
    if [&deal.transferor_id, &deal.transferee_id].into_iter().any(|party| call.actor.is_member(party)) {
        return Err(refusal(ErrorCode::SamePerson));
    }
    match deal.status() {
        DealStatus::Registered => {}
        DealStatus::Settled => return Err(refusal(ErrorCode::AlreadySettled)),
        DealStatus::Cancelled => return Err(refusal(ErrorCode::DealCancelled)),
        DealStatus::Drafted | DealStatus::Signed => return Err(refusal(ErrorCode::ContractNotRegistered)),
    }
    let agreed = Agreed {
        deal: id,
        listing: ListingId::parse(&deal.listing_id, FIELD)?,
        application: TransferApplicationId::parse(&deal.transfer_application_id, FIELD)?,
        transferor: OrganizationId::parse(&deal.transferor_id, FIELD)?,
        transferee: OrganizationId::parse(&deal.transferee_id, FIELD)?,
        price: deal.price.unwrap_or_default(),
        effective_at: peers::contract_effective_at(clients, &deal.contract_id).await?,
        open_licence: peers::is_open_licence(&peers::listing(clients, &deal.listing_id).await?),
    };
    post(call, agreed).await
}

fn refusal(code: ErrorCode) -> Error {
    Refusal::new(code).at_field(FIELD).by_rule("SM-5b").into()
}

/// Decides on locked accounts and saves; a second settlement of the deal finds the first.
pub async fn post(call: &Call, agreed: Agreed) -> Result<v1::Settlement> {
    let fee = rate(&call.cx, call.now)?.of(agreed.price)?;
    let (mut opened, deposits) = open(call, &agreed).await?;
    let sums = enter(&mut opened, &agreed, &deposits, fee)?;
    opened.save(&call.tx, call.now).await?;
    for deposit in &deposits {
        conclude(call, &agreed, deposit, sums.deposit_applied).await?;
    }
    let Some(settlement) = store::add_settlement(&call.tx, &agreed, sums, call.now).await? else {
        return Err(refusal(ErrorCode::AlreadySettled));
    };
    call.record("SettlementPosted", &settlement.id, facts(&call.cx, &agreed, sums, call.now)).await?;
    let settled = v1::DealSettled {
        deal_id: agreed.deal.text(),
        listing_id: agreed.listing.text(),
        transfer_application_id: agreed.application.text(),
    };
    call.announce(&settled.deal_id, &settled).await?;
    Ok(settlement)
}

/// The deposits that the settlement resolves: all of the listing, or the one of this acceptor.
async fn held(call: &Call, agreed: &Agreed) -> Result<Vec<HeldDeposit>> {
    let mut held = store::held_deposits(&call.tx, agreed.listing).await?;
    held.retain(|deposit| !agreed.open_licence || deposit.application == agreed.application);
    held.retain(|deposit| !deposit.in_default);
    Ok(held)
}

/// Locks the accounts of the parties, of FEES and of every bidder with a deposit to resolve.
async fn open(call: &Call, agreed: &Agreed) -> Result<(OpenBook, Vec<HeldDeposit>)> {
    let before = held(call, agreed).await?;
    let mut holders = vec![Holder::Fees];
    let parties = [agreed.transferor, agreed.transferee].into_iter();
    holders.extend(parties.chain(before.iter().map(|deposit| deposit.organization)).map(Holder::Organization));
    let mut transfers = vec![agreed.step("price"), agreed.step("fee")];
    transfers.extend(before.iter().map(|deposit| deposit.transfer));
    let opened = store::open(&call.tx, &holders, &transfers).await?;
    // Deposits are made and released under a lock of the transferor's account, which we hold only now: what
    // was read before it may be stale, what is read after it is not.
    if store::is_settled(&call.tx, agreed).await? {
        return Err(refusal(ErrorCode::AlreadySettled));
    }
    // The default may be here before it has reached the deal.
    let deposit = store::deposit(&call.tx, agreed.application).await?;
    if deposit.is_some_and(|deposit| deposit.status == DepositStatus::Forfeited) {
        return Err(refusal(ErrorCode::DealCancelled));
    }
    // Whoever declares the default says so here before the lot passes on.
    if !deal_end::end(&call.tx, (agreed.deal, Some(agreed.application)), true).await? {
        return Err(refusal(ErrorCode::DealCancelled));
    }
    if held(call, agreed).await? != before {
        return Err(Error::Unavailable("the listing's deposits moved while the accounts were locked".into()));
    }
    Ok((opened, before))
}

/// All entries of the settlement, or the first refusal.
fn enter(opened: &mut OpenBook, agreed: &Agreed, deposits: &[HeldDeposit], fee: Money) -> Result<Sums> {
    let accounts = [agreed.transferee, agreed.transferor].map(|party| Holder::Organization(party).account_id());
    let [transferee, transferor] = accounts;
    let mut sums = Sums { price: agreed.price, fee, deposit_applied: Money::ZERO, deposits_released: 0 };
    for deposit in deposits {
        if !agreed.applies(deposit) {
            opened.book.void(deposit.transfer)?;
            sums.deposits_released = sums.deposits_released.saturating_add(1);
            continue;
        }
        let movement = opened.book.transfer(deposit.transfer)?.movement;
        if (movement.debit, movement.credit) != (transferee, transferor) {
            return Err(Error::Internal(format!("{} is not between the deal's parties", deposit.transfer)));
        }
        // No deposit exceeds the price (G10); if one did, the rest of it would be free again.
        sums.deposit_applied = movement.amount.min(agreed.price);
        opened.book.post(deposit.transfer, sums.deposit_applied)?;
    }
    let rest = Movement { debit: transferee, credit: transferor, amount: agreed.price.minus(sums.deposit_applied)? };
    if rest.amount > Money::ZERO {
        let id = agreed.step("price");
        opened.book.transact(id, rest).map_err(|refused| match Error::from(refused) {
            Error::Refused(refusal) => refusal.at_field(FIELD).by_rule("SM-5b").into(),
            fault => fault,
        })?;
        opened.label(id, Purpose::Price, agreed.settlement_id().text());
    }
    if fee > Money::ZERO {
        let id = agreed.step("fee");
        opened.book.transact(id, Movement { debit: transferor, credit: Holder::Fees.account_id(), amount: fee })?;
        opened.label(id, Purpose::Fee, agreed.settlement_id().text());
    }
    Ok(sums)
}

/// Marks a deposit as used or given back.
async fn conclude(call: &Call, agreed: &Agreed, deposit: &HeldDeposit, applied: Money) -> Result<()> {
    let won = agreed.applies(deposit);
    let (status, kind) =
        if won { (DepositStatus::Applied, "DepositApplied") } else { (DepositStatus::Released, "DepositReleased") };
    store::conclude_deposit(&call.tx, deposit.id, status).await?;
    let applied = if won { applied } else { Money::ZERO };
    let facts = json!({
        "deal": agreed.deal.text(),
        "organization": deposit.organization.text(),
        "amount": deposit.amount.to_string(),
        "applied": applied.to_string(),
        "released": deposit.amount.minus(applied)?.to_string(),
        "transfer": deposit.transfer.text(),
    });
    call.record(kind, &deposit.id.text(), facts).await
}

fn rate(cx: &Context, now: Instant) -> Result<FeeRate> {
    Ok(FeeRate {
        bp: cx.rule("fee.transferor_bp", now)?.value,
        min: Money(cx.rule("fee.min_fen", now)?.value),
        max_bp: cx.rule("fee.max_bp", now)?.value,
    })
}

/// Line by line (P8), with the payment deadline (G11), which is noted and never enforced here.
fn facts(cx: &Context, agreed: &Agreed, sums: Sums, now: Instant) -> Value {
    let due = agreed.effective_at.and_then(|effective| {
        let days = cx.rule("payment.lump.max_working_days", effective).ok()?.as_u32();
        cx.working_day_deadline(effective, days).ok()
    });
    json!({
        "deal": agreed.deal.text(),
        "transferor": agreed.transferor.text(),
        "transferee": agreed.transferee.text(),
        "price": sums.price.to_string(),
        "depositApplied": sums.deposit_applied.to_string(),
        "depositsReleased": sums.deposits_released,
        "fee": sums.fee.to_string(),
        "feeRule": "SM-5b",
        "rules": cx.rules.version(),
        "paymentRule": "G11",
        "paymentDueAt": due.map(|due| due.to_string()),
        "paidLate": due.map(|due| now > due),
    })
}
