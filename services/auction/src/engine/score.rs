//! Published criteria and weights (WEIGHTED, EVALUATION): the composite of an offer, exact in whole numbers.

use kernel::{ErrorCode, Instant};
use wire::v1::{AuctionEvent, AuctionEventKind as Kind, BiddingStatus as Status, Criterion, CriterionKind, OfferValue};

use super::{Lot, Standing};

/// All points of one criterion, in ten-thousandths of a point.
const FULL: i128 = 1_000_000;

/// Whether an offer must name this number, besides its price.
pub(super) fn is_offered(criterion: &Criterion) -> bool {
    criterion.kind() == CriterionKind::Number
}

impl Lot {
    pub(super) fn score(
        &self,
        member: &str,
        code: &str,
        (points, last): (&[OfferValue], bool),
        now: Instant,
    ) -> Result<AuctionEvent, ErrorCode> {
        if self.status() != Status::Scoring {
            return Err(ErrorCode::IllegalTransition);
        }
        if self.is_dismissed(member) {
            return Err(ErrorCode::NotEligible);
        }
        // Who rests is scored as well: it may come back.
        let bidder = self.state.bidders.get(code).ok_or(ErrorCode::NotEligible)?;
        let scored = self.state.scores.iter().any(|score| score.member == member && score.code == code);
        if bidder.standing.is_none() {
            return Err(ErrorCode::NoValidBid);
        }
        if scored {
            return Err(ErrorCode::AlreadyAnswered);
        }
        let asked = self.terms.announced.criteria.iter().filter(|criterion| criterion.kind() == CriterionKind::Panel);
        let asked: Vec<&str> = asked.map(|criterion| criterion.name.as_str()).collect();
        let given: Vec<&str> = points.iter().map(|point| point.name.as_str()).collect();
        if asked != given || points.iter().any(|point| !(0..=FULL).contains(&i128::from(point.value))) {
            return Err(ErrorCode::InvalidInput);
        }
        Ok(AuctionEvent {
            named: Some(member.to_owned()),
            bidder_code: Some(code.to_owned()),
            values: points.to_vec(),
            closes_at: last.then_some(now),
            ..self.event(Kind::Scored, now)
        })
    }

    /// Whoever does not score must not keep a lot from its end: its member leaves the panel, with its scores.
    pub(super) fn dismiss(
        &self,
        member: &str,
        reason: &str,
        last: bool,
        now: Instant,
    ) -> Result<AuctionEvent, ErrorCode> {
        if self.status() != Status::Scoring {
            return Err(ErrorCode::IllegalTransition);
        }
        if self.is_dismissed(member) {
            return Err(ErrorCode::AlreadyAnswered);
        }
        Ok(AuctionEvent {
            named: Some(member.to_owned()),
            reason: Some(reason.to_owned()),
            closes_at: last.then_some(now),
            ..self.event(Kind::MemberDismissed, now)
        })
    }

    /// Whether somebody of the panel belongs to it no more.
    #[must_use]
    pub fn is_dismissed(&self, member: &str) -> bool {
        self.state.dismissed.iter().any(|dismissed| dismissed == member)
    }

    /// The weighted points of an offer. The best offer of a criterion has all points, the others in proportion.
    pub(super) fn composite(&self, standing: &Standing) -> i128 {
        let criteria = self.terms.announced.criteria.iter();
        criteria.map(|criterion| self.points(criterion, standing) * i128::from(criterion.weight_bp)).sum()
    }

    /// Whether an offer is in any published number worse than another.
    pub(super) fn is_worse(&self, offer: &Standing, than: &Standing) -> bool {
        self.terms.announced.criteria.iter().filter(|criterion| criterion.kind() != CriterionKind::Panel).any(
            |criterion| {
                let (new, old) = (offered(criterion, offer), offered(criterion, than));
                if criterion.lower_is_better { new > old } else { new < old }
            },
        )
    }

    fn points(&self, criterion: &Criterion, standing: &Standing) -> i128 {
        if criterion.kind() == CriterionKind::Panel {
            return self.panel_points(&criterion.name, &standing.code);
        }
        let own = offered(criterion, standing);
        let all = self.state.bidders.values().filter_map(|bidder| bidder.standing.as_ref());
        let all = all.map(|standing| offered(criterion, standing));
        let best = if criterion.lower_is_better { all.min() } else { all.max() }.unwrap_or(own);
        match criterion.lower_is_better {
            _ if own == best => FULL,
            true => FULL * best / own.max(1),
            false => FULL * own / best.max(1),
        }
    }

    /// The mean of what the panel gave.
    fn panel_points(&self, criterion: &str, code: &str) -> i128 {
        let scores = self.state.scores.iter().filter(|score| score.code == code);
        let points = scores.filter_map(|score| score.points.iter().find(|point| point.name == criterion));
        let (sum, count) = points.fold((0, 0), |(sum, count), point| (sum + i128::from(point.value), count + 1));
        sum / i128::max(count, 1)
    }
}

fn offered(criterion: &Criterion, standing: &Standing) -> i128 {
    match criterion.kind() {
        CriterionKind::Price => i128::from(standing.amount.0),
        _ => {
            let value = standing.values.iter().find(|value| value.name == criterion.name);
            value.map_or(0, |value| i128::from(value.value))
        }
    }
}
