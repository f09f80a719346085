//! A prospective transferee's application (SM-4): made alone or together, decided on by the centre.

pub mod application_status;
pub mod apply;
pub mod consent;
pub mod consortium;
pub mod qualify;
