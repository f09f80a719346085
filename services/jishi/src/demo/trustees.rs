//! What trustees and bidders of sealed offers do on machines of their own, as the verbs of the binary do it
//! (docs/sealed-bids.md), and what anybody does after the opening: open everything again.

use auction::sealed::{
    PrivateKey, PublicKey,
    envelope::open,
    shares::{Share, combine},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use kernel::Money;
use serde_json::{Value, json};

pub use auction::sealed::envelope::Invalid;

use super::{Error, Fields, Result};
use crate::sealed::{Offer, Sealed, contribution, deal, new_key, seal};

/// Named trustees with the keys that they keep, and the lot's key that they dealt.
pub struct Trustees {
    keys: Vec<(String, PrivateKey)>,
    dealt: Value,
}

impl Trustees {
    /// They meet at a machine that is off the network; `threshold` of them will open.
    pub fn meet(threshold: u8, names: &[&str]) -> Result<Trustees> {
        let key = |name: &&str| Ok(((*name).to_owned(), new_key().map_err(own)?));
        let keys = names.iter().map(key).collect::<Result<Vec<_>>>()?;
        let public: Vec<_> = keys.iter().map(|(name, key)| (name.clone(), key.public())).collect();
        let dealt = deal(threshold, &public).and_then(|dealt| Ok(serde_json::to_value(dealt)?)).map_err(own)?;
        Ok(Trustees { keys, dealt })
    }

    /// What they publish: the lot's key, the sealed shares and their digests, as `scheduleBidding` takes them.
    #[must_use]
    pub fn dealt(&self) -> &Value {
        &self.dealt
    }

    /// One trustee's share in clear.
    pub fn share(&self, name: &str) -> Result<String> {
        let key = self.keys.iter().find(|(trustee, _)| trustee == name).map(|(_, key)| key);
        let trustees = self.dealt.at("/trustees")?.as_array();
        let dealt = trustees.and_then(|all| all.iter().find(|dealt| dealt.get("name") == Some(&json!(name))));
        let (Some(key), Some(dealt)) = (key, dealt) else { return Err(Error::Line(format!("no trustee {name}"))) };
        Ok(contribution(key, dealt.text_at("/share")?).map_err(own)?.share)
    }

    /// Seals an offer, or none, to the lot's key for a bidder's place in a session.
    pub fn seal(&self, (session, bidder): (&str, &str), amount: Option<Money>) -> Result<Sealed> {
        let key = PublicKey::parse(self.dealt.text_at("/publicKey")?);
        let offer = Offer {
            key: key.ok_or_else(|| Error::answer("a public key", self.dealt.clone()))?,
            session: session.to_owned(),
            bidder: bidder.to_owned(),
            round: 1,
            amount,
            no_bid: amount.is_none(),
            values: Vec::new(),
        };
        seal(&offer).map_err(own)
    }
}

/// What one place of the box held: an offer, none, or nothing that can be read.
pub type Found = (String, Result<Option<Money>, Invalid>);

/// Recovers the key from a published `SealedOpening` and opens all its envelopes, by place and with the bidders' codes.
pub fn opened_again(opening: &Value, session: &str) -> Result<Vec<Found>> {
    let bad = || Error::answer("a published opening", opening.clone());
    let list = |at: &str| opening.at(at).and_then(|list| list.as_array().cloned().ok_or_else(bad));
    let share = |told: &Value| Share::parse(told.text_at("/share")?).ok_or_else(bad);
    let shares = list("/shares")?.iter().map(share).collect::<Result<Vec<_>>>()?;
    let lot = PublicKey::parse(opening.text_at("/publicKey")?).ok_or_else(bad)?;
    let key = combine(&lot, &shares).map_err(own)?;
    let round = u32::try_from(opening.number_at("/round")?).map_err(own)?;
    let found = |told: &Value| {
        let code = told.text_at("/bidderCode")?;
        let envelope = BASE64_URL_SAFE_NO_PAD.decode(told.text_at("/envelope")?).map_err(own)?;
        let opened = open(&key, session, code, round, &envelope).map(|opened| opened.amount);
        Ok((code.to_owned(), opened))
    };
    list("/envelopes")?.iter().map(found).collect()
}

fn own(error: impl std::fmt::Display) -> Error {
    Error::Line(error.to_string())
}
