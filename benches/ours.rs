//! A lot of an exchange, bid on through GraphQL over HTTP.

use jishi::{Result, demo::deal::OpenLot};
use kernel::Money;
use serde_json::json;

use crate::caller::{AMOUNT, Bidders, Call, Marks};

const PLACE_BID: &str = "mutation($i:PlaceBidInput!){placeBid(input:$i){bid{seq amount at}userErrors{code}}}";

const MARKS: Marks = Marks {
    accepted: "\"bid\":{",
    // Who is overtaken by the own later bid leads; who is overtaken with the first bid finds the starting price taken.
    refused: &["\"code\":\"BELOW_MIN_INCREMENT\"", "\"code\":\"ALREADY_LEADING\"", "\"code\":\"START_PRICE_TAKEN\""],
};

/// Those who may bid on it.
pub async fn bidders(http: &str, lot: &OpenLot) -> Result<Bidders> {
    let address = http.trim_start_matches("http://").to_owned();
    let mut calls = Vec::new();
    for house in lot.bidders() {
        let token = house.person.token().await?;
        let input = json!({ "sessionId": lot.session_id(), "organizationId": house.id, "amount": AMOUNT });
        calls.push(Call::new(&address, Some(&token), PLACE_BID, &json!({ "i": input }))?);
    }
    let (floor, increment) = (lot.floor(), lot.increment());
    let amount = move |step| Money(floor.0 + increment.0 * (step - crate::FIRST_STEP)).to_string();
    Ok(Bidders { address, calls, amount: Box::new(amount), marks: MARKS })
}
