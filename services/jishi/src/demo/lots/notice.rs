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

pub const FLOOR: Money = Money(90_000_000);
pub const INCREMENT: Money = Money(2_000_000);
const DEPOSIT: Money = Money(20_000_000);
/// Of a sealed round.
pub const ROUND_SECONDS: i64 = 600;
/// How long the auctioneer may take the lot up again after the hammer.
pub const REOPEN_SECONDS: i64 = 60;

/// A disclosed listing.
pub struct Notice {
    pub listing_id: String,
    pub ends_at: Instant,
}

/// The anonymous codes of the three bidders of a lot, in the order of the parties.
pub type Codes = [String; 3];

fn draft(parties: &Parties, (title, method): (&str, &str), bidding: &Value) -> Value {
    json!({
        "organizationId": parties.university.id,
        "title": title,
        "summary": "样机已在两家医院完成三百例对照试验，灵敏度与进口设备相当；含两项发明专利与全部工艺文件。",
        "field": "BIOMEDICINE",
        "stage": "PILOT",
        "conversionMode": "TRANSFER",
        "saleMethod": method,
        "floorPrice": FLOOR.to_string(),
        "deposit": DEPOSIT.to_string(),
        "increment": INCREMENT.to_string(),
        "disclosureDays": 5,
        "freeSeconds": ROUND_SECONDS,
        "timedSeconds": REOPEN_SECONDS,
        "secret": false,
        "bidding": bidding,
    })
}

/// Both notices: the lot that is called in the hall, and the one of sealed offers.
pub async fn disclose(stage: &Stage<'_>, parties: &Parties) -> Result<[Notice; 2]> {
    let called = json!({ "mode": "ASCENDING", "closeRule": "HAMMER", "preemption": "IN_SESSION" });
    let sealed = json!({ "mode": "SEALED_SINGLE" });
    let hall = draft(parties, ("便携式超声诊断仪探头专利", "AUCTION_HOUSE"), &called);
    let tender = draft(parties, ("病理切片智能判读算法专利", "TENDER"), &sealed);
    Ok([
        disclosed(
            stage,
            parties,
            hall,
            ("拍卖公告：落槌成交，优先权人可在场内行权", "an auction: the hammer ends it, holders may match"),
        )
        .await?,
        disclosed(stage, parties, tender, ("招标公告：一次密封报价", "a tender: one sealed offer each")).await?,
    ])
}

async fn disclosed(stage: &Stage<'_>, parties: &Parties, draft: Value, (zh, en): (&str, &str)) -> Result<Notice> {
    let (broker, reviewer) = (&parties.broker, &parties.staff.reviewer);
    let drafted = broker.act("createListing", "listing { id }", draft).await?;
    let listing_id = drafted.text_at("/id")?.to_owned();
    broker.act("submitListing", "listing { id }", json!({ "listingId": listing_id })).await?;
    let input = json!({ "listingId": listing_id, "decision": "APPROVE" });
    let shown = reviewer.act("reviewListing", "listing { status disclosureEndsAt }", input).await?;
    let ends_at = shown.instant_at("/disclosureEndsAt")?;
    let result = format!("{} 至 {}", shown.text_at("/status")?, china_time(ends_at));
    stage.tell(reviewer.who, zh, en, result);
    Ok(Notice { listing_id, ends_at })
}

/// All three apply for both lots; in the hall's, the first one claims a co-owner's right, and is confirmed in it.
pub async fn qualify(stage: &Stage<'_>, parties: &Parties, notices: &[Notice; 2]) -> Result<[Codes; 2]> {
    let [hall, tender] = notices;
    for house in &parties.bidders {
        parties.staff.receive(stage, house, DEPOSIT.plus(DEPOSIT)?).await?;
    }
    let entering = parties.bidders.iter().enumerate().map(|(n, house)| async move {
        let hall = enter(stage, parties, (house, hall), n == 0).await?;
        Ok::<_, Error>([hall, enter(stage, parties, (house, tender), false).await?])
    });
    let codes = try_join_all(entering).await?;
    let [a, ..] = &parties.bidders;
    let qualifier = &parties.staff.qualifier;
    stage.tell(
        a.person.who,
        "主张共有人优先购买权（专利法第14条）",
        "claims a co-owner's preemption right",
        "CO_OWNER",
    );
    stage.tell(qualifier.who, "确认优先购买权，第一顺位", "confirms the right, first rank", &a.name);
    let held = format!("每家两份，共 {}", yuan(DEPOSIT.plus(DEPOSIT)?));
    stage.tell(qualifier.who, "三家取得两个标的的竞买资格", "three are eligible for both lots", held);
    let of = |lot: usize| -> Result<Codes> {
        let all: Vec<String> = codes.iter().filter_map(|pair| pair.get(lot).cloned()).collect();
        all.try_into().map_err(|_| Error::Line("three are eligible".into()))
    };
    Ok([of(0)?, of(1)?])
}

/// One company becomes eligible for one lot; its code.
async fn enter(
    stage: &Stage<'_>,
    parties: &Parties,
    (house, notice): (&House, &Notice),
    holder: bool,
) -> Result<String> {
    let ground = holder.then_some("CO_OWNER");
    let input = json!({ "listingId": notice.listing_id, "organizationId": house.id, "preemptionGround": ground });
    let applied = house.person.act("applyForTransfer", "transferApplication { id }", input).await?;
    let id = applied.text_at("/id")?;
    let rank = holder.then_some(1);
    let input = json!({ "transferApplicationId": id, "approve": true, "preemptionRank": rank });
    parties.staff.qualifier.act("reviewTransferApplication", "transferApplication { id }", input).await?;
    house.person.act("payDeposit", "deposit { id }", json!({ "transferApplicationId": id })).await?;
    let query = "query Application($id: ID!) { transferApplication(id: $id) { status bidderCode } }";
    let ask = || async {
        let read = house.person.glance(query, json!({ "id": id })).await?;
        let eligible = read.text_at("/transferApplication/status")? == "ELIGIBLE";
        Ok(eligible.then(|| read.text_at("/transferApplication/bidderCode").map(str::to_owned)))
    };
    stage.until("eligibility after the deposit", ask).await?
}

/// Schedules the bidding of a lot and tells it; the session's id.
pub async fn schedule(
    stage: &Stage<'_>,
    (parties, notice): (&Parties, &Notice),
    (starts_at, keys): (Instant, &[&Value]),
    (zh, en): (&'static str, &'static str),
) -> Result<String> {
    let input = json!({ "listingId": notice.listing_id, "startsAt": starts_at.to_string(), "sealedKeys": keys });
    let qualifier = &parties.staff.qualifier;
    let session = qualifier.act("scheduleBidding", "biddingSession { id status }", input).await?;
    stage.tell(qualifier.who, zh, en, china_time(starts_at));
    Ok(session.text_at("/id")?.to_owned())
}
