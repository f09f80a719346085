//! Where a deal may go, and who may know of it.

use kernel::{Actor, Id};
use wire::{id::OrganizationId, v1::DealStatus};

/// The statuses that may follow: signed, then registered, then settled, in this order only. The money leaves the
/// exchange against a registered contract (SM-5b).
#[must_use]
pub fn next(status: DealStatus) -> &'static [DealStatus] {
    match status {
        DealStatus::Drafted => &[DealStatus::Signed],
        DealStatus::Signed => &[DealStatus::Registered],
        DealStatus::Registered => &[DealStatus::Settled],
        DealStatus::Settled => &[],
    }
}

/// Whose deals and contracts a caller may know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Everybody's: centre staff, and the exchange itself.
    Everything,
    /// Those to which one of these organizations is a party.
    Parties(Vec<OrganizationId>),
}

impl Sight {
    /// What the person may know of.
    #[must_use]
    pub fn of(actor: &Actor) -> Sight {
        if actor.is_any_staff() || actor.is_exchange() {
            return Sight::Everything;
        }
        let ids = actor.memberships.iter().filter_map(|m| OrganizationId::parse(&m.organization_id, "").ok());
        Sight::Parties(ids.collect())
    }

    /// Whether something between these two is in sight.
    #[must_use]
    pub fn covers(&self, parties: [OrganizationId; 2]) -> bool {
        match self {
            Sight::Everything => true,
            Sight::Parties(own) => parties.iter().any(|party| own.contains(party)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{ActingFor, Role};

    const ALL: [DealStatus; 4] = [DealStatus::Drafted, DealStatus::Signed, DealStatus::Registered, DealStatus::Settled];

    #[test]
    fn a_deal_goes_one_step_at_a_time_and_never_back() {
        for from in ALL {
            for to in ALL {
                assert_eq!(next(from).contains(&to), to as i32 == from as i32 + 1, "{from:?} → {to:?}");
            }
        }
    }

    #[test]
    fn strangers_see_nothing_members_their_own_and_staff_everything() {
        let (own, other) = (OrganizationId::fresh(), OrganizationId::fresh());
        let mut actor = Actor { person_id: "person_1".into(), ..Actor::default() };
        assert!(!Sight::of(&actor).covers([own, other]));
        let roles = vec![Role::Broker as i32];
        let membership = ActingFor { organization_id: own.text(), roles, centre: false, verified: true };
        actor.memberships.push(membership);
        assert!(Sight::of(&actor).covers([own, other]) && Sight::of(&actor).covers([other, own]));
        assert!(!Sight::of(&actor).covers([other, other]));
        actor.memberships[0].centre = true;
        assert!(Sight::of(&actor).covers([other, other]));
        assert!(Sight::of(&Actor::exchange()).covers([other, other]));
        assert!(!Sight::of(&Actor::default()).covers([other, other]));
    }
}
