//! The lot that is watched, as the auction tells of it.

use async_graphql::Result;
use kernel::{Actor, Error, Peer};
use tonic::Streaming;
use wire::{
    Caller, answer, fault,
    v1::{
        AuctionEvent, AuctionFrame, BiddingSession, GetBiddingSessionsRequest, ListAuctionEventsRequest, WatchRequest,
        auction_client::AuctionClient,
    },
};

/// All that is asked here is open to anyone, so nobody in particular asks.
pub struct Lot {
    pub auction: AuctionClient<Peer>,
    pub session_id: String,
}

impl Lot {
    /// The feed from now on, behind the state with which it begins.
    pub async fn watch(&self) -> Result<(BiddingSession, Streaming<AuctionFrame>)> {
        let wanted = WatchRequest { session_id: self.session_id.clone(), after_seq: None };
        let request = Caller::about(&self.session_id, Actor::default().asks(wanted));
        let mut feed = answer(self.auction.clone().watch(request).await)?;
        let first = feed.message().await.map_err(|status| fault(&Error::from(status)))?;
        match first.and_then(|frame| frame.snapshot) {
            Some(snapshot) => Ok((snapshot, feed)),
            None => Err(fault(&Error::Unavailable("a feed without a beginning".into()))),
        }
    }

    /// As it stands.
    pub async fn state(&self) -> Result<BiddingSession> {
        let wanted = GetBiddingSessionsRequest { ids: vec![self.session_id.clone()], ..Default::default() };
        let found = answer(self.auction.clone().get_bidding_sessions(Actor::default().asks(wanted)).await)?;
        found.items.into_iter().next().ok_or_else(|| fault(&Error::not_found("sessionId")))
    }

    /// Its events after one number and up to another.
    pub async fn events(&self, after_seq: i64, to_seq: i64) -> Result<Vec<AuctionEvent>> {
        let first = i32::try_from(to_seq.saturating_sub(after_seq)).ok();
        let wanted = ListAuctionEventsRequest { session_id: self.session_id.clone(), after_seq, first };
        let found = answer(self.auction.clone().list_auction_events(Actor::default().asks(wanted)).await)?;
        Ok(found.items)
    }
}
