//! What a listing may ask for, by the figures of the rulebook (rules G3, G10, SM-5). No I/O, no clock.

use kernel::{Error, ErrorCode, Money, Refusal, Result, rules::RuleParameter};
use wire::v1::{ConversionMode, SaleMethod};

/// No amount of a listing is above ten trillion yuan; a larger one is a slip of the pen.
pub const LARGEST: Money = Money(1_000_000_000_000_000);

/// No disclosure is longer, or its end would leave the loaded calendar.
pub const LONGEST_DISCLOSURE: i64 = 120;

/// No free bidding period is longer than seven days.
pub const LONGEST_FREE: i64 = 604_800;

/// The terms of a sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Public floor price, which is also the starting price.
    pub floor_price: Money,
    /// What each bidder must have on hold.
    pub deposit: Money,
    /// A raise is a positive multiple of this.
    pub increment: Money,
    /// Working days of disclosure.
    pub disclosure_days: i32,
    /// Length of the free bidding period.
    pub free_seconds: i32,
    /// Length of the timed cycle.
    pub timed_seconds: i32,
}

/// What else the notice says, as far as the terms of bidding hang on it.
#[derive(Clone, Copy, Debug)]
pub struct Notice {
    /// Floor price, increment and periods.
    pub terms: Terms,
    /// How it is sold.
    pub sale_method: SaleMethod,
    /// What happens to the right.
    pub conversion_mode: ConversionMode,
}

/// The figures in force on one day.
#[derive(Clone, Debug)]
pub struct Limits<'a> {
    deposit: &'a RuleParameter,
    tier_1m: &'a RuleParameter,
    tier_10m: &'a RuleParameter,
    days_up_to_1m: &'a RuleParameter,
    days_over_1m: &'a RuleParameter,
    days_over_10m: &'a RuleParameter,
    free_min: &'a RuleParameter,
    free_default: &'a RuleParameter,
    timed_min: &'a RuleParameter,
    timed_max: &'a RuleParameter,
    timed_default: &'a RuleParameter,
}

impl<'a> Limits<'a> {
    /// Reads the figures through `find`; one that is missing fails, and no other takes its place.
    pub fn read(find: impl Fn(&'static str) -> Result<&'a RuleParameter>) -> Result<Limits<'a>> {
        Ok(Limits {
            deposit: find("deposit.max_bp_of_floor")?,
            tier_1m: find("disclosure.asset.tier.1m_fen")?,
            tier_10m: find("disclosure.asset.tier.10m_fen")?,
            days_up_to_1m: find("disclosure.asset.min_working_days.up_to_1m")?,
            days_over_1m: find("disclosure.asset.min_working_days.over_1m")?,
            days_over_10m: find("disclosure.asset.min_working_days.over_10m")?,
            free_min: find("bidding.free.min_seconds")?,
            free_default: find("bidding.free.default_seconds")?,
            timed_min: find("bidding.timed.cycle.min_seconds")?,
            timed_max: find("bidding.timed.cycle.max_seconds")?,
            timed_default: find("bidding.timed.cycle.default_seconds")?,
        })
    }

    /// The least number of working days of disclosure; each tier's bound belongs to the lower tier (G3).
    #[must_use]
    pub fn disclosure(&self, floor: Money) -> &'a RuleParameter {
        if floor.0 <= self.tier_1m.value {
            self.days_up_to_1m
        } else if floor.0 <= self.tier_10m.value {
            self.days_over_1m
        } else {
            self.days_over_10m
        }
    }

    /// The largest deposit for a floor price (G10), to the fen below.
    #[must_use]
    pub fn deposit_cap(&self, floor: Money) -> Money {
        let exact = i128::from(floor.0) * i128::from(self.deposit.value) / 10_000;
        Money(i64::try_from(exact).unwrap_or(i64::MAX))
    }

    /// The usual lengths of the free period and of the timed cycle, in seconds.
    #[must_use]
    pub fn usual_seconds(&self) -> (i32, i32) {
        let seconds = |rule: &RuleParameter| i32::try_from(rule.value).unwrap_or(i32::MAX);
        (seconds(self.free_default), seconds(self.timed_default))
    }
}

/// An amount that must be given.
pub fn given(amount: Option<Money>, field: &str) -> Result<Money> {
    amount.ok_or_else(|| Refusal::new(ErrorCode::Required).at_field(field).into())
}

impl Terms {
    /// Refuses the first term that a rule does not allow, in the order of the fields.
    pub fn check(&self, limits: &Limits<'_>) -> Result<()> {
        let floor = self.floor_price;
        positive(floor, "floorPrice", ErrorCode::FloorNotPositive, "SM-3")?;
        self.check_deposit(limits)?;
        positive(self.increment, "increment", ErrorCode::IncrementNotPositive, "SM-5")?;
        self.check_disclosure(limits)?;
        let free = i64::from(self.free_seconds);
        within(free, limits.free_min.value, LONGEST_FREE, "freeSeconds", limits.free_min)?;
        let timed = i64::from(self.timed_seconds);
        within(timed, limits.timed_min.value, limits.timed_max.value, "timedSeconds", limits.timed_min)
    }

    /// The deposit is above zero and not above a share of the floor price (G10), to the fen.
    fn check_deposit(&self, limits: &Limits<'_>) -> Result<()> {
        let rule = limits.deposit;
        let (floor, deposit, bp) = (i128::from(self.floor_price.0), i128::from(self.deposit.0), i128::from(rule.value));
        let code = if deposit <= 0 {
            ErrorCode::AmountOutOfRange
        } else if deposit * 10_000 > floor * bp {
            ErrorCode::DepositAboveCap
        } else {
            return Ok(());
        };
        let cap = limits.deposit_cap(self.floor_price);
        let accepted = if deposit <= 0 { format!("0.01–{cap}") } else { format!("≤ {cap}") };
        Err(Refusal::new(code).at_field("deposit").by_rule(&rule.id).accepting(accepted).into())
    }

    fn check_disclosure(&self, limits: &Limits<'_>) -> Result<()> {
        let rule = limits.disclosure(self.floor_price);
        let days = i64::from(self.disclosure_days);
        if days < rule.value {
            let refusal = Refusal::new(ErrorCode::PeriodTooShort).at_field("disclosureDays").by_rule(&rule.id);
            return Err(refusal.accepting(format!("≥ {}", rule.value)).into());
        }
        within(days, rule.value, LONGEST_DISCLOSURE, "disclosureDays", rule)
    }
}

fn positive(amount: Money, field: &str, code: ErrorCode, rule: &str) -> Result<()> {
    let code = if amount <= Money::ZERO {
        code
    } else if amount > LARGEST {
        ErrorCode::AmountOutOfRange
    } else {
        return Ok(());
    };
    Err(Refusal::new(code).at_field(field).by_rule(rule).accepting(format!("0.01–{LARGEST}")).into())
}

fn within(value: i64, least: i64, most: i64, field: &str, rule: &RuleParameter) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let refusal = Refusal::new(ErrorCode::PeriodOutOfRange).at_field(field).by_rule(&rule.id);
    Err(Error::from(refusal.accepting(format!("{least}–{most}"))))
}

#[cfg(test)]
#[path = "terms_tests.rs"]
mod tests;
