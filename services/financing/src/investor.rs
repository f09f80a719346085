//! What an investor looks for.

use kernel::{ErrorCode, Money, Refusal, Result};
use wire::v1::{self, InvestorStatus, Stage, TechnologyField};

use crate::entry::{all_known, division, present, required};

/// An investor's wishes, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preferences {
    /// At least one.
    pub fields: Vec<TechnologyField>,
    /// At least one.
    pub stages: Vec<Stage>,
    /// Divisions of 2, 4 or 6 digits; none: anywhere.
    pub regions: Vec<String>,
    /// The least amount.
    pub least: Money,
    /// The most.
    pub most: Money,
}

/// More regions than this say nothing.
const MOST_REGIONS: usize = 50;

impl Preferences {
    /// Checks what an investor entered.
    pub fn check(input: &v1::RegisterInvestorInput) -> Result<Preferences> {
        let fields = all_known(&input.fields, "fields")?;
        let stages = all_known(&input.stages, "stages")?;
        if fields.is_empty() {
            return Err(required("fields"));
        }
        if stages.is_empty() {
            return Err(required("stages"));
        }
        let least = present(input.least_amount, "leastAmount")?;
        let most = present(input.most_amount, "mostAmount")?;
        if least < Money::ZERO {
            return Err(Refusal::new(ErrorCode::AmountOutOfRange).at_field("leastAmount").accepting("≥ 0.00").into());
        }
        if most < least || most == Money::ZERO {
            let least = least.max(Money(1));
            let refusal = Refusal::new(ErrorCode::AmountOutOfRange).at_field("mostAmount");
            return Err(refusal.accepting(format!("≥ {least}")).into());
        }
        let mut regions = Vec::new();
        for code in &input.regions {
            let code = division(code, &[2, 4, 6], "regions")?;
            if !regions.contains(&code) {
                regions.push(code);
            }
            if regions.len() > MOST_REGIONS {
                let refusal = Refusal::new(ErrorCode::InvalidInput).at_field("regions");
                return Err(refusal.accepting(format!("≤ {MOST_REGIONS}")).into());
            }
        }
        Ok(Preferences { fields, stages, regions, least, most })
    }
}

/// Only a verified investor takes part (F5).
pub fn require_verified(status: InvestorStatus) -> Result<()> {
    if status == InvestorStatus::Verified {
        return Ok(());
    }
    Err(Refusal::new(ErrorCode::InvestorNotVerified).at_field("investorId").by_rule("F5").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input() -> v1::RegisterInvestorInput {
        v1::RegisterInvestorInput {
            organization_id: String::new(),
            fields: vec![TechnologyField::NewEnergy.into(), TechnologyField::NewEnergy.into()],
            stages: vec![Stage::Pilot.into()],
            least_amount: Some(Money(0)),
            most_amount: Some(Money(100)),
            regions: vec!["51".into(), "5101".into(), "510107".into(), "51".into()],
        }
    }

    #[test]
    fn good_wishes_are_kept_once_each() {
        let kept = Preferences::check(&input()).unwrap();
        assert_eq!(kept.fields, [TechnologyField::NewEnergy]);
        assert_eq!(kept.regions, ["51", "5101", "510107"]);
    }

    #[test]
    fn each_bad_wish_is_named() {
        let with = |change: fn(&mut v1::RegisterInvestorInput)| {
            let mut input = input();
            change(&mut input);
            match Preferences::check(&input) {
                Err(kernel::Error::Refused(refusal)) => (refusal.error_code(), refusal.field[1].clone()),
                other => panic!("{other:?}"),
            }
        };
        let expected = |code, field: &str| (code, field.to_owned());
        assert_eq!(with(|i| i.fields.clear()), expected(ErrorCode::Required, "fields"));
        assert_eq!(with(|i| i.fields.push(99)), expected(ErrorCode::InvalidInput, "fields"));
        assert_eq!(with(|i| i.stages.clear()), expected(ErrorCode::Required, "stages"));
        assert_eq!(with(|i| i.least_amount = None), expected(ErrorCode::Required, "leastAmount"));
        assert_eq!(with(|i| i.least_amount = Some(Money(-1))), expected(ErrorCode::AmountOutOfRange, "leastAmount"));
        assert_eq!(with(|i| i.least_amount = Some(Money(101))), expected(ErrorCode::AmountOutOfRange, "mostAmount"));
        assert_eq!(with(|i| i.most_amount = Some(Money(0))), expected(ErrorCode::AmountOutOfRange, "mostAmount"));
        assert_eq!(with(|i| i.regions.push("510".into())), expected(ErrorCode::InvalidInput, "regions"));
        assert_eq!(with(|i| i.regions.push("5 ".into())), expected(ErrorCode::InvalidInput, "regions"));
    }

    #[test]
    fn only_verified_investors_take_part() {
        assert!(require_verified(InvestorStatus::Verified).is_ok());
        for status in [InvestorStatus::Applied, InvestorStatus::Rejected] {
            assert_eq!(require_verified(status).unwrap_err().code(), ErrorCode::InvestorNotVerified);
        }
    }
}
