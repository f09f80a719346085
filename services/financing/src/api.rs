use kernel::{Context, query};
use tonic::{Request, Response, Status};
use wire::v1::{self, financing_server::Financing};

use crate::{express, publish, read, register};

/// Investors, financing projects and interests over gRPC.
pub struct Finance {
    cx: Context,
}

impl Finance {
    pub(crate) fn new(cx: Context) -> Self {
        Self { cx }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Financing for Finance {
    async fn register_investor(
        &self,
        request: Request<v1::RegisterInvestorInput>,
    ) -> Answer<v1::RegisterInvestorPayload> {
        self.cx.mutate(request, "RegisterInvestor", |call, input| Box::pin(register::register(call, input))).await
    }

    async fn verify_investor(&self, request: Request<v1::VerifyInvestorInput>) -> Answer<v1::VerifyInvestorPayload> {
        self.cx.mutate(request, "VerifyInvestor", |call, input| Box::pin(register::verify(call, input))).await
    }

    async fn create_financing_project(
        &self,
        request: Request<v1::CreateFinancingProjectInput>,
    ) -> Answer<v1::CreateFinancingProjectPayload> {
        self.cx.mutate(request, "CreateFinancingProject", |call, input| Box::pin(publish::create(call, input))).await
    }

    async fn publish_financing_project(
        &self,
        request: Request<v1::PublishFinancingProjectInput>,
    ) -> Answer<v1::PublishFinancingProjectPayload> {
        self.cx.mutate(request, "PublishFinancingProject", |call, input| Box::pin(publish::publish(call, input))).await
    }

    async fn express_interest(&self, request: Request<v1::ExpressInterestInput>) -> Answer<v1::ExpressInterestPayload> {
        self.cx.mutate(request, "ExpressInterest", |call, input| Box::pin(express::express(call, input))).await
    }

    async fn answer_interest(&self, request: Request<v1::AnswerInterestInput>) -> Answer<v1::AnswerInterestPayload> {
        self.cx.mutate(request, "AnswerInterest", |call, input| Box::pin(express::answer(call, input))).await
    }

    async fn get_investors(&self, request: Request<v1::Ids>) -> Answer<v1::Investors> {
        let (actor, wanted) = query(request);
        Ok(Response::new(read::investors(&self.cx, &actor, wanted).await?))
    }

    async fn get_financing_projects(&self, request: Request<v1::Ids>) -> Answer<v1::FinancingProjects> {
        let (actor, wanted) = query(request);
        Ok(Response::new(read::projects(&self.cx, &actor, wanted).await?))
    }

    async fn list_financing_projects(
        &self,
        request: Request<v1::ListFinancingProjectsRequest>,
    ) -> Answer<v1::FinancingProjectPage> {
        let (actor, wanted) = query(request);
        Ok(Response::new(read::list_projects(&self.cx, &actor, wanted).await?))
    }

    async fn list_interests(&self, request: Request<v1::ListInterestsRequest>) -> Answer<v1::InterestPage> {
        let (actor, wanted) = query(request);
        Ok(Response::new(read::list_interests(&self.cx, &actor, wanted).await?))
    }

    async fn list_matches(&self, request: Request<v1::FinancingMatchesRequest>) -> Answer<v1::FinancingMatches> {
        let (actor, wanted) = query(request);
        Ok(Response::new(read::list_matches(&self.cx, &actor, wanted).await?))
    }

    async fn get_totals(&self, request: Request<v1::TotalsRequest>) -> Answer<v1::CentreTotals> {
        let (actor, wanted) = query(request);
        Ok(Response::new(read::totals(&self.cx, &actor, wanted).await?))
    }

    async fn list_audit(&self, request: Request<v1::ListAuditRequest>) -> Answer<v1::AuditRecordPage> {
        let (actor, wanted) = query(request);
        Ok(Response::new(wire::list_audit(&self.cx, &actor, wanted).await?))
    }
}
