//! The secret reserve price (保留价, trap 4): sealed at rest, and known to everybody else only by its commitment.

use std::fmt::{self, Debug, Formatter, Write};

use kernel::{Error, Id, Money, Result, Vault, fresh_nonce};
use sha2::{Digest, Sha256};
use wire::{id::ListingId, v1};

const NONCE: usize = 16;

/// A reserve price and the nonce that keeps its commitment from being guessed. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Reserve {
    price: Money,
    nonce: [u8; NONCE],
}

impl Debug for Reserve {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Reserve")
    }
}

impl Reserve {
    /// The price under a fresh nonce.
    pub fn hide(price: Money) -> Result<Reserve> {
        Ok(Reserve { price, nonce: fresh_nonce()? })
    }

    /// The price.
    #[must_use]
    pub fn price(&self) -> Money {
        self.price
    }

    /// What the notice tells of it: SHA-256 over listing id, price in fen and nonce, joined by line feeds.
    #[must_use]
    pub fn commitment(&self, listing: ListingId) -> String {
        let told = format!("{}\n{}\n{}", listing.text(), self.price.0, self.nonce_hex());
        hex(&Sha256::digest(told))
    }

    /// As it is stored. It opens for this listing only.
    pub fn seal(&self, vault: &Vault, listing: ListingId) -> Result<Vec<u8>> {
        vault.wrap(&place(listing), &[&self.price.0.to_be_bytes()[..], &self.nonce].concat())
    }

    /// From its stored form.
    pub fn open(vault: &Vault, listing: ListingId, sealed: &[u8]) -> Result<Reserve> {
        let told = vault.unwrap(&place(listing), sealed)?;
        let parts = told.split_first_chunk::<8>().and_then(|(price, nonce)| Some((price, nonce.try_into().ok()?)));
        let (price, nonce) = parts.ok_or_else(|| Error::Internal("a sealed reserve has another length".into()))?;
        Ok(Reserve { price: Money(i64::from_be_bytes(*price)), nonce })
    }

    /// As only the exchange itself is told.
    #[must_use]
    pub fn told(&self) -> v1::ReserveReply {
        v1::ReserveReply { reserve_price: Some(self.price), nonce: self.nonce_hex() }
    }

    fn nonce_hex(&self) -> String {
        hex(&self.nonce)
    }
}

fn place(listing: ListingId) -> String {
    format!("reserve of {}", listing.text())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_opens_for_its_listing_alone_and_shows_in_no_form() {
        let (vault, listing) = (Vault::development(), ListingId::fresh());
        let reserve = Reserve::hide(Money(60_000_000)).unwrap();
        let sealed = reserve.seal(&vault, listing).unwrap();
        assert_eq!(Reserve::open(&vault, listing, &sealed).unwrap(), reserve);
        assert!(Reserve::open(&vault, ListingId::fresh(), &sealed).is_err());
        assert_eq!(format!("{reserve:?}"), "Reserve");
        assert_ne!(reserve, Reserve::hide(Money(60_000_000)).unwrap(), "one price, another nonce");
    }

    #[test]
    fn whoever_learns_price_and_nonce_can_recompute_the_commitment() {
        let listing = ListingId::fresh();
        let reserve = Reserve { price: Money(60_000_000), nonce: [0xab; NONCE] };
        let told = format!("{listing}\n60000000\n{}", "ab".repeat(NONCE));
        assert_eq!(reserve.commitment(listing), format!("{:x}", Sha256::digest(told)));
        assert_eq!(reserve.told().nonce, "ab".repeat(NONCE));
    }
}
