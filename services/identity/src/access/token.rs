//! Tokens: signed ones that say who calls, and opaque ones that fetch the next pair.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use kernel::{Error, Id, Instant, Result};
use rand::{TryRngCore, rngs::OsRng};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wire::id::{PersonId, SessionId};

/// Who issues the tokens, and for whom.
const EXCHANGE: &str = "jishi";
/// RFC 9068: an access token is never taken for another kind of JWT.
const TYPE: &str = "at+jwt";
/// How long an access token lives.
pub const LIFETIME_SECONDS: i64 = 600;
/// How far the clock of another process may be off.
pub const LEEWAY_SECONDS: i64 = 5;
/// A token of ours has some 400 bytes; longer text is not even decoded.
const LONGEST: usize = 2_048;

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    sid: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// Whom a valid access token names, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bearer {
    pub person: PersonId,
    pub session: SessionId,
    pub expires_at: Instant,
}

/// The key that signs.
pub struct Signer {
    kid: String,
    key: EncodingKey,
}

impl Signer {
    pub fn new(kid: &str, key: EncodingKey) -> Signer {
        Signer { kid: kid.to_owned(), key }
    }

    /// An access token, and when it expires.
    pub fn issue(&self, person: PersonId, session: SessionId, now: Instant) -> Result<(String, Instant)> {
        let iat = now.0.div_euclid(1_000);
        let exp = iat.saturating_add(LIFETIME_SECONDS);
        let claims = Claims {
            iss: EXCHANGE.into(),
            aud: EXCHANGE.into(),
            sub: person.text(),
            sid: session.text(),
            iat,
            nbf: iat,
            exp,
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.into());
        header.kid = Some(self.kid.clone());
        let token =
            jsonwebtoken::encode(&header, &claims, &self.key).map_err(|error| Error::Internal(error.to_string()))?;
        Ok((token, Instant(exp.saturating_mul(1_000))))
    }
}

/// The key that the token says it is signed with; nothing if it is no access token in form. A `kid` is looked up as is,
/// so it holds plain characters only.
pub fn named_key(token: &str) -> Option<String> {
    if token.len() > LONGEST {
        return None;
    }
    let header = jsonwebtoken::decode_header(token).ok()?;
    let ours = header.alg == Algorithm::EdDSA && header.typ.as_deref() == Some(TYPE) && header.crit.is_none();
    let plain = |kid: &String| kid.len() <= 64 && kid.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    header.kid.filter(|kid| ours && plain(kid))
}

/// Whom a token names that this key signed, if it is valid now.
pub fn read(token: &str, key: &DecodingKey, now: Instant) -> Option<Bearer> {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&[EXCHANGE]);
    validation.set_issuer(&[EXCHANGE]);
    validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
    // The library would ask the machine's clock; the exchange's decides, below.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    let claims = jsonwebtoken::decode::<Claims>(token, key, &validation).ok()?.claims;
    let seconds = |at: i64| Instant(at.saturating_mul(1_000));
    let begun = now.plus_seconds(LEEWAY_SECONDS) >= seconds(claims.nbf);
    let over = now > seconds(claims.exp).plus_seconds(LEEWAY_SECONDS);
    if !begun || over {
        return None;
    }
    Some(Bearer {
        person: PersonId::parse(&claims.sub, "sub").ok()?,
        session: SessionId::parse(&claims.sid, "sid").ok()?,
        expires_at: seconds(claims.exp),
    })
}

/// A secret that its owner sends along: 32 bytes from the operating system, and the hash under which it is kept.
pub fn fresh_secret() -> Result<(String, Vec<u8>)> {
    let secret = BASE64_URL_SAFE_NO_PAD.encode(random()?);
    let hash = hash_secret(&secret);
    Ok((secret, hash))
}

/// How such a secret is kept. It is random in full, so a plain hash is enough.
pub fn hash_secret(secret: &str) -> Vec<u8> {
    Sha256::digest(secret).to_vec()
}

/// 32 bytes from the operating system.
pub fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
