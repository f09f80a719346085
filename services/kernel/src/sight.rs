use sea_orm::{ColumnTrait, Condition, sea_query::SimpleExpr};
use uuid::Uuid;

use crate::{Actor, Scope};

/// Whose objects a caller may know of beyond what is public (promise P-6): those of the organizations that the person
/// belongs to (a broker under a mandate belongs to none of them), and, for staff, those in the charge of their centres.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    own: Vec<Uuid>,
    /// None for the hub's staff and the exchange itself, who see everything.
    centres: Option<Vec<Uuid>>,
}

impl Sight {
    /// What the person may know of, in any staff role at all.
    #[must_use]
    pub fn of(actor: &Actor) -> Sight {
        Sight::within(actor, actor.oversight())
    }

    /// What the person may know of, where the staff role reaches only `scope`.
    #[must_use]
    pub fn within(actor: &Actor, scope: Scope) -> Sight {
        let uuid = |id: &String| crate::decode(id).map(|(_, uuid)| uuid);
        Sight {
            own: actor.own_places().filter_map(|place| uuid(&place.organization_id)).collect(),
            centres: match scope {
                Scope::Everything => None,
                Scope::Centres(centres) => Some(centres.iter().filter_map(uuid).collect()),
            },
        }
    }

    /// Whether everything is in sight.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.centres.is_none()
    }

    /// Whether an object of one of these organizations, in the charge of the centre, is in sight.
    #[must_use]
    pub fn covers(&self, organizations: &[Uuid], centre: Uuid) -> bool {
        organizations.iter().any(|organization| self.own.contains(organization))
            || self.centres.as_ref().is_none_or(|centres| centres.contains(&centre))
    }

    /// Whether the column names an organization that the person belongs to.
    #[must_use]
    pub fn own<C: ColumnTrait>(&self, organization: C) -> SimpleExpr {
        organization.is_in(self.own.iter().copied())
    }

    /// The same as a condition, for lists.
    #[must_use]
    pub fn filter<C: ColumnTrait>(&self, organizations: &[C], centre: C) -> Condition {
        let Some(centres) = &self.centres else { return Condition::all() };
        let own = organizations.iter().map(|column| column.is_in(self.own.iter().copied()));
        own.fold(Condition::any().add(centre.is_in(centres.iter().copied())), Condition::add)
    }
}
