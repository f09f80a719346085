//! What the exchange signs for a sealed bid (docs/sealed-bids.md).

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use kernel::{Id, Instant, Vault};
use wire::v1;

use crate::sealed::slot::{Name, Taken};

/// What the signature stands for.
#[must_use]
pub fn statement(session: &str, (round, place): (i32, i32), commitment: &str, received_at: Instant) -> String {
    format!("jishi sealed receipt v1\n{session}\n{round}\n{place}\n{commitment}\n{received_at}")
}

/// The receipt. Ed25519 signs the same text alike each time, so a repeated call gets the same bytes.
#[must_use]
pub fn receipt(vault: &Vault, name: &Name, taken: &Taken) -> v1::SealedReceipt {
    let (session_id, commitment) = (name.session.text(), HEXLOWER.encode(&taken.commitment));
    let statement = statement(&session_id, (name.round, name.place), &commitment, taken.received_at);
    v1::SealedReceipt {
        session_id,
        round: name.round,
        commitment,
        place: name.place,
        received_at: Some(taken.received_at),
        signature: BASE64URL_NOPAD.encode(&vault.sign(statement.as_bytes())),
    }
}

/// The key by which receipts and heads of logs are checked: a set of JSON Web Keys (RFC 7517, RFC 8037).
#[must_use]
pub fn keys(vault: &Vault) -> String {
    let x = BASE64URL_NOPAD.encode(vault.verifying_key().as_bytes());
    serde_json::json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "x": x }] })
        .to_string()
}
