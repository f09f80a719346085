//! People, as whoever deals with one needs them.

mod store;

pub use store::{
    Person, data_key, holders_of_logins, insert_person, key, login_index, people, person, person_by_login, row,
};
