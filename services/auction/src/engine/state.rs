//! The whole state of one lot. It is moved by events alone, and encodes to the same bytes wherever the same events
//! were applied in the same order.

use std::collections::BTreeMap;

use kernel::{Instant, Money};
use wire::v1::{AuctionEvent, AuctionEventKind as Kind, BidOrigin, BiddingStatus as Status, OfferValue};

/// What the published log alone decides.
#[derive(Clone, PartialEq, prost::Message)]
pub struct State {
    /// The phase.
    #[prost(enumeration = "Status", tag = "1")]
    pub status: i32,
    /// The number of the last event.
    #[prost(int64, tag = "2")]
    pub seq: i64,
    /// How many bids were accepted.
    #[prost(int64, tag = "3")]
    pub bid_count: i64,
    /// Who leads.
    #[prost(message, optional, tag = "4")]
    pub lead: Option<Standing>,
    /// When the phase ends, while there is an end.
    #[prost(message, optional, tag = "5")]
    pub closes_at: Option<Instant>,
    /// No later event is earlier than this.
    #[prost(message, required, tag = "6")]
    pub last_at: Instant,
    /// How often the end was moved.
    #[prost(int32, tag = "7")]
    pub extensions: i32,
    /// The end as it was before the first extension.
    #[prost(message, optional, tag = "8")]
    pub first_end: Option<Instant>,
    /// What a pause interrupted.
    #[prost(message, optional, tag = "9")]
    pub paused: Option<Pause>,
    /// Who may bid, and who stands where.
    #[prost(btree_map = "string, message", tag = "10")]
    pub bidders: BTreeMap<String, Bidder>,
    /// The reserve price, once it was revealed.
    #[prost(message, optional, tag = "11")]
    pub reserve: Option<Money>,
    /// What the auctioneer asks, or to what a DUTCH price has fallen.
    #[prost(message, optional, tag = "12")]
    pub asking: Option<Money>,
    /// Fair warnings since the last bid.
    #[prost(int32, tag = "13")]
    pub warnings: i32,
    /// The sealed round under way; 0 before the first.
    #[prost(int32, tag = "14")]
    pub round: i32,
    /// Whether only those who said so may go on.
    #[prost(bool, tag = "15")]
    pub inquired: bool,
    /// Whether all envelopes of the round, or all scores, are in.
    #[prost(bool, tag = "16")]
    pub complete: bool,
    /// Points by member of the panel and bidder.
    #[prost(message, repeated, tag = "17")]
    pub scores: Vec<Score>,
    /// The trustees who gave their shares in the round under way.
    #[prost(string, repeated, tag = "18")]
    pub shares: Vec<String>,
    /// Whether nobody offered in the last sealed round, so that the offers of the round before stand.
    #[prost(bool, tag = "19")]
    pub fell_back: bool,
    /// Who belongs to the panel no more.
    #[prost(string, repeated, tag = "20")]
    pub dismissed: Vec<String>,
}

/// A bidder's best bid, or its offer of the present round.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Standing {
    /// The bidder's anonymous code.
    #[prost(string, tag = "1")]
    pub code: String,
    /// What it offers.
    #[prost(message, required, tag = "2")]
    pub amount: Money,
    /// Its rank, if it used a preemption right.
    #[prost(int32, optional, tag = "3")]
    pub rank: Option<i32>,
    /// Its place in the order.
    #[prost(int64, tag = "4")]
    pub seq: i64,
    /// The other numbers of a sealed offer.
    #[prost(message, repeated, tag = "5")]
    pub values: Vec<OfferValue>,
}

/// One eligible bidder.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Bidder {
    /// The rank of its confirmed preemption right, 1 the best.
    #[prost(int32, optional, tag = "1")]
    pub rank: Option<i32>,
    /// How often it used that right.
    #[prost(int32, tag = "2")]
    pub used: i32,
    /// Its best bid that was not withdrawn.
    #[prost(message, optional, tag = "3")]
    pub standing: Option<Standing>,
    /// Whether it goes on after the inquiry.
    #[prost(bool, tag = "4")]
    pub continues: bool,
    /// Its answer to the offer after the session.
    #[prost(bool, optional, tag = "5")]
    pub answer: Option<bool>,
    /// Whether it defaulted.
    #[prost(bool, tag = "6")]
    pub barred: bool,
    /// Whether it may offer in the present sealed round.
    #[prost(bool, tag = "7")]
    pub shut_out: bool,
    /// Whether its envelope of the round was looked at.
    #[prost(bool, tag = "8")]
    pub opened: bool,
    /// What it had offered in the sealed round before.
    #[prost(message, optional, tag = "9")]
    pub before: Option<Standing>,
    /// Whether its organization is suspended or closed.
    #[prost(bool, tag = "10")]
    pub resting: bool,
    /// Whether two persons excluded it from the lot.
    #[prost(bool, tag = "11")]
    pub excluded: bool,
}

impl Bidder {
    /// Whether what it bids counts.
    #[must_use]
    pub fn counts(&self) -> bool {
        !self.barred && !self.resting && !self.excluded
    }
}

/// What a pause interrupted.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Pause {
    /// The phase.
    #[prost(enumeration = "Status", tag = "1")]
    pub from: i32,
    /// The milliseconds that remained of it; none if it has no end.
    #[prost(int64, optional, tag = "2")]
    pub remaining: Option<i64>,
    /// When it would have ended.
    #[prost(message, optional, tag = "3")]
    pub ends_at: Option<Instant>,
}

/// One member's points for one bidder.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Score {
    /// Whose.
    #[prost(string, tag = "1")]
    pub member: String,
    /// For whom.
    #[prost(string, tag = "2")]
    pub code: String,
    /// By criterion, in ten-thousandths of a point.
    #[prost(message, repeated, tag = "3")]
    pub points: Vec<OfferValue>,
}

impl State {
    /// Moves the state by one decided event.
    pub fn apply(&mut self, event: &AuctionEvent) {
        self.seq = event.seq;
        self.last_at = self.last_at.max(event.at.unwrap_or(self.last_at));
        let before = std::mem::replace(&mut self.closes_at, event.closes_at);
        match event.kind() {
            Kind::Scheduled => self.status = Status::Scheduled.into(),
            Kind::Opened | Kind::RoundOpened => self.open(event),
            Kind::Timed => self.begin(Status::Timed),
            Kind::Inquiry => {
                self.inquired = true;
                self.begin(Status::Inquiry);
            }
            Kind::Sealed => {
                self.shares.clear();
                self.begin(Status::Opening);
            }
            Kind::ShareGiven => self.shares.push(event.named().to_owned()),
            Kind::Scoring => self.begin(Status::Scoring),
            Kind::Hammered => self.begin(Status::Hammered),
            Kind::PreemptionOffered => self.begin(Status::Preemption),
            Kind::Sold | Kind::PassedOn => self.sell(event),
            Kind::Unsold => self.status = Status::Unsold.into(),
            Kind::Cancelled => self.status = Status::Cancelled.into(),
            Kind::Paused => self.pause(event, before),
            Kind::Resumed => self.resume(event),
            Kind::Reopened => {
                self.status = Status::Free.into();
                self.warnings = 0;
            }
            Kind::Bid | Kind::Accepted => self.bid(event, before),
            Kind::Withdrawn => self.withdraw(event),
            Kind::EnvelopeOpened => self.offer(event),
            Kind::EnvelopeInvalid => {
                self.bidder(event).opened = true;
                self.looked_at(event);
            }
            Kind::Scored => self.score(event),
            Kind::MemberDismissed => {
                self.scores.retain(|score| score.member != event.named());
                self.dismissed.push(event.named().to_owned());
                self.complete = event.closes_at.is_some();
            }
            Kind::Admitted => {
                self.bidder(event).rank = event.preemption_rank;
            }
            Kind::Continued => self.bidder(event).continues = true,
            Kind::PreemptionExercised => self.bidder(event).answer = Some(true),
            Kind::PreemptionWaived => self.bidder(event).answer = Some(false),
            Kind::ReserveRevealed => self.reserve = event.amount,
            Kind::Dropped | Kind::Asked => {
                self.asking = event.amount;
                self.warnings = 0;
            }
            Kind::BidderRests => {
                self.bidder(event).resting = true;
                self.lead_again(event);
            }
            Kind::BidderReturns => {
                self.bidder(event).resting = false;
                self.lead_again(event);
            }
            Kind::BidderExcluded => {
                self.bidder(event).excluded = true;
                self.lead_again(event);
            }
            Kind::Warned => self.warnings += 1,
            Kind::ProxySet => {}
        }
    }

    fn bidder(&mut self, event: &AuctionEvent) -> &mut Bidder {
        self.bidders.entry(event.bidder_code().to_owned()).or_default()
    }

    fn begin(&mut self, status: Status) {
        self.status = status.into();
        self.first_end = self.closes_at;
        self.complete = false;
    }

    fn open(&mut self, event: &AuctionEvent) {
        self.begin(Status::Free);
        let Some(round) = event.round else {
            self.asking = event.amount;
            return;
        };
        self.round = round;
        for (code, bidder) in &mut self.bidders {
            bidder.before = bidder.standing.take();
            bidder.opened = false;
            bidder.shut_out = !event.going_on.contains(code);
        }
    }

    fn sell(&mut self, event: &AuctionEvent) {
        let code = event.bidder_code().to_owned();
        if event.kind() == Kind::PassedOn {
            let barred = self.lead.as_ref().and_then(|lead| self.bidders.get_mut(&lead.code));
            if let Some(bidder) = barred {
                bidder.barred = true;
            }
        }
        self.status = Status::Sold.into();
        if event.bidder_code.is_some() {
            let rank = event.preemption_rank;
            let amount = event.amount.unwrap_or_default();
            self.lead = Some(Standing { code, amount, rank, seq: event.seq, values: Vec::new() });
        }
    }

    fn pause(&mut self, event: &AuctionEvent, before: Option<Instant>) {
        let at = event.at.unwrap_or_default();
        let remaining = before.map(|end| (end.0 - at.0).max(0));
        self.paused = Some(Pause { from: self.status, remaining, ends_at: before });
        self.status = Status::Paused.into();
    }

    /// A pause puts off the first end as well, from which the limit to the extensions counts.
    fn resume(&mut self, event: &AuctionEvent) {
        let Some(pause) = self.paused.take() else { return };
        self.status = pause.from;
        if let (Some(first), Some(before), Some(end)) = (self.first_end, pause.ends_at, event.closes_at) {
            self.first_end = Some(first.plus_millis(end.0 - before.0));
        }
    }

    fn bid(&mut self, event: &AuctionEvent, before: Option<Instant>) {
        self.bid_count += 1;
        self.warnings = 0;
        self.asking = self.asking.filter(|_| event.kind() == Kind::Accepted);
        if event.closes_at > before {
            self.extensions += 1;
        }
        let (seq, amount) = (event.seq, event.amount.unwrap_or_default());
        let rank = event.preemption_rank;
        let standing = Standing { code: event.bidder_code().to_owned(), amount, rank, seq, values: Vec::new() };
        let bidder = self.bidder(event);
        if rank.is_some() && event.origin() != BidOrigin::Proxy {
            bidder.used += 1;
        }
        bidder.standing = Some(standing.clone());
        self.lead = Some(standing);
    }

    fn withdraw(&mut self, event: &AuctionEvent) {
        self.bidder(event).standing = None;
        let code = event.bidder_code();
        if self.lead.as_ref().is_some_and(|lead| lead.code == code) {
            self.lead = self.leading(event.amount);
        }
    }

    /// Who leads at the amount that an event tells. The order key is (price, preemption rank, seq).
    fn leading(&self, amount: Option<Money>) -> Option<Standing> {
        let standings = self.bidders.values().filter(|bidder| bidder.counts());
        let equal = standings.filter_map(|bidder| bidder.standing.as_ref()).filter(|bid| Some(bid.amount) == amount);
        equal.min_by_key(|bid| (bid.rank.unwrap_or(i32::MAX), bid.seq)).cloned()
    }

    /// Some bidder's bids rest, or count again. What is sold stays sold until its award ends.
    fn lead_again(&mut self, event: &AuctionEvent) {
        if self.status() == Status::Sold {
            return;
        }
        let before = self.lead.take();
        self.lead = self.leading(event.amount);
        if self.lead != before {
            self.warnings = 0;
        }
    }

    fn offer(&mut self, event: &AuctionEvent) {
        let values = event.values.clone();
        let code = event.bidder_code().to_owned();
        let standing = event.amount.map(|amount| Standing { code, amount, rank: None, seq: event.seq, values });
        if standing.is_some() {
            self.bid_count += 1;
        }
        let bidder = self.bidder(event);
        bidder.standing = standing;
        bidder.opened = true;
        self.looked_at(event);
    }

    /// After the last envelope of a round: what was offered lapses only where somebody offers anew (拍卖法 36).
    fn looked_at(&mut self, event: &AuctionEvent) {
        self.complete = event.closes_at.is_some();
        if !self.complete || self.bidders.values().any(|bidder| bidder.standing.is_some()) {
            return;
        }
        for bidder in self.bidders.values_mut() {
            bidder.standing = bidder.before.take();
            self.fell_back |= bidder.standing.is_some();
        }
    }

    fn score(&mut self, event: &AuctionEvent) {
        let score = Score {
            member: event.named().to_owned(),
            code: event.bidder_code().to_owned(),
            points: event.values.clone(),
        };
        self.scores.push(score);
        self.complete = event.closes_at.is_some();
    }
}
