//! Sealed offers through the public doors (promise P-3, docs/sealed-bids.md): sealed by the verb on the bidder's machine,
//! kept unseen and uncounted, opened by two of three trustees, awarded, and decided again from the bundle.

pub mod evaluation;
pub mod lot;
mod secrecy;
mod unseen;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use exchange_tests::Exchange;
use jishi::demo::{
    Fields,
    client::Operation,
    person::{Act, Person, fresh_key},
    timeline::Who,
    trustees::{Invalid, opened_again},
};
use kernel::Money;
use serde_json::{Value, json};

use super::{
    market::{Market, made},
    refusal::{no, refused, refused_as_missing, with},
};
use lot::{SealedLot, TRUSTEES};

lanes! { two_of_three_trustees_open_what_nobody_saw }

const LOW: &str = "510000.01";
const FIRST: &str = "500000.00";
const HIGH: &str = "623456.78";

/// What an outsider could count on: four may bid, one bids, one bids twice, one hands in rubbish, one does nothing.
async fn two_of_three_trustees_open_what_nobody_saw(exchange: Exchange) {
    let market = Market::open(&exchange, 5).await;
    let bidding = json!({ "mode": "SEALED_SINGLE" });
    let lot = SealedLot::scheduled((&exchange, &market), 4, bidding).await;
    let sealed = lot.sealed(0, &["--amount", LOW]);
    let early = no("SESSION_NOT_OPEN", "").by("SM-5");
    refused(&lot.buyer(0).person, "submitSealedBid", lot.input(0, &sealed["envelope"]), early).await;
    lot.begins().await;
    let nothing = nobody_learns(&lot).await;

    refuses(&lot, &sealed).await;
    let receipts = hands_in(&lot, &sealed).await;
    assert_eq!(nobody_learns(&lot).await, nothing, "envelopes came, and everything that is told stays as it was");
    waits(&lot, &sealed).await;
    nobody_learns(&lot).await;

    lot.ends().await;
    let late = no("SESSION_CLOSED", "").by("SM-5");
    refused(&lot.buyer(3).person, "submitSealedBid", lot.input(3, &sealed["envelope"]), late).await;
    let retried = lot.hand_in(1, &receipts.second, &receipts.key).await;
    assert_eq!(retried, receipts.high, "a retry after the end has its answer");
    opens(&lot).await;
    shows(&lot, &receipts).await;

    let award = lot.confirmed().await;
    assert_eq!((&award["winnerId"], &award["price"]), (&json!(lot.buyer(1).id), &json!(HIGH)));
    assert_eq!(market.deal(&lot.listing).await["price"], HIGH);
    let verdict = lot.verified().await;
    assert!(verdict.contains(&format!("SOLD to {} at {HIGH}", lot.codes[1])), "{verdict}");
    market.ledger_is_sound().await;
}

/// What the bidders hold when all envelopes are in.
struct Receipts {
    low: Value,
    high: Value,
    rubbish: Value,
    /// The envelope behind `high`, and the key under which it was sent.
    second: Value,
    key: String,
}

/// Envelopes come: one, one that replaces another, and one that will not open.
async fn hands_in(lot: &SealedLot<'_>, sealed: &Value) -> Receipts {
    let low = lot.hand_in(0, sealed, &fresh_key()).await;
    signed(lot, &low, sealed).await;
    let first = lot.sealed(1, &["--amount", FIRST]);
    let before = lot.hand_in(1, &first, &fresh_key()).await;
    let (second, key) = (lot.sealed(1, &["--amount", HIGH]), fresh_key());
    let high = lot.hand_in(1, &second, &key).await;
    signed(lot, &high, &second).await;
    assert_eq!(before["place"], high["place"], "a later envelope takes the place of the earlier one");
    assert_eq!(lot.hand_in(1, &second, &key).await, high, "a retry has the same receipt");
    let conflict = Act { verb: "submitSealedBid", selection: "", key: &key };
    let answer = lot.buyer(1).person.act_under(conflict, lot.input(1, &first["envelope"])).await;
    assert!(format!("{answer:?}").contains("IDEMPOTENCY_CONFLICT"));
    // Sealed for another session, it is an envelope like any other until it is opened.
    let foreign = lot.sealed_for((&lot.listing.id, &lot.codes[2]), &["--amount", HIGH]);
    let rubbish = lot.hand_in(2, &foreign, &fresh_key()).await;
    for (n, own) in [(0, &low), (1, &high), (2, &rubbish)] {
        assert_eq!(lot.receipt(&lot.buyer(n).person, n).await, *own);
    }
    assert!(lot.receipt(&lot.buyer(3).person, 3).await.is_null());
    Receipts { low, high, rubbish, second, key }
}

/// The receipt names what the verb printed, and the exchange's published key signed it.
async fn signed(lot: &SealedLot<'_>, receipt: &Value, sealed: &Value) {
    assert_eq!(receipt["commitment"], sealed["commitment"]);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let keys = client.get(format!("{}/.well-known/jishi-keys.json", lot.exchange.http)).send().await.unwrap();
    let keys: Value = keys.json().await.unwrap();
    let bytes = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
    let key = VerifyingKey::try_from(bytes(keys.text_at("/keys/0/x").unwrap()).as_slice()).unwrap();
    let signature = Signature::from_slice(&bytes(receipt.text_at("/signature").unwrap())).unwrap();
    let text = format!(
        "jishi sealed receipt v1\n{}\n{}\n{}\n{}\n{}",
        lot.session,
        receipt["round"],
        receipt["place"],
        receipt.text_at("/commitment").unwrap(),
        receipt.text_at("/receivedAt").unwrap()
    );
    key.verify_strict(text.as_bytes(), &signature).unwrap();
}

/// What is no envelope of an eligible bidder's own is refused, and leaves nothing.
async fn refuses(lot: &SealedLot<'_>, sealed: &Value) {
    let (market, own) = (lot.market, &lot.buyer(0).person);
    let input = lot.input(0, &sealed["envelope"]);
    let short = BASE64_URL_SAFE_NO_PAD.encode([4; 1_104]);
    for bad in ["", "===", short.as_str(), &BASE64_URL_SAFE_NO_PAD.encode([4; 1_105])] {
        let expected = no("BAD_ENVELOPE", "envelope").by("P-3").accepting("jishi seal");
        refused(own, "submitSealedBid", with(&input, "envelope", bad), expected).await;
    }
    let wrong = no("WRONG_ROUND", "round").by("SM-5").accepting("1");
    refused(own, "submitSealedBid", with(&input, "round", 2), wrong).await;
    // A rival, somebody of the selling side, staff, and a company that has not applied.
    for other in [&lot.buyer(1).person, &market.staff.qualifier] {
        refused_as_missing(other, "submitSealedBid", input.clone(), "organizationId").await;
    }
    let seller = market.university.hire(&market.stage, Who { zh: "卖方", en: "seller" }, &["BIDDER"]).await.unwrap();
    let own_listing = with(&input, "organizationId", market.university.id.as_str());
    refused(&seller, "submitSealedBid", own_listing, no("OWN_LISTING", "organizationId").by("SM-5")).await;
    let stranger = with(&input, "organizationId", lot.buyer(4).id.as_str());
    refused(&lot.buyer(4).person, "submitSealedBid", stranger, no("NOT_ELIGIBLE", "").by("SM-5")).await;
    let open = json!({ "sessionId": lot.session, "organizationId": lot.buyer(0).id, "amount": LOW });
    refused(own, "placeBid", open, no("MODE_MISMATCH", "amount").by("SM-5")).await;
}

/// While the lot is paused nothing is taken, and trustees have nothing to do.
async fn waits(lot: &SealedLot<'_>, sealed: &Value) {
    let qualifier = &lot.market.staff.qualifier;
    let share = lot.trustees.share(lot.exchange, TRUSTEES[0]);
    let early = no("ILLEGAL_TRANSITION", "sessionId").by("SM-5").accepting("OPENING");
    refused(qualifier, "contributeShare", lot.contribution(TRUSTEES[0], &share), early).await;
    let input = json!({ "sessionId": lot.session, "reason": "机房断电" });
    made(qualifier, "pauseBidding", "biddingSession", input).await;
    let paused = no("SESSION_PAUSED", "").by("SM-5");
    refused(&lot.buyer(3).person, "submitSealedBid", lot.input(3, &sealed["envelope"]), paused).await;
    made(qualifier, "resumeBidding", "biddingSession", json!({ "sessionId": lot.session })).await;
}

/// Whoever asks is told the phases and nothing else: neither how many may bid, nor how many did, nor who.
async fn nobody_learns(lot: &SealedLot<'_>) -> Vec<Value> {
    let staff = &lot.market.staff;
    let auditor = Person::seeded(&lot.market.stage.client, Who { zh: "审计员", en: "auditor" }, "auditor");
    let readers = [&lot.buyer(0).person, &lot.buyer(4).person, &staff.reviewer, &staff.qualifier, &auditor];
    let mut all = Vec::new();
    for reader in readers {
        let told = lot.told(reader).await;
        let session = &told["biddingSession"];
        assert_eq!(
            (&session["bidderCount"], &session["bidCount"], &session["currentPrice"], &session["leadingCode"]),
            (&json!(null), &json!(0), &json!(null), &json!(null))
        );
        assert_eq!((&told["sealedOpenings"], &told["evidence"]), (&json!([]), &json!(null)));
        for edge in told["auctionEvents"]["edges"].as_array().unwrap() {
            let phase = ["SCHEDULED", "OPENED", "PAUSED", "RESUMED"].contains(&edge.text_at("/node/kind").unwrap());
            assert!(phase && edge["node"]["bidderCode"].is_null(), "{edge}");
        }
        all.push(told);
    }
    for reader in [&lot.buyer(1).person, &staff.qualifier, &auditor] {
        assert!(lot.receipt(reader, 0).await.is_null(), "only the bidder has its receipt");
    }
    let query = "query A($id: ID!) { auditTrail(service: AUCTION, subject: $id, first: 100) { edges { node { kind subject facts } } } }";
    let trail = auditor.glance(query, json!({ "id": lot.session })).await.unwrap();
    assert!(!trail.to_string().contains("SealedBid"), "{trail}");
    all
}

/// A false share names its trustee; two true ones open everything.
async fn opens(lot: &SealedLot<'_>) {
    let (market, [one, two, three]) = (lot.market, TRUSTEES);
    let stranger = &lot.buyer(4).person;
    let share = lot.trustees.share(lot.exchange, one);
    let unknown = no("NO_TRUSTEE", "trustee").by("P-3").accepting(two);
    refused(stranger, "contributeShare", lot.contribution("路人", &share), unknown).await;
    let false_share = no("FALSE_SHARE", "share").by("P-3").accepting(two);
    refused(stranger, "contributeShare", lot.contribution(two, &share), false_share).await;
    lot.contribute(&market.staff.reviewer, one).await;
    let again = no("ALREADY_ANSWERED", "trustee").by("SM-5");
    refused(stranger, "contributeShare", lot.contribution(one, &share), again).await;
    let told = lot.told(stranger).await;
    assert_eq!((&told["biddingSession"]["status"], &told["sealedOpenings"]), (&json!("OPENING"), &json!([])));
    assert!(!told["auctionEvents"].to_string().contains("ENVELOPE"), "one trustee opens nothing");
    lot.contribute(&market.signatory, three).await;
    market.until_session(&lot.session, "SOLD").await;
}

/// The log tells every envelope, the invalid one with its reason; with the shares anybody opens them again.
async fn shows(lot: &SealedLot<'_>, receipts: &Receipts) {
    let query = "query O($id: ID!) {
        auctionEvents(sessionId: $id, first: 100) { edges { node { kind bidderCode amount commitment reason named } } }
    }";
    let asked = Operation { query: query.into(), variables: json!({ "id": lot.session }), key: None };
    let told = lot.market.stage.client.ask(None, asked).await.unwrap().data().unwrap();
    let log: Vec<Value> =
        told["auctionEvents"]["edges"].as_array().unwrap().iter().map(|e| e["node"].clone()).collect();
    let of = |code: &str| log.iter().find(|e| e["bidderCode"] == code && !e["commitment"].is_null()).unwrap();
    let event = |n: usize| of(&lot.codes[n]);
    let shown = |n: usize| ["kind", "amount", "reason"].map(|name| event(n)[name].clone());
    assert_eq!(shown(0), [json!("ENVELOPE_OPENED"), json!(LOW), json!(null)]);
    assert_eq!(shown(1), [json!("ENVELOPE_OPENED"), json!(HIGH), json!(null)]);
    assert_eq!(shown(2), [json!("ENVELOPE_INVALID"), json!(null), json!("DOES_NOT_OPEN")]);
    assert_eq!(shown(3), [json!("ENVELOPE_OPENED"), json!(null), json!(null)]);
    for (n, receipt) in [(0, &receipts.low), (1, &receipts.high), (2, &receipts.rubbish)] {
        assert_eq!(event(n)["commitment"], receipt["commitment"], "the receipt's envelope is the one that was opened");
    }
    let given: Vec<&Value> = log.iter().filter(|e| e["kind"] == "SHARE_GIVEN").map(|e| &e["named"]).collect();
    assert_eq!(given, [&json!(TRUSTEES[0]), &json!(TRUSTEES[2])]);

    let opening = lot.told(&lot.buyer(4).person).await["sealedOpenings"][0].clone();
    let yuan = |amount| Ok(Money::parse_yuan(amount));
    let found = [yuan(LOW), yuan(HIGH), Err(Invalid::DoesNotOpen), Ok(None)];
    let mut expected: Vec<_> = lot.codes.iter().cloned().zip(found).collect();
    expected.sort_by(|(one, _), (other, _)| one.cmp(other));
    assert_eq!(opened_again(&opening, &lot.session).unwrap(), expected, "by place, in the order of the codes");
}
