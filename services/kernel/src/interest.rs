use crate::{ActingFor, Actor, ErrorCode};

impl Actor {
    /// Why the person may not act for a buyer of what `transferor_id` sells in the charge of `centre_id`, if anything
    /// stands against it (rule SM-5): belonging to the transferor or brokering for it, or belonging to the centre or
    /// to one above it, in whatever role and session.
    #[must_use]
    pub fn conflict(&self, transferor_id: &str, centre_id: &str) -> Option<ErrorCode> {
        if self.is_member(transferor_id) {
            return Some(ErrorCode::OwnListing);
        }
        let runs = |place: &ActingFor| place.centre && (place.hub || place.centres.iter().any(|id| id == centre_id));
        let conflict = self.acts_for(transferor_id) || self.memberships.iter().any(runs);
        conflict.then_some(ErrorCode::ConflictOfInterest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(place: ActingFor) -> Actor {
        Actor { person_id: "person_1".into(), memberships: vec![place], ..Actor::default() }
    }

    #[test]
    fn who_sells_brokers_or_runs_the_sale_does_not_buy() {
        let (seller, centre) = ("organization_seller", "organization_centre");
        let place = |id: &str| ActingFor { organization_id: id.into(), ..ActingFor::default() };
        let runs = |centres: &[&str], hub| ActingFor {
            centre: true,
            hub,
            centres: centres.iter().map(|id| (*id).to_owned()).collect(),
            ..place("organization_staff")
        };
        let cases = [
            (place("organization_buyer"), None),
            (place(seller), Some(ErrorCode::OwnListing)),
            (ActingFor { mandate_id: "mandate_1".into(), ..place(seller) }, Some(ErrorCode::ConflictOfInterest)),
            (runs(&["organization_other"], false), None),
            (runs(&["organization_other", centre], false), Some(ErrorCode::ConflictOfInterest)),
            (runs(&[], true), Some(ErrorCode::ConflictOfInterest)),
            // Not of the seller's centre, whatever the name says.
            (place(centre), None),
        ];
        for (place, expected) in cases {
            assert_eq!(of(place.clone()).conflict(seller, centre), expected, "{place:?}");
        }
    }
}
