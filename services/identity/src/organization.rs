//! Organizations: registered, verified, suspended, and who acts for them.

mod business;
pub mod centre;
pub mod centre_tree;
pub mod code_list;
pub mod codes;
pub mod invitation;
pub mod member;
pub mod name;
pub mod organization_status;
pub mod registration;
pub mod seed;
pub mod standing;
mod usci;
