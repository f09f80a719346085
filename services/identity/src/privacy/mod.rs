//! What is known of people (check S9). Everything that a person told lies sealed under a key of the person's own, which
//! the master key wraps. Others find it by its HMAC and see it masked; whoever reads it in clear says why, in the audit
//! trail. Destroying the key erases the person; what the person did stays recorded, under an id that names nobody.

pub mod erase;
pub mod export;
pub mod field;
pub mod personal;
pub mod reading;

use kernel::{Actor, ErrorCode, Refusal, Result, text};

use crate::{
    access::{caller, login_attempts::Guess, reauthenticate},
    identities::Identities,
    store as who,
};

/// A reason that stays in the audit trail. It outlives the person's data, so it must not repeat any.
fn reason(given: &str, personal: &[&str]) -> Result<String> {
    let reason = text(given, "reason", 2, 500)?;
    let lower = reason.to_lowercase();
    if personal.iter().any(|value| !value.is_empty() && lower.contains(&value.to_lowercase())) {
        let refusal = Refusal::new(ErrorCode::InvalidInput).at_field("reason");
        return Err(refusal.accepting("不含个人信息 / without personal data").into());
    }
    Ok(reason)
}

/// Requires the caller's password once more; whoever comes by a provider only has none.
async fn confirm(identities: &Identities, actor: &Actor, password: &str) -> Result<Option<Guess>> {
    let (id, _) = caller::own(actor)?;
    let cx = &identities.cx;
    let person = who::person(cx.db.read(), &cx.vault, id).await?.ok_or(kernel::Error::Unauthenticated)?;
    if person.password_hash.is_empty() && password.is_empty() {
        return Ok(None);
    }
    Ok(Some(reauthenticate::again(identities, actor, password).await?.1))
}
