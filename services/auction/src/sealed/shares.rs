//! A lot's private key in shares: any `threshold` of them give it back, fewer tell nothing.
//!
//! Shamir's scheme over GF(256) by `blahaj`: `sharks` with its biased coefficients mended, and a tenth of the
//! dependencies that `vsss-rs` brings; a false share is found by its published digest instead of a commitment.

use blahaj::Sharks;
use data_encoding::BASE64URL_NOPAD;
use hpke::{Kem, kem::DhP256HkdfSha256};
use sha2::{Digest, Sha256};
use strum::IntoStaticStr;
use zeroize::Zeroizing;

use super::{POINT, PrivateKey, PublicKey, Seed, TAG};

/// What HPKE is told when a share is sealed to its trustee.
pub const INFO: &[u8] = b"jishi trustee share v1";
/// Length of a share: the lot's public key, the index, and a point of each of the key's bytes.
pub const SHARE: usize = POINT + 1 + 32;
/// Length of a share that is sealed to its trustee.
pub const SEALED_SHARE: usize = POINT + SHARE + TAG;

/// Before what is hashed for a digest, so that it is a digest of nothing else.
const DIGEST: &[u8] = b"jishi trustee share digest v1";

/// One trustee's share of a lot's private key; wiped when dropped and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Share {
    lot: PublicKey,
    index: u8,
    value: Zeroizing<[u8; 32]>,
}

/// Why shares do not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Unfit {
    /// A threshold below two or above the number of trustees: one trustee alone could open, or all could not.
    BadThreshold,
    /// No share.
    Malformed,
    /// Not sealed to this trustee, or changed since.
    DoesNotOpen,
    /// A share of another lot.
    OtherLot,
    /// A share is there twice.
    Twice,
    /// Too few shares, or a false one: they do not give the private half of the lot's key.
    OtherKey,
}

impl Unfit {
    /// The reason as it is published, such as `OTHER_KEY`.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.into()
    }
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

impl std::error::Error for Unfit {}

/// Makes a lot's key and its shares. Only the public key and the sealed shares leave the machine where it is called.
pub fn deal(threshold: u8, trustees: u8, seed: Seed) -> Result<(PublicKey, Vec<Share>), Unfit> {
    if threshold < 2 || trustees < threshold {
        return Err(Unfit::BadThreshold);
    }
    let mut rng = seed.stream();
    let (private, public) = DhP256HkdfSha256::gen_keypair_with_rng(&mut rng);
    let (private, lot) = (PrivateKey(private), PublicKey(public));
    let dealer = Sharks(threshold).dealer_rng(private.to_bytes().as_slice(), &mut rng);
    let shares = dealer.take(trustees.into()).map(|dealt| Share::of(&lot, &Zeroizing::new(Vec::from(&dealt))));
    let shares = shares.collect::<Option<Vec<_>>>().ok_or(Unfit::Malformed)?;
    Ok((lot, shares))
}

/// The lot's private key from the shares of enough trustees.
pub fn combine(lot: &PublicKey, shares: &[Share]) -> Result<PrivateKey, Unfit> {
    if shares.iter().any(|share| share.lot != *lot) {
        return Err(Unfit::OtherLot);
    }
    let mut indexes: Vec<u8> = shares.iter().map(|share| share.index).collect();
    indexes.sort_unstable();
    indexes.dedup();
    if indexes.len() != shares.len() {
        return Err(Unfit::Twice);
    }
    let points = shares.iter().map(|share| blahaj::Share::try_from(share.point().as_slice()));
    let points = points.collect::<Result<Vec<_>, _>>().map_err(|_| Unfit::Malformed)?;
    // The threshold is not asked for: with too few shares the key is another one.
    let bytes = Sharks(2).recover(&points).map(Zeroizing::new).map_err(|_| Unfit::OtherKey)?;
    PrivateKey::from_bytes(&bytes).filter(|private| private.public() == *lot).ok_or(Unfit::OtherKey)
}

/// Opens a share that was sealed to the owner of the key.
pub fn open_share(trustee: &PrivateKey, sealed: &[u8]) -> Result<Share, Unfit> {
    let text = trustee.open(INFO, &[], sealed).ok_or(Unfit::DoesNotOpen)?;
    Share::from_bytes(&text).ok_or(Unfit::Malformed)
}

impl Share {
    fn of(lot: &PublicKey, point: &[u8]) -> Option<Share> {
        let (index, value) = point.split_first()?;
        // At index zero lies the key itself, so nobody is dealt that point.
        let value = Zeroizing::new(value.try_into().ok()?);
        (*index != 0).then(|| Share { lot: lot.clone(), index: *index, value })
    }

    /// From its 98 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Share> {
        let (lot, point) = bytes.split_first_chunk::<POINT>()?;
        Share::of(&PublicKey::from_bytes(lot)?, point)
    }

    /// From base64url, as `text` tells it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Share> {
        Share::from_bytes(&Zeroizing::new(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?))
    }

    /// The share in clear, in base64url, for the opening.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64URL_NOPAD.encode(&self.to_bytes()))
    }

    /// The lot whose key it is of.
    #[must_use]
    pub fn lot(&self) -> &PublicKey {
        &self.lot
    }

    /// Which of the shares it is, from 1.
    #[must_use]
    pub fn index(&self) -> u8 {
        self.index
    }

    /// What is published of the share when it is dealt. It tells nothing of the share but shows a false one.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::new().chain_update(DIGEST).chain_update(self.to_bytes()).finalize().into()
    }

    /// Seals the share to its trustee.
    #[must_use]
    pub fn seal(&self, trustee: &PublicKey, seed: Seed) -> Vec<u8> {
        trustee.seal(INFO, &[], &self.to_bytes(), seed)
    }

    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([self.lot.to_bytes().as_slice(), &self.point()].concat())
    }

    fn point(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([&[self.index], self.value.as_slice()].concat())
    }
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Share({})", self.index)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::subsequence};

    use super::*;

    fn dealt(threshold: u8, trustees: u8) -> (PublicKey, Vec<Share>) {
        deal(threshold, trustees, Seed::new([5; 32])).unwrap()
    }

    #[test]
    fn one_trustee_alone_never_opens() {
        for (threshold, trustees) in [(0, 3), (1, 3), (4, 3), (1, 1), (2, 1)] {
            assert_eq!(deal(threshold, trustees, Seed::new([5; 32])).unwrap_err(), Unfit::BadThreshold);
        }
        assert_eq!(deal(255, 255, Seed::new([5; 32])).unwrap().1.len(), 255);
    }

    #[test]
    fn a_share_is_sealed_to_its_trustee_and_printed_nowhere() {
        let (_, shares) = dealt(2, 3);
        let trustee = PrivateKey::generate(Seed::new([6; 32]));
        let sealed = shares[1].seal(&trustee.public(), Seed::new([7; 32]));
        assert_eq!(sealed.len(), SEALED_SHARE);
        assert_eq!(open_share(&trustee, &sealed).unwrap(), shares[1]);
        let other = PrivateKey::generate(Seed::new([8; 32]));
        assert_eq!(open_share(&other, &sealed), Err(Unfit::DoesNotOpen));
        assert_eq!(format!("{:?} {trustee:?} {:?}", shares[1], Seed::new([9; 32])), "Share(2) PrivateKey Seed");
    }

    #[test]
    fn shares_that_do_not_belong_together_are_told_apart() {
        let (lot, shares) = dealt(2, 3);
        let (_, foreign) = deal(2, 3, Seed::new([6; 32])).unwrap();
        let both = |a: &Share, b: &Share| combine(&lot, &[a.clone(), b.clone()]).map(|_| ());
        assert_eq!(both(&shares[0], &foreign[1]), Err(Unfit::OtherLot));
        assert_eq!(both(&shares[0], &shares[0]), Err(Unfit::Twice));
        assert_eq!(combine(&lot, &[]).unwrap_err(), Unfit::OtherKey);
        assert_eq!(both(&shares[0], &shares[2]), Ok(()));
    }

    #[test]
    fn the_point_that_is_the_key_itself_is_no_share() {
        let (_, shares) = dealt(2, 2);
        let mut bytes = shares[0].to_bytes().to_vec();
        bytes[POINT] = 0;
        assert_eq!(Share::from_bytes(&bytes), None);
        assert_eq!(Share::from_bytes(&bytes[1..]), None);
        assert_eq!(Share::parse("no share"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Any `threshold` or more shares give the key, fewer never do.
        #[test]
        fn enough_trustees_open_and_fewer_do_not(
            (threshold, trustees, chosen) in (2_u8..7, 0_u8..4).prop_flat_map(|(threshold, more)| {
                let trustees = threshold + more;
                let all: Vec<usize> = (0..trustees.into()).collect();
                let count = 1..=usize::from(trustees);
                (Just(threshold), Just(trustees), subsequence(all, count).prop_shuffle())
            }),
            seed in any::<[u8; 32]>(),
        ) {
            let (lot, shares) = deal(threshold, trustees, Seed::new(seed)).unwrap();
            let chosen: Vec<Share> = chosen.into_iter().map(|place| shares[place].clone()).collect();
            let key = combine(&lot, &chosen);
            if chosen.len() >= threshold.into() {
                prop_assert_eq!(key.unwrap().public(), lot);
            } else {
                prop_assert_eq!(key.unwrap_err(), Unfit::OtherKey);
            }
        }

        /// A changed share has another digest, and the key that it gives is not the lot's.
        #[test]
        fn a_false_share_is_found(place in POINT..SHARE, flip in 1_u8..) {
            let (lot, shares) = dealt(2, 3);
            let mut bytes = shares[0].to_bytes().to_vec();
            bytes[place] ^= flip;
            let Some(share) = Share::from_bytes(&bytes) else { return Ok(()) };
            prop_assert_ne!(share.digest(), shares[0].digest());
            let unfit = combine(&lot, &[share, shares[1].clone()]).map(|_| ()).unwrap_err();
            prop_assert!(unfit == Unfit::OtherKey || (place == POINT && unfit == Unfit::Twice));
        }

        /// No changed byte of a sealed share goes unnoticed.
        #[test]
        fn a_changed_sealed_share_does_not_open(place in 0..SEALED_SHARE, flip in 1_u8..) {
            let trustee = PrivateKey::generate(Seed::new([6; 32]));
            let mut sealed = dealt(2, 2).1[0].seal(&trustee.public(), Seed::new([7; 32]));
            sealed[place] ^= flip;
            prop_assert_eq!(open_share(&trustee, &sealed), Err(Unfit::DoesNotOpen));
            prop_assert_eq!(open_share(&trustee, &sealed[..place]), Err(Unfit::DoesNotOpen));
        }
    }
}
