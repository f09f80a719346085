use kernel::query;
use tonic::{Request, Response, Status};
use wire::v1::{self, sealed_bids_server::SealedBids};

use crate::{
    auctions::Auctions,
    sealed::{ceremony, panel, receipt, submit},
};

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl SealedBids for Auctions {
    async fn submit_sealed_bid(&self, request: Request<v1::SubmitSealedBidInput>) -> Reply<v1::SubmitSealedBidPayload> {
        Ok(Response::new(submit::submit(self, request).await?))
    }

    async fn contribute_share(&self, request: Request<v1::ContributeShareInput>) -> Reply<v1::ContributeSharePayload> {
        Ok(Response::new(ceremony::contribute(self, request).await?))
    }

    async fn appoint_panel(&self, request: Request<v1::AppointPanelInput>) -> Reply<v1::AppointPanelPayload> {
        let auctions = self.clone();
        self.cx
            .mutate(request, "AppointPanel", |call, input| {
                Box::pin(async move { panel::appoint(&auctions, call, input).await })
            })
            .await
    }

    async fn declare_impartiality(
        &self,
        request: Request<v1::DeclareImpartialityInput>,
    ) -> Reply<v1::DeclareImpartialityPayload> {
        let auctions = self.clone();
        self.cx
            .mutate(request, "DeclareImpartiality", |call, input| {
                Box::pin(async move { panel::declare(&auctions, call, input).await })
            })
            .await
    }

    async fn score_offer(&self, request: Request<v1::ScoreOfferInput>) -> Reply<v1::ScoreOfferPayload> {
        Ok(Response::new(panel::score(self, request).await?))
    }

    async fn dismiss_panel_member(
        &self,
        request: Request<v1::DismissPanelMemberInput>,
    ) -> Reply<v1::DismissPanelMemberPayload> {
        Ok(Response::new(panel::dismiss(self, request).await?))
    }

    async fn get_sealed_receipt(&self, request: Request<v1::GetSealedReceiptRequest>) -> Reply<v1::SealedReceiptReply> {
        let (actor, wanted) = query(request);
        Ok(Response::new(submit::own_receipt(self, actor, wanted).await?))
    }

    async fn get_sealed_openings(&self, request: Request<v1::GetSealedOpeningsRequest>) -> Reply<v1::SealedOpenings> {
        let (_, wanted) = query(request);
        Ok(Response::new(ceremony::openings(self, wanted).await?))
    }

    async fn get_exchange_keys(&self, _request: Request<v1::Nothing>) -> Reply<v1::JwksReply> {
        Ok(Response::new(v1::JwksReply { json: receipt::keys(&self.cx.vault) }))
    }
}
