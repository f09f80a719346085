//! Where a listing stands (SM-3). No I/O, no clock.

use kernel::{Instant, Result};
use wire::v1::ListingStatus::{self, *};

use crate::transition;

/// The statuses that may follow.
#[must_use]
pub fn next(status: ListingStatus) -> &'static [ListingStatus] {
    match status {
        Draft | Returned => &[Submitted],
        Submitted => &[Disclosed, Returned, Rejected],
        Disclosed => &[PeriodEnded],
        PeriodEnded => &[Bidding, TransfereeFixed, Unsold],
        Bidding => &[TransfereeFixed, Unsold],
        TransfereeFixed => &[Contracted],
        Contracted => &[Settled],
        Rejected | Settled | Unsold => &[],
    }
}

/// Refuses a step that the table does not have.
pub fn require(from: ListingStatus, to: ListingStatus) -> Result<()> {
    transition::require(next, from, to, ListingStatus::stored)
}

/// The end of disclosure is a function of time, not of a timer: nothing is written when it comes, so a
/// stored DISCLOSED means PERIOD_ENDED from the cut-off on.
#[must_use]
pub fn effective(stored: ListingStatus, disclosure_ends_at: Option<Instant>, now: Instant) -> ListingStatus {
    match (stored, disclosure_ends_at) {
        (Disclosed, Some(end)) if end <= now => PeriodEnded,
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

    const ALL: [ListingStatus; 11] = [
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
            (PeriodEnded, Bidding),
            (PeriodEnded, TransfereeFixed),
            (PeriodEnded, Unsold),
            (Bidding, TransfereeFixed),
            (Bidding, Unsold),
            (TransfereeFixed, Contracted),
            (Contracted, Settled),
        ];
        for from in ALL {
            for to in ALL {
                assert_eq!(require(from, to).is_ok(), allowed.contains(&(from, to)), "{from:?} → {to:?}");
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
        assert_eq!(effective(Disclosed, end, Instant(999)), Disclosed);
        assert_eq!(effective(Disclosed, end, Instant(1_000)), PeriodEnded);
        for status in ALL.into_iter().filter(|status| *status != Disclosed) {
            assert_eq!(effective(status, end, Instant(2_000)), status);
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
        ];
        for (from, to, expected) in cases {
            assert_eq!(arrival(next, from, to), expected, "{from:?} → {to:?}");
        }
    }
}
