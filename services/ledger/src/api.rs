//! The gRPC trait: unpack, call, pack.

use kernel::query;
use tonic::{Request, Response, Status, async_trait};
use wire::v1::{self, ledger_server::Ledger};

use crate::{account, accounts::Accounts, deal_end, deposit, forfeit_debt, forfeiture, receipt, settlement};

#[async_trait]
impl Ledger for Accounts {
    async fn record_bank_receipt(
        &self,
        request: Request<v1::RecordBankReceiptInput>,
    ) -> Result<Response<v1::RecordBankReceiptPayload>, Status> {
        let clients = self.clients.clone();
        self.cx
            .mutate(request, "RecordBankReceipt", |call, input| {
                Box::pin(async move { receipt::record(call, &clients, input).await })
            })
            .await
    }

    async fn pay_deposit(
        &self,
        request: Request<v1::PayDepositInput>,
    ) -> Result<Response<v1::PayDepositPayload>, Status> {
        let clients = self.clients.clone();
        self.cx
            .mutate(request, "PayDeposit", |call, input| {
                Box::pin(async move { deposit::pay(call, &clients, input).await })
            })
            .await
    }

    async fn settle(&self, request: Request<v1::SettleInput>) -> Result<Response<v1::SettlePayload>, Status> {
        let clients = self.clients.clone();
        self.cx
            .mutate(request, "Settle", |call, input| {
                Box::pin(async move { settlement::settle(call, &clients, input).await })
            })
            .await
    }

    async fn distribute_forfeit(
        &self,
        request: Request<v1::DistributeForfeitInput>,
    ) -> Result<Response<v1::DistributeForfeitPayload>, Status> {
        let clients = self.clients.clone();
        self.cx
            .mutate(request, "DistributeForfeit", |call, input| {
                Box::pin(async move { forfeiture::distribute(call, &clients, input).await })
            })
            .await
    }

    async fn pay_forfeit_debts(
        &self,
        request: Request<v1::PayForfeitDebtsInput>,
    ) -> Result<Response<v1::PayForfeitDebtsPayload>, Status> {
        let clients = self.clients.clone();
        self.cx
            .mutate(request, "PayForfeitDebts", |call, input| {
                Box::pin(async move { forfeit_debt::pay(call, &clients, input).await })
            })
            .await
    }

    async fn get_forfeiture(
        &self,
        request: Request<v1::GetForfeitureRequest>,
    ) -> Result<Response<v1::ForfeitureReply>, Status> {
        let (actor, wanted) = query(request);
        Ok(Response::new(forfeiture::get(self, &actor, wanted).await?))
    }

    async fn end_in_default(
        &self,
        request: Request<v1::EndInDefaultRequest>,
    ) -> Result<Response<v1::EndInDefaultReply>, Status> {
        let (actor, wanted) = query(request);
        Ok(Response::new(deal_end::end(&self.cx, &actor, wanted).await?))
    }

    async fn get_open_business(
        &self,
        request: Request<v1::OpenBusinessRequest>,
    ) -> Result<Response<v1::OpenBusinessReply>, Status> {
        let (actor, wanted) = query(request);
        Ok(Response::new(deposit::open_business(&self.cx, &actor, wanted).await?))
    }

    async fn get_ledger_account(
        &self,
        request: Request<v1::GetLedgerAccountRequest>,
    ) -> Result<Response<v1::LedgerAccountReply>, Status> {
        let (actor, wanted) = query(request);
        Ok(Response::new(account::get(self, &actor, wanted).await?))
    }

    async fn get_trial_balance(&self, request: Request<v1::Nothing>) -> Result<Response<v1::TrialBalance>, Status> {
        let (actor, _) = query(request);
        Ok(Response::new(account::trial_balance(&self.cx, &actor).await?))
    }

    async fn list_audit(
        &self,
        request: Request<v1::ListAuditRequest>,
    ) -> Result<Response<v1::AuditRecordPage>, Status> {
        let (actor, wanted) = query(request);
        Ok(Response::new(wire::list_audit(&self.cx, &actor, wanted).await?))
    }
}
