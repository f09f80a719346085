//! The tables of people and organizations, and every question asked of them.

pub mod api_key;
pub mod brokerage;
pub mod centre;
pub mod code;
pub mod conflict;
pub mod federated;
pub mod invitation;
pub mod login_attempt;
pub mod member;
pub mod organization;
pub mod password;
pub mod person;
pub mod personal;
pub mod second_factor;
pub mod session;
pub mod signing_key;

use kernel::{ActingFor, Id};
use wire::v1;

pub use self::{
    member::places,
    organization::{lock_organization, may_see, organizations},
};
pub use crate::store::person::{Person, holders_of_logins, insert_person, person, person_by_login};

/// A person as that person sees it, in the given places.
pub fn person_in(row: Person, places: Vec<ActingFor>) -> v1::Person {
    let membership = |place: ActingFor| v1::Membership { organization_id: place.organization_id, roles: place.roles };
    let memberships = places.into_iter().map(membership).collect();
    v1::Person { id: row.id.text(), name: row.name, login: row.login, memberships, second_factor: false }
}
