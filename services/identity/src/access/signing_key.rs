//! The keys that sign access tokens. One signs; the one before it verifies until its last token ends; whoever wants to
//! verify tokens by himself finds both at `/.well-known/jwks.json`.
//!
//! The table is the truth. Each process keeps what it read for a few seconds, so that a change reaches all of them
//! within that time, and reads again, at a bounded rate, for a key that it does not know.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant as Moment},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey},
};
use jsonwebtoken::{DecodingKey, EncodingKey};
use kernel::{Call, Context, Error, ErrorCode, Instant, Result, Role, Scope, Vault, text};
use sea_orm::ConnectionTrait;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use wire::{
    policy::{self, Of, permit},
    v1,
};

use crate::{
    access::{
        caller,
        token::{self, Bearer, LEEWAY_SECONDS, LIFETIME_SECONDS, Signer},
    },
    store::signing_key as store,
};

/// How long a process may believe what it read: this much later every one signs with the new key.
const BELIEVED_SECONDS: i64 = 5;
/// Between two readings of the table, however many unknown keys are named.
const PAUSE: Duration = Duration::from_millis(100);

/// The keys as this process knows them.
pub struct Keys {
    cx: Context,
    /// After this many days a key is replaced; 0: never.
    days: u32,
    known: RwLock<Option<Arc<Ring>>>,
    reading: Mutex<()>,
}

/// What was read of the table.
struct Ring {
    keys: Vec<Key>,
    at: Instant,
    read: Moment,
}

struct Key {
    row: store::entity::Model,
    /// The public half, base64url.
    x: String,
    verifier: DecodingKey,
    signer: Arc<Signer>,
}

impl Keys {
    pub fn new(cx: Context, days: u32) -> Self {
        Self { cx, days, known: RwLock::default(), reading: Mutex::default() }
    }

    /// The key that signs now. One is made at first use, and in place of one that is old. Never ask for it inside a
    /// transaction: it may have to be written, and SQLite has one writer.
    pub async fn signer(&self) -> Result<Arc<Signer>> {
        let now = self.cx.clock.now();
        if let Some(key) = self.ring().await?.now().filter(|key| !self.is_old(key, now)) {
            return Ok(key.signer.clone());
        }
        let tx = self.cx.db.begin().await?;
        let call = Call { cx: self.cx.clone(), tx, actor: kernel::Actor::exchange(), now };
        let replaced = store::lock_present(&call.tx).await?;
        // Another process may have been faster.
        if replaced.as_ref().is_none_or(|row| self.has_passed(row.created_at, now)) {
            let made = replace(&call.tx, &self.cx.vault, now).await?;
            if let (Some(_), Some(kid)) = (replaced, made) {
                call.record("SigningKeyRotated", &kid, json!({ "reason": "AGE" })).await?;
            }
        }
        call.commit().await?;
        let ring = self.read(Moment::now()).await?;
        ring.now().map(|key| key.signer.clone()).ok_or_else(|| Error::Internal("no signing key".into()))
    }

    fn is_old(&self, key: &Key, now: Instant) -> bool {
        self.has_passed(key.row.created_at, now)
    }

    fn has_passed(&self, created_at: Instant, now: Instant) -> bool {
        self.days > 0 && created_at.plus_seconds(i64::from(self.days) * 86_400) <= now
    }

    /// Whom the token names, if it is one of ours and valid now.
    pub async fn bearer(&self, token: &str) -> Result<Bearer> {
        let asked = Moment::now();
        let kid = token::named_key(token).ok_or(Error::Unauthenticated)?;
        let mut ring = self.ring().await?;
        if ring.key(&kid).is_none() {
            ring = self.read(asked).await?;
        }
        let now = self.cx.clock.now();
        let key = ring.key(&kid).filter(|key| key.is_live(now)).ok_or(Error::Unauthenticated)?;
        token::read(token, &key.verifier, now).ok_or(Error::Unauthenticated)
    }

    /// Reads the table again at the next need.
    pub fn forget(&self) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn ring(&self) -> Result<Arc<Ring>> {
        let now = self.cx.clock.now();
        let fresh = |ring: &Arc<Ring>| ring.at <= now && now < ring.at.plus_seconds(BELIEVED_SECONDS);
        match self.known().filter(fresh) {
            Some(ring) => Ok(ring),
            None => self.read(Moment::now()).await,
        }
    }

    /// What the table said after `asked`. Whoever asks meanwhile waits for the same answer.
    async fn read(&self, asked: Moment) -> Result<Arc<Ring>> {
        let _turn = self.reading.lock().await;
        if let Some(ring) = self.known() {
            if ring.read >= asked {
                return Ok(ring);
            }
            tokio::time::sleep(PAUSE.saturating_sub(ring.read.elapsed())).await;
        }
        let (at, read) = (self.cx.clock.now(), Moment::now());
        let rows = store::live(self.cx.db.read(), at).await?;
        let keys = rows.into_iter().map(|row| Key::open(row, &self.cx.vault)).collect::<Result<_>>()?;
        let ring = Arc::new(Ring { keys, at, read });
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(ring.clone());
        Ok(ring)
    }

    fn known(&self) -> Option<Arc<Ring>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The live keys, the newest first.
    pub async fn list(&self) -> Result<Vec<v1::SigningKey>> {
        self.signer().await?;
        let (ring, now) = (self.ring().await?, self.cx.clock.now());
        Ok(ring.keys.iter().filter(|key| key.is_live(now)).map(|key| told(&key.row)).collect())
    }

    /// The live keys as a JSON Web Key Set (RFC 7517, RFC 8037).
    pub async fn jwks(&self) -> Result<String> {
        self.signer().await?;
        let (ring, now) = (self.ring().await?, self.cx.clock.now());
        let public = |key: &Key| json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key.row.kid, "x": key.x });
        let keys: Vec<_> = ring.keys.iter().filter(|key| key.is_live(now)).map(public).collect();
        Ok(json!({ "keys": keys }).to_string())
    }
}

impl Ring {
    fn now(&self) -> Option<&Key> {
        self.keys.iter().find(|key| key.row.retires_at.is_none())
    }

    fn key(&self, kid: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.row.kid == kid)
    }
}

impl Key {
    fn open(row: store::entity::Model, vault: &Vault) -> Result<Key> {
        let pkcs8 = vault.unwrap(&row.kid, &row.pkcs8)?;
        let private = SigningKey::from_pkcs8_der(&pkcs8).map_err(|error| Error::Internal(error.to_string()))?;
        let public = private.verifying_key();
        let x = BASE64_URL_SAFE_NO_PAD.encode(public.as_bytes());
        let verifier = DecodingKey::from_ed_der(public.as_bytes());
        let signer = Arc::new(Signer::new(&row.kid, EncodingKey::from_ed_der(&pkcs8)));
        Ok(Key { row, x, verifier, signer })
    }

    fn is_live(&self, now: Instant) -> bool {
        self.row.retires_at.is_none_or(|end| now < end)
    }
}

/// Signs with a new key from now on.
pub async fn rotate(call: &Call, input: v1::RotateSigningKeyInput) -> Result<v1::SigningKey> {
    caller::own(&call.actor)?;
    permit(&call.actor, policy::ROTATE_SIGNING_KEY, Of::default())?;
    if call.actor.scope(&[Role::Administrator]) != Scope::Everything {
        return Err(ErrorCode::Forbidden.into());
    }
    let reason = text(&input.reason, "reason", 2, 200)?;
    store::lock_present(&call.tx).await?;
    let made = replace(&call.tx, &call.cx.vault, call.now).await?;
    let kid = made.ok_or_else(|| Error::Unavailable("another key is being made".into()))?;
    call.record("SigningKeyRotated", &kid, json!({ "reason": reason })).await?;
    let row = store::lock_present(&call.tx).await?.ok_or_else(|| Error::Internal("no signing key".into()))?;
    Ok(told(&row))
}

fn told(row: &store::entity::Model) -> v1::SigningKey {
    v1::SigningKey { kid: row.kid.clone(), created_at: Some(row.created_at), retires_at: row.retires_at }
}

/// Retires the present key and makes the next one; nothing if another process is doing so.
async fn replace(tx: &impl ConnectionTrait, vault: &Vault, now: Instant) -> Result<Option<String>> {
    // Another process may go on signing with the former key for as long as it believes what it read.
    let last = now.plus_seconds(BELIEVED_SECONDS + LIFETIME_SECONDS + LEEWAY_SECONDS);
    store::retire_present(tx, last, now).await?;
    let private = SigningKey::from_bytes(&token::random()?);
    let pkcs8 = private.to_pkcs8_der().map_err(|error| Error::Internal(error.to_string()))?;
    let kid = thumbprint(&private);
    let pkcs8 = vault.wrap(&kid, pkcs8.as_bytes())?;
    let row = store::entity::Model { kid: kid.clone(), pkcs8, created_at: now, retires_at: None };
    Ok(store::insert(tx, row).await?.then_some(kid))
}

/// RFC 7638: the digest of the key's required members in order.
fn thumbprint(key: &SigningKey) -> String {
    let x = BASE64_URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_its_thumbprint() {
        // RFC 8037, appendix A.
        let private = BASE64_URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let key = SigningKey::from_bytes(&private.try_into().unwrap());
        assert_eq!(thumbprint(&key), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
