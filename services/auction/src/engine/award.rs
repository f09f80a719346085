//! Where an award stands.

use wire::v1::AwardStatus;

/// Every legal move of an award.
#[must_use]
pub fn next(status: AwardStatus) -> &'static [AwardStatus] {
    use AwardStatus::{Confirmed, Defaulted, HalfConfirmed, Proposed, TransferorDefaulted};
    match status {
        Proposed => &[HalfConfirmed, Defaulted, TransferorDefaulted],
        HalfConfirmed => &[Confirmed, Defaulted, TransferorDefaulted],
        Confirmed => &[Defaulted, TransferorDefaulted],
        Defaulted | TransferorDefaulted => &[],
    }
}
