//! The wire: unpack, call, pack.

use async_trait::async_trait;
use kernel::query;
use tonic::{Request, Response};
use wire::v1;

use super::Reply;
use crate::{
    brokerage::{conflict, credential, mandating},
    identities::Identities,
};

#[async_trait]
impl v1::brokerage_server::Brokerage for Identities {
    async fn register_broker_credential(
        &self,
        request: Request<v1::RegisterBrokerCredentialInput>,
    ) -> Reply<v1::RegisterBrokerCredentialPayload> {
        self.cx
            .mutate(request, "RegisterBrokerCredential", |call, input| Box::pin(credential::register(call, input)))
            .await
    }

    async fn review_broker_credential(
        &self,
        request: Request<v1::ReviewBrokerCredentialInput>,
    ) -> Reply<v1::ReviewBrokerCredentialPayload> {
        self.cx.mutate(request, "ReviewBrokerCredential", |call, input| Box::pin(credential::review(call, input))).await
    }

    async fn offer_mandate(&self, request: Request<v1::OfferMandateInput>) -> Reply<v1::OfferMandatePayload> {
        self.cx.mutate(request, "OfferMandate", |call, input| Box::pin(mandating::offer(call, input))).await
    }

    async fn answer_mandate(&self, request: Request<v1::AnswerMandateInput>) -> Reply<v1::AnswerMandatePayload> {
        self.cx.mutate(request, "AnswerMandate", |call, input| Box::pin(mandating::answer(call, input))).await
    }

    async fn end_mandate(&self, request: Request<v1::EndMandateInput>) -> Reply<v1::EndMandatePayload> {
        self.cx.mutate(request, "EndMandate", |call, input| Box::pin(mandating::end(call, input))).await
    }

    async fn confirm_commission_paid(
        &self,
        request: Request<v1::ConfirmCommissionPaidInput>,
    ) -> Reply<v1::ConfirmCommissionPaidPayload> {
        self.cx
            .mutate(request, "ConfirmCommissionPaid", |call, input| Box::pin(mandating::confirm_paid(call, input)))
            .await
    }

    async fn declare_conflict(&self, request: Request<v1::DeclareConflictInput>) -> Reply<v1::DeclareConflictPayload> {
        self.cx.mutate(request, "DeclareConflict", |call, input| Box::pin(conflict::declare(call, input))).await
    }

    async fn confirm_conflict(&self, request: Request<v1::ConfirmConflictInput>) -> Reply<v1::ConfirmConflictPayload> {
        self.cx.mutate(request, "ConfirmConflict", |call, input| Box::pin(conflict::confirm(call, input))).await
    }

    async fn lift_conflict(&self, request: Request<v1::LiftConflictInput>) -> Reply<v1::LiftConflictPayload> {
        self.cx.mutate(request, "LiftConflict", |call, input| Box::pin(conflict::lift(call, input))).await
    }

    async fn get_mandates(&self, request: Request<v1::Ids>) -> Reply<v1::Mandates> {
        let (actor, ids) = query(request);
        Ok(Response::new(mandating::mandates(&self.cx, &actor, ids).await?))
    }

    async fn get_broker_credentials(&self, request: Request<v1::Ids>) -> Reply<v1::BrokerCredentials> {
        let (actor, ids) = query(request);
        Ok(Response::new(credential::credentials(&self.cx, &actor, ids).await?))
    }

    async fn list_broker_credentials(
        &self,
        request: Request<v1::ListBrokerCredentialsRequest>,
    ) -> Reply<v1::BrokerCredentialPage> {
        let (actor, wanted) = query(request);
        Ok(Response::new(credential::list(&self.cx, &actor, wanted).await?))
    }

    async fn list_mandates(&self, request: Request<v1::ListMandatesRequest>) -> Reply<v1::MandatePage> {
        let (actor, wanted) = query(request);
        Ok(Response::new(mandating::list(&self.cx, &actor, wanted).await?))
    }

    async fn list_conflicts(&self, request: Request<v1::ListConflictsRequest>) -> Reply<v1::ConflictPage> {
        let (actor, wanted) = query(request);
        Ok(Response::new(conflict::list(&self.cx, &actor, wanted).await?))
    }

    async fn find_conflicts(&self, request: Request<v1::FindConflictsRequest>) -> Reply<v1::FindConflictsReply> {
        let (actor, wanted) = query(request);
        Ok(Response::new(conflict::find(&self.cx, &actor, wanted).await?))
    }
}
