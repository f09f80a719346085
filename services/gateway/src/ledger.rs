use async_graphql::{Context, ID, Object, Result};
use wire::{Caller, answer, id::TransferApplicationId, v1};

use crate::fault::{exactly_one, valid};

/// Accounts and the invariants of the ledger.
#[derive(Default)]
pub struct LedgerQuery;

#[Object]
impl LedgerQuery {
    /// One account, by its own id or by its organization's: give exactly one. Null unless the caller is the
    /// organization's member, a cashier or an auditor. Errors: UNAUTHENTICATED, INVALID_INPUT, INVALID_ID.
    ///
    /// Permission: whoever is signed in.
    #[graphql(complexity = "5 + child_complexity")]
    async fn ledger_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account's id.")] id: Option<ID>,
        #[graphql(desc = "The organization's id.")] organization_id: Option<ID>,
    ) -> Result<Option<v1::LedgerAccount>> {
        exactly_one(&id, &organization_id, "id | organizationId")?;
        let caller = Caller::of(ctx)?;
        let request =
            v1::GetLedgerAccountRequest { id: id.map(|id| id.0), organization_id: organization_id.map(|id| id.0) };
        Ok(answer(caller.clients.ledger.clone().get_ledger_account(caller.request(request)).await)?.account)
    }

    /// What a winner lost by default and where it went. Null unless the caller belongs to the defaulter or the transferor,
    /// or is a cashier or an auditor. Errors: UNAUTHENTICATED, INVALID_ID.
    ///
    /// Permission: whoever is signed in.
    #[graphql(complexity = "5 + child_complexity")]
    async fn forfeiture(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The defaulter's transfer application.")] transfer_application_id: ID,
    ) -> Result<Option<v1::Forfeiture>> {
        let caller = Caller::of(ctx)?;
        let application = valid::<TransferApplicationId>(transfer_application_id, "transferApplicationId")?;
        let request = v1::GetForfeitureRequest { transfer_application_id: application.unwrap_or_default() };
        Ok(answer(caller.clients.ledger.clone().get_forfeiture(caller.request(request)).await)?.forfeiture)
    }

    /// The invariants of the whole ledger: the sum of all accounts is zero (promise P-4). Centre staff: CASHIER or
    /// AUDITOR. Errors: UNAUTHENTICATED, FORBIDDEN.
    ///
    /// Permission: CASHIER, AUDITOR of its centre or of one above.
    #[graphql(complexity = "50 + child_complexity")]
    async fn trial_balance(&self, ctx: &Context<'_>) -> Result<v1::TrialBalance> {
        let caller = Caller::of(ctx)?;
        answer(caller.clients.ledger.clone().get_trial_balance(caller.request(v1::Nothing {})).await)
    }
}
