//! Every refusal says why, in two languages, at which field and by which rule; it changes nothing, and it tells nothing
//! that the caller may not know.

use exchange_tests::Exchange;
use jishi::demo::{
    Fields,
    person::{Person, fresh_key},
    timeline::Who,
};
use kernel::Money;
use serde_json::{Value, json};

use super::{
    market::{DEPOSIT, Market, made},
    refusal::{no, read, reads_as_missing, refused, refused_as_malformed, refused_as_missing, unknown, with},
};

lanes! { coming_in listing applying }

async fn coming_in(exchange: Exchange) {
    let market = Market::open(&exchange, 1).await;
    let [buyer] = &market.buyers[..] else { panic!() };
    let client = &market.stage.client;
    let who = Who { zh: "新人", en: "newcomer" };
    let newcomer = Person::new(client, who, format!("new-{}", fresh_key()), "correct horse battery");
    newcomer.sign_up("王·小明").await.unwrap();

    signing_up(&newcomer).await;
    // The check character of a real code is wrong by one.
    let organization = json!({
        "name": "巴山新能源有限公司", "kind": "ENTERPRISE", "usci": "91110000600037341N", "region": "510100",
        "legalRepresentative": "王·小明", "industry": "D44",
    });
    refused(&newcomer, "registerOrganization", organization.clone(), no("INVALID_USCI", "usci").by("GB 32100-2015"))
        .await;
    let sound = with(&organization, "usci", "91110000600037341L");
    for (field, value, code) in [
        ("name", "长".repeat(100_000 / 3), "TEXT_TOO_LONG"),
        ("name", "巴山\u{0}新能源".into(), "TEXT_UNSAFE"),
        ("name", "巴山\u{2067}新能源".into(), "TEXT_UNSAFE"),
        ("name", "巴\u{200b}山".into(), "TEXT_UNSAFE"),
        ("kind", "EXCHANGE_CENTRE".into(), "FORBIDDEN"),
        ("legalRepresentative", " ".into(), "REQUIRED"),
        ("centreId", unknown("organization"), "NOT_FOUND"),
    ] {
        refused(&newcomer, "registerOrganization", with(&sound, field, value), no(code, field)).await;
    }
    for (field, value, expected) in [
        ("region", "51", no("INVALID_REGION", "region").by("GB/T 2260")),
        ("region", "990100", no("INVALID_REGION", "region").by("GB/T 2260")),
        ("industry", "C44", no("INVALID_INDUSTRY", "industry").by("GB/T 4754-2017")),
    ] {
        refused(&newcomer, "registerOrganization", with(&sound, field, value), expected).await;
    }
    let viewer = newcomer.glance("{ viewer { memberships { organizationId } } }", json!({})).await.unwrap();
    assert_eq!(viewer["viewer"]["memberships"], json!([]), "a refused registration left something behind");

    let made = newcomer.act("registerOrganization", "organization { id status }", sound.clone()).await.unwrap();
    newcomer.refresh_login().await.unwrap();
    refused(&newcomer, "registerOrganization", sound, no("ALREADY_EXISTS", "usci")).await;
    let verify = json!({ "organizationId": made["id"], "approve": true, "evidence": "证照齐全" });
    refused(&newcomer, "verifyOrganization", verify.clone(), no("FORBIDDEN", "").accepting("REVIEWER")).await;
    refused_as_missing(&buyer.person, "verifyOrganization", verify, "organizationId").await;
    let drafted = with(&market.draft(), "organizationId", made["id"].clone());
    refused(&newcomer, "createListing", drafted, no("ORGANIZATION_NOT_VERIFIED", "organizationId")).await;
    let member = json!({ "organizationId": made["id"], "login": newcomer.login, "roles": ["BROKER"] });
    refused_as_missing(&buyer.person, "inviteMember", member.clone(), "organizationId").await;
    refused(
        &newcomer,
        "inviteMember",
        with(&member, "roles", json!(["REVIEWER"])),
        no("INVALID_INPUT", "roles").accepting("BROKER"),
    )
    .await;

    // Who judges does not belong to the judged.
    let input = json!({ "organizationId": made["id"], "login": "reviewer", "roles": ["BROKER"] });
    let invited = newcomer.act("inviteMember", "invitation { id }", input).await.unwrap();
    market.staff.reviewer.accept(invited.text_at("/id").unwrap()).await.unwrap();
    let verify = json!({ "organizationId": made["id"], "approve": true, "evidence": "证照齐全" });
    refused(&market.staff.reviewer, "verifyOrganization", verify, no("SAME_PERSON", "organizationId")).await;
    let read = newcomer
        .glance("query O($id: ID!) { organization(id: $id) { status } }", json!({ "id": made["id"] }))
        .await
        .unwrap();
    assert_eq!(read["organization"]["status"], "APPLIED");
}

async fn signing_up(newcomer: &Person) {
    let sign_up = json!({ "login": newcomer.login, "password": "correct horse battery", "name": "王" });
    refused(newcomer, "signUp", sign_up.clone(), no("LOGIN_TAKEN", "login")).await;
    let other = with(&sign_up, "login", format!("o-{}", fresh_key()));
    refused(newcomer, "signUp", with(&other, "password", "short"), no("WEAK_PASSWORD", "password").accepting("10"))
        .await;
    for (name, code) in [
        ("a\u{0}b", "TEXT_UNSAFE"),
        ("a\u{202e}b", "TEXT_UNSAFE"),
        ("  ", "REQUIRED"),
        (&*"名".repeat(200), "TEXT_TOO_LONG"),
    ] {
        refused(newcomer, "signUp", with(&other, "name", name), no(code, "name")).await;
    }
    let wrong = json!({ "login": newcomer.login, "password": "wrong password" });
    let absent = json!({ "login": "nobody-at-all", "password": "wrong password" });
    let known = refused(newcomer, "signIn", wrong, no("BAD_CREDENTIALS", "")).await;
    assert_eq!(known, refused(newcomer, "signIn", absent, no("BAD_CREDENTIALS", "")).await);
}

async fn listing(exchange: Exchange) {
    let market = Market::open(&exchange, 1).await;
    let (draft, broker, rival) = (market.draft(), &market.broker, &market.buyers[0]);
    drafting(&market).await;
    let id = made(broker, "createListing", "listing", draft.clone()).await["id"].clone();
    let (named, decide) = (json!({ "listingId": id }), json!({ "listingId": id, "decision": "APPROVE" }));
    let illegal = no("ILLEGAL_TRANSITION", "");
    refused(&market.staff.reviewer, "reviewListing", decide.clone(), illegal.accepting("SUBMITTED")).await;
    refused_as_missing(&rival.person, "submitListing", named.clone(), "listingId").await;
    refused_as_missing(&rival.person, "reviewListing", decide.clone(), "listingId").await;
    refused_as_missing(
        &rival.person,
        "applyForTransfer",
        with(&named, "organizationId", rival.id.clone()),
        "listingId",
    )
    .await;
    reads_as_missing(&rival.person, "query L($id: ID!) { listing(id: $id) { id } }", id.as_str().unwrap()).await;
    refused(&market.signatory, "submitListing", named.clone(), no("FORBIDDEN", "listingId").accepting("BROKER")).await;
    stands(&market, &id, "DRAFT").await;
    made(broker, "submitListing", "listing", named.clone()).await;
    refused(broker, "submitListing", named, illegal.accepting("DISCLOSED")).await;
    refused(broker, "reviewListing", decide.clone(), no("FORBIDDEN", "").accepting("REVIEWER")).await;
    refused(&market.staff.qualifier, "reviewListing", decide.clone(), no("FORBIDDEN", "").accepting("REVIEWER")).await;
    refused(&market.staff.reviewer, "reviewListing", with(&decide, "decision", "RETURN"), no("REQUIRED", "note")).await;

    // Whoever handed it in does not review it.
    let invited = market.university.invite("reviewer", &["TRANSFEROR"]).await.unwrap();
    market.staff.reviewer.accept(&invited).await.unwrap();
    let own = made(&market.staff.reviewer, "createListing", "listing", draft).await["id"].clone();
    made(&market.staff.reviewer, "submitListing", "listing", json!({ "listingId": own })).await;
    for listing in [&own, &id] {
        refused(
            &market.staff.reviewer,
            "reviewListing",
            with(&decide, "listingId", listing.clone()),
            no("SAME_PERSON", "").by("SM-3"),
        )
        .await;
        stands(&market, listing, "SUBMITTED").await;
    }
}

/// No draft breaks a rule, and none comes from outside.
async fn drafting(market: &Market) {
    let (draft, broker, rival) = (market.draft(), &market.broker, &market.buyers[0]);
    for (field, value, expected) in [
        ("floorPrice", "0", no("FLOOR_NOT_POSITIVE", "floorPrice").by("SM-3").accepting("0.01")),
        ("floorPrice", "-1.00", no("FLOOR_NOT_POSITIVE", "floorPrice").by("SM-3").accepting("0.01")),
        ("deposit", "150000.01", no("DEPOSIT_ABOVE_CAP", "deposit").by("G10").accepting("≤ 150000.00")),
        ("deposit", "0.00", no("AMOUNT_OUT_OF_RANGE", "deposit").by("G10")),
        ("increment", "0.00", no("INCREMENT_NOT_POSITIVE", "increment").by("SM-5")),
        ("increment", "-0.01", no("INCREMENT_NOT_POSITIVE", "increment").by("SM-5")),
        ("title", "一", no("REQUIRED", "title")),
        ("title", "抗\u{0}体", no("TEXT_UNSAFE", "title")),
        ("title", "抗体\u{202e}药", no("TEXT_UNSAFE", "title")),
        ("organizationId", &unknown("organization"), no("NOT_FOUND", "organizationId")),
        ("organizationId", &unknown("listing"), no("INVALID_ID", "organizationId").accepting("organization_")),
        ("organizationId", "1 OR 1=1", no("INVALID_ID", "organizationId")),
        ("achievementId", &unknown("achievement"), no("NOT_FOUND", "achievementId")),
    ] {
        refused(broker, "createListing", with(&draft, field, value), expected).await;
    }
    for (field, value, expected) in [
        ("disclosureDays", json!(4), no("PERIOD_TOO_SHORT", "disclosureDays").by("G3").accepting("≥ 5")),
        ("freeSeconds", json!(1), no("PERIOD_OUT_OF_RANGE", "freeSeconds").by("SM-5")),
        ("timedSeconds", json!(86_400), no("PERIOD_OUT_OF_RANGE", "timedSeconds").by("SM-5")),
        ("secret", json!(true), no("SECRET_NOT_ALLOWED", "secret").by("SM-1")),
        ("title", json!("长".repeat(100_000 / 3)), no("TEXT_TOO_LONG", "title")),
    ] {
        refused(broker, "createListing", with(&draft, field, value), expected).await;
    }
    let dearer = with(&draft, "floorPrice", "1000000.01");
    refused(broker, "createListing", dearer, no("PERIOD_TOO_SHORT", "disclosureDays").by("G3").accepting("≥ 10")).await;
    for amount in [
        json!("1.005"),
        json!(500_000),
        json!(0.1),
        json!("1e3"),
        json!("1,000.00"),
        json!("１００"),
        json!(" 1"),
        Value::Null,
    ] {
        refused_as_malformed(broker, "createListing", with(&draft, "floorPrice", amount)).await;
    }
    refused(&market.signatory, "createListing", draft.clone(), no("FORBIDDEN", "organizationId").accepting("BROKER"))
        .await;
    refused_as_missing(&rival.person, "createListing", draft.clone(), "organizationId").await;
    assert_eq!(listings(market).await, 0, "a refused draft was kept");
}

async fn listings(market: &Market) -> i64 {
    let query = "query C($id: ID!) { listings(organizationId: $id) { totalCount } }";
    let read = market.broker.glance(query, json!({ "id": market.university.id })).await.unwrap();
    read.number_at("/listings/totalCount").unwrap()
}

async fn stands(market: &Market, listing: &Value, status: &str) {
    let read = market
        .broker
        .glance("query L($id: ID!) { listing(id: $id) { status } }", json!({ "id": listing }))
        .await
        .unwrap();
    assert_eq!(read["listing"]["status"], status);
}

async fn applying(exchange: Exchange) {
    let market = Market::open(&exchange, 2).await;
    let [buyer, rival] = &market.buyers[..] else { panic!() };
    let qualifier = &market.staff.qualifier;
    let listing = market.disclosed(market.draft()).await;
    let apply = json!({ "listingId": listing.id, "organizationId": buyer.id });
    let own = with(&apply, "organizationId", market.university.id.clone());
    refused(&market.university.person, "applyForTransfer", own, no("OWN_LISTING", "organizationId").by("SM-5")).await;
    refused_as_missing(&rival.person, "applyForTransfer", apply.clone(), "organizationId").await;
    let application = market.apply(buyer, &listing).await;
    refused(&buyer.person, "applyForTransfer", apply, no("ALREADY_APPLIED", "organizationId").by("SM-4")).await;

    let (named, review) = (
        json!({ "transferApplicationId": application }),
        json!({ "transferApplicationId": application, "approve": true }),
    );
    let due = "transferApplicationId";
    reads_as_missing(&rival.person, "query A($id: ID!) { transferApplication(id: $id) { id status } }", &application)
        .await;
    refused_as_missing(&rival.person, "reviewTransferApplication", review.clone(), due).await;
    refused_as_missing(&rival.person, "payDeposit", named.clone(), due).await;
    refused(&buyer.person, "reviewTransferApplication", review.clone(), no("FORBIDDEN", "").accepting("QUALIFIER"))
        .await;
    refused(qualifier, "reviewTransferApplication", with(&review, "approve", false), no("REQUIRED", "note")).await;
    refused(&buyer.person, "payDeposit", named.clone(), no("DEPOSIT_NOT_DUE", due).by("SM-4")).await;
    made(qualifier, "reviewTransferApplication", "transferApplication", review.clone()).await;
    refused(qualifier, "reviewTransferApplication", review, no("ILLEGAL_TRANSITION", "").accepting("ELIGIBLE")).await;
    refused(&buyer.person, "payDeposit", named.clone(), no("INSUFFICIENT_FUNDS", due).by("SM-4")).await;

    receiving(&market, &application).await;
    made(&buyer.person, "payDeposit", "deposit", named.clone()).await;
    market.until_application(&application, "ELIGIBLE").await;
    refused(&buyer.person, "payDeposit", named, no("DEPOSIT_PAID", due).by("SM-4")).await;
    assert_eq!(market.account(buyer).await, (DEPOSIT, DEPOSIT));

    let session = json!({ "listingId": listing.id, "startsAt": listing.ends_at.plus_seconds(60).to_string() });
    let verb = "scheduleBidding";
    refused(&buyer.person, verb, session.clone(), no("FORBIDDEN", "").accepting("QUALIFIER")).await;
    refused(qualifier, verb, session.clone(), no("DISCLOSURE_RUNNING", "listingId").by("SM-3").accepting("≥")).await;
    refused(qualifier, verb, with(&session, "listingId", unknown("listing")), no("NOT_FOUND", "listingId")).await;
    market.pass(listing.ends_at).await;
    refused(qualifier, verb, session, no("TOO_FEW_BIDDERS", "listingId").by("SM-5").accepting("quoteAsSoleBidder"))
        .await;
    let late = json!({ "listingId": listing.id, "organizationId": rival.id });
    refused(&rival.person, "applyForTransfer", late, no("LISTING_NOT_DISCLOSED", "listingId").by("SM-4")).await;
    stands(&market, &json!(listing.id), "PERIOD_ENDED").await;
    market.ledger_is_sound().await;
}

/// Money comes in once, from the cashier, as the bank says.
async fn receiving(market: &Market, application: &str) {
    let ([buyer, rival], cashier) = (&market.buyers[..], &market.staff.cashier) else { panic!() };
    let receipt = json!({
        "organizationId": buyer.id, "amount": DEPOSIT.to_string(), "bankReference": fresh_key(),
        "receivedAt": market.stage.client.now().plus_seconds(-60).to_string(),
    });
    let record = "recordBankReceipt";
    refused(&buyer.person, record, receipt.clone(), no("FORBIDDEN", "").accepting("CASHIER")).await;
    let late = market.stage.client.now().plus_seconds(3_600).to_string();
    for (field, value, code) in [
        ("amount", "0.00", "AMOUNT_OUT_OF_RANGE"),
        ("amount", "-100.00", "AMOUNT_OUT_OF_RANGE"),
        ("amount", "99999999999999.00", "AMOUNT_OUT_OF_RANGE"),
        ("bankReference", "12\u{0}345", "TEXT_UNSAFE"),
        ("receivedAt", &late, "INVALID_INPUT"),
        ("organizationId", &unknown("organization"), "NOT_FOUND"),
        ("organizationId", application, "INVALID_ID"),
    ] {
        refused(cashier, record, with(&receipt, field, value), no(code, field)).await;
    }
    refused_as_malformed(cashier, record, with(&receipt, "amount", "100.001")).await;
    assert_eq!(market.account(buyer).await, (Money::ZERO, Money::ZERO), "a refused receipt was credited");
    made(cashier, record, "bankReceipt", receipt.clone()).await;
    refused(cashier, record, receipt.clone(), no("DUPLICATE_RECEIPT", "bankReference")).await;
    refused(
        cashier,
        record,
        with(&receipt, "organizationId", rival.id.clone()),
        no("DUPLICATE_RECEIPT", "bankReference"),
    )
    .await;
    assert_eq!(market.account(buyer).await, (DEPOSIT, Money::ZERO));
    let of = "query G($id: ID!) { ledgerAccount(organizationId: $id) { id balance } }";
    let account = read(&buyer.person, of, &buyer.id).await["data"]["ledgerAccount"]["id"].as_str().unwrap().to_owned();
    reads_as_missing(&rival.person, "query G($id: ID!) { ledgerAccount(id: $id) { balance } }", &account).await;
    assert_eq!(read(&rival.person, of, &buyer.id).await, read(&rival.person, of, &unknown("organization")).await);
}
