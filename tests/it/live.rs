//! Watching a lot: every event in order, or the price as it stands; drawn once for all who may see the same.

use exchange_tests::Exchange;
use jishi::demo::{
    Fields,
    cast::{House, fresh_usci},
    person::{Person, fresh_key},
    timeline::SPECTATOR,
};
use kernel::{Instant, Money};
use serde_json::{Value, json};

use super::{
    market::{FLOOR, INCREMENT, Market, made},
    sockets::{Socket, closed, hear, introduced, say},
};

lanes! { events_have_no_holes_and_prices_are_the_latest each_sees_what_it_may_and_only_while_it_may }

const EVENTS: &str = "subscription E($id: ID!, $after: Int) { auctionEvents(sessionId: $id, afterSeq: $after) {
    snapshot { seq currentPrice } event { seq kind bidderCode amount closesAt } lagged { fromSeq } } }";
const PRICE: &str =
    "subscription P($id: ID!) { auctionPrice(sessionId: $id) { seq currentPrice leadingCode serverTime } }";
const LOG: &str = "query L($id: ID!, $after: Int) { auctionEvents(sessionId: $id, afterSeq: $after, first: 1000) {
    edges { node { seq kind bidderCode amount closesAt } } } }";
const STATE: &str = "query S($id: ID!) { biddingSession(id: $id) { seq currentPrice leadingCode } }";

/// Bids in the burst.
const BURST: i64 = 300;
/// So many events are kept at hand for whoever comes back.
const KEPT: i64 = 256;

/// One subscription over a socket of its own.
struct Watch {
    socket: Socket,
    id: String,
    field: &'static str,
}

impl Watch {
    async fn open(exchange: &Exchange, who: Option<&Person>, query: &str, variables: Value) -> Watch {
        let token = match who {
            Some(person) => json!({ "Authorization": format!("Bearer {}", person.token().await.unwrap()) }),
            None => json!({}),
        };
        let mut socket = introduced(exchange, token).await;
        let (id, payload) = (fresh_key(), json!({ "query": query, "variables": variables }));
        say(&mut socket, json!({ "type": "subscribe", "id": id, "payload": payload })).await;
        let field = if query.contains("auctionPrice") { "auctionPrice" } else { "auctionEvents" };
        Watch { socket, id, field }
    }

    /// The next frame.
    async fn next(&mut self) -> Value {
        let told = hear(&mut self.socket).await;
        assert_eq!((&told["type"], &told["id"]), (&json!("next"), &json!(self.id)), "{told}");
        assert!(told["payload"].get("errors").is_none(), "{told}");
        told["payload"]["data"][self.field].clone()
    }

    /// The next event, which is the one after `last`.
    async fn after(&mut self, last: i64) -> Value {
        let frame = self.next().await;
        assert_eq!(frame["event"]["seq"], last + 1, "{frame}");
        frame["event"].clone()
    }

    /// All events from one number on to another.
    async fn events(&mut self, after: i64, to: i64) -> Vec<Value> {
        let mut events = Vec::new();
        for last in after..to {
            events.push(self.after(last).await);
        }
        events
    }

    /// The number after the next frame: an event, or word that something is left out, and the state behind it.
    async fn going_on(&mut self, last: i64, left_out: &mut Vec<(i64, i64)>) -> i64 {
        let frame = self.next().await;
        if frame["lagged"].is_null() {
            assert_eq!(frame["event"]["seq"], last + 1);
            return last + 1;
        }
        assert_eq!(frame["lagged"]["fromSeq"], last, "{frame}");
        let seen = self.next().await["snapshot"]["seq"].as_i64().unwrap();
        left_out.push((last, seen));
        seen
    }

    /// States until one has that number.
    async fn states(&mut self, seq: i64) -> Vec<Value> {
        let mut states = vec![self.next().await];
        while states.last().is_some_and(|state| state["seq"] != seq) {
            states.push(self.next().await);
        }
        states
    }
}

/// A lot in its free period, and who bids on it by turns.
struct Lot<'a> {
    market: &'a Market,
    session: String,
    bids: i64,
    seq: i64,
}

impl<'a> Lot<'a> {
    async fn open(market: &'a Market) -> Lot<'a> {
        let listing = market.disclosed(market.draft()).await;
        for buyer in &market.buyers {
            market.eligible(buyer, &listing).await;
        }
        let session = market.bidding(&listing).await;
        let mut lot = Lot { market, session, bids: 0, seq: 0 };
        lot.seq = lot.state().await["seq"].as_i64().unwrap();
        lot
    }

    async fn bid(&mut self) {
        let buyer: &House = &self.market.buyers[usize::try_from(self.bids % 2).unwrap()];
        let amount = Money(FLOOR.0 + INCREMENT.0 * self.bids).to_string();
        let input = json!({ "sessionId": self.session, "organizationId": buyer.id, "amount": amount });
        let bid = buyer.person.act("placeBid", "bid { seq }", input).await.unwrap();
        self.seq += 1;
        assert_eq!(bid["seq"], self.seq);
        self.bids += 1;
    }

    async fn state(&self) -> Value {
        let read = self.market.staff.qualifier.glance(STATE, json!({ "id": self.session })).await.unwrap();
        read["biddingSession"].clone()
    }

    async fn log(&self, after: i64) -> Vec<Value> {
        let variables = json!({ "id": self.session, "after": after });
        let read = self.market.staff.qualifier.glance(LOG, variables).await.unwrap();
        read["auctionEvents"]["edges"].as_array().unwrap().iter().map(|edge| edge["node"].clone()).collect()
    }

    fn id(&self) -> Value {
        json!({ "id": self.session })
    }
}

/// A counter of the gateway.
async fn counted(exchange: &Exchange, name: &str) -> i64 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let text = client.get(format!("{}/metrics", exchange.metrics)).send().await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |value| value.trim().parse().unwrap())
}

async fn events_have_no_holes_and_prices_are_the_latest(exchange: Exchange) {
    let market = Market::open(&exchange, 2).await;
    let mut lot = Lot::open(&market).await;
    shared(&exchange, &mut lot).await;
    // Somebody goes on watching, so that the exchange keeps what those who come back have missed.
    let mut kept = Watch::open(&exchange, None, EVENTS, lot.id()).await;
    kept.next().await;
    conflated(&exchange, &mut lot).await;
    resumed(&exchange, &mut lot).await;
    left_behind(&exchange, &mut lot).await;
    drop(kept);
}

/// A frame is drawn once, however many watch, whatever their ids and wherever they began.
async fn shared(exchange: &Exchange, lot: &mut Lot<'_>) {
    const WATCHERS: i64 = 12;
    const BIDS: i64 = 10;
    let mut watches = Vec::new();
    for number in 0..WATCHERS {
        let (mut variables, missing) = (lot.id(), number % 3);
        if missing > 0 {
            variables["after"] = json!(lot.seq - missing);
        }
        let mut watch = Watch::open(exchange, None, EVENTS, variables).await;
        if missing > 0 {
            watch.events(lot.seq - missing, lot.seq).await;
        } else {
            assert_eq!(watch.next().await["snapshot"]["seq"], lot.seq);
        }
        watches.push(watch);
    }
    let ping = &mut watches[0].socket;
    say(ping, json!({ "type": "ping" })).await;
    let told = hear(ping).await;
    assert!(told["type"] == "pong" && told["payload"].instant_at("/serverTime").unwrap() > Instant(0), "{told}");
    let count =
        async || (counted(exchange, "live_executions_total").await, counted(exchange, "live_frames_total").await);
    let (before, from) = (count().await, lot.seq);
    for _ in 0..BIDS {
        lot.bid().await;
    }
    let expected = lot.log(from).await;
    for watch in &mut watches {
        assert_eq!(watch.events(from, lot.seq).await, expected);
    }
    let after = count().await;
    assert_eq!((after.0 - before.0, after.1 - before.1), (BIDS, BIDS * WATCHERS), "executions and frames");
}

/// A burst of bids: who watches the price gets one in 150 ms, and the last one; who watches the events gets them all.
async fn conflated(exchange: &Exchange, lot: &mut Lot<'_>) {
    let from = lot.seq;
    let mut all = Watch::open(exchange, None, EVENTS, lot.id()).await;
    assert_eq!(all.next().await["snapshot"]["seq"], from);
    let mut prices = Vec::new();
    for _ in 0..3 {
        prices.push(Watch::open(exchange, None, PRICE, lot.id()).await);
    }
    let session = lot.id();
    let late = async {
        let mut late = Watch::open(exchange, None, PRICE, session).await;
        late.next().await;
        late
    };
    let burst = async {
        for _ in 0..BURST {
            lot.bid().await;
        }
    };
    let (late, ()) = tokio::join!(late, burst);
    prices.push(late);
    let truth = lot.state().await;
    for watch in &mut prices {
        let states = watch.states(lot.seq).await;
        let stamps: Vec<i64> = states.iter().map(|state| state.instant_at("/serverTime").unwrap().0).collect();
        let last = states.last().unwrap();
        for field in ["seq", "currentPrice", "leadingCode"] {
            assert_eq!(last[field], truth[field], "the true end");
        }
        assert!(states.is_sorted_by_key(|state| state["seq"].as_i64().unwrap()), "{states:?}");
        // By the exchange's own stamps, each rounded down to a millisecond.
        let span = stamps.last().unwrap() - stamps.first().unwrap();
        let most = span / 150 + 2;
        let count = i64::try_from(states.len()).unwrap();
        assert!(count <= most, "{count} states in {span} ms: {stamps:?}");
        assert!(count < BURST / 2, "they are not the events");
    }
    assert_eq!(all.events(from, lot.seq).await, lot.log(from).await);
}

/// Whoever comes back after a number misses nothing and gets nothing twice, wherever that was.
async fn resumed(exchange: &Exchange, lot: &mut Lot<'_>) {
    let from = lot.seq;
    let mut watches = Vec::new();
    for after in [0, 1, from - KEPT - 2, from - KEPT, from - 3, from] {
        let mut variables = lot.id();
        variables["after"] = json!(after);
        watches.push((after, Watch::open(exchange, None, EVENTS, variables).await));
    }
    for _ in 0..3 {
        lot.bid().await;
    }
    for (after, mut watch) in watches {
        let seen = watch.events(after, lot.seq).await;
        assert_eq!(seen, lot.log(after).await, "after {after}");
    }
}

/// Whoever reads more slowly than the lot moves is told from where on something is left out, and goes on.
async fn left_behind(exchange: &Exchange, lot: &mut Lot<'_>) {
    // Long names make long frames: they fill what lies between the exchange and the reader.
    let long: String = (0..12).map(|n| format!("{}{n}: kind ", "a".repeat(4_000))).collect();
    let query = format!(
        "subscription($id: ID!) {{ auctionEvents(sessionId: $id) {{ snapshot {{ seq }} lagged {{ fromSeq }} event {{ seq {long} }} }} }}"
    );
    let mut slow = Watch::open(exchange, None, &query, lot.id()).await;
    let from = slow.next().await["snapshot"]["seq"].as_i64().unwrap();
    let (mut last, mut left_out) = (from, Vec::new());
    // It takes some frames now and then, so that it is slow, not gone; more is behind it than any system keeps on the way.
    while lot.seq - from < 400 {
        for _ in 0..10 {
            lot.bid().await;
        }
        for _ in 0..3 {
            if last < lot.seq {
                last = slow.going_on(last, &mut left_out).await;
            }
        }
    }
    while last < lot.seq {
        last = slow.going_on(last, &mut left_out).await;
    }
    assert!(!left_out.is_empty(), "never told");
    for (from, to) in left_out {
        let known = lot.log(from).await;
        assert_eq!((&known[0]["seq"], to > from), (&json!(from + 1), true), "what was left out is in the log");
    }
    lot.bid().await;
    slow.events(lot.seq - 1, lot.seq).await;
}

/// By one document, watchers of unlike rights see unlike things; and only as long as they have those rights.
async fn each_sees_what_it_may_and_only_while_it_may(exchange: Exchange) {
    const SEEN: &str = "listing { title organization { name evidence nameWarnings { name } } }";
    let market = Market::open(&exchange, 2).await;
    let mut lot = Lot::open(&market).await;
    let visitor = async |name: &str| {
        let person =
            Person::new(&market.stage.client, SPECTATOR, format!("{name}-{}", fresh_key()), "correct horse battery");
        person.sign_up(name).await.unwrap();
        person
    };
    let (leaving, rising) = (visitor("leaving").await, visitor("rising").await);
    let watch = format!("subscription($id: ID!) {{ auctionPrice(sessionId: $id) {{ seq {SEEN} }} }}");
    let read = format!("query($id: ID!) {{ biddingSession(id: $id) {{ {SEEN} }} }}");
    let visitors = [
        None,
        Some(&market.staff.reviewer),
        Some(&leaving),
        Some(&market.broker),
        None,
        Some(&rising),
        Some(&market.staff.reviewer),
    ];
    let mut watches = Vec::new();
    for who in visitors {
        watches.push(Watch::open(&exchange, who, &watch, lot.id()).await);
    }
    let mut seen = Vec::new();
    for _ in 0..2 {
        for (who, watch) in visitors.iter().zip(&mut watches) {
            let read = match who {
                Some(person) => person.glance(&read, lot.id()).await.unwrap(),
                None => anonymous(&exchange, &read, lot.id()).await,
            };
            let shown = watch.states(lot.seq).await.pop().unwrap();
            assert_eq!(shown["listing"], read["biddingSession"]["listing"], "as over HTTP");
            seen.push(shown["listing"].to_string());
        }
        lot.bid().await;
    }
    assert!(seen[0] != seen[1] && seen[0] != seen[3], "the document tells them apart: {seen:?}");

    leaving.act("signOut", "done", json!({ "everywhere": false })).await.unwrap();
    assert_eq!(closed(&mut watches[2].socket).await, 4401);
    let input = json!({
        "name": "简阳新材有限公司", "kind": "ENTERPRISE", "usci": fresh_usci("91"), "region": "510100",
        "legalRepresentative": "王示例", "industry": "C39",
    });
    made(&rising, "registerOrganization", "organization", input).await;
    assert_eq!(closed(&mut watches[5].socket).await, 1012, "with other rights one comes again");
    lot.bid().await;
    for place in [0, 1, 3, 4, 6] {
        watches[place].states(lot.seq).await;
    }
}

async fn anonymous(exchange: &Exchange, query: &str, variables: Value) -> Value {
    let (_, body) = super::edge::post(exchange, &json!({ "query": query, "variables": variables })).await;
    body["data"].clone()
}
