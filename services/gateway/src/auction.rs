use async_graphql::{Context, ID, Object, Result};
use futures::{StreamExt, stream::BoxStream};
use wire::{
    Caller, answer,
    id::{AwardId, BiddingSessionId, ListingId},
    v1,
};

use crate::{
    fault::{exactly_one, valid},
    list::{Log, log},
    live::{Wanted, frames},
};

/// Bidding sessions and awards.
#[derive(Default)]
pub struct AuctionQuery;

#[Object]
impl AuctionQuery {
    /// One bidding session, by its own id or by the listing's: give exactly one. Null if there is none. Open to
    /// anyone; bidders appear under anonymous codes. Errors: INVALID_INPUT, INVALID_ID.
    ///
    /// Permission: anyone.
    #[graphql(complexity = "5 + child_complexity")]
    async fn bidding_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The session's id.")] id: Option<ID>,
        #[graphql(desc = "The listing's id.")] listing_id: Option<ID>,
    ) -> Result<Option<v1::BiddingSession>> {
        exactly_one(&id, &listing_id, "id | listingId")?;
        let loaders = &Caller::of(ctx)?.loaders;
        match (id, listing_id) {
            (Some(id), _) => loaders.session.link(valid::<BiddingSessionId>(id, "id")?).await,
            (None, Some(listing)) => loaders.session_of_listing.link(valid::<ListingId>(listing, "listingId")?).await,
            (None, None) => Ok(None),
        }
    }

    /// One award, by its own id or by the listing's: give exactly one. Null unless the caller belongs to the winner
    /// or the transferor or is centre staff. Errors: INVALID_INPUT, INVALID_ID.
    ///
    /// Permission: anyone.
    #[graphql(complexity = "5 + child_complexity")]
    async fn award(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The award's id.")] id: Option<ID>,
        #[graphql(desc = "The listing's id.")] listing_id: Option<ID>,
    ) -> Result<Option<v1::Award>> {
        exactly_one(&id, &listing_id, "id | listingId")?;
        let loaders = &Caller::of(ctx)?.loaders;
        match (id, listing_id) {
            (Some(id), _) => loaders.award.link(valid::<AwardId>(id, "id")?).await,
            (None, Some(listing)) => loaders.award_of_listing.link(valid::<ListingId>(listing, "listingId")?).await,
            (None, None) => Ok(None),
        }
    }

    /// Every award of a listing that the caller may see, the oldest first: an open licence has one for each licensee, and
    /// a lot that passed on those of its defaulters too. Errors: INVALID_ID.
    ///
    /// Permission: anyone.
    #[graphql(complexity = "crate::list::cost(Some(100), child_complexity)")]
    async fn awards(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The listing's id.")] listing_id: ID,
    ) -> Result<Vec<v1::Award>> {
        let caller = Caller::of(ctx)?;
        let listing_ids = valid::<ListingId>(listing_id, "listingId")?.into_iter().collect();
        let wanted = v1::GetAwardsRequest { listing_ids, ..v1::GetAwardsRequest::default() };
        Ok(answer(caller.clients.auction.clone().get_awards(caller.request(wanted)).await)?.items)
    }

    /// What was published of a listing's sale: who acquired it, with real names. Empty before two persons have confirmed
    /// an award; an open licence has one for every licensee; after a default the one before stands too, as DEFAULTED.
    /// Errors: INVALID_ID.
    ///
    /// Permission: anyone.
    #[graphql(complexity = "10 + child_complexity")]
    async fn transaction_confirmations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The listing's id.")] listing_id: ID,
    ) -> Result<Vec<v1::TransactionConfirmation>> {
        let caller = Caller::of(ctx)?;
        let request = caller.request(v1::ListConfirmationsRequest { listing_id: listing_id.0 });
        Ok(answer(caller.clients.auction.clone().list_confirmations(request).await)?.items)
    }

    /// The numbered events of a session, oldest first; what the live feed sends, as a plain list. A cursor is the
    /// event's number. Errors: NOT_FOUND, INVALID_INPUT, INVALID_ID.
    ///
    /// Permission: anyone.
    #[graphql(complexity = "log_cost(first, child_complexity)")]
    async fn auction_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The session's id.")] session_id: ID,
        #[graphql(desc = "Only events with a greater number.")] after_seq: Option<i64>,
        #[graphql(desc = "1-1000; 100 if absent.")] first: Option<i32>,
    ) -> Result<Log<v1::AuctionEvent>> {
        let caller = Caller::of(ctx)?;
        let after_seq = after_seq.unwrap_or(0);
        let request = v1::ListAuctionEventsRequest { session_id: session_id.0, after_seq, first };
        let events = answer(caller.clients.auction.clone().list_auction_events(caller.request(request)).await)?;
        Ok(log(after_seq > 0, events.items, events.has_next, |event| event.seq.to_string()))
    }

    /// What anybody decides a finished session again with, identities masked as in its events. Null before the session
    /// is SOLD, UNSOLD or CANCELLED. Errors: INVALID_ID.
    ///
    /// Permission: anyone.
    #[graphql(complexity = "20 + child_complexity")]
    async fn evidence(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The session's id.")] session_id: ID,
    ) -> Result<Option<v1::Evidence>> {
        let caller = Caller::of(ctx)?;
        let request = caller.request(v1::EvidenceRequest { session_id: session_id.0 });
        Ok(answer(caller.clients.auction.clone().get_evidence(request).await)?.evidence)
    }
}

/// Events have no links, so one costs little.
fn log_cost(first: Option<i32>, child: usize) -> usize {
    crate::list::cost(Some(first.unwrap_or(100)), child) / 5 + 1
}

/// What is sent as it happens, over graphql-transport-ws at `/graphql/ws`.
#[derive(Clone, Copy, Default)]
pub struct Subscription;

#[async_graphql::Subscription]
impl Subscription {
    /// A session as it happens: a snapshot, then every event, with consecutive numbers. With `afterSeq` the events
    /// after that number come instead of the snapshot. Who reads too slowly, or resumes from too far back, gets
    /// `lagged`, a snapshot, and what comes after it. See docs/live.md. Errors: NOT_FOUND, INVALID_ID, UNAVAILABLE.
    ///
    /// Permission: anyone.
    async fn auction_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The session's id.")] session_id: ID,
        #[graphql(desc = "Resume after this number.")] after_seq: Option<i64>,
    ) -> Result<BoxStream<'static, Result<v1::AuctionFrame>>> {
        frames(ctx, session_id.0, Wanted::Events(after_seq)).await
    }

    /// A session's state: as it is, then whenever it has changed, once in 150 ms at most, and every 15 seconds
    /// without a change. What came between two states is left out, and the last one is always sent. For whoever shows
    /// a price; whoever keeps a history watches `auctionEvents`. Errors: NOT_FOUND, INVALID_ID, UNAVAILABLE.
    ///
    /// Permission: anyone.
    async fn auction_price(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The session's id.")] session_id: ID,
    ) -> Result<BoxStream<'static, Result<v1::BiddingSession>>> {
        let frames = frames(ctx, session_id.0, Wanted::Price).await?;
        Ok(frames.map(|frame| Ok(frame?.snapshot.unwrap_or_default())).boxed())
    }
}
