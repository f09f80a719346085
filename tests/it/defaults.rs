//! A winner that does not pay: the default, once declared, is carried out by itself whatever fails on its way, and the last fen
//! of the lost deposit is given out in the stated order.

use exchange_tests::Exchange;
use jishi::demo::{Fields, person::Person, timeline::Who};
use kernel::{Db, Money};
use sea_orm::DbBackend;
use serde_json::{Value, json};

use super::{
    agency::did,
    bidding::steps,
    market::{DEPOSIT, FREE_SECONDS, INCREMENT, Listed, Market, TIMED_SECONDS, made},
    refusal::{no, refused, refused_as_missing, unknown, with},
};

lanes! { a_declared_default_is_carried_out_by_itself a_lost_deposit_is_given_out_to_the_last_fen }

const AWARD: &str = "query W($id: ID!) { award(id: $id) { status defaultDeclaredAt defaultHindrance } }";
const FORFEITURE: &str = "forfeiture { status amount costs priceGap gapPaid remainder debts { organizationId amount ground } availableTransitions }";

/// What keeps the auction from ending any award of a database.
struct Bolt(Db);

impl Bolt {
    async fn draw(exchange: &Exchange) -> Bolt {
        let db = Db::connect(&exchange.database_url).await.unwrap();
        let sql = match db.backend() {
            DbBackend::Postgres => {
                "CREATE FUNCTION bolt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'bolted'; END $$; \
                 CREATE TRIGGER bolt BEFORE UPDATE ON award FOR EACH ROW WHEN (NEW.status = 'DEFAULTED') EXECUTE FUNCTION bolt();"
            }
            _ => {
                "CREATE TRIGGER bolt BEFORE UPDATE ON award WHEN NEW.status = 'DEFAULTED' \
                 BEGIN SELECT RAISE(ABORT, 'bolted'); END;"
            }
        };
        db.run(sql).await.unwrap();
        Bolt(db)
    }

    async fn lift(self) {
        let sql = match self.0.backend() {
            DbBackend::Postgres => "DROP TRIGGER bolt ON award; DROP FUNCTION bolt();",
            _ => "DROP TRIGGER bolt;",
        };
        self.0.run(sql).await.unwrap();
        self.0.close().await.unwrap();
    }
}

/// A sold lot whose award two persons have confirmed: the award, the winner's application. The first buyer has it at one
/// increment, the second one bid the floor.
async fn confirmed(market: &Market) -> (Listed, Value, String) {
    let [winner, next, ..] = &market.buyers[..] else { panic!() };
    let listing = market.disclosed(market.draft()).await;
    let application = market.eligible(winner, &listing).await;
    market.eligible(next, &listing).await;
    let session = market.bidding(&listing).await;
    market.bid(next, &session, steps(0)).await;
    market.bid(winner, &session, steps(1)).await;
    market.pass(market.stage.client.now().plus_seconds(FREE_SECONDS + TIMED_SECONDS)).await;
    market.until_session(&session, "SOLD").await;
    let award = market.award(&listing).await;
    for person in [&market.staff.reviewer, &market.staff.qualifier] {
        made(person, "confirmAward", "award", json!({ "awardId": award["id"] })).await;
    }
    market.until_application(&application, "WON").await;
    (listing, award, application)
}

/// The ledger has ended the deal, and the auction cannot end the award: the deal is neither paid any more nor declared in
/// default again, and yet the lot passes on as soon as it can, over a restart too.
async fn a_declared_default_is_carried_out_by_itself(mut exchange: Exchange) {
    let market = Market::open(&exchange, 2).await;
    let [winner, next] = &market.buyers[..] else { panic!() };
    let (listing, award, application) = confirmed(&market).await;
    let deal = market.deal(&listing).await;
    market.signed(winner, &deal["contractId"]).await;
    let price = &deal["price"];
    let register = json!({ "contractId": deal["contractId"], "kind": "ASSIGNMENT", "contractAmount": price, "technicalAmount": price });
    made(&market.staff.registrar, "registerContract", "contract", register).await;
    market.staff.receive(&market.stage, winner, steps(1)).await.unwrap();

    let bolt = Bolt::draw(&exchange).await;
    let blame = json!({ "awardId": award["id"], "reason": "逾期未付款" });
    let selection = "award { id status defaultDeclaredAt defaultHindrance }";
    let declared = did(&market.staff.qualifier, "declareDefault", selection, blame).await;
    assert_eq!((&declared["status"], &declared["defaultHindrance"]), (&json!("CONFIRMED"), &json!("UNAVAILABLE")));
    let stuck = read(&market, &award).await;
    assert_eq!((&stuck["status"], &stuck["defaultDeclaredAt"]), (&json!("CONFIRMED"), &declared["defaultDeclaredAt"]));
    assert!(stuck["defaultDeclaredAt"].is_string());
    let ended = no("DEAL_CANCELLED", "dealId").by("SM-5b");
    refused(&market.staff.cashier, "settle", json!({ "dealId": deal["id"] }), ended).await;
    tokio::task::block_in_place(|| exchange.kill_and_restart("auction"));
    assert_eq!(read(&market, &award).await["status"], "CONFIRMED");
    bolt.lift().await;

    market.until_application(&application, "FORFEITED").await;
    let done = read(&market, &award).await;
    assert_eq!((&done["status"], &done["defaultHindrance"]), (&json!("DEFAULTED"), &Value::Null));
    market.until_listing(&listing, "BIDDING").await;
    let follows = market.award(&listing).await;
    assert_eq!((&follows["winnerId"], &follows["price"]), (&json!(next.id), &json!(steps(0).to_string())));
    for person in [&market.staff.reviewer, &market.staff.qualifier] {
        made(person, "confirmAward", "award", json!({ "awardId": follows["id"] })).await;
    }
    market.until_listing(&listing, "TRANSFEREE_FIXED").await;
    let deal = market.deal(&listing).await;
    market.settled(next, &listing, &deal).await;
    market.ledger_is_sound().await;
}

async fn read(market: &Market, award: &Value) -> Value {
    let ask = || async { Ok(market.staff.reviewer.glance(AWARD, json!({ "id": award["id"] })).await.ok()) };
    market.stage.until("the award", ask).await.unwrap()["award"].clone()
}

/// Costs, then the price gap, then other debts; each step has its time and its person, and nothing is left or made.
async fn a_lost_deposit_is_given_out_to_the_last_fen(exchange: Exchange) {
    let market = Market::open(&exchange, 3).await;
    let [winner, next, creditor] = &market.buyers[..] else { panic!() };
    let (_, award, application) = confirmed(&market).await;
    let blame = json!({ "awardId": award["id"], "reason": "逾期未签约" });
    made(&market.staff.qualifier, "declareDefault", "award", blame).await;
    market.until_application(&application, "FORFEITED").await;
    assert_eq!(market.account(winner).await, (Money::ZERO, Money::ZERO));

    let first = &market.staff.cashier;
    let hub = market.hub().await;
    let second = hub.hire(&market.stage, Who { zh: "复核", en: "second cashier" }, &["CASHIER"]).await.unwrap();
    let (to_university, to_creditor) = (Money(7_000_001), Money(1_876_543));
    let debts = json!([
        { "organizationId": market.university.id, "amount": to_university.to_string(), "ground": "约定违约金" },
        { "organizationId": creditor.id, "amount": to_creditor.to_string(), "ground": "欠付评估费" },
    ]);
    let pay = json!({ "transferApplicationId": application, "debts": debts });
    let early = no("ILLEGAL_TRANSITION", "transferApplicationId").by("SM-4").accepting("DISTRIBUTED");
    refused(&second, "payForfeitDebts", pay.clone(), early).await;
    let costs = Money(123_456);
    let given = json!({ "transferApplicationId": application, "costs": costs.to_string() });
    let given = did(first, "distributeForfeit", FORFEITURE, given).await;
    assert_eq!((&given["status"], &given["gapPaid"]), (&json!("DISTRIBUTED"), &json!(INCREMENT.to_string())));
    let rest = DEPOSIT.minus(costs).unwrap().minus(INCREMENT).unwrap();
    assert_eq!((given.money_at("/remainder").unwrap(), rest), (rest, to_university.plus(to_creditor).unwrap()));

    what_it_refuses(&market, (first, &second), &pay).await;
    let closed = did(&second, "payForfeitDebts", FORFEITURE, pay.clone()).await;
    assert_eq!((&closed["status"], &closed["remainder"]), (&json!("CLOSED"), &json!("0.00")));
    assert_eq!((&closed["debts"], &closed["availableTransitions"]), (&debts, &json!([])));
    let again = no("ALREADY_DISTRIBUTED", "transferApplicationId").by("SM-4");
    refused(&second, "payForfeitDebts", pay, again).await;

    let whole = |money: Money| (money, Money::ZERO);
    assert_eq!(market.account(&market.university).await, whole(INCREMENT.plus(to_university).unwrap()));
    assert_eq!(market.account(creditor).await, whole(to_creditor));
    assert_eq!(market.account(next).await, (DEPOSIT, DEPOSIT), "the next bidder's answers for its own award");
    market.ledger_is_sound().await;
}

async fn what_it_refuses(market: &Market, (first, second): (&Person, &Person), pay: &Value) {
    let [winner, _, creditor] = &market.buyers[..] else { panic!() };
    let refuse = |input: Value, expected| refused(second, "payForfeitDebts", input, expected);
    let one = |organization: &str, amount: &str| {
        with(pay, "debts", json!([{ "organizationId": organization, "amount": amount, "ground": "欠付评估费" }]))
    };
    let rest = no("AMOUNT_OUT_OF_RANGE", "debts").by("SM-4").accepting("88765.44");
    for amount in ["88765.43", "88765.45", "0.01"] {
        refuse(one(&creditor.id, amount), rest).await;
    }
    let nothing = no("AMOUNT_OUT_OF_RANGE", "debts.0.amount").by("SM-4").accepting("> 0.00");
    for amount in ["0.00", "-1.00"] {
        refuse(one(&creditor.id, amount), nothing).await;
    }
    refuse(one(&winner.id, "88765.44"), no("INVALID_INPUT", "debts.0.organizationId").by("SM-4")).await;
    refuse(one(&unknown("organization"), "88765.44"), no("NOT_FOUND", "debts.0.organizationId")).await;
    refuse(with(pay, "debts", json!([])), no("INVALID_INPUT", "debts").by("SM-4").accepting("1–20")).await;
    let same = no("SAME_PERSON", "transferApplicationId").by("SM-4");
    refused(first, "payForfeitDebts", pay.clone(), same).await;
    let forbidden = no("FORBIDDEN", "").accepting("CASHIER");
    for person in [&market.staff.qualifier, &winner.person, &market.university.person] {
        refused(person, "payForfeitDebts", pay.clone(), forbidden).await;
    }
    refused_as_missing(
        second,
        "payForfeitDebts",
        with(pay, "transferApplicationId", unknown("application")),
        "transferApplicationId",
    )
    .await;
}
