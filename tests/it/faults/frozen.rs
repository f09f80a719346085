//! R2: of two processes on one database one is stopped (SIGSTOP) for longer than any limit, at the close, at an award
//! and at a settlement, and goes on in the middle of whatever it did. Each happens once; the late writer is fenced.

use std::time::Duration;

use exchange_tests::{Exchange, Jishi, LOGS, Lane};
use jishi::demo::{
    Fields,
    person::{Person, fresh_key},
};
use kernel::{Db, Money};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use super::{
    Dice,
    line::{BID, Line, bid, mutation},
    times,
    torn::{insist, once},
};
use crate::market::{FLOOR, FREE_SECONDS, INCREMENT, Listed, Market};

/// The clock of a process may be off by a second; no call lasts longer than fifteen.
const PAUSES: [Duration; 2] = [Duration::from_millis(1_500), Duration::from_secs(17)];

/// The first process is the one that is stopped now and then; both have all roles.
struct Pair {
    exchange: Exchange,
    other: Jishi,
    market: Market,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_slept_changes_nothing() {
    let logs = tempfile::tempdir().unwrap();
    let told = [(LOGS, logs.path().to_str().unwrap()), ("JISHI_LOG", "warn,auction=debug")];
    let Some(exchange) = Exchange::start_with(Lane::Postgres, &told).await else { return };
    let other = tokio::task::block_in_place(|| exchange.replica());
    let market = Market::open(&exchange, 2).await;
    let mut pair = Pair { exchange, other, market };
    let mut dice = Dice::of("R2");
    let rounds = times(1, 10);
    for round in 0..rounds {
        // In the long lane every other round stops it for longer than any call may last.
        let pause = PAUSES[times(0, round % 2)];
        pair.sale(pause, &mut dice).await;
        let sold = i64::try_from(round + 1).unwrap();
        for table in ["award", "deal", "settlement"] {
            assert_eq!(pair.count(table).await, sold, "{table}");
        }
        pair.market.ledger_is_sound().await;
    }
    let said = std::fs::read_to_string(logs.path().join("all")).unwrap();
    let fenced = said.lines().filter(|line| line.contains("fenced")).count();
    eprintln!("{fenced} rounds of late writers were fenced");
    assert!(fenced > 0, "no late writer met the fence");
}

impl Pair {
    fn first(&mut self) -> &mut Jishi {
        self.exchange.process("auction")
    }

    async fn sale(&mut self, pause: Duration, dice: &mut Dice) {
        let listing = self.market.disclosed(self.market.draft()).await;
        for buyer in &self.market.buyers {
            self.market.eligible(buyer, &listing).await;
        }
        let session = self.market.bidding(&listing).await;
        self.same_time().await;
        let winner = self.close(&session, pause, dice).await;
        let award = self.market.award(&listing).await;
        assert_eq!(award["winnerId"], self.market.buyers[winner].id);
        for confirmer in 0..2 {
            let wanted = ("confirmAward", "award { id status }", json!({ "awardId": award["id"] }));
            let asleep = (pause, &mut *dice);
            self.raced(|market| [&market.staff.reviewer, &market.staff.qualifier][confirmer], wanted, asleep).await;
        }
        self.settle(&listing, winner, (pause, dice)).await;
    }

    /// The other process takes the time of the first.
    async fn same_time(&mut self) {
        let first = Line::new(&self.exchange.http, String::new());
        let offset = first.clock_offset(self.market.stage.client.now()).await;
        Line::new(self.other.http(), String::new()).move_clock(offset).await;
    }

    /// Both buyers bid, the last one while the first process falls asleep; the other process closes the lot. Who won.
    async fn close(&mut self, session: &str, pause: Duration, dice: &mut Dice) -> usize {
        // What is left of both periods must fit into the ten minutes of a token.
        let end = self.market.stage.client.now().plus_seconds(FREE_SECONDS - 60);
        self.market.pass(end).await;
        self.same_time().await;
        let mut lines = Vec::new();
        for buyer in &self.market.buyers {
            buyer.person.refresh_login().await.unwrap();
            let token = buyer.person.token().await.unwrap();
            lines.push((Line::new(&self.exchange.http, token.clone()), Line::new(self.other.http(), token)));
        }
        let bid = |buyer: usize, steps: i64| {
            let amount = Money(FLOOR.0 + INCREMENT.0 * steps);
            mutation("placeBid", BID, &bid(session, &self.market.buyers[buyer].id, amount))
        };
        insist(&lines[0].0, &fresh_key(), &bid(0, 0)).await;
        insist(&lines[1].1, &fresh_key(), &bid(1, 1)).await;
        let (key, last) = (fresh_key(), bid(0, 2));
        let moment = Duration::from_micros(dice.below(8_000));
        let first = self.exchange.process("auction");
        let falling_asleep = async {
            tokio::time::sleep(moment).await;
            first.freeze();
            // It may hold the lot's row: then the other one can close it only when the first wakes up.
            tokio::join!(other_closes(session, &lines[0].1), async {
                tokio::time::sleep(pause).await;
                first.thaw();
            });
        };
        let ((ended, _), ()) = tokio::join!(once(&lines[0].0, &key, &last), falling_asleep);
        let told_time = lines[0].1.ask(None, &json!({ "query": "{ serverTime }" })).await;
        self.market.pass(told_time.instant_at("/data/serverTime").unwrap()).await;
        self.same_time().await;
        // Whoever was not told asks again, here or there.
        let (there, _) = insist(&lines[0].1, &key, &last).await;
        let (here, _) = insist(&lines[0].0, &key, &last).await;
        assert_eq!(here, there);
        if let super::torn::End::Told(text) = ended {
            assert_eq!(text, here);
        }
        let answer: Value = serde_json::from_str(&here).unwrap();
        match answer["data"]["placeBid"]["bid"].is_object() {
            true => 0,
            false => 1,
        }
    }

    /// Somebody says the same at both processes, under two keys; the first falls asleep over it. One of the two is done.
    async fn raced(
        &mut self,
        who: impl Fn(&Market) -> &Person,
        (verb, selection, input): (&str, &str, Value),
        (pause, dice): (Duration, &mut Dice),
    ) -> Value {
        let token = who(&self.market).token().await.unwrap();
        let (here, there) = (Line::new(&self.exchange.http, token.clone()), Line::new(self.other.http(), token));
        let body = mutation(verb, selection, &input);
        let keys = [fresh_key(), fresh_key()];
        let moment = Duration::from_micros(dice.below(15_000));
        let first = self.first();
        let asleep = async {
            tokio::time::sleep(moment).await;
            first.freeze();
            // It may hold what the other one needs: then the other one cannot say before the first wakes up.
            let (said, ()) = tokio::join!(once(&there, &keys[1], &body), async {
                tokio::time::sleep(pause).await;
                first.thaw();
            });
            said
        };
        tokio::join!(once(&here, &keys[0], &body), asleep);
        let told = [insist(&here, &keys[0], &body).await.0, insist(&there, &keys[1], &body).await.0];
        let object = selection.split(' ').next().unwrap();
        let told = told.map(|text| serde_json::from_str::<Value>(&text).unwrap()["data"][verb].clone());
        let done: Vec<&Value> = told.iter().map(|payload| &payload[object]).filter(|done| done.is_object()).collect();
        assert_eq!(done.len(), 1, "{verb}: {told:?}");
        done[0].clone()
    }

    async fn settle(&mut self, listing: &Listed, winner: usize, asleep: (Duration, &mut Dice)) {
        let market = &self.market;
        let deal = market.deal(listing).await;
        market.payable(&market.buyers[winner], &deal).await;
        let wanted = ("settle", "settlement { id price fee }", json!({ "dealId": deal["id"] }));
        self.raced(|market| &market.staff.cashier, wanted, asleep).await;
        self.market.until_listing(listing, "SETTLED").await;
        let (_, held) = self.market.account(&self.market.buyers[winner]).await;
        assert_eq!(held, Money::ZERO, "the deposit was resolved");
    }

    async fn count(&self, table: &str) -> i64 {
        let db = Db::connect(&self.exchange.database_url).await.unwrap();
        let sql = format!("SELECT count(*) AS rows FROM {table}");
        let row = db.read().query_one_raw(Statement::from_string(db.read().get_database_backend(), sql)).await.unwrap();
        let rows = row.unwrap().try_get("", "rows").unwrap();
        db.close().await.unwrap();
        rows
    }
}

/// Moves the other process through the end of both periods, and waits for the close.
async fn other_closes(session: &str, line: &Line) {
    let query = "query S($id: ID!) { biddingSession(id: $id) { status closesAt } }";
    let read = json!({ "query": query, "variables": { "id": session } });
    loop {
        let answer = line.ask(None, &read).await;
        let told = &answer["data"]["biddingSession"];
        if told["status"] == "SOLD" {
            return;
        }
        if let Ok(end) = told.instant_at("/closesAt") {
            line.clock_offset(end).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
