//! Names as nobody can read them, for what lies outside the databases: counters of rates, lines of the request log.

use crate::vault::Secret;

/// Makes pseudonyms: the same in every process under one master key, and nothing to anybody without it. It opens,
/// signs and finds nothing that is stored.
#[derive(Clone, Debug)]
pub struct Pseudonyms(Secret);

impl Pseudonyms {
    pub(crate) fn new(key: Secret) -> Pseudonyms {
        Pseudonyms(key)
    }

    /// The first `bytes` bytes of a keyed hash of the name, in hexadecimal. What has two purposes has two pseudonyms.
    #[must_use]
    pub fn of(&self, purpose: &str, name: &str, bytes: usize) -> String {
        let hash = self.0.mac(&[purpose.as_bytes(), name.as_bytes()]);
        hash.iter().take(bytes).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }
}
