//! The transferor's fee. Pure.

use kernel::{Error, Money, Result};

/// What the rulebook says of the fee (SM-5b).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeRate {
    /// Share of the price in ten-thousandths (`fee.transferor_bp`).
    pub bp: i64,
    /// The least fee (`fee.min_fen`), as far as the cap allows.
    pub min: Money,
    /// The cap in ten-thousandths of the price (`fee.max_bp`, 拍卖法 56). It wins over the least fee.
    pub max_bp: i64,
}

impl FeeRate {
    /// The fee on a price. The share is rounded half up, the cap down: it is never exceeded, not by half a fen.
    pub fn of(self, price: Money) -> Result<Money> {
        let cap = i128::from(price.0) * i128::from(self.max_bp) / 10_000;
        let cap = i64::try_from(cap).map_err(|_| Error::Internal("fee.max_bp is out of range".into()))?;
        Ok(price.basis_points(self.bp)?.max(self.min).min(Money(cap)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: FeeRate = FeeRate { bp: 200, min: Money(10_000), max_bp: 500 };

    #[test]
    fn the_cap_wins_over_the_minimum_and_no_fen_is_lost_on_large_prices() {
        for (price, fee) in [
            (1, 0),
            (19, 0),
            (20, 1),
            (199_999, 9_999),
            (200_000, 10_000),
            (500_000, 10_000),
            (500_025, 10_001),
            // 2^53 + 1 and the largest price: a float would lose fen here.
            (9_007_199_254_740_993, 180_143_985_094_820),
            (99_999_999_999_999_999, 2_000_000_000_000_000),
            (i64::MAX, 184_467_440_737_095_516),
        ] {
            assert_eq!(RATE.of(Money(price)).unwrap(), Money(fee), "{price}");
        }
    }

    proptest! {
        #[test]
        fn never_above_the_cap(price in 1..=i64::MAX, bp in 0..1_000_i64, min in 0..=1_000_000_i64, max_bp in 0..=500_i64) {
            let fee = FeeRate { bp, min: Money(min), max_bp }.of(Money(price)).unwrap();
            prop_assert!(fee.0 >= 0);
            prop_assert!(i128::from(fee.0) * 10_000 <= i128::from(price) * i128::from(max_bp));
        }
    }
}
