//! Who may do what: `policy.toml`, compiled. A use case asks [`permit`] with its own entry; the descriptions of the
//! schema and `docs/permissions.md` are made of the same entries.

use kernel::{Actor, Result, Role};

use crate::v1;

/// One line of `policy.toml` about a mutation or a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Whoever comes.
    Anyone,
    /// Whoever is signed in.
    SignedIn,
    /// Only the person whom the object is about.
    Oneself,
    /// Members of the object's organization in one of `own`, or staff of its centre in one of `staff`.
    Roles {
        /// Roles in the organization that the object belongs to.
        own: &'static [Role],
        /// Roles in the object's centre or in one above it.
        staff: &'static [Role],
    },
}

/// One line of `policy.toml`, spelled out.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// `Mutation`, `Query`, `Subscription` or the name of an object.
    pub place: &'static str,
    /// The field; empty for the object itself.
    pub field: &'static str,
    /// Who may, in words: the end of the field's description.
    pub words: &'static str,
    /// When anyone sees the object, in words; empty if never.
    pub public: &'static str,
    /// Who may.
    pub who: Permission,
}

/// The object that a permission is about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Of<'a> {
    /// The organization that it belongs to.
    pub organization: Option<&'a str>,
    /// The centre in charge of it; none where any centre will do.
    pub centre: Option<&'a str>,
    /// The input field that names it.
    pub field: &'a str,
}

impl<'a> Of<'a> {
    /// An object of an organization.
    #[must_use]
    pub fn organization(id: &'a str, field: &'a str) -> Self {
        Self { organization: Some(id), centre: None, field }
    }

    /// An object of a centre.
    #[must_use]
    pub fn centre(id: &'a str, field: &'a str) -> Self {
        Self { organization: None, centre: Some(id), field }
    }

    /// What no centre but the hub has in its charge.
    #[must_use]
    pub fn hub(field: &'a str) -> Self {
        Self::centre("", field)
    }

    /// The same object, in the centre's charge.
    #[must_use]
    pub fn at(self, centre: &'a str) -> Self {
        Self { centre: Some(centre), ..self }
    }
}

/// Requires that the actor may do what `permission` says with the object. Who may not even know of the object is told
/// that there is none (promise P-6).
pub fn permit(actor: &Actor, permission: Permission, of: Of<'_>) -> Result<()> {
    let Permission::Roles { own, staff } = permission else {
        return if permission == Permission::Anyone { Ok(()) } else { actor.require_known() };
    };
    let as_member = of.organization.filter(|_| !own.is_empty()).map(|id| actor.require_role(id, own, of.field));
    let as_staff = || match of.centre {
        _ if staff.is_empty() => None,
        Some(centre) => Some(actor.require_staff_at(centre, staff, of.field)),
        None => Some(actor.require_staff(staff)),
    };
    match as_member {
        Some(Ok(())) => Ok(()),
        Some(Err(refusal)) => match as_staff() {
            Some(Ok(())) => Ok(()),
            _ => Err(refusal),
        },
        None => as_staff().unwrap_or_else(|| actor.require_known()),
    }
}

/// Requires a staff role that reaches every centre whose totals are wanted; without any, all are.
pub fn require_totals(actor: &Actor, wanted: &v1::TotalsRequest) -> Result<()> {
    if actor.is_exchange() {
        return Ok(());
    }
    if wanted.centre_ids.is_empty() {
        return permit(actor, CENTRE_TOTALS, Of::hub("centreId"));
    }
    wanted.centre_ids.iter().try_for_each(|centre| permit(actor, CENTRE_TOTALS, Of::centre(centre, "centreId")))
}

include!(concat!(env!("OUT_DIR"), "/policy.rs"));
