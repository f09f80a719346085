//! One lot, three doors, one bundle: hall, online and offline-journal bids of one lot stand in one order, and whoever has
//! the bundle decides the lot again.

pub mod bundle;
pub mod court;
mod late;
mod refused;
pub mod terminal;

use exchange_tests::Exchange;
use jishi::demo::Fields;
use serde_json::{Value, json};

use super::{
    agency::did,
    bidding::steps,
    market::{DEPOSIT, Market, made},
    refusal::{no, refused, with},
};
use court::{ABSENT_PADDLE, Crew, FLOOR_PADDLE, HEARTBEAT_SECONDS, Lot, PHONE_PADDLE, outcomes};
use late::deposits_are_taken_until_the_hammer;

lanes! {
    one_lot_has_three_doors_and_one_bundle what_the_hall_refuses late_bidders_get_their_paddles
    deposits_are_taken_until_the_hammer
}

async fn one_lot_has_three_doors_and_one_bundle(exchange: Exchange) {
    let market = Market::open(&exchange, 4).await;
    let mut lot = Lot::called(&market).await;
    bids_come_through_every_door(&mut lot).await;
    a_terminal_is_cut_off(&mut lot).await;
    a_silent_hall_waits(&mut lot).await;
    bundle::is_no_ones_yet(&exchange, &lot.session).await;
    the_hammer_falls_and_is_lifted(&mut lot).await;
    the_hall_closes(&mut lot).await;
    all_is_seen_in_one_order(&mut lot).await;
    let award = two_confirm(&lot).await;
    bundle::decides_the_lot_again(&exchange, &lot, &award).await;
}

async fn what_the_hall_refuses(exchange: Exchange) {
    let market = Market::open(&exchange, 4).await;
    let mut lot = Lot::called(&market).await;
    refused::openings(&lot).await;
    refused::paddles_and_terminals(&lot).await;
    refused::entries(&mut lot).await;
    refused::acts_of_the_auctioneer(&mut lot).await;
    refused::journals(&mut lot).await;
}

/// Online, floor, telephone and written bids; what is asked and what was bid are two prices.
async fn bids_come_through_every_door(lot: &mut Lot<'_>) {
    let (market, online) = (lot.market, &lot.market.buyers[0]);
    let first = market.bid(online, &lot.session, steps(0)).await;
    lot.led("askPrice", json!({ "amount": steps(2).to_string() })).await;
    let session = market.session(&lot.session).await;
    assert_eq!(
        (&session["currentPrice"], &session["askingPrice"]),
        (&json!(steps(0).to_string()), &json!(steps(2).to_string()))
    );
    let entry = lot.front.note((FLOOR_PADDLE, steps(2), "FLOOR"), lot.now());
    let called = lot.entered(entry.clone()).await;
    market.bid(online, &lot.session, steps(3)).await;
    let told = lot.phones.note((PHONE_PADDLE, steps(4), "PHONE"), lot.now());
    let told = lot.entered(told).await;
    let left = lot.phones.note((ABSENT_PADDLE, steps(5), "ABSENTEE"), lot.now());
    let left = lot.entered(left).await;
    let mut codes = [&first, &called, &told, &left].map(|bid| bid.text_at("/bidderCode").unwrap());
    codes.sort_unstable();
    assert!(codes.windows(2).all(|pair| pair[0] < pair[1]), "four bidders, four codes: {codes:?}");
    // The same line again is answered again, and bid once.
    assert_eq!(lot.entered(entry).await, called);
    assert_eq!(market.session(&lot.session).await["currentPrice"], steps(5).to_string());
    lot.watched().await;
}

/// What a terminal notes without the network is applied, was applied, or conflicts; an acknowledged bid stands.
async fn a_terminal_is_cut_off(lot: &mut Lot<'_>) {
    let market = lot.market;
    lot.phones.note((PHONE_PADDLE, steps(6), "PHONE"), lot.now());
    let acknowledged = market.bid(&market.buyers[0], &lot.session, steps(6)).await;
    lot.phones.note((ABSENT_PADDLE, steps(8), "ABSENTEE"), lot.now());
    let seq = market.session(&lot.session).await["seq"].clone();
    let brought = lot.uploaded(lot.phones.journal(0)).await;
    let already = ("ALREADY_APPLIED", None);
    let expected = [already, already, ("CONFLICT", Some("BELOW_MIN_INCREMENT")), ("APPLIED", None)];
    assert_eq!(outcomes(&brought), expected);
    assert_eq!(brought[3]["seq"], seq.as_i64().unwrap() + 1);
    assert_eq!(lot.uploaded(lot.phones.journal(0)).await, brought, "the same journal, the same outcomes");
    let log = market.log(&lot.session).await;
    let stands = log.iter().find(|event| event["seq"] == acknowledged["seq"]).unwrap();
    assert_eq!(
        (&stands["amount"], &stands["bidderCode"], &stands["origin"]),
        (&acknowledged["amount"], &acknowledged["bidderCode"], &json!("ONLINE"))
    );
    assert_eq!(log.len(), usize::try_from(seq.as_i64().unwrap()).unwrap() + 1, "one bid more, once");

    assert_eq!(lot.conflicts(&lot.phones).await, [3]);
    let settling = json!({ "deviceId": lot.phones.id, "number": 3, "settlement": "网上报价在先，电话报价不成立" });
    let selection = "journalEntry { number outcome conflict settlement }";
    let settled = did(&lot.crew.auctioneer, "settleJournalConflict", selection, settling.clone()).await;
    assert_eq!((&settled["outcome"], &settled["settlement"]), (&json!("SETTLED"), &settling["settlement"]));
    assert!(lot.conflicts(&lot.phones).await.is_empty());
    let again = no("ILLEGAL_TRANSITION", "number").accepting("CONFLICT");
    refused(&lot.crew.auctioneer, "settleJournalConflict", settling, again).await;
    lot.watched().await;
}

/// No terminal is heard of: the lot waits, nothing is lost meanwhile, and the auctioneer lets it go on.
async fn a_silent_hall_waits(lot: &mut Lot<'_>) {
    let market = lot.market;
    market.pass(lot.now().plus_seconds(HEARTBEAT_SECONDS + 1)).await;
    market.until_session(&lot.session, "PAUSED").await;
    let log = market.log(&lot.session).await;
    let last = log.last().unwrap();
    assert_eq!((&last["kind"], &last["reason"]), (&json!("PAUSED"), &json!("hall heartbeat lost")));
    let paused = no("SESSION_PAUSED", "amount").by("SM-5");
    refused(&market.buyers[0].person, "placeBid", lot.online(steps(9)), paused).await;
    let clerk = &lot.crew.clerk;
    lot.phones.note((PHONE_PADDLE, steps(9), "PHONE"), market.stage.client.now());
    // A journal is taken all the same: what was bid before is known, what it brings now is for the auctioneer.
    let (already, during) = (("ALREADY_APPLIED", None), ("CONFLICT", Some("SESSION_PAUSED")));
    let brought = lot.uploaded(lot.phones.journal(0)).await;
    assert_eq!(outcomes(&brought)[..2], [already, already]);
    assert_eq!(outcomes(&brought)[4..], [during]);
    assert_eq!(lot.conflicts(&lot.phones).await, [5]);
    assert_eq!(market.log(&lot.session).await.len(), log.len(), "nothing is bid during a pause");
    // A live line is answered, so its number is used up.
    let entry = lot.front.note((FLOOR_PADDLE, steps(9), "FLOOR"), market.stage.client.now());
    refused(clerk, "enterHallBid", entry, paused).await;
    let go_on = json!({ "sessionId": lot.session });
    refused(&lot.crew.auctioneer, "giveFairWarning", go_on.clone(), no("SESSION_PAUSED", "sessionId").by("SM-5")).await;
    refused(clerk, "resumeBidding", go_on.clone(), no("FORBIDDEN", "").accepting("AUCTIONEER")).await;
    lot.beat(&lot.phones).await;
    made(&lot.crew.auctioneer, "resumeBidding", "biddingSession", go_on).await;
    // The conflict stays one, whenever the journal is brought again; the bidder bids anew.
    lot.phones.note((PHONE_PADDLE, steps(9), "PHONE"), market.stage.client.now());
    assert_eq!(outcomes(&lot.uploaded(lot.phones.journal(4)).await), [during, ("APPLIED", None)]);
    lot.watched().await;
}

/// The hammer falls, is lifted for a paddle that was overlooked, and falls again: that one has the lot.
async fn the_hammer_falls_and_is_lifted(lot: &mut Lot<'_>) {
    let market = lot.market;
    lot.led("giveFairWarning", json!({})).await;
    assert_eq!(market.session(&lot.session).await["warnings"], 1);
    lot.led("dropHammer", json!({})).await;
    assert_eq!(market.session(&lot.session).await["status"], "HAMMERED");
    let closed = no("SESSION_CLOSED", "amount").by("SM-5");
    refused(&market.buyers[0].person, "placeBid", lot.online(steps(10)), closed).await;
    lot.led("reopenLot", json!({ "reason": "漏看七号牌" })).await;
    let session = market.session(&lot.session).await;
    assert_eq!((&session["status"], &session["warnings"]), (&json!("FREE"), &json!(0)));
    let entry = lot.front.note((FLOOR_PADDLE, steps(10), "FLOOR"), lot.now());
    lot.entered(entry).await;
    for verb in ["giveFairWarning", "dropHammer"] {
        lot.led(verb, json!({})).await;
    }
    let close = json!({ "hallSessionId": lot.hall });
    let under_way = no("ILLEGAL_TRANSITION", "hallSessionId").by("SM-5").accepting("SOLD");
    refused(&lot.crew.auctioneer, "closeHallSession", close, under_way).await;
    let end = market.session(&lot.session).await.instant_at("/closesAt").unwrap();
    market.pass(end).await;
    market.until_session(&lot.session, "SOLD").await;
    let late = lot.front.note((FLOOR_PADDLE, steps(11), "FLOOR"), lot.now());
    refused(&lot.crew.clerk, "enterHallBid", late, closed).await;
}

/// The journals are complete once the hall has closed as well: every line is accounted for.
async fn the_hall_closes(lot: &mut Lot<'_>) {
    let close = json!({ "hallSessionId": lot.hall });
    let closed = did(&lot.crew.auctioneer, "closeHallSession", "hallSession { status }", close.clone()).await;
    assert_eq!(closed["status"], "CLOSED");
    let again = no("ILLEGAL_TRANSITION", "").accepting("OPEN");
    refused(&lot.crew.auctioneer, "closeHallSession", close, again).await;
    let already = ("ALREADY_APPLIED", None);
    let of_front = lot.uploaded(lot.front.journal(0)).await;
    let conflict = |code| ("CONFLICT", Some(code));
    assert_eq!(outcomes(&of_front), [already, conflict("SESSION_PAUSED"), already, conflict("SESSION_CLOSED")]);
    assert_eq!(lot.conflicts(&lot.front).await, [2, 4]);
    // Nothing new is entered: the line is not even numbered.
    let entry = with(&lot.front.note((FLOOR_PADDLE, steps(12), "FLOOR"), lot.now()), "paddle", PHONE_PADDLE);
    refused(&lot.crew.clerk, "enterHallBid", entry, again).await;
}

/// The watcher has heard every number, and of each what the log says.
async fn all_is_seen_in_one_order(lot: &mut Lot<'_>) {
    lot.watched().await;
    let log = lot.market.log(&lot.session).await;
    let numbers = log.iter().map(|event| event["seq"].as_i64().unwrap());
    assert!(numbers.eq(1..=i64::try_from(log.len()).unwrap()), "{log:?}");
    let before = usize::try_from(lot.watcher.snapshot.number_at("/seq").unwrap()).unwrap();
    let told =
        |event: &Value| ["seq", "kind", "at", "bidderCode", "amount", "closesAt"].map(|name| event[name].clone());
    let (heard, logged): (Vec<_>, Vec<_>) =
        (lot.watcher.events.iter().map(told).collect(), log.iter().skip(before).map(told).collect());
    assert_eq!(heard, logged);
    let bids: Vec<_> = log.iter().filter(|event| event["kind"] == "BID").collect();
    let doors: Vec<_> =
        bids.iter().map(|bid| (bid["origin"].as_str().unwrap(), bid["paddle"].as_i64().unwrap_or_default())).collect();
    let expected = [
        ("ONLINE", 0),
        ("FLOOR", 7),
        ("ONLINE", 0),
        ("PHONE", 8),
        ("ABSENTEE", 9),
        ("ONLINE", 0),
        ("ABSENTEE", 9),
        ("PHONE", 8),
        ("FLOOR", 7),
    ];
    assert_eq!(doors, expected);
    let prices: Vec<_> = bids.iter().map(|bid| bid.money_at("/amount").unwrap()).collect();
    assert_eq!(prices, [0, 2, 3, 4, 5, 6, 8, 9, 10].map(steps));
}

/// The award is confirmed by two persons and carried out.
async fn two_confirm(lot: &Lot<'_>) -> Value {
    let (market, winner) = (lot.market, &lot.market.buyers[1]);
    let award = market.award(&lot.listing).await;
    assert_eq!((&award["winnerId"], &award["price"]), (&json!(winner.id), &json!(steps(10).to_string())));
    let confirm = json!({ "awardId": award["id"] });
    let one = made(&market.staff.reviewer, "confirmAward", "award", confirm.clone()).await;
    assert_ne!(one["status"], "CONFIRMED", "one person is not enough");
    let two = made(&market.staff.qualifier, "confirmAward", "award", confirm).await;
    assert_eq!(two["status"], "CONFIRMED");
    let deal = market.deal(&lot.listing).await;
    market.settled(winner, &lot.listing, &deal).await;
    market.ledger_is_sound().await;
    award
}

/// A dynamic listing takes bidders while it is quoted, in the hall too: with the deposit on hold there is a paddle.
async fn late_bidders_get_their_paddles(exchange: Exchange) {
    let market = Market::open(&exchange, 2).await;
    let [early, late] = &market.buyers[..] else { panic!() };
    let listing = market.disclosed(market.terms(json!({ "mode": "DYNAMIC_LISTING" }))).await;
    market.eligible(early, &listing).await;
    let starts_at = market.stage.client.now().plus_seconds(60);
    let input = json!({ "listingId": listing.id, "startsAt": starts_at.to_string() });
    let session = made(&market.staff.qualifier, "scheduleBidding", "biddingSession", input).await;
    let session = session.text_at("/id").unwrap();
    market.pass(starts_at).await;
    market.until_session(session, "FREE").await;
    let crew = Crew::gather(&market).await;
    let hall = crew.opened(session).await;
    let mut terminal = crew.terminal(&hall, 1, session).await;

    let application = market.qualified(late, &listing).await;
    let check_in = json!({ "hallSessionId": hall, "organizationId": late.id, "number": FLOOR_PADDLE });
    let unpaid = no("NOT_ELIGIBLE", "organizationId").by("SM-5");
    refused(&crew.clerk, "checkIn", check_in, unpaid).await;
    market.staff.receive(&market.stage, late, DEPOSIT).await.unwrap();
    made(&late.person, "payDeposit", "deposit", json!({ "transferApplicationId": application })).await;
    market.until_application(&application, "ELIGIBLE").await;
    crew.checked_in(&hall, late, FLOOR_PADDLE).await;
    let log = market.log(session).await;
    let admitted = log.last().unwrap();
    assert_eq!(admitted["kind"], "ADMITTED");

    let entry = terminal.note((FLOOR_PADDLE, steps(0), "FLOOR"), market.stage.client.now());
    let bid = did(&crew.clerk, "enterHallBid", "bid { bidderCode seq }", entry).await;
    assert_eq!(bid["bidderCode"], admitted["bidderCode"]);
    crew.checked_in(&hall, late, FLOOR_PADDLE).await;
    assert_eq!(market.log(session).await.len(), log.len() + 1, "a bidder is admitted once");
}
