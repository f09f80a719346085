//! A mandate's states and its commission (SM-11). No I/O, no clock.

use kernel::{ErrorCode, Instant, Money, Refusal, Result};
use wire::v1::MandateStatus;

/// The largest commission, in basis points.
pub const MOST_BASIS_POINTS: i32 = 3_000;

/// The longest mandate: 3 years, a leap day included.
const LONGEST_SECONDS: i64 = 1_096 * 86_400;

/// The statuses under which the broker acts for the principal, and stands on the principal's side.
pub const LIVE: [MandateStatus; 4] =
    [MandateStatus::Active, MandateStatus::Introduced, MandateStatus::Concluded, MandateStatus::CommissionDue];

/// The statuses that may follow.
pub fn next(status: MandateStatus) -> &'static [MandateStatus] {
    use MandateStatus::{Active, CommissionDue, Concluded, Declined, Ended, Introduced, Offered, Paid};
    match status {
        Offered => &[Active, Declined, Ended],
        Active => &[Introduced, Ended],
        // Until the award no deal came of it, so nothing is owed when it ends.
        Introduced => &[Concluded, Ended],
        Concluded => &[CommissionDue],
        CommissionDue => &[Paid],
        Paid | Declined | Ended => &[],
    }
}

/// What is known of the sale of a mandate's listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sale {
    /// The price of the confirmed award.
    pub price: Option<Money>,
    /// Whether the money side is done.
    pub settled: bool,
}

/// How far a mandate comes by what is known of its listing's sale.
pub fn reached(status: MandateStatus, sale: Sale) -> MandateStatus {
    match status {
        MandateStatus::Introduced | MandateStatus::Concluded if sale.price.is_some() => {
            if sale.settled {
                MandateStatus::CommissionDue
            } else {
                MandateStatus::Concluded
            }
        }
        other => other,
    }
}

/// The commission on a price: the agreed share, rounded down to the fen. It is owed by agreement, for a deal that came
/// about, and never more than agreed (最高人民法院关于审理技术合同纠纷案件适用法律若干问题的解释, arts. 38–41).
pub fn commission(price: Money, basis_points: i32) -> Result<Money> {
    let out_of_range = || Refusal::new(ErrorCode::AmountOutOfRange).by_rule("SM-11");
    if price < Money::ZERO || !(0..=MOST_BASIS_POINTS).contains(&basis_points) {
        return Err(out_of_range().into());
    }
    let exact = i128::from(price.0).checked_mul(i128::from(basis_points)).ok_or_else(out_of_range)?;
    Ok(Money(i64::try_from(exact / 10_000).map_err(|_| out_of_range())?))
}

/// A mandate's last day: ahead, and within 3 years.
pub fn valid_until(wanted: Option<Instant>, now: Instant) -> Result<Instant> {
    let wanted = wanted.ok_or_else(|| Refusal::new(ErrorCode::Required).at_field("validUntil"))?;
    let latest = now.plus_seconds(LONGEST_SECONDS);
    if now < wanted && wanted <= latest {
        return Ok(wanted);
    }
    let refusal = Refusal::new(ErrorCode::PeriodOutOfRange).at_field("validUntil").by_rule("SM-11");
    Err(refusal.accepting(format!("≤ {latest}")).into())
}

/// An agreed share of the price.
pub fn basis_points(wanted: i32) -> Result<i32> {
    if (0..=MOST_BASIS_POINTS).contains(&wanted) {
        return Ok(wanted);
    }
    Err(Refusal::new(ErrorCode::InvalidInput).at_field("commissionBasisPoints").accepting("0–3000").into())
}

#[cfg(test)]
mod tests {
    use MandateStatus::{Active, CommissionDue, Concluded, Declined, Ended, Introduced, Offered, Paid};
    use proptest::prelude::*;

    use super::*;

    const ALL: [MandateStatus; 8] = [Offered, Active, Introduced, Concluded, CommissionDue, Paid, Declined, Ended];

    #[test]
    fn brokerage_mandates_walk_their_table() {
        let legal = [
            (Offered, Active),
            (Offered, Declined),
            (Offered, Ended),
            (Active, Introduced),
            (Active, Ended),
            (Introduced, Concluded),
            (Introduced, Ended),
            (Concluded, CommissionDue),
            (CommissionDue, Paid),
        ];
        for from in ALL {
            for to in ALL {
                assert_eq!(next(from).contains(&to), legal.contains(&(from, to)), "{from:?} → {to:?}");
            }
        }
    }

    #[test]
    fn brokerage_mandates_follow_the_sale_step_by_step() {
        let price = Some(Money(1));
        for from in ALL {
            assert_eq!(reached(from, Sale::default()), from);
            assert_eq!(reached(from, Sale { price: None, settled: true }), from, "no price, no commission");
            for settled in [false, true] {
                let mut at = from;
                let to = reached(from, Sale { price, settled });
                while at != to {
                    let [step, ..] = next(at) else { panic!("{from:?} → {to:?}") };
                    at = *step;
                }
            }
        }
        assert_eq!(reached(Introduced, Sale { price, settled: true }), CommissionDue);
        assert_eq!(reached(Ended, Sale { price, settled: true }), Ended, "nothing is owed");
    }

    #[test]
    fn brokerage_mandates_end_within_three_years() {
        let now = Instant(1_000);
        assert!(valid_until(Some(now.plus_seconds(LONGEST_SECONDS)), now).is_ok());
        for wanted in [now, now.plus_seconds(LONGEST_SECONDS).plus_millis(1), Instant(i64::MAX)] {
            assert_eq!(valid_until(Some(wanted), now).unwrap_err().code(), ErrorCode::PeriodOutOfRange);
        }
        assert!(basis_points(3_000).is_ok() && basis_points(3_001).is_err() && basis_points(-1).is_err());
    }

    proptest! {
        /// Never more than the agreed share, and less than a fen below it.
        #[test]
        fn brokerage_commission_is_the_share_rounded_down(price in 0..=i64::MAX, share in 0..=MOST_BASIS_POINTS) {
            let owed = i128::from(commission(Money(price), share).unwrap().0);
            let exact = i128::from(price) * i128::from(share);
            prop_assert!(owed * 10_000 <= exact && exact < (owed + 1) * 10_000);
        }

        #[test]
        fn brokerage_commission_refuses_what_cannot_be(price in i64::MIN..0, share in (MOST_BASIS_POINTS + 1)..i32::MAX) {
            prop_assert!(commission(Money(price), 100).is_err());
            prop_assert!(commission(Money(100), share).is_err());
            prop_assert!(commission(Money(100), -share).is_err());
        }
    }
}
