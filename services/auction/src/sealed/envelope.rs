//! One bid in one envelope. Every envelope has one size, and one that holds no bid looks like any other.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use kernel::Money;
use rust_decimal::Decimal;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};
use sha2::{Digest, Sha256};
use strum::IntoStaticStr;
use zeroize::Zeroizing;

use super::{POINT, PrivateKey, PublicKey, Seed, TAG};

/// What HPKE is told of the purpose.
pub const INFO: &[u8] = b"jishi sealed bid v1";
/// Length of the padded text.
pub const TEXT: usize = 1024;
/// Length of every envelope.
pub const ENVELOPE: usize = POINT + TEXT + TAG;

/// The fields of the text; any other is refused.
const FIELDS: [&str; 6] = ["session", "bidder", "round", "amount", "values", "nonce"];

/// What a bidder seals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bid {
    /// The bidding session's id.
    pub session: String,
    /// The bidder's anonymous code.
    pub bidder: String,
    /// The round, from 1.
    pub round: u32,
    /// The offer; none for an envelope that only hides whether its sender bids.
    pub amount: Option<Money>,
    /// What the bidder offers under the other criteria, by their names.
    pub values: BTreeMap<String, Decimal>,
    /// Fresh random bytes, so that nobody who guesses the rest knows the text.
    pub nonce: [u8; 16],
}

/// What an envelope held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The offer, above zero; none if the sender does not bid.
    pub amount: Option<Money>,
    /// What was offered under the other criteria. Whether they are those of the session is for the session to say.
    pub values: BTreeMap<String, Decimal>,
    /// The nonce of the text.
    pub nonce: [u8; 16],
}

/// Why an envelope is no bid. Stable: published with the envelope, and checked in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Invalid {
    /// Not of the one size.
    WrongSize,
    /// Not sealed to this lot for this session, bidder and round, or changed since.
    DoesNotOpen,
    /// The text is no JSON object.
    NotJson,
    /// A field that is not known.
    UnknownField,
    /// A field is missing, there twice, or of another type.
    BadField,
    /// The text names another session.
    OtherSession,
    /// The text names another bidder.
    OtherBidder,
    /// The text names another round.
    OtherRound,
    /// No 32 lowercase hexadecimal digits.
    BadNonce,
    /// More than two decimals.
    AmountTooFine,
    /// No amount of yuan above zero.
    BadAmount,
    /// A criterion without a name, or with something else than a decimal number.
    BadValue,
    /// Met only while sealing: the text is longer than an envelope takes.
    TooLong,
}

impl Invalid {
    /// The reason as it is published, such as `DOES_NOT_OPEN`.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.into()
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

impl std::error::Error for Invalid {}

/// The text as it is written. A field that may be null must be there all the same.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    session: String,
    bidder: String,
    round: u32,
    #[serde(deserialize_with = "Option::deserialize")]
    amount: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "each_once")]
    values: BTreeMap<String, String>,
    nonce: String,
}

/// Seals a bid. Refuses what would not open as that bid.
pub fn seal(key: &PublicKey, bid: &Bid, seed: Seed) -> Result<Vec<u8>, Invalid> {
    let text = Text {
        session: bid.session.clone(),
        bidder: bid.bidder.clone(),
        round: bid.round,
        amount: bid.amount.map(|amount| amount.to_string()),
        values: bid.values.iter().map(|(name, value)| (name.clone(), value.to_string())).collect(),
        nonce: HEXLOWER.encode(&bid.nonce),
    };
    let mut written = Zeroizing::new(serde_json::to_vec(&text).map_err(|_| Invalid::NotJson)?);
    if written.len() > TEXT {
        return Err(Invalid::TooLong);
    }
    written.resize(TEXT, b' ');
    read(&written, &bid.session, &bid.bidder, bid.round)?;
    Ok(key.seal(INFO, &place(&bid.session, &bid.bidder, bid.round), &written, seed))
}

/// Opens the envelope that `bidder` handed in for a round of a session.
pub fn open(key: &PrivateKey, session: &str, bidder: &str, round: u32, envelope: &[u8]) -> Result<Opened, Invalid> {
    if envelope.len() != ENVELOPE {
        return Err(Invalid::WrongSize);
    }
    let text = key.open(INFO, &place(session, bidder, round), envelope).ok_or(Invalid::DoesNotOpen)?;
    read(&text, session, bidder, round)
}

/// What stands for the envelope in public before the opening.
#[must_use]
pub fn commitment(envelope: &[u8]) -> [u8; 32] {
    Sha256::digest(envelope).into()
}

/// The additional data: session and bidder, each after its length in four bytes, then the round in four. Big-endian.
#[must_use]
pub fn place(session: &str, bidder: &str, round: u32) -> Vec<u8> {
    let mut place = Vec::new();
    for part in [session, bidder] {
        place.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        place.extend(part.as_bytes());
    }
    place.extend(round.to_be_bytes());
    place
}

fn read(text: &[u8], session: &str, bidder: &str, round: u32) -> Result<Opened, Invalid> {
    let text = parse(std::str::from_utf8(text).map_err(|_| Invalid::NotJson)?)?;
    if text.session != session {
        return Err(Invalid::OtherSession);
    }
    if text.bidder != bidder {
        return Err(Invalid::OtherBidder);
    }
    if text.round != round {
        return Err(Invalid::OtherRound);
    }
    let nonce = HEXLOWER.decode(text.nonce.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    let nonce = nonce.ok_or(Invalid::BadNonce)?;
    let amount = text.amount.as_deref().map(amount).transpose()?;
    let values = text.values.into_iter().map(|(name, value)| match decimal(&value) {
        Some(value) if !name.trim().is_empty() => Ok((name, value)),
        _ => Err(Invalid::BadValue),
    });
    Ok(Opened { amount, values: values.collect::<Result<_, _>>()?, nonce })
}

fn parse(text: &str) -> Result<Text, Invalid> {
    // Looked at first: the derived reader would take an array of the fields' values as well.
    let Names(names) = serde_json::from_str(text).map_err(|_| Invalid::NotJson)?;
    if names.iter().any(|name| !FIELDS.contains(&name.as_str())) {
        return Err(Invalid::UnknownField);
    }
    serde_json::from_str(text).map_err(|error| if error.is_data() { Invalid::BadField } else { Invalid::NotJson })
}

/// More digits after the point than fen have are told apart: the likeliest slip of a bidder.
fn amount(text: &str) -> Result<Money, Invalid> {
    let (yuan, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    if fraction.len() > 2 && digits && Money::parse_yuan(yuan).is_some() {
        return Err(Invalid::AmountTooFine);
    }
    Money::parse_yuan(text).filter(|amount| *amount > Money::ZERO).ok_or(Invalid::BadAmount)
}

/// A decimal number by the grammar of money, with up to six decimals.
pub fn decimal(text: &str) -> Option<Decimal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let well_formed = (1..=15).contains(&whole.len())
        && (1..=6).contains(&fraction.len())
        && (whole == "0" || !whole.starts_with('0'))
        && [whole, fraction].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    well_formed.then(|| Decimal::from_str_exact(text).ok()).flatten()
}

/// The names of an object's fields, whatever they hold.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Names, D::Error> {
        let entries = deserializer.deserialize_map(Entries::<IgnoredAny>(std::marker::PhantomData))?;
        Ok(Names(entries.into_iter().map(|(name, _)| name).collect()))
    }
}

/// Of two entries with one name some readers take the first and some the last, so there may be one only.
fn each_once<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let entries = deserializer.deserialize_map(Entries::<String>(std::marker::PhantomData))?;
    let count = entries.len();
    let entries: BTreeMap<_, _> = entries.into_iter().collect();
    if entries.len() == count { Ok(entries) } else { Err(D::Error::custom("a criterion is there twice")) }
}

struct Entries<V>(std::marker::PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
    type Value = Vec<(String, V)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SESSION: &str = "bidding_session_01jd0000000000000000000000";

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::generate(Seed::new([seed; 32]))
    }

    fn bid(amount: Option<i64>) -> Bid {
        let values = BTreeMap::from([("付款期限".to_owned(), Decimal::new(15, 1))]);
        let (session, bidder) = (SESSION.to_owned(), "B-07".to_owned());
        Bid { session, bidder, round: 1, amount: amount.map(Money), values, nonce: [9; 16] }
    }

    /// An envelope around any text, as a bidder with a program of its own may seal it.
    fn around(text: &str) -> Result<Opened, Invalid> {
        let mut padded = text.as_bytes().to_vec();
        padded.resize(TEXT, b' ');
        let envelope = key(1).public().seal(INFO, &place(SESSION, "B-07", 1), &padded, Seed::new([2; 32]));
        open(&key(1), SESSION, "B-07", 1, &envelope)
    }

    fn with(from: &str, to: &str) -> Result<Opened, Invalid> {
        let whole = format!(
            r#"{{"session":"{SESSION}","bidder":"B-07","round":1,"amount":"1.50","values":{{"a":"1","b":"-2.5"}},"nonce":"{}"}}"#,
            "0f".repeat(16)
        );
        assert!(whole.contains(from), "{from}");
        around(&whole.replacen(from, to, 1))
    }

    #[test]
    fn each_fault_has_its_name() {
        assert_eq!(with("", "").unwrap().amount, Some(Money(150)));
        assert_eq!(with(r#""1.50""#, "null").unwrap().amount, None);
        assert!(with(r#""values":{"a":"1","b":"-2.5"},"#, "").unwrap().values.is_empty());
        for (from, to, invalid) in [
            ("{", "[", Invalid::NotJson),
            ("0f\"}", "0f\"} x", Invalid::NotJson),
            ("\"round\"", "\u{1}", Invalid::NotJson),
            ("\"round\"", "\"Round\"", Invalid::UnknownField),
            ("\"amount\":\"1.50\",", "", Invalid::BadField),
            ("\"amount\":\"1.50\"", "\"amount\":1.5", Invalid::BadField),
            ("\"round\":1", "\"round\":1,\"round\":1", Invalid::BadField),
            ("\"round\":1", "\"round\":-1", Invalid::BadField),
            ("\"b\"", "\"a\"", Invalid::BadField),
            ("session_0", "session_1", Invalid::OtherSession),
            ("B-07", "B-08", Invalid::OtherBidder),
            ("\"round\":1", "\"round\":2", Invalid::OtherRound),
            ("0f", "0F", Invalid::BadNonce),
            ("0f", "", Invalid::BadNonce),
            ("1.50", "1.505", Invalid::AmountTooFine),
            ("1.50", "1.00000000", Invalid::AmountTooFine),
            ("1.50", "0.00", Invalid::BadAmount),
            ("1.50", "-1", Invalid::BadAmount),
            ("1.50", "1e3", Invalid::BadAmount),
            ("1.50", "", Invalid::BadAmount),
            ("-2.5", "--2", Invalid::BadValue),
            ("\"a\"", "\" \"", Invalid::BadValue),
        ] {
            assert_eq!(with(from, to), Err(invalid), "{from} {to}");
        }
        assert_eq!(open(&key(1), SESSION, "B-07", 1, &[4; ENVELOPE - 1]), Err(Invalid::WrongSize));
        assert_eq!(Invalid::DoesNotOpen.code(), "DOES_NOT_OPEN");
        let array = format!(r#"["{SESSION}","B-07",1,"1.50",{{}},"{}"]"#, "0f".repeat(16));
        assert_eq!(around(&array), Err(Invalid::NotJson));
    }

    #[test]
    fn an_envelope_opens_in_its_place_only() {
        let envelope = seal(&key(1).public(), &bid(Some(12_345)), Seed::new([2; 32])).unwrap();
        assert_eq!(open(&key(1), SESSION, "B-07", 1, &envelope).unwrap().amount, Some(Money(12_345)));
        let elsewhere = [
            open(&key(3), SESSION, "B-07", 1, &envelope),
            open(&key(1), "bidding_session_x", "B-07", 1, &envelope),
            open(&key(1), SESSION, "B-08", 1, &envelope),
            open(&key(1), SESSION, "B-07", 2, &envelope),
        ];
        assert!(elsewhere.iter().all(|opened| *opened == Err(Invalid::DoesNotOpen)));
        assert_ne!(place("ab", "c", 1), place("a", "bc", 1));
    }

    #[test]
    fn what_would_not_open_is_not_sealed() {
        let sealed = |bid| seal(&key(1).public(), &bid, Seed::new([2; 32]));
        assert_eq!(sealed(Bid { bidder: "B".repeat(TEXT), ..bid(None) }), Err(Invalid::TooLong));
        assert_eq!(sealed(bid(Some(0))), Err(Invalid::BadAmount));
        let fine = BTreeMap::from([("a".to_owned(), Decimal::new(1, 7))]);
        assert_eq!(sealed(Bid { values: fine, ..bid(None) }), Err(Invalid::BadValue));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Any bid comes back from an envelope of the one size; a decoy's is as long.
        #[test]
        fn what_is_sealed_opens(
            amount in prop::option::of(1_i64..100_000_000_000_000_000), seed in any::<[u8; 32]>(),
            name in "\\p{L}\\PC{0,20}", value in -1_000_000_000_i64..1_000_000_000, scale in 0_u32..=6,
            bidder in "\\PC{1,20}", round in any::<u32>(), nonce in any::<[u8; 16]>(),
        ) {
            let bid = Bid {
                values: BTreeMap::from([(name, Decimal::new(value, scale))]), bidder, round, nonce, ..bid(amount)
            };
            let envelope = seal(&key(1).public(), &bid, Seed::new(seed)).unwrap();
            prop_assert_eq!(envelope.len(), ENVELOPE);
            let opened = open(&key(1), SESSION, &bid.bidder, round, &envelope).unwrap();
            prop_assert_eq!(opened, Opened { amount: bid.amount, values: bid.values, nonce });
        }

        /// No changed byte and no cut goes unnoticed, and none panics.
        #[test]
        fn a_changed_envelope_is_invalid(place in 0..ENVELOPE, flip in 1_u8..) {
            let mut envelope = seal(&key(1).public(), &bid(Some(100)), Seed::new([2; 32])).unwrap();
            prop_assert_eq!(open(&key(1), SESSION, "B-07", 1, &envelope[..place]), Err(Invalid::WrongSize));
            let sum = commitment(&envelope);
            envelope[place] ^= flip;
            prop_assert_eq!(open(&key(1), SESSION, "B-07", 1, &envelope), Err(Invalid::DoesNotOpen));
            prop_assert_ne!(commitment(&envelope), sum);
        }

        /// Nothing that a bidder seals makes the reader panic.
        #[test]
        fn any_text_is_read_or_refused(text in prop::collection::vec(any::<u8>(), 0..TEXT)) {
            prop_assert!(read(&text, SESSION, "B-07", 1).is_err());
        }
    }
}
