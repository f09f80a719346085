//! The verbs `seal` and `trustee`: what bidders and trustees of sealed bids do on machines of their own
//! (docs/sealed-bids.md). None of them reads the configuration or talks to the exchange.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    str::FromStr,
};

use auction::sealed::{
    PrivateKey, PublicKey, Seed,
    envelope::{self, Bid},
    shares::{self, open_share},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use kernel::Money;
use rand::{TryRngCore, rngs::OsRng};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::Result;

/// What `jishi seal` takes.
#[derive(Clone, Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("offer").required(true))]
pub struct Offer {
    /// The lot's public key.
    #[arg(long, allow_hyphen_values = true, value_name = "BASE64URL", value_parser = public_key)]
    pub key: PublicKey,
    /// The bidding session's id.
    #[arg(long, value_name = "ID")]
    pub session: String,
    /// Your anonymous code in this session.
    #[arg(long, value_name = "CODE")]
    pub bidder: String,
    /// The round.
    #[arg(long, default_value_t = 1)]
    pub round: u32,
    /// The offer in yuan, such as 123.45.
    #[arg(long, value_name = "YUAN", group = "offer", value_parser = yuan)]
    pub amount: Option<Money>,
    /// No offer: an envelope that only hides whether you bid.
    #[arg(long, group = "offer")]
    pub no_bid: bool,
    /// An offer under another criterion, such as term=1.5.
    #[arg(long = "value", value_name = "NAME=DECIMAL")]
    pub values: Vec<Named>,
}

/// What trustees of sealed bids do.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Trustee {
    /// Make a trustee's own key pair: the private half goes to a file, the public half is printed.
    Key {
        /// The file for the private half; it must not exist.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make a lot's key and a share of it for each trustee; on a machine that is not on the network.
    Deal {
        /// How many trustees together open the bids, at least two.
        #[arg(long)]
        threshold: u8,
        /// A trustee and its public key.
        #[arg(long = "trustee", value_name = "NAME=BASE64URL", required = true)]
        trustees: Vec<Named>,
    },
    /// Print your share in clear, to be contributed at the opening and not before.
    Share {
        /// The file with your private key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Your sealed share.
        #[arg(long, allow_hyphen_values = true, value_name = "BASE64URL")]
        share: String,
    },
}

/// `NAME=VALUE` of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Before the last equals sign.
    pub name: String,
    /// After it.
    pub value: String,
}

impl FromStr for Named {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Named, Self::Err> {
        let (name, value) = text.rsplit_once('=').filter(|(name, _)| !name.is_empty()).ok_or("it is NAME=VALUE")?;
        Ok(Named { name: name.to_owned(), value: value.to_owned() })
    }
}

/// A sealed bid.
#[derive(Clone, Debug, Serialize)]
pub struct Sealed {
    /// To be handed in, in base64url.
    pub envelope: String,
    /// Its SHA-256, which the exchange's receipt must name, in hexadecimal.
    pub commitment: String,
}

/// A key dealt among trustees: all of it may be published.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dealt {
    /// The lot's.
    pub public_key: String,
    /// How many shares give the private half.
    pub threshold: u8,
    /// In the order in which they were named.
    pub trustees: Vec<DealtShare>,
}

/// One trustee's share.
#[derive(Clone, Debug, Serialize)]
pub struct DealtShare {
    /// Whose it is.
    pub name: String,
    /// Sealed to that trustee's key, in base64url.
    pub share: String,
    /// By which a false share is found, in hexadecimal.
    pub digest: String,
}

/// A share in clear; it is made to be shown, but not by accident.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Contribution {
    /// The public key of the lot.
    pub public_key: String,
    /// Which share it is.
    pub index: u8,
    /// The share, in base64url.
    pub share: String,
    /// To be compared with the published one, in hexadecimal.
    pub digest: String,
}

/// Seals a bid and prints it.
pub fn print_sealed(offer: &Offer, out: impl Write) -> Result<()> {
    print(&seal(offer)?, out)
}

/// Does what a trustee does, and prints what came of it.
pub fn print_trustee(trustee: &Trustee, out: impl Write) -> Result<()> {
    match trustee {
        Trustee::Key { out: file } => {
            let key = new_key()?;
            keep(&key, file)?;
            print(&serde_json::json!({ "publicKey": key.public().to_string() }), out)
        }
        Trustee::Deal { threshold, trustees } => {
            let keyed = |named: &Named| Ok((named.name.clone(), public_key(&named.value)?));
            let trustees: Vec<_> = trustees.iter().map(keyed).collect::<Result<_>>()?;
            print(&deal(*threshold, &trustees)?, out)
        }
        Trustee::Share { key, share } => print(&contribution(&kept(key)?, share)?, out),
    }
}

/// Seals a bid as a bidder does.
pub fn seal(offer: &Offer) -> Result<Sealed> {
    let mut values = BTreeMap::new();
    for Named { name, value } in &offer.values {
        let decimal = envelope::decimal(value).ok_or_else(|| format!("{value:?} is no decimal number"))?;
        if values.insert(name.clone(), decimal).is_some() {
            return Err(format!("{name:?} is there twice").into());
        }
    }
    let bid = Bid {
        session: offer.session.clone(),
        bidder: offer.bidder.clone(),
        round: offer.round,
        amount: offer.amount,
        values,
        nonce: random()?,
    };
    let envelope = envelope::seal(&offer.key, &bid, Seed::new(random()?))?;
    let commitment = hex(&envelope::commitment(&envelope));
    Ok(Sealed { envelope: BASE64_URL_SAFE_NO_PAD.encode(envelope), commitment })
}

/// A trustee's key pair.
pub fn new_key() -> Result<PrivateKey> {
    Ok(PrivateKey::generate(Seed::new(random()?)))
}

/// Deals a lot's key among the trustees, named with their public keys. The private half is forgotten here.
pub fn deal(threshold: u8, trustees: &[(String, PublicKey)]) -> Result<Dealt> {
    let names: BTreeSet<&str> = trustees.iter().map(|(name, _)| name.as_str()).collect();
    let keys: BTreeSet<[u8; 65]> = trustees.iter().map(|(_, key)| key.to_bytes()).collect();
    if names.len() < trustees.len() || keys.len() < trustees.len() {
        return Err("each trustee has a name and a key of its own".into());
    }
    let count = u8::try_from(trustees.len()).map_err(|_| "at most 255 trustees")?;
    let (lot, shares) = shares::deal(threshold, count, Seed::new(random()?))?;
    let mut dealt = Vec::new();
    for ((name, key), share) in trustees.iter().zip(&shares) {
        let sealed = BASE64_URL_SAFE_NO_PAD.encode(share.seal(key, Seed::new(random()?)));
        dealt.push(DealtShare { name: name.clone(), share: sealed, digest: hex(&share.digest()) });
    }
    Ok(Dealt { public_key: lot.to_string(), threshold, trustees: dealt })
}

/// A trustee's share in clear.
pub fn contribution(key: &PrivateKey, sealed: &str) -> Result<Contribution> {
    let share = open_share(key, &BASE64_URL_SAFE_NO_PAD.decode(sealed)?)?;
    let (public_key, digest) = (share.lot().to_string(), hex(&share.digest()));
    Ok(Contribution { public_key, index: share.index(), share: share.text().to_string(), digest })
}

fn print(value: &impl Serialize, mut out: impl Write) -> Result<()> {
    Ok(writeln!(out, "{}", serde_json::to_string_pretty(value)?)?)
}

/// Only its owner reads the file, and no file that is there already is lost.
fn keep(key: &PrivateKey, file: &Path) -> Result<()> {
    let mut kept = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    kept.write_all(key.text().as_bytes())?;
    kept.write_all(b"\n")?;
    Ok(kept.sync_all()?)
}

fn kept(file: &Path) -> Result<PrivateKey> {
    let text = Zeroizing::new(fs::read_to_string(file)?);
    Ok(PrivateKey::parse(text.trim()).ok_or("the file holds no private key")?)
}

fn public_key(text: &str) -> Result<PublicKey> {
    Ok(PublicKey::parse(text).ok_or_else(|| format!("{text:?} is no public key: 65 bytes in base64url"))?)
}

fn yuan(text: &str) -> Result<Money> {
    let amount = Money::parse_yuan(text).filter(|amount| *amount > Money::ZERO);
    Ok(amount.ok_or("yuan above zero with at most two decimals, such as 123.45")?)
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    OsRng.try_fill_bytes(&mut bytes)?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use auction::sealed::shares::{Share, combine};
    use clap::Parser;
    use serde_json::Value;

    use super::*;

    #[derive(Parser)]
    enum Verb {
        Seal(Offer),
        #[command(subcommand)]
        Trustee(Trustee),
    }

    fn told(line: &[&str]) -> Result<Value> {
        let mut out = Vec::new();
        match Verb::try_parse_from([&["jishi"], line].concat())? {
            Verb::Seal(offer) => print_sealed(&offer, &mut out)?,
            Verb::Trustee(trustee) => print_trustee(&trustee, &mut out)?,
        }
        Ok(serde_json::from_slice(&out)?)
    }

    fn text(value: &Value, pointer: &str) -> String {
        value.pointer(pointer).and_then(Value::as_str).unwrap().to_owned()
    }

    /// The whole ceremony by the verbs: three trustees, two of whom open.
    #[test]
    fn two_of_three_trustees_open_what_a_bidder_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let names = ["甲", "乙", "丙"];
        let trustees = names.map(|name| {
            let key = told(&["trustee", "key", "--out", &file(name)]).unwrap();
            assert_eq!(fs::metadata(file(name)).unwrap().permissions().mode() & 0o777, 0o600);
            assert!(told(&["trustee", "key", "--out", &file(name)]).is_err(), "an earlier key is never lost");
            format!("--trustee={name}={}", text(&key, "/publicKey"))
        });
        let [a, b, c] = &trustees;
        let dealt = told(&["trustee", "deal", "--threshold=2", a, b, c]).unwrap();
        assert!(told(&["trustee", "deal", "--threshold=1", a, b, c]).is_err());
        assert!(told(&["trustee", "deal", "--threshold=2", a, a]).is_err());
        let key = text(&dealt, "/publicKey");

        let bid = ["seal", "--key", &key, "--session=s", "--bidder=B-1"];
        let sealed = told(&[&bid[..], &["--amount=123.45", "--value=term=1.5"]].concat()).unwrap();
        let decoy = told(&[&bid[..], &["--no-bid"]].concat()).unwrap();
        assert_eq!(text(&sealed, "/envelope").len(), text(&decoy, "/envelope").len());
        for wrong in [&[][..], &["--amount=1.005"], &["--amount=0"], &["--amount=1", "--no-bid"]] {
            assert!(told(&[&bid[..], wrong].concat()).is_err(), "{wrong:?}");
        }

        let shares = [0, 2].map(|place| {
            let sealed = text(&dealt, &format!("/trustees/{place}/share"));
            let share = told(&["trustee", "share", "--key", &file(names[place]), "--share", &sealed]).unwrap();
            assert_eq!(share["digest"], dealt["trustees"][place]["digest"]);
            assert_eq!(share["publicKey"], dealt["publicKey"]);
            assert!(told(&["trustee", "share", "--key", &file(names[1]), "--share", &sealed]).is_err());
            Share::parse(&text(&share, "/share")).unwrap()
        });
        let private = combine(&PublicKey::parse(&key).unwrap(), &shares).unwrap();
        let envelope = BASE64_URL_SAFE_NO_PAD.decode(text(&sealed, "/envelope")).unwrap();
        assert_eq!(text(&sealed, "/commitment"), hex(&envelope::commitment(&envelope)));
        let opened = envelope::open(&private, "s", "B-1", 1, &envelope).unwrap();
        assert_eq!(opened.amount, Some(Money(12_345)));
        assert_eq!(opened.values["term"].to_string(), "1.5");
    }
}
