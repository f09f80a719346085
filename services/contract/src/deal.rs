//! Where a deal may go.

use wire::v1::DealStatus;

/// The statuses that may follow: signed, then registered, then settled, in this order only. The money leaves the
/// exchange against a registered contract (SM-5b).
#[must_use]
pub fn next(status: DealStatus) -> &'static [DealStatus] {
    match status {
        DealStatus::Drafted => &[DealStatus::Signed],
        DealStatus::Signed => &[DealStatus::Registered],
        DealStatus::Registered => &[DealStatus::Settled],
        DealStatus::Settled => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [DealStatus; 4] = [DealStatus::Drafted, DealStatus::Signed, DealStatus::Registered, DealStatus::Settled];

    #[test]
    fn a_deal_goes_one_step_at_a_time_and_never_back() {
        for from in ALL {
            for to in ALL {
                assert_eq!(next(from).contains(&to), to as i32 == from as i32 + 1, "{from:?} → {to:?}");
            }
        }
    }
}
