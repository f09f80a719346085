//! A clerk's terminal, written by docs/hall.md alone: it numbers and signs whatever it enters, and keeps it.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use kernel::{Instant, Money};
use serde_json::{Value, json};

use super::super::refusal::with;

/// A terminal and its journal.
pub struct Terminal {
    pub id: String,
    key: SigningKey,
    session: String,
    /// Its lines, as they are uploaded.
    lines: Vec<Value>,
}

/// The public key of the terminal with this seed.
pub fn public_key(seed: u8) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(SigningKey::from_bytes(&[seed; 32]).verifying_key().as_bytes())
}

impl Terminal {
    /// The terminal that was registered under this id, for bids on one lot.
    pub fn new(id: &str, seed: u8, session: &str) -> Terminal {
        let key = SigningKey::from_bytes(&[seed; 32]);
        Terminal { id: id.to_owned(), key, session: session.to_owned(), lines: Vec::new() }
    }

    /// Notes a bid and signs it; what `enterHallBid` takes of it.
    pub fn note(&mut self, (paddle, amount, origin): (i32, Money, &str), noted_at: Instant) -> Value {
        let number = self.lines.len() + 1;
        let operation = format!("op-{number:05}");
        let before = self.lines.last().map_or("", |line| line["signature"].as_str().unwrap());
        let (id, session, fen, millis) = (&self.id, &self.session, amount.0, noted_at.0);
        let text = format!(
            "jishi hall journal v1\n{id}\n{number}\n{operation}\n{session}\n{paddle}\n{fen}\n{origin}\n{millis}\n{before}"
        );
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.key.sign(text.as_bytes()).to_bytes());
        let bid = json!({
            "number": number, "operationId": operation, "sessionId": session, "paddle": paddle,
            "amount": amount.to_string(), "origin": origin,
        });
        self.lines.push(with(&with(&bid, "notedAt", noted_at.to_string()), "signature", signature));
        with(&bid, "deviceId", self.id.clone())
    }

    /// The upload of its lines from one on.
    pub fn journal(&self, from: usize) -> Value {
        json!({ "deviceId": self.id, "lines": self.lines[from..] })
    }
}
