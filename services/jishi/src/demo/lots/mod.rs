//! Two lots that are bid for in other ways, told through the public API alone: one called in the hall and bid for online
//! at once, where a co-owner may match; and one of sealed offers that only trustees can open.

mod hybrid;
mod notice;
mod tender;

use auction::evidence;
use kernel::Money;
use serde_json::json;

use super::{
    Error, Fields, Result,
    cast::{House, Plan, Staff, yuan},
    check::Check,
    person::Person,
    stage::Stage,
    timeline::{SPECTATOR, Who},
};

/// What came of the two lots.
pub struct Outcome {
    /// The session of hall and online bids.
    pub hybrid_id: String,
    /// The session of sealed offers.
    pub sealed_id: String,
    /// What had to hold.
    pub checks: Vec<Check>,
}

/// Who sells, who buys, and the centre.
struct Parties {
    staff: Staff,
    centre_id: String,
    university: House,
    broker: Person,
    auctioneer: Person,
    clerk: Person,
    bidders: [House; 3],
}

const PLANS: [Plan; 4] = [
    Plan::university("沱江科技大学"),
    Plan::bidder("共有人甲", "co-owner A", "成都沱江医疗器械有限公司"),
    Plan::bidder("竞买人乙", "bidder B", "自贡釜溪精密机械有限公司"),
    Plan::bidder("竞买人丙", "bidder C", "内江甜城生物技术有限公司"),
];

/// Who has a lot, and for how much.
struct Sold<'a> {
    session_id: &'a str,
    code: &'a str,
    price: Money,
}

/// Plays both lots from their notices to their awards.
pub async fn play(stage: &Stage<'_>) -> Result<Outcome> {
    stage.timeline.chapter("现场与密封：两个标的", "hall and sealed offers: two lots");
    let parties = gather(stage).await?;
    let notices = notice::disclose(stage, &parties).await?;
    let [in_hall, in_box] = notice::qualify(stage, &parties, &notices).await?;
    let [called, sealed] = &notices;
    stage.wait_until(called.ends_at.max(sealed.ends_at), "两个标的披露期满", "the end of both disclosures").await?;
    let mut checks = Vec::new();
    let hybrid_id = hybrid::sell(stage, (&parties, called), &in_hall, &mut checks).await?;
    let sealed_id = tender::sell(stage, (&parties, sealed), &in_box, &mut checks).await?;
    checks.extend(super::check::ledger(&parties.staff.cashier).await?);
    Ok(Outcome { hybrid_id, sealed_id, checks })
}

async fn gather(stage: &Stage<'_>) -> Result<Parties> {
    let staff = Staff::gather(stage).await?;
    let centre = staff.centre(stage).await?;
    let auctioneer = centre.hire(stage, Who { zh: "拍卖师", en: "auctioneer" }, &["AUCTIONEER"]).await?;
    let clerk = centre.hire(stage, Who { zh: "大厅经办人", en: "hall clerk" }, &["HALL_CLERK"]).await?;
    let houses: Result<[House; 4], _> = staff.admit(stage, &PLANS).await?.try_into();
    let [university, a, b, c] = houses.map_err(|_| Error::Line("four organizations come in".into()))?;
    let broker = university.hire(stage, Who { zh: "高校转让经办", en: "transferor" }, &["TRANSFEROR"]).await?;
    Ok(Parties { staff, centre_id: centre.id, university, broker, auctioneer, clerk, bidders: [a, b, c] })
}

/// Two persons confirm the award; its winner's id and its price.
async fn confirm(stage: &Stage<'_>, parties: &Parties, listing_id: &str) -> Result<(String, Money)> {
    let (reviewer, qualifier) = (&parties.staff.reviewer, &parties.staff.qualifier);
    let query = "query Award($id: ID!) { award(listingId: $id) { id price winnerId } }";
    let ask = || async {
        let read = reviewer.glance(query, json!({ "id": listing_id })).await?;
        Ok(Some(read.at("/award")?.clone()).filter(|award| !award.is_null()))
    };
    let award = stage.until("the award of the sale", ask).await?;
    let (winner, price) = (award.text_at("/winnerId")?.to_owned(), award.money_at("/price")?);
    for person in [reviewer, qualifier] {
        let input = json!({ "awardId": award.text_at("/id")? });
        let confirmed = person.act("confirmAward", "award { id status }", input).await?;
        let result = format!("{}，{}", confirmed.text_at("/status")?, yuan(price));
        stage.tell(person.who, "确认成交结果", "confirms the award", result);
    }
    Ok((winner, price))
}

/// A stranger downloads the bundle and decides the lot again from it, as `jishi verify` does (promise P-2).
async fn decided_again(stage: &Stage<'_>, sold: &Sold<'_>, (zh, en): (&'static str, &'static str)) -> Result<Check> {
    let bundle = stage.client.download(&format!("/evidence/{}", sold.session_id)).await?;
    let verdict = evidence::verify(bundle.as_slice(), None);
    let told = match &verdict {
        Ok(verdict) => format!("{}，{} 条", verdict.outcome, verdict.size),
        Err(flaw) => flaw.to_string(),
    };
    stage.tell(SPECTATOR, "下载证据包，离线重算", "downloads the bundle and decides the lot again offline", &told);
    let again = verdict.ok().map(|verdict| (verdict.session_id, verdict.outcome));
    let passed = again.is_some_and(|(id, outcome)| {
        let same = outcome.winner.as_deref() == Some(sold.code) && outcome.price == Some(sold.price);
        id == sold.session_id && outcome.result == "SOLD" && same
    });
    Ok(Check { zh, en, passed, found: told })
}
