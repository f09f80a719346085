//! Who gets how much of a forfeited deposit, in the stated order: costs, then the price gap on the resale, then other
//! debts (judicial 24, SM-4). Pure.

use kernel::{Error, ErrorCode, Money, Refusal, Result};
use wire::v1::ForfeitureStatus;

/// The statuses that may follow. The gap is paid after the costs, or with them, once the resale price is known.
pub fn next(status: ForfeitureStatus) -> &'static [ForfeitureStatus] {
    match status {
        ForfeitureStatus::Forfeited => &[ForfeitureStatus::CostsPaid, ForfeitureStatus::Distributed],
        ForfeitureStatus::CostsPaid => &[ForfeitureStatus::Distributed],
        ForfeitureStatus::Distributed => &[ForfeitureStatus::Closed],
        ForfeitureStatus::Closed => &[],
    }
}

/// A forfeited deposit as the rules see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forfeit {
    /// The whole deposit.
    pub amount: Money,
    /// What the defaulter had offered.
    pub defaulted_price: Money,
    /// What the listing brought afterwards, where it is known.
    pub resale_price: Option<Money>,
    /// What was kept for costs, once it is stated.
    pub costs: Option<Money>,
    /// Where it stands.
    pub status: ForfeitureStatus,
    /// Whether the listing's side was to pay the price, and the winner to be paid.
    pub reverse: bool,
}

/// What one step gives out, and how the forfeit stands after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portions {
    /// Kept for costs, all in all.
    pub costs: Money,
    /// What of the costs moves in this step.
    pub costs_now: Money,
    /// The resale price, where it is known by now.
    pub resale_price: Option<Money>,
    /// Paid to the transferor in this step, where the resale price is known.
    pub gap_paid: Option<Money>,
    /// Where it stands afterwards.
    pub status: ForfeitureStatus,
}

impl Forfeit {
    /// What the listing's side lost by the resale: nothing if it brought, or cost, as much.
    pub fn price_gap(&self, resale: Money) -> Result<Money> {
        let gap = if self.reverse { resale.minus(self.defaulted_price) } else { self.defaulted_price.minus(resale) };
        Ok(gap?.max(Money::ZERO))
    }

    /// The next step, with the costs that a cashier states and the resale price if the cashier proved one. Costs once
    /// paid stay; a resale price once known stays.
    pub fn portions(&self, costs: Money, resale: Option<Money>) -> Result<Portions> {
        if matches!(self.status, ForfeitureStatus::Distributed | ForfeitureStatus::Closed) {
            return Err(refusal(ErrorCode::AlreadyDistributed, "transferApplicationId").into());
        }
        let within = Money::ZERO <= costs && costs <= self.amount;
        if !within {
            return Err(refusal(ErrorCode::AmountOutOfRange, "costs")
                .accepting(format!("0.00–{}", self.amount))
                .into());
        }
        if let Some(paid) = self.costs.filter(|paid| *paid != costs) {
            return Err(refusal(ErrorCode::InvalidInput, "costs").accepting(paid.to_string()).into());
        }
        if let (Some(known), Some(_)) = (self.resale_price, resale) {
            return Err(refusal(ErrorCode::InvalidInput, "resaleDealId").accepting(known.to_string()).into());
        }
        let resale_price = self.resale_price.or(resale);
        let Some(price) = resale_price else { return self.costs_alone(costs) };
        let left = self.amount.minus(costs)?;
        Ok(Portions {
            costs,
            costs_now: costs.minus(self.costs.unwrap_or_default())?,
            resale_price,
            gap_paid: Some(self.price_gap(price)?.min(left)),
            status: ForfeitureStatus::Distributed,
        })
    }

    /// The gap waits for the resale. A second call that knows nothing more has nothing to do.
    fn costs_alone(&self, costs: Money) -> Result<Portions> {
        if self.status == ForfeitureStatus::CostsPaid {
            return Err(Error::from(refusal(ErrorCode::Required, "resaleDealId")));
        }
        let status = ForfeitureStatus::CostsPaid;
        Ok(Portions { costs, costs_now: costs, resale_price: None, gap_paid: None, status })
    }
}

/// Other debts come last, and together they are what remains, to the fen: nothing is kept, and nothing goes back.
pub fn require_debts(status: ForfeitureStatus, remainder: Money, mut debts: impl Iterator<Item = Money>) -> Result<()> {
    match status {
        ForfeitureStatus::Forfeited | ForfeitureStatus::CostsPaid => {
            let early = refusal(ErrorCode::IllegalTransition, "transferApplicationId");
            return Err(early.accepting(ForfeitureStatus::Distributed.stored()).into());
        }
        ForfeitureStatus::Distributed if remainder > Money::ZERO => {}
        ForfeitureStatus::Distributed | ForfeitureStatus::Closed => {
            return Err(refusal(ErrorCode::AlreadyDistributed, "transferApplicationId").into());
        }
    }
    let whole = debts.try_fold(Money::ZERO, Money::plus);
    if whole.is_ok_and(|whole| whole == remainder) {
        return Ok(());
    }
    Err(refusal(ErrorCode::AmountOutOfRange, "debts").accepting(format!("Σ amount = {remainder}")).into())
}

fn refusal(code: ErrorCode, field: &str) -> Refusal {
    Refusal::new(code).at_field(field).by_rule("SM-4")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [ForfeitureStatus; 4] = [
        ForfeitureStatus::Forfeited,
        ForfeitureStatus::CostsPaid,
        ForfeitureStatus::Distributed,
        ForfeitureStatus::Closed,
    ];
    const FORFEIT: Forfeit = Forfeit {
        amount: Money(300),
        defaulted_price: Money(1_000),
        resale_price: None,
        costs: None,
        status: ForfeitureStatus::Forfeited,
        reverse: false,
    };

    #[test]
    fn it_goes_forward_only() {
        for from in ALL {
            for to in ALL {
                let closing = to == ForfeitureStatus::Closed && from != ForfeitureStatus::Distributed;
                assert_eq!(next(from).contains(&to), to as i32 > from as i32 && !closing, "{from:?} → {to:?}");
            }
        }
    }

    #[test]
    fn other_debts_are_all_that_remains() {
        use ForfeitureStatus::{Closed, Distributed};
        let require = |status, remainder, debts: &[i64]| {
            require_debts(status, Money(remainder), debts.iter().copied().map(Money)).map_err(|error| error.code())
        };
        assert_eq!(require(Distributed, 7, &[3, 4]), Ok(()));
        for debts in [&[3, 3][..], &[3, 5], &[], &[i64::MAX, i64::MAX]] {
            assert_eq!(require(Distributed, 7, debts), Err(ErrorCode::AmountOutOfRange), "{debts:?}");
        }
        for early in [ForfeitureStatus::Forfeited, ForfeitureStatus::CostsPaid] {
            assert_eq!(require(early, 7, &[7]), Err(ErrorCode::IllegalTransition));
        }
        assert_eq!(require(Distributed, 0, &[1]), Err(ErrorCode::AlreadyDistributed));
        assert_eq!(require(Closed, 7, &[7]), Err(ErrorCode::AlreadyDistributed));
    }

    #[test]
    fn costs_come_first_then_the_gap_and_the_rest_is_kept() {
        for (costs, resale, gap) in
            [(0, 900, 100), (50, 900, 100), (250, 900, 50), (300, 900, 0), (50, 1_000, 0), (50, 2_000, 0), (0, 1, 300)]
        {
            let portions = FORFEIT.portions(Money(costs), Some(Money(resale))).unwrap();
            assert_eq!((portions.costs_now, portions.gap_paid), (Money(costs), Some(Money(gap))), "{costs} {resale}");
        }
    }

    #[test]
    fn where_the_listing_asks_the_gap_is_what_the_next_one_asks_more() {
        let asked = Forfeit { reverse: true, ..FORFEIT };
        for (resale, gap) in [(900, 0), (1_000, 0), (1_100, 100), (2_000, 300)] {
            let portions = asked.portions(Money::ZERO, Some(Money(resale))).unwrap();
            assert_eq!(portions.gap_paid, Some(Money(gap)), "{resale}");
        }
    }

    #[test]
    fn the_gap_waits_for_the_resale_and_nothing_is_given_twice() {
        let first = FORFEIT.portions(Money(40), None).unwrap();
        assert_eq!((first.costs_now, first.gap_paid, first.status), (Money(40), None, ForfeitureStatus::CostsPaid));
        let paid = Forfeit { costs: Some(Money(40)), status: first.status, ..FORFEIT };
        let code = |outcome: Result<Portions>| outcome.unwrap_err().code();
        assert_eq!(code(paid.portions(Money(40), None)), ErrorCode::Required);
        assert_eq!(code(paid.portions(Money(41), Some(Money(1)))), ErrorCode::InvalidInput);
        let second = paid.portions(Money(40), Some(Money(990))).unwrap();
        assert_eq!((second.costs_now, second.gap_paid), (Money::ZERO, Some(Money(10))));
        let done = Forfeit { status: ForfeitureStatus::Distributed, ..paid };
        assert_eq!(code(done.portions(Money(40), None)), ErrorCode::AlreadyDistributed);
        let passed_on = Forfeit { resale_price: Some(Money(900)), ..FORFEIT };
        assert_eq!(code(passed_on.portions(Money(0), Some(Money(1)))), ErrorCode::InvalidInput);
        for costs in [-1, 301] {
            assert_eq!(code(FORFEIT.portions(Money(costs), None)), ErrorCode::AmountOutOfRange);
        }
    }

    proptest! {
        #[test]
        fn no_more_is_given_than_was_lost(
            amount in 1..=i64::MAX, price in 1..=i64::MAX, costs: i64, resale in prop::option::of(1..=i64::MAX),
        ) {
            let forfeit = Forfeit { amount: Money(amount), defaulted_price: Money(price), ..FORFEIT };
            let Ok(portions) = forfeit.portions(Money(costs), resale.map(Money)) else {
                prop_assert!(!(0..=amount).contains(&costs));
                return Ok(());
            };
            let gap = portions.gap_paid.unwrap_or_default().0;
            prop_assert!(gap >= 0 && portions.costs.0 >= 0);
            prop_assert!(i128::from(gap) + i128::from(portions.costs.0) <= i128::from(amount));
            if let Some(resale) = resale {
                let whole = i128::from(price) - i128::from(resale);
                prop_assert!(i128::from(gap) <= whole.max(0));
                // The transferor goes short only where nothing is left.
                prop_assert!(i128::from(gap) == whole.max(0) || gap == amount - costs);
            }
        }
    }
}
