//! S6: whatever an operator can read before the opening tells neither amount, nor who hands something in, nor how many do.
//!
//! Searched are every table of the database (and the bytes of SQLite's files), the processes' output at the level of trace,
//! the metrics, and what staff and auditors are told. Who may bid is no secret of the exchange's staff: it qualified the
//! applicants and holds their deposits. Hidden is what each of them does with it (docs/sealed-bids.md); so two of four hand
//! something in, and everything is compared with a time in which nobody did.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use exchange_tests::{Exchange, LOGS, Lane};
use jishi::demo::{
    Fields,
    cast::yuan,
    person::{Person, fresh_key},
    timeline::Who,
};
use kernel::Money;
use serde_json::{Value, json};

use super::{
    super::{
        market::Market,
        refusal::{tried, with},
        search::{dump, forms, hex, hits, rows, texts},
    },
    lot::{SealedLot, TRUSTEES},
};

/// Amounts that no clock, count or id is likely to hold.
const OFFERS: [&str; 3] = ["48151623421.08", "73910582647.93", "60294871355.17"];

/// What counts all requests.
const REQUESTS: [&str; 2] = ["http_requests_total", "graphql_operation_seconds_count"];

/// What is searched for, each with what it is.
type Words = Vec<(String, Vec<Vec<u8>>)>;

/// What an operator sees at one moment.
struct Look {
    rows: BTreeMap<String, Vec<String>>,
    metrics: BTreeMap<String, String>,
    views: Vec<Value>,
}

/// Who looks, signed in beforehand.
struct Onlookers<'a> {
    lot: &'a SealedLot<'a>,
    auditor: Person,
    logs: &'a Path,
}

/// How an amount may be written: for people, in fen, as bytes of either order, as protobuf writes a number.
fn written(amount: &str) -> Vec<Vec<u8>> {
    let money = Money::parse_yuan(amount).unwrap();
    let grouped = yuan(money).trim_end_matches(" 元").to_owned();
    let big: Vec<u8> = money.0.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    let little: Vec<u8> = big.iter().rev().copied().collect();
    let (mut varint, mut rest) = (Vec::new(), money.0);
    while rest > 0 {
        let more = if rest > 127 { 128 } else { 0 };
        varint.push(u8::try_from(rest % 128).unwrap() | more);
        rest /= 128;
    }
    let mut all: Vec<Vec<u8>> = [amount, &grouped, &money.0.to_string()].into_iter().flat_map(forms).collect();
    for bytes in [big, little, varint] {
        all.extend([hex(&bytes).into_bytes(), hex(&bytes).to_uppercase().into_bytes(), bytes]);
    }
    all
}

/// An envelope in pieces, as it was sent and as bytes, and its commitment.
fn parts(sealed: &Value) -> Vec<Vec<u8>> {
    let text = sealed.text_at("/envelope").unwrap();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
    let mut all: Vec<Vec<u8>> = text.as_bytes().chunks_exact(60).map(<[u8]>::to_vec).collect();
    for piece in bytes.chunks_exact(40) {
        all.extend([piece.to_vec(), hex(piece).into_bytes(), hex(piece).to_uppercase().into_bytes()]);
    }
    let commitment = sealed.text_at("/commitment").unwrap();
    let digest = (0..64).step_by(2).map(|at| u8::from_str_radix(&commitment[at..at + 2], 16).unwrap()).collect();
    all.extend([commitment.as_bytes().to_vec(), commitment.to_uppercase().into_bytes(), digest]);
    all
}

/// Which of the words occur.
fn found<'w>(words: &'w Words, bytes: &[u8]) -> Vec<&'w str> {
    let all: Vec<Vec<u8>> = words.iter().flat_map(|(_, forms)| forms.clone()).collect();
    match hits(bytes, &all) {
        0 => Vec::new(),
        _ => words.iter().filter(|(_, forms)| hits(bytes, forms) > 0).map(|(what, _)| what.as_str()).collect(),
    }
}

impl<'a> Onlookers<'a> {
    /// Everybody asks once, so that no login is renewed later, and all that happened before is through.
    async fn gather(lot: &'a SealedLot<'a>, logs: &'a Path) -> Onlookers<'a> {
        let auditor = Person::seeded(&lot.market.stage.client, Who { zh: "审计员", en: "auditor" }, "auditor");
        let onlookers = Onlookers { lot, auditor, logs };
        for buyer in &lot.market.buyers {
            buyer.person.refresh_login().await.unwrap();
        }
        for person in [&lot.market.staff.reviewer, &lot.market.staff.qualifier, &onlookers.auditor] {
            person.refresh_login().await.unwrap();
        }
        let through = || async {
            let waiting = "SELECT kind AS text FROM event WHERE NOT sealed OR (announce AND published_mark IS NULL)";
            Ok(texts(lot.exchange, waiting).await.is_empty().then_some(()))
        };
        lot.market.stage.until("all that happened to be through", through).await.unwrap();
        onlookers
    }

    /// Everything that can be read now, once the box has been written anew.
    async fn look(&self) -> Look {
        let places = || async { rows(self.lot.exchange).await.remove("sealed_place").unwrap() };
        let before = places().await;
        let anew = || async {
            let now = places().await;
            let all = now.iter().all(|place| !before.contains(place));
            Ok(all.then_some(()))
        };
        self.lot.market.stage.until("the next beat", anew).await.unwrap();
        let views = self.views().await;
        Look { rows: rows(self.lot.exchange).await, metrics: self.metrics().await, views }
    }

    /// What staff and auditors are told, of the session and of the trail of everything.
    async fn views(&self) -> Vec<Value> {
        let staff = &self.lot.market.staff;
        let applications = "query A($id: ID!) {
            listing(id: $id) { status availableTransitions round }
            transferApplications(listingId: $id, first: 100) {
                nodes { id status organizationId bidderCode deposit availableTransitions }
            }
        }";
        let trail = |service: &str| {
            format!("{{ auditTrail(service: {service}, first: 100) {{ nodes {{ id kind subject actor at facts }} }} }}")
        };
        let mut views = Vec::new();
        for person in [&staff.reviewer, &staff.qualifier, &self.auditor] {
            views.push(self.lot.told(person).await);
            views.push(person.glance(applications, json!({ "id": self.lot.listing.id })).await.unwrap());
            for n in 0..4 {
                views.push(self.lot.receipt(person, n).await);
            }
        }
        for service in ["IDENTITY", "CATALOG", "AUCTION", "LEDGER", "CONTRACT", "FINANCING"] {
            views.push(self.auditor.glance(&trail(service), json!({})).await.unwrap());
        }
        views
    }

    /// Every series with its value.
    async fn metrics(&self) -> BTreeMap<String, String> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let told = client.get(format!("{}/metrics", self.lot.exchange.metrics)).send().await.unwrap();
        let told = told.error_for_status().unwrap().text().await.unwrap();
        let series = told.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        series.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// What all processes have written so far.
    fn output(&self) -> Vec<u8> {
        let files = fs::read_dir(self.logs).unwrap();
        files.flat_map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
    }
}

impl Look {
    /// Of which tables rows went and came, and how long they are.
    fn changed(&self, next: &Look) -> BTreeMap<String, [Vec<usize>; 2]> {
        let mut changed = BTreeMap::new();
        for (table, now) in &next.rows {
            let before = &self.rows[table];
            let went = before.iter().filter(|row| !now.contains(row)).map(String::len).collect::<Vec<_>>();
            let came = now.iter().filter(|row| !before.contains(row)).map(String::len).collect::<Vec<_>>();
            if !(went.is_empty() && came.is_empty()) {
                changed.insert(table.clone(), [went, came]);
            }
        }
        changed
    }

    /// Which counters grew, and by how much, but for those of all requests. How long things took differs from run to run.
    fn grew(&self, next: &Look) -> BTreeMap<String, i64> {
        self.more(next, |name| !REQUESTS.contains(&name))
    }

    /// By how much the counters of all requests grew, which is no secret (docs/sealed-bids.md) where none is left out by one.
    fn asked(&self, next: &Look) -> [i64; 2] {
        REQUESTS.map(|counter| self.more(next, |name| name == counter).values().sum())
    }

    fn more(&self, next: &Look, wanted: impl Fn(&str) -> bool) -> BTreeMap<String, i64> {
        let counts = |name: &str| {
            let name = name.split('{').next().unwrap_or_default();
            (name.ends_with("_count") || name.ends_with("_total")) && wanted(name)
        };
        let number = |told: Option<&String>| told.map_or(0, |told| told.parse::<i64>().unwrap());
        let grown = next.metrics.iter().filter(|(name, _)| counts(name));
        let grown = grown.map(|(name, now)| (name.clone(), number(Some(now)) - number(self.metrics.get(name))));
        grown.filter(|(_, more)| *more != 0).collect()
    }

    /// The names of all series.
    fn series(&self) -> BTreeSet<&str> {
        self.metrics.keys().map(|name| name.split('{').next().unwrap_or_default()).collect()
    }
}

async fn nobody_can_tell(lane: Lane) {
    let logs = tempfile::tempdir().unwrap();
    let environment = [("JISHI_LOG", "trace"), (LOGS, logs.path().to_str().unwrap())];
    let Some(exchange) = Exchange::start_with(lane, &environment).await else { return };
    let market = Market::open(&exchange, 4).await;
    let lot = SealedLot::scheduled((&exchange, &market), 4, json!({ "mode": "SEALED_SINGLE" })).await;
    lot.begins().await;
    let onlookers = Onlookers::gather(&lot, logs.path()).await;
    let mut looks = vec![onlookers.look().await, onlookers.look().await];
    let begun = onlookers.output().len();
    let words = two_of_four_hand_in(&lot).await;
    looks.push(onlookers.look().await);
    looks.push(onlookers.look().await);
    let output = onlookers.output();

    let [idle, after, still, again] = &looks[..] else { panic!() };
    let nothing = idle.changed(after);
    let places = &nothing["sealed_place"];
    assert!(nothing.len() == 1 && places[0].len() == 4 && places.iter().flatten().all(|len| *len == places[0][0]));
    assert_eq!(after.changed(still), nothing, "as many rows, as long ones, as when nobody bids");
    assert_eq!(still.changed(again), nothing);
    assert!(idle.views == after.views && after.views == still.views && still.views == again.views);
    assert_eq!(idle.grew(after), after.grew(still), "nothing counts that does not count without bids");
    let asked = [idle.asked(after), after.asked(still), still.asked(again)];
    assert!(asked.iter().all(|[http, graphql]| http == graphql && *http > 0), "one leaves something out: {asked:?}");
    assert_eq!(idle.series(), again.series());

    let stored = dump(&exchange).await;
    let shown =
        looks.iter().map(|look| format!("{:?}{:?}{:?}", look.rows, look.metrics, look.views)).collect::<String>();
    for (place, bytes) in [("database", stored.as_slice()), ("output", &output), ("views", shown.as_bytes())] {
        assert_eq!(found(&words, bytes), [""; 0], "in the {place}");
    }
    // Whose they are: nothing that was written meanwhile names a bidder, or the deed.
    let meanwhile = &output[begun..];
    let mut names = vec!["SubmitSealedBid", "submitSealedBid", "GetSealedReceipt", "sealedReceipt"];
    names.extend(market.buyers.iter().flat_map(|buyer| [buyer.id.as_str(), &buyer.name]));
    let meanwhile = String::from_utf8_lossy(meanwhile);
    for name in names {
        if hits(meanwhile.as_bytes(), &forms(name)) > 0 {
            let line = meanwhile.lines().find(|line| hits(line.as_bytes(), &forms(name)) > 0);
            panic!("{name} is in the output: {line:?}");
        }
    }
    after_the_opening(&lot, &words).await;
}

/// Bids come, are replaced, repeated, refused and asked for; what must not be found.
async fn two_of_four_hand_in(lot: &SealedLot<'_>) -> Words {
    let mut words = Words::new();
    let mut keep = |what: &str, forms: Vec<Vec<u8>>| words.push((what.to_owned(), forms));
    for (n, amount) in [(0, OFFERS[0]), (2, OFFERS[1]), (2, OFFERS[2])] {
        let (sealed, key) = (lot.sealed(n, &["--amount", amount]), fresh_key());
        let receipt = lot.hand_in(n, &sealed, &key).await;
        assert_eq!(lot.hand_in(n, &sealed, &key).await, receipt);
        assert_eq!(lot.receipt(&lot.buyer(n).person, n).await, receipt);
        keep(amount, written(amount));
        keep("an envelope", parts(&sealed));
        keep("a receipt", forms(receipt.text_at("/signature").unwrap()));
        keep("a key", forms(&key));
        let wrong = with(&lot.input(n, &sealed["envelope"]), "round", 2);
        for (person, input) in
            [(&lot.buyer(n).person, wrong), (&lot.market.staff.qualifier, lot.input(n, &sealed["envelope"]))]
        {
            let told = tried(person, "submitSealedBid", input).await.to_string();
            assert!(told.contains("WRONG_ROUND") || told.contains("NOT_FOUND"), "{told}");
            assert_eq!(hits(told.as_bytes(), &written(amount)), 0, "{told}");
        }
    }
    words
}

/// The search finds what is there: once it is opened, everybody sees it.
async fn after_the_opening(lot: &SealedLot<'_>, words: &Words) {
    lot.ends().await;
    for trustee in &TRUSTEES[..2] {
        lot.contribute(&lot.market.staff.reviewer, trustee).await;
    }
    lot.market.until_session(&lot.session, "SOLD").await;
    let stored = dump(lot.exchange).await;
    let found = found(words, &stored);
    assert!(found.contains(&OFFERS[0]) && found.contains(&OFFERS[2]), "{found:?}");
    assert!(!found.contains(&OFFERS[1]), "what was replaced is never seen");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_tell_on_sqlite() {
    nobody_can_tell(Lane::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_tell_on_postgres() {
    nobody_can_tell(Lane::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_tell_between_processes() {
    nobody_can_tell(Lane::Networked).await;
}
