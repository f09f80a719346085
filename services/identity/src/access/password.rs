//! Passwords at rest: argon2id with 19 MiB, two passes, one lane (OWASP's floor).

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version,
    password_hash::{self, phc::PasswordHash, try_generate_salt},
};
use kernel::{Error, Result};
use tokio::sync::Semaphore;

/// Each evaluation takes 19 MiB and tens of milliseconds of a core: two at a time in this process, the others wait.
static PERMITS: Semaphore = Semaphore::const_new(2);

/// Verified for unknown logins, so that they answer as slowly as known ones. No password is known to fit.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5LWlzLWhlcmUuLg$TQcFCLI3yJ5xGZ3VtTBu8kQxNqJm1nCkUQmYbSdtWhY";

/// The hash to store, with a salt of its own.
pub async fn hash(password: &str) -> Result<String> {
    let salt = try_generate_salt().map_err(|error| Error::Internal(error.to_string()))?;
    hash_with(password, salt).await
}

/// Whether the password fits the hash; without a hash it takes as long and never does.
pub async fn verify(password: &str, hash: Option<&str>) -> Result<bool> {
    let (password, known) = (password.to_owned(), hash.is_some());
    let hash = hash.unwrap_or(NOBODY).to_owned();
    let outcome =
        evaluate(move |argon2| argon2.verify_password(password.as_bytes(), &PasswordHash::new(&hash)?)).await?;
    match outcome {
        Ok(()) => Ok(known),
        Err(password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(Error::Internal(error.to_string())),
    }
}

async fn hash_with(password: &str, salt: [u8; 16]) -> Result<String> {
    let password = password.to_owned();
    let hash = evaluate(move |argon2| argon2.hash_password_with_salt(password.as_bytes(), &salt)).await?;
    hash.map(|hash: PasswordHash| hash.to_string()).map_err(|error| Error::Internal(error.to_string()))
}

async fn evaluate<T: Send + 'static>(work: impl FnOnce(Argon2<'static>) -> T + Send + 'static) -> Result<T> {
    let internal = |error: &dyn std::fmt::Display| Error::Internal(error.to_string());
    let params = Params::new(19_456, 2, 1, None).map_err(|error| internal(&error))?;
    let permit = PERMITS.acquire().await.map_err(|error| internal(&error))?;
    let done = tokio::task::spawn_blocking(move || {
        // Held here, not by the caller: a caller who hangs up does not end the work.
        let _permit = permit;
        work(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    });
    done.await.map_err(|error| internal(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_fits() {
        let stored = hash("correct horse").await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_ne!(stored, hash("correct horse").await.unwrap());
        assert!(verify("correct horse", Some(&stored)).await.unwrap());
        assert!(!verify("Correct horse", Some(&stored)).await.unwrap());
        assert!(!verify("correct horse", None).await.unwrap());
        assert!(verify("correct horse", Some("no hash")).await.is_err());
    }
}
