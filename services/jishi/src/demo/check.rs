//! What must hold when a story is over, found out from what the exchange publishes.

use auction::engine::{Lot, Terms, replay};
use kernel::{Instant, Money};
use serde_json::{Value, json};
use wire::v1::{AuctionEvent, AuctionEventKind, BidOrigin, BiddingTerms, IncrementStep};

use super::{Error, Fields, Result, fields::instant, person::Person};

/// One statement that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The statement in Chinese.
    pub zh: &'static str,
    /// The statement in English.
    pub en: &'static str,
    /// Whether it holds.
    pub passed: bool,
    /// What was found.
    pub found: String,
}

impl Check {
    /// What must read as expected.
    pub fn equal(zh: &'static str, en: &'static str, found: impl ToString, expected: impl ToString) -> Check {
        let (found, expected) = (found.to_string(), expected.to_string());
        let passed = found == expected;
        Check { zh, en, passed, found: if passed { found } else { format!("{found} ≠ {expected}") } }
    }
}

/// The published terms of a session, enough to recompute its outcome.
pub const SESSION: &str = "query Session($id: ID!) {
  biddingSession(id: $id) {
    status startingPrice startsAt closesAt currentPrice leadingCode bidCount seq
    terms { freeSeconds timedSeconds increments { from increment } }
  }
}";

const LOG: &str = "query Log($id: ID!, $after: Int) {
  auctionEvents(sessionId: $id, afterSeq: $after, first: 5) {
    edges { node { seq kind at bidderCode amount closesAt origin } }
    pageInfo { hasNextPage }
  }
}";

/// The whole published log, page by page.
pub async fn read_log(reader: &Person, session_id: &str) -> Result<Vec<Value>> {
    let mut log: Vec<Value> = Vec::new();
    loop {
        let after = log.last().map_or(Ok(0), |event| event.number_at("/seq"))?;
        let page = reader.glance(LOG, json!({ "id": session_id, "after": after })).await?;
        let page = page.at("/auctionEvents")?;
        let edges = page.at("/edges")?.as_array().cloned().unwrap_or_default();
        let nodes = edges.into_iter().filter_map(|mut edge| edge.get_mut("node").map(Value::take));
        let before = log.len();
        log.extend(nodes);
        match page.at("/pageInfo/hasNextPage")?.as_bool() {
            Some(true) if log.len() > before => {}
            Some(false) => return Ok(log),
            _ => return Err(Error::answer("a page that leads on", page.clone())),
        }
    }
}

/// Decides a session of open bids with a two-stage close again from its published terms and log, by the rules alone
/// (promise P-2).
pub fn recompute(session: &Value, log: &[Value]) -> Result<Lot> {
    let seconds = |name: &str| session.number_at(name).map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX));
    let steps = session.at("/terms/increments")?.as_array().cloned().unwrap_or_default();
    let step = |step: &Value| -> Result<IncrementStep> {
        Ok(IncrementStep { from: Some(step.money_at("/from")?), increment: Some(step.money_at("/increment")?) })
    };
    let announced = BiddingTerms {
        increments: steps.iter().map(step).collect::<Result<_>>()?,
        free_seconds: seconds("/terms/freeSeconds")?,
        timed_seconds: seconds("/terms/timedSeconds")?,
        ..BiddingTerms::default()
    };
    let terms = Terms {
        announced,
        starting_price: session.money_at("/startingPrice")?,
        starts_at: session.instant_at("/startsAt")?,
        ..Terms::default()
    };
    let log = log.iter().map(event).collect::<Result<Vec<AuctionEvent>>>()?;
    replay(terms, &log).map_err(|flaw| Error::Line(format!("event {} is not what the rules decide", flaw.seq)))
}

fn event(told: &Value) -> Result<AuctionEvent> {
    let kind = told.text_at("/kind")?;
    let kind = AuctionEventKind::from_str_name(&format!("AUCTION_EVENT_KIND_{kind}"));
    let text = |name: &str| told.get(name).and_then(Value::as_str);
    let origin = text("origin").and_then(|origin| BidOrigin::from_str_name(&format!("BID_ORIGIN_{origin}")));
    Ok(AuctionEvent {
        seq: told.number_at("/seq")?,
        kind: kind.ok_or_else(|| Error::answer("a known kind of event", told.clone()))?.into(),
        at: Some(told.instant_at("/at")?),
        bidder_code: text("bidderCode").map(str::to_owned),
        amount: text("amount").and_then(Money::parse_yuan),
        closes_at: text("closesAt").and_then(instant),
        origin: origin.map(Into::into),
        ..AuctionEvent::default()
    })
}

/// What was decided: the winner's code, the price and the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The winner's anonymous code.
    pub code: String,
    /// The price.
    pub price: Money,
    /// When the session ended.
    pub end: Instant,
}

impl Decision {
    /// The decision that a recomputed lot came to.
    #[must_use]
    pub fn of(lot: Lot) -> Option<Decision> {
        let end = lot.is_closed().then_some(lot.state.last_at)?;
        lot.state.lead.map(|lead| Decision { code: lead.code, price: lead.amount, end })
    }
}

impl std::fmt::Display for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.code, self.price, self.end)
    }
}

/// The numbers of these events.
#[must_use]
pub fn numbers(events: &[Value]) -> Vec<i64> {
    events.iter().filter_map(|event| event.get("seq").and_then(Value::as_i64)).collect()
}

/// Whether the ledger holds together: the sum of all accounts is zero, and no account is faulty (promise P-4).
pub async fn ledger(cashier: &Person) -> Result<[Check; 2]> {
    let read = cashier.read("{ trialBalance { total accounts transfers held faultyAccounts } }", json!({})).await?;
    let total = read.money_at("/trialBalance/total")?;
    let faulty = read.number_at("/trialBalance/faultyAccounts")?;
    Ok([
        Check::equal("总账合计为零", "all accounts sum to zero", total, Money::ZERO),
        Check::equal("账户余额与分录相符", "no account differs from its entries", faulty, 0),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(seq: i64, kind: &str, at: &str, bid: Option<(&str, &str)>, closes_at: Option<&str>) -> Value {
        let (code, amount) = bid.unzip();
        let origin = code.filter(|_| kind == "BID").map(|_| "ONLINE");
        json!({ "seq": seq, "kind": kind, "at": at, "bidderCode": code, "amount": amount, "closesAt": closes_at,
            "origin": origin })
    }

    #[test]
    fn a_told_log_is_decided_again_and_a_changed_one_is_not() {
        let steps = json!([{ "from": "0.00", "increment": "10.00" }]);
        let session = json!({ "startingPrice": "100.00", "startsAt": "2026-12-01T02:00:00.000Z",
            "terms": { "freeSeconds": 600, "timedSeconds": 60, "increments": steps } });
        let mut log = vec![
            told(1, "SCHEDULED", "2026-11-30T09:00:00.000Z", None, None),
            told(2, "ADMITTED", "2026-11-30T09:00:00.000Z", Some(("B01", "")), None),
            told(3, "ADMITTED", "2026-11-30T09:00:00.000Z", Some(("B02", "")), None),
            told(4, "OPENED", "2026-12-01T02:00:00.000Z", None, Some("2026-12-01T02:10:00.000Z")),
            told(5, "BID", "2026-12-01T02:01:00.000Z", Some(("B01", "100.00")), Some("2026-12-01T02:10:00.000Z")),
            told(6, "TIMED", "2026-12-01T02:10:00.000Z", None, Some("2026-12-01T02:11:00.000Z")),
            told(7, "BID", "2026-12-01T02:10:30.000Z", Some(("B02", "110.00")), Some("2026-12-01T02:11:30.000Z")),
            told(8, "SOLD", "2026-12-01T02:11:30.000Z", Some(("B02", "110.00")), None),
        ];
        let decision = Decision::of(recompute(&session, &log).unwrap()).unwrap();
        assert_eq!(decision.to_string(), "B02 110.00 2026-12-01T02:11:30.000Z");
        assert_eq!(numbers(&log), [1, 2, 3, 4, 5, 6, 7, 8]);
        log[6]["amount"] = json!("111.00");
        assert!(recompute(&session, &log).is_err());
        assert!(Decision::of(recompute(&session, &log[..6]).unwrap()).is_none());
    }
}
