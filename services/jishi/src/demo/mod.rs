//! The main job of the exchange, told once and used three times: by the verb `jishi demo`, by the integration tests in
//! every lane, and by the README. Everything goes through the public API, as a front end would.

pub mod cast;
pub mod check;
pub mod client;
pub mod deal;
mod error;
pub mod feed;
mod fields;
pub mod financing;
pub mod lots;
pub mod person;
mod show;
pub mod stage;
#[cfg(test)]
mod story_tests;
pub mod timeline;
pub mod transcript;
pub mod trustees;

pub use error::{Error, Result};
pub use fields::{Fields, instant};
pub use show::{Demo, show};
