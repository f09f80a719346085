//! Whoever can write to the database forges a row while the exchange works. Nobody is served by it: whatever would be built on
//! the forgery, or would make it the exchange's own, is refused, until the row is put right.

use exchange_tests::Exchange;
use jishi::demo::{
    Fields,
    client::Operation,
    person::{Person, fresh_key},
};
use kernel::Money;
use serde_json::{Value, json};

use super::{
    erasure::change,
    market::{DEPOSIT, Market, made},
    refusal::{no, refused},
};

lanes! { nothing_is_built_on_a_forgery }

/// A forgery, and how it is undone.
struct Forged<'a> {
    exchange: &'a Exchange,
    undo: String,
}

impl Forged<'_> {
    async fn by<'a>(exchange: &'a Exchange, forge: &str, undo: &str) -> Forged<'a> {
        change(exchange, forge).await;
        Forged { exchange, undo: undo.to_owned() }
    }

    /// The mutation is refused while the forgery stands, and done once it is undone.
    async fn keeps_from(self, person: &Person, (verb, object): (&str, &str), input: Value) -> Value {
        refused(person, verb, input.clone(), no("RECORD_ALTERED", "").by("P-5")).await;
        change(self.exchange, &self.undo).await;
        made(person, verb, object, input).await
    }
}

async fn nothing_is_built_on_a_forgery(mut exchange: Exchange) {
    let market = Market::open(&exchange, 1).await;
    let [buyer] = &market.buyers[..] else { panic!() };
    let receipt = |amount: Money| {
        json!({
            "organizationId": buyer.id, "amount": amount.to_string(), "bankReference": fresh_key(),
            "receivedAt": market.stage.client.now().plus_seconds(-60).to_string(),
        })
    };
    let record = ("recordBankReceipt", "bankReceipt");
    made(&market.staff.cashier, record.0, record.1, receipt(DEPOSIT)).await;
    let forged = Forged::by(
        &exchange,
        "UPDATE account SET balance = balance + 100 WHERE kind = 'ORGANIZATION'",
        "UPDATE account SET balance = balance - 100 WHERE kind = 'ORGANIZATION'",
    );
    forged.await.keeps_from(&market.staff.cashier, record, receipt(DEPOSIT)).await;
    assert_eq!(market.account(buyer).await.0, Money(2 * DEPOSIT.0));

    let listing = market.disclosed(market.draft()).await;
    market.eligible(buyer, &listing).await;
    market.pass(listing.ends_at).await;
    let deal = market.sold_to_sole(buyer, &listing).await;
    let query = "query C($id: ID!) { contract(id: $id) { documentHash } }";
    let read = buyer.person.glance(query, json!({ "id": deal["contractId"] })).await.unwrap();
    let sign = json!({
        "contractId": deal["contractId"], "organizationId": buyer.id,
        "documentHash": read.text_at("/contract/documentHash").unwrap(),
    });
    let forged = Forged::by(
        &exchange,
        "UPDATE contract SET created_at = created_at + 1",
        "UPDATE contract SET created_at = created_at - 1",
    );
    forged.await.keeps_from(&buyer.person, ("signContract", "contract"), sign).await;

    change(&exchange, "UPDATE membership SET roles = roles || ' CASHIER'").await;
    buyer.person.sign_in().await.unwrap();
    let operation = Operation { query: "{ viewer { id } }".into(), variables: json!({}), key: None };
    let answer = buyer.person.call(operation).await.unwrap().answer;
    assert_eq!(answer.pointer("/errors/0/extensions/code"), Some(&json!("RECORD_ALTERED")), "{answer}");
    change(&exchange, "UPDATE membership SET roles = substr(roles, 1, length(roles) - 8)").await;
    buyer.person.glance("{ viewer { id } }", json!({})).await.unwrap();

    assert!(exchange.stop().iter().all(|code| *code == Some(0)));
    let verified = exchange.run(&["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}
