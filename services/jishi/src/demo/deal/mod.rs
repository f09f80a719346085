//! One deal from listing to settlement, told through the public API alone: it is the demo, the stories of the tests
//! and the README at once.

mod bidding;
mod closing;
mod lot;
mod offer;

use kernel::{Instant, Money};
use serde_json::Value;

pub use lot::{OpenLot, open};

use super::{
    Error, Result,
    cast::{House, Plan, Staff},
    check::Check,
    person::Person,
    stage::Stage,
    timeline::Who,
};

/// What came of a deal.
pub struct Outcome {
    /// The listing that was sold.
    pub listing_id: String,
    /// The session in which it was.
    pub session_id: String,
    /// Who acquires it, for how much.
    pub award_id: String,
    /// The deal.
    pub deal_id: String,
    /// Its contract.
    pub contract_id: String,
    /// The transferor's organization.
    pub transferor_id: String,
    /// The winner's organization.
    pub winner_id: String,
    /// The winner's anonymous code.
    pub winner_code: String,
    /// What the winner pays.
    pub price: Money,
    /// When the session ended.
    pub ended_at: Instant,
    /// Every bid that was acknowledged, in order.
    pub receipts: Vec<Value>,
    /// Every event that the spectator saw, in order.
    pub watched: Vec<Value>,
    /// How often something was said again because the exchange was away.
    pub retries: u32,
    /// What had to hold.
    pub checks: Vec<Check>,
}

/// The organizations of the deal.
struct Parties {
    staff: Staff,
    university: House,
    broker: Person,
    signatory: Person,
    bidders: [House; 3],
    /// An applicant who does not qualify.
    unqualified: House,
}

impl Parties {
    /// Everybody but the qualifier.
    fn everybody(&self) -> Vec<&Person> {
        let Staff { reviewer, cashier, registrar, .. } = &self.staff;
        let houses = self.bidders.iter().chain([&self.unqualified, &self.university]).map(|house| &house.person);
        houses.chain([reviewer, cashier, registrar, &self.broker, &self.signatory]).collect()
    }
}

const PLANS: [Plan; 5] = [
    Plan::university("岷江理工大学"),
    Plan::bidder("竞买人甲", "bidder A", "成都锦江新材料有限公司"),
    Plan::bidder("竞买人乙", "bidder B", "绵阳涪城电子有限公司"),
    Plan::bidder("竞买人丙", "bidder C", "重庆两江储能有限公司"),
    Plan::bidder("意向方丁", "applicant D", "德阳旌湖贸易有限公司"),
];

/// Plays the whole deal.
pub async fn play(stage: &Stage<'_>) -> Result<Outcome> {
    let parties = gather(stage).await?;
    let offer = offer::disclose(stage, &parties).await?;
    let eligible = offer::qualify(stage, &parties, &offer).await?;
    let sale = bidding::sell(stage, &parties, &offer).await?;
    closing::close(stage, &parties, &offer, (&eligible, sale)).await
}

async fn gather(stage: &Stage<'_>) -> Result<Parties> {
    stage.timeline.chapter("入场", "coming in");
    let staff = Staff::gather(stage).await?;
    let houses = staff.admit(stage, &PLANS).await?;
    let houses: Result<[House; 5], _> = houses.try_into();
    let [university, a, b, c, unqualified] = houses.map_err(|_| Error::Line("five organizations come in".into()))?;
    let broker = university.hire(stage, Who { zh: "技术经纪人", en: "broker" }, &["TRANSFEROR", "BIDDER"]).await?;
    let signatory = university.hire(stage, Who { zh: "高校签约人", en: "signatory" }, &["SIGNATORY"]).await?;
    Ok(Parties { staff, university, broker, signatory, bidders: [a, b, c], unqualified })
}
