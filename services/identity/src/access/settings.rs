//! What the operator decides about getting in.

use kernel::Limiter;

use crate::access::federated::provider::Provider;

/// Limits of guessing, the age of signing keys, and who vouches for people.
pub struct Entrance {
    /// Guesses from one address that are evaluated within 15 minutes; 0: any number.
    pub guesses_per_address: u32,
    /// After this many days another key signs; 0: never by itself.
    pub signing_key_days: u32,
    /// Whose word is taken.
    pub providers: Vec<Provider>,
    /// Brakes evaluations.
    pub limiter: Limiter,
}

impl Default for Entrance {
    /// As in `default.toml`, counting in this process alone.
    fn default() -> Entrance {
        Entrance { guesses_per_address: 20, signing_key_days: 30, providers: Vec::new(), limiter: Limiter::alone() }
    }
}
