//! Every way of bidding through the public doors (domain.md SM-5): how its winner is found, and what it refuses. A file
//! for each family of modes.

mod closing;
mod last_second;
mod licence;
mod listing;
mod panel;
mod raising;
mod reverse;
mod rounds;
mod weighted;

use jishi::demo::{Fields, cast::House};
use kernel::{Instant, Money};
use serde_json::{Value, json};

use super::{
    market::{Listed, Market},
    refusal::{no, refused},
};

impl Market {
    /// A bid is turned away under a code, and is told of the lot what the lot itself tells: its price, the least amount
    /// that would do while there is one, its end, the exchange's time, and that the deposit stays on hold.
    pub async fn turned_away(&self, house: &House, session: &str, (amount, code): (Money, &str)) -> Value {
        let before = self.session(session).await;
        let input = json!({ "sessionId": session, "organizationId": house.id, "amount": amount.to_string() });
        let error = refused(&house.person, "placeBid", input, no(code, "amount").by("SM-5")).await;
        let after = self.session(session).await;
        if before["seq"] == after["seq"] {
            tells(&error, &after);
        }
        let at = |told: &Value| told.instant_at("/serverTime").unwrap();
        assert!(at(&before) <= at(&error) && at(&error) <= at(&after), "{before} {error} {after}");
        error
    }

    /// Lets the present phase of a session run out.
    pub async fn run_out(&self, session: &str) -> Instant {
        let end = self.session(session).await.instant_at("/closesAt").unwrap();
        self.pass(end).await;
        end
    }

    /// The kinds of a session's events, in order, without the admissions.
    pub async fn kinds(&self, session: &str) -> Vec<String> {
        let kinds = self.log(session).await.into_iter().map(|event| event["kind"].as_str().unwrap().to_owned());
        kinds.filter(|kind| kind != "ADMITTED").collect()
    }

    /// Nobody acquires the listing.
    pub async fn stays_unsold(&self, session: &str, listing: &Listed) {
        self.until_session(session, "UNSOLD").await;
        self.until_listing(listing, "UNSOLD").await;
        assert_eq!(self.awards(&self.staff.reviewer, listing).await, Vec::<Value>::new());
    }
}

/// Whether a refusal tells of a lot what the lot tells of itself.
fn tells(error: &Value, session: &Value) {
    let live = ["FREE", "TIMED"].contains(&session["status"].as_str().unwrap());
    let minimum = if live { session["minimumAmount"].clone() } else { json!(null) };
    let told = ["currentPrice", "minimumAmount", "closesAt", "depositHeld"].map(|name| error[name].clone());
    let held = !["UNSOLD", "CANCELLED"].contains(&session["status"].as_str().unwrap());
    let stands = [session["currentPrice"].clone(), minimum, session["closesAt"].clone(), json!(held)];
    assert_eq!(told, stands, "{error} {session}");
}
