//! What a caller may see (promise P-6). No I/O, no clock.

use kernel::{Actor, Id};
use uuid::Uuid;
use wire::{id::OrganizationId, v1::ListingStatus};

use crate::listing;

/// Whose objects are open to a caller beyond what is public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Everybody's: centre staff, and the exchange itself on behalf of another service.
    All,
    /// Those of the caller's own organizations.
    Own(Vec<Uuid>),
}

impl Sight {
    /// What this caller may see.
    #[must_use]
    pub fn of(actor: &Actor) -> Sight {
        if actor.is_any_staff() || is_exchange(actor) {
            return Sight::All;
        }
        let own = actor.memberships.iter().filter_map(|m| OrganizationId::parse(&m.organization_id, "").ok());
        Sight::Own(own.map(Id::uuid).collect())
    }

    /// Whether the organization's own affairs are open to the caller.
    #[must_use]
    pub fn covers(&self, organization: OrganizationId) -> bool {
        match self {
            Sight::All => true,
            Sight::Own(own) => own.contains(&organization.uuid()),
        }
    }

    /// Whether a listing of the organization is open to the caller.
    #[must_use]
    pub fn covers_listing(&self, organization: OrganizationId, status: ListingStatus) -> bool {
        !listing::PRIVATE.contains(&status) || self.covers(organization)
    }
}

/// Whether another service asks in the exchange's own name; the gateway never makes this actor.
#[must_use]
pub fn is_exchange(actor: &Actor) -> bool {
    actor.is_exchange()
}

#[cfg(test)]
mod tests {
    use kernel::{ActingFor, Role};

    use super::*;

    fn member(organization: OrganizationId, centre: bool) -> Actor {
        let membership = ActingFor {
            organization_id: organization.text(),
            roles: vec![Role::Reviewer as i32],
            centre,
            verified: true,
        };
        Actor { person_id: "person_1".into(), memberships: vec![membership], ..Actor::default() }
    }

    #[test]
    fn drafts_are_for_the_transferor_and_staff_and_what_is_disclosed_for_all() {
        let [own, other] = [OrganizationId::fresh(), OrganizationId::fresh()];
        let cases = [
            (Actor::default(), false, true),
            (member(other, false), false, true),
            (member(own, false), true, true),
            (member(other, true), true, true),
            (Actor::exchange(), true, true),
        ];
        for (actor, draft, disclosed) in cases {
            let sight = Sight::of(&actor);
            assert_eq!(sight.covers_listing(own, ListingStatus::Draft), draft, "{actor:?}");
            assert_eq!(sight.covers_listing(own, ListingStatus::Disclosed), disclosed, "{actor:?}");
            assert_eq!(sight.covers(own), draft, "{actor:?}");
        }
    }
}
