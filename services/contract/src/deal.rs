//! Where a deal may go.

use wire::v1::DealStatus;

/// The statuses that may follow: signed, then registered, then settled, in this order only. The money leaves the
/// exchange against a registered contract (SM-5b). Until it has, a winner's default cancels the deal (SM-3).
#[must_use]
pub fn next(status: DealStatus) -> &'static [DealStatus] {
    match status {
        DealStatus::Drafted => &[DealStatus::Signed, DealStatus::Cancelled],
        DealStatus::Signed => &[DealStatus::Registered, DealStatus::Cancelled],
        DealStatus::Registered => &[DealStatus::Settled, DealStatus::Cancelled],
        DealStatus::Settled | DealStatus::Cancelled => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [DealStatus; 5] =
        [DealStatus::Drafted, DealStatus::Signed, DealStatus::Registered, DealStatus::Settled, DealStatus::Cancelled];

    #[test]
    fn a_deal_goes_one_step_at_a_time_and_never_back_and_is_cancelled_while_unpaid() {
        for from in ALL {
            for to in ALL {
                let step = to as i32 == from as i32 + 1 && to != DealStatus::Cancelled;
                let unpaid = [DealStatus::Drafted, DealStatus::Signed, DealStatus::Registered].contains(&from);
                let default = unpaid && to == DealStatus::Cancelled;
                assert_eq!(next(from).contains(&to), step || default, "{from:?} → {to:?}");
            }
        }
    }
}
