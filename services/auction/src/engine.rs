//! The rules of bidding (SM-5): one lot, one order, one winner.
//!
//! Pure: no I/O, no clock, no randomness. `due` and `decide` say what happens, `apply` moves the state, and replaying
//! the log gives the same state again, byte for byte. Every way of bidding is a use of the same commands and events.

pub mod award;
mod bid;
mod close;
mod command;
mod control;
mod floor;
mod preemption;
mod proxy;
mod replay;
mod score;
mod sealed;
mod standing;
mod state;
mod terms;

use kernel::{ErrorCode, Instant, Money, Refusal};
use wire::v1::{AuctionEvent, AuctionEventKind as Kind, BiddingMode as Mode, BiddingStatus as Status};

pub use command::{Command, Offer};
pub use proxy::{Proxy, Secrets, commitment};
pub use replay::{Flaw, Replay, replay};
pub use state::{Bidder, Pause, Score, Standing, State};
pub use terms::{Reserve, Terms};

/// More than this in one bid is a slip: ten trillion yuan, in fen.
const LARGEST: Money = Money(1_000_000_000_000_000);

/// One lot.
#[derive(Clone, Debug, PartialEq)]
pub struct Lot {
    /// What was fixed.
    pub terms: Terms,
    /// What the published log says.
    pub state: State,
    /// What it does not say.
    pub secrets: Secrets,
}

/// What came of a command: events, and a refusal where the command itself was not accepted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taken {
    /// In order; applied already.
    pub events: Vec<AuctionEvent>,
    /// Why the command is not among them.
    pub refusal: Option<Box<Refusal>>,
}

/// Every legal move. Anything absent is refused.
#[must_use]
pub fn next(status: Status) -> &'static [Status] {
    use Status::{
        Cancelled, Free, Hammered, Inquiry, Opening, Paused, Preemption, Scheduled, Scoring, Sold, Timed, Unsold,
    };
    match status {
        Scheduled => &[Free, Paused, Cancelled],
        Free => &[Timed, Inquiry, Opening, Hammered, Preemption, Sold, Unsold, Paused, Cancelled],
        Inquiry => &[Timed, Paused, Cancelled],
        Timed => &[Preemption, Sold, Unsold, Paused, Cancelled],
        Opening => &[Free, Scoring, Sold, Unsold, Paused, Cancelled],
        Scoring => &[Sold, Unsold, Paused, Cancelled],
        Hammered => &[Free, Preemption, Sold, Unsold, Paused, Cancelled],
        Preemption => &[Sold, Paused, Cancelled],
        Paused => &[Scheduled, Free, Inquiry, Timed, Opening, Scoring, Hammered, Preemption, Cancelled],
        // The winner may default: then the lot passes on, or stays unsold.
        Sold => &[Sold, Unsold],
        Unsold | Cancelled => &[],
    }
}

impl Lot {
    /// A lot as scheduled, before its first event.
    #[must_use]
    pub fn scheduled(terms: Terms, secrets: Secrets, now: Instant) -> Lot {
        Lot { terms, secrets, state: State { last_at: now, ..State::default() } }
    }

    /// The phase.
    #[must_use]
    pub fn status(&self) -> Status {
        self.state.status()
    }

    /// Whether bidding is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.status(), Status::Sold | Status::Unsold | Status::Cancelled)
    }

    /// When time alone will move the lot; none once it is closed, and none while it waits for people.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Instant> {
        match self.status() {
            Status::Scheduled => Some(self.terms.starts_at),
            Status::Paused => None,
            _ if self.is_closed() => None,
            _ => self.state.closes_at,
        }
    }

    /// Decides one command as one event. Expects that what was due by `now` is applied.
    pub fn decide(&self, command: &Command, now: Instant) -> Result<AuctionEvent, Box<Refusal>> {
        let decided = match command {
            Command::Bid { code, amount, origin, paddle } => self.bid(code, (*amount, *origin, *paddle), now),
            Command::Proxy { code, maximum, commitment } => self.leave_maximum(code, *maximum, commitment, now),
            Command::Withdraw { code, reason } => self.withdraw(code, reason, now),
            Command::Continue { code } => self.go_on(code, now),
            Command::AnswerPreemption { code, exercise } => self.answer_preemption(code, *exercise, now),
            Command::Accept { code } => self.accept(code, now),
            Command::Admit { code, rank } => self.admit(code, *rank, now),
            Command::Pause { reason } => self.pause(reason, now),
            Command::Resume => self.resume(now),
            Command::Cancel { reason } => self.cancel(reason, now),
            Command::PassOn { code } => self.pass_on(code, now),
            Command::Rest { code, reason } => self.rest(code, reason, now),
            Command::Return { code } => self.come_back(code, now),
            Command::Exclude { code, reason } => self.exclude(code, reason, now),
            Command::Ask { amount } => self.ask(*amount, now),
            Command::Warn => self.warn(now),
            Command::Hammer => self.hammer(now),
            Command::Reopen { reason } => self.reopen(reason, now),
            Command::GiveShare { trustee, commitment } => self.give_share(trustee, commitment, now),
            Command::Open { code, commitment, offer, last } => {
                self.open_envelope(code, commitment, (offer, *last), now)
            }
            Command::Score { member, code, points, last } => self.score(member, code, (points, *last), now),
            Command::Dismiss { member, reason, last } => self.dismiss(member, reason, *last, now),
        };
        let field = match command {
            Command::Bid { .. } | Command::Ask { .. } => "amount",
            Command::Proxy { .. } => "maximum",
            _ => "sessionId",
        };
        decided.map_err(|code| match code {
            ErrorCode::NotEligible | ErrorCode::OrganizationNotVerified | ErrorCode::ConflictOfInterest => {
                Box::new(self.refuse(code, now).at_field("organizationId"))
            }
            _ => Box::new(self.refuse(code, now).at_field(field)),
        })
    }

    /// Takes one command: its event, and what the engine does for hidden maxima because of it.
    pub fn take(&mut self, command: &Command, now: Instant) -> Taken {
        let mut taken = Taken::default();
        if let Command::Bid { code, amount, .. } = command {
            self.defend(code, *amount, now, &mut taken);
        }
        match self.decide(command, now) {
            Err(refusal) => taken.refusal = Some(refusal),
            Ok(event) => {
                self.enter(event, &mut taken);
                match command {
                    Command::Proxy { code, maximum, .. } => self.secrets.keep(code, *maximum, self.state.seq),
                    // Whoever takes its bid back does not want the engine to make it again.
                    Command::Withdraw { code, .. } => drop(self.secrets.proxies.remove(code)),
                    _ => {}
                }
                if !self.secrets.proxies.is_empty() {
                    self.raise(now, &mut taken);
                }
            }
        }
        taken
    }

    /// Applies everything that time alone makes happen by `now`.
    pub fn pass(&mut self, now: Instant) -> Vec<AuctionEvent> {
        let mut taken = Taken::default();
        while let Some(event) = self.due(now) {
            self.enter(event, &mut taken);
        }
        taken.events
    }

    fn enter(&mut self, event: AuctionEvent, taken: &mut Taken) {
        self.state.apply(&event);
        taken.events.push(event);
    }

    /// A refusal that tells where the lot stands.
    #[must_use]
    pub fn refuse(&self, code: ErrorCode, now: Instant) -> Refusal {
        let refusal = Refusal {
            current_price: self.price(),
            server_time: Some(now),
            closes_at: self.state.closes_at,
            deposit_held: self.holds_deposit(code),
            ..Refusal::new(code).by_rule("SM-5")
        };
        match (self.status(), self.minimum()) {
            (Status::Scheduled, _) => refusal.accepting(format!("≥ {}", self.terms.starts_at)),
            (Status::Free | Status::Timed, Some(minimum)) => {
                let accepted = self.accepted(minimum);
                Refusal { minimum_amount: Some(minimum), ..refusal.accepting(accepted) }
            }
            _ => refusal,
        }
    }

    /// Deposits stay on hold until the lot is settled, or known to stay unsold.
    fn holds_deposit(&self, code: ErrorCode) -> Option<bool> {
        let released = matches!(self.status(), Status::Unsold | Status::Cancelled);
        (code != ErrorCode::NotEligible).then_some(!released)
    }

    /// What an open session would accept, in words.
    fn accepted(&self, minimum: Money) -> String {
        if !self.terms.is_open() {
            return format!("{minimum}");
        }
        let step = self.terms.increment(minimum);
        let sign = if self.terms.is_reverse() { '-' } else { '+' };
        match self.terms.announced.max_multiple {
            0 => format!("{minimum} {sign} k × {step}"),
            most => format!("{minimum} {sign} k × {step}, k < {most}"),
        }
    }

    /// The price that everybody sees: none while offers are sealed.
    #[must_use]
    pub fn price(&self) -> Option<Money> {
        let lead = self.state.lead.as_ref().map(|lead| lead.amount);
        lead.or_else(|| self.state.asking.filter(|_| self.terms.announced.mode() == Mode::Dutch))
    }

    /// The least amount (in REVERSE: the most) that would be accepted of a bidder who does not lead.
    #[must_use]
    pub fn minimum(&self) -> Option<Money> {
        match self.terms.announced.mode() {
            Mode::Dutch => self.state.asking,
            Mode::OpenLicence => Some(self.terms.starting_price),
            _ if !self.terms.is_open() => Some(self.terms.starting_price),
            _ => Some(match &self.state.lead {
                Some(lead) => self.terms.further(lead.amount, 1),
                None => self.terms.starting_price,
            }),
        }
    }

    /// The next event's frame; the end stays as it is.
    #[must_use]
    pub fn event(&self, kind: Kind, at: Instant) -> AuctionEvent {
        AuctionEvent {
            seq: self.state.seq + 1,
            kind: kind.into(),
            at: Some(at),
            closes_at: self.state.closes_at,
            ..AuctionEvent::default()
        }
    }
}
