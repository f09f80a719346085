//! The cryptography of sealed bids (docs/sealed-bids.md): bids are sealed to a public key of the lot, and the private
//! half lies in shares with named trustees until enough of them meet at the opening. The exchange deals no key and
//! holds none before that.
//!
//! Pure: no I/O, no clock, and the caller brings the randomness. One suite, named here and nowhere else: RFC 9180 base
//! mode with DHKEM(P-256, HKDF-SHA256), HKDF-SHA256 and AES-256-GCM, all of which browsers have in `WebCrypto`.

pub(crate) mod beat;
pub(crate) mod boxes;
pub(crate) mod ceremony;
pub(crate) mod decrypt;
pub mod envelope;
pub(crate) mod panel;
pub(crate) mod receipt;
pub(crate) mod round_keys;
pub mod shares;
pub(crate) mod slot;
pub(crate) mod submit;
#[cfg(test)]
mod vector_tests;

use chacha20::{ChaCha20Rng, rand_core::SeedableRng};
use data_encoding::BASE64URL_NOPAD;
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, aead::AesGcm256, kdf::HkdfSha256, kem::DhP256HkdfSha256,
    single_shot_open, single_shot_seal_with_rng,
};
use zeroize::Zeroizing;

/// Length of an encapsulated key, and of any public key: an uncompressed point.
const POINT: usize = 65;
/// Length of the tag of AES-GCM.
const TAG: usize = 16;

/// 32 secret bytes that nobody can foretell, for one use: it is taken by value and cannot be copied, since two texts
/// sealed under one seed betray each other.
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// Of bytes from the operating system's generator.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Seed {
        Seed(Zeroizing::new(bytes))
    }

    /// The `ChaCha20` key stream under these bytes, with nonce and counter at zero.
    fn stream(self) -> ChaCha20Rng {
        ChaCha20Rng::from_seed(*self.0)
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed")
    }
}

/// The public key of a lot or of a trustee: a point of P-256 other than infinity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(<DhP256HkdfSha256 as Kem>::PublicKey);

impl PublicKey {
    /// From the 65 bytes of an uncompressed point; none if they are no point of the curve.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<PublicKey> {
        Deserializable::from_bytes(bytes).ok().map(PublicKey)
    }

    /// From base64url, as `Display` prints it.
    #[must_use]
    pub fn parse(text: &str) -> Option<PublicKey> {
        PublicKey::from_bytes(&BASE64URL_NOPAD.decode(text.as_bytes()).ok()?)
    }

    /// The uncompressed point.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; POINT] {
        self.0.to_bytes().into()
    }

    /// `enc || ciphertext`.
    #[expect(clippy::expect_used, reason = "a point of the curve encapsulates, and the texts are short")]
    fn seal(&self, info: &[u8], aad: &[u8], text: &[u8], seed: Seed) -> Vec<u8> {
        let (mode, mut rng) = (OpModeS::Base, seed.stream());
        let sealed = single_shot_seal_with_rng::<AesGcm256, HkdfSha256, DhP256HkdfSha256>(
            &mode, &self.0, info, text, aad, &mut rng,
        );
        let (enc, ciphertext) = sealed.expect("sealed");
        [enc.to_bytes().as_slice(), &ciphertext].concat()
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.to_bytes()))
    }
}

/// The private half; wiped when dropped and never printed.
#[derive(Clone)]
pub struct PrivateKey(<DhP256HkdfSha256 as Kem>::PrivateKey);

impl PrivateKey {
    /// A new key.
    #[must_use]
    pub fn generate(seed: Seed) -> PrivateKey {
        PrivateKey(DhP256HkdfSha256::gen_keypair_with_rng(&mut seed.stream()).0)
    }

    /// From the 32 bytes of a scalar; none if they are no scalar between 1 and the order of the curve.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<PrivateKey> {
        Deserializable::from_bytes(bytes).ok().map(PrivateKey)
    }

    /// From base64url, as `text` tells it.
    #[must_use]
    pub fn parse(text: &str) -> Option<PrivateKey> {
        PrivateKey::from_bytes(&Zeroizing::new(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?))
    }

    /// The scalar in base64url, for the file of whoever keeps it.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64URL_NOPAD.encode(self.to_bytes().as_slice()))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(DhP256HkdfSha256::sk_to_pk(&self.0))
    }

    fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes().into())
    }

    fn open(&self, info: &[u8], aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (enc, ciphertext) = sealed.split_first_chunk::<POINT>()?;
        let (mode, enc) = (OpModeR::Base, Deserializable::from_bytes(enc).ok()?);
        let text =
            single_shot_open::<AesGcm256, HkdfSha256, DhP256HkdfSha256>(&mode, &self.0, &enc, info, ciphertext, aad);
        text.ok().map(Zeroizing::new)
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey")
    }
}
