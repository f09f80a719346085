//! The state machines of financing (SM-9), as far as the exchange runs them.

use kernel::{Error, ErrorCode, Refusal};
use wire::v1::{FinancingProjectStatus, InterestStatus, InvestorStatus};

/// The statuses that may follow an investor's.
#[must_use]
pub fn of_investor(status: InvestorStatus) -> &'static [InvestorStatus] {
    match status {
        InvestorStatus::Applied => &[InvestorStatus::Verified, InvestorStatus::Rejected],
        InvestorStatus::Verified | InvestorStatus::Rejected => &[],
    }
}

/// The statuses that may follow a financing project's.
#[must_use]
pub fn of_project(status: FinancingProjectStatus) -> &'static [FinancingProjectStatus] {
    match status {
        FinancingProjectStatus::Draft => &[FinancingProjectStatus::Open],
        FinancingProjectStatus::Open => &[],
    }
}

/// The statuses that may follow an interest's. Details are opened only under a non-disclosure agreement (F5).
#[must_use]
pub fn of_interest(status: InterestStatus) -> &'static [InterestStatus] {
    match status {
        InterestStatus::Expressed => &[InterestStatus::NdaAccepted, InterestStatus::Declined],
        InterestStatus::NdaAccepted => &[InterestStatus::Accepted, InterestStatus::Declined],
        InterestStatus::Accepted | InterestStatus::Declined => &[],
    }
}

/// The refusal of a step that the present status does not allow; it names the statuses that may follow.
pub fn illegal<'a>(field: &str, allowed: impl IntoIterator<Item = &'a str>) -> Error {
    let names: Vec<&str> = allowed.into_iter().collect();
    Refusal::new(ErrorCode::IllegalTransition).at_field(field).accepting(names.join(" | ")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks all pairs of a table; `allowed` names the pairs that may be.
    fn walk<S: Copy + PartialEq + std::fmt::Debug>(all: &[S], next: fn(S) -> &'static [S], allowed: &[(S, S)]) {
        for from in all {
            for to in all {
                let expected = allowed.contains(&(*from, *to));
                assert_eq!(next(*from).contains(to), expected, "{from:?} → {to:?}");
            }
        }
    }

    #[test]
    fn investors() {
        use InvestorStatus::{Applied, Rejected, Verified};
        walk(&[Applied, Verified, Rejected], of_investor, &[(Applied, Verified), (Applied, Rejected)]);
    }

    #[test]
    fn projects() {
        use FinancingProjectStatus::{Draft, Open};
        walk(&[Draft, Open], of_project, &[(Draft, Open)]);
    }

    #[test]
    fn interests() {
        use InterestStatus::{Accepted, Declined, Expressed, NdaAccepted};
        let all = [Expressed, NdaAccepted, Accepted, Declined];
        let allowed =
            [(Expressed, NdaAccepted), (Expressed, Declined), (NdaAccepted, Accepted), (NdaAccepted, Declined)];
        walk(&all, of_interest, &allowed);
    }
}
