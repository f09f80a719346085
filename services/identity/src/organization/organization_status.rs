//! An organization's states, and what its kind and roles may be.

use kernel::{ErrorCode, Refusal, Result, Role};
use wire::v1::{OrganizationKind, OrganizationStatus};

/// The statuses that may follow.
pub fn next(status: OrganizationStatus) -> &'static [OrganizationStatus] {
    use OrganizationStatus::{Applied, Closed, Rejected, Suspended, Verified};
    match status {
        Applied => &[Verified, Rejected, Closed],
        Verified => &[Suspended, Closed],
        Suspended => &[Verified, Closed],
        Rejected | Closed => &[],
    }
}

/// Requires that the organization stands in one of `from`.
pub fn require(status: OrganizationStatus, from: &[OrganizationStatus]) -> Result<()> {
    if from.contains(&status) {
        return Ok(());
    }
    let names: Vec<&str> = next(status).iter().map(|status| status.stored()).collect();
    Err(Refusal::new(ErrorCode::IllegalTransition).at_field("organizationId").accepting(names.join(" | ")).into())
}

/// Whether its people may gather and be managed: an applicant's too, before their roles count.
pub fn is_alive(status: OrganizationStatus) -> bool {
    matches!(status, OrganizationStatus::Applied | OrganizationStatus::Verified)
}

/// The kind of an applicant: any but an exchange centre, which the centre above it opens.
pub fn applicant_kind(number: i32) -> Result<OrganizationKind> {
    match OrganizationKind::try_from(number) {
        Ok(OrganizationKind::ExchangeCentre) => Err(Refusal::new(ErrorCode::Forbidden).at_field("kind").into()),
        Ok(kind) => Ok(kind),
        Err(_) => Err(Refusal::new(ErrorCode::InvalidInput).at_field("kind").into()),
    }
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
    if kind != OrganizationKind::ExchangeCentre && roles.iter().any(|role| role.is_staff()) {
        return Err(refusal("ADMINISTRATOR | TRANSFEROR | BROKER | BIDDER | INVESTOR | SIGNATORY").into());
    }
    Ok(roles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_leads_where_it_may_and_nowhere_else() {
        use OrganizationStatus::{Applied, Closed, Rejected, Suspended, Verified};
        let all = [Applied, Verified, Rejected, Suspended, Closed];
        let pairs: Vec<_> = all.iter().flat_map(|from| next(*from).iter().map(move |to| (*from, *to))).collect();
        let decided = [(Applied, Verified), (Applied, Rejected), (Applied, Closed)];
        let rested = [(Verified, Suspended), (Verified, Closed), (Suspended, Verified), (Suspended, Closed)];
        assert_eq!(pairs, [&decided[..], &rested[..]].concat());
        assert!(require(Applied, &[Applied, Verified]).is_ok());
        assert_eq!(require(Closed, &[Applied, Verified]).unwrap_err().code(), ErrorCode::IllegalTransition);
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
        assert_eq!(applicant_kind(10).unwrap_err().code(), ErrorCode::InvalidInput);
        assert_eq!(applicant_kind(9).unwrap(), OrganizationKind::Incubator);
        assert_eq!(applicant_kind(0).unwrap(), OrganizationKind::University);
    }
}
