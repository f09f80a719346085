//! What the calls of the hall refuse, and to whom.

use jishi::demo::client::Operation;
use kernel::Money;
use serde_json::{Value, json};

use super::{
    super::{
        agency::did,
        bidding::steps,
        refusal::{no, refused, refused_as_missing, unknown, with},
    },
    court::{FLOOR_PADDLE, Lot, PHONE_PADDLE, outcomes},
    terminal::{Terminal, public_key},
};

pub async fn openings(lot: &Lot<'_>) {
    let (auctioneer, opening) = (&lot.crew.auctioneer, lot.crew.opening(&lot.session));
    let try_opening = |input: Value, expected| refused(auctioneer, "openHallSession", input, expected);
    let unlicensed = no("REQUIRED", "houseLicence").by("SM-5");
    try_opening(with(&opening, "houseLicence", Value::Null), unlicensed).await;
    try_opening(opening.clone(), no("ALREADY_EXISTS", "sessionIds").by("SM-5")).await;
    let missing = json!([lot.session, unknown("bidding")]);
    try_opening(with(&opening, "sessionIds", missing), no("NOT_FOUND", "sessionIds.1")).await;
    let hasty = no("PERIOD_OUT_OF_RANGE", "heartbeatSeconds").accepting("5–300");
    try_opening(with(&opening, "heartbeatSeconds", 4), hasty).await;
    let forbidden = no("FORBIDDEN", "").accepting("AUCTIONEER");
    for person in [&lot.crew.clerk, &lot.market.buyers[0].person] {
        refused(person, "openHallSession", opening.clone(), forbidden).await;
        refused(person, "closeHallSession", json!({ "hallSessionId": lot.hall }), forbidden).await;
    }
    let foreign = &lot.crew.foreign_auctioneer;
    refused_as_missing(foreign, "closeHallSession", json!({ "hallSessionId": lot.hall }), "hallSessionId").await;
    refused_as_missing(foreign, "openHallSession", opening, "centreId").await;
}

pub async fn paddles_and_terminals(lot: &Lot<'_>) {
    let (clerk, buyers) = (&lot.crew.clerk, &lot.market.buyers);
    let check_in = json!({ "hallSessionId": lot.hall, "organizationId": buyers[1].id, "number": FLOOR_PADDLE });
    let again = did(clerk, "checkIn", "paddle { number }", check_in.clone()).await;
    assert_eq!(again["number"], FLOOR_PADDLE, "whoever asks again finds it issued");
    let try_in = |field, value: Value, expected| refused(clerk, "checkIn", with(&check_in, field, value), expected);
    try_in("number", json!(10), no("ALREADY_EXISTS", "organizationId").by("SM-5")).await;
    try_in("number", json!(0), no("INVALID_INPUT", "number").accepting("1–9999")).await;
    try_in("organizationId", json!(buyers[0].id), no("PADDLE_TAKEN", "number").by("SM-5")).await;
    let stranger = no("NOT_ELIGIBLE", "organizationId").by("SM-5");
    try_in("organizationId", json!(lot.market.university.id), stranger).await;
    let forbidden = no("FORBIDDEN", "").accepting("HALL_CLERK");
    refused(&buyers[1].person, "checkIn", check_in.clone(), forbidden).await;
    let foreign = &lot.crew.foreign_clerk;
    refused_as_missing(foreign, "checkIn", check_in, "hallSessionId").await;

    let register = json!({ "hallSessionId": lot.hall, "name": "侧席", "publicKey": public_key(9) });
    let not_a_key = no("INVALID_INPUT", "publicKey").accepting("Ed25519");
    // The second is a point of small order: it would verify what nobody signed.
    for key in ["", &"A".repeat(43), &public_key(9)[1..]] {
        refused(clerk, "registerHallDevice", with(&register, "publicKey", key), not_a_key).await;
    }
    refused(&buyers[1].person, "registerHallDevice", register.clone(), forbidden).await;
    refused_as_missing(foreign, "registerHallDevice", register, "hallSessionId").await;
    let beat = json!({ "deviceId": lot.front.id });
    refused(&buyers[1].person, "sendHallHeartbeat", beat.clone(), forbidden).await;
    refused_as_missing(foreign, "sendHallHeartbeat", beat, "deviceId").await;

    let query = "query P($id: ID!) { paddles(hallSessionId: $id) { number } }";
    for (person, seen) in [(clerk, json!([7, 8, 9])), (&buyers[1].person, json!([7])), (&buyers[0].person, json!([]))] {
        let read = person.glance(query, json!({ "id": lot.hall })).await.unwrap();
        let numbers: Vec<_> = read["paddles"].as_array().unwrap().iter().map(|paddle| &paddle["number"]).collect();
        assert_eq!(json!(numbers), seen);
    }
}

pub async fn entries(lot: &mut Lot<'_>) {
    let (clerk, now) = (&lot.crew.clerk, lot.market.stage.client.now());
    let first = lot.front.note((FLOOR_PADDLE, steps(0), "FLOOR"), now);
    let bidder = &lot.market.buyers[1].person;
    refused(bidder, "enterHallBid", first.clone(), no("FORBIDDEN", "").accepting("HALL_CLERK")).await;
    refused_as_missing(&lot.crew.foreign_clerk, "enterHallBid", first.clone(), "deviceId").await;
    let expecting = |number| no("OUT_OF_SEQUENCE", "number").accepting(number);
    let enter = |entry: Value, expected| refused(clerk, "enterHallBid", entry, expected);
    for (field, value, expected) in [
        ("deviceId", json!(unknown("device")), no("NOT_FOUND", "deviceId")),
        ("number", json!(2), expecting("1")),
        ("number", json!(0), expecting("1")),
        ("operationId", json!("kurz"), no("INVALID_INPUT", "operationId").accepting("{8,64}")),
        ("origin", json!("ONLINE"), no("INVALID_INPUT", "origin").accepting("ABSENTEE")),
    ] {
        enter(with(&first, field, value), expected).await;
    }
    let bid = lot.entered(first.clone()).await;
    let changed = with(&first, "amount", steps(1).to_string());
    enter(changed, no("IDEMPOTENCY_CONFLICT", "operationId").by("P-7")).await;
    enter(with(&first, "operationId", "op-other"), expecting("2")).await;
    assert_eq!(lot.entered(first).await, bid);

    // What is refused by the lot, or before it for its paddle, has its number.
    let in_lot = |code, field| no(code, field).by("SM-5");
    for (paddle, amount, expected) in [
        (33, steps(1), in_lot("NO_PADDLE", "paddle")),
        (FLOOR_PADDLE, steps(1), in_lot("ALREADY_LEADING", "amount")),
        (PHONE_PADDLE, steps(0), in_lot("START_PRICE_TAKEN", "amount")),
        (PHONE_PADDLE, Money(steps(1).0 + 1), in_lot("NOT_STEP_MULTIPLE", "amount")),
    ] {
        let entry = lot.front.note((paddle, amount, "FLOOR"), now);
        let told = refused(clerk, "enterHallBid", entry.clone(), expected).await;
        assert_eq!(refused(clerk, "enterHallBid", entry, expected).await, told);
    }
    let elsewhere = with(&lot.front.note((PHONE_PADDLE, steps(1), "FLOOR"), now), "sessionId", unknown("bidding"));
    refused(clerk, "enterHallBid", elsewhere, in_lot("NOT_FOUND", "sessionId")).await;
    assert_eq!(lot.market.session(&lot.session).await["currentPrice"], steps(0).to_string());
}

pub async fn acts_of_the_auctioneer(lot: &mut Lot<'_>) {
    let auctioneer = &lot.crew.auctioneer;
    let own = json!({ "sessionId": lot.session });
    let ask = with(&own, "amount", steps(0).to_string());
    let reopen = with(&own, "reason", "漏看一牌");
    let foreign = &lot.crew.foreign_auctioneer;
    let forbidden = no("FORBIDDEN", "").accepting("AUCTIONEER");
    for (verb, input) in [("askPrice", &ask), ("giveFairWarning", &own), ("dropHammer", &own), ("reopenLot", &reopen)] {
        for person in [&lot.crew.clerk, &lot.market.buyers[1].person, &lot.market.staff.qualifier] {
            refused(person, verb, input.clone(), forbidden).await;
        }
        refused_as_missing(foreign, verb, input.clone(), "sessionId").await;
    }
    let of_lot = |code, field| no(code, field).by("SM-5");
    refused(auctioneer, "askPrice", ask, of_lot("BELOW_MIN_INCREMENT", "amount")).await;
    refused(auctioneer, "dropHammer", own, of_lot("WARNING_DUE", "sessionId")).await;
    refused(auctioneer, "reopenLot", reopen, of_lot("ILLEGAL_TRANSITION", "sessionId")).await;
}

pub async fn journals(lot: &mut Lot<'_>) {
    let (market, clerk, auctioneer) = (lot.market, &lot.crew.clerk, &lot.crew.auctioneer);
    for count in 1..=3 {
        lot.phones.note((PHONE_PADDLE, steps(count), "PHONE"), market.stage.client.now());
    }
    let whole = lot.phones.journal(0);
    let changed = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut lines = whole["lines"].as_array().unwrap().clone();
        change(&mut lines);
        with(&whole, "lines", lines)
    };
    let bring = |journal: Value, expected| refused(clerk, "uploadHallJournal", journal, expected);
    let follows = |field, number| no("OUT_OF_SEQUENCE", field).accepting(number);
    bring(changed(&|lines| drop(lines.remove(1))), follows("lines.1.number", "2")).await;
    bring(changed(&|lines| lines.swap(0, 1)), follows("lines.0.number", "1")).await;
    bring(lot.phones.journal(1), follows("lines.0.number", "1")).await;
    let forged = |field| no("BAD_SIGNATURE", field).by("SM-5");
    let dearer = json!(steps(9).to_string());
    bring(changed(&|lines| lines[1]["amount"] = dearer.clone()), forged("lines.1.signature")).await;
    bring(changed(&|lines| lines[2]["signature"] = json!("?")), forged("lines.2.signature")).await;
    bring(with(&whole, "deviceId", lot.front.id.clone()), forged("lines.0.signature")).await;
    bring(changed(&Vec::clear), no("INVALID_INPUT", "lines").accepting("1–500")).await;
    let mut forked = Terminal::new(&lot.front.id, 1, &lot.session);
    forked.note((FLOOR_PADDLE, steps(4), "FLOOR"), market.stage.client.now());
    bring(forked.journal(0), no("IDEMPOTENCY_CONFLICT", "lines.0.operationId").by("P-7")).await;
    let bidder = &market.buyers[1].person;
    let forbidden = no("FORBIDDEN", "").accepting("HALL_CLERK");
    refused(bidder, "uploadHallJournal", whole.clone(), forbidden).await;
    let foreign = &lot.crew.foreign_clerk;
    refused_as_missing(foreign, "uploadHallJournal", whole.clone(), "deviceId").await;
    let query = "query J($id: ID!) { hallJournal(hallSessionId: $id) { nodes { number } } }";
    let variables = json!({ "id": lot.hall });
    let read = auctioneer.glance(query, variables.clone()).await.unwrap();
    assert_eq!(read["hallJournal"]["nodes"], json!([]), "nothing of a bad upload is kept");
    for (person, code) in [(bidder, "FORBIDDEN"), (foreign, "NOT_FOUND")] {
        let asked = Operation { query: query.into(), variables: variables.clone(), key: None };
        let answer = person.call(asked).await.unwrap().answer;
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{answer}");
    }

    // The first of them beats the floor's bid; the bidder cannot raise itself.
    let leads = ("CONFLICT", Some("ALREADY_LEADING"));
    assert_eq!(outcomes(&lot.uploaded(whole).await), [("APPLIED", None), leads, leads]);
    let settling = json!({ "deviceId": lot.phones.id, "number": 2, "settlement": "同一竞买人不得自我加价" });
    refused(clerk, "settleJournalConflict", settling.clone(), no("FORBIDDEN", "").accepting("AUCTIONEER")).await;
    let foreign = &lot.crew.foreign_auctioneer;
    refused_as_missing(foreign, "settleJournalConflict", settling.clone(), "deviceId").await;
    refused(auctioneer, "settleJournalConflict", with(&settling, "number", 4), no("NOT_FOUND", "number")).await;
    let applied = no("ILLEGAL_TRANSITION", "number").accepting("CONFLICT");
    refused(auctioneer, "settleJournalConflict", with(&settling, "number", 1), applied).await;
    assert_eq!(lot.conflicts(&lot.phones).await, [2, 3]);
}
