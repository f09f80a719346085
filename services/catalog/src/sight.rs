//! What a caller may see, and as whom a caller acts (promise P-6, SM-11). No I/O, no clock.

use kernel::{ActingFor, Actor, Id};
use wire::id::MandateId;

/// Whose objects are open to a caller beyond what is public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Those of the caller's own organizations and centres.
    pub places: kernel::Sight,
    /// The listings made under these mandates. A mandate opens nothing else of its principal.
    pub mandates: Vec<MandateId>,
}

impl Sight {
    /// What this caller may see.
    #[must_use]
    pub fn of(actor: &Actor) -> Sight {
        let mandate = |place: &ActingFor| MandateId::parse(&place.mandate_id, "").ok();
        Sight { places: kernel::Sight::of(actor), mandates: actor.memberships.iter().filter_map(mandate).collect() }
    }
}

/// The caller as far as one listing is concerned: the mandate that it is made under counts like a membership of its
/// principal, and no other mandate counts at all.
#[must_use]
pub fn concerning(actor: &Actor, mandate: Option<MandateId>) -> Actor {
    let mandate = mandate.map(Id::text).unwrap_or_default();
    let counts = |place: &&ActingFor| place.mandate_id.is_empty() || place.mandate_id == mandate;
    let own = |place: &ActingFor| ActingFor { mandate_id: String::new(), ..place.clone() };
    Actor { memberships: actor.memberships.iter().filter(counts).map(own).collect(), ..actor.clone() }
}
