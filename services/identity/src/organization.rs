//! An organization's states, and what its kind, region and roles may be.

use kernel::{ErrorCode, Refusal, Result, Role};
use wire::v1::{OrganizationKind, OrganizationStatus};

/// The statuses that may follow.
pub fn next(status: OrganizationStatus) -> &'static [OrganizationStatus] {
    match status {
        OrganizationStatus::Applied => &[OrganizationStatus::Verified, OrganizationStatus::Rejected],
        OrganizationStatus::Verified | OrganizationStatus::Rejected => &[],
    }
}

/// Requires that `wanted` may follow `status`.
pub fn require_next(status: OrganizationStatus, wanted: OrganizationStatus) -> Result<()> {
    let allowed = next(status);
    if allowed.contains(&wanted) {
        return Ok(());
    }
    let names: Vec<&str> = allowed.iter().map(|status| status.stored()).collect();
    Err(Refusal::new(ErrorCode::IllegalTransition).at_field("organizationId").accepting(names.join(" | ")).into())
}

/// The kind of an applicant: any but an exchange centre, which only the operator makes.
pub fn applicant_kind(number: i32) -> Result<OrganizationKind> {
    match OrganizationKind::try_from(number) {
        Ok(OrganizationKind::ExchangeCentre) => Err(Refusal::new(ErrorCode::Forbidden).at_field("kind").into()),
        Ok(kind) => Ok(kind),
        Err(_) => Err(Refusal::new(ErrorCode::InvalidInput).at_field("kind").into()),
    }
}

/// An administrative division of GB/T 2260: six digits.
pub fn region(text: &str) -> Result<String> {
    let region = text.trim();
    if region.len() == 6 && region.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(region.to_owned());
    }
    Err(Refusal::new(ErrorCode::InvalidInput).at_field("region").by_rule("GB/T 2260").accepting("510100").into())
}

/// At least one role, each once; staff roles only in an exchange centre.
pub fn roles(numbers: &[i32], kind: OrganizationKind) -> Result<Vec<Role>> {
    let refusal = |accepted: &str| Refusal::new(ErrorCode::InvalidInput).at_field("roles").accepting(accepted);
    let Ok(mut roles) = numbers.iter().map(|number| Role::try_from(*number)).collect::<Result<Vec<Role>, _>>() else {
        return Err(refusal("Role").into());
    };
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() {
        return Err(Refusal::new(ErrorCode::Required).at_field("roles").into());
    }
    if kind != OrganizationKind::ExchangeCentre && roles.iter().any(|role| is_staff(*role)) {
        return Err(refusal("ADMINISTRATOR | BROKER | BIDDER | INVESTOR | SIGNATORY").into());
    }
    Ok(roles)
}

fn is_staff(role: Role) -> bool {
    match role {
        Role::Administrator | Role::Broker | Role::Bidder | Role::Investor | Role::Signatory => false,
        Role::Reviewer | Role::Qualifier | Role::Cashier | Role::Registrar | Role::Auditor => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_decided_once() {
        use OrganizationStatus::{Applied, Rejected, Verified};
        for from in [Applied, Verified, Rejected] {
            for to in [Applied, Verified, Rejected] {
                let allowed = from == Applied && to != Applied;
                assert_eq!(require_next(from, to).is_ok(), allowed, "{from:?} → {to:?}");
            }
        }
    }

    #[test]
    fn staff_roles_need_a_centre() {
        let broker = [Role::Broker as i32, Role::Administrator as i32, Role::Broker as i32];
        assert_eq!(roles(&broker, OrganizationKind::University).unwrap(), [Role::Administrator, Role::Broker]);
        let staff = [Role::Reviewer as i32];
        assert_eq!(roles(&staff, OrganizationKind::ExchangeCentre).unwrap(), [Role::Reviewer]);
        assert_eq!(roles(&staff, OrganizationKind::Government).unwrap_err().code(), ErrorCode::InvalidInput);
        assert_eq!(roles(&[99], OrganizationKind::ExchangeCentre).unwrap_err().code(), ErrorCode::InvalidInput);
        assert_eq!(roles(&[], OrganizationKind::University).unwrap_err().code(), ErrorCode::Required);
    }

    #[test]
    fn nobody_applies_as_a_centre() {
        assert_eq!(applicant_kind(7).unwrap_err().code(), ErrorCode::Forbidden);
        assert_eq!(applicant_kind(8).unwrap_err().code(), ErrorCode::InvalidInput);
        assert_eq!(applicant_kind(0).unwrap(), OrganizationKind::University);
        assert!(region("510100").is_ok() && region("51010").is_err() && region("五一〇一〇〇").is_err());
    }
}
