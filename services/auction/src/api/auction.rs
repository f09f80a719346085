use kernel::{Error, ErrorCode, Id, Refusal, Result, Sight, query};
use tonic::{Request, Response, Status};
use wire::{
    id::{AwardId, BiddingSessionId, ListingId},
    v1::{self, auction_server::Auction},
};

use crate::{
    auctions::Auctions,
    bidding::{award, bid, confirmation, control, default, exclude, schedule, standing},
    evidence::publish,
    lot::{idempotent, watch},
    store::{self, log},
};

/// At most this many ids in one look-up.
const MOST_IDS: usize = 200;

fn parse_all<I: Id>(texts: &[String]) -> Vec<I> {
    // What is no id of the kind names nothing, so it finds nothing.
    texts.iter().take(MOST_IDS).filter_map(|text| I::parse(text, "id").ok()).collect()
}

#[tonic::async_trait]
impl Auction for Auctions {
    async fn schedule_bidding(
        &self,
        request: Request<v1::ScheduleBiddingInput>,
    ) -> Result<Response<v1::ScheduleBiddingPayload>, Status> {
        let auctions = self.clone();
        let reply: Response<v1::ScheduleBiddingPayload> = self
            .cx
            .mutate(request, "ScheduleBidding", |call, input| {
                Box::pin(async move {
                    let session = schedule::schedule(&auctions, call, input).await?;
                    schedule::audit(call, &session).await?;
                    Ok(session)
                })
            })
            .await?;
        // Only to be early: `watch_over` would find the lot as well.
        if let Some(id) =
            reply.get_ref().bidding_session.as_ref().and_then(|s| BiddingSessionId::parse(&s.id, "id").ok())
        {
            self.lots.handle(id).await?;
        }
        Ok(reply)
    }

    async fn place_bid(&self, request: Request<v1::PlaceBidInput>) -> Result<Response<v1::PlaceBidPayload>, Status> {
        Ok(Response::new(bid::act(self, request).await?))
    }

    async fn set_proxy_bid(
        &self,
        request: Request<v1::SetProxyBidInput>,
    ) -> Result<Response<v1::SetProxyBidPayload>, Status> {
        Ok(Response::new(bid::act(self, request).await?))
    }

    async fn withdraw_bid(
        &self,
        request: Request<v1::WithdrawBidInput>,
    ) -> Result<Response<v1::WithdrawBidPayload>, Status> {
        Ok(Response::new(bid::act(self, request).await?))
    }

    async fn continue_bidding(
        &self,
        request: Request<v1::ContinueBiddingInput>,
    ) -> Result<Response<v1::ContinueBiddingPayload>, Status> {
        Ok(Response::new(bid::act(self, request).await?))
    }

    async fn answer_preemption(
        &self,
        request: Request<v1::AnswerPreemptionInput>,
    ) -> Result<Response<v1::AnswerPreemptionPayload>, Status> {
        Ok(Response::new(bid::act(self, request).await?))
    }

    async fn accept_open_licence(
        &self,
        request: Request<v1::AcceptOpenLicenceInput>,
    ) -> Result<Response<v1::AcceptOpenLicencePayload>, Status> {
        Ok(Response::new(bid::act(self, request).await?))
    }

    async fn pause_bidding(
        &self,
        request: Request<v1::PauseBiddingInput>,
    ) -> Result<Response<v1::PauseBiddingPayload>, Status> {
        Ok(Response::new(control::direct(self, request).await?))
    }

    async fn resume_bidding(
        &self,
        request: Request<v1::ResumeBiddingInput>,
    ) -> Result<Response<v1::ResumeBiddingPayload>, Status> {
        Ok(Response::new(control::direct(self, request).await?))
    }

    async fn cancel_bidding(
        &self,
        request: Request<v1::CancelBiddingInput>,
    ) -> Result<Response<v1::CancelBiddingPayload>, Status> {
        Ok(Response::new(control::direct(self, request).await?))
    }

    async fn pause_all_bidding(
        &self,
        request: Request<v1::PauseAllBiddingInput>,
    ) -> Result<Response<v1::PauseAllBiddingPayload>, Status> {
        let (actor, input) = query(request);
        Ok(Response::new(idempotent::payload(control::pause_all(self, &actor, input).await)?))
    }

    async fn resume_all_bidding(
        &self,
        request: Request<v1::ResumeAllBiddingInput>,
    ) -> Result<Response<v1::ResumeAllBiddingPayload>, Status> {
        let (actor, input) = query(request);
        Ok(Response::new(idempotent::payload(control::resume_all(self, &actor, input).await)?))
    }

    async fn declare_default(
        &self,
        request: Request<v1::DeclareDefaultInput>,
    ) -> Result<Response<v1::DeclareDefaultPayload>, Status> {
        Ok(Response::new(default::declare(self, request).await?))
    }

    async fn declare_transferor_default(
        &self,
        request: Request<v1::DeclareTransferorDefaultInput>,
    ) -> Result<Response<v1::DeclareTransferorDefaultPayload>, Status> {
        Ok(Response::new(default::declare_transferor(self, request).await?))
    }

    async fn exclude_bidder(
        &self,
        request: Request<v1::ExcludeBidderInput>,
    ) -> Result<Response<v1::ExcludeBidderPayload>, Status> {
        Ok(Response::new(exclude::exclude(self, request).await?))
    }

    async fn review_standing(
        &self,
        request: Request<v1::ReviewStandingRequest>,
    ) -> Result<Response<v1::Nothing>, Status> {
        let (actor, wanted) = query(request);
        Ok(Response::new(standing::review(self, &actor, wanted).await?))
    }

    async fn get_open_business(
        &self,
        request: Request<v1::OpenBusinessRequest>,
    ) -> Result<Response<v1::OpenBusinessReply>, Status> {
        let (actor, wanted) = query(request);
        Ok(Response::new(award::open_business(&self.cx, &actor, wanted).await?))
    }

    async fn quote_as_sole_bidder(
        &self,
        request: Request<v1::QuoteAsSoleBidderInput>,
    ) -> Result<Response<v1::QuoteAsSoleBidderPayload>, Status> {
        let auctions = self.clone();
        self.cx
            .mutate(request, "QuoteAsSoleBidder", |call, input| {
                Box::pin(async move { award::quote_as_sole_bidder(&auctions, call, input).await })
            })
            .await
    }

    async fn confirm_award(
        &self,
        request: Request<v1::ConfirmAwardInput>,
    ) -> Result<Response<v1::ConfirmAwardPayload>, Status> {
        let auctions = self.clone();
        self.cx
            .mutate(request, "ConfirmAward", |call, input| {
                Box::pin(async move { award::confirm(&auctions, call, input).await })
            })
            .await
    }

    async fn get_bidding_sessions(
        &self,
        request: Request<v1::GetBiddingSessionsRequest>,
    ) -> Result<Response<v1::BiddingSessions>, Status> {
        let (_, wanted) = query(request);
        let (ids, listings) = (parse_all(&wanted.ids), parse_all::<ListingId>(&wanted.listing_ids));
        let rows = store::sessions(self.cx.db.read(), &self.cx.vault, ids, listings).await?;
        let now = self.cx.clock.now();
        let items = rows.iter().map(|row| row.shown(now)).collect::<Result<_>>()?;
        Ok(Response::new(v1::BiddingSessions { items }))
    }

    async fn get_awards(&self, request: Request<v1::GetAwardsRequest>) -> Result<Response<v1::Awards>, Status> {
        let (actor, wanted) = query(request);
        let (ids, listings) = (parse_all::<AwardId>(&wanted.ids), parse_all::<ListingId>(&wanted.listing_ids));
        let rows = store::award::list(self.cx.db.read(), &Sight::of(&actor), ids, listings).await?;
        Ok(Response::new(v1::Awards { items: rows.into_iter().map(v1::Award::from).collect() }))
    }

    async fn list_confirmations(
        &self,
        request: Request<v1::ListConfirmationsRequest>,
    ) -> Result<Response<v1::TransactionConfirmations>, Status> {
        let (_, wanted) = query(request);
        Ok(Response::new(confirmation::of_listing(&self.cx, &wanted.listing_id).await?))
    }

    async fn list_auction_events(
        &self,
        request: Request<v1::ListAuctionEventsRequest>,
    ) -> Result<Response<v1::AuctionEvents>, Status> {
        let (_, wanted) = query(request);
        let id = BiddingSessionId::parse(&wanted.session_id, "sessionId")?;
        let Ok(limit @ 1..=1_000) = usize::try_from(wanted.first.unwrap_or(100)) else {
            return Err(Error::from(Refusal::new(ErrorCode::InvalidInput).at_field("first").accepting("1–1000")).into());
        };
        let mut items = log::events(self.cx.db.read(), id, wanted.after_seq, limit as u64 + 1).await?;
        let has_next = items.len() > limit;
        items.truncate(limit);
        Ok(Response::new(v1::AuctionEvents { items, has_next }))
    }

    type WatchStream = watch::Frames;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<watch::Frames>, Status> {
        let (_, wanted) = query(request);
        Ok(Response::new(watch::watch(self, wanted, self.stop.clone()).await?))
    }

    async fn get_evidence(&self, request: Request<v1::EvidenceRequest>) -> Result<Response<v1::EvidenceReply>, Status> {
        let (_, wanted) = query(request);
        Ok(Response::new(publish::evidence(&self.cx, wanted).await?))
    }

    type DownloadEvidenceStream = publish::Parts;

    async fn download_evidence(
        &self,
        request: Request<v1::EvidenceRequest>,
    ) -> Result<Response<publish::Parts>, Status> {
        let (_, wanted) = query(request);
        Ok(Response::new(publish::download(self.cx.clone(), wanted).await?))
    }

    async fn list_audit(
        &self,
        request: Request<v1::ListAuditRequest>,
    ) -> Result<Response<v1::AuditRecordPage>, Status> {
        let (actor, wanted) = query(request);
        Ok(Response::new(wire::list_audit(&self.cx, &actor, wanted).await?))
    }
}
