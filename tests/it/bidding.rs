//! Ways of bidding beyond the plain one: hidden maxima, preemption rights, pauses, a default, a falling price.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use exchange_tests::Exchange;
use jishi::demo::{Fields, cast::House, client::Operation};
use kernel::{Instant, Money};
use serde_json::{Value, json};

use super::{
    market::{DEPOSIT, FLOOR, INCREMENT, Listed, Market, TIMED_SECONDS, made},
    refusal::{no, refused},
};

lanes! { maxima_and_rights_meet_in_one_order a_falling_price_is_accepted_once }

const LOG: &str = "query L($id: ID!) { auctionEvents(sessionId: $id, first: 100) { edges { node { seq kind at bidderCode amount origin paddle preemptionRank closesAt commitment reason } } } }";

/// The price so many increments above the floor.
pub fn steps(count: i64) -> Money {
    Money(FLOOR.0 + INCREMENT.0 * count)
}

impl Market {
    /// A draft with these terms of bidding.
    pub fn terms(&self, bidding: Value) -> Value {
        let mut draft = self.draft();
        draft["bidding"] = bidding;
        draft
    }

    /// Applies with a claim to a preemption right, is confirmed in it, and pays.
    pub async fn holder(&self, buyer: &House, listing: &Listed) -> String {
        let input = json!({ "listingId": listing.id, "organizationId": buyer.id, "preemptionGround": "CO_OWNER" });
        let application = made(&buyer.person, "applyForTransfer", "transferApplication", input).await;
        let id = application.text_at("/id").unwrap().to_owned();
        let input = json!({ "transferApplicationId": id, "approve": true, "preemptionRank": 1 });
        made(&self.staff.qualifier, "reviewTransferApplication", "transferApplication", input).await;
        self.staff.receive(&self.stage, buyer, DEPOSIT).await.unwrap();
        made(&buyer.person, "payDeposit", "deposit", json!({ "transferApplicationId": id })).await;
        self.until_application(&id, "ELIGIBLE").await;
        id
    }

    /// A bid that is accepted.
    pub async fn bid(&self, buyer: &House, session: &str, amount: Money) -> Value {
        let input = json!({ "sessionId": session, "organizationId": buyer.id, "amount": amount.to_string() });
        let wanted = "bid { seq bidderCode amount at closesAt preemptionRank }";
        buyer.person.act("placeBid", wanted, input).await.unwrap()
    }

    /// The session as anybody sees it.
    pub async fn session(&self, id: &str) -> Value {
        let query = "query S($id: ID!) { biddingSession(id: $id) { status currentPrice leadingCode minimumAmount closesAt extensions askingPrice warnings seq serverTime } }";
        self.staff.qualifier.glance(query, json!({ "id": id })).await.unwrap()["biddingSession"].clone()
    }

    /// What anybody reads of who acquired it.
    pub async fn confirmations(&self, listing: &Listed) -> Value {
        let query = "query C($id: ID!) { transactionConfirmations(listingId: $id) {
            awardId listingId title sessionId bidderCode price decidedAt confirmedAt status signature
            transferor { organizationId name } transferees { organizationId name shareBp } } }";
        let asked = Operation { query: query.into(), variables: json!({ "id": listing.id }), key: None };
        self.stage.client.ask(None, asked).await.unwrap().data().unwrap()["transactionConfirmations"].clone()
    }

    /// The public log.
    pub async fn log(&self, id: &str) -> Vec<Value> {
        let read = self.staff.qualifier.glance(LOG, json!({ "id": id })).await.unwrap();
        read["auctionEvents"]["edges"].as_array().unwrap().iter().map(|edge| edge["node"].clone()).collect()
    }
}

/// Online bids, a hidden maximum, a holder's right and a pause stand in one order; the winner defaults, and the lot
/// passes to the next bidder, who buys it.
async fn maxima_and_rights_meet_in_one_order(exchange: Exchange) {
    let market = Market::open(&exchange, 3).await;
    let [hidden, plain, holder] = &market.buyers[..] else { panic!() };
    let terms = json!({ "mode": "ASCENDING", "proxyAllowed": true, "preemption": "IN_SESSION" });
    let listing = market.disclosed(market.terms(terms)).await;
    for buyer in [hidden, plain] {
        market.eligible(buyer, &listing).await;
    }
    let defaulter = market.holder(holder, &listing).await;
    let session = market.bidding(&listing).await;

    let own = |house: &House| json!({ "sessionId": session, "organizationId": house.id });
    let maximum = |house: &House, amount: Money| {
        let mut input = own(house);
        input["maximum"] = json!(amount.to_string());
        input
    };
    let low = no("BELOW_START", "maximum").by("SM-5").accepting("500000.00");
    refused(&hidden.person, "setProxyBid", maximum(hidden, Money(FLOOR.0 - 1)), low).await;
    let wanted = "proxyBid { commitment nonce at }";
    let left = hidden.person.act("setProxyBid", wanted, maximum(hidden, steps(5))).await.unwrap();
    market.bid(plain, &session, steps(1)).await;
    let now = market.session(&session).await;
    assert_eq!(now["currentPrice"], steps(2).to_string(), "{now}");
    let met = market.bid(holder, &session, steps(2)).await;
    assert_eq!(met["preemptionRank"], 1);
    assert_eq!(market.session(&session).await["currentPrice"], steps(3).to_string(), "the maximum answers");
    let equal = json!({ "sessionId": session, "organizationId": plain.id, "amount": steps(3).to_string() });
    refused(&plain.person, "placeBid", equal, no("NO_PREEMPTION", "amount").by("SM-5").accepting("540000.00")).await;

    let after = paused_and_resumed(&market, &session).await;
    market.bid(holder, &session, steps(6)).await;
    let end = after.instant_at("/closesAt").unwrap().plus_seconds(TIMED_SECONDS);
    market.pass(end).await;
    market.until_session(&session, "SOLD").await;
    let log = market.log(&session).await;
    let numbers: Vec<i64> = log.iter().map(|event| event["seq"].as_i64().unwrap()).collect();
    assert!(numbers.iter().copied().eq(1..=i64::try_from(log.len()).unwrap()));
    assert!(log.iter().any(|event| event["origin"] == "PROXY"));
    let told = log.iter().find(|event| event["kind"] == "PROXY_SET").unwrap();
    assert_eq!(
        (&told["commitment"], &told["bidderCode"], &told["amount"]),
        (&left["commitment"], &json!(null), &json!(null))
    );

    assert_eq!(market.confirmations(&listing).await, json!([]), "nobody is named before");
    let deal = holder_defaults(&market, &listing, &defaulter).await;
    named_in_public(&exchange, &market, &listing).await;
    market.settled(hidden, &listing, &deal).await;
    // Whoever paid has not defaulted: what is sold is not sold to the next bidder.
    let award = market.award(&listing).await;
    let blame = json!({ "awardId": award["id"], "reason": "逾期未付款" });
    refused(&market.staff.qualifier, "declareDefault", blame, no("ALREADY_SETTLED", "awardId").by("SM-3")).await;
    assert_eq!(market.award(&listing).await, award);
    market.ledger_is_sound().await;
}

/// Whoever asks reads who acquired the lot, and that the first winner defaulted; the exchange's key signed it.
async fn named_in_public(exchange: &Exchange, market: &Market, listing: &Listed) {
    let [hidden, _, holder] = &market.buyers[..] else { panic!() };
    let told = market.confirmations(listing).await;
    for (told, house, price, status) in
        [(&told[0], holder, steps(6), "DEFAULTED"), (&told[1], hidden, steps(3), "CONFIRMED")]
    {
        assert_eq!((&told["price"], &told["status"]), (&json!(price.to_string()), &json!(status)));
        assert_eq!(told["transferees"][0]["organizationId"], json!(house.id));
        assert_eq!(told["transferor"]["organizationId"], json!(market.university.id));
    }
    let keys: Value =
        reqwest::get(format!("{}/.well-known/jishi-keys.json", exchange.http)).await.unwrap().json().await.unwrap();
    let key = BASE64_URL_SAFE_NO_PAD.decode(keys["keys"][0]["x"].as_str().unwrap().as_bytes()).unwrap();
    let key = VerifyingKey::from_bytes(&key.try_into().unwrap()).unwrap();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(told[1]["signature"].as_str().unwrap().as_bytes()).unwrap();
    let signature = Signature::from_slice(&signature).unwrap();
    let text = |told: &Value| {
        let read = |path: &str| told.pointer(path).and_then(Value::as_str).unwrap().to_owned();
        [
            "awardId",
            "listingId",
            "title",
            "sessionId",
            "bidderCode",
            "price",
            "decidedAt",
            "confirmedAt",
            "transferor/organizationId",
            "transferor/name",
        ]
        .into_iter()
        .map(|part| read(&format!("/{part}")))
        .fold("jishi transaction confirmation v1".to_owned(), |text, part| format!("{text}\n{part}"))
            + &format!("\n\n{}\n{}\n", read("/transferees/0/organizationId"), read("/transferees/0/name"))
    };
    key.verify_strict(text(&told[1]).as_bytes(), &signature).unwrap();
    assert!(key.verify_strict(text(&told[0]).as_bytes(), &signature).is_err());
}

/// While it is paused nobody bids, and what remained of the time remains.
async fn paused_and_resumed(market: &Market, session: &str) -> Value {
    let plain = &market.buyers[1];
    let reason = json!({ "sessionId": session, "reason": "机房断电" });
    refused(&plain.person, "pauseBidding", reason.clone(), no("FORBIDDEN", "").accepting("QUALIFIER")).await;
    let before = market.session(session).await;
    made(&market.staff.qualifier, "pauseBidding", "biddingSession", reason).await;
    let late = json!({ "sessionId": session, "organizationId": plain.id, "amount": steps(4).to_string() });
    refused(&plain.person, "placeBid", late, no("SESSION_PAUSED", "amount").by("SM-5")).await;
    market.pass(before.instant_at("/closesAt").unwrap().plus_seconds(3_600)).await;
    made(&market.staff.qualifier, "resumeBidding", "biddingSession", json!({ "sessionId": session })).await;
    let after = market.session(session).await;
    let remaining = |read: &Value| {
        let end: Instant = read.instant_at("/closesAt").unwrap();
        end.0 - read.instant_at("/serverTime").unwrap().0
    };
    assert_eq!(after["status"], "FREE");
    assert!(remaining(&after) > 0 && remaining(&after) <= remaining(&before), "{before} {after}");
    after
}

/// The holder has won and does not pay: its deposit is forfeited, and whoever left the maximum has the lot.
async fn holder_defaults(market: &Market, listing: &Listed, defaulter: &str) -> Value {
    let [hidden, _, holder] = &market.buyers[..] else { panic!() };
    let award = market.award(listing).await;
    assert_eq!((&award["winnerId"], &award["price"]), (&json!(holder.id), &json!(steps(6).to_string())));
    let blame = json!({ "awardId": award["id"], "reason": "逾期未签署成交确认书" });
    let early = no("ILLEGAL_TRANSITION", "awardId").by("SM-3").accepting("CONFIRMED");
    refused(&market.staff.qualifier, "declareDefault", blame.clone(), early).await;
    for person in [&market.staff.reviewer, &market.staff.qualifier] {
        made(person, "confirmAward", "award", json!({ "awardId": award["id"] })).await;
    }
    market.until_application(defaulter, "WON").await;
    market.deal(listing).await;
    let failed = made(&market.staff.qualifier, "declareDefault", "award", blame.clone()).await;
    assert_eq!(failed["id"], award["id"]);
    made(&market.staff.qualifier, "declareDefault", "award", blame).await;
    market.until_application(defaulter, "FORFEITED").await;
    market.until_listing(listing, "BIDDING").await;
    {
        let next = market.award(listing).await;
        assert_eq!((&next["winnerId"], &next["price"]), (&json!(hidden.id), &json!(steps(3).to_string())));
        for person in [&market.staff.reviewer, &market.staff.qualifier] {
            made(person, "confirmAward", "award", json!({ "awardId": next["id"] })).await;
        }
        market.until_listing(listing, "TRANSFEREE_FIXED").await;
        market.deal(listing).await
    }
}

/// A DUTCH price falls by itself; the first acceptance of the present price ends it.
async fn a_falling_price_is_accepted_once(exchange: Exchange) {
    let market = Market::open(&exchange, 2).await;
    let [buyer, late] = &market.buyers[..] else { panic!() };
    let terms = json!({
        "mode": "DUTCH", "drop": INCREMENT.to_string(), "dropSeconds": 60, "lowestPrice": steps(-20).to_string(),
    });
    let listing = market.disclosed(market.terms(terms)).await;
    for buyer in [buyer, late] {
        market.eligible(buyer, &listing).await;
    }
    let (session, starts_at) = market.scheduled(&listing).await;
    market.pass(starts_at.plus_seconds(130)).await;
    market.until_session(&session, "FREE").await;
    let bid = |house: &House, amount: Money| json!({ "sessionId": session, "organizationId": house.id, "amount": amount.to_string() });
    let fell = no("OUT_OF_ORDER", "amount").by("SM-5").accepting("480000.00");
    refused(&buyer.person, "placeBid", bid(buyer, FLOOR), fell).await;
    market.bid(buyer, &session, steps(-2)).await;
    refused(&late.person, "placeBid", bid(late, steps(-2)), no("SESSION_CLOSED", "amount").by("SM-5")).await;
    let award = market.award(&listing).await;
    assert_eq!((&award["winnerId"], &award["price"]), (&json!(buyer.id), &json!(steps(-2).to_string())));
}
