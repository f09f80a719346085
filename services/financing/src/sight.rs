//! Who sees what.

use kernel::{Actor, Id, Role};
use wire::id::OrganizationId;

/// Whose projects, investors and interests a caller may know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Everybody's: centre staff, and the exchange itself.
    Everything,
    /// These organizations' own, besides what is public.
    Own(Vec<OrganizationId>),
}

impl Sight {
    /// What the person may know of.
    #[must_use]
    pub fn of(actor: &Actor) -> Sight {
        if actor.is_any_staff() || actor.is_exchange() {
            return Sight::Everything;
        }
        Sight::Own(organizations(actor, |_| true))
    }

    /// Whether what belongs to the organization alone is in sight.
    #[must_use]
    pub fn covers(&self, organization: OrganizationId) -> bool {
        match self {
            Sight::Everything => true,
            Sight::Own(own) => own.contains(&organization),
        }
    }
}

/// Whether the details of every project are open to the person: reviewers and auditors, and the exchange itself.
#[must_use]
pub fn reads_all_details(actor: &Actor) -> bool {
    actor.is_staff(Role::Reviewer) || actor.is_staff(Role::Auditor) || actor.is_exchange()
}

/// For whom the person may read details that projects opened to an investor (F5).
#[must_use]
pub fn invests_for(actor: &Actor) -> Vec<OrganizationId> {
    organizations(actor, |membership| {
        membership.verified && (membership.has(Role::Investor) || membership.has(Role::Administrator))
    })
}

fn organizations(actor: &Actor, counts: impl Fn(&kernel::ActingFor) -> bool) -> Vec<OrganizationId> {
    let counted = actor.memberships.iter().filter(|membership| counts(membership));
    counted.filter_map(|membership| OrganizationId::parse(&membership.organization_id, "").ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::ActingFor;

    fn member(role: Role, centre: bool, verified: bool) -> (Actor, OrganizationId) {
        let organization = OrganizationId::fresh();
        let roles = vec![role as i32];
        let membership = ActingFor { organization_id: organization.text(), roles, centre, verified };
        (Actor { person_id: "person_1".into(), memberships: vec![membership], ..Actor::default() }, organization)
    }

    #[test]
    fn members_see_their_own_and_staff_everything() {
        let (broker, own) = member(Role::Broker, false, true);
        assert!(Sight::of(&broker).covers(own) && !Sight::of(&broker).covers(OrganizationId::fresh()));
        let (cashier, _) = member(Role::Cashier, true, true);
        assert!(Sight::of(&cashier).covers(own) && Sight::of(&Actor::exchange()).covers(own));
        assert!(!Sight::of(&Actor::default()).covers(own));
    }

    #[test]
    fn only_reviewers_auditors_and_the_exchange_read_all_details() {
        for (role, reads) in
            [(Role::Reviewer, true), (Role::Auditor, true), (Role::Cashier, false), (Role::Administrator, false)]
        {
            assert_eq!(reads_all_details(&member(role, true, true).0), reads, "{role:?}");
            assert!(
                !reads_all_details(&member(role, false, true).0) && !reads_all_details(&member(role, true, false).0)
            );
        }
        assert!(reads_all_details(&Actor::exchange()) && !reads_all_details(&Actor::default()));
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
