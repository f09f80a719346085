//! The second factor's codes: six digits of RFC 6238 (SHA-1, steps of 30 seconds), at the exchange's time.

use kernel::{Error, Instant, Result};
use sha2::{Digest, Sha256};
use totp_rs::{Builder, Secret, Totp};

use crate::access::token::random;

/// Length of a step in seconds.
const STEP: u64 = 30;
/// A secret's length in bytes, as RFC 4226 recommends.
const LENGTH: usize = 20;

/// An authenticator's secret. It is never printed.
#[derive(Clone)]
pub struct Authenticator(Totp);

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authenticator")
    }
}

impl Authenticator {
    /// A new secret from the operating system.
    pub fn fresh() -> Result<Authenticator> {
        Ok(Self::of(&random()?))
    }

    /// The secret of a demo account, which everybody can work out from its login. Development only.
    #[must_use]
    pub fn development(login: &str) -> Authenticator {
        Self::of(&Sha256::digest(format!("jishi demo second factor {login}")).into())
    }

    fn of(bytes: &[u8; 32]) -> Authenticator {
        let secret = Secret::from(bytes.iter().take(LENGTH).copied().collect::<Vec<u8>>());
        Authenticator(Builder::new().with_secret(secret).build_noncompliant())
    }

    /// Reads a secret in base32; nothing if it is none, or has fewer than 128 bits.
    #[must_use]
    pub fn parse(secret: &str) -> Option<Authenticator> {
        let plain: String = secret.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        let secret = Secret::try_from_base32(plain.to_ascii_uppercase()).ok()?;
        Builder::new().with_secret(secret).build().ok().map(Authenticator)
    }

    /// The secret as it was stored.
    pub(crate) fn stored(secret: &str) -> Result<Authenticator> {
        Self::parse(secret).ok_or_else(|| Error::Internal("a stored secret is no secret".into()))
    }

    /// The secret in base32, for typing.
    #[must_use]
    pub fn secret(&self) -> String {
        self.0.secret().to_base32()
    }

    /// What an authenticator reads from a QR code. A login needs no escaping here.
    #[must_use]
    pub fn uri(&self, login: &str) -> String {
        format!("otpauth://totp/Jishi:{login}?secret={}&issuer=Jishi", self.secret())
    }

    /// The code that is shown at `at`.
    #[must_use]
    pub fn code(&self, at: Instant) -> String {
        self.0.generate(seconds(at)).to_string()
    }

    /// The step whose code this is, of the present one and its neighbours.
    pub(crate) fn step(&self, code: &str, now: Instant) -> Option<i64> {
        self.0.check(code, seconds(now)).and_then(|step| i64::try_from(step).ok())
    }
}

/// How far apart the codes of neighbouring steps are.
pub const STEP_MILLIS: i64 = 30_000;

fn seconds(at: Instant) -> u64 {
    u64::try_from(at.0.div_euclid(1_000)).unwrap_or_default().max(STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of RFC 6238, appendix B.
    const RFC: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn codes_are_those_of_the_standard() {
        let rfc = Authenticator::parse(RFC).unwrap();
        for (seconds, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (2_000_000_000, "279037")]
        {
            assert_eq!(rfc.code(Instant(seconds * 1_000)), code);
        }
        assert_eq!(rfc.secret(), RFC);
        assert!(Authenticator::parse("GEZDGNBVGY3TQ").is_none() && Authenticator::parse("1!").is_none());
    }

    #[test]
    fn a_code_counts_one_step_early_or_late() {
        let rfc = Authenticator::parse(RFC).unwrap();
        let now = Instant(1_111_111_109_000);
        for (late, counts) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let at = now.plus_millis(late * STEP_MILLIS);
            assert_eq!(rfc.step("081804", at).is_some(), counts, "{late}");
        }
        assert_eq!(rfc.step("081804", now), Some(37_037_036));
        for bad in ["", "81804", "0081804", "+81804", "０８１８０４", "081805"] {
            assert_eq!(rfc.step(bad, now), None, "{bad:?}");
        }
    }

    #[test]
    fn demo_secrets_differ_and_are_told_by_nobody_else() {
        let demo = Authenticator::development("reviewer");
        assert_eq!(demo.secret(), Authenticator::development("reviewer").secret());
        assert_ne!(demo.secret(), Authenticator::development("cashier").secret());
        assert_ne!(Authenticator::fresh().unwrap().secret(), Authenticator::fresh().unwrap().secret());
        assert_eq!(format!("{demo:?}"), "Authenticator");
        assert_eq!(Authenticator::parse(&demo.secret().to_lowercase()).unwrap().secret(), demo.secret());
    }
}
