//! A head of a service's log as it is published: a line of text that whoever keeps it can hold the exchange to.

use std::{fmt, str::FromStr};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};

use super::{head, last_head, verify::Known};
use crate::{Db, Instant, Result, Vault};

/// A signed head: `SERVICE:SIZE:ROOT:PREVIOUS:AT:SIGNATURE`, the instant in milliseconds since 1970, the signature Ed25519
/// in base64url over the text that docs/operating.md gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead(head::Model);

impl SignedHead {
    /// The newest head of each service that has one.
    pub async fn newest(db: &Db, services: &[&str]) -> Result<Vec<SignedHead>> {
        let mut heads = Vec::new();
        for service in services {
            heads.extend(last_head(db.read(), service).await?.map(SignedHead));
        }
        Ok(heads)
    }

    /// Whether the exchange of this vault signed it.
    #[must_use]
    pub fn is_signed(&self, vault: &Vault) -> bool {
        vault.signed(self.0.statement().as_bytes(), &self.0.signature)
    }

    /// What it holds the log to.
    #[must_use]
    pub fn known(&self) -> Known {
        let head::Model { service, size, root, .. } = &self.0;
        Known { service: service.clone(), size: u64::try_from(*size).unwrap_or_default(), root: HEXLOWER.encode(root) }
    }
}

impl fmt::Display for SignedHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head::Model { service, size, previous, root, at, signature, .. } = &self.0;
        let (root, signature) = (HEXLOWER.encode(root), BASE64URL_NOPAD.encode(signature));
        write!(f, "{service}:{size}:{root}:{previous}:{}:{signature}", at.0)
    }
}

impl FromStr for SignedHead {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<SignedHead, Self::Err> {
        let parts: Vec<&str> = text.trim().split(':').collect();
        let [service, size, root, previous, at, signature] = parts[..] else {
            return Err("a signed head is SERVICE:SIZE:ROOT:PREVIOUS:AT:SIGNATURE");
        };
        let number = |text: &str| text.parse::<i64>().map_err(|_| "a head's sizes and its instant are numbers");
        Ok(SignedHead(head::Model {
            service: service.to_owned(),
            size: number(size)?,
            previous: number(previous)?,
            root: HEXLOWER.decode(root.as_bytes()).map_err(|_| "a head's root is hexadecimal")?,
            peaks: Vec::new(),
            signature: BASE64URL_NOPAD.decode(signature.as_bytes()).map_err(|_| "a signature is base64url")?,
            at: Instant(number(at)?),
        }))
    }
}
