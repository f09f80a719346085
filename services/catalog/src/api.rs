//! The gRPC trait: unpack, call, pack.

use kernel::query;
use tonic::{Request, Response, Status};
use wire::v1::{self, catalog_server};

use crate::{
    achievement::import,
    application::{apply, consent, qualify},
    browse,
    catalog::Catalog,
    listing::{conclude, draft, relist, review},
};

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl catalog_server::Catalog for Catalog {
    async fn create_listing(&self, request: Request<v1::CreateListingInput>) -> Reply<v1::CreateListingPayload> {
        let identity = self.clients.identity.clone();
        self.cx.mutate(request, "CreateListing", |call, input| Box::pin(draft::create(call, identity, input))).await
    }

    async fn submit_listing(&self, request: Request<v1::SubmitListingInput>) -> Reply<v1::SubmitListingPayload> {
        self.cx.mutate(request, "SubmitListing", |call, input| Box::pin(draft::submit(call, input))).await
    }

    async fn review_listing(&self, request: Request<v1::ReviewListingInput>) -> Reply<v1::ReviewListingPayload> {
        self.cx.mutate(request, "ReviewListing", |call, input| Box::pin(review::decide(call, input))).await
    }

    async fn apply_for_transfer(
        &self,
        request: Request<v1::ApplyForTransferInput>,
    ) -> Reply<v1::ApplyForTransferPayload> {
        let clients = self.clients.clone();
        self.cx.mutate(request, "ApplyForTransfer", |call, input| Box::pin(apply::apply(call, clients, input))).await
    }

    async fn answer_consortium(
        &self,
        request: Request<v1::AnswerConsortiumInput>,
    ) -> Reply<v1::AnswerConsortiumPayload> {
        self.cx.mutate(request, "AnswerConsortium", |call, input| Box::pin(consent::answer(call, input))).await
    }

    async fn review_transfer_application(
        &self,
        request: Request<v1::ReviewTransferApplicationInput>,
    ) -> Reply<v1::ReviewTransferApplicationPayload> {
        self.cx
            .mutate(request, "ReviewTransferApplication", |call, input| Box::pin(qualify::qualify(call, input)))
            .await
    }

    async fn conclude_disclosure(
        &self,
        request: Request<v1::ConcludeDisclosureInput>,
    ) -> Reply<v1::ConcludeDisclosurePayload> {
        self.cx.mutate(request, "ConcludeDisclosure", |call, input| Box::pin(conclude::conclude(call, input))).await
    }

    async fn relist(&self, request: Request<v1::RelistInput>) -> Reply<v1::RelistPayload> {
        self.cx.mutate(request, "Relist", |call, input| Box::pin(relist::relist(call, input))).await
    }

    async fn get_reserve(&self, request: Request<v1::ReserveRequest>) -> Reply<v1::ReserveReply> {
        let (actor, wanted) = query(request);
        Ok(Response::new(browse::reserve(&self.cx, &actor, wanted).await?))
    }

    async fn get_open_business(&self, request: Request<v1::OpenBusinessRequest>) -> Reply<v1::OpenBusinessReply> {
        let (actor, wanted) = query(request);
        Ok(Response::new(browse::open_business(&self.cx, &actor, wanted).await?))
    }

    async fn get_achievements(&self, request: Request<v1::Ids>) -> Reply<v1::Achievements> {
        Ok(Response::new(browse::achievements(&self.cx, request.into_inner()).await?))
    }

    async fn list_achievements(&self, request: Request<v1::ListAchievementsRequest>) -> Reply<v1::AchievementPage> {
        Ok(Response::new(browse::list_achievements(&self.cx, request.into_inner()).await?))
    }

    async fn get_listings(&self, request: Request<v1::Ids>) -> Reply<v1::Listings> {
        let (actor, wanted) = query(request);
        Ok(Response::new(browse::listings(&self.cx, &actor, wanted).await?))
    }

    async fn list_listings(&self, request: Request<v1::ListListingsRequest>) -> Reply<v1::ListingPage> {
        let (actor, wanted) = query(request);
        Ok(Response::new(browse::list_listings(&self.cx, &actor, wanted).await?))
    }

    async fn get_transfer_applications(&self, request: Request<v1::Ids>) -> Reply<v1::TransferApplications> {
        let (actor, wanted) = query(request);
        Ok(Response::new(browse::applications(&self.cx, &actor, wanted).await?))
    }

    async fn list_transfer_applications(
        &self,
        request: Request<v1::ListTransferApplicationsRequest>,
    ) -> Reply<v1::TransferApplicationPage> {
        let (actor, wanted) = query(request);
        Ok(Response::new(browse::list_applications(&self.cx, &actor, wanted).await?))
    }

    async fn import(&self, request: Request<v1::ImportRequest>) -> Reply<v1::ImportReply> {
        let (actor, wanted) = query(request);
        Ok(Response::new(import::import(&self.cx, self.clients.identity.clone(), actor, wanted).await?))
    }

    async fn get_totals(&self, request: Request<v1::TotalsRequest>) -> Reply<v1::CentreTotals> {
        let (actor, wanted) = query(request);
        Ok(Response::new(browse::totals(&self.cx, &actor, wanted).await?))
    }

    async fn list_audit(&self, request: Request<v1::ListAuditRequest>) -> Reply<v1::AuditRecordPage> {
        let (actor, wanted) = query(request);
        Ok(Response::new(wire::list_audit(&self.cx, &actor, wanted).await?))
    }
}
