//! Where a prospective transferee stands (SM-4), and the code under which it bids. No I/O, no clock.

use kernel::Result;
use wire::v1::{
    ListingStatus,
    TransferApplicationStatus::{self, *},
};

use crate::transition;

/// The statuses that may follow.
#[must_use]
pub fn next(status: TransferApplicationStatus) -> &'static [TransferApplicationStatus] {
    match status {
        // The winner may default: then the lot is open again to those who had lost it.
        Lost => &[Refunded, Eligible],
        // The transferor may default: then nobody has the lot, and the winner goes without by no fault of its own.
        Won => &[Forfeited, Lost],
        other => onward(other),
    }
}

/// The statuses that may follow as long as nobody else defaults; it never leads back.
#[must_use]
pub fn onward(status: TransferApplicationStatus) -> &'static [TransferApplicationStatus] {
    match status {
        Applied => &[DepositDue, Rejected],
        DepositDue => &[Eligible],
        Eligible => &[Won, Lost],
        Lost => &[Refunded],
        Won => &[Forfeited],
        Rejected | Refunded | Forfeited => &[],
    }
}

/// Refuses a step that the table does not have.
pub fn require(from: TransferApplicationStatus, to: TransferApplicationStatus) -> Result<()> {
    transition::require(next, from, to, TransferApplicationStatus::stored)
}

/// The anonymous code of the `number`th eligible bidder of a listing: B01, B02 …
#[must_use]
pub fn bidder_code(number: i32) -> String {
    format!("B{number:02}")
}

/// What becomes of a bidder whose deposit arrives when the listing is where it is: the sale of a listing
/// that is decided already is lost for it.
#[must_use]
pub fn on_deposit(listing: ListingStatus) -> TransferApplicationStatus {
    use ListingStatus::{Contracted, Settled, Terminated, TransfereeFixed, Unsold};
    match listing {
        TransfereeFixed | Contracted | Settled | Unsold | Terminated => Lost,
        _ => Eligible,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [TransferApplicationStatus; 8] =
        [Applied, DepositDue, Rejected, Eligible, Won, Lost, Refunded, Forfeited];

    #[test]
    fn every_pair_is_as_the_table_of_sm_4_says() {
        let allowed = [
            (Applied, DepositDue),
            (Applied, Rejected),
            (DepositDue, Eligible),
            (Eligible, Won),
            (Eligible, Lost),
            (Lost, Refunded),
            (Lost, Eligible),
            (Won, Forfeited),
            (Won, Lost),
        ];
        for from in ALL {
            for to in ALL {
                assert_eq!(require(from, to).is_ok(), allowed.contains(&(from, to)), "{from:?} → {to:?}");
                let aside = [(Lost, Eligible), (Won, Lost)].contains(&(from, to));
                let goes_on = allowed.contains(&(from, to)) && !aside;
                assert_eq!(onward(from).contains(&to), goes_on, "{from:?} → {to:?}");
            }
        }
    }

    #[test]
    fn codes_tell_nothing_but_the_order_of_deposits() {
        assert_eq!([1, 9, 10, 99, 100].map(bidder_code), ["B01", "B09", "B10", "B99", "B100"]);
    }
}
