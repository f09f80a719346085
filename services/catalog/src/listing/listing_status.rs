//! Where a listing stands (SM-3). No I/O, no clock.

use kernel::{Instant, Result};
use wire::v1::ListingStatus::{self, *};

use crate::transition;

/// The statuses that may follow.
#[must_use]
pub fn next(status: ListingStatus) -> &'static [ListingStatus] {
    match status {
        // DYNAMIC_LISTING is scheduled while the disclosure runs: bidding follows it without a break.
        Disclosed => &[PeriodEnded, Bidding, Terminated],
        // The disclosure may be extended (G8).
        PeriodEnded => &[Bidding, TransfereeFixed, Unsold, Terminated, Disclosed],
        // The transferee may default: then the lot passes to the next bidder, or stays unsold. Or the transferor may, and ends it.
        TransfereeFixed => &[Contracted, Bidding, Unsold, Terminated],
        Contracted => &[Settled, Bidding, Unsold, Terminated],
        other => onward(other),
    }
}

/// The statuses that may follow as long as the sale goes on its way: no extension, no default. It never leads back, so
/// that an event that comes late can be told from one that comes early.
#[must_use]
pub fn onward(status: ListingStatus) -> &'static [ListingStatus] {
    match status {
        Draft | Returned => &[Submitted],
        Submitted => &[Disclosed, Returned, Rejected],
        Disclosed => &[PeriodEnded, Terminated],
        PeriodEnded => &[Bidding, TransfereeFixed, Unsold, Terminated],
        Bidding => &[TransfereeFixed, Unsold, Terminated],
        TransfereeFixed => &[Contracted],
        Contracted => &[Settled],
        Rejected | Settled | Unsold | Terminated => &[],
    }
}

/// Refuses a step that the table does not have.
pub fn require(from: ListingStatus, to: ListingStatus) -> Result<()> {
    transition::require(next, from, to, ListingStatus::stored)
}

/// The end of disclosure is a function of time, not of a timer: nothing is written when it comes, so a
/// stored DISCLOSED means PERIOD_ENDED from the cut-off on, or BIDDING if a session was scheduled meanwhile.
#[must_use]
pub fn effective(
    stored: ListingStatus,
    disclosure_ends_at: Option<Instant>,
    scheduled: bool,
    now: Instant,
) -> ListingStatus {
    match (stored, disclosure_ends_at) {
        (Disclosed, Some(end)) if end <= now => match scheduled {
            true => Bidding,
            false => PeriodEnded,
        },
        _ => stored,
    }
}

/// The statuses that only the transferor and the centre's staff may see; every other is public.
pub const PRIVATE: [ListingStatus; 4] = [Draft, Submitted, Returned, Rejected];

/// Whether a prospective transferee's qualification may still be decided: during disclosure, and after
/// it for as long as the listing has not moved on (SM-4).
#[must_use]
pub fn takes_qualification(status: ListingStatus) -> bool {
    matches!(status, Disclosed | PeriodEnded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transition::{Arrival, arrival};

    const ALL: [ListingStatus; 12] = [
        Draft,
        Submitted,
        Returned,
        Rejected,
        Disclosed,
        PeriodEnded,
        Bidding,
        TransfereeFixed,
        Contracted,
        Settled,
        Unsold,
        Terminated,
    ];

    #[test]
    fn every_pair_is_as_the_table_of_sm_3_says() {
        let allowed = [
            (Draft, Submitted),
            (Submitted, Disclosed),
            (Submitted, Returned),
            (Submitted, Rejected),
            (Returned, Submitted),
            (Disclosed, PeriodEnded),
            (Disclosed, Bidding),
            (Disclosed, Terminated),
            (PeriodEnded, Disclosed),
            (PeriodEnded, Bidding),
            (PeriodEnded, TransfereeFixed),
            (PeriodEnded, Unsold),
            (PeriodEnded, Terminated),
            (Bidding, TransfereeFixed),
            (Bidding, Unsold),
            (Bidding, Terminated),
            (TransfereeFixed, Contracted),
            (TransfereeFixed, Bidding),
            (TransfereeFixed, Unsold),
            (TransfereeFixed, Terminated),
            (Contracted, Settled),
            (Contracted, Bidding),
            (Contracted, Unsold),
            (Contracted, Terminated),
        ];
        for from in ALL {
            for to in ALL {
                assert_eq!(require(from, to).is_ok(), allowed.contains(&(from, to)), "{from:?} → {to:?}");
            }
        }
    }

    #[test]
    fn the_way_of_a_sale_is_part_of_the_table_and_never_leads_back() {
        let aside = [
            (Disclosed, Bidding),
            (PeriodEnded, Disclosed),
            (TransfereeFixed, Bidding),
            (TransfereeFixed, Unsold),
            (TransfereeFixed, Terminated),
            (Contracted, Bidding),
            (Contracted, Unsold),
            (Contracted, Terminated),
        ];
        for from in ALL {
            for to in ALL {
                let (may, goes_on) = (next(from).contains(&to), onward(from).contains(&to));
                assert_eq!(may, goes_on || aside.contains(&(from, to)), "{from:?} → {to:?}");
            }
        }
        for from in ALL.into_iter().filter(|status| !PRIVATE.contains(status)) {
            for to in onward(from) {
                assert_eq!(arrival(onward, *to, from), Arrival::Done, "{from:?} lies behind {to:?}");
                assert_ne!(arrival(onward, from, *to), Arrival::Done, "{to:?} does not lie behind {from:?}");
            }
        }
    }

    #[test]
    fn a_public_listing_never_becomes_private_again() {
        for from in ALL.iter().filter(|status| !PRIVATE.contains(status)) {
            assert!(next(*from).iter().all(|to| !PRIVATE.contains(to)), "{from:?}");
        }
    }

    #[test]
    fn the_period_ends_at_the_cut_off_itself() {
        let end = Some(Instant(1_000));
        for (scheduled, after) in [(false, PeriodEnded), (true, Bidding)] {
            assert_eq!(effective(Disclosed, end, scheduled, Instant(999)), Disclosed);
            assert_eq!(effective(Disclosed, end, scheduled, Instant(1_000)), after);
            for status in ALL.into_iter().filter(|status| *status != Disclosed) {
                assert_eq!(effective(status, end, scheduled, Instant(2_000)), status);
            }
        }
    }

    #[test]
    fn late_events_find_the_step_done_and_early_ones_wait() {
        let cases = [
            (PeriodEnded, Bidding, Arrival::Due),
            (PeriodEnded, TransfereeFixed, Arrival::Due),
            (TransfereeFixed, Bidding, Arrival::Done),
            (Unsold, Bidding, Arrival::Done),
            (Settled, Contracted, Arrival::Done),
            (Bidding, Bidding, Arrival::Done),
            (Bidding, Contracted, Arrival::Early),
            (Disclosed, Bidding, Arrival::Early),
            (Unsold, TransfereeFixed, Arrival::Early),
            (TransfereeFixed, Unsold, Arrival::Early),
            (Bidding, TransfereeFixed, Arrival::Due),
            (Disclosed, Terminated, Arrival::Due),
            (Bidding, Terminated, Arrival::Due),
            (Terminated, Bidding, Arrival::Done),
        ];
        for (from, to, expected) in cases {
            assert_eq!(arrival(onward, from, to), expected, "{from:?} → {to:?}");
        }
    }
}
