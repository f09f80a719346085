//! The published test vectors, and the browser's `seal`, as docs/sealed-bids.md prints them.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
};

use chacha20::rand_core::Rng;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use kernel::Money;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    PrivateKey, PublicKey, Seed,
    envelope::{Bid, INFO, Opened, commitment, open, place, seal},
    shares::{Share, combine, open_share},
};

const PAGE: &str = include_str!("../../../../docs/sealed-bids.md");
const SESSION: &str = "bidding_session_01jd0000000000000000000000";
const BIDDER: &str = "B-07";

/// The one block of the page in a language.
fn block(language: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

fn vectors() -> Value {
    serde_json::from_str(block("json")).unwrap()
}

fn text<'a>(vectors: &'a Value, pointer: &str) -> &'a str {
    vectors.pointer(pointer).and_then(Value::as_str).unwrap()
}

fn bytes(vectors: &Value, pointer: &str) -> Vec<u8> {
    BASE64URL_NOPAD.decode(text(vectors, pointer).as_bytes()).unwrap()
}

fn bid() -> Bid {
    let values = BTreeMap::from([("付款期限".to_owned(), Decimal::new(15, 1))]);
    let (session, bidder) = (SESSION.to_owned(), BIDDER.to_owned());
    Bid { session, bidder, round: 1, amount: Some(Money(12_345)), values, nonce: [0x0f; 16] }
}

fn opened() -> Opened {
    Opened { amount: Some(Money(12_345)), values: bid().values, nonce: [0x0f; 16] }
}

fn sealed(bid: &Bid, seed: u8) -> Value {
    let lot = PrivateKey::generate(Seed::new([1; 32]));
    let envelope = seal(&lot.public(), bid, Seed::new([seed; 32])).unwrap();
    let text = lot.open(INFO, &place(SESSION, BIDDER, 1), &envelope).unwrap();
    let mut drawn = [0; 32];
    Seed::new([seed; 32]).stream().fill_bytes(&mut drawn);
    json!({
        "seed": HEXLOWER.encode(&[seed; 32]),
        "ikmE": HEXLOWER.encode(&drawn),
        "aad": HEXLOWER.encode(&place(SESSION, BIDDER, 1)),
        "text": std::str::from_utf8(&text).unwrap().trim_end(),
        "envelope": BASE64URL_NOPAD.encode(&envelope),
        "commitment": HEXLOWER.encode(&commitment(&envelope)),
    })
}

#[test]
fn fixed_seeds_give_the_published_envelopes() {
    let (published, lot) = (vectors(), PrivateKey::generate(Seed::new([1; 32])));
    assert_eq!(text(&published, "/lot/privateKey"), lot.text().as_str());
    assert_eq!(text(&published, "/lot/publicKey"), lot.public().to_string());
    for (name, made) in [("bid", sealed(&bid(), 2)), ("decoy", sealed(&Bid { amount: None, ..bid() }, 3))] {
        assert_eq!(published[name], made, "{name}");
    }
    let envelope = bytes(&published, "/bid/envelope");
    assert_eq!(open(&lot, SESSION, BIDDER, 1, &envelope), Ok(opened()));
    assert_eq!(open(&lot, SESSION, BIDDER, 1, &bytes(&published, "/decoy/envelope")).unwrap().amount, None);
}

#[test]
fn what_the_browser_sealed_opens() {
    let published = vectors();
    let lot = PrivateKey::parse(text(&published, "/lot/privateKey")).unwrap();
    let envelope = bytes(&published, "/browser/envelope");
    assert_eq!(text(&published, "/browser/commitment"), HEXLOWER.encode(&commitment(&envelope)));
    let opened = open(&lot, SESSION, BIDDER, 1, &envelope).unwrap();
    assert_eq!((opened.amount, opened.values), (bid().amount, bid().values));
}

#[test]
fn any_two_of_the_published_shares_give_the_key() {
    let published = vectors();
    let lot = PublicKey::parse(text(&published, "/shares/publicKey")).unwrap();
    let shares = [0, 1, 2].map(|place| {
        let share = Share::parse(text(&published, &format!("/shares/plain/{place}"))).unwrap();
        let digest = text(&published, &format!("/shares/digests/{place}"));
        assert_eq!(digest, HEXLOWER.encode(&share.digest()));
        share
    });
    for (a, b) in [(0, 1), (0, 2), (2, 1)] {
        let key = combine(&lot, &[shares[a].clone(), shares[b].clone()]).unwrap();
        assert_eq!(text(&published, "/shares/privateKey"), key.text().as_str());
    }
    let trustee = PrivateKey::parse(text(&published, "/trustee/privateKey")).unwrap();
    assert_eq!(open_share(&trustee, &bytes(&published, "/trustee/sealedShare")), Ok(shares[0].clone()));
}

/// Runs the page's JavaScript as it stands there.
#[test]
#[ignore = "needs node 20 or later"]
fn the_page_s_javascript_seals_what_opens() {
    let lot = PrivateKey::generate(Seed::new([1; 32]));
    for (round, amount) in [(1, json!("123.45")), (u32::MAX, Value::Null)] {
        let bid = json!({
            "session": SESSION, "bidder": BIDDER, "round": round, "amount": amount, "values": { "付款期限": "1.5" },
        });
        let call = format!("console.log(JSON.stringify(await seal(\"{}\", {bid})));", lot.public());
        let mut node = Command::new("node");
        node.arg("--input-type=module").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut node = node.spawn().unwrap();
        node.stdin.take().unwrap().write_all([block("js"), &call].concat().as_bytes()).unwrap();
        let told: Value = serde_json::from_slice(&node.wait_with_output().unwrap().stdout).unwrap();
        let envelope = bytes(&told, "/envelope");
        assert_eq!(text(&told, "/commitment"), HEXLOWER.encode(&commitment(&envelope)));
        let opened = open(&lot, SESSION, BIDDER, round, &envelope).unwrap();
        assert_eq!(opened.amount, amount.as_str().and_then(Money::parse_yuan));
        assert_eq!(opened.values, self::bid().values);
    }
}
