//! A lot of sealed offers, with its trustees and its bidders. Trustees and bidders work with the verbs of the binary, on
//! machines of their own.

use exchange_tests::Exchange;
use futures::future::join_all;
use jishi::demo::{
    Fields,
    cast::House,
    person::{Act, Person},
};
use kernel::Instant;
use serde_json::{Value, json};

use super::super::{
    market::{Listed, Market, made},
    refusal::with,
};

pub const TRUSTEES: [&str; 3] = ["公证处", "高校", "交易中心"];

/// A round of a sealed lot lasts this long.
pub const ROUND_SECONDS: i64 = 600;

const RECEIPT: &str = "sealedReceipt { sessionId round commitment place receivedAt signature }";

/// What a verb of the binary prints.
pub fn said(exchange: &Exchange, line: &[&str]) -> Value {
    let output = exchange.run(line);
    assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Three trustees, two of whom open; each has a key pair in a file of its own.
pub struct Trustees {
    folder: tempfile::TempDir,
    /// As `jishi trustee deal` prints it, and as `scheduleBidding` takes it.
    pub dealt: Value,
}

impl Trustees {
    pub fn meet(exchange: &Exchange) -> Trustees {
        let folder = tempfile::tempdir().unwrap();
        let own = TRUSTEES.map(|name| {
            let file = folder.path().join(name);
            let key = said(exchange, &["trustee", "key", "--out", file.to_str().unwrap()]);
            format!("--trustee={name}={}", key.text_at("/publicKey").unwrap())
        });
        let [one, two, three] = &own;
        let dealt = said(exchange, &["trustee", "deal", "--threshold=2", one, two, three]);
        Trustees { folder, dealt }
    }

    /// The share of one trustee in clear, as `contributeShare` takes it.
    pub fn share(&self, exchange: &Exchange, trustee: &str) -> String {
        let file = self.folder.path().join(trustee);
        let dealt = self.dealt["trustees"].as_array().unwrap().iter().find(|dealt| dealt["name"] == trustee).unwrap();
        let share = dealt.text_at("/share").unwrap();
        let told = said(exchange, &["trustee", "share", "--key", file.to_str().unwrap(), "--share", share]);
        assert_eq!(told["digest"], dealt["digest"], "the trustee compares it with the published one");
        told.text_at("/share").unwrap().to_owned()
    }
}

/// A session whose offers are sealed.
pub struct SealedLot<'a> {
    pub exchange: &'a Exchange,
    pub market: &'a Market,
    pub listing: Listed,
    pub session: String,
    pub starts_at: Instant,
    pub trustees: Trustees,
    /// The same three for the rounds after the first, whose keys are others.
    pub later: Vec<Trustees>,
    /// The codes of the market's first buyers, who may bid.
    pub codes: Vec<String>,
}

impl<'a> SealedLot<'a> {
    /// Schedules one for the first so many buyers of the market.
    pub async fn scheduled(
        (exchange, market): (&'a Exchange, &'a Market),
        bidders: usize,
        bidding: Value,
    ) -> SealedLot<'a> {
        Self::of((exchange, market), &market.buyers[..bidders], (&[], bidding)).await
    }

    /// The same, where the last of them holds a preemption right.
    pub async fn with_holder(
        (exchange, market): (&'a Exchange, &'a Market),
        bidders: usize,
        bidding: Value,
    ) -> SealedLot<'a> {
        let (holder, others) = market.buyers[..bidders].split_last().unwrap();
        Self::of((exchange, market), others, (&[holder], bidding)).await
    }

    async fn of(
        (exchange, market): (&'a Exchange, &'a Market),
        plain: &[House],
        (holders, bidding): (&[&House], Value),
    ) -> SealedLot<'a> {
        let mut draft = market.draft();
        let more = bidding["rounds"].as_u64().unwrap_or(1) - 1 + u64::from(bidding["tieRule"] == "EXTRA_ROUND");
        draft["bidding"] = bidding;
        let listing = market.disclosed(draft).await;
        let mut codes = Vec::new();
        for buyer in plain {
            let application = market.eligible(buyer, &listing).await;
            codes.push(market.code(buyer, &application).await);
        }
        for buyer in holders {
            let application = market.holder(buyer, &listing).await;
            codes.push(market.code(buyer, &application).await);
        }
        market.pass(listing.ends_at).await;
        let trustees = Trustees::meet(exchange);
        let later: Vec<Trustees> = (0..more).map(|_| Trustees::meet(exchange)).collect();
        let dealt: Vec<&Value> = [&trustees].into_iter().chain(&later).map(|trustees| &trustees.dealt).collect();
        let starts_at = listing.ends_at.plus_seconds(3_600);
        let input = json!({
            "listingId": listing.id, "startsAt": starts_at.to_string(), "sealedKeys": dealt,
        });
        let session = made(&market.staff.qualifier, "scheduleBidding", "biddingSession", input).await;
        market.until_listing(&listing, "BIDDING").await;
        let session = session.text_at("/id").unwrap().to_owned();
        SealedLot { exchange, market, listing, session, starts_at, trustees, later, codes }
    }

    /// Reaches the time in which envelopes are taken.
    pub async fn begins(&self) {
        self.market.pass(self.starts_at).await;
        self.market.until_session(&self.session, "FREE").await;
    }

    pub fn buyer(&self, n: usize) -> &House {
        &self.market.buyers[n]
    }

    /// What `jishi seal` makes of an offer: the envelope and its commitment.
    pub fn sealed(&self, n: usize, offer: &[&str]) -> Value {
        self.sealed_for((&self.session, &self.codes[n]), offer)
    }

    /// The same for another place than one's own.
    pub fn sealed_for(&self, (session, code): (&str, &str), offer: &[&str]) -> Value {
        let key = self.trustees.dealt.text_at("/publicKey").unwrap();
        said(self.exchange, &[&["seal", "--key", key, "--session", session, "--bidder", code], offer].concat())
    }

    pub fn input(&self, n: usize, envelope: &Value) -> Value {
        json!({ "sessionId": self.session, "organizationId": self.buyer(n).id, "round": 1, "envelope": envelope })
    }

    /// Hands an envelope in under a key; the receipt.
    pub async fn hand_in(&self, n: usize, sealed: &Value, key: &str) -> Value {
        let act = Act { verb: "submitSealedBid", selection: RECEIPT, key };
        self.buyer(n).person.act_under(act, self.input(n, &sealed["envelope"])).await.unwrap()
    }

    /// The receipt of a bidder as somebody reads it.
    pub async fn receipt(&self, reader: &Person, n: usize) -> Value {
        let query = format!(
            "query R($id: ID!, $of: ID!) {{ sealedReceipt(sessionId: $id, organizationId: $of) {} }}",
            RECEIPT.trim_start_matches("sealedReceipt ")
        );
        let of = json!({ "id": self.session, "of": self.buyer(n).id });
        reader.glance(&query, of).await.unwrap()["sealedReceipt"].clone()
    }

    /// Everything that is told of the session, events and all.
    pub async fn told(&self, reader: &Person) -> Value {
        let query = "query T($id: ID!) {
            biddingSession(id: $id) {
                status bidderCount bidCount currentPrice leadingCode seq round extensions closesAt availableTransitions
            }
            auctionEvents(sessionId: $id, first: 40) {
                edges { node { seq kind at bidderCode amount closesAt round reason commitment named } }
            }
            sealedOpenings(sessionId: $id) {
                round publicKey shares { name share }
                envelopes { place bidderCode receivedAt commitment envelope }
            }
            evidence(sessionId: $id) { url size root verifyingKey }
        }";
        reader.glance(query, json!({ "id": self.session })).await.unwrap()
    }

    /// Who holds the shares of a round's key.
    pub fn trustees_of(&self, round: usize) -> &Trustees {
        round.checked_sub(2).map_or(&self.trustees, |later| &self.later[later])
    }

    /// An offer sealed for a round, as the bidder hands it in.
    pub fn offer(&self, round: usize, n: usize, offer: &[&str]) -> Value {
        let key = self.trustees_of(round).dealt.text_at("/publicKey").unwrap();
        let (round, code) = (round.to_string(), &self.codes[n]);
        let line = ["seal", "--key", key, "--session", &self.session, "--bidder", code, "--round", &round];
        let sealed = said(self.exchange, &[&line, offer].concat());
        with(&self.input(n, &sealed["envelope"]), "round", json!(round.parse::<usize>().unwrap()))
    }

    /// Offers, by bidder, in a round; all have receipts.
    pub async fn offers(&self, round: usize, offers: &[(usize, &str)]) {
        let handed_in = offers.iter().map(|(n, amount)| {
            let input = self.offer(round, *n, &["--amount", amount]);
            made(&self.buyer(*n).person, "submitSealedBid", "sealedReceipt", input)
        });
        join_all(handed_in).await;
    }

    /// The round's time is over, and two of the three open it.
    pub async fn opened(&self, round: usize) {
        let told = self.told(&self.market.staff.reviewer).await;
        if let Ok(end) = told.instant_at("/biddingSession/closesAt") {
            self.market.pass(end.plus_seconds(60)).await;
        }
        self.market.until_session(&self.session, "OPENING").await;
        for trustee in &TRUSTEES[..2] {
            let share = self.trustees_of(round).share(self.exchange, trustee);
            let input = self.contribution(trustee, &share);
            made(&self.market.staff.reviewer, "contributeShare", "biddingSession", input).await;
        }
    }

    /// The round is over, and everything that came in time is in the box.
    pub async fn ends(&self) {
        self.market.pass(self.starts_at.plus_seconds(ROUND_SECONDS + 60)).await;
        self.market.until_session(&self.session, "OPENING").await;
    }

    pub fn contribution(&self, trustee: &str, share: &str) -> Value {
        json!({ "sessionId": self.session, "trustee": trustee, "share": share })
    }

    /// A trustee, through whoever speaks for it, contributes its share.
    pub async fn contribute(&self, speaker: &Person, trustee: &str) {
        let share = self.trustees.share(self.exchange, trustee);
        made(speaker, "contributeShare", "biddingSession", self.contribution(trustee, &share)).await;
    }

    /// Two persons confirm the award, and the deal follows; the award.
    pub async fn confirmed(&self) -> Value {
        let award = self.market.award(&self.listing).await;
        self.market.confirmed(&award).await;
        self.market.until_listing(&self.listing, "TRANSFEREE_FIXED").await;
        award
    }

    /// Downloads the bundle, and decides the lot again from it by the verb; what the verb says.
    pub async fn verified(&self) -> String {
        decided_again(self.exchange, &self.market.staff.reviewer, &self.session).await
    }
}

/// Downloads a session's bundle, and decides the lot again from it by the verb; what the verb says.
pub async fn decided_again(exchange: &Exchange, reader: &Person, session: &str) -> String {
    let query = "query E($id: ID!) { evidence(sessionId: $id) { url verifyingKey } }";
    let told = reader.glance(query, json!({ "id": session })).await.unwrap();
    let url = format!("{}{}", exchange.http, told.text_at("/evidence/url").unwrap());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let bundle = client.get(url).send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bundle.ndjson");
    std::fs::write(&file, &bundle).unwrap();
    let key = told.text_at("/evidence/verifyingKey").unwrap();
    let verify = || exchange.run(&["verify", "--key", key, file.to_str().unwrap()]);
    let verdict = verify();
    assert!(verdict.status.success(), "{}", String::from_utf8_lossy(&verdict.stderr));
    let mut forged = bundle.to_vec();
    let last = forged.iter().rposition(u8::is_ascii_digit).unwrap();
    forged[last] ^= 1;
    std::fs::write(&file, forged).unwrap();
    assert_eq!(verify().status.code(), Some(1), "another end, another price or another log is noticed");
    String::from_utf8(verdict.stdout).unwrap()
}
