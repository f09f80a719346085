//! Who reads confidential details.

use kernel::{ActingFor, Actor, Id, Role, Scope};
use wire::id::OrganizationId;

/// Of whose projects the person reads all details: reviewers and auditors, within their centres (F5).
#[must_use]
pub fn reads_all_details(actor: &Actor) -> Scope {
    actor.scope(&[Role::Reviewer, Role::Auditor])
}

/// For whom the person may read details that projects opened to an investor (F5).
#[must_use]
pub fn invests_for(actor: &Actor) -> Vec<OrganizationId> {
    let invests = |place: &&ActingFor| place.verified && (place.has(Role::Investor) || place.has(Role::Administrator));
    let places = actor.memberships.iter().filter(invests);
    places.filter_map(|place| OrganizationId::parse(&place.organization_id, "").ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(role: Role, centre: bool, verified: bool) -> (Actor, OrganizationId) {
        let organization = OrganizationId::fresh();
        let roles = vec![role as i32];
        let membership = ActingFor {
            organization_id: organization.text(),
            roles,
            centre,
            verified,
            hub: centre,
            ..ActingFor::default()
        };
        let memberships = vec![membership];
        (Actor { person_id: "person_1".into(), memberships, second_factor: true, ..Actor::default() }, organization)
    }

    #[test]
    fn only_reviewers_auditors_and_the_exchange_read_all_details() {
        for (role, reads) in
            [(Role::Reviewer, true), (Role::Auditor, true), (Role::Cashier, false), (Role::Administrator, false)]
        {
            assert_eq!(!reads_all_details(&member(role, true, true).0).is_empty(), reads, "{role:?}");
            for (centre, verified) in [(false, true), (true, false)] {
                assert!(reads_all_details(&member(role, centre, verified).0).is_empty());
            }
        }
        assert_eq!(reads_all_details(&Actor::exchange()), Scope::Everything);
        assert!(reads_all_details(&Actor::default()).is_empty());
    }

    #[test]
    fn investors_and_administrators_of_verified_organizations_invest() {
        for (role, invests) in [(Role::Investor, true), (Role::Administrator, true), (Role::Broker, false)] {
            let (actor, own) = member(role, false, true);
            assert_eq!(invests_for(&actor), if invests { vec![own] } else { Vec::new() });
            assert!(invests_for(&member(role, false, false).0).is_empty());
        }
    }
}
