use kernel::Money;
use serde_json::{Value, json};

use super::{
    Outcome, Parties,
    bidding::Sale,
    offer::{Eligible, Offer},
};
use crate::demo::{
    Error, Fields, Result,
    cast::{House, yuan},
    check::{self, Check, Decision},
    person::Person,
    stage::Stage,
    timeline::EXCHANGE,
};

/// What the winner owes and to whom.
struct Agreed {
    award_id: String,
    deal_id: String,
    contract_id: String,
    price: Money,
    decided: Value,
}

const CONTRACT: &str = "contract { id status documentHash signatures { organizationId documentHash signedAt } \
                        certificate { number kind contractAmount technicalAmount registeredAt hash } }";

/// From the award to the last check.
pub async fn close(
    stage: &Stage<'_>,
    parties: &Parties,
    offer: &Offer,
    (eligible, sale): (&[Eligible; 3], Sale),
) -> Result<Outcome> {
    let code = sale.sold.text_at("/bidderCode")?.to_owned();
    let mut candidates = parties.bidders.iter().zip(eligible);
    let winner = candidates.find(|(_, eligible)| eligible.code == code).map(|(house, _)| house);
    let winner = winner.ok_or_else(|| Error::answer("a winner among the eligible", sale.sold.clone()))?;
    let agreed = award(stage, parties, offer, winner).await?;
    contract(stage, parties, winner, &agreed).await?;
    let settlement = settle(stage, parties, offer, (winner, &agreed)).await?;

    let mut checks = sale.checks.clone();
    checks.extend(recomputed(parties, &sale, &agreed).await?);
    checks.extend(in_order(parties, &sale).await?);
    checks.extend(money(parties, offer, (winner, &settlement), &agreed).await?);
    checks.extend(released(parties, eligible, winner).await?);
    checks.push(hidden(parties, offer).await?);
    checks.extend(check::ledger(&parties.staff.cashier).await?);
    Ok(Outcome {
        listing_id: offer.listing_id.clone(),
        session_id: sale.session_id,
        award_id: agreed.award_id,
        deal_id: agreed.deal_id,
        contract_id: agreed.contract_id,
        transferor_id: parties.university.id.clone(),
        winner_id: winner.id.clone(),
        winner_code: code,
        price: agreed.price,
        ended_at: sale.sold.instant_at("/at")?,
        receipts: sale.receipts,
        watched: sale.feed.events,
        retries: stage.client.retries(),
        checks,
    })
}

/// Two different persons confirm; the deal follows by itself.
async fn award(stage: &Stage<'_>, parties: &Parties, offer: &Offer, winner: &House) -> Result<Agreed> {
    stage.timeline.chapter("确定受让方", "the award");
    let (reviewer, qualifier) = (&parties.staff.reviewer, &parties.staff.qualifier);
    let query =
        "query Award($id: ID!) { award(listingId: $id) { id status price winnerId decidedAt winner { name } } }";
    let ask = || async {
        let read = reviewer.glance(query, json!({ "id": offer.listing_id })).await?;
        Ok(Some(read.at("/award")?.clone()).filter(|award| !award.is_null()))
    };
    let decided = stage.until("the award of the sale", ask).await?;
    reviewer.read(query, json!({ "id": offer.listing_id })).await?;
    let award_id = decided.text_at("/id")?.to_owned();
    let price = decided.money_at("/price")?;
    let input = json!({ "awardId": award_id });
    let confirmed = reviewer.act("confirmAward", "award { id status }", input.clone()).await?;
    let result = format!("{}，{}", confirmed.text_at("/status")?, yuan(price));
    stage.tell(reviewer.who, "确认成交结果", "confirms the award", result);
    let refused = reviewer.refused("confirmAward", input.clone(), "SAME_PERSON").await?;
    stage.tell(reviewer.who, "同一人再次确认", "confirms a second time", refused.to_string());
    let confirmed = qualifier.act("confirmAward", "award { id status }", input).await?;
    let result = format!("{}，受让方 {}", confirmed.text_at("/status")?, winner.name);
    stage.tell(qualifier.who, "另一人确认", "another person confirms", result);

    let query = "query Deal($id: ID!) { deal(listingId: $id) { id status price contractId } }";
    let ask = || async {
        let read = reviewer.glance(query, json!({ "id": offer.listing_id })).await?;
        Ok(Some(read.at("/deal")?.clone()).filter(|deal| !deal.is_null()))
    };
    let deal = stage.until("the deal of the award", ask).await?;
    let (deal_id, contract_id) = (deal.text_at("/id")?.to_owned(), deal.text_at("/contractId")?.to_owned());
    Ok(Agreed { award_id, deal_id, contract_id, price, decided })
}

/// Both sides read and sign, the registrar recognizes and registers.
async fn contract(stage: &Stage<'_>, parties: &Parties, winner: &House, agreed: &Agreed) -> Result<()> {
    stage.timeline.chapter("签约与认定登记", "contract and registration");
    let registrar = &parties.staff.registrar;
    let equipment = Money(2_000_000);
    let input = json!({
        "contractId": agreed.contract_id,
        "kind": "ASSIGNMENT",
        "contractAmount": agreed.price.to_string(),
        "technicalAmount": agreed.price.minus(equipment)?.to_string(),
    });
    let early = registrar.refused("registerContract", input.clone(), "CONTRACT_NOT_SIGNED").await?;
    stage.tell(registrar.who, "登记未签署的合同", "registers before the signatures", early.to_string());
    let sides = [(&parties.signatory, &parties.university), (&winner.person, winner)];
    let [(signatory, university), _] = sides;
    let wrong =
        json!({ "contractId": agreed.contract_id, "organizationId": university.id, "documentHash": "0".repeat(64) });
    let refused = signatory.refused("signContract", wrong, "DOCUMENT_CHANGED").await?;
    stage.tell(signatory.who, "签署另一份文本的摘要", "signs the hash of another text", refused.to_string());
    for (person, house) in sides {
        sign(stage, person, house, &agreed.contract_id).await?;
    }
    let unsettled = json!({ "dealId": agreed.deal_id });
    let early = parties.staff.cashier.refused("settle", unsettled, "CONTRACT_NOT_REGISTERED").await?;
    stage.tell(parties.staff.cashier.who, "合同登记前结算", "settles before registration", early.to_string());
    let registered = registrar.act("registerContract", CONTRACT, input).await?;
    let result = format!("REGISTERED 登记号 {}", registered.text_at("/certificate/number")?);
    stage.tell(registrar.who, "认定登记，出具登记证明", "recognizes and registers the contract", result);
    Ok(())
}

async fn sign(stage: &Stage<'_>, person: &Person, house: &House, contract_id: &str) -> Result<()> {
    let query = "query Contract($id: ID!) { contract(id: $id) { id status document documentHash } }";
    let read = person.read(query, json!({ "id": contract_id })).await?;
    let hash = read.text_at("/contract/documentHash")?;
    let input = json!({ "contractId": contract_id, "organizationId": house.id, "documentHash": hash });
    let signed = person.act("signContract", CONTRACT, input).await?;
    let short: String = hash.chars().take(12).collect();
    let result = format!("{} 文本摘要 {short}…", signed.text_at("/status")?);
    stage.tell(person.who, "阅读合同并签署", "reads the contract and signs", result);
    Ok(())
}

/// The rest of the price arrives, and everything moves in one transaction.
async fn settle(
    stage: &Stage<'_>,
    parties: &Parties,
    offer: &Offer,
    (winner, agreed): (&House, &Agreed),
) -> Result<Value> {
    stage.timeline.chapter("价款结算", "settlement");
    let cashier = &parties.staff.cashier;
    let input = json!({ "dealId": agreed.deal_id });
    let refused = cashier.refused("settle", input.clone(), "INSUFFICIENT_FUNDS").await?;
    stage.tell(cashier.who, "余款未到即结算", "settles before the rest has come", refused.to_string());
    parties.staff.receive(stage, winner, agreed.price.minus(offer.deposit)?).await?;
    let selection = "settlement { id price fee paidToTransferor depositApplied depositsReleased settledAt }";
    let settlement = cashier.act("settle", selection, input.clone()).await?;
    let [fee, paid] = [settlement.money_at("/fee")?, settlement.money_at("/paidToTransferor")?];
    let result = format!("转让方实得 {}，服务费 {}", yuan(paid), yuan(fee));
    stage.tell(cashier.who, "付清价款，退其余保证金", "settles: price paid, other deposits released", result);
    let again = cashier.refused("settle", input, "ALREADY_SETTLED").await?;
    stage.tell(cashier.who, "再次结算", "settles again", again.to_string());

    let query = "query Listing($id: ID!) { listing(id: $id) { id title status award { status price } deal { status contract { status certificate { number } } } } }";
    let ask = || async {
        let read = cashier.glance(query, json!({ "id": offer.listing_id })).await?;
        let settled =
            ["/listing/status", "/listing/deal/status"].iter().all(|at| read.text_at(at).ok() == Some("SETTLED"));
        Ok(settled.then_some(()))
    };
    stage.until("the listing to be SETTLED", ask).await?;
    cashier.read(query, json!({ "id": offer.listing_id })).await?;
    stage.tell(EXCHANGE, "项目完成", "the listing is done", "SETTLED");
    Ok(settlement)
}

/// The award follows from the published log alone (promise P-2).
async fn recomputed(parties: &Parties, sale: &Sale, agreed: &Agreed) -> Result<[Check; 1]> {
    let session = parties.broker.read(check::SESSION, json!({ "id": sale.session_id })).await?;
    let log = check::read_log(&parties.broker, &sale.session_id).await?;
    let decided = Decision {
        code: sale.sold.text_at("/bidderCode")?.to_owned(),
        price: agreed.price,
        end: agreed.decided.instant_at("/decidedAt")?,
    };
    let again = Decision::of(check::recompute(session.at("/biddingSession")?, &log)?);
    let again = again.map_or_else(|| "no sale".to_owned(), |again| again.to_string());
    Ok([Check::equal("由公开日志重算成交结果", "the award recomputed from the log", again, decided)])
}

/// Nothing is missing: not in the feed, and no acknowledged bid in the log (promise P-1).
async fn in_order(parties: &Parties, sale: &Sale) -> Result<[Check; 2]> {
    let log = check::read_log(&parties.broker, &sale.session_id).await?;
    let first = sale.feed.snapshot.number_at("/seq")?;
    let watched: Vec<i64> = (1..=first).chain(check::numbers(&sale.feed.events)).collect();
    let holes = watched.iter().zip(1..).filter(|(seq, expected)| *seq != expected).count();
    let complete = holes == 0 && watched == check::numbers(&log);
    let found = format!("1–{}，{} 条线路", watched.len(), sale.feed.lines);
    let feed = Check {
        zh: "直播序号连续，与日志一致",
        en: "the feed has no hole and equals the log",
        passed: complete,
        found,
    };
    let same = |receipt: &Value, event: &Value| {
        event.get("kind") == Some(&json!("BID"))
            && ["seq", "bidderCode", "amount", "at", "closesAt"].iter().all(|name| receipt.get(name) == event.get(name))
    };
    let bids = log.iter().filter(|event| event.get("kind") == Some(&json!("BID"))).count();
    let kept =
        sale.receipts.iter().filter(|receipt| log.iter().filter(|event| same(receipt, event)).count() == 1).count();
    let passed = kept == sale.receipts.len() && bids == kept;
    let found = format!("{kept} / {}", sale.receipts.len());
    Ok([feed, Check { zh: "每个回执在日志中恰有一条", en: "each receipt stands in the log once", passed, found }])
}

/// Price less fee reaches the transferor, and nothing is left with the winner.
async fn money(
    parties: &Parties,
    offer: &Offer,
    (winner, settlement): (&House, &Value),
    agreed: &Agreed,
) -> Result<[Check; 4]> {
    let [price, fee] = ["/price", "/fee"].map(|at| settlement.money_at(at).unwrap_or_default());
    let cashier = &parties.staff.cashier;
    let transferor = account(cashier, &parties.university).await?;
    let transferee = account(cashier, winner).await?;
    let expected = price.minus(fee)?;
    let applied = settlement.money_at("/depositApplied")?;
    Ok([
        Check::equal("结算价等于成交价", "settled at the award's price", price, agreed.price),
        Check::equal(
            "转让方实得 = 价款 − 服务费",
            "the transferor has price less fee",
            transferor,
            format!("{expected} / 0.00"),
        ),
        Check::equal("受让方余额用尽", "nothing is left with the winner", transferee, "0.00 / 0.00"),
        Check::equal("保证金抵作价款", "the deposit went into the price", applied, offer.deposit),
    ])
}

/// Who lost has the whole deposit back.
async fn released(parties: &Parties, eligible: &[Eligible; 3], winner: &House) -> Result<Vec<Check>> {
    let query = "query Application($id: ID!) { transferApplication(id: $id) { status deposit } }";
    let mut checks = Vec::new();
    let losers = parties.bidders.iter().zip(eligible).filter(|(house, _)| house.id != winner.id);
    for (house, eligible) in losers {
        let application = house.person.read(query, json!({ "id": eligible.application_id })).await?;
        let account = account(&parties.staff.cashier, house).await?;
        let found = format!("{} {account}", application.text_at("/transferApplication/status")?);
        let expected = format!("REFUNDED {} / 0.00", application.text_at("/transferApplication/deposit")?);
        checks.push(Check::equal("未成交者保证金全退", "a loser's deposit is released", found, expected));
    }
    Ok(checks)
}

/// Who is no party to it finds no award (promise P-6).
async fn hidden(parties: &Parties, offer: &Offer) -> Result<Check> {
    let query = "query Award($id: ID!) { award(listingId: $id) { id price } }";
    let read = parties.unqualified.person.read(query, json!({ "id": offer.listing_id })).await?;
    Ok(Check::equal("旁人查不到成交结果", "strangers find no award", read.at("/award")?, Value::Null))
}

/// An organization's balance, and how much of it is held.
async fn account(cashier: &Person, house: &House) -> Result<String> {
    let query = "query Account($id: ID!) { ledgerAccount(organizationId: $id) { balance held available } }";
    let read = cashier.read(query, json!({ "id": house.id })).await?;
    Ok(format!("{} / {}", read.text_at("/ledgerAccount/balance")?, read.text_at("/ledgerAccount/held")?))
}
