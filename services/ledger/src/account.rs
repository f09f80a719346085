//! Whose account is which, and who may look at it.

use kernel::{Actor, Context, Error, ErrorCode, Id, Money, Refusal, Result, Role, Scope};
use wire::{
    id::{AccountId, OrganizationId},
    policy::{self, Of, permit},
    v1,
};

use crate::{
    accounts::Accounts,
    peers,
    rules::{book::Refused, holder::Holder},
    store,
};

impl From<Refused> for Error {
    /// What the core refuses as a matter of business is told; the rest is a broken invariant of ours.
    fn from(refused: Refused) -> Error {
        match refused {
            Refused::InsufficientFunds { missing } => {
                Refusal::new(ErrorCode::InsufficientFunds).accepting(missing.to_string()).into()
            }
            Refused::Overflow => ErrorCode::AmountOutOfRange.into(),
            other => Error::Internal(format!("the book refused: {other:?}")),
        }
    }
}

/// One account by its id or its organization. A foreign one answers as a missing one (promise P-6).
pub async fn get(
    ledger: &Accounts,
    actor: &Actor,
    wanted: v1::GetLedgerAccountRequest,
) -> Result<v1::LedgerAccountReply> {
    permit(actor, policy::LEDGER_ACCOUNT, Of::default())?;
    let account = match (wanted.id, wanted.organization_id) {
        (Some(id), None) => by_id(ledger, actor, AccountId::parse(&id, "id")?).await?,
        (None, Some(id)) => by_organization(ledger, actor, OrganizationId::parse(&id, "organizationId")?).await?,
        _ => return Err(Refusal::new(ErrorCode::InvalidInput).accepting("id | organizationId").into()),
    };
    Ok(v1::LedgerAccountReply { account })
}

async fn by_organization(
    ledger: &Accounts,
    actor: &Actor,
    organization: OrganizationId,
) -> Result<Option<v1::LedgerAccount>> {
    if !actor.is_member(&organization.text()) && !oversees(ledger, actor, Some(organization)).await? {
        return Ok(None);
    }
    let holder = Holder::Organization(organization);
    let account = store::account(ledger.cx.db.read(), holder.account_id()).await?;
    Ok(Some(account.unwrap_or_else(|| holder.unused())))
}

async fn by_id(ledger: &Accounts, actor: &Actor, id: AccountId) -> Result<Option<v1::LedgerAccount>> {
    // An own account can be named before its first entry, so it must be found then as well.
    let own = actor.own_places().filter_map(|place| OrganizationId::parse(&place.organization_id, "id").ok());
    let own = own.map(Holder::Organization).find(|holder| holder.account_id() == id);
    let found = store::account(ledger.cx.db.read(), id).await?;
    let holder = found.as_ref().and_then(|account| account.organization_id.as_deref());
    let holder = holder.map(|id| OrganizationId::parse(id, "id")).transpose()?;
    if own.is_none() && !oversees(ledger, actor, holder).await? {
        return Ok(None);
    }
    let unused = own.or_else(|| [Holder::Bank, Holder::Fees].into_iter().find(|holder| holder.account_id() == id));
    Ok(found.or_else(|| unused.map(Holder::unused)))
}

/// Whether cashiers or auditors of the organization's centre look at the account. The exchange's own accounts are the
/// hub's.
async fn oversees(ledger: &Accounts, actor: &Actor, organization: Option<OrganizationId>) -> Result<bool> {
    match (actor.scope(&[Role::Cashier, Role::Auditor]), organization) {
        (Scope::Everything, _) => Ok(true),
        (scope, Some(organization)) if !scope.is_empty() => {
            let organization = peers::organization(&ledger.clients, &organization.text()).await?;
            Ok(organization.is_some_and(|organization| scope.reaches(&organization.centre_id)))
        }
        _ => Ok(false),
    }
}

/// Adds up the whole ledger anew (promise P-4).
pub async fn trial_balance(cx: &Context, actor: &Actor) -> Result<v1::TrialBalance> {
    if !actor.is_exchange() {
        permit(actor, policy::TRIAL_BALANCE, Of::default())?;
    }
    let accounts = store::audited(cx.db.read()).await?;
    let sum = |amount: fn(&crate::rules::book::Account) -> Money| {
        let sum: i128 = accounts.iter().map(|audited| i128::from(amount(&audited.account).0)).sum();
        i64::try_from(sum).map(Money).map_err(|_| Error::Internal("the ledger's sum is out of range".into()))
    };
    Ok(v1::TrialBalance {
        total: Some(sum(|account| account.balance)?),
        accounts: i64::try_from(accounts.len()).unwrap_or(i64::MAX),
        transfers: store::transfer_count(cx.db.read()).await?,
        held: Some(sum(|account| account.held)?),
        faulty_accounts: accounts.iter().filter(|audited| !audited.is_sound()).map(|_| 1).sum(),
    })
}
