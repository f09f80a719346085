//! People at work in every service: bids, money, identity and contracts, each under a key, with what they were told.

use std::{
    sync::Mutex,
    time::{Duration, Instant as Moment},
};

use exchange_tests::Exchange;
use jishi::demo::{
    Fields,
    cast::{House, fresh_login},
    person::{Person, fresh_key},
};
use kernel::{Instant, Money};
use serde_json::{Value, json};

use super::{
    histories::{Floor, steps},
    line::{BID, Line, bid, mutation},
    told::{Done, Found, counted},
    torn::{End, tried},
};
use crate::market::Market;

/// Long enough for the longest lane.
const SECONDS: i64 = 7_200;
/// Who bids; another one bids and hangs up, and the last one buys what has no other bidder.
pub const BIDDERS: usize = 3;

/// An exchange at work: a lot in its free period, and contracts that wait for signatures.
pub struct Works {
    pub market: Market,
    pub session: String,
    /// The caller's line; nobody's.
    pub door: Line,
    pub floor: Floor,
    signatures: Mutex<Vec<Value>>,
    told: Mutex<Vec<Done>>,
    open: Mutex<Vec<Asked>>,
    /// What was told of as a fault, where "unknown" would have been true.
    faults: Mutex<Vec<String>>,
}

/// One mutation, as it is said once and again.
#[derive(Clone, Debug)]
pub struct Asked {
    pub verb: &'static str,
    pub token: String,
    pub key: String,
    pub body: Value,
}

impl Works {
    /// With so many contracts.
    pub async fn open(exchange: &Exchange, contracts: usize) -> Works {
        let market = Market::open(exchange, BIDDERS + 2).await;
        let last = &market.buyers[BIDDERS + 1];
        let mut sole = Vec::new();
        for _ in 0..contracts {
            let listing = market.disclosed(market.draft()).await;
            market.eligible(last, &listing).await;
            sole.push(listing);
        }
        let mut draft = market.terms(json!({ "mode": "ASCENDING", "proxyAllowed": true }));
        draft["freeSeconds"] = json!(SECONDS);
        let lot = market.disclosed(draft).await;
        for buyer in &market.buyers[..=BIDDERS] {
            market.eligible(buyer, &lot).await;
        }
        market.pass(lot.ends_at).await;
        let mut signatures = Vec::new();
        for listing in &sole {
            let deal = market.sold_to_sole(last, listing).await;
            let query = "query C($id: ID!) { contract(id: $id) { documentHash } }";
            let read = last.person.glance(query, json!({ "id": deal["contractId"] })).await.unwrap();
            let hash = read.text_at("/contract/documentHash").unwrap();
            for side in [&market.university.id, &last.id] {
                let sign = json!({ "contractId": deal["contractId"], "organizationId": side, "documentHash": hash });
                signatures.push(sign);
            }
        }
        let session = market.bidding(&lot).await;
        let door = Line::new(&exchange.http, String::new());
        let signatures = Mutex::new(signatures);
        let (told, open, faults) = Default::default();
        Works { market, session, door, floor: Floor::new(0), signatures, told, open, faults }
    }

    /// Whoever acts, with a token that is good for some time; the exchange may be in no state to give one.
    async fn asked(&self, person: &Person, (verb, selection): (&'static str, &str), input: Value) -> Option<Asked> {
        let token = person.token().await.ok()?;
        Some(Asked { verb, token, key: fresh_key(), body: mutation(verb, selection, &input) })
    }

    /// The next bid of a buyer, above what anybody has heard of.
    pub async fn bid(&self, buyer: usize) -> Option<Asked> {
        let house = &self.market.buyers[buyer];
        let amount = steps(self.floor.heard().max(0) + 1);
        self.asked(&house.person, ("placeBid", BID), bid(&self.session, &house.id, amount)).await
    }

    /// A hundredth of a yuan that came to the bank.
    pub async fn receipt(&self, house: &House) -> Option<Asked> {
        let at: Instant = self.market.stage.client.now().plus_seconds(-60);
        let input = json!({
            "organizationId": house.id, "amount": Money(1).to_string(), "bankReference": fresh_key(),
            "receivedAt": at.to_string(),
        });
        self.asked(&self.market.staff.cashier, ("recordBankReceipt", "bankReceipt { id bankReference }"), input).await
    }

    /// Somebody new.
    pub fn sign_up(&self) -> Asked {
        let input = json!({ "login": fresh_login(), "password": "correct horse battery", "name": "来客" });
        let body = mutation("signUp", "person { id }", &input);
        Asked { verb: "signUp", token: String::new(), key: fresh_key(), body }
    }

    /// One side's signature under the next contract, while there is one.
    pub async fn signature(&self) -> Option<Asked> {
        let input = self.signatures.lock().unwrap().pop()?;
        let market = &self.market;
        let is_university = input["organizationId"] == market.university.id;
        let person = if is_university { &market.signatory } else { &market.buyers[BIDDERS + 1].person };
        self.asked(person, ("signContract", "contract { id status }"), input).await
    }

    /// One of each kind that there is.
    pub async fn one_of_each(&self, buyer: usize) -> Vec<Asked> {
        let each = [
            self.bid(buyer).await,
            self.receipt(&self.market.buyers[buyer]).await,
            Some(self.sign_up()),
            self.signature().await,
        ];
        each.into_iter().flatten().collect()
    }

    /// Says it once. What was done is noted, what nobody knows is asked again later.
    pub async fn say(&self, asked: &Asked) -> End {
        let end = tried(&self.door.of(asked.token.clone()), &asked.key, &asked.body).await;
        let end = end.unwrap_or_else(|text| {
            self.faults.lock().unwrap().push(text);
            End::Unknown
        });
        match &end {
            End::Told(text) => self.note(asked, text),
            End::Unknown => self.open.lock().unwrap().push(asked.clone()),
        }
        end
    }

    /// Asks again for all that nobody knew, until it is told; how much that was, and what is not told in time.
    pub async fn settle(&self, within: Duration) -> (usize, usize) {
        let began = Moment::now();
        let wanted = self.open.lock().unwrap().len();
        loop {
            let open = std::mem::take(&mut *self.open.lock().unwrap());
            for asked in &open {
                self.say(asked).await;
            }
            let left = self.open.lock().unwrap().len();
            if left == 0 || began.elapsed() > within {
                return (wanted, left);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What was told of as a fault; each kind is to be "unknown", or refused.
    pub fn faults(&self) -> Vec<String> {
        self.faults.lock().unwrap().clone()
    }

    fn note(&self, asked: &Asked, text: &str) {
        let answer: Value = serde_json::from_str(text).unwrap();
        let payload = &answer["data"][asked.verb];
        let input = &asked.body["variables"]["input"];
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        let done = match asked.verb {
            "placeBid" => {
                self.floor.hear(payload.money_at("/userErrors/0/currentPrice").ok());
                let bid = Some(&payload["bid"]).filter(|bid| bid.is_object());
                bid.map(|bid| {
                    let amount = bid.money_at("/amount").unwrap();
                    self.floor.hear(Some(amount));
                    Done::Bid(text(&bid["sessionId"]), bid["seq"].as_i64().unwrap(), text(&bid["bidderCode"]), amount)
                })
            }
            "recordBankReceipt" => {
                let receipt = &payload["bankReceipt"];
                Some(Done::Receipt(text(&receipt["id"]), text(&receipt["bankReference"])))
            }
            "signUp" => Some(Done::SignUp(text(&payload["person"]["id"]))),
            _ => Some(Done::Signature(text(&payload["contract"]["id"]), text(&input["organizationId"]))),
        };
        if let Some(done) = done {
            self.told.lock().unwrap().push(done);
        }
    }

    pub fn told(&self) -> Vec<Done> {
        self.told.lock().unwrap().clone()
    }

    /// Holds what was told against what is there; `when` says where in the story.
    pub async fn judge(&self, database_url: &str, when: &str) {
        let (told, found) = (self.told(), Found::at(database_url).await);
        let lost = found.contradicts(&told);
        eprintln!("{when}: told {}; not there once: {}", counted(&told), counted(lost.iter().copied()));
        assert!(
            lost.is_empty(),
            "{when}: {} of {} acknowledged are lost: {:?}",
            lost.len(),
            told.len(),
            &lost[..lost.len().min(5)]
        );
    }
}

/// The exchange is begun anew on the same database; what was told is there, and the log is whole.
pub async fn judge_after_restart(works: &Works, exchange: &mut Exchange) {
    tokio::task::block_in_place(|| exchange.restart());
    works.judge(&exchange.database_url, "after a restart").await;
    let verified = tokio::task::block_in_place(|| exchange.run(&["verify"]));
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    works.market.ledger_is_sound().await;
    // The public log says the same as its rows.
    let bids = works.told().into_iter().filter(|done| matches!(done, Done::Bid(..))).count();
    let query = "query S($id: ID!) { biddingSession(id: $id) { bidCount } }";
    let read = works.market.staff.qualifier.glance(query, json!({ "id": works.session })).await.unwrap();
    assert!(read.number_at("/biddingSession/bidCount").unwrap() >= i64::try_from(bids).unwrap(), "{read}");
}
