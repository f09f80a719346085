//! A bundle says what the lot was, and nothing of it can be changed: whoever tries is told the line.

mod forged;
mod long;
mod published;

use kernel::{Instant, Money, Vault, merkle};
use prost::Message;
use wire::v1::{
    AuctionEvent, AuctionEventKind as Kind, BidOrigin, BiddingMode, BiddingStatus as Status, BiddingTerms,
    IncrementStep, PreemptionRule,
};

use crate::{
    engine::{Command, Lot, Reserve, Secrets, Terms, commitment, replay},
    evidence::{Flaw, Head, Opening, Scribe, Verdict, verify},
    store::log,
};

const SESSION: &str = "bidding_1";
const LISTING: &str = "listing_1";

/// A lot as it is played, and where its phase changed.
struct Story {
    lot: Lot,
    log: Vec<AuctionEvent>,
    phases: Vec<i64>,
}

impl Story {
    fn of(mut announced: BiddingTerms, reserve: Option<Reserve>) -> Story {
        announced.reserve_commitment = reserve.as_ref().map(|it| commitment(&[LISTING], it.price, &it.nonce));
        let terms = Terms {
            announced,
            starting_price: Money(10_000),
            starts_at: Instant(1_000),
            listing_id: LISTING.into(),
            ..Terms::default()
        };
        let lot = Lot::scheduled(terms, Secrets { reserve, ..Secrets::default() }, Instant(0));
        let mut story = Story { lot, log: Vec::new(), phases: Vec::new() };
        let first = story.lot.event(Kind::Scheduled, Instant(0));
        story.lot.state.apply(&first);
        story.log.push(first);
        for (code, rank) in [("B01", None), ("B02", None), ("B03", Some(1))] {
            story.take(Command::Admit { code: code.into(), rank }, 0);
        }
        story
    }

    fn pass(&mut self, now: i64) {
        let before = self.lot.status();
        self.log.extend(self.lot.pass(Instant(now)));
        self.note(before);
    }

    fn take(&mut self, command: Command, now: i64) {
        self.pass(now);
        let before = self.lot.status();
        let taken = self.lot.take(&command, Instant(now));
        assert_eq!(taken.refusal, None, "{command:?}");
        self.log.extend(taken.events);
        self.log.extend(self.lot.pass(Instant(now)));
        self.note(before);
    }

    fn note(&mut self, before: Status) {
        let size = i64::try_from(self.log.len()).unwrap();
        if self.lot.status() != before && !self.phases.contains(&size) {
            self.phases.push(size);
        }
    }

    fn bid(&mut self, code: &str, fen: i64, now: i64) {
        self.take(Command::Bid { code: code.into(), amount: Money(fen), origin: BidOrigin::Online, paddle: None }, now);
    }

    /// As the exchange publishes it.
    fn bundle(&self, vault: &Vault) -> Vec<u8> {
        self.bundle_at(vault, &self.heads())
    }

    fn heads(&self) -> Vec<i64> {
        let all = i64::try_from(self.log.len()).unwrap();
        let mut heads = self.phases.clone();
        heads.extend(Some(all).filter(|all| heads.last() != Some(all)));
        heads
    }

    fn bundle_at(&self, vault: &Vault, sizes: &[i64]) -> Vec<u8> {
        let mut tree = merkle::Tree::default();
        let mut heads = Vec::new();
        for event in &self.log {
            tree.push(merkle::leaf(&log::record(event)));
            if sizes.contains(&event.seq) {
                heads.push(head(vault, &tree, event.at.unwrap()));
            }
        }
        let mut out = Vec::new();
        let mut scribe = Scribe::open(opening(&self.lot.terms, self.log.len(), heads), vault, &mut out).unwrap();
        for event in &self.log {
            scribe.record(event.seq, &log::record(event), &mut out).unwrap();
        }
        scribe.close(&self.lot, &mut out).unwrap();
        out
    }
}

fn head(vault: &Vault, tree: &merkle::Tree, at: Instant) -> Head {
    let (size, root) = (i64::try_from(tree.size()).unwrap(), tree.root());
    let signature = vault.sign(log::statement(SESSION, size, &root, at).as_bytes()).to_vec();
    Head { size, root: root.to_vec(), at, signature }
}

fn opening(terms: &Terms, events: usize, heads: Vec<Head>) -> Opening {
    Opening {
        session_id: SESSION.into(),
        listing_id: LISTING.into(),
        rules_version: "2026-1".into(),
        terms: terms.encode_to_vec(),
        events: i64::try_from(events).unwrap(),
        heads,
    }
}

fn steps() -> BiddingTerms {
    let step = IncrementStep { from: Some(Money(0)), increment: Some(Money(500)) };
    BiddingTerms { increments: vec![step], free_seconds: 60, timed_seconds: 60, ..BiddingTerms::default() }
}

/// Hidden maximum, pause, withdrawal, secret reserve, preemption after the session, and a winner that defaults.
fn eventful() -> Story {
    let announced = BiddingTerms {
        proxy_allowed: true,
        withdrawal_allowed: true,
        preemption: PreemptionRule::AfterSession.into(),
        preemption_seconds: 60,
        ..steps()
    };
    let mut story = Story::of(announced, Some(Reserve { price: Money(10_500), nonce: "盐\"\\ salt".into() }));
    story.bid("B01", 10_000, 2_000);
    story.take(Command::Proxy { code: "B02".into(), maximum: Money(20_000), commitment: "c".repeat(64) }, 3_000);
    story.bid("B01", 12_000, 4_000);
    story.take(Command::Pause { reason: "停电 \u{1F526}".into() }, 5_000);
    story.take(Command::Resume, 65_000);
    story.bid("B01", 21_000, 66_000);
    story.take(Command::Withdraw { code: "B01".into(), reason: "误报\n\"x\"".into() }, 67_000);
    story.bid("B01", 13_000, 68_000);
    story.pass(200_000);
    story.take(Command::AnswerPreemption { code: "B03".into(), exercise: true }, 200_000);
    story.take(Command::PassOn { code: "B03".into() }, 900_000);
    story
}

/// The smallest one that is sold.
fn plain() -> Story {
    let mut story = Story::of(steps(), None);
    story.bid("B02", 10_000, 2_000);
    story.pass(1_000_000);
    story
}

fn check(bundle: &[u8]) -> Result<Verdict, Flaw> {
    verify(bundle, None)
}

#[test]
fn a_bundle_tells_what_the_lot_was() {
    let vault = Vault::development();
    let story = eventful();
    let verdict = verify(story.bundle(&vault).as_slice(), Some(vault.verifying_key().as_bytes())).unwrap();
    assert_eq!(replay(story.lot.terms.clone(), &story.log).unwrap().state, story.lot.state);
    let sold = story.log.iter().find(|event| event.kind() == Kind::Sold).unwrap();
    assert_eq!(sold.bidder_code(), "B03", "the holder took it");
    assert_eq!(
        (verdict.outcome.winner.as_deref(), verdict.outcome.price, verdict.outcome.end),
        (Some("B02"), Some(Money(13_500)), sold.at),
        "the holder defaulted; bidding had ended before"
    );
    assert_eq!((verdict.session_id.as_str(), verdict.listing_id.as_str()), (SESSION, LISTING));
    assert_eq!(usize::try_from(verdict.size).unwrap(), story.log.len());
    assert_eq!(verdict.outcome.to_string(), "SOLD to B02 at 135.00, end 1970-01-01T00:03:20.000Z");
}

#[test]
fn the_file_reads_as_documented() {
    let bundle = String::from_utf8(plain().bundle(&Vault::development())).unwrap();
    let lines: Vec<&str> = bundle.lines().collect();
    assert!(lines[0].starts_with(r#"{"format":"jishi lot bundle v1","sessionId":"bidding_1","listingId":"listing_1","rulesVersion":"2026-1","events":8,"heads":[5,8],"terms":""#), "{}", lines[0]);
    let terms: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
    let readable = &terms["readable"];
    assert_eq!(readable["announced"]["mode"], "ASCENDING");
    assert_eq!(readable["announced"]["increments"][0]["increment"], "5.00");
    assert_eq!(
        (&readable["startingPrice"], &readable["startsAt"]),
        (&"100.00".into(), &"1970-01-01T00:00:01.000Z".into())
    );
    assert_eq!(
        lines[7],
        r#"{"seq":6,"record":"EAYYAiIDCNAPKgNCMDIyAwiQTjoECMjcA0AA","event":{"seq":6,"kind":"BID","at":"1970-01-01T00:00:02.000Z","bidderCode":"B02","amount":"100.00","closesAt":"1970-01-01T00:01:01.000Z","origin":"ONLINE"}}"#
    );
    assert!(
        lines[6].starts_with(r#"{"head":5,"root":""#)
            && lines[6].contains(r#""at":"1970-01-01T00:00:01.000Z","signature":""#)
    );
    let last = r#"{"result":"SOLD","winner":"B02","price":"100.00","end":"1970-01-01T00:02:01.000Z"}"#;
    assert_eq!(lines.last(), Some(&last), "{bundle}");
}

#[test]
fn lots_without_one_winner_have_bundles_too() {
    let vault = Vault::development();
    let mut licence = Story::of(BiddingTerms { mode: BiddingMode::OpenLicence.into(), ..steps() }, None);
    for code in ["B01", "B03"] {
        licence.take(Command::Accept { code: code.into() }, 2_000);
    }
    licence.pass(1_000_000);
    let outcome = check(&licence.bundle(&vault)).unwrap().outcome;
    let licensees: Vec<_> = outcome.licensees.iter().map(|it| (it.code.as_str(), it.price)).collect();
    assert_eq!((outcome.winner, licensees), (None, vec![("B01", Some(Money(10_000))), ("B03", Some(Money(10_000)))]));

    let reserve = || Some(Reserve { price: Money(99_000), nonce: "n".into() });
    let mut unsold = Story::of(steps(), reserve());
    unsold.bid("B01", 10_000, 2_000);
    unsold.pass(1_000_000);
    let outcome = check(&unsold.bundle(&vault)).unwrap().outcome;
    assert_eq!((outcome.result, outcome.winner), ("UNSOLD", None), "below the reserve");

    let mut cancelled = Story::of(steps(), reserve());
    cancelled.bid("B01", 10_000, 2_000);
    cancelled.take(Command::Cancel { reason: "权属争议".into() }, 3_000);
    let bundle = String::from_utf8(cancelled.bundle(&vault)).unwrap();
    assert_eq!(check(bundle.as_bytes()).unwrap().outcome.result, "CANCELLED");
    assert!(!bundle.contains("990.00"), "a reserve that was not revealed stays hidden");
}
