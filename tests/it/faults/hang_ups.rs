//! Strangers who send any mutation and go away at once, while others bid, record what came to the bank and sign up:
//! nothing that the others were told is lost. A future may be dropped at each of its awaits, that of BEGIN among them, and
//! what it leaves behind must not befall whoever gets the connection next.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant as Moment},
};

use exchange_tests::{Exchange, LOGS, Lane};
use futures::future::join_all;
use jishi::demo::{cast::fresh_login, person::fresh_key};
use kernel::Id;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use wire::id::{ContractId, TransferApplicationId};

use super::{
    Dice,
    histories::steps,
    line::{BID, bid, mutation},
    times,
    works::{Asked, BIDDERS, Works, judge_after_restart},
};

const STRANGERS: usize = 4;
/// Nobody stays longer, in microseconds.
pub const LONGEST_STAY: u64 = 6_000;

#[tokio::test(flavor = "multi_thread")]
async fn hang_ups_on_sqlite() {
    hang_ups(Lane::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hang_ups_on_postgres() {
    hang_ups(Lane::Postgres).await;
}

/// Here the gateway's calls to the services are cut off by the hang-ups as well.
#[tokio::test(flavor = "multi_thread")]
async fn hang_ups_on_networked_roles() {
    hang_ups(Lane::Networked).await;
}

/// How far it has come.
#[derive(Debug, Default)]
pub struct Course {
    gone: AtomicUsize,
    told: AtomicUsize,
    over: AtomicBool,
}

impl Course {
    pub fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    /// Whoever goes away waits for the others when too many have gone: they would be left no time at all.
    pub async fn note_one_gone(&self) {
        self.gone.fetch_add(1, Relaxed);
        while !self.is_over() && self.gone.load(Relaxed) > 400 + 2 * self.told.load(Relaxed) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn is_far_enough(&self) -> bool {
        self.gone.load(Relaxed) >= times(400, 5_000) && self.told.load(Relaxed) >= times(300, 10_000)
    }

    /// The longer lane promises so many.
    pub fn require_far_enough(&self) {
        assert!(times(1, 0) == 1 || self.is_far_enough(), "only {self:?}");
    }
}

async fn hang_ups(lane: Lane) {
    let logs = tempfile::tempdir().unwrap();
    // Strangers guess at passwords as well.
    let settings = [("JISHI_GUESSES_PER_ADDRESS", "0"), (LOGS, logs.path().to_str().unwrap())];
    let Some(mut exchange) = Exchange::start_with(lane, &settings).await else { return };
    let works = Works::open(&exchange, 1).await;
    let mut dice = Dice::of(&format!("hang-ups on {lane:?}"));
    let course = Course::default();
    let strangers = join_all((0..STRANGERS).map(|_| {
        let dice = Dice::seeded(dice.below(u64::MAX));
        hang_up_again_and_again(&works, &exchange.http, dice, &course)
    }));
    tokio::join!(strangers, at_work(&works, &course));
    all_told(&works, &mut exchange).await;
    none_met_open(logs.path());
    course.require_far_enough();
}

/// No transaction was begun on a connection that had one open already, nor ended where there was none: the database warns of
/// both, and whatever is said there meanwhile may be undone by whoever comes next, though nothing need be lost each time.
pub fn none_met_open(logs: &Path) {
    let files = std::fs::read_dir(logs).unwrap();
    let said: Vec<String> = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    let warnings: Vec<&str> =
        said.iter().flat_map(|said| said.lines()).filter(|line| line.contains("transaction in progress")).collect();
    assert!(warnings.is_empty(), "{} times, such as: {}", warnings.len(), warnings[0]);
}

/// In the end everybody is told, and what was told is there.
pub async fn all_told(works: &Works, exchange: &mut Exchange) {
    let (_, left) = works.settle(Duration::from_secs(10)).await;
    judge_after_restart(works, exchange).await;
    assert_eq!(left, 0, "nobody knows what came of these");
    assert_eq!(works.faults(), Vec::<String>::new());
}

/// Others at work, until enough strangers have gone and enough was done.
pub async fn at_work(works: &Works, course: &Course) {
    let longest = Duration::from_secs(u64::try_from(times(20, 1_200)).unwrap());
    let bidders = join_all((0..BIDDERS).map(|buyer| async move {
        while !course.over.load(Relaxed) {
            if let Some(bid) = works.bid(buyer).await {
                works.say(&bid).await;
            }
        }
    }));
    let cashier = async {
        while !course.over.load(Relaxed) {
            if let Some(receipt) = works.receipt(&works.market.buyers[0]).await {
                works.say(&receipt).await;
            }
        }
    };
    let visitors = async {
        while !course.over.load(Relaxed) {
            works.say(&works.sign_up()).await;
        }
    };
    let watching = async {
        let began = Moment::now();
        // What is lost is lost sooner on a slow machine as well.
        while !course.is_far_enough() && began.elapsed() < longest {
            tokio::time::sleep(Duration::from_millis(20)).await;
            course.told.store(works.told().len(), Relaxed);
        }
        course.over.store(true, Relaxed);
        eprintln!("{course:?} in {:?}", began.elapsed());
    };
    tokio::join!(bidders, cashier, visitors, watching);
}

async fn hang_up_again_and_again(works: &Works, http: &str, mut dice: Dice, course: &Course) {
    while !course.is_over() {
        let Some(asked) = whatever(works, &mut dice).await else { continue };
        let key = (dice.below(2) == 0).then_some(asked.key.as_str());
        hang_up(http, &asked, key, Duration::from_micros(dice.below(LONGEST_STAY))).await;
        course.note_one_gone().await;
    }
}

/// Sends it, and closes the socket after a while.
async fn hang_up(http: &str, asked: &Asked, key: Option<&str>, stay: Duration) {
    let body = asked.body.to_string();
    let mut head = "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".to_owned();
    if !asked.token.is_empty() {
        head += &format!("Authorization: Bearer {}\r\n", asked.token);
    }
    if let Some(key) = key {
        head += &format!("Idempotency-Key: {key}\r\n");
    }
    let Ok(mut stream) = TcpStream::connect(http.trim_start_matches("http://")).await else { return };
    let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    if stream.write_all(request.as_bytes()).await.is_ok() {
        tokio::time::sleep(stay).await;
    }
}

/// Any mutation: some are done, some are refused.
async fn whatever(works: &Works, dice: &mut Dice) -> Option<Asked> {
    let (market, stranger) = (&works.market, &works.market.buyers[BIDDERS]);
    let other = &market.buyers[BIDDERS + 1];
    let next = steps(works.floor.heard().max(0) + 1);
    let (person, verb, selection, input): (_, &'static str, &str, Value) = match dice.below(10) {
        0 => return Some(works.sign_up()),
        1 => {
            let input = json!({ "login": fresh_login(), "password": "correct horse battery" });
            let body = mutation("signIn", "session { personId }", &input);
            return Some(Asked { verb: "signIn", token: String::new(), key: fresh_key(), body });
        }
        2 => (&market.broker, "createListing", "listing { id }", market.draft()),
        3 => return works.receipt(stranger).await,
        // It is paid already: a refusal has a transaction as well.
        4 => {
            let input = json!({ "transferApplicationId": TransferApplicationId::fresh().text() });
            (&stranger.person, "payDeposit", "deposit { id }", input)
        }
        5 => (&stranger.person, "placeBid", BID, bid(&works.session, &stranger.id, next)),
        6 => {
            let input =
                json!({ "sessionId": works.session, "organizationId": stranger.id, "maximum": next.to_string() });
            (&stranger.person, "setProxyBid", "proxyBid { commitment }", input)
        }
        7 => {
            let input =
                json!({ "organizationId": stranger.id, "otherOrganizationId": other.id, "nature": "同一控制人" });
            (&stranger.person, "declareConflict", "conflictOfInterest { id }", input)
        }
        8 => {
            let input = json!({ "organizationId": stranger.id, "login": fresh_login(), "roles": ["BIDDER"] });
            (&stranger.person, "inviteMember", "invitation { id }", input)
        }
        _ => {
            let input =
                json!({ "contractId": ContractId::fresh().text(), "organizationId": stranger.id, "documentHash": "0" });
            (&stranger.person, "signContract", "contract { id }", input)
        }
    };
    let token = person.token().await.ok()?;
    Some(Asked { verb, token, key: fresh_key(), body: mutation(verb, selection, &input) })
}
