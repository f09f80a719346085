//! Achievements from elsewhere.

pub mod import;
pub mod import_record;
