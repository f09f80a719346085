//! Tokens: signed ones that say who calls, and opaque ones that fetch the next pair.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey},
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use kernel::{Context, Error, Id, Instant, Result};
use rand::{TryRngCore, rngs::OsRng};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use wire::id::{PersonId, SessionId};

use crate::session::store;

/// Who issues the tokens, and for whom.
const EXCHANGE: &str = "jishi";
/// RFC 9068: an access token is never taken for another kind of JWT.
const TYPE: &str = "at+jwt";
const LIFETIME_SECONDS: i64 = 600;
const LEEWAY_SECONDS: i64 = 5;
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

/// The keys that sign and verify. One is made at first use; the table is the truth, this a cache for the process's life.
pub struct Keys {
    cx: Context,
    signer: OnceCell<Signer>,
    verifiers: RwLock<HashMap<String, DecodingKey>>,
}

/// The key that signs.
pub struct Signer {
    kid: String,
    key: EncodingKey,
}

impl Keys {
    pub fn new(cx: Context) -> Self {
        Self { cx, signer: OnceCell::new(), verifiers: RwLock::default() }
    }

    /// The signing key. Never ask for it inside a transaction: it may have to be written, and SQLite has one writer.
    pub async fn signer(&self) -> Result<&Signer> {
        self.signer
            .get_or_try_init(|| async {
                let db = self.cx.db.write();
                let row = match store::oldest_signing_key(db).await? {
                    Some(row) => row,
                    None => {
                        store::insert_signing_key(db, fresh_key(self.cx.clock.now())?).await?;
                        store::oldest_signing_key(db).await?.ok_or_else(|| Error::Internal("no signing key".into()))?
                    }
                };
                Ok(Signer { key: EncodingKey::from_ed_der(&row.pkcs8), kid: row.kid })
            })
            .await
    }

    /// Whom the token names, if it is one of ours and valid now.
    pub async fn bearer(&self, token: &str) -> Result<Bearer> {
        let kid = named_key(token).ok_or(Error::Unauthenticated)?;
        let key = self.verifier(&kid).await?.ok_or(Error::Unauthenticated)?;
        read(token, &key, self.cx.clock.now()).ok_or(Error::Unauthenticated)
    }

    async fn verifier(&self, kid: &str) -> Result<Option<DecodingKey>> {
        let cached = self.verifiers.read().unwrap_or_else(PoisonError::into_inner).get(kid).cloned();
        if cached.is_some() {
            return Ok(cached);
        }
        let Some(row) = store::signing_key(self.cx.db.read(), kid).await? else { return Ok(None) };
        let private = SigningKey::from_pkcs8_der(&row.pkcs8).map_err(|error| Error::Internal(error.to_string()))?;
        let key = DecodingKey::from_ed_der(private.verifying_key().as_bytes());
        self.verifiers.write().unwrap_or_else(PoisonError::into_inner).insert(row.kid, key.clone());
        Ok(Some(key))
    }
}

impl Signer {
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
fn named_key(token: &str) -> Option<String> {
    if token.len() > LONGEST {
        return None;
    }
    let header = jsonwebtoken::decode_header(token).ok()?;
    let ours = header.alg == Algorithm::EdDSA && header.typ.as_deref() == Some(TYPE) && header.crit.is_none();
    let plain = |kid: &String| kid.len() <= 64 && kid.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    header.kid.filter(|kid| ours && plain(kid))
}

fn read(token: &str, key: &DecodingKey, now: Instant) -> Option<Bearer> {
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

/// A refresh token: 32 bytes from the operating system, and the hash under which it is kept.
pub fn fresh_refresh() -> Result<(String, Vec<u8>)> {
    let token = BASE64_URL_SAFE_NO_PAD.encode(random()?);
    let hash = hash_refresh(&token);
    Ok((token, hash))
}

/// How a refresh token is kept. It is random in full, so a plain hash is enough.
pub fn hash_refresh(token: &str) -> Vec<u8> {
    Sha256::digest(token).to_vec()
}

fn fresh_key(now: Instant) -> Result<store::signing_key::Model> {
    let key = SigningKey::from_bytes(&random()?);
    let pkcs8 = key.to_pkcs8_der().map_err(|error| Error::Internal(error.to_string()))?;
    let kid = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(key.verifying_key().as_bytes()));
    Ok(store::signing_key::Model { kid, pkcs8: pkcs8.as_bytes().to_vec(), created_at: now })
}

fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
