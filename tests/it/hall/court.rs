//! A lot that an auctioneer calls in a hall, with clerks, paddles, terminals, and somebody who watches from outside.

use jishi::demo::{Fields, cast::House, feed::Feed, person::Person, timeline::Who};
use kernel::{Instant, Money};
use serde_json::{Value, json};

use super::{
    super::{
        agency::did,
        market::{Listed, Market, made},
    },
    terminal::{Terminal, public_key},
};

/// A hall of which nothing is heard for so long is lost.
pub const HEARTBEAT_SECONDS: i64 = 300;

/// The paddles: called on the floor, held at the telephone, left in writing.
pub const FLOOR_PADDLE: i32 = 7;
pub const PHONE_PADDLE: i32 = 8;
pub const ABSENT_PADDLE: i32 = 9;

pub const JOURNAL: &str = "journalUpload { deviceId entries { number outcome seq conflict settlement } }";

/// Who runs the hall.
pub struct Crew {
    pub hub: House,
    pub auctioneer: Person,
    pub clerk: Person,
    /// Those of the workstation, in whose charge nothing of the hub is.
    pub foreign_auctioneer: Person,
    pub foreign_clerk: Person,
}

impl Crew {
    /// The hub hires them.
    pub async fn gather(market: &Market) -> Crew {
        let hub = market.hub().await;
        let auctioneer =
            hub.hire(&market.stage, Who { zh: "拍卖师", en: "auctioneer" }, &["AUCTIONEER"]).await.unwrap();
        let clerk = hub.hire(&market.stage, Who { zh: "大厅经办人", en: "clerk" }, &["HALL_CLERK"]).await.unwrap();
        let foreign = |login| Person::seeded(&market.stage.client, Who { zh: "工作站", en: "workstation" }, login);
        let (foreign_auctioneer, foreign_clerk) = (foreign("my-auctioneer"), foreign("my-clerk"));
        Crew { hub, auctioneer, clerk, foreign_auctioneer, foreign_clerk }
    }

    /// What opens a hall session for one lot.
    pub fn opening(&self, session: &str) -> Value {
        json!({
            "centreId": self.hub.id, "sessionIds": [session], "auctioneerLicence": "拍卖师0001",
            "houseLicence": "拍卖企业01", "heartbeatSeconds": HEARTBEAT_SECONDS,
        })
    }

    /// Opens a hall session for one lot; its id.
    pub async fn opened(&self, session: &str) -> String {
        let opened = did(&self.auctioneer, "openHallSession", "hallSession { id }", self.opening(session)).await;
        opened.text_at("/id").unwrap().to_owned()
    }

    /// Gives a bidder its paddle.
    pub async fn checked_in(&self, hall: &str, bidder: &House, number: i32) {
        let input = json!({ "hallSessionId": hall, "organizationId": bidder.id, "number": number });
        let paddle = did(&self.clerk, "checkIn", "paddle { number organizationId }", input).await;
        assert_eq!(paddle, json!({ "number": number, "organizationId": bidder.id }));
    }

    /// Registers a terminal.
    pub async fn terminal(&self, hall: &str, seed: u8, session: &str) -> Terminal {
        let input = json!({ "hallSessionId": hall, "name": format!("终端{seed}"), "publicKey": public_key(seed) });
        let device = did(&self.clerk, "registerHallDevice", "hallDevice { id publicKey lastNumber }", input).await;
        assert_eq!((&device["publicKey"], &device["lastNumber"]), (&json!(public_key(seed)), &json!(0)));
        Terminal::new(device.text_at("/id").unwrap(), seed, session)
    }
}

/// A lot that the hammer ends.
pub struct Lot<'a> {
    pub market: &'a Market,
    pub crew: Crew,
    pub listing: Listed,
    pub session: String,
    pub hall: String,
    /// Stays connected.
    pub front: Terminal,
    /// Loses the network.
    pub phones: Terminal,
    /// Has watched from the beginning.
    pub watcher: Feed,
}

impl Market {
    /// A draft of what an auction house sells by the hammer.
    pub fn house_draft(&self) -> Value {
        let mut draft = self.terms(json!({ "mode": "ASCENDING", "closeRule": "HAMMER" }));
        draft["saleMethod"] = json!("AUCTION_HOUSE");
        draft
    }
}

impl<'a> Lot<'a> {
    /// Called in the hall and open for bids. Of the market's buyers the first bids online, the others hold paddles.
    pub async fn called(market: &'a Market) -> Lot<'a> {
        let crew = Crew::gather(market).await;
        let listing = market.disclosed(market.house_draft()).await;
        for buyer in &market.buyers {
            market.eligible(buyer, &listing).await;
        }
        let (session, starts_at) = market.scheduled(&listing).await;
        let watcher = Feed::open(&market.stage.client, &session).await.unwrap();
        let hall = crew.opened(&session).await;
        for (buyer, number) in market.buyers.iter().skip(1).zip([FLOOR_PADDLE, PHONE_PADDLE, ABSENT_PADDLE]) {
            crew.checked_in(&hall, buyer, number).await;
        }
        let front = crew.terminal(&hall, 1, &session).await;
        let phones = crew.terminal(&hall, 2, &session).await;
        let lot = Lot { market, crew, listing, session, hall, front, phones, watcher };
        // The hall is heard of shortly before, or the lot would be paused as soon as it opens.
        market.pass(starts_at.plus_seconds(-60)).await;
        lot.beat(&lot.front).await;
        market.pass(starts_at).await;
        market.until_session(&lot.session, "FREE").await;
        lot
    }

    pub fn now(&self) -> Instant {
        self.market.stage.client.now()
    }

    /// The terminal is heard of.
    pub async fn beat(&self, terminal: &Terminal) {
        did(&self.crew.clerk, "sendHallHeartbeat", "hallDevice { id }", json!({ "deviceId": terminal.id })).await;
    }

    /// A clerk's entry that is accepted; the bid.
    pub async fn entered(&self, entry: Value) -> Value {
        did(&self.crew.clerk, "enterHallBid", "bid { seq bidderCode amount at }", entry).await
    }

    /// What the auctioneer does to the lot.
    pub async fn led(&self, verb: &str, more: Value) {
        let mut input = json!({ "sessionId": self.session });
        for (name, value) in more.as_object().unwrap() {
            input[name] = value.clone();
        }
        made(&self.crew.auctioneer, verb, "biddingSession", input).await;
    }

    /// What a bidder says online.
    pub fn online(&self, amount: Money) -> Value {
        json!({ "sessionId": self.session, "organizationId": self.market.buyers[0].id, "amount": amount.to_string() })
    }

    /// Brings a journal; what became of its lines.
    pub async fn uploaded(&self, journal: Value) -> Vec<Value> {
        let upload = did(&self.crew.clerk, "uploadHallJournal", JOURNAL, journal).await;
        upload["entries"].as_array().unwrap().clone()
    }

    /// The conflicts that wait for the auctioneer: the numbers of their lines.
    pub async fn conflicts(&self, terminal: &Terminal) -> Vec<i64> {
        let query =
            "query J($id: ID!) { hallJournal(hallSessionId: $id, conflicts: true) { nodes { deviceId number } } }";
        let read = self.crew.auctioneer.glance(query, json!({ "id": self.hall })).await.unwrap();
        let entries = read["hallJournal"]["nodes"].as_array().unwrap();
        let own = entries.iter().filter(|entry| entry["deviceId"] == terminal.id.as_str());
        own.map(|entry| entry["number"].as_i64().unwrap()).collect()
    }

    /// The watcher has heard of everything that has happened by now, number by number.
    pub async fn watched(&mut self) {
        let seq = self.market.session(&self.session).await.number_at("/seq").unwrap();
        self.watcher.until(seq).await.unwrap();
    }
}

/// The outcome of each line with the code of its conflict.
pub fn outcomes(entries: &[Value]) -> Vec<(&str, Option<&str>)> {
    entries.iter().map(|entry| (entry["outcome"].as_str().unwrap(), entry["conflict"].as_str())).collect()
}
