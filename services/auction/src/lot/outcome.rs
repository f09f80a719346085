//! What the end of a session means for others, in the very transaction that ends it: awards, and news for the services
//! that hold the listing and the deposits.

use kernel::{Context, Error, Id, Instant, Money, Result, Transaction};
use wire::{
    id::AwardId,
    v1::{self, AuctionEvent, AuctionEventKind as Kind, AwardStatus, BiddingMode},
};

use crate::{
    engine::Lot,
    sealed::boxes,
    store::{award, bidder, session},
};

/// A lot as one round left it.
pub struct Outcome<'a> {
    pub row: &'a session::Model,
    pub lot: &'a Lot,
    pub bidders: &'a [bidder::Model],
}

impl Outcome<'_> {
    /// Draws the consequence of one event. `defaulted` is the award whose winner the event replaces.
    pub async fn follow(
        &self,
        cx: &Context,
        tx: &Transaction,
        (event, defaulted): (&AuctionEvent, Option<AwardId>),
    ) -> Result<()> {
        let at = event.at.unwrap_or_default();
        match (event.kind(), defaulted) {
            (Kind::Sold, _) if self.lot.terms.announced.mode() == BiddingMode::OpenLicence => {
                self.license(cx, tx, at).await
            }
            (Kind::Sold, _) => self.award(tx, (event.bidder_code(), event.amount), (at, false)).await,
            (Kind::PassedOn | Kind::Unsold, Some(failed)) => self.pass_on(cx, tx, (event, failed)).await,
            (Kind::Unsold, None) => {
                let unsold = v1::BiddingUnsold {
                    listing_id: self.row.listing_id.text(),
                    session_id: self.row.id.text(),
                    transferor_id: self.row.transferor_id.text(),
                };
                cx.announce(tx, at, &self.row.id.text(), &unsold).await
            }
            (Kind::RoundOpened, _) => {
                boxes::fill(cx, tx, (self.row.id, &self.lot.terms), (self.bidders, event.round())).await
            }
            (Kind::Cancelled, _) => {
                let cancelled = v1::BiddingCancelled {
                    listing_id: self.row.listing_id.text(),
                    session_id: self.row.id.text(),
                    transferor_id: self.row.transferor_id.text(),
                    reason: event.reason().to_owned(),
                };
                cx.announce(tx, at, &self.row.id.text(), &cancelled).await
            }
            _ => Ok(()),
        }
    }

    /// Everybody who accepted has an award. Whoever did not goes without.
    async fn license(&self, cx: &Context, tx: &Transaction, at: Instant) -> Result<()> {
        let mut acceptor_ids = Vec::new();
        let acceptors = self.lot.state.bidders.values().filter(|bidder| bidder.counts());
        for standing in acceptors.filter_map(|bidder| bidder.standing.as_ref()) {
            self.award(tx, (&standing.code, Some(standing.amount)), (at, true)).await?;
            let acceptor = self.bidders.iter().find(|bidder| bidder.code == standing.code);
            acceptor_ids.extend(acceptor.map(|bidder| bidder.transfer_application_id.text()));
        }
        let ended = v1::OpenLicenceEnded {
            listing_id: self.row.listing_id.text(),
            session_id: self.row.id.text(),
            transferor_id: self.row.transferor_id.text(),
            acceptor_ids,
        };
        cx.announce(tx, at, &self.row.id.text(), &ended).await
    }

    async fn award(
        &self,
        tx: &Transaction,
        (code, price): (&str, Option<Money>),
        (at, open): (Instant, bool),
    ) -> Result<()> {
        let winner = self.bidders.iter().find(|bidder| bidder.code == code);
        let (Some(winner), Some(price)) = (winner, price) else {
            return Err(Error::Internal(format!("{} has no bidder {code}", self.row.id)));
        };
        let award = award::Model::of_session(self.row, winner, (price, at, open));
        match award::insert(tx, award).await? {
            true => Ok(()),
            false => Err(Error::Internal(format!("{} has an award already", self.row.listing_id))),
        }
    }

    /// The defaulter's award ends; the next bidder, if there is one, has the lot.
    async fn pass_on(&self, cx: &Context, tx: &Transaction, (event, failed): (&AuctionEvent, AwardId)) -> Result<()> {
        let at = event.at.unwrap_or_default();
        let row = award::for_update(tx, failed).await?.ok_or_else(|| Error::Internal(format!("{failed} is gone")))?;
        let news = news_of_default(&row);
        award::fail(tx, row, AwardStatus::Defaulted).await?;
        let passed_on = event.kind() == Kind::PassedOn;
        if passed_on {
            self.award(tx, (event.bidder_code(), event.amount), (at, false)).await?;
        }
        let next_price = event.amount.filter(|_| passed_on);
        let news = v1::AwardDefaulted { passed_on, next_price, reverse: self.lot.terms.is_reverse(), ..news };
        cx.announce(tx, at, &news.award_id, &news).await
    }
}

/// What is told of an award whose winner defaults and whom nobody follows.
pub fn news_of_default(row: &award::Model) -> v1::AwardDefaulted {
    v1::AwardDefaulted {
        award_id: row.id.text(),
        listing_id: row.listing_id.text(),
        transfer_application_id: row.transfer_application_id.text(),
        organization_id: row.winner_id.text(),
        transferor_id: row.transferor_id.text(),
        price: Some(row.price),
        unconfirmed: row.status != AwardStatus::Confirmed,
        ..v1::AwardDefaulted::default()
    }
}
