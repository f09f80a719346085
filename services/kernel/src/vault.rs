//! Secrets at rest, all from one root, which the operator's master key opens (`MasterKey`).
//!
//! Every algorithm is named here and nowhere else: AES-256-GCM-SIV (RFC 8452) seals, HKDF-SHA-256 derives,
//! HMAC-SHA-256 indexes, Ed25519 signs. GCM-SIV, since a nonce used twice under one key only tells that two texts are
//! equal; with GCM or ChaCha20-Poly1305 it would tell both texts and let anybody forge.

use aes_gcm_siv::{
    Aes256GcmSiv, KeyInit,
    aead::{Aead, Payload},
};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use rand::{TryRngCore, rngs::OsRng};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{Error, Result};

pub(crate) const NONCE: usize = 12;

/// 32 secret bytes, wiped when dropped and never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    pub(crate) fn random() -> Result<Secret> {
        let mut bytes = Zeroizing::new([0; 32]);
        fill(bytes.as_mut_slice())?;
        Ok(Secret(bytes))
    }

    #[expect(clippy::expect_used, reason = "HKDF yields up to 8,160 bytes")]
    pub(crate) fn derived(hkdf: &Hkdf<Sha256>, purpose: &str) -> Secret {
        let mut bytes = Zeroizing::new([0; 32]);
        hkdf.expand(purpose.as_bytes(), bytes.as_mut_slice()).expect("32 bytes");
        Secret(bytes)
    }

    /// HMAC-SHA-256 over the parts, each with its length before it.
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(self.0.as_slice()).expect("a key");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    pub(crate) fn seal(&self, nonce: [u8; NONCE], aad: &[u8], text: &[u8]) -> Result<Vec<u8>> {
        let sealed = self.cipher().encrypt(&nonce.into(), Payload { msg: text, aad });
        sealed.map_err(|_| Error::Internal("a text could not be sealed".into()))
    }

    pub(crate) fn open(&self, nonce: [u8; NONCE], aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let text = self.cipher().decrypt(&nonce.into(), Payload { msg: sealed, aad });
        text.map(Zeroizing::new).map_err(|_| Error::Internal("a sealed text does not open under this key".into()))
    }

    /// Under a nonce of its own, which stands before the ciphertext.
    pub(crate) fn seal_fresh(&self, aad: &[u8], text: &[u8]) -> Result<Vec<u8>> {
        let mut nonce = [0; NONCE];
        fill(&mut nonce)?;
        Ok([&nonce[..], &self.seal(nonce, aad, text)?].concat())
    }

    pub(crate) fn open_fresh(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let short = || Error::Internal("a sealed text is too short".into());
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or_else(short)?;
        self.open(*nonce, aad, sealed)
    }

    fn cipher(&self) -> Aes256GcmSiv {
        Aes256GcmSiv::new((&*self.0).into())
    }
}

/// What is derived from a database's root.
#[derive(Debug)]
pub struct Vault {
    wrapping: Secret,
    indexing: Secret,
    calling: Secret,
    records: Secret,
    signing: Secret,
}

impl Vault {
    /// From the root.
    #[must_use]
    pub fn new(root: &[u8; 32]) -> Vault {
        let hkdf = Hkdf::<Sha256>::new(Some(b"jishi vault 1"), root);
        let derived = |purpose| Secret::derived(&hkdf, purpose);
        Vault {
            wrapping: derived("wrapping"),
            indexing: derived("indexing"),
            calling: derived("calling"),
            records: derived("records"),
            signing: derived("signing"),
        }
    }

    /// Of a key that everybody knows: for tests, databases that are thrown away, and developers' exchanges of several
    /// processes. Production refuses the key.
    #[must_use]
    pub fn development() -> Vault {
        Vault::new(DEVELOPMENT_KEY)
    }

    /// Seals a secret of the exchange, such as a signing key. It opens only under the same name.
    pub fn wrap(&self, name: &str, secret: &[u8]) -> Result<Vec<u8>> {
        self.wrapping.seal_fresh(name.as_bytes(), secret)
    }

    /// Opens what `wrap` sealed.
    pub fn unwrap(&self, name: &str, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.wrapping.open_fresh(name.as_bytes(), wrapped)
    }

    /// A key for one owner's texts, and the form in which it is stored. Whoever destroys that form destroys the texts.
    pub fn fresh_key(&self, owner: &str) -> Result<(DataKey, Vec<u8>)> {
        let key = Secret::random()?;
        let wrapped = self.wrap(owner, key.bytes())?;
        Ok((DataKey { owner: owner.to_owned(), key }, wrapped))
    }

    /// The owner's key from its stored form.
    pub fn data_key(&self, owner: &str, wrapped: &[u8]) -> Result<DataKey> {
        let bytes = self.unwrap(owner, wrapped)?;
        let key = bytes.as_slice().try_into().map_err(|_| Error::Internal("a data key has 32 bytes".into()))?;
        Ok(DataKey { owner: owner.to_owned(), key: Secret(Zeroizing::new(key)) })
    }

    /// By which a value is found again without standing in clear. Normalize it first.
    #[must_use]
    pub fn index(&self, purpose: &str, normalized: &str) -> [u8; 32] {
        self.indexing.mac(&[purpose.as_bytes(), normalized.as_bytes()])
    }

    /// What only the exchange could have written beside a record; checked by writing it again.
    #[must_use]
    pub fn mark(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.records.mac(parts)
    }

    /// An Ed25519 signature of the exchange, which others check with `verifying_key`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing_key().sign(message).to_bytes()
    }

    /// Whether `sign` made the signature.
    #[must_use]
    pub fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = Signature::from_slice(signature) else { return false };
        self.verifying_key().verify_strict(message, &signature).is_ok()
    }

    /// The public half of the signing key.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        self.signing_key().verifying_key()
    }

    fn signing_key(&self) -> SigningKey {
        SigningKey::from_bytes(&self.signing.0)
    }

    /// From which the secrets of one keyed call are derived. Who has only the database has neither the key that the
    /// caller chose nor ours.
    pub(crate) fn of_call(&self, call: &[&str]) -> Hkdf<Sha256> {
        let mut material = Zeroizing::new(Vec::new());
        for part in call {
            material.extend_from_slice(&(part.len() as u64).to_be_bytes());
            material.extend_from_slice(part.as_bytes());
        }
        Hkdf::new(Some(self.calling.bytes()), &material)
    }
}

/// The key that every developer's exchange of several processes shares.
pub const DEVELOPMENT_KEY: &[u8; 32] = b"for development, known to anyone";

/// The key of one owner's texts.
#[derive(Debug)]
pub struct DataKey {
    owner: String,
    key: Secret,
}

impl DataKey {
    /// Seals one field. The ciphertext opens for this owner and field only.
    pub fn seal(&self, field: &str, text: &str) -> Result<Vec<u8>> {
        self.key.seal_fresh(&self.place(field), text.as_bytes())
    }

    /// Opens one field.
    pub fn open(&self, field: &str, sealed: &[u8]) -> Result<String> {
        let text = self.key.open_fresh(&self.place(field), sealed)?;
        String::from_utf8(text.to_vec()).map_err(|_| Error::Internal("a sealed text is no text".into()))
    }

    fn place(&self, field: &str) -> Vec<u8> {
        let length = (self.owner.len() as u64).to_be_bytes();
        [&length[..], self.owner.as_bytes(), field.as_bytes()].concat()
    }
}

/// Whether the holder of an exchange's signing key signed the message; for whoever has only the public half.
#[must_use]
pub fn signed_by(verifying_key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (VerifyingKey::from_bytes(verifying_key), Signature::from_slice(signature)) else {
        return false;
    };
    key.verify_strict(message, &signature).is_ok()
}

/// Sixteen bytes that nobody can guess.
pub fn fresh_nonce() -> Result<[u8; 16]> {
    let mut nonce = [0; 16];
    fill(&mut nonce)?;
    Ok(nonce)
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    OsRng.try_fill_bytes(bytes).map_err(|error| Error::Internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vault() -> Vault {
        Vault::development()
    }

    #[test]
    fn what_is_printed_tells_no_key() {
        let (key, _) = vault().fresh_key("person_1").unwrap();
        assert_eq!(format!("{key:?}"), r#"DataKey { owner: "person_1", key: Secret }"#);
        assert!(!format!("{:?}", vault()).contains(|c: char| c.is_ascii_digit()));
    }

    #[test]
    fn a_wrapped_secret_opens_under_its_name_and_master_key_only() {
        let wrapped = vault().wrap("kid-1", b"secret").unwrap();
        assert_eq!(vault().unwrap("kid-1", &wrapped).unwrap().as_slice(), b"secret");
        assert!(vault().unwrap("kid-2", &wrapped).is_err());
        assert!(Vault::new(&[7; 32]).unwrap("kid-1", &wrapped).is_err());
        assert_ne!(wrapped, vault().wrap("kid-1", b"secret").unwrap());
    }

    #[test]
    fn an_index_depends_on_purpose_value_and_master_key() {
        let index = vault().index("phone", "13800138000");
        assert_eq!(index, vault().index("phone", "13800138000"));
        assert_ne!(index, vault().index("login", "13800138000"));
        assert_ne!(vault().index("ab", "c"), vault().index("a", "bc"));
        assert_ne!(index, Vault::new(&[7; 32]).index("phone", "13800138000"));
    }

    #[test]
    fn a_signature_is_ours_or_not() {
        let signature = vault().sign(b"head");
        assert!(vault().signed(b"head", &signature));
        assert!(!vault().signed(b"heap", &signature) && !vault().signed(b"head", b""));
        assert!(!Vault::new(&[7; 32]).signed(b"head", &signature));
    }

    proptest! {
        /// Every text comes back; no other owner, field or key opens it, nor does one changed bit.
        #[test]
        fn a_sealed_field_opens_in_its_place_only(text in ".{0,200}", place: prop::sample::Index, bit in 0_u8..8) {
            let (key, wrapped) = vault().fresh_key("person_1").unwrap();
            let sealed = key.seal("phone", &text).unwrap();
            let again = vault().data_key("person_1", &wrapped).unwrap();
            prop_assert_eq!(again.open("phone", &sealed).unwrap(), text.clone());
            prop_assert!(again.open("email", &sealed).is_err());
            prop_assert!(vault().data_key("person_2", &wrapped).is_err());
            prop_assert!(vault().fresh_key("person_1").unwrap().0.open("phone", &sealed).is_err());
            let mut bent = sealed.clone();
            let place = place.index(bent.len());
            bent[place] ^= 1 << bit;
            prop_assert!(again.open("phone", &bent).is_err());
            prop_assert!(again.open("phone", &sealed[..place]).is_err());
        }
    }
}
