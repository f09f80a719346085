use kernel::{Context, ErrorCode, Id, Refusal, Result, Sight, query};
use tonic::{Request, Response, Status};
use wire::{
    id::{ContractId, DealId, ListingId, OrganizationId},
    policy,
    v1::{self, contracting_server::Contracting},
};

use crate::{register, sign, store};

/// Deals and contracts over gRPC.
pub struct Contracts {
    cx: Context,
}

impl Contracts {
    pub(crate) fn new(cx: Context) -> Self {
        Self { cx }
    }
}

#[tonic::async_trait]
impl Contracting for Contracts {
    async fn sign_contract(
        &self,
        request: Request<v1::SignContractInput>,
    ) -> Result<Response<v1::SignContractPayload>, Status> {
        self.cx.mutate(request, "SignContract", |call, input| Box::pin(sign::sign(call, input))).await
    }

    async fn register_contract(
        &self,
        request: Request<v1::RegisterContractInput>,
    ) -> Result<Response<v1::RegisterContractPayload>, Status> {
        self.cx.mutate(request, "RegisterContract", |call, input| Box::pin(register::register(call, input))).await
    }

    async fn get_deals(&self, request: Request<v1::GetDealsRequest>) -> Result<Response<v1::Deals>, Status> {
        let (actor, wanted) = query(request);
        let ids = parse::<DealId>(&wanted.ids, "ids")?;
        let listings = parse::<ListingId>(&wanted.listing_ids, "listingIds")?;
        let deals = store::deals(self.cx.db.read(), &Sight::of(&actor), &ids, &listings).await?;
        Ok(Response::new(v1::Deals { items: deals.into_iter().map(v1::Deal::from).collect() }))
    }

    async fn get_open_business(
        &self,
        request: Request<v1::OpenBusinessRequest>,
    ) -> Result<Response<v1::OpenBusinessReply>, Status> {
        let (actor, wanted) = query(request);
        let organization = wanted.organization_for(&actor)?;
        let deals = store::open_deals(self.cx.db.read(), organization).await?;
        let open =
            deals.iter().map(|deal| format!("{} {} → SETTLED | CANCELLED", deal.id.text(), deal.status.stored()));
        Ok(Response::new(v1::OpenBusinessReply { open: open.collect() }))
    }

    async fn get_contracts(&self, request: Request<v1::Ids>) -> Result<Response<v1::Contracts>, Status> {
        let (actor, wanted) = query(request);
        let ids = parse::<ContractId>(&wanted.ids, "ids")?;
        let contracts = store::contracts(self.cx.db.read(), &Sight::of(&actor), ids).await?;
        Ok(Response::new(v1::Contracts { items: contracts.into_iter().map(v1::Contract::from).collect() }))
    }

    async fn get_totals(&self, request: Request<v1::TotalsRequest>) -> Result<Response<v1::CentreTotals>, Status> {
        let (actor, wanted) = query(request);
        policy::require_totals(&actor, &wanted)?;
        let centres = parse::<OrganizationId>(&wanted.centre_ids, "centreIds")?;
        let (deals, deal_amount) = store::deal_totals(self.cx.db.read(), &centres).await?;
        let (registered_contracts, technical_amount) = store::registration_totals(self.cx.db.read(), &centres).await?;
        Ok(Response::new(v1::CentreTotals {
            deals,
            deal_amount: Some(deal_amount),
            registered_contracts,
            technical_amount: Some(technical_amount),
            ..v1::CentreTotals::default()
        }))
    }

    async fn list_audit(
        &self,
        request: Request<v1::ListAuditRequest>,
    ) -> Result<Response<v1::AuditRecordPage>, Status> {
        let (actor, wanted) = query(request);
        Ok(Response::new(wire::list_audit(&self.cx, &actor, wanted).await?))
    }
}

/// The most ids in one request.
const MOST_IDS: usize = 200;

fn parse<I: Id>(ids: &[String], field: &str) -> Result<Vec<I>> {
    if ids.len() > MOST_IDS {
        return Err(Refusal::new(ErrorCode::InvalidInput).at_field(field).accepting(format!("≤ {MOST_IDS}")).into());
    }
    ids.iter().map(|id| I::parse(id, field)).collect()
}
