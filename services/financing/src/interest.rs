//! What may happen to an interest: both sides' steps.

use kernel::{ErrorCode, Refusal, Result};
use wire::v1::{DeclineReason, InterestStatus};

use crate::transition::{illegal, of_interest};

/// Where an interest stands after the investor expressed it, for the first time or again. Calling again may only add the
/// acceptance of the non-disclosure agreement, never take it back; asking for what is so already changes nothing.
pub fn express(earlier: Option<InterestStatus>, accept_nda: bool) -> Result<InterestStatus> {
    match (earlier, accept_nda) {
        (None, false) => Ok(InterestStatus::Expressed),
        (None | Some(InterestStatus::Expressed), true) => Ok(InterestStatus::NdaAccepted),
        (Some(status @ (InterestStatus::Expressed | InterestStatus::NdaAccepted)), _) => Ok(status),
        (Some(status @ (InterestStatus::Accepted | InterestStatus::Declined)), _) => {
            Err(illegal("financingProjectId", of_interest(status).iter().map(|next| next.stored())))
        }
    }
}

/// Where an interest stands after the project's answer.
pub fn answer(status: InterestStatus, accept: bool, reasons: &[DeclineReason]) -> Result<InterestStatus> {
    if accept && status == InterestStatus::Expressed {
        return Err(Refusal::new(ErrorCode::NdaRequired).by_rule("F5").into());
    }
    let target = if accept { InterestStatus::Accepted } else { InterestStatus::Declined };
    if !of_interest(status).contains(&target) {
        return Err(illegal("interestId", of_interest(status).iter().map(|next| next.stored())));
    }
    match (accept, reasons.is_empty()) {
        (false, true) => Err(Refusal::new(ErrorCode::DeclineReasonRequired).at_field("declineReasons").into()),
        (true, false) => Err(Refusal::new(ErrorCode::InvalidInput).at_field("declineReasons").accepting("[]").into()),
        _ => Ok(target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use InterestStatus::{Accepted, Declined, Expressed, NdaAccepted};

    #[test]
    fn an_interest_is_expressed_once_and_grows_by_the_agreement() {
        assert_eq!(express(None, false).unwrap(), Expressed);
        assert_eq!(express(None, true).unwrap(), NdaAccepted);
        assert_eq!(express(Some(Expressed), false).unwrap(), Expressed);
        assert_eq!(express(Some(Expressed), true).unwrap(), NdaAccepted);
        assert_eq!(express(Some(NdaAccepted), false).unwrap(), NdaAccepted);
        assert_eq!(express(Some(NdaAccepted), true).unwrap(), NdaAccepted);
        for answered in [Accepted, Declined] {
            for accept_nda in [false, true] {
                assert_eq!(express(Some(answered), accept_nda).unwrap_err().code(), ErrorCode::IllegalTransition);
            }
        }
    }

    #[test]
    fn details_open_only_under_the_agreement_and_declining_takes_a_reason() {
        let reasons = [DeclineReason::Terms];
        let code = |status, accept, reasons: &[_]| answer(status, accept, reasons).map_err(|error| error.code());
        assert_eq!(code(Expressed, true, &[]), Err(ErrorCode::NdaRequired));
        assert_eq!(code(NdaAccepted, true, &[]), Ok(Accepted));
        assert_eq!(code(NdaAccepted, true, &reasons), Err(ErrorCode::InvalidInput));
        for status in [Expressed, NdaAccepted] {
            assert_eq!(code(status, false, &[]), Err(ErrorCode::DeclineReasonRequired));
            assert_eq!(code(status, false, &reasons), Ok(Declined));
        }
        for status in [Accepted, Declined] {
            for accept in [false, true] {
                assert_eq!(code(status, accept, &reasons), Err(ErrorCode::IllegalTransition));
            }
        }
    }

    #[test]
    fn no_step_leaves_the_table() {
        let all = [Expressed, NdaAccepted, Accepted, Declined];
        for status in all {
            for yes in [false, true] {
                for reasons in [&[][..], &[DeclineReason::Other][..]] {
                    if let Ok(target) = answer(status, yes, reasons) {
                        assert!(of_interest(status).contains(&target));
                    }
                }
                if let Ok(target) = express(Some(status), yes) {
                    assert!(target == status || of_interest(status).contains(&target));
                }
            }
        }
    }
}
