//! Hidden maxima (proxy bids): the engine raises for them in the same order as everybody. Of two equal maxima the
//! earlier one wins. Nobody is shown a maximum: the log has its commitment.

use std::collections::BTreeMap;

use kernel::{ErrorCode, Instant, Money};
use sha2::{Digest, Sha256};
use wire::v1::{AuctionEvent, AuctionEventKind as Kind, BidOrigin};

use super::{Command, LARGEST, Lot, Reserve, Taken};

/// What the published log does not say.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct Secrets {
    /// Hidden maxima by bidder.
    #[prost(btree_map = "string, message", tag = "1")]
    pub proxies: BTreeMap<String, Proxy>,
    /// The secret reserve price.
    #[prost(message, optional, tag = "2")]
    pub reserve: Option<Reserve>,
}

/// One hidden maximum.
#[derive(Clone, Copy, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct Proxy {
    /// Up to this the engine bids.
    #[prost(message, required, tag = "1")]
    pub maximum: Money,
    /// When it came, in the lot's order.
    #[prost(int64, tag = "2")]
    pub seq: i64,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proxy(…)")
    }
}

/// SHA-256 (hexadecimal) over what is hidden, line by line: whose it is, its parts, the amount in fen, the nonce.
#[must_use]
pub fn commitment(parts: &[&str], amount: Money, nonce: &str) -> String {
    let text = format!("{}\n{}\n{nonce}", parts.join("\n"), amount.0);
    data_encoding::HEXLOWER.encode(&Sha256::digest(text))
}

impl Secrets {
    pub(super) fn keep(&mut self, code: &str, maximum: Money, seq: i64) {
        self.proxies.insert(code.to_owned(), Proxy { maximum, seq });
    }
}

impl Lot {
    pub(super) fn leave_maximum(
        &self,
        code: &str,
        maximum: Money,
        commitment: &str,
        now: Instant,
    ) -> Result<AuctionEvent, ErrorCode> {
        self.require_live()?;
        let bidder = self.require_eligible(code)?;
        if !self.terms.announced.proxy_allowed || !self.terms.is_open() {
            return Err(ErrorCode::ProxyNotAllowed);
        }
        if self.state.inquired && !bidder.continues {
            return Err(ErrorCode::NotContinuing);
        }
        if maximum <= Money::ZERO || maximum > LARGEST {
            return Err(ErrorCode::AmountOutOfRange);
        }
        let leading = self.state.lead.as_ref().filter(|lead| lead.code == code);
        let short = match (leading, self.minimum()) {
            (Some(lead), _) => self.terms.is_better(lead.amount, maximum),
            (None, Some(minimum)) => self.terms.is_better(minimum, maximum),
            (None, None) => false,
        };
        if short {
            let begun = self.state.lead.is_some();
            return Err(if begun { ErrorCode::BelowMinIncrement } else { ErrorCode::BelowStart });
        }
        Ok(AuctionEvent { commitment: Some(commitment.to_owned()), ..self.event(Kind::ProxySet, now) })
    }

    /// Before a bid: the leader's maximum, met but not beaten by it, came first and takes its price.
    pub(super) fn defend(&mut self, code: &str, amount: Money, now: Instant, taken: &mut Taken) {
        let Some(lead) = self.state.lead.as_ref().filter(|lead| lead.code != code) else { return };
        let Some(proxy) = self.secrets.proxies.get(&lead.code) else { return };
        let Some(top) = self.terms.furthest(lead.amount, proxy.maximum) else { return };
        let beaten = self.terms.is_better(amount, top);
        let answered = !self.terms.is_better(self.terms.further(amount, 1), proxy.maximum);
        let defended = self.as_proxy(&lead.code.clone(), top);
        let bid = Command::Bid { code: code.to_owned(), amount, origin: BidOrigin::Online, paddle: None };
        if !beaten && !answered && self.decide(&bid, now).is_ok() {
            self.bid_as_proxy(&defended, now, taken);
        }
    }

    /// Bids for the maxima until none can beat the lead.
    pub(super) fn raise(&mut self, now: Instant, taken: &mut Taken) {
        while let Some(bid) = self.proxy_bid() {
            if !self.bid_as_proxy(&bid, now, taken) {
                return;
            }
        }
    }

    fn bid_as_proxy(&mut self, bid: &Command, now: Instant, taken: &mut Taken) -> bool {
        let Ok(event) = self.decide(bid, now) else { return false };
        self.enter(event, taken);
        true
    }

    fn as_proxy(&self, code: &str, amount: Money) -> Command {
        Command::Bid { code: code.to_owned(), amount, origin: BidOrigin::Proxy, paddle: None }
    }

    /// The next bid that the engine owes to a maximum. Of all who do not lead, the best maximum challenges; it jumps
    /// over what the leader's own maximum could answer, so that a duel is decided in at most two bids.
    fn proxy_bid(&self) -> Option<Command> {
        let challenger = self.challenger()?;
        let minimum = self.minimum()?;
        let lead = self.state.lead.as_ref();
        let Some((lead, held)) = lead.and_then(|lead| Some((lead, self.secrets.proxies.get(&lead.code)?))) else {
            return Some(self.as_proxy(challenger.0, minimum));
        };
        let top = |maximum| self.terms.furthest(lead.amount, maximum);
        let (theirs, own) = (top(challenger.1.maximum)?, top(held.maximum));
        let Some(own) = own else { return Some(self.as_proxy(challenger.0, minimum)) };
        let answer = self.terms.further(theirs, 1);
        let leader_wins = self.terms.is_better(own, theirs) || (own == theirs && held.seq < challenger.1.seq);
        if leader_wins {
            // The loser shows its best; or, where no step is left above that, the winner takes the price itself.
            let room = !self.terms.is_better(answer, held.maximum);
            return Some(if room { self.as_proxy(challenger.0, theirs) } else { self.as_proxy(&lead.code, own) });
        }
        let over = self.terms.further(own, 1);
        let amount = if self.terms.is_better(over, challenger.1.maximum) { theirs } else { over };
        Some(self.as_proxy(challenger.0, amount))
    }

    /// The best maximum that can still beat the lead and is not the leader's; of equals the earliest.
    fn challenger(&self) -> Option<(&str, super::Proxy)> {
        let minimum = self.minimum()?;
        let lead = self.state.lead.as_ref().map(|lead| lead.code.as_str());
        let able = self.secrets.proxies.iter().filter(|(code, proxy)| {
            let bidder = self.state.bidders.get(*code);
            let goes_on = bidder.is_some_and(|bidder| bidder.counts() && (!self.state.inquired || bidder.continues));
            goes_on && lead != Some(code.as_str()) && !self.terms.is_better(minimum, proxy.maximum)
        });
        able.map(|(code, proxy)| (code.as_str(), *proxy)).reduce(|best, other| {
            let better = self.terms.is_better(other.1.maximum, best.1.maximum);
            let earlier = other.1.maximum == best.1.maximum && other.1.seq < best.1.seq;
            if better || earlier { other } else { best }
        })
    }
}
