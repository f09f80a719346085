use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorCode, Refusal, Result};

/// An amount of renminbi in fen (1/100 yuan). One type for the wire, GraphQL and the database.
///
/// At the edge it is a decimal string of yuan with at most two decimals, never a JSON number:
/// the stock decimal scalar rounds 9007199254740993 silently.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Message, sea_orm::DeriveValueType, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Money(#[prost(int64, tag = "1")] pub i64);

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(0);

    /// The sum, or a refusal: money never wraps.
    pub fn plus(self, other: Money) -> Result<Money> {
        self.0.checked_add(other.0).map(Money).ok_or_else(overflow)
    }

    /// The difference, or a refusal.
    pub fn minus(self, other: Money) -> Result<Money> {
        self.0.checked_sub(other.0).map(Money).ok_or_else(overflow)
    }

    /// `bp` ten-thousandths of this amount, half a fen rounded away from zero.
    pub fn basis_points(self, bp: i64) -> Result<Money> {
        let exact = i128::from(self.0) * i128::from(bp);
        let half = if exact < 0 { -5_000 } else { 5_000 };
        i64::try_from((exact + half) / 10_000).map(Money).map_err(|_| overflow())
    }

    /// Reads yuan: optional minus, no leading zeros, at most 15 digits and two decimals.
    pub fn parse_yuan(text: &str) -> Option<Money> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let (yuan, fen) = digits.split_once('.').unwrap_or((digits, "0"));
        let well_formed = (1..=15).contains(&yuan.len())
            && (1..=2).contains(&fen.len())
            && (yuan == "0" || !yuan.starts_with('0'))
            && [yuan, fen].iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()));
        if !well_formed {
            return None;
        }
        let yuan: i64 = yuan.parse().ok()?;
        let tens: i64 = fen.parse().ok()?;
        let fen = if fen.len() == 1 { tens.checked_mul(10)? } else { tens };
        Some(Money((yuan.checked_mul(100)?.checked_add(fen)?).checked_mul(sign)?))
    }
}

fn overflow() -> Error {
    Refusal::new(ErrorCode::AmountOutOfRange).into()
}

impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", Decimal::new(self.0, 2))
    }
}

/// An amount of renminbi in yuan as a decimal string with at most two decimals, such as `"1234.50"`;
/// at most 15 digits before the point. JSON numbers are refused.
#[Scalar(name = "Money")]
impl ScalarType for Money {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else {
            return Err(InputValueError::custom("Money must be a string of yuan such as \"1234.50\""));
        };
        Money::parse_yuan(text).ok_or_else(|| {
            InputValueError::custom(
                "Money takes yuan with at most two decimals, such as \"1234.50\"; 金额为元，最多两位小数",
            )
        })
    }

    fn to_value(&self) -> Value {
        Value::String(self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints_and_nothing_else() {
        for text in ["0.00", "1.05", "-12.30", "999999999999999.99", "9007199254740993.00"] {
            let read = Money::parse_yuan(text);
            if text.len() < 19 {
                assert_eq!(read.unwrap().to_string(), text);
            }
        }
        for text in ["", "1_000", "1e3", "01", "1.", ".5", "1.005", "+1", "１", "1 ", "NaN", "1234567890123456"] {
            assert_eq!(Money::parse_yuan(text), None, "{text}");
        }
    }

    #[test]
    fn basis_points_round_half_away_from_zero() {
        assert_eq!(Money(12_345).basis_points(200).unwrap(), Money(247));
        assert_eq!(Money(25).basis_points(200).unwrap(), Money(1));
        assert_eq!(Money(-25).basis_points(200).unwrap(), Money(-1));
        assert!(Money(i64::MAX).basis_points(20_000).is_err());
    }
}
