use futures::future::try_join_all;
use kernel::{Instant, Money};
use serde_json::{Value, json};

use super::Parties;
use crate::demo::{
    Error, Fields, Result,
    cast::{House, yuan},
    stage::Stage,
    timeline::china_time,
};

/// A disclosed listing.
pub struct Offer {
    pub listing_id: String,
    pub floor: Money,
    pub deposit: Money,
    pub increment: Money,
    pub free_seconds: i64,
    pub disclosure_ends_at: Instant,
}

/// An applicant who may bid.
pub struct Eligible {
    pub application_id: String,
    pub code: String,
}

const FLOOR: Money = Money(80_000_000);
const DEPOSIT: Money = Money(20_000_000);
const ABOVE_CAP: Money = Money(30_000_000);
const INCREMENT: Money = Money(1_000_000);
const FREE_SECONDS: i64 = 600;

const LISTING: &str = "listing { id title status availableTransitions floorPrice deposit increment disclosedAt disclosureEndsAt rulesVersion }";
const APPLICATION: &str = "transferApplication { id status availableTransitions deposit bidderCode reviewNote }";

fn draft(parties: &Parties, deposit: Money) -> Value {
    json!({
        "organizationId": parties.university.id,
        "title": "高能量密度固态电池正极材料发明专利",
        "summary": "镍锰酸锂正极材料的表面包覆方法，循环两千次容量保持率九成以上；中试产线已运行一年。",
        "field": "NEW_MATERIALS",
        "stage": "PILOT",
        "conversionMode": "TRANSFER",
        "saleMethod": "ONLINE_BIDDING",
        "floorPrice": FLOOR.to_string(),
        "deposit": deposit.to_string(),
        "increment": INCREMENT.to_string(),
        "disclosureDays": 5,
        "freeSeconds": FREE_SECONDS,
        "timedSeconds": 180,
        "secret": false,
    })
}

/// The broker drafts and submits, the reviewer discloses.
pub async fn disclose(stage: &Stage<'_>, parties: &Parties) -> Result<Offer> {
    stage.timeline.chapter("挂牌与公开披露", "listing and disclosure");
    let (broker, reviewer) = (&parties.broker, &parties.staff.reviewer);
    let refused = broker.refused("createListing", draft(parties, ABOVE_CAP), "DEPOSIT_ABOVE_CAP").await?;
    stage.tell(broker.who, "起草挂牌，保证金定得过高", "drafts a listing with too high a deposit", refused.to_string());
    let drafted = broker.act("createListing", LISTING, draft(parties, DEPOSIT)).await?;
    let listing_id = drafted.text_at("/id")?.to_owned();
    let floor = format!("底价 {}，保证金 {}", yuan(FLOOR), yuan(DEPOSIT));
    stage.tell(broker.who, "改正后起草", "drafts it again", floor);
    broker.act("submitListing", LISTING, json!({ "listingId": listing_id })).await?;
    stage.tell(broker.who, "提交受理审核", "submits it for review", "SUBMITTED");
    let input = json!({ "listingId": listing_id, "decision": "APPROVE" });
    let disclosed = reviewer.act("reviewListing", LISTING, input).await?;
    if disclosed.text_at("/status")? != "DISCLOSED" {
        return Err(Error::answer("a disclosed listing", disclosed));
    }
    let disclosure_ends_at = disclosed.instant_at("/disclosureEndsAt")?;
    let until = format!("DISCLOSED 至 {}", china_time(disclosure_ends_at));
    stage.tell(reviewer.who, "受理通过，披露五个工作日", "approves; five working days of disclosure", until);
    let (floor, deposit, increment, free_seconds) = (FLOOR, DEPOSIT, INCREMENT, FREE_SECONDS);
    Ok(Offer { listing_id, floor, deposit, increment, free_seconds, disclosure_ends_at })
}

/// Four apply, three are confirmed and pay their deposits.
pub async fn qualify(stage: &Stage<'_>, parties: &Parties, offer: &Offer) -> Result<[Eligible; 3]> {
    stage.timeline.chapter("受让申请与保证金", "applications and deposits");
    let [a, b, c] = &parties.bidders;
    let mut applications = Vec::new();
    for house in [a, b, c, &parties.unqualified] {
        applications.push(apply(stage, house, offer).await?);
    }
    let input = json!({ "listingId": offer.listing_id, "organizationId": parties.university.id });
    let refused = parties.broker.refused("applyForTransfer", input, "OWN_LISTING").await?;
    stage.tell(parties.broker.who, "转让方申请受让自己的项目", "applies for the own listing", refused.to_string());
    let refused: [String; 4] = applications.try_into().map_err(|_| Error::Line("four apply".into()))?;
    let [first, second, third, fourth] = refused;
    review(stage, parties, [&first, &second, &third], &fourth).await?;

    let due = |application: &str| json!({ "transferApplicationId": application });
    let early = a.person.refused("payDeposit", due(&first), "INSUFFICIENT_FUNDS").await?;
    stage.tell(a.person.who, "资金未到账即缴保证金", "pays the deposit before any money is here", early.to_string());
    for house in &parties.bidders {
        parties.staff.receive(stage, house, offer.deposit).await?;
    }
    let paying = parties.bidders.iter().zip([&first, &second, &third]).map(|(house, application)| async move {
        let selection = "deposit { id amount status heldAt }";
        house.person.act("payDeposit", selection, json!({ "transferApplicationId": application })).await?;
        eligible(stage, house, application).await
    });
    let eligible = try_join_all(paying).await?;
    for (house, eligible) in parties.bidders.iter().zip(&eligible) {
        let result = format!("ELIGIBLE 竞买代码 {}", eligible.code);
        stage.tell(house.person.who, "冻结保证金，取得竞买资格", "deposit on hold, eligible to bid", result);
    }
    let not_due = parties.unqualified.person.refused("payDeposit", due(&fourth), "DEPOSIT_NOT_DUE").await?;
    stage.tell(
        parties.unqualified.person.who,
        "未获资格仍缴保证金",
        "pays although not qualified",
        not_due.to_string(),
    );
    eligible.try_into().map_err(|_| Error::Line("three are eligible".into()))
}

async fn apply(stage: &Stage<'_>, house: &House, offer: &Offer) -> Result<String> {
    let input = json!({ "listingId": offer.listing_id, "organizationId": house.id });
    let application = house.person.act("applyForTransfer", APPLICATION, input).await?;
    stage.tell(house.person.who, "登记受让意向", "applies for the transfer", application.text_at("/status")?);
    Ok(application.text_at("/id")?.to_owned())
}

async fn review(stage: &Stage<'_>, parties: &Parties, fit: [&String; 3], unfit: &str) -> Result<()> {
    let qualifier = &parties.staff.qualifier;
    for application in fit {
        let input = json!({ "transferApplicationId": application, "approve": true });
        qualifier.act("reviewTransferApplication", APPLICATION, input).await?;
    }
    stage.tell(qualifier.who, "确认三家的受让资格", "confirms three applicants", "DEPOSIT_DUE ×3");
    let note = "经营范围不含该技术的实施，未提交产业化方案 no plan for industrial use";
    let input = json!({ "transferApplicationId": unfit, "approve": false, "note": note });
    let rejected = qualifier.act("reviewTransferApplication", APPLICATION, input).await?;
    let result = format!("{}：{}", rejected.text_at("/status")?, rejected.text_at("/reviewNote")?);
    stage.tell(qualifier.who, "不予确认丁的资格", "refuses applicant D, with the reason", result);
    Ok(())
}

/// The hold reaches the catalog as an event, shortly after the payment is acknowledged.
async fn eligible(stage: &Stage<'_>, house: &House, application: &str) -> Result<Eligible> {
    let query = "query Application($id: ID!) { transferApplication(id: $id) { id status bidderCode } }";
    let ask = || async {
        let read = house.person.glance(query, json!({ "id": application })).await?;
        let application = read.at("/transferApplication")?;
        match application.text_at("/status")? {
            "ELIGIBLE" => application.text_at("/bidderCode").map(|code| Some(code.to_owned())),
            _ => Ok(None),
        }
    };
    let code = stage.until("eligibility after the deposit", ask).await?;
    Ok(Eligible { application_id: application.to_owned(), code })
}

/// The disclosure ends, and the qualifier schedules the bidding for the next morning.
pub async fn schedule(stage: &Stage<'_>, parties: &Parties, offer: &Offer) -> Result<(String, Instant)> {
    let qualifier = &parties.staff.qualifier;
    let starts_at = offer.disclosure_ends_at.plus_seconds(17 * 3_600);
    let input = json!({ "listingId": offer.listing_id, "startsAt": starts_at.to_string() });
    let early = qualifier.refused("scheduleBidding", input.clone(), "DISCLOSURE_RUNNING").await?;
    stage.tell(qualifier.who, "披露期内安排竞价", "schedules the bidding during disclosure", early.to_string());
    stage.wait_until(offer.disclosure_ends_at, "披露期满", "the end of disclosure").await?;
    stage.refresh_logins(qualifier, &parties.everybody()).await?;
    let selection = "biddingSession { id status startingPrice increment startsAt freeEndsAt timedSeconds bidderCount }";
    let session = qualifier.act("scheduleBidding", selection, input).await?;
    let result = format!("{} 名竞买人，{} 开始", session.number_at("/bidderCount")?, china_time(starts_at));
    stage.tell(qualifier.who, "安排次日上午竞价", "schedules the bidding for the next morning", result);
    Ok((session.text_at("/id")?.to_owned(), starts_at))
}
